"""MinHash sketches of a corpus in shards: band keys and rank of each document. The first pass of deduplication.

Input: a store with Parquet shards. Output: one Arrow file of sketches for each shard. From here on a document is its number in
the order of the shards and rows, and the text is read again only for documents that have a candidate.

Memory: one shard of text and its sketches in each worker.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import UnitColumn
from skyloom.corpus.dedup.candidate_pairs import Standing, standing
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.exchange import write_buckets
from skyloom.corpus.dedup.minhash import Bands, band_keys, shingle_counts, shingle_sets
from skyloom.corpus.text import slices

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

BATCH = 4 << 20
"""Bytes of text that are read at once; small, so that the memory is used again while it is in the processor's cache."""

CLUSTERS = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field("cluster", pa.string()),  # id of the document that is kept for this one, its own where it is kept
        pa.field("keep", pa.bool_()),
        pa.field("jaccard", pa.float32()),  # exact similarity to the kept document, 1 where it is kept
    ]
)
"""A row for each document of a shard, in the shard's order."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read: `quality` (numbers, higher is better) is optional.

    `numbered`: a row without an id is named after its file and its number from 1 ("pages.jsonl:12"), instead of being rejected.
    """

    id: str = "id"
    text: str = "text"
    quality: str | None = None
    numbered: bool = False

    @property
    def names(self) -> list[str]:
        return [self.id, self.text, *([self.quality] if self.quality else [])]


