"""Repeated lines and runs over a corpus in shards, within a memory limit: the shard-wise form of `spans.py`.

Input: Parquet shards. Output: `spans-NNNNN.parquet` for each, with the spans to remove (row, start and stop in bytes of the
text, copies in the corpus). Lines meet by their hash in buckets on disk. Runs take two such exchanges: first the picked seeds,
7 % of all places; then, only around seeds that stand twice, the runs themselves.

Memory: the limit. A worker holds one shard's records (24 bytes for each line or candidate run), one batch of text, or one
bucket; the number of buckets follows from the bytes of text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.engine import Done, Engine, Task, TaskFunction
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup.budget import PROGRAM, room
from skyloom.corpus.dedup.config import SpanConfig
from skyloom.corpus.dedup.exchange import bucket_of, gather, numbers, scatter
from skyloom.corpus.dedup.shards import plan_of
from skyloom.corpus.dedup.sketch import Columns, Shards, sizes
from skyloom.corpus.dedup.spans import around, covered, grams, lines, occurrences, places, seeds

Words = npt.NDArray[np.uint64]
WORK = "spans-work"

SPANS = pa.schema([("row", pa.int64()), ("start", pa.int64()), ("stop", pa.int64()), ("copies", pa.int64())])
"""A span to remove: bytes start to stop of the text in a row of the shard; `copies`: in how many places of the corpus it stands."""

LINE = pa.schema([("key", pa.uint64()), ("shard", pa.int64()), *(SPANS.field(n) for n in ("row", "start", "stop"))])
SEED = pa.schema([("key", pa.uint64()), ("shard", pa.int64())])
RUN = pa.schema([("key", pa.uint64()), ("shard", pa.int64()), ("row", pa.int64()), ("place", pa.int64())])
MARK = pa.schema([("row", pa.int64()), ("place", pa.int64()), ("first", pa.bool_()), ("copies", pa.int64())])
RECORD_SHARE = 4
"""Bytes of records in an exchange for each byte of text, at most, as they lie in a bucket's memory."""


Map = Callable[[TaskFunction[int, str], list[Task[int]], str], list[str]]
"""Runs a function over tasks in the work folder, under a label; the names of the files."""


def repeated_spans(
    kind: str,
    store: Store,
    names: Sequence[str],
    columns: Columns,
    out: Store,
    config: SpanConfig,
    *,
    memory: int,
    engine: Engine,
    progress: Progress,
) -> list[str]:
    """Write the spans of `spans.repeated_lines` or `repeated_runs` (`kind`: one of KINDS) for each shard; names in `out`."""
    shards, buckets = _prepared(store, names, columns, memory, engine)
    label = f"repeated {kind}: spans"
    if not engine.finished(shards.tasks, out, label=label):

        def run(function: TaskFunction[int, str], tasks: list[Task[int]], step: str) -> list[str]:
            return engine.map(function, tasks, out.child(WORK), progress=progress, label=f"repeated {kind}: {step}")

        spans_of = KINDS[kind](run, shards, config, buckets)
        engine.map(spans_of, shards.tasks, out, progress=progress, label=label)
        engine.discard(out, WORK)
    return [f"spans-{task.key}.parquet" for task in shards.tasks]


def _lines(run: Map, shards: Shards, config: SpanConfig, buckets: int) -> TaskFunction[int, str]:
    """Let equal lines meet; what then writes the spans of a shard."""
    found = run(partial(_line_records, shards, config, buckets), shards.tasks, "lines")
    marked = run(partial(_line_marks, config, found, len(shards.names)), _tasks(buckets), "buckets")
    return partial(_line_spans, marked)


def _runs(run: Map, shards: Shards, config: SpanConfig, buckets: int) -> TaskFunction[int, str]:
    """Let equal seeds meet, then the runs around those that stand twice; what then writes the spans of a shard."""
    picked = run(partial(_seed_records, shards, config, buckets), shards.tasks, "seeds")
    twice = run(partial(_seed_marks, picked, len(shards.names)), _tasks(buckets), "repeated seeds")
    found = run(partial(_run_records, shards, config, twice, buckets), shards.tasks, "runs")
    marked = run(partial(_run_marks, found, len(shards.names)), _tasks(buckets), "repeated runs")
    return partial(_run_spans, shards, config, marked)


KINDS = {"lines": _lines, "runs": _runs}


