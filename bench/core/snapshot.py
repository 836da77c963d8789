"""The walk from one WET file to a snapshot, on paper: `python -m bench.core.snapshot [--write docs/snapshot.md]`.

Input: `walk`, `walk_rates` and `walk_assumed` of `bench/core/rates.toml`, where every number says whether it was measured. Output:
the table of docs/snapshot.md: tasks and shards of each station, memory, disk, CPU-hours, hours and dollars. It is arithmetic
only; nothing is measured here. ValueError if a station needs more tasks or shards than a run should have.
"""

from __future__ import annotations

import argparse
import tomllib
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from bench.core.plan import BEGIN, END, HERE, _cell, show
from skyloom.corpus.sources.stage import MOST_RANGES, RANGE_BYTES

SHARD_TIMES = 4  # a worker needs so many times the size of a shard


@dataclass(frozen=True)
class Station:
    """A station of the walk: bytes in MB, tasks and shards, CPU-hours by work, and what is kept."""

    name: str
    files: int
    packed: float
    html: float
    text: float
    wanted: float
    kept: float
    tasks: int
    shards: int
    memory_gb: float
    disk: float
    hours: dict[str, float]

    @property
    def cpu_hours(self) -> float:
        return sum(self.hours.values())


def station(row: dict[str, Any], rates: dict[str, Any]) -> Station:
    """A station from its row of rates.toml."""
    share = {one["name"]: float(one["value"]) for one in rates["share"]}
    told, files = rates["walk_assumed"] | rates["walk_rates"], int(row["files"])
    packed, html, text = (files * float(row[key]) for key in ("packed_mb", "html_mb", "text_mb"))
    wanted = text * told["wanted_of_text"]
    kept = wanted * share["unique_in_run"] * share["kept_of_unique"]
    bodies = float(row["html_mb"]) or float(row["text_mb"])
    range_mb = max(RANGE_BYTES / 1e6, packed / MOST_RANGES)
    tasks = files * max(1, int(row["packed_mb"] // range_mb))
    shards = tasks * ceil(bodies * files / tasks / row["shard_mb"])  # no shard has pages of two tasks
    work = {
        "read": (html or text) / told["read_mb"],
        "extract": html / told["extract_mb"],
        "language": text / told["language_mb"],
        "filters": wanted / told["filters_mb"],
    }
    stored_pages = next(float(one["stored"]) for one in rates["folder"] if one["name"] == "pages")
    stored = html * stored_pages + (0 if html else text * told["text_stored"])  # pages
    disk = packed + stored + wanted * told["text_stored"] + kept * told["text_stored"]
    limit = rates["limits"]["tasks_per_run"]
    if max(tasks, shards) > limit:
        raise ValueError(f"{row['name']}: {max(tasks, shards):,} tasks or shards, more than {limit:,}; raise its shard_mb")
    hours = {name: seconds / 3600 for name, seconds in work.items()}
    memory = SHARD_TIMES * row["shard_mb"] / 1000
    return Station(row["name"], files, packed, html, text, wanted, kept, tasks, shards, memory, disk, hours)


def walk(rates: dict[str, Any]) -> str:
    """The table, as docs/snapshot.md quotes it."""
    told, price = rates["walk_assumed"], rates["prices"]
    rows: list[tuple[str, list[float | str]]] = []
    found = [station(row, rates) for row in rates["walk"]]
    rows.append(("files", [s.files for s in found]))
    rows.append(("packed, GB ²", [s.packed / 1e3 for s in found]))
    rows.append(("HTML, GB ²", [s.html / 1e3 or "–" for s in found]))
    rows.append(("text, GB ²", [s.text / 1e3 for s in found]))
    rows.append(("of it English and Chinese, GB ²", [s.wanted / 1e3 for s in found]))
    rows.append(("**kept, GB** ²", [s.kept / 1e3 for s in found]))
    rows.append(("tasks of `pages` ²", [s.tasks for s in found]))
    rows.append(("shards, at most 1,000,000 ²", [s.shards for s in found]))
    rows.append(("memory of a worker, GB", [s.memory_gb for s in found]))
    rows.append(("disk at the end, GB ²", [s.disk / 1e3 for s in found]))
    rows.append(("download at 100 MB/s, hours ²", [s.packed / told["network_mb"] / 3600 for s in found]))
    for name in ("read", "extract", "language", "filters"):
        rows.append((f"CPU-hours: {name} ²", [s.hours[name] or "–" for s in found]))
    rows.append(("**CPU-hours** ²", [s.cpu_hours for s in found]))
    for cores in told["cores"]:
        rows.append((f"hours on {cores:,} cores that never wait ²", [s.cpu_hours / cores for s in found]))
    rows.append(("CPU, dollars ²", [s.cpu_hours * price["cpu_hour"] for s in found]))
    rows.append(("disk for a month, dollars ²", [s.disk / 1e6 * price["tb_month"] * price["months"] for s in found]))
    lines = ["| | " + " | ".join(s.name for s in found) + " |", "|" + "---|" * (len(found) + 1)]
    lines += [f"| {label} | " + " | ".join(map(_shown, values)) + " |" for label, values in rows]
    return (
        "\n".join(lines) + "\n\n² with an assumption of rates.toml: the files' sizes are assumed, and all that follows from them."
    )


def _shown(value: float | str) -> str:
    return "< 0.01" if not isinstance(value, str) and value < 0.01 else _cell(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=Path, default=HERE / "rates.toml")
    parser.add_argument("--write", type=Path, help="put the table between the marks of this file")
    given = parser.parse_args()
    text = walk(tomllib.loads(given.rates.read_text(encoding="utf-8")))
    show(text, given.write, BEGIN, END)


if __name__ == "__main__":
    main()
