"""The comparison of runs: from folders to one page with differences of recipes, overlaid curves and paired intervals."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.store import Store
from skyloom.report.compare.compare_page import paired_lines, render_comparison, shared_sets, unpaired
from skyloom.report.compare.recipe_differences import differences_of
from skyloom.report.compare.runs_read import read_runs
from tests.report import demo_run
from tests.report.test_page import Outline, chinese, english


def work_folder(run: dict[str, Store], root: Path, name: str, *, better: float = 0.0, texts: str = "same") -> Path:
    """A finished run below `root`, its last model better by so many nats per text; its held-out texts are those of `texts`."""
    work = root / name
    for step, store in run.items():
        shutil.copytree(store.path(), work / f"{step}-{'0' * 16}")
    rng = np.random.default_rng(5)  # the same texts are as hard for every model
    models = {
        "final": {
            s: {"nats": (rng.gamma(9, 9, 30) - better).tolist(), "tokens": [40] * 30, "bytes": [120] * 30} for s in demo_run.SETS
        }
    }
    Store(work / f"evaluate-{'0' * 16}").write_json("losses.json", {"sets": dict.fromkeys(demo_run.SETS, texts), "models": models})
    recipe: dict[str, Any] = {"name": name, "train": {"seed": 1}, "stages": [{"name": "stage1", "rate": {"peak": 1e-3 + better}}]}
    manifest = {"name": "report", "needs": [f"{step}-{'0' * 16}" for step in run], "settings": recipe, "files": []}
    page = Store(work / f"report-{'a' * 16}")
    page.write_json("_step.json", manifest)
    page.write_json("telemetry/step.json", {"seconds": 1.0, "finished": "2026-11-29T10:00:00+00:00"})
    return work


def test_one_page_shows_recipes_curves_and_paired_intervals(run: dict[str, Store], tmp_path: Path) -> None:
    folders = [work_folder(run, tmp_path, "基线"), work_folder(run, tmp_path, "better", better=3.0)]
    text = render_comparison(read_runs(folders))
    outline = Outline(english(text))
    assert tuple(outline.sections) == ("runs", "recipes", "curves", "differences")
    assert "stages.stage1.rate.peak0.0013.001" in "".join(outline.sections["recipes"].split())
    assert "train.seed" not in outline.sections["recipes"]
    charts = re.findall(r'<svg class="chart".*?</svg>', english(text), re.S)
    assert len(charts) == len(demo_run.SETS) + 1
    assert all("tone-d0" in c and "tone-d1" in c and c.count('class="direct') == 2 for c in charts)
    (forest,) = [f for f in re.findall(r'<svg class="forest".*?</svg>', text, re.S) if "<title>better minus 基线" in f]
    assert forest.count('class="dot') == len(demo_run.SETS) + 1  # each interval excludes zero
    two = Outline(chinese(text))
    assert (
        tuple(two.sections) == ("zh-runs", "zh-recipes", "zh-curves", "zh-differences") and "配对" in two.sections["zh-differences"]
    )
    assert text == render_comparison(read_runs(folders))


def test_a_paired_interval_is_that_of_the_difference(run: dict[str, Store], tmp_path: Path) -> None:
    """Texts differ more than models do: a difference that is the same for all texts has hardly any interval."""
    runs = read_runs([work_folder(run, tmp_path, "a"), work_folder(run, tmp_path, "b", better=3.0)])
    lines = paired_lines(runs)
    assert {line[2] for line in lines} == {*demo_run.SETS, None}
    for _, _, _, value, low, high in lines:
        assert value == pytest.approx(-3.0 / 120 / np.log(2)) and high - low < 1e-9


def test_other_texts_are_not_compared(run: dict[str, Store], tmp_path: Path) -> None:
    runs = read_runs([work_folder(run, tmp_path, "a"), work_folder(run, tmp_path, "b", texts="other")])
    assert shared_sets(*runs) == [] and paired_lines(runs) == [] and unpaired(runs)[0][0] == "b"
    assert "no paired difference on web_en, web_zh" in Outline(english(render_comparison(runs))).sections["differences"]
    (tmp_path / f"b/evaluate-{'0' * 16}/losses.json").unlink()  # a run of an earlier version
    assert paired_lines(read_runs([tmp_path / "a", tmp_path / "b"])) == []


def test_variants_of_one_run_are_told_apart(run: dict[str, Store], tmp_path: Path) -> None:
    work = work_folder(run, tmp_path, "a")
    shutil.copytree(work / f"report-{'a' * 16}", work / f"report-{'b' * 16}")
    Store(work / f"report-{'b' * 16}").write_json("telemetry/step.json", {"seconds": 1.0, "finished": "2026-11-30T10:00:00+00:00"})
    runs = read_runs([work, work / f"report-{'a' * 16}"])
    assert [r.label for r in runs] == ["a (bbbbbb)", "a (aaaaaa)"]  # a work folder means its newest page


def test_lists_of_tables_are_compared_by_name() -> None:
    one = {"sources": [{"name": "x", "path": "1"}, {"name": "y", "path": "2"}], "empty": {}, "list": [1, 2]}
    two = {
        "sources": [{"name": "新", "path": "0"}, {"name": "x", "path": "1"}, {"name": "y", "path": "3"}],
        "empty": {},
        "list": [1],
    }
    assert differences_of([one, two]) == [  # type: ignore[list-item]  # plain values
        ("sources.y.path", ["2", "3"]), ("list", ["[1, 2]", "[1]"]), ("sources.新.path", ["–", "0"]),
    ]  # fmt: skip
    assert differences_of([one, one]) == []  # type: ignore[list-item]


def test_the_command_and_its_refusals(run: dict[str, Store], tmp_path: Path) -> None:
    folders = [work_folder(run, tmp_path, "a"), work_folder(run, tmp_path, "b", better=1.0)]
    out = tmp_path / "对比.html"
    told = CliRunner().invoke(main, ["report", "compare", *map(str, folders), "--out", str(out)])
    assert told.exit_code == 0 and told.output.strip() == out.resolve().as_uri() and "Skyloom comparison" in out.read_text("utf-8")
    with pytest.raises(ConfigError, match="at least two runs"):
        read_runs(folders[:1])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no finished run page"):
        read_runs([folders[0], tmp_path / "empty"])
    page = folders[1] / f"report-{'a' * 16}/_step.json"
    page.write_text(json.dumps({"needs": None}))
    with pytest.raises(DataError, match="not the manifest"):
        read_runs(folders)
    page.write_text(json.dumps({"needs": ["stage1-ff"], "settings": {}}))
    with pytest.raises(ConfigError, match="no longer there"):
        read_runs(folders)