@dataclass(frozen=True)
class Shards:
    """The corpus to be deduplicated: shard i of the documents' numbers is `names[i]` of `store`."""

    store: Store
    names: tuple[str, ...]
    columns: Columns

    @property
    def tasks(self) -> list[Task[int]]:
        return [Task(f"{shard:05d}", shard) for shard in range(len(self.names))]

    def batches(self, shard: int, columns: list[str]) -> Iterator[tuple[int, pa.Table]]:
        """Columns of a shard in tables of about `BATCH` bytes of text, each with the number of its first row."""
        with self.store.reading_arrow(self.names[shard]) as file:
            try:
                source = pq.ParquetFile(file)
                first = 0
                for batch in source.iter_batches(self._rows(source.metadata), columns=columns, use_threads=self.store.local):
                    yield first, pa.Table.from_batches([batch]).select(columns)
                    first += len(batch)
            except pa.ArrowInvalid as problem:
                raise DataError(f"{self.store.url(self.names[shard])} cannot be read: {problem}") from problem

    def texts(self, shard: int, rows: Rows) -> Iterator[pa.ChunkedArray]:
        """The texts of some rows of a shard (ascending), in parts."""
        for first, table in self.batches(shard, [self.columns.text]):
            mine = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + len(table))] - first
            if len(mine):
                yield table.column(0).take(pa.array(mine))

    def ids(self, shard: int) -> pa.ChunkedArray:
        """The ids of a shard as large strings."""
        return self.store.read_table(self.names[shard], columns=[self.columns.id]).column(0).cast(pa.large_string())

    def _rows(self, meta: pq.FileMetaData) -> int:
        size = _text_bytes(meta, self.columns.text)
        return int(max(BATCH * meta.num_rows // max(size, 1), 16))


@dataclass(frozen=True)
class Sizes:
    """What the footers of the shards say, without reading a text: rows and bytes of text of each (uncompressed)."""

    rows: tuple[int, ...]
    text: tuple[int, ...]

    @property
    def starts(self) -> tuple[int, ...]:
        """The number of each shard's first document, and of all documents at the end."""
        return (0, *itertools.accumulate(self.rows))


def sizes(shards: Shards) -> Sizes:
    """Rows and bytes of the text column of each shard. DataError if a shard or one of its columns is not there."""
    rows, text = [], []
    for name in shards.names:
        with shards.store.reading_arrow(name) as file:
            try:
                meta = pq.ParquetFile(file).metadata
            except pa.ArrowInvalid as problem:
                raise DataError(f"{shards.store.url(name)} is not a whole Parquet file: {problem}") from problem
            names = _paths(meta)
            for wanted in shards.columns.names:
                if wanted not in names:
                    raise DataError(f"{shards.store.url(name)} has no column {wanted!r}; it has {', '.join(names) or 'none'}")
            text.append(_text_bytes(meta, shards.columns.text))
            rows.append(meta.num_rows)
    return Sizes(tuple(rows), tuple(text))


def _paths(meta: pq.FileMetaData) -> list[str]:
    return [meta.schema.column(k).path for k in range(meta.num_columns)]


def _text_bytes(meta: pq.FileMetaData, name: str) -> int:
    """Bytes of a column before compression; one that is encoded by a dictionary says the size of its pages only."""
    place = _paths(meta).index(name)
    return sum(meta.row_group(g).column(place).total_uncompressed_size for g in range(meta.num_row_groups))


@dataclass(frozen=True)
class Sketch:
    """A shard's sketches: `bands.keys` uint64[rows, bands], and the standing of its documents."""

    bands: Bands
    who: Standing


def sketches(shards: Shards, config: DedupConfig, work: Store, *, engine: Engine, progress: Progress) -> list[int]:
    """Write the sketch of each shard to `work`; the shingles of each shard's documents, at most."""
    task = partial(_sketch, shards, config)
    return engine.map(task, shards.tasks, work, progress=progress, label="near-duplicates: signatures")


def _sketch(shards: Shards, config: DedupConfig, task: Task[int], work: Store) -> Done[int]:
    """Keys, score and tie of each document of a shard."""
    tables, shingles = [_schema(config).empty_table()], 0
    for _, table in shards.batches(task.payload, shards.columns.names):
        bands = band_keys(table.column(shards.columns.text), config.shingle, config.bands, config.rows)
        quality = table.column(shards.columns.quality) if shards.columns.quality else None
        who = standing(table.column(shards.columns.id).cast(pa.large_string()), bands.units, quality)
        keys = pa.FixedSizeListArray.from_arrays(pa.array(bands.keys.ravel()), config.bands)
        tables.append(pa.table([pa.array(who.score), pa.array(who.tie), keys], schema=_schema(config)))
        shingles += int(shingle_counts(bands.units, config.shingle).sum())
    sketched = pa.concat_tables(tables)
    return Done((write_buckets(work, f"sketch/{task.key}.arrow", sketched.schema, [sketched]),), shingles)


def _schema(config: DedupConfig) -> pa.Schema:
    return pa.schema([("score", pa.uint64()), ("tie", pa.uint64()), ("keys", pa.list_(pa.uint64(), config.bands))])


def read_sketch(work: Store, shard: int, config: DedupConfig) -> Sketch:
    """What `sketches` wrote for a shard."""
    with work.reading_arrow(f"sketch/{shard:05d}.arrow") as file:
        batch = pa.ipc.open_file(file).get_batch(0)
    keys = batch.column("keys").flatten().to_numpy().reshape(-1, config.bands)
    who = Standing(batch.column("score").to_numpy(), batch.column("tie").to_numpy())
    return Sketch(Bands(keys, who.units), who)


class SetPile:
    """Shingle sets of texts that come in parts, in one array that is allocated once, for `shingles` of them at most."""

    def __init__(self, rows: int, shingles: int, shingle: int) -> None:
        self._shingle = shingle
        self._hashes = np.empty(shingles, np.uint64)  # the pages that are never written to take no memory
        self._bounds = np.zeros(rows + 1, np.int64)
        self._row = 0

    def add(self, texts: pa.Array | pa.ChunkedArray) -> None:
        """Append the sets of the next texts."""
        for start, stop in slices(texts):
            self._append(shingle_sets(texts.slice(start, stop - start), self._shingle))

    def _append(self, part: UnitColumn) -> None:
        start, count = self._bounds[self._row], len(part.counts)
        self._hashes[start : start + part.offsets[-1]] = part.hashes[: part.offsets[-1]]
        self._bounds[self._row + 1 : self._row + 1 + count] = start + part.offsets[1:]
        self._row += count

    @property
    def column(self) -> UnitColumn:
        """The sets so far; rows that have not come are empty."""
        self._bounds[self._row + 1 :] = self._bounds[self._row]
        return UnitColumn(self._hashes, self._bounds)
