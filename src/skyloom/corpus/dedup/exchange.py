"""A keyed shuffle over files: rows with equal keys meet in one bucket, in bounded memory.

Input: a table and a bucket for each row. Output: one Arrow IPC file with one record batch for each bucket, so that a thousand
tasks and a thousand buckets make a thousand files and not a million. A reader takes its bucket's batch of each file in turn, or
streams over them where a bucket may be hot. Rows of equal bucket keep their order. Numbers that are hashes do not compress, so
they are not compressed.

Memory: a writer holds its table twice; a reader one batch, or one bucket.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.kernels import mix_column
from skyloom.core.store import FileRecord, Store

Words = npt.NDArray[np.uint64]

WORKING = 5
"""Bytes that work on a bucket needs for each byte of its rows."""


def bucket_of(keys: Words, buckets: int) -> npt.NDArray[np.int64]:
    """The bucket of each key; keys that are counters are spread as hashes are."""
    return ((mix_column(keys) >> np.uint64(33)) % np.uint64(buckets)).astype(np.int64)


def scatter(out: Store, name: str, table: pa.Table, bucket: npt.NDArray[np.int64], buckets: int) -> FileRecord:
    """Write the rows of `table` under `name`, batch b holding those whose `bucket` (0 to buckets - 1) is b."""
    order = np.argsort(bucket, kind="stable")
    bounds = np.searchsorted(bucket[order], np.arange(buckets + 1))
    ordered = table.take(pa.array(order))
    parts = (ordered.slice(bounds[b], bounds[b + 1] - bounds[b]) for b in range(buckets))
    return write_buckets(out, name, table.schema, parts)


def write_buckets(out: Store, name: str, schema: pa.Schema, parts: Iterable[pa.Table]) -> FileRecord:
    """Write one batch for each of the tables, which are the buckets in their order."""
    compression = "zstd" if any(pa.types.is_large_string(f.type) for f in schema) else None
    with out.writing(name) as file:
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with pa.ipc.new_file(pa.PythonFile(cast(IO[bytes], file), mode="w"), schema, options=options) as writer:
            for part in parts:
                batches = part.combine_chunks().to_batches()
                writer.write_batch(batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema))
    return file.record(name)


def stream(store: Store, names: Sequence[str], bucket: int) -> Iterator[pa.Table]:
    """The rows of one bucket, one table for each file that has any, in the order of `names`."""
    for name in names:
        with store.reading_arrow(name) as file:
            try:
                batch = pa.ipc.open_file(file).get_batch(bucket)
            except pa.ArrowInvalid as problem:
                raise IntegrityError(f"{store.url(name)} is not a whole Arrow file: {problem}") from problem
            if len(batch):
                yield pa.Table.from_batches([batch])


def gather(store: Store, names: Sequence[str], bucket: int, schema: pa.Schema, *, room: int | None = None) -> pa.Table:
    """All rows of one bucket, in the order of `names`.

    ConfigError if they need more than `room` bytes, counted `WORKING` times: buckets are made small enough on average, but the
    rows of one key lie in one bucket.
    """
    parts, size = [schema.empty_table()], 0
    for part in stream(store, names, bucket):
        size += part.nbytes * WORKING
        if room is not None and size > room:
            raise ConfigError(
                f"one cluster or one band key of very many documents does not fit into {room / 1e6:,.0f} MB: allow more memory, "
                "use fewer workers, or remove exact duplicates first"
            )
        parts.append(part)
    return pa.concat_tables(parts).combine_chunks()


def numbers(table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column without nulls as a numpy array, copied only where it is in several chunks."""
    return np.asarray(table.column(name).to_numpy())


def distinct_pairs(left: Words, right: Words) -> tuple[Words, Words]:
    """The different pairs of two uint64 columns, ascending."""
    if not len(left):
        return left, right
    if max(left.max(initial=0), right.max(initial=0)) < 2**32:  # one word for a pair is sorted five times faster
        packed = (left << np.uint64(32)) | right
        packed.sort()
        packed = packed[_first(packed[1:] != packed[:-1])]
        return packed >> np.uint64(32), packed & np.uint64(0xFFFFFFFF)
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    new = _first((left[1:] != left[:-1]) | (right[1:] != right[:-1]))
    return left[new], right[new]


def _first(changes: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The first row of each run of equal ones, from where a row differs from the one before it."""
    return np.concatenate([[True], changes])
