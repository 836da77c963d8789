"""`skyloom eval tasks`: models and tasks to `tasks.json` and `items.jsonl.gz`, and two of them compared.

Input: how to open each model, names of tasks, data; output: a `TaskReport`, which is also written to the output folder with the
items. All that can be checked without a model is checked before the first is opened. Models are opened one after the other, so that
a table over many needs the memory of one. Answers go to a journal in the output folder, from which a killed evaluation goes on.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import TypedDict, TypeVar

from skyloom.core.errors import ConfigError
from skyloom.core.json_files import Row, Rows
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.benchmarks.answer_journal import AnswerJournal
from skyloom.evaluate.benchmarks.asking import ask
from skyloom.evaluate.benchmarks.harness_model import BenchmarkEngine, BenchmarkModel, HarnessModel
from skyloom.evaluate.benchmarks.item_records import ItemRecord
from skyloom.evaluate.benchmarks.task_building import Built, build, example_split, scored_split, settings_of, without_network
from skyloom.evaluate.benchmarks.task_comparison import (
    ITEMS,
    RIGHT,
    TASKS,
    ComparisonRow,
    Records,
    compare,
    groups_of,
    one_of,
    packed,
)
from skyloom.evaluate.benchmarks.task_index import find
from skyloom.evaluate.benchmarks.task_scores import BenchmarkRow, group_rows, task_rows
from skyloom.evaluate.benchmarks.template_fields import Shape, example, has_functions


class NoiseEntry(TypedDict):
    """By how many nats a difference of log-probabilities of a model may move, and how that is known."""

    model: str
    nats: float
    how: str


class TaskReport(TypedDict):
    """`tasks.json`. `models`: what each is, as it describes itself; `data`: where each task's items come from;
    `groups`: their tasks."""

    models: list[Mapping[str, object]]
    rows: list[BenchmarkRow]
    comparison: list[ComparisonRow]
    noise: list[NoiseEntry]
    data: dict[str, str]
    groups: dict[str, list[str]]
    limit: int | None
    versions: dict[str, str]
    command: str


class TaskFields(TypedDict):
    """What `--fields` prints of a task: an example item, the split that is scored, the one that examples come from and their
    number, and whether a part of the task is a program, which may read more fields."""

    task: str
    item: dict[str, Shape]
    scored: str
    examples: str
    shots: int | None
    program: bool


@dataclass(frozen=True)
class Asking:
    """What is asked. `shots`: examples before each item, None for each task's own number; `limit`: items of each task, None for
    all; `data`: values of --data; `cut`: requests that are too long are cut from the left."""

    tasks: Sequence[str]
    shots: int | None = None
    limit: int | None = None
    data: Sequence[str] = ()
    offline: bool = False
    cut: bool = False


Opened = TypeVar("Opened", bound=BenchmarkModel)


def evaluate_tasks(
    models: Sequence[tuple[str, str]],
    asking: Asking,
    *,
    open_one: Callable[[str, str], Opened],
    engine: Callable[[Opened], BenchmarkEngine],
    out: Path | None,
    compared: tuple[str, str] | None = None,
    command: str = "",
    progress: Progress,
) -> TaskReport:
    """The report over all models and tasks. `models`: a name, which is given to no other, and where the model is.

    See `build` and `ask` for errors.
    """
    built = build(asking.tasks, shots=asking.shots, limit=asking.limit, data=asking.data, offline=asking.offline)
    for note in built.notes:
        progress.log(f"warning: {note}")
    report: TaskReport = {
        "models": [], "rows": [], "comparison": [], "noise": [], "data": built.origins, "limit": asking.limit, "command": command,
        "groups": {name: [task.task_name for task in group.get_all_tasks()] for name, group in built.groups.items()},
        "versions": {name: version(name) for name in ("lm-eval", "datasets", "skyloom")},
    }  # fmt: skip
    records: dict[str, dict[str, list[ItemRecord]]] = {}
    with AnswerJournal(out) as journal, without_network() if asking.offline else contextlib.nullcontext():
        for name, place in models:
            model = open_one(name, place)
            records[model.name] = _one(model, engine(model), built, asking, journal, report, progress)
            if out is not None:
                write(report, records, out)
            del model
            gc.collect()
    if compared is not None:
        report["comparison"] = compare_two(compared, records, report["groups"])
        if out is not None:
            write(report, records, out)
    return report


def compare_two(
    names: tuple[str, str], records: Mapping[str, Records], groups: Mapping[str, Sequence[str]] = MappingProxyType({})
) -> list[ComparisonRow]:
    """The comparison of two models of this command, or of folders of results."""
    (name, mine), (other, theirs) = one_of(names[0], records), one_of(names[1], records)
    if name == other:  # the same model in two folders: with other data, or before and after
        name, other = names
    if name == other:
        raise ConfigError(f"--compare {names[0]} {names[1]}: both are the same")
    return compare(name, mine, other, theirs, groups or groups_of(names[0]))


def only_compared(rows: list[ComparisonRow], command: str) -> TaskReport:
    """The report of a comparison of two folders of results, in which no model was asked."""
    return {
        "models": [], "rows": [], "comparison": rows, "noise": [], "data": {}, "groups": {}, "limit": None,
        "versions": {"skyloom": version("skyloom")}, "command": command,
    }  # fmt: skip


def _one(
    model: BenchmarkModel,
    engine: BenchmarkEngine,
    built: Built,
    asking: Asking,
    journal: AnswerJournal,
    report: TaskReport,
    progress: Progress,
) -> dict[str, list[ItemRecord]]:
    lm = HarnessModel(model, engine, journal, cut=asking.cut)
    answers, noise = ask(built, lm, limit=asking.limit, progress=progress)
    rows = [row for name, found in answers.items() for row in task_rows(model.name, name, found)]
    grouped = [row for group in built.groups.values() for row in group_rows(model.name, group, answers, rows)]
    report["models"].append(dict(model.describe()))
    report["rows"] += grouped + rows
    report["noise"].append({"model": model.name, "nats": noise.nats, "how": noise.how})
    return {name: found.items for name, found in answers.items()}


def write(report: TaskReport, records: Mapping[str, Records], out: Path) -> None:
    """Both files. StorageError if the folder cannot be written."""
    store = Store(out)
    store.write_bytes(ITEMS, packed([item for tasks in records.values() for items in tasks.values() for item in items]))
    store.write_json(TASKS, report)


def fields(names: Sequence[str]) -> list[TaskFields]:
    """What the items of tasks must have; tasks of a group that need the same are told once."""
    found: list[TaskFields] = []
    for name in find(names):
        seen: list[tuple[object, ...]] = []
        for task, settings in settings_of(name).items():
            shots = settings.get("num_fewshot")
            entry: TaskFields = {
                "task": task, "item": example(settings), "scored": scored_split(settings), "examples": example_split(settings),
                "shots": shots if isinstance(shots, int) else None, "program": has_functions(settings),
            }  # fmt: skip
            alike = (entry["item"], entry["scored"], entry["examples"], entry["shots"], entry["program"])
            if alike not in seen:
                seen.append(alike)
                found.append(entry)
    return found


def table(rows: Sequence[BenchmarkRow]) -> Rows:
    """Rows for the terminal: groups first, intervals and ranges as texts."""
    shown: Rows = []
    for row in rows:
        name = row["metric"] if row["filter"] == "none" else f"{row['metric']} ({row['filter']})"
        line: Row = {
            "model": row["model"], "task": row["task"] if row["parts"] is None else f"{row['task']} ({row['parts']} tasks)",
            "metric": name, "value": row["value"], "95 % interval": _span(row["low"], row["high"]), "chance": row["chance"],
            "items": row["n"], "shots": row["shots"] if row["shots"] >= 0 else None, "near ties": row["near_ties"],
            "they leave": _span(row["least"], row["most"]) if row["near_ties"] else None,
            "bits/byte, right": row["right_bits_per_byte"],
        }  # fmt: skip
        shown.append(line)
    return shown


def comparison_table(rows: Sequence[ComparisonRow]) -> Rows:
    """Rows for the terminal."""
    return [
        {
            "task": row["task"], "metric": "bits/byte" if row["metric"] == RIGHT else row["metric"].removesuffix(",none"),
            row["model"]: row["value"], row["other"]: row["other_value"],
            "difference": row["difference"], "95 % interval": _span(row["low"], row["high"]), "items": row["n"],
            "only 1st right": row["only_model"], "only 2nd right": row["only_other"],
            "p (McNemar)": None if row["p"] is None else f"{row['p']:.3g}",
        }
        for row in rows
    ]  # fmt: skip


def _span(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"{low:.3f} to {high:.3f}"
