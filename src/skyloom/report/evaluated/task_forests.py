"""Benchmarks as forest plots: a chart for each task and metric, bits per byte of the right answers, and paired differences.

Input: rows of `tasks.json`. Output: charts like those of the run page, each with the items that it is of; the vertical line is the
accuracy of guessing. Groups stand before their tasks, as in the file. Whether two models differ is read from the paired difference
of their items, or from McNemar's p, and not from two intervals that overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

from skyloom.core.json_files import Cell
from skyloom.evaluate.benchmarks import RIGHT, BenchmarkRow, ComparisonRow
from skyloom.release.formats import count, decimal, known
from skyloom.report.charts import NARROW
from skyloom.report.figures.evaluation_forest import ForestView, Naming, as_number, value_gap
from skyloom.report.labels import Say
from skyloom.report.leak_charts import Gap, forest

COLUMNS = "model task metric filter value low high chance items of shots near_ties least most prompts"
BITS_COLUMNS = "model task bits_per_byte low high"
COMPARED_COLUMNS = "model other task metric difference low high items only_model only_other p"


def task_views(rows: Sequence[BenchmarkRow], naming: Naming) -> list[ForestView]:
    """A chart for each task and metric, one row for each model; filled where the interval lies above chance."""
    say = naming.say
    found: list[ForestView] = []
    for task, metric, chosen in dict.fromkeys((r["task"], r["metric"], r["filter"]) for r in rows):
        mine = [r for r in rows if (r["task"], r["metric"], r["filter"]) == (task, metric, chosen) and known(r["value"])]
        if not mine:
            continue
        chances = {r["chance"] for r in mine if r["chance"] is not None}
        centre = chances.pop() if len(chances) == 1 else None
        title = f"{task} · {metric_name(metric, chosen)}"
        gaps = [_row(r, centre, naming) for r in mine]
        chart = forest(gaps, centre=centre, width=NARROW, title=title)
        found.append({"anchor": f"task-{task}-{metric}-{chosen}", "title": title, "sub": _subset(mine, say), "chart": chart})
    return found


def right_views(rows: Sequence[BenchmarkRow], naming: Naming) -> list[ForestView]:
    """A chart for each task of what its right answers cost, in bits per byte."""
    say = naming.say
    found: list[ForestView] = []
    for task in dict.fromkeys(r["task"] for r in rows):
        mine = {r["model"]: r for r in rows if r["task"] == task and known(r["right_bits_per_byte"])}
        gaps = []
        for model, r in mine.items():
            ends = as_number(r["right_low"]), as_number(r["right_high"])
            gaps.append(value_gap(naming.model(model), r["right_bits_per_byte"], ends, naming.tone(model), say))
        if gaps:
            title = say("{task}: bits per byte of the right answer", task=task)
            chart = forest(gaps, centre=None, width=NARROW, title=title)
            found.append({"anchor": f"right-{task}", "title": task, "sub": _subset(list(mine.values()), say), "chart": chart})
    return found


def difference_views(rows: Sequence[ComparisonRow], say: Say) -> list[ForestView]:
    """A chart for each metric: the first model minus the second on the same items, a row for each task, around zero."""
    found: list[ForestView] = []
    for metric in dict.fromkeys(r["metric"] for r in rows):
        mine = [r for r in rows if r["metric"] == metric and known(r["difference"])]
        if not mine:
            continue
        model, other = mine[0]["model"], mine[0]["other"]
        gaps = [value_gap(r["task"], r["difference"], (as_number(r["low"]), as_number(r["high"])), "", say) for r in mine]
        name = say("bits per byte, right answer") if metric == RIGHT else metric.removesuffix(",none")
        below = say("below zero: {model} needs fewer bits", model=model)
        told = below if metric == RIGHT else say("above zero: {model} has the higher figure", model=model)
        title = f"{name}{say.colon}{say('{model} minus {other}', model=model, other=other)}"
        chart = forest(gaps, centre=0.0, width=NARROW, title=title)
        found.append({"anchor": f"compared-{metric}", "title": title, "sub": told, "chart": chart})
    return found


def metric_name(metric: str, chosen: str) -> str:
    """A metric with its filter, where it has one."""
    return metric if chosen == "none" else f"{metric} ({chosen})"


def task_lines(rows: Sequence[BenchmarkRow]) -> list[list[Cell]]:
    """COLUMNS."""
    return [
        [
            r["model"], r["task"], r["metric"], r["filter"], r["value"], r["low"], r["high"], r["chance"], r["n"], r["of"],
            r["shots"] if r["shots"] >= 0 else None, r["near_ties"], r["least"], r["most"], r["prompts"],
        ]
        for r in rows
    ]  # fmt: skip


def bits_lines_of_tasks(rows: Sequence[BenchmarkRow]) -> list[list[Cell]]:
    """BITS_COLUMNS, once for each model and task."""
    found = {(r["model"], r["task"]): r for r in rows if known(r["right_bits_per_byte"])}
    return [[model, task, r["right_bits_per_byte"], r["right_low"], r["right_high"]] for (model, task), r in found.items()]


def compared_lines(rows: Sequence[ComparisonRow]) -> list[list[Cell]]:
    """COMPARED_COLUMNS."""
    return [
        [
            r["model"], r["other"], r["task"], r["metric"], r["difference"], r["low"], r["high"], r["n"], r["only_model"],
            r["only_other"], r["p"],
        ]
        for r in rows
    ]  # fmt: skip


def _row(row: BenchmarkRow, chance: float | None, naming: Naming) -> Gap:
    say, low = naming.say, as_number(row["low"])
    gap = value_gap(naming.model(row["model"]), row["value"], (low, as_number(row["high"])), naming.tone(row["model"]), say)
    told = gap.told
    if chance is not None:
        told += f"{say.comma}{say('chance {value}', value=decimal(chance))}"
    if row["near_ties"]:
        ties, least, most = row["near_ties"], decimal(row["least"]), decimal(row["most"])
        told += say.comma + say("{count} near ties leave {low} to {high}", count=ties, low=least, high=most)
    counts = chance is None or (known(low) and low > chance)
    return Gap(gap.name, gap.value, gap.low, gap.high, counts=counts, flagged=False, told=told, tone=gap.tone)


def _subset(rows: Sequence[BenchmarkRow], say: Say) -> str:
    """Which items the figures are of."""
    row = rows[0]
    items = say("{count} of {of} items", count=count(row["n"]), of=count(row["of"]))
    shots = say("{shots}-shot", shots=row["shots"]) if row["shots"] >= 0 else ""
    cut = max(r["cut"] for r in rows)
    shortened = say("{count} cut from the left", count=count(cut)) if cut else ""
    return say.comma.join(part for part in (items, shots, shortened) if part)
