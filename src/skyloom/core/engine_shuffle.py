"""The keyed shuffle between its two maps: rows scattered into one file per task, gathered by bucket.

Input: tables with a uint64 column `key`. Output: one table per bucket, with all rows of equal keys together. A task writes one
file for all buckets, not one for each: 1,000 tasks and 64 buckets are 1,000 files and not 64,000, which a disk would sync one
by one and an object store bill one by one. A file begins with a table of where each bucket's rows are, so a gather reads two
small ranges of each: its entry, and its rows (Arrow record batches under zstd).

Memory: a scatter holds one task's table twice; a gather one bucket, or with a budget a quarter of it (a reducer's own
copies have the rest): a larger bucket is read once for each part, where the part of a row is a hash of its key. Keys that
alone exceed a part are handed over in pieces if the caller allows it. Nothing holds all rows, and nothing all keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.engine_receipts import slug
from skyloom.core.engine_task import Done, Task, TaskFunction
from skyloom.core.errors import IntegrityError, SkyloomError
from skyloom.core.store import FileRecord, Store

SHUFFLE = "shuffle"
"""Folder of what travels between the two halves; no part of a step's output."""

_HEAD = 8  # bytes: the size of the schema
_ENTRY = 24  # bytes of a bucket: where its rows begin, their size before compression, a hash of the schema
_REMOTE_READS = 8  # ranges asked for at a time from an object store, which answers in tens of milliseconds
_HEAVY = 4096  # keys of which a count is kept while looking for hot ones

P = TypeVar("P")
Reducer = Callable[[int, pa.Table], pa.Table]


@dataclass(frozen=True)
class Gathering:
    """The payload of a gather: its bucket, and the files of all scatters."""

    bucket: int
    files: list[str]


@dataclass(frozen=True)
class Plan:
    """One shuffle: its label, buckets, budget in bytes (0: none), whether keys may be cut, and the name of its shards."""

    label: str
    buckets: int
    memory: int = 0
    split_hot: bool = False
    name: str = "bucket"

    def __post_init__(self) -> None:
        if self.buckets < 1:
            raise ValueError("a shuffle needs at least one bucket")

    @property
    def first(self) -> str:
        return f"{self.label} (scatter)"

    @property
    def second(self) -> str:
        return f"{self.label} (gather)"

    @property
    def folder(self) -> str:
        return f"{SHUFFLE}/{slug(self.label)}"

    def gathers(self, tasks: Sequence[Task[P]]) -> list[Task[Gathering]]:
        """The tasks of the second map, one per bucket (none if there is nothing to shuffle)."""
        files = [f"{self.folder}/{task.key}.rows" for task in tasks]
        return [Task(f"{self.name}-{b:05d}", Gathering(b, files)) for b in range(self.buckets if files else 0)]

    def scatter(self, mapper: Callable[[Task[P]], pa.Table]) -> TaskFunction[P, None]:
        return partial(_scatter, mapper, self)

    def gather(self, reducer: Reducer) -> TaskFunction[Gathering, list[str]]:
        return partial(_gather, reducer, self)


