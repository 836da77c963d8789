"""Measure the engine on this machine: `python -m bench.core.engine [--tasks N] [--engine local|ray] [--json NAME]`.

Trivial tasks per second with nothing written, with a small file each, and on the way back (all receipts there); then rows
per second of a keyed shuffle and its peak memory. Trivial tasks are the worst case: real ones take seconds. `--json tasks`,
`shuffle` and `ray` print one figure for bench/bars.py; `ray` counts the files that Ray writes otherwise than the local
engine, with a worker killed on the way.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from bench.answers import NotMeasuredError, answer, offer
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup.exchange import bucket_of, gather, numbers, scatter

SILENT = Progress.silent()
ROW = pa.schema([("key", pa.uint64()), ("id", pa.int64())])


def nothing(task: Task, out: Store) -> Done:
    return Done((), task.payload)


def small_file(task: Task, out: Store) -> Done:
    return Done((out.write_text(f"{task.key}.txt", "一 one"),), task.payload)


def killed_once(mark: str, task: Task, out: Store) -> Done:
    """A small file, but the worker of task 7 is killed the first time."""
    if task.payload == 7:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
    return small_file(task, out)


def rows(count: int, task: Task) -> pa.Table:
    dice = np.random.default_rng(task.payload)
    return pa.table({"key": dice.integers(0, 2**63, count).astype(np.uint64), "id": dice.integers(0, 2**63, count)})


def scattered(count: int, buckets: int, task: Task, out: Store) -> Done:
    table = rows(count, task)
    file = scatter(out, f"shuffle/{task.key}.arrow", table, bucket_of(numbers(table, "key"), buckets), buckets)
    return Done((file,), file.name)


def gathered(names: list[str], task: Task, out: Store) -> Done:
    table = gather(out, names, task.payload, ROW).sort_by([("key", "ascending"), ("id", "ascending")])
    return Done((out.write_table(f"{task.key}.parquet", table),), None)


def shuffle(engine: Engine, tasks: list[Task], out: Store, count: int, buckets: int) -> None:
    """The keyed shuffle of `corpus/dedup/exchange.py`: one map scatters the rows, a second one gathers each bucket."""
    names = engine.map(partial(scattered, count, buckets), tasks, out, progress=SILENT, label="scatter")
    parts = [Task(f"bucket-{b:05d}", b) for b in range(buckets)]
    engine.map(partial(gathered, names), parts, out, progress=SILENT, label="gather")
    engine.discard(out, "shuffle")


def cpu_seconds() -> float:
    """CPU of this process and of workers that have ended."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def engine_of(name: str, workers: int) -> Engine:
    if name == "local":
        return Engine(workers)
    from skyloom.core.engine_ray import RayEngine

    return RayEngine(workers)


def measure_tasks(engine: Engine, count: int, work: Store) -> dict[str, float]:
    """Trivial tasks per second, by what was done; the workers are started before."""
    tasks = [Task(f"t{i:06d}", i) for i in range(count)]
    engine.map(nothing, tasks[:16], work.child("warm"), progress=SILENT, label="warm")
    found = {}
    for name, function in (("nothing written", nothing), ("a small file each", small_file)):
        for state in ("first run", "all done before"):
            began = time.perf_counter()
            engine.map(function, tasks, work.child(function.__name__), progress=SILENT, label="rate")
            found[f"{name}, {state}"] = count / (time.perf_counter() - began)
    return found


def measure_shuffle(engine: Engine, shards: int, count: int, buckets: int, work: Store) -> tuple[float, float]:
    """Rows of 16 bytes per second and per CPU-second (with the start and end of the workers)."""
    tasks = [Task(f"s{i:05d}", i) for i in range(shards)]
    engine.close()
    while multiprocessing.active_children():
        time.sleep(0.05)
    began, cpu = time.perf_counter(), cpu_seconds()
    shuffle(engine, tasks, work, count, buckets)
    took = time.perf_counter() - began
    engine.close()
    while multiprocessing.active_children():  # the CPU of workers counts when they have ended
        time.sleep(0.05)
    return shards * count / took, shards * count / (cpu_seconds() - cpu)


def ray_differences(work: Path) -> int:
    """Files of a map and a shuffle that Ray, with a worker killed, and the local engine write differently, or not both."""
    tasks, written = [Task(f"t{i:03d}", i) for i in range(40)], []
    for name, workers in (("local", 0), ("ray", 2)):
        engine, out = engine_of(name, workers), Store(work / name)
        function = small_file if name == "local" else partial(killed_once, str(work / "killed"))
        engine.map(function, tasks, out, progress=SILENT, label="files")
        shuffle(engine, tasks, out, 1000, 8)
        engine.close()
        written.append({n: out.describe(n) for n in out.names() if not n.startswith("receipts/")})
    if not (work / "killed").exists():
        raise SystemExit("no worker was killed: nothing is proved")
    return sum(written[0].get(n) != written[1].get(n) for n in {*written[0], *written[1]})


def figure(name: str, given: argparse.Namespace, work: Path) -> float:
    """One line for bench/bars.py."""
    engine = Engine(given.workers)
    if name == "tasks":
        value: float = measure_tasks(engine, given.tasks, Store(work))["nothing written, first run"]
    elif name == "shuffle":
        value = measure_shuffle(engine, given.shards, given.rows, given.buckets, Store(work))[0]
    elif importlib.util.find_spec("ray") is None:
        raise NotMeasuredError("Ray is not installed (pip install 'skyloom[ray]')")
    else:
        value = ray_differences(work)
    engine.close()
    return value


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--engine", choices=("local", "ray"), default="local")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--buckets", type=int, default=64)
    parser.add_argument("--rows", type=int, default=10_000, help="rows of a shard of the shuffle")
    offer(parser, ("tasks", "shuffle", "ray"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        work = Path(folder)

        def tables() -> None:
            engine = engine_of(given.engine, given.workers)
            for name, rate in measure_tasks(engine, given.tasks, Store(work)).items():
                print(f"{name}: {rate:,.0f} tasks/s")
            wall, cpu = measure_shuffle(engine, given.shards, given.rows, given.buckets, Store(work).child("shuffled"))
            print(
                f"shuffle, {given.shards:,} shards to {given.buckets} buckets: {wall:,.0f} rows/s, {cpu:,.0f} rows per CPU-second"
            )
            peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
            print(f"peak memory of the largest process: {peak / 1e3:,.0f} MB")

        return answer(given.json, lambda name: figure(name, given, work / name), tables)


if __name__ == "__main__":
    sys.exit(main())
