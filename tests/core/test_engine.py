"""Shards through functions: order, retries, resume after a kill, and a keyed shuffle in two maps."""

import json
import os
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import DataError, SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup.exchange import bucket_of, gather, numbers, scatter

TASKS = [Task(f"part-{i:02d}", i) for i in range(6)]
SILENT = Progress.silent()


def square(log: str, task: Task, out: Store) -> Done:
    with open(log, "a") as file:
        file.write(f"{task.key}\n")
    return Done((out.write_text(f"{task.key}.txt", f"第 {task.payload} 份"),), task.payload**2)


def die_once(log: str, task: Task, out: Store) -> Done:
    if task.payload == 3 and not Path(log + ".died").exists():
        Path(log + ".died").write_text("x")
        os.kill(os.getpid(), signal.SIGKILL)
    return square(log, task, out)


def raise_once(log: str, task: Task, out: Store) -> Done:
    if task.payload == 2 and not Path(log + ".raised").exists():
        Path(log + ".raised").write_text("x")
        raise OSError("a network hiccup")
    return square(log, task, out)


def refuse(task: Task, out: Store) -> Done:
    raise DataError(f"{task.key} is empty")


@pytest.mark.parametrize("workers", [0, 2])
def test_results_in_order_and_finished_tasks_are_not_repeated(tmp_path, workers):
    engine, log, out = Engine(workers), str(tmp_path / "log"), Store(tmp_path / "out")
    try:
        for _ in range(2):
            assert engine.map(partial(square, log), TASKS, out, progress=SILENT, label="x") == [0, 1, 4, 9, 16, 25]
        assert len(Path(log).read_text().split()) == 6
        (tmp_path / "out" / "part-04.txt").write_text("damaged")
        assert engine.map(partial(square, log), TASKS, out, progress=SILENT, label="x")[4] == 16
        assert Path(log).read_text().split()[6:] == ["part-04"]
        assert out.read_text("part-04.txt") == "第 4 份"
    finally:
        engine.close()


@pytest.mark.parametrize("function", [die_once, raise_once])
def test_a_worker_that_dies_or_raises_is_retried(tmp_path, function):
    engine = Engine(2)
    try:
        results = engine.map(partial(function, str(tmp_path / "log")), TASKS, Store(tmp_path / "o"), progress=SILENT, label="x")
        assert results == [0, 1, 4, 9, 16, 25]
    finally:
        engine.close()


def always_die(task: Task, out: Store) -> Done:
    os.kill(os.getpid(), signal.SIGKILL)
    return Done((), None)


def test_workers_that_keep_dying_are_told_in_a_sentence(tmp_path):
    """More tasks than a pool takes before it is found broken: submitting to it must not raise either."""
    many = [Task(f"part-{i:03d}", "x" * 10_000) for i in range(300)]
    with pytest.raises(SkyloomError, match="fewer --workers"):
        Engine(2).map(always_die, many, Store(tmp_path), progress=SILENT, label="x")


def nothing(log: str, task: Task, out: Store) -> Done:
    square(log, task, out)
    return Done((), None)


def test_a_result_of_none_and_a_damaged_receipt(tmp_path):
    log, out = str(tmp_path / "log"), Store(tmp_path / "out")
    for _ in range(2):
        assert Engine().map(partial(nothing, log), TASKS[:2], out, progress=SILENT, label="x") == [None, None]
    (journal,) = (tmp_path / "out" / "receipts" / "x").glob("*.jsonl")
    journal.write_text("".join(line + "\n" for line in journal.read_text().splitlines()[:1]) + '{"task": "part-01", "files": [')
    assert Engine().map(partial(nothing, log), TASKS[:2], out, progress=SILENT, label="x") == [None, None]
    assert Path(log).read_text().split() == ["part-00", "part-01", "part-01"]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_user_error_is_raised_at_once(tmp_path, workers):
    with pytest.raises(DataError, match="is empty"):
        Engine(workers).map(refuse, TASKS, Store(tmp_path), progress=SILENT, label="x")


def some_rows(task: Task) -> pa.Table:
    keys = np.random.default_rng(task.payload).integers(0, 20, 50).astype(np.uint64)
    return pa.table({"key": keys, "from": pa.array([task.payload] * 50, pa.int64())})


def scatter_rows(buckets: int, task: Task, out: Store) -> Done:
    table = some_rows(task)
    file = scatter(out, f"shuffle/{task.key}.arrow", table, bucket_of(numbers(table, "key"), buckets), buckets)
    return Done((file,), file.name)


def count_keys(names: list[str], task: Task, out: Store) -> Done:
    table = gather(out, names, task.payload, pa.schema([("key", pa.uint64()), ("from", pa.int64())]))
    counted = table.group_by("key").aggregate([("from", "count")]).sort_by("key")
    return Done((out.write_table(f"{task.key}.parquet", counted),), f"{task.key}.parquet")


def shuffle(engine: Engine, out: Store, buckets: int) -> list[str]:
    """Two maps with files between them, as the pipeline removes duplicates: the names of the shards of counted keys."""
    names = engine.map(partial(scatter_rows, buckets), TASKS, out, progress=SILENT, label="count (scatter)")
    gathers = [Task(f"bucket-{b:05d}", b) for b in range(buckets)]
    found = engine.map(partial(count_keys, names), gathers, out, progress=SILENT, label="count (gather)")
    engine.discard(out, "shuffle")
    return found


@pytest.mark.parametrize("workers", [0, 2])
def test_shuffle_brings_equal_keys_together(tmp_path, workers):
    engine, out = Engine(workers), Store(tmp_path)
    try:
        names = shuffle(engine, out, 4)
    finally:
        engine.close()
    counted = {}
    for name in names:
        for row in out.read_table(name).to_pylist():
            assert row["key"] not in counted
            counted[row["key"]] = row["from_count"]
    expected = np.unique(np.concatenate([some_rows(t).column("key").to_numpy() for t in TASKS]), return_counts=True)
    assert counted == dict(zip(expected[0].tolist(), expected[1].tolist(), strict=True))


@dataclass(frozen=True)
class Counted:
    pages: int
    names: list[str]


def counted(task, out):
    return Done((out.write_text(f"{task.key}.txt", "一"),), Counted(task.payload, [task.key]))


def test_results_that_are_dataclasses_are_json_in_the_receipts_and_built_again(tmp_path):
    out = Store(tmp_path)
    fresh = Engine().map(counted, TASKS, out, progress=SILENT, label="count", result=Counted)
    lines = [json.loads(line) for name in out.names("receipts/count/") for line in out.read_text(name).splitlines()]
    assert {line["task"]: line["result"] for line in lines} == {t.key: {"pages": t.payload, "names": [t.key]} for t in TASKS}
    again = Engine().map(refuse, TASKS, out, progress=SILENT, label="count", result=Counted)
    assert fresh == again == [Counted(t.payload, [t.key]) for t in TASKS]


def test_a_map_is_told_that_its_results_are_dataclasses(tmp_path):
    with pytest.raises(TypeError, match="Counted"):
        Engine().map(counted, TASKS, Store(tmp_path), progress=SILENT, label="count")


def test_a_receipt_of_another_shape_does_not_count(tmp_path):
    out = Store(tmp_path)
    Engine().map(partial(square, str(tmp_path / "log")), TASKS, out, progress=SILENT, label="count")
    assert Engine().map(counted, TASKS, out, progress=SILENT, label="count", result=Counted)[0] == Counted(0, ["part-00"])
