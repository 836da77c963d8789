"""Two models on the same benchmark items: McNemar's exact test, and the paired difference with its interval.

Input: item records of two models, or folders that an evaluation wrote; output: rows of differences, `model` minus `other`. Two
accuracies with overlapping intervals may well differ: most items are answered alike by both, and only those that one of them gets
right say anything. The test asks whether these are shared out as a fair coin would; the interval resamples items, for both at
once. Nothing is compared unless both were asked the same questions, word for word.
"""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict, cast

import numpy as np
import numpy.typing as npt
from scipy import stats

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.json_lines import json_lines
from skyloom.evaluate.benchmarks.item_records import ItemRecord
from skyloom.evaluate.benchmarks.task_scores import RESAMPLES
from skyloom.score.intervals import Estimate, figure, generator, ratio

ITEMS, TASKS = "items.jsonl.gz", "tasks.json"
RIGHT = "right_bits_per_byte"


class ComparisonRow(TypedDict):
    """`difference`: of the means of a metric over the items, or of bits per byte of the right answers. `only_model` and
    `only_other`: items that only one of them gets right; `p`: McNemar's exact test, two-sided (None for what is no 0 or 1)."""

    task: str
    metric: str
    model: str
    other: str
    n: int
    value: float | None
    other_value: float | None
    difference: float | None
    low: float | None
    high: float | None
    only_model: int | None
    only_other: int | None
    p: float | None


Records = Mapping[str, Sequence[ItemRecord]]
"""Items by task."""


Pair = tuple[ItemRecord, ItemRecord]
Values = npt.NDArray[np.float64]
"""A row for each item, with both models' values."""


def compare(
    name: str,
    mine: Records,
    other: str,
    theirs: Records,
    groups: Mapping[str, Sequence[str]] = MappingProxyType({}),
    *,
    seed: int = 1,
) -> list[ComparisonRow]:
    """A row for each metric of each group and of each task that both have. `groups`: tasks by group; a group's items are pooled.

    DataError if a task's items or prompts differ, or they share none.
    """
    both = [task for task in mine if task in theirs]
    if not both:
        raise DataError(f"{name} and {other} have no task in common: {_tasks(mine)} and {_tasks(theirs)}")
    pairs = {task: _paired(task, name, mine[task], other, theirs[task]) for task in both}
    rows: list[ComparisonRow] = []
    for group, members in groups.items():
        if members and set(members) <= set(both):
            rows += _rows(group, [pair for task in members for pair in pairs[task]], name, other, seed)
    for task in both:
        rows += _rows(task, pairs[task], name, other, seed)
    return rows


def _rows(task: str, pairs: Sequence[Pair], name: str, other: str, seed: int) -> list[ComparisonRow]:
    rows: list[ComparisonRow] = []
    for metric in dict.fromkeys(key for a, b in pairs for key in a["metrics"] if key in b["metrics"]):
        kept = [(a["metrics"][metric], b["metrics"][metric]) for a, b in pairs if metric in a["metrics"] and metric in b["metrics"]]
        rows.append(_metric_row(task, metric, name, other, np.array(kept, np.float64), seed))
    scored = [(a["right_nats"], b["right_nats"], a["right_bytes"]) for a, b in pairs]
    if scored and all(None not in one for one in scored):
        rows.append(_bits_row(task, name, other, np.array(scored, np.float64), seed))
    return rows


def _paired(task: str, name: str, mine: Sequence[ItemRecord], other: str, theirs: Sequence[ItemRecord]) -> list[Pair]:
    by_id = {item["id"]: item for item in theirs}
    if len(by_id) < len(theirs):
        raise DataError(f"task {task}: {other} has an id twice")
    if len(mine) != len(theirs) or any(item["id"] not in by_id for item in mine):
        missing = next((item["id"] for item in mine if item["id"] not in by_id), None)
        which = f"; item {missing} is not among those of {other}" if missing is not None else ""
        raise DataError(f"task {task}: {name} answered {len(mine):,} items, {other} {len(theirs):,}{which}; compare the same items")
    for item in mine:
        if by_id[item["id"]]["prompt"] != item["prompt"]:
            raise DataError(f"task {task}, item {item['id']}: {name} and {other} were asked in other words (shots or data differ)")
    return [(item, by_id[item["id"]]) for item in mine]


