"""The plan of docs/scale.md is what its script prints, and its arithmetic is that of a hand-made small case."""

from __future__ import annotations

import copy
import subprocess
import sys
import tomllib

import pytest

from bench.core import plan as scale_plan
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.stage import MOST_RANGES, file_parts
from tests.stories.program import ROOT

RATES = tomllib.loads((ROOT / "bench" / "core" / "rates.toml").read_text(encoding="utf-8"))


def test_the_page_quotes_what_the_script_prints():
    """If this fails: python -m bench.core.plan --write docs/scale.md"""
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    quoted = page.partition(scale_plan.BEGIN)[2].partition(scale_plan.END)[0].strip()
    assert quoted == scale_plan.plan(RATES).strip()


def test_every_number_says_where_it_is_from():
    for kind in ("share", "stage", "shuffle", "folder"):
        for row in RATES[kind]:
            assert row["status"] in scale_plan.MARKS and row["source"], row["name"]
            if row["status"] == "measured":
                assert any(word in row["source"] for word in ("python ", "skyloom ", "make ")), row["name"]


def test_the_arithmetic_of_a_case_done_by_hand():
    rates = copy.deepcopy(RATES)
    rates["goal"] |= {"tokens": 1e9, "workers": 10, "worker_memory_gb": 4}
    by_hand = {
        "bytes_per_token": 4, "kept_of_unique": 0.5, "unique_of_text": 0.5, "unique_in_run": 0.75, "text_of_html": 0.1, "text_bytes_per_document": 4000,
    }  # fmt: skip
    rates["share"] = [{"name": name, "value": value} for name, value in by_hand.items()]
    sizes = scale_plan.amounts(rates)
    assert (sizes.kept, sizes.joining, sizes.unique, sizes.text, sizes.html) == (4e9, 6e9, 12e9, 16e9, 160e9)
    assert sizes.documents("text") == 4e6
    rates["stage"] = [{"name": "x", "of": "html", "mb_per_cpu_second": 20, "memory_gb": 1, "status": "bar", "source": "s"}]
    assert scale_plan.stage_rows(rates, sizes)[0]["CPU-hours"] == pytest.approx(160e9 / 20e6 / 3600)
    rates["shuffle"] = [{"name": "y", "of": "text", "rows_per_document": 10, "row_bytes": 100, "status": "bar", "source": "s"}]
    (row,) = scale_plan.shuffle_rows(rates, sizes)
    assert row["rows"] == 4e7 and row["TB written and read"] == 0.004 and row["buckets in a run"] == 4
    rates["folder"] = [{"name": "z", "of": "kept", "stored": 0.25, "shard_mb": 1, "status": "bar", "source": "s"}]
    (row,) = scale_plan.folder_rows(rates, sizes, cpu_hours=1)
    assert row["objects"] == 4000 and row["MB each"] == 0.25 and row["PUTs per second"] == pytest.approx(4000 / 360)


def test_what_does_not_work_is_said():
    rates = copy.deepcopy(RATES)
    rates["folder"] = [dict(rates["folder"][0], shard_mb=0.5, stored=0.5)]
    text = scale_plan.plan(rates)
    assert "too small" in text
    rates["folder"][0] |= {"shard_mb": 100_000}
    assert "What does not work" not in scale_plan.plan(rates)


@pytest.mark.parametrize("tokens", [1e9, 6e11, 6e12, 3e13])
def test_no_run_has_more_shards_than_a_run_should_have(tokens):
    """The shard arithmetic of the plan holds at any size: what one run cannot hold is cut into runs, and these are joined."""
    rates = copy.deepcopy(RATES)
    rates["goal"]["tokens"] = tokens
    sizes = scale_plan.amounts(rates)
    parts, limit = scale_plan.runs_needed(rates, sizes), rates["limits"]["tasks_per_run"]
    folders = scale_plan.folder_rows(rates, sizes, cpu_hours=1)
    assert all(row["objects in a run"] <= limit for row in folders)
    assert parts == 1 or max(row["objects"] for row in folders) > (parts - 1) * limit  # no more runs than are needed
    assert max(row["shard_mb"] for row in rates["folder"]) <= 700  # corpus.sources[].shard_mb allows no more
    assert "What does not work" not in scale_plan.plan(rates)


def test_a_source_is_read_in_no_more_ranges_than_a_run_should_have():
    """The tasks of the step `pages` are ranges of files; of a crawl of 90,000 archives of a gigabyte they stay below the limit."""
    files = tuple(File(f"/crawl/{n}.warc.gz", f"{n}.warc.gz", 1_000_000_000) for n in range(90_000))
    parts = file_parts("warc", files)
    assert MOST_RANGES == RATES["limits"]["tasks_of_reading"] < RATES["limits"]["tasks_per_run"]
    assert 90_000 < len(parts) <= MOST_RANGES + len(files)
    assert len(file_parts("warc", files[:1])) == 15  # what fits is cut as before


def test_another_goal_from_the_command_line():
    ran = subprocess.run([sys.executable, "-m", "bench.core.plan", "--tokens", "1e11"], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("For 100,000,000,000 tokens: 0.4 TB of documents")
