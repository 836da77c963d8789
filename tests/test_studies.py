"""What the studies rest on; the studies themselves take minutes to hours and third-party text."""

from __future__ import annotations

import html
import json
import re
from dataclasses import asdict, replace

import pytest
from studies import leakage_control as control
from studies.vocabulary_size import Outcome, draw, sizes_of, table

from skyloom.tokenizer.config import TokenizerConfig


@pytest.mark.parametrize("size", [16_384, 32_768, 65_536, 102_400])
def test_parts_keep_the_reports_proportions(size):
    parts = sizes_of(size)
    TokenizerConfig(**parts)  # refuses parts that do not add up
    assert parts["base"] / size == pytest.approx(0.488, abs=0.001) and parts["characters"] / size == pytest.approx(0.122, abs=0.001)
    if size == 65_536:
        assert (parts["base"], parts["characters"], parts["words"]) == (32_000, 8_000, 25_519)


def test_the_figure_and_the_table_show_what_was_measured(tmp_path):
    pytest.importorskip("matplotlib")
    outcomes = [
        Outcome(v, 1_000_000, {"en": 4.0, "zh": z}, {"en": [1.5, 1.7], "zh": [1.25, 1.35]})
        for v, z in ((16_384, 3.5), (65_536, 4.25))
    ]
    lines = table(outcomes).split("\n")
    assert lines[2] == "| 16,384 | 1,000,000 | 3.75 | 4.000 | 3.500 | 1.600 (1.500 to 1.700) | 1.300 (1.250 to 1.350) |"
    for name in ("a.svg", "b.svg"):
        draw(outcomes, tmp_path / name)
    first = (tmp_path / "a.svg").read_text()
    assert first == (tmp_path / "b.svg").read_text() and first.count('<g id="axes_') == 2


def test_marks_of_small_pages_stand_in_their_pages_in_order():
    small = pytest.importorskip("studies.extraction_small_pages")  # needs fastwarc and selectolax
    pages = small.small(2 * len(small.PARTS))
    assert [p.lang for p in pages[:2]] == ["en", "zh"] and len({p.html for p in pages}) == len(pages)
    assert pages[:4] == small.small(4)
    for page in pages:
        body = page.html.split("<body>")[1]
        shown = re.sub(r"\s+", "", html.unescape(re.sub(r"<[^>]*>", "", body)))
        at = 0
        for line in page.gold.split("\n"):
            close = re.sub(r"\s+", "", line)
            at = shown.find(close, at) + len(close)
            assert at >= len(close), (page.id, line)


def outcome(seed, **flags):
    """A finished seed of the study of the control: everything as it should be, but for `flags`."""
    names = ("canaries", "heldback", "clean_test", "pairs")
    seen = {f"{name}_flagged_in_{model}": False for name in names for model in ("final", "stage1")}
    gaps = ("delta1", "heldback_delta1", "paired")
    row = {f"{name}{end}": value for name in gaps for end, value in (("", -0.5), ("_low", -0.6), ("_high", -0.4))}
    found = {**seen, "canaries_flagged_in_final": True, "pairs_flagged_in_final": True, "holds": True, **flags}
    models = {"final": row, "stage1": row}
    rows = [{"model": "final", "delta1": 0.01, "delta1_low": -0.02, "delta1_high": 0.04}]
    audit = {"rows": rows, "control": {**found, "models": models}}
    return {"seed": seed, "recipe": asdict(control.Recipe()), "parameters": 1, "audit": audit}


def test_the_control_is_counted_over_seeds_and_resumed(tmp_path, capsys, monkeypatch):
    done = [
        outcome(1), outcome(2, heldback_flagged_in_final=True, holds=False),
        outcome(3, heldback_flagged_in_stage1=True, clean_test_flagged_in_stage1=True, holds=False),
        outcome(4, canaries_flagged_in_final=False, clean_test_flagged_in_final=True, holds=False),
    ]  # fmt: skip
    lines = "".join(json.dumps(line) + "\n" for line in done[::-1])
    (tmp_path / "seeds.jsonl").write_text(lines + lines[:50])  # a line that was cut off by an interruption is not a seed
    found = control.read_outcomes(tmp_path, control.Recipe())
    assert found == done
    told = control.table(found)
    for line in (
        "| planted | 3 | at least 19 |",
        "| held-back | 1 | at most 3 |",
        "| test | 1 | at most 3 |",
        "| before | 1 | at most 3 |",
    ):
        assert line in told
    assert "| difference | 4 | none |" in told and "| 1 | −0.500 [−0.600, −0.400] |" in told
    with pytest.raises(ValueError, match="another recipe"):
        control.read_outcomes(tmp_path, replace(control.Recipe(), copies=3))
    for seeds, printed in (("4", {"planted": {"value": 3}, "before": {"value": 1}}), ("5", None)):
        monkeypatch.setattr("sys.argv", ["x", "--out", str(tmp_path), "--seeds", seeds, "--json", "planted,before"])
        assert control.main() == 0
        values = json.loads(capsys.readouterr().out)["values"]
        assert values == printed if printed else "1 seeds are not finished" in values["planted"]["not_measured"]