def _metric_row(task: str, metric: str, name: str, other: str, values: Values, seed: int) -> ComparisonRow:
    ones = np.ones(len(values))
    found = ratio(values[:, 0] - values[:, 1], ones, generator(seed, task), RESAMPLES)
    row = _row(task, metric, name, other, len(values), float(values[:, 0].mean()), float(values[:, 1].mean()), found)
    if np.isin(values, (0.0, 1.0)).all():
        first, second = int((values[:, 0] > values[:, 1]).sum()), int((values[:, 0] < values[:, 1]).sum())
        row["only_model"], row["only_other"], row["p"] = first, second, mcnemar(first, second)
    return row


def _bits_row(task: str, name: str, other: str, values: Values, seed: int) -> ComparisonRow:
    bits = values[:, :2] / math.log(2)
    found = ratio(bits[:, 0] - bits[:, 1], values[:, 2], generator(seed, task), RESAMPLES)
    size = values[:, 2].sum()
    return _row(task, RIGHT, name, other, len(values), float(bits[:, 0].sum() / size), float(bits[:, 1].sum() / size), found)


def _row(task: str, metric: str, name: str, other: str, n: int, value: float, other_value: float, found: Estimate) -> ComparisonRow:
    return {
        "task": task, "metric": metric, "model": name, "other": other, "n": n, "value": figure(value),
        "other_value": figure(other_value), "difference": figure(found.value), "low": figure(found.low), "high": figure(found.high),
        "only_model": None, "only_other": None, "p": None,
    }  # fmt: skip


def mcnemar(only_model: int, only_other: int) -> float:
    """Two-sided p of the exact test: how likely a fair coin shares the items that differ out as unevenly. 1 if none differs."""
    total = only_model + only_other
    return 1.0 if not total else figure(float(stats.binomtest(only_model, total, 0.5).pvalue)) or 0.0


def read_records(folder: Path) -> dict[str, dict[str, list[ItemRecord]]]:
    """The items that an evaluation left in a folder, by model and task. ConfigError if it holds none, DataError if damaged."""
    path = folder / ITEMS
    if not path.is_file():
        raise ConfigError(f"{folder} is neither a model of this command nor a folder with {ITEMS} (skyloom eval tasks … --out)")
    try:
        data = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem
    found: dict[str, dict[str, list[ItemRecord]]] = {}
    for row in json_lines(data, str(path)):
        if not isinstance(row, dict) or not set(ItemRecord.__annotations__) <= set(row):
            raise DataError(f"{path} holds a line that is no item of an evaluation")
        item = cast(ItemRecord, row)
        found.setdefault(item["model"], {}).setdefault(item["task"], []).append(item)
    return found


def groups_of(text: str) -> dict[str, list[str]]:
    """The groups of the evaluation in a folder, as its `tasks.json` has them; none where it is not there."""
    for place in (Path(text), Path(text.rpartition(":")[0])):
        if (path := place / TASKS).is_file():
            try:
                return {str(k): [str(t) for t in v] for k, v in json.loads(path.read_bytes())["groups"].items()}
            except (ValueError, KeyError, TypeError, AttributeError) as problem:
                raise DataError(f"{path} is not the report of an evaluation ({type(problem).__name__}: {problem})") from problem
    return {}


def one_of(text: str, here: Mapping[str, Records]) -> tuple[str, Records]:
    """What --compare names: a model of this command, or the folder of another evaluation, FOLDER or FOLDER:MODEL."""
    if text in here:
        return text, here[text]
    place, _, name = text.rpartition(":")
    folder = Path(text) if Path(text).is_dir() or not place else Path(place)
    if not folder.is_dir():
        known = f"the models are {', '.join(here)}; " if here else ""
        raise ConfigError(f"--compare {text}: {known}a folder of results is also possible")
    models = read_records(folder)
    wanted = name if str(folder) == place else ""
    if wanted and wanted not in models:
        raise ConfigError(f"--compare {text}: {folder} has {', '.join(models)}")
    if not wanted and len(models) > 1:
        raise ConfigError(f"--compare {text}: {folder} has {', '.join(models)}; write {text}:NAME")
    wanted = wanted or next(iter(models), "")
    if not wanted:
        raise DataError(f"--compare {text}: {folder} has no items")
    return wanted, models[wanted]


def _tasks(records: Records) -> str:
    return ", ".join(list(records)[:5]) or "none"


def packed(records: Sequence[ItemRecord]) -> bytes:
    """`items.jsonl.gz`; equal records are equal bytes."""
    lines = "".join(json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n" for record in records)
    return gzip.compress(lines.encode("utf-8", "replace"), mtime=0)
