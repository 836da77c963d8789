"""The walk of docs/snapshot.md is what its script prints, and no station of it exceeds what one run should have."""

from __future__ import annotations

import copy
import tomllib

import pytest
from bench.core.plan import BEGIN, END

from bench.core import snapshot
from tests.stories.program import ROOT

RATES = tomllib.loads((ROOT / "bench" / "core" / "rates.toml").read_text(encoding="utf-8"))


def test_the_page_quotes_what_the_script_prints():
    """If this fails: python -m bench.core.snapshot --write docs/snapshot.md"""
    page = (ROOT / "docs" / "snapshot.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == snapshot.walk(RATES).strip()


def test_a_station_done_by_hand():
    rates = copy.deepcopy(RATES)
    rates["share"] = [{"name": "unique_in_run", "value": 0.5}, {"name": "kept_of_unique", "value": 0.5}]
    rates["walk_rates"] |= {"wanted_of_text": 0.5, "read_mb": 10, "language_mb": 100, "filters_mb": 5, "text_stored": 0.5}
    row = {"name": "x", "files": 360, "packed_mb": 130, "html_mb": 0, "text_mb": 1000, "shard_mb": 300}
    found = snapshot.station(row, rates)
    assert (found.text, found.wanted, found.kept) == (360_000, 180_000, 45_000)
    assert (found.tasks, found.shards, found.memory_gb) == (720, 1440, 1.2)
    assert found.hours == {"read": 10, "extract": 0, "language": 1, "filters": 10}
    assert found.disk == 46_800 + 180_000 + 90_000 + 22_500


def test_no_shard_has_pages_of_two_tasks():
    row = {"name": "x", "files": 90_000, "packed_mb": 1000, "html_mb": 4500, "text_mb": 180, "shard_mb": 512}
    found = snapshot.station(row, RATES)
    assert (found.tasks, found.shards) == (450_000, 900_000)


def test_the_shards_of_every_station_fit_into_a_run():
    for row in RATES["walk"]:
        found = snapshot.station(row, RATES)
        assert found.tasks <= found.shards <= RATES["limits"]["tasks_per_run"], row["name"]
        assert row["shard_mb"] <= 700
        with pytest.raises(ValueError, match="raise its shard_mb"):
            snapshot.station({**row, "files": 2_000_000}, RATES)
