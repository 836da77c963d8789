"""Plan a corpus of any size from measured rates: `python -m bench.core.plan [--rates FILE] [--tokens N] [--write docs/scale.md]`.

Input: `bench/core/rates.toml`, where every number says whether it was measured, and by which command. Output: the
tables of docs/scale.md: CPU-hours, shuffle bytes, memory per worker, objects and cost. `--write` puts them between the two
marks of that file; a test holds the two together. It is arithmetic only; nothing is measured here.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BEGIN, END = "<!-- scale_plan: begin -->", "<!-- scale_plan: end -->"
TB, MB = 1e12, 1e6
MARKS = {"measured": "", "bar": " ¹", "assumed": " ²"}
READS = 3  # GETs for a Parquet shard that is read once: its end, its footer, its columns
RANGES = 2  # GETs of a bucket from a file of a shuffle: where its rows lie, and the rows
PART = 4  # a bucket takes a quarter of a worker's memory, the rest is for the work on it


@dataclass(frozen=True)
class Amounts:
    """Bytes of what the stages read, from the goal backwards; `documents` counts them in `text`."""

    html: float
    text: float
    unique: float  # in each run
    joining: float  # kept by each run
    kept: float  # without what several runs kept
    document: float

    def of(self, name: str) -> float:
        return float(getattr(self, name))

    def documents(self, name: str) -> float:
        return self.of(name) / self.document


def amounts(rates: dict[str, Any]) -> Amounts:
    """What must come in so that the goal's tokens come out."""
    share = {row["name"]: float(row["value"]) for row in rates["share"]}
    kept = rates["goal"]["tokens"] * share["bytes_per_token"]
    text = kept / share["kept_of_unique"] / share["unique_of_text"]
    unique = text * share["unique_in_run"]
    joining = unique * share["kept_of_unique"]
    return Amounts(text / share["text_of_html"], text, unique, joining, kept, share["text_bytes_per_document"])


def runs_needed(rates: dict[str, Any], sizes: Amounts) -> int:
    """In how many runs (a crawl or more each) no folder has more shards than one run should have."""
    most = max(sizes.of(row["of"]) / (row["shard_mb"] * MB) for row in rates["folder"])
    return max(1, ceil(most / rates["limits"]["tasks_per_run"]))


def stage_rows(rates: dict[str, Any], sizes: Amounts) -> list[dict[str, Any]]:
    """CPU-hours of each stage: bytes read, over bytes per CPU-second."""
    return [
        {
            "stage": row["name"] + MARKS[row["status"]],
            "reads": f"{row['of']}, {sizes.of(row['of']) / TB:,.0f} TB",
            "MB per CPU-second": f"{row['mb_per_cpu_second']:g}",
            "CPU-hours": sizes.of(row["of"]) / (row["mb_per_cpu_second"] * MB) / 3600,
            "memory per worker, GB": row["memory_gb"],
        }
        for row in rates["stage"]
    ]


def shuffle_rows(rates: dict[str, Any], sizes: Amounts) -> list[dict[str, Any]]:
    """Rows and bytes of each shuffle, the buckets it needs at the worker's memory, and its CPU-hours."""
    budget = rates["goal"]["worker_memory_gb"] * 1e9 / PART
    rows = []
    for row in rates["shuffle"]:
        count = sizes.documents(row["of"]) * row["rows_per_document"]
        size = count * row["row_bytes"]
        parts = 1 if row["of"] == "joining" else runs_needed(rates, sizes)  # the join is one run
        rows.append(
            {
                "shuffle": row["name"] + MARKS[row["status"]],
                "rows": count,
                "TB written and read": size / TB,
                "buckets in a run": ceil(size / parts / budget),
                "CPU-hours": count / rates["engine"]["rows_per_cpu_second"] / 3600,
                "memory per worker, GB": rates["goal"]["worker_memory_gb"],
            }
        )
    return rows


def folder_rows(rates: dict[str, Any], sizes: Amounts, cpu_hours: float) -> list[dict[str, Any]]:
    """Objects below each step's prefix, in all and in a run, TB stored, and the average rate of PUTs."""
    parts = runs_needed(rates, sizes)
    seconds = cpu_hours * 3600 / rates["goal"]["workers"]
    rows = []
    for row in rates["folder"]:
        size = sizes.of(row["of"])
        objects = ceil(size / (row["shard_mb"] * MB))
        rows.append(
            {
                "folder": row["name"] + MARKS[row["status"]],
                "objects": objects,
                "MB each": size * row["stored"] / objects / MB,
                "TB stored": size * row["stored"] / TB,
                "objects in a run": ceil(objects / parts),
                "PUTs per second": objects / seconds,
            }
        )
    return rows