def _prepared(store: Store, names: Sequence[str], columns: Columns, memory: int, engine: Engine) -> tuple[Shards, int]:
    shards = Shards(store, tuple(names), columns)
    measured = sizes(shards)
    planned = plan_of(measured, memory, bands=1, workers=engine.workers, on_disk=True)
    records = RECORD_SHARE * planned.text_bytes
    return shards, int(max(2, -(-records // max(room(memory, planned.workers), PROGRAM // 16))))


def _tasks(buckets: int) -> list[Task[int]]:
    return [Task(f"{b:05d}", b) for b in range(buckets)]


def _line_records(shards: Shards, config: SpanConfig, buckets: int, task: Task[int], work: Store) -> Done[str]:
    tables = [LINE.empty_table()]
    for first, table in shards.batches(task.payload, [shards.columns.text]):
        found = lines(table.column(0), config)
        shard = np.full(len(found.key), task.payload)
        tables.append(_table(LINE, found.key, shard, first + found.row, found.start, found.stop))
    return _scattered(work, f"lines/{task.key}.arrow", pa.concat_tables(tables), buckets)


def _line_marks(config: SpanConfig, names: list[str], shard_count: int, task: Task[int], work: Store) -> Done[str]:
    table = gather(work, names, task.payload, LINE)
    first, copies = occurrences(numbers(table, "key"))
    gone = np.flatnonzero((copies >= config.line_copies) & ~first)
    spans = _table(SPANS, *(numbers(table, n)[gone] for n in ("row", "start", "stop")), copies[gone])
    file = scatter(work, f"marks/{task.key}.arrow", spans, numbers(table, "shard")[gone], shard_count)
    return Done((file,), file.name)


def _line_spans(names: list[str], task: Task[int], out: Store) -> Done[str]:
    spans = gather(out.child(WORK), names, task.payload, SPANS).sort_by([("row", "ascending"), ("start", "ascending")])
    file = out.write_table(f"spans-{task.key}.parquet", spans)
    return Done((file,), file.name)


def _seed_records(shards: Shards, config: SpanConfig, buckets: int, task: Task[int], work: Store) -> Done[str]:
    """The picked seeds of a shard; of one that stands several times in it, two."""
    keys = [np.zeros(0, np.uint64)]
    for _, table in shards.batches(task.payload, [shards.columns.text]):
        keys.append(seeds(places(table.column(0)), config)[0])
    key = np.sort(np.concatenate(keys))
    few = np.ones(len(key), bool)
    few[2:] = key[2:] != key[:-2]
    return _scattered(work, f"seeds/{task.key}.arrow", _table(SEED, key[few], np.full(few.sum(), task.payload)), buckets)


def _seed_marks(names: list[str], shard_count: int, task: Task[int], work: Store) -> Done[str]:
    """Seeds that stand twice, for each shard that has them."""
    table = gather(work, names, task.payload, SEED)
    _, copies = occurrences(numbers(table, "key"))
    twice = table.filter(pa.array(copies > 1))
    file = scatter(work, f"twice/{task.key}.arrow", twice, numbers(twice, "shard"), shard_count)
    return Done((file,), file.name)


def _run_records(shards: Shards, config: SpanConfig, names: list[str], buckets: int, task: Task[int], work: Store) -> Done[str]:
    """Hashes of the runs around seeds that stand twice; `place` is the unit's number in its row."""
    repeated = np.unique(numbers(gather(work, names, task.payload, SEED), "key"))
    tables = [RUN.empty_table()]
    for first, table in shards.batches(task.payload, [shards.columns.text]):
        found = places(table.column(0))
        key, start = seeds(found, config)
        key, row, place = grams(found, config.run, around(found, start[np.isin(key, repeated)], config))
        tables.append(_table(RUN, key, np.full(len(key), task.payload), first + row, place - found.bounds[row]))
    return _scattered(work, f"runs/{task.key}.arrow", pa.concat_tables(tables), buckets)


def _run_marks(names: list[str], shard_count: int, task: Task[int], work: Store) -> Done[str]:
    table = gather(work, names, task.payload, RUN)
    first, copies = occurrences(numbers(table, "key"))
    some = np.flatnonzero(copies > 1)
    marks = _table(MARK, numbers(table, "row")[some], numbers(table, "place")[some], first[some], copies[some])
    file = scatter(work, f"marks/{task.key}.arrow", marks, numbers(table, "shard")[some], shard_count)
    return Done((file,), file.name)


def _run_spans(shards: Shards, config: SpanConfig, names: list[str], task: Task[int], out: Store) -> Done[str]:
    marks = gather(out.child(WORK), names, task.payload, MARK).sort_by([("row", "ascending"), ("place", "ascending")])
    row, place, first, copies = (numbers(marks, n) for n in ("row", "place", "first", "copies"))
    tables = [SPANS.empty_table()]
    for begin, table in shards.batches(task.payload, [shards.columns.text]):
        mine = slice(*np.searchsorted(row, [begin, begin + len(table)]))
        if mine.start < mine.stop:
            found = places(table.column(0))
            inner = row[mine] - begin
            spans = covered(found, inner, found.bounds[inner] + place[mine], first[mine], copies[mine], config.run)
            tables.append(_table(SPANS, begin + spans.row, spans.start, spans.stop, spans.copies))
    file = out.write_table(f"spans-{task.key}.parquet", pa.concat_tables(tables))
    return Done((file,), file.name)


def _scattered(work: Store, name: str, table: pa.Table, buckets: int) -> Done[str]:
    file = scatter(work, name, table, bucket_of(numbers(table, "key"), buckets), buckets)
    return Done((file,), file.name)


def _table(schema: pa.Schema, *columns: npt.NDArray[np.generic]) -> pa.Table:
    return pa.table([pa.array(c) for c in columns], schema=schema)