def _scatter(mapper: Callable[[Task[P]], pa.Table], plan: Plan, task: Task[P], out: Store) -> Done[None]:
    """Write a task's rows, sorted by bucket and otherwise in their order, as one file that begins with its index."""
    table = mapper(task)
    where = _keys(table) % np.uint64(plan.buckets)
    order = np.argsort(where, kind="stable")
    bounds = np.searchsorted(where[order], np.arange(plan.buckets + 1))
    ordered = table.take(pa.array(order)).combine_chunks()
    schema = table.schema.remove_metadata().serialize().to_pybytes()
    entries = np.zeros((plan.buckets + 1, _ENTRY // 8), np.uint64)
    entries[:, 2] = np.frombuffer(hashlib.blake2b(schema, digest_size=8).digest(), np.uint64)
    place, packed = _HEAD + entries.nbytes + len(schema), []
    for bucket in range(plan.buckets):
        entries[bucket, 0] = place
        rows = ordered.slice(bounds[bucket], bounds[bucket + 1] - bounds[bucket])
        if len(rows):
            raw = b"".join(batch.serialize() for batch in rows.to_batches())
            packed.append(pa.compress(raw, codec="zstd", asbytes=True))
            entries[bucket, 1] = len(raw)
            place += len(packed[-1])
    entries[plan.buckets, 0] = place
    data = b"".join([len(schema).to_bytes(_HEAD, "little"), entries.tobytes(), schema, *packed])
    return Done((out.write_bytes(f"{plan.folder}/{task.key}.rows", data),), None)


def _gather(reducer: Reducer, plan: Plan, task: Task[Gathering], out: Store) -> Done[list[str]]:
    """Reduce one bucket, whole or in the parts that the budget asks for; the result is the names of its shards."""
    bucket, files = task.payload.bucket, task.payload.files
    source = _Bucket(out, files, bucket, plan.buckets)
    size = source.size
    parts = 1
    if plan.memory and size > plan.memory // 4:
        parts = max(1, -(-(size - source.hot_bytes(plan.memory // 16)) // (plan.memory // 4)))
    written: list[FileRecord] = []
    for part in range(parts):
        for table in _pieces(source, part, parts, plan):
            name = f"{task.key}.parquet" if not written else f"{task.key}-{len(written):04d}.parquet"
            written.append(out.write_table(name, reducer(bucket, table)))
    names = [record.name for record in written]
    for stale in set(out.names(f"{task.key}-")) - set(names):
        out.remove(stale)  # of an attempt that was killed under a smaller budget, and cut the bucket into more parts
    return Done(tuple(written), names)


def _pieces(source: _Bucket, part: int, parts: int, plan: Plan) -> Iterator[pa.Table]:
    """What the reducer is called with for one part of a bucket: one table, and before it the pieces of keys that overflow."""
    held, limit = [source.schema.empty_table()], plan.memory // 2
    size = 0
    for table in source.tables():
        if parts > 1:
            table = table.filter(pa.array(_mix(_keys(table)) % np.uint64(parts) == part))
        held.append(table)
        size += table.nbytes
        if not plan.memory or size <= limit:
            continue
        whole = pa.concat_tables(held).combine_chunks()
        hot, first = _hot_rows(whole, limit // 8)
        if not (plan.split_hot and hot.any()):
            raise SkyloomError(
                f"{plan.label}: rows that belong together in bucket {source.bucket} take more than half of the "
                f"{plan.memory / 1e6:,.0f} MB that a worker may use; give it more with --memory"
            )
        yield whole.filter(pa.array(hot))
        rest = whole.filter(pa.array(~hot | first))
        del whole
        held, size = [rest], rest.nbytes
        if size > limit:
            raise SkyloomError(
                f"{plan.label}: bucket {source.bucket} does not fit in {plan.memory / 1e6:,.0f} MB even without its largest "
                "keys; give a worker more with --memory"
            )
    whole = pa.concat_tables(held)
    if len(whole) or (parts == 1):
        yield whole


class _Bucket:
    """One bucket's rows in all files of a shuffle."""

    def __init__(self, out: Store, files: list[str], bucket: int, buckets: int) -> None:
        self.bucket = bucket
        self._out = out
        self._files = files
        head = _HEAD + _ENTRY * (buckets + 1)
        schema = int.from_bytes(out.read_range(files[0], 0, _HEAD), "little")
        self.schema = pa.ipc.read_schema(pa.py_buffer(out.read_range(files[0], head, head + schema)))
        spots = self._fetch([(file, _HEAD + _ENTRY * bucket, _HEAD + _ENTRY * (bucket + 2)) for file in files])
        self._index = np.frombuffer(b"".join(spots), np.uint64).reshape(len(files), 6)
        strange = np.flatnonzero(self._index[:, 2] != self._index[0, 2])
        if len(strange):
            raise IntegrityError(f"the tables of {files[0]} and {files[strange[0]]} differ in their columns; see the mapper")

    @property
    def size(self) -> int:
        """Size of all rows in memory."""
        return int(self._index[:, 1].sum())

    def tables(self) -> Iterator[pa.Table]:
        """The rows of each file that has some, in the order of the tasks."""
        there = np.flatnonzero(self._index[:, 1])
        step = _REMOTE_READS if not self._out.local else 1
        for begin in range(0, len(there), step):
            some = there[begin : begin + step]
            spots = [(self._files[i], int(self._index[i, 0]), int(self._index[i, 3])) for i in some]
            for place, packed in zip(some, self._fetch(spots), strict=True):
                raw = pa.decompress(packed, int(self._index[place, 1]), codec="zstd")
                yield pa.Table.from_batches(_batches(raw, self.schema), self.schema)

    def hot_bytes(self, least: int) -> int:
        """About how many bytes belong to keys that take more than `least` bytes each. Reads the bucket once, keeps 4,096 counts."""
        counts: dict[int, int] = {}
        rows = 0
        for table in self.tables():
            rows += len(table)
            keys, found = np.unique(_keys(table), return_counts=True)
            for key, count in zip(keys.tolist(), found.tolist(), strict=True):
                counts[key] = counts.get(key, 0) + count
            if len(counts) > 4 * _HEAVY:
                counts = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_HEAVY])
        width = self.size / max(rows, 1)
        return int(sum(count * width for count in counts.values() if count * width > least))

    def _fetch(self, spots: list[tuple[str, int, int]]) -> list[bytes]:
        if self._out.local:
            return [self._out.read_range(*spot) for spot in spots]
        with ThreadPoolExecutor(_REMOTE_READS) as pool:
            return list(pool.map(lambda spot: self._out.read_range(*spot), spots))


def _batches(raw: pa.Buffer, schema: pa.Schema) -> list[pa.RecordBatch]:
    reader, batches = pa.BufferReader(raw), []
    while reader.tell() < raw.size:
        batches.append(pa.ipc.read_record_batch(pa.ipc.read_message(reader), schema))
    return batches


def _keys(table: pa.Table) -> npt.NDArray[np.uint64]:
    return np.asarray(table.column("key").to_numpy(), np.uint64)


def _hot_rows(table: pa.Table, least: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """bool[rows] twice: rows of keys that take more than `least` bytes, and the first row of each key."""
    keys = _keys(table)
    _, index, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    first = np.zeros(len(keys), np.bool_)
    first[index] = True
    return (counts * (table.nbytes / max(len(table), 1)) > least)[inverse], first


def _mix(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread keys over all 64 bits (SplitMix64's finalizer): those of a bucket agree in their lowest ones."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