def cost_rows(rates: dict[str, Any], cpu_hours: float, stored: float, puts: float, gets: float) -> list[dict[str, Any]]:
    """Dollars by item."""
    price = rates["prices"]
    items = {
        "CPU": cpu_hours * price["cpu_hour"],
        f"storage, {price['months']:g} month": stored * price["tb_month"] * price["months"],
        "PUTs": puts / 1e6 * price["million_puts"],
        "GETs": gets / 1e6 * price["million_gets"],
    }
    rows = [{"item": name + MARKS[price["status"]], "dollars": value} for name, value in items.items()]
    return [*rows, {"item": "**all**", "dollars": sum(items.values())}]


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a Markdown table; numbers with thousands and no more digits than they deserve."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(row[c]) for c in columns) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def plan(rates: dict[str, Any]) -> str:
    """All tables, as docs/scale.md quotes them."""
    sizes, goal = amounts(rates), rates["goal"]
    stages, shuffles = stage_rows(rates, sizes), shuffle_rows(rates, sizes)
    hours = sum(row["CPU-hours"] for row in [*stages, *shuffles])
    folders = folder_rows(rates, sizes, hours)
    stored = sum(row["TB stored"] for row in folders)
    moved = sum(row["TB written and read"] for row in shuffles)
    objects = sum(row["objects"] for row in folders)
    travelling = ceil(sizes.text / (rates["engine"]["shuffle_task_mb"] * MB))  # a file for each task, whatever the buckets
    gets = READS * objects + sum(RANGES * row["buckets in a run"] * travelling for row in shuffles)
    puts = objects + travelling * len(shuffles)
    costs = cost_rows(rates, hours, stored, puts, gets)
    days = hours / goal["workers"] / 24
    facts = (
        f"For {goal['tokens']:,.0f} tokens: {_cell(sizes.kept / TB)} TB of documents, out of {_cell(sizes.unique / TB)} TB of text "
        f"without duplicates, {_cell(sizes.text / TB)} TB of extracted text ({_cell(sizes.documents('text') / 1e9)} billion "
        f"documents) and {_cell(sizes.html / TB)} TB of HTML. {_cell(hours)} CPU-hours, {_cell(days)} days on {goal['workers']:,} "
        f"cores that never wait; {_cell(moved)} TB through shuffles; {_cell(stored)} TB stored in {objects:,} objects. "
        f"{_runs(rates, sizes)}"
    )
    notes = "¹ not measured yet: the bar's promise. ² an assumption of rates.toml. Unmarked: measured, by the command named there."
    parts = [facts, table(stages), table(shuffles), table(folders), table(costs), notes]
    warnings = _warnings(rates, folders)
    return "\n\n".join([*parts, *warnings])


def _runs(rates: dict[str, Any], sizes: Amounts) -> str:
    """How the work is cut into runs."""
    parts = runs_needed(rates, sizes)
    if parts == 1:
        return "One run."
    return (
        f"{parts} runs of {_cell(sizes.html / parts / TB)} TB of HTML each (about a crawl), then one join of the "
        f"{_cell(sizes.joining / TB)} TB that they keep, which finds the duplicates across runs."
    )


def _warnings(rates: dict[str, Any], folders: list[dict[str, Any]]) -> list[str]:
    """What the arithmetic says does not work as it is set."""
    limits, found = rates["limits"], []
    for row in folders:
        name = row["folder"].split()[0]
        if row["MB each"] < 1:
            found.append(f"- `{name}`: objects of {row['MB each']:.2g} MB are too small; raise the shard size.")
        if row["PUTs per second"] > limits["puts_per_second"]:
            found.append(f"- `{name}`: more PUTs per second than one prefix takes ({limits['puts_per_second']:,}).")
        if row["objects in a run"] > limits["tasks_per_run"]:
            found.append(f"- `{name}`: {row['objects in a run']:,} shards in a run, more than {limits['tasks_per_run']:,}.")
    return ["What does not work as it is set:\n\n" + "\n".join(found)] if found else []


def show(text: str, file: Path | None, begin: str, end: str) -> None:
    """Print a text, or put it between two marks of a file."""
    if file is None:
        print(text)
        return
    page = file.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        sys.exit(f"{file} has no lines {begin} and {end}")
    head, tail = page.partition(begin)[0], page.partition(end)[2]
    file.write_text(f"{head}{begin}\n\n{text}\n\n{end}{tail}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rates", type=Path, default=HERE / "rates.toml")
    parser.add_argument("--tokens", type=float, help="another goal than the file's")
    parser.add_argument("--write", type=Path, help="put the tables between the marks of this file")
    given = parser.parse_args()
    rates = tomllib.loads(given.rates.read_text(encoding="utf-8"))
    if given.tokens:
        rates["goal"]["tokens"] = given.tokens
    text = plan(rates)
    show(text, given.write, BEGIN, END)


if __name__ == "__main__":
    main()
