"""The study of known power: its statistics on drawn raw results, its raw files, and the table that verdicts quote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from studies import leakage_power, leakage_power_figures
from studies.leakage_power_figures import PowerShare, clustered, figures
from studies.leakage_power_runs import PowerRecipe, batched
from studies.leakage_power_table import BARS, DOCS, PRODUCT, bar_value, chosen, falses, quoted_rows, quoted_table, table
from studies.leakage_power_texts import halves
from studies.seed_lines import append_seed

from skyloom.leakage.suspect import KNOWN_POWER, measured_power, quoted
from tests.bench.leakage.raw_power import seed_scores


@pytest.fixture(scope="module")
def rows() -> Iterator[tuple[list[PowerShare], list[PowerShare]]]:
    """All figures of three clean seeds, and of two with a leak that is seen; fewer draws than the study's."""
    with pytest.MonkeyPatch.context() as patch:
        for name, count in (("REPLICATES", 12), ("RESAMPLES", 2), ("STYLE_DRAWS", 4)):
            patch.setattr(leakage_power_figures, name, count)
        leaked = [seed_scores(5, drop=0.2, items=2000), seed_scores(6, drop=0.2)]
        yield figures([seed_scores(seed) for seed in (1, 2, 3)], None), figures(leaked, None)


Both = tuple[list[PowerShare], list[PowerShare]]


def test_a_clean_model_is_flagged_as_often_as_the_level_says_and_a_leak_is_seen(rows: Both) -> None:
    clean, leaked = rows
    assert all(share < 0.2 for share in falses(clean).values())
    for lang in ("en", "zh"):
        assert {one["share"] for one in chosen(leaked, "power", "clean_twin", lang=lang)} == {1.0}
        assert {one["share"] for one in chosen(leaked, "power", "delta1", lang=lang, copies=3)} == {1.0}
        assert chosen(leaked, "order", "item_order", lang=lang, copies=10)[0]["share"] == 1.0
    assert [one["n"] for one in chosen(leaked, "power", "delta1", lang="zh")] == [300, 300, 100]
    assert chosen(leaked, "tenth")[0]["seeds"] == 1 and not chosen(clean, "tenth")  # a tenth of 1,000 needs 2,000 items
    text = table(leaked)
    assert "0.9M" in text and "CMATH" in text and "1.00 [0.34, 1.00]" in text


def test_a_reference_of_another_style_accuses_a_clean_model_by_itself(rows: Both) -> None:
    shares = [chosen(rows[0], f"style {share}", "delta1", n=300)[0]["share"] for share in ("0%", "10%", "20%")]
    assert shares[0] < shares[2] and shares[1] <= shares[2]


def test_the_interval_is_that_of_seeds_and_not_of_looks() -> None:
    value, low, high = clustered([0.0, 0.1, 0.05, 0.05])
    assert value == pytest.approx(0.05) and 0 <= low < 0.05 < high < 0.2
    assert clustered([1.0] * 20)[1:] == pytest.approx((0.839, 1.0), abs=0.001)  # all seeds agree: Wilson's


def test_raw_results_are_plain_arrays_and_damage_is_seen(tmp_path: Path) -> None:
    raw = seed_scores(1).raw
    data = leakage_power.packed(raw)
    (tmp_path / "a.npz").write_bytes(data)
    line: leakage_power.PowerLine = {
        "seed": 1, "size": "0.9M", "recipe": {}, "parameters": 1, "file": "a.npz", "sha256": leakage_power.hashlib.sha256(data).hexdigest(),
    }  # fmt: skip
    again = leakage_power.read_raw(tmp_path, line)
    assert again.keys() == raw.keys() and all(np.array_equal(again[name], raw[name], equal_nan=True) for name in raw)
    (tmp_path / "a.npz").write_bytes(data[:-1] + b"x")
    with pytest.raises(ValueError, match="damaged"):
        leakage_power.read_raw(tmp_path, line)
    append_seed(tmp_path / "seeds.jsonl", '{"half')
    append_seed(tmp_path / "seeds.jsonl", json.dumps(line) + "\n")
    with pytest.raises(ValueError, match="another recipe"):
        leakage_power.read_lines(tmp_path, PowerRecipe())


def test_every_beginning_of_the_plan_has_the_main_size_and_every_seed_comes_once() -> None:
    plan = leakage_power.planned()
    assert len(set(plan)) == len(plan) == 32
    for end in range(1, len(plan)):
        assert sum(size == "0.9M" for size, _ in plan[:end]) >= min(20, end * 0.7)


def test_batches_hold_each_row_once_and_their_padding_fits() -> None:
    sizes = [int(n) for n in np.random.default_rng(1).integers(5, 200, 300)]
    found = batched(sizes, 600, np.random.default_rng(2))
    assert sorted(n for batch in found for n in batch) == list(range(300))
    assert all(max(sizes[n] for n in batch) * len(batch) <= 600 for batch in found)


def test_a_text_of_question_and_answer_is_cut_behind_the_question() -> None:
    assert halves("Who? How many? She has 2+3=<<2+3=5>>5. Is it so? #### 5") == (
        "Who? How many?",
        "She has 2+3=<<2+3=5>>5. Is it so? #### 5",
    )
    assert halves("No question here.") == ("No question here.", "")


def test_bars_without_raw_results_are_not_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert leakage_power.main(["--out", str(tmp_path), "--json", "all"]) == 0
    values = json.loads(capsys.readouterr().out)["values"]
    assert set(values) == set(BARS) and all("32 of 32 seeds are not finished" in value["not_measured"] for value in values.values())


def test_the_bars_are_those_of_the_worse_language_and_of_the_main_size(rows: Both) -> None:
    again = [{**one} for one in rows[1]]
    zh = chosen(again, "power", "delta1", lang="zh", copies=3)[0]
    zh["share"] = 0.5
    assert bar_value("delta1-3", again) == 0.5
    assert bar_value("twin-model-1", again) == bar_value("tenth", again) == 1.0


def test_what_verdicts_quote_is_what_the_docs_say() -> None:
    text = DOCS.read_text(encoding="utf-8")
    begin, end = "<!-- quoted power -->\n", "<!-- end of quoted power -->\n"
    assert text.split(begin)[1].split(end)[0].strip() == quoted_table(KNOWN_POWER).strip()
    assert "# end of the table" in PRODUCT.read_text(encoding="utf-8")


def test_rows_are_quoted_with_the_size_of_the_models_in_both_languages(rows: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyloom.leakage.suspect.known_power.KNOWN_POWER", tuple(quoted_rows(rows[1], least=1)))
    found = measured_power("delta1", {"zh": 300}, 300)
    assert [(one["copies"], one["items"]) for one in found] == [(1, 300), (3, 300), (10, 100)]
    said = quoted(found)
    assert "small models of 0.9 M parameters (CMATH)" in said["en"]
    assert "100% [34%, 100%] of 2 if all 300 items were read once" in said["en"]
    assert "0.9 M 参数的小模型" in said["zh"] and "300 题全部读过 1 次时，2 个中 100%" in said["zh"]
    assert quoted_rows(rows[1]) == []  # two seeds are too few to be quoted
    assert measured_power("delta1", {"zh": 150, "en": 150}, 300) == []  # a mixture was not measured
    assert [one["items"] for one in measured_power("delta1", {"en": 120}, 120)] == [100]  # with as many or fewer
