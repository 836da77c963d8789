"""Figures of benchmark tasks: metrics with 95 % intervals, chance, near ties, bits per byte of the right answer.

Input: `TaskAnswers`; output: rows of `tasks.json`. A share of right answers has Wilson's interval, every other figure a bootstrap
over items by the task's own aggregation. Bits per byte of the right answer is the smooth measure beside accuracy: what a model of
any size pays for the right choice's text, where accuracy of a small model is that of guessing. Near ties leave a range: the
accuracy if each of them came out wrong, and if each came out right.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

import numpy as np

from skyloom.core.errors import DataError
from skyloom.evaluate.benchmarks.asking import TaskAnswers
from skyloom.evaluate.benchmarks.item_records import ItemRecord
from skyloom.score.intervals import Estimate, Floats, estimate, figure, generator, ratio, replicates, wilson

if TYPE_CHECKING:
    from lm_eval.api.group import Group

RESAMPLES = 1000
SLOW_RESAMPLES = 200
"""Of metrics that are computed over the whole list each time, such as BLEU."""
WILSON, BOOTSTRAP = "wilson", "bootstrap"

Aggregation = Callable[[Sequence[object]], object]


class BenchmarkRow(TypedDict):
    """A row of `tasks.json`: a metric of a task, or of a group of `parts` tasks. `least` and `most`: the range of `value` that
    near ties leave (None: they are not known, as for generated texts). `right_bits_per_byte`: of the right answers, None where
    the task has none to score. `cut`: items that were cut from the left. `prompts`: SHA-256 of all that was asked."""

    model: str
    task: str
    parts: int | None
    metric: str
    filter: str
    value: float | None
    low: float | None
    high: float | None
    interval: str
    n: int
    of: int
    chance: float | None
    near_ties: int | None
    least: float | None
    most: float | None
    right_bits_per_byte: float | None
    right_low: float | None
    right_high: float | None
    mode: str
    shots: int
    higher_is_better: bool | None
    cut: int
    version: str
    prompts: str


def task_rows(model: str, name: str, found: TaskAnswers, *, seed: int = 1) -> list[BenchmarkRow]:
    """A row for each metric and filter. DataError names a metric that cannot be computed."""
    rows: list[BenchmarkRow] = []
    bits = right_bits(found.items, seed=seed)
    for (metric, chosen), values in found.values.items():
        aggregate = _aggregation(found, metric)
        try:
            value, kind = scored(values, aggregate, seed=seed, name=f"{name}/{metric}")
        except Exception as problem:  # metrics of many authors, some of which fetch a program from the hub
            raise DataError(
                f"task {name}: its metric {metric} cannot be computed ({type(problem).__name__}: {problem})"
            ) from problem
        accuracy = metric.startswith("acc") and found.mode == "multiple_choice"
        known = accuracy or (metric == "acc" and found.mode == "loglikelihood")
        near = found.near.get(metric, {})
        down = sum(1 for place, tie in near.items() if tie.wrong and values[place] == 1)
        up = sum(1 for place, tie in near.items() if tie.right and values[place] == 0)
        rows.append(
            {
                "model": model, "task": name, "parts": None, "metric": metric, "filter": chosen,
                "value": figure(value.value), "low": figure(value.low), "high": figure(value.high), "interval": kind,
                "n": len(values), "of": found.of, "chance": figure(float(np.mean(found.chances))) if accuracy else None,
                "near_ties": len(near) if known else None,
                "least": figure(value.value - down / len(values)) if known else None,
                "most": figure(value.value + up / len(values)) if known else None,
                "right_bits_per_byte": figure(bits.value), "right_low": figure(bits.low), "right_high": figure(bits.high),
                "mode": found.mode, "shots": int(found.task.get_config("num_fewshot") or 0),
                "higher_is_better": found.task.higher_is_better().get(metric), "cut": found.cut, "version": str(found.task.VERSION),
                "prompts": found.prompts,
            }
        )  # fmt: skip
    return rows


def group_rows(
    model: str, group: Group, answers: Mapping[str, TaskAnswers], rows: Sequence[BenchmarkRow], *, seed: int = 1
) -> list[BenchmarkRow]:
    """A row for each metric that the group takes the mean of. `rows`: those of its tasks."""
    members = [task.task_name for task in group.get_all_tasks()]
    made: list[BenchmarkRow] = []
    for wanted in group.aggregate_metric_list or []:
        mine = [r for r in rows if r["model"] == model and r["task"] in members and r["metric"] == wanted.metric]
        for chosen in dict.fromkeys(r["filter"] for r in mine):
            if wanted.filter_list is None or chosen in wanted.filter_list:
                parts = [r for r in mine if r["filter"] == chosen]
                made.append(_group_row(model, group, parts, answers, bool(wanted.weight_by_size), seed))
    return made


def _group_row(
    model: str, group: Group, parts: Sequence[BenchmarkRow], answers: Mapping[str, TaskAnswers], by_size: bool, seed: int
) -> BenchmarkRow:
    first = parts[0]
    sizes = np.array([row["n"] for row in parts], np.float64)
    weights = sizes / sizes.sum() if by_size else np.full(len(parts), 1 / len(parts))

    def mean(values: Sequence[float | None]) -> float:
        return math.nan if any(v is None for v in values) else float(weights @ np.array(values, np.float64))

    values = [answers[row["task"]].values[first["metric"], first["filter"]] for row in parts]
    shares = [_shares(own) for own in values]
    if by_size and all(own is not None for own in shares):
        value, kind = wilson(int(sum(own.sum() for own in shares if own is not None)), int(sizes.sum())), WILSON
    else:
        middle = mean([row["value"] for row in parts])
        value, kind = estimate(middle, _stratified(values, weights, seed, f"{group.name}/{first['metric']}")), BOOTSTRAP
    items = [item for row in parts for item in answers[row["task"]].items]
    bits = right_bits(items, seed=seed)
    near = [row["near_ties"] for row in parts]
    shots = {row["shots"] for row in parts}
    return {
        "model": model, "task": group.name, "parts": len(parts), "metric": first["metric"], "filter": first["filter"],
        "value": figure(value.value), "low": figure(value.low), "high": figure(value.high), "interval": kind,
        "n": int(sizes.sum()), "of": sum(row["of"] for row in parts), "chance": figure(mean([row["chance"] for row in parts])),
        "near_ties": None if None in near else sum(n for n in near if n is not None),
        "least": figure(mean([row["least"] for row in parts])), "most": figure(mean([row["most"] for row in parts])),
        "right_bits_per_byte": figure(bits.value), "right_low": figure(bits.low), "right_high": figure(bits.high),
        "mode": first["mode"], "shots": shots.pop() if len(shots) == 1 else -1, "higher_is_better": first["higher_is_better"],
        "cut": sum(row["cut"] for row in parts), "version": str(group.version),
        "prompts": hashlib.sha256("".join(row["prompts"] for row in parts).encode()).hexdigest(),
    }  # fmt: skip


def right_bits(items: Sequence[ItemRecord], *, seed: int = 1, resamples: int = RESAMPLES) -> Estimate:
    """Bits per byte of the right answers: the sum of their nats over that of their bytes, items resampled."""
    scored_items = [(i["right_nats"], i["right_bytes"]) for i in items if i["right_nats"] is not None and i["right_bytes"]]
    nats = np.array([nats for nats, _ in scored_items], np.float64)
    return ratio(nats / math.log(2), [size for _, size in scored_items], generator(seed, "right"), resamples)


def scored(values: Sequence[object], aggregate: Aggregation, *, seed: int, name: str) -> tuple[Estimate, str]:
    """A metric's value by its own aggregation, with its interval, and which kind it has."""
    middle = _float(aggregate(list(values)))
    if _is_mean(aggregate):
        shares = _shares(values)
        if shares is not None:
            return wilson(int(shares.sum()), len(shares)), WILSON
        numbers = _numbers(values)
        if numbers is not None:
            return estimate(middle, replicates(numbers, np.ones(len(numbers)), generator(seed, name), RESAMPLES)), BOOTSTRAP
    pairs = _pairs(values)
    kind = getattr(aggregate, "__name__", "")
    if pairs is not None and kind in ("weighted_perplexity", "bits_per_byte", "weighted_mean"):
        draws = replicates(pairs[:, 0], pairs[:, 1], generator(seed, name), RESAMPLES)
        draws = np.exp(-draws) if kind == "weighted_perplexity" else -draws / math.log(2) if kind == "bits_per_byte" else draws
        return estimate(middle, draws), BOOTSTRAP
    return estimate(middle, _resampled(values, aggregate, seed, name)), BOOTSTRAP


