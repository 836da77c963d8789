"""`skyloom train RECIPE --dry-run` as a user meets it: tables, JSON, layouts and errors; nothing is trained or written."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.planner.table10 import PREDICTED, rows

ROOT = Path(__file__).parents[1]
REPORT = ["train", str(ROOT / "recipes/skywork-13b.toml"), "--dry-run", "--world", "512", "--workers", "1"]
SHRUNK = ["--set", "model.layers=4"]
pytestmark = pytest.mark.xdist_group("dryrun")


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout if not code else " ".join(result.output.split())


def test_the_reports_recipe_of_fewer_blocks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shown = run(*REPORT, *SHRUNK)
    assert "DP256+PP2: 512 processes" in shown and "4096 sequences" not in shown and "4,096 sequences" in shown
    assert "65,536 x 4,608" in shown and "256 x 4,608" in shown, "the embedding, and this rank's share of it"
    assert "reduce-scatter" in shown and "against the planner" in shown and "NCCL" in shown
    assert not list(tmp_path.iterdir()), "a dry run leaves nothing behind"


def test_several_layouts_as_json():
    told = json.loads(run(*REPORT, *SHRUNK, "--layout", "pp=4", "--layout", "DP256+TP2", "--json"))
    assert [one["layout"] for one in told] == ["dp=128,pp=4,micro=1", "dp=256,tp=2,micro=1"]
    assert [one["mesh"] for one in told] == [{"pp": 4, "dp": 128, "tp": 1}, {"pp": 1, "dp": 256, "tp": 2}]
    for one in told:
        assert one["world"] == 512
        for rank in one["ranks"]:
            assert sum(rank["memory"].values()) == rank["peak_bytes"] and rank["shards"] and rank["traffic"]
            assert next(row for row in rank["planner"] if row["what"] == "memory")["ratio"] == pytest.approx(1, abs=0.1)


def test_table_10_has_six_layouts_of_512():
    from skyloom.cli.dryrun import chosen
    from skyloom.run.recipe import load

    layouts = chosen(load(ROOT / "recipes/skywork-13b.toml").train, 512, (), True)
    assert layouts == [row.layout for row in rows(PREDICTED)] and len(layouts) == 6


def test_layouts_that_do_not_make_the_world():
    told = run(*REPORT[:4], "1024", code=2)
    assert "512 processes" in told and "1024" in told and "data = 512" in told
    told = run(*REPORT, "--layout", "pp=3", code=2)
    assert "510 processes" in told and "pipeline = 3" in told and "512" in told
    assert "heads (36)" in run(*REPORT, "--layout", "tp=8", code=2)
    assert "dp=" in run(*REPORT, "--layout", "ep=8", code=2)
    assert "--dry-run" in run("train", REPORT[1], "--layout", "tp=2", code=2)