def _resampled(values: Sequence[object], aggregate: Aggregation, seed: int, name: str) -> Floats:
    """Replicates of any aggregation, from n − 1 items each; none where it fails on some, as a correlation of equal values does."""
    rng, count = generator(seed, name), len(values)
    if count < 2:
        return np.zeros(0)
    try:
        draws = [_float(aggregate([values[n] for n in rng.integers(count, size=count - 1)])) for _ in range(SLOW_RESAMPLES)]
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return np.zeros(0)
    return np.array(draws, np.float64)


def _stratified(values: Sequence[Sequence[object]], weights: Floats, seed: int, name: str) -> Floats:
    """Replicates of a weighted mean of tasks' means, the items of each task resampled by themselves."""
    total = np.zeros(RESAMPLES)
    for number, (own, weight) in enumerate(zip(values, weights, strict=True)):
        numbers = _numbers(own)
        if numbers is None:
            return np.zeros(0)
        total = total + weight * replicates(numbers, np.ones(len(numbers)), generator(seed, name, str(number)), RESAMPLES)
    return total


def _aggregation(found: TaskAnswers, metric: str) -> Aggregation:
    """The task's own; the mean where it names none, as in lm-eval."""
    from lm_eval.api.metrics import mean

    own: Mapping[str, Aggregation] = found.task.aggregation()
    default: Aggregation = mean
    return own.get(metric, default)


def _is_mean(aggregate: Aggregation) -> bool:
    return getattr(aggregate, "__name__", "") in ("mean", "nanmean")


def _float(value: object) -> float:
    return float(value) if isinstance(value, (bool, int, float, np.integer, np.floating)) else math.nan


def _numbers(values: Sequence[object]) -> Floats | None:
    if all(isinstance(v, (bool, int, float, np.integer, np.floating, np.bool_)) for v in values):
        return np.array(values, np.float64)
    return None


def _shares(values: Sequence[object]) -> Floats | None:
    """The values if each is 0 or 1."""
    numbers = _numbers(values)
    return numbers if numbers is not None and np.isin(numbers, (0.0, 1.0)).all() else None


def _pairs(values: Sequence[object]) -> Floats | None:
    """Values that are two numbers each: a sum and what it is divided by."""
    if values and all(isinstance(v, tuple) and len(v) == 2 and _numbers(v) is not None for v in values):
        return np.array(values, np.float64)
    return None
