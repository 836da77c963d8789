"""The first pass over a corpus in shards: band keys and standing of each document, and what the ways of clustering share.

What enters is a store with Parquet shards; what leaves is one Arrow file of sketches for each shard. From here on a document
is its number in the order of the shards and rows, and the text is read again only for documents that have a candidate.

Memory: one shard of text and its sketches in each worker.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.core.units import UnitColumn
from skyloom.corpus.columns import slices
from skyloom.corpus.dedup import DedupConfig
from skyloom.corpus.dedup_candidates import Standing, standing
from skyloom.corpus.dedup_exchange import write_buckets
from skyloom.corpus.dedup_kernels import Bands, band_keys, shingle_counts, shingle_sets

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

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
    """Names of the columns that are read: `quality` (numbers, higher is better) is optional."""

    id: str = "id"
    text: str = "text"
    quality: str | None = None

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
    def tasks(self) -> list[Task]:
        return [Task(f"{shard:05d}", shard) for shard in range(len(self.names))]

    def read(self, shard: int, columns: list[str]) -> pa.Table:
        """Columns of a shard. DataError if one is not there."""
        try:
            return self.store.read_table(self.names[shard], columns=columns)
        except pa.ArrowInvalid as problem:
            raise DataError(f"{self.store.url(self.names[shard])}: {problem}") from problem

    def ids(self, shard: int) -> pa.ChunkedArray:
        """The ids of a shard as large strings."""
        return self.read(shard, [self.columns.id]).column(0).cast(pa.large_string())

    def texts(self, shard: int) -> pa.ChunkedArray:
        return self.read(shard, [self.columns.text]).column(0)


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
        with shards.store.reading(name) as file:
            try:
                meta = pq.ParquetFile(file).metadata
            except pa.ArrowInvalid as problem:
                raise DataError(f"{shards.store.url(name)} is not a whole Parquet file: {problem}") from problem
            names = [meta.schema.column(k).path for k in range(meta.num_columns)]
            for wanted in shards.columns.names:
                if wanted not in names:
                    raise DataError(f"{shards.store.url(name)} has no column {wanted!r}; it has {', '.join(names) or 'none'}")
            place = names.index(shards.columns.text)
            # A dictionary-encoded column says the size of its pages only; no text is smaller than its compressed form.
            text.append(sum(meta.row_group(g).column(place).total_uncompressed_size for g in range(meta.num_row_groups)))
            rows.append(meta.num_rows)
    return Sizes(tuple(rows), tuple(text))


@dataclass(frozen=True)
class Sketch:
    """A shard's sketches: `bands.keys` uint64[rows, bands], and the standing of its documents."""

    bands: Bands
    who: Standing


def sketches(shards: Shards, config: DedupConfig, work: Store, *, engine: Engine, progress: Progress) -> list[int]:
    """Write the sketch of each shard to `work`; the shingles of each shard's documents, at most."""
    task = partial(_sketch, shards, config)
    results = engine.map(task, shards.tasks, work, progress=progress, label="near-duplicates: signatures")
    return [int(r) for r in results]


def _sketch(shards: Shards, config: DedupConfig, task: Task, work: Store) -> Done:
    table = shards.read(task.payload, shards.columns.names)
    found = sketch(table, shards.columns, config)
    keys = pa.FixedSizeListArray.from_arrays(pa.array(found.bands.keys.ravel()), config.bands)
    columns: dict[str, Any] = {"score": found.who.score, "tie": found.who.tie, "keys": keys}
    sketched = pa.table(columns)
    file = write_buckets(work, f"sketch/{task.key}.arrow", sketched.schema, [sketched])
    return Done((file,), int(shingle_counts(found.bands.units, config.shingle).sum()))


def sketch(table: pa.Table, columns: Columns, config: DedupConfig) -> Sketch:
    """The sketches of a table's documents."""
    texts = table.column(columns.text)
    parts = [
        band_keys(texts.slice(start, stop - start), config.shingle, config.bands, config.rows) for start, stop in slices(texts)
    ]
    keys = np.concatenate([np.zeros((0, config.bands), np.uint64), *(p.keys for p in parts)])
    units = np.concatenate([np.zeros(0, np.int64), *(p.units for p in parts)])
    quality = table.column(columns.quality) if columns.quality else None
    return Sketch(Bands(keys, units), standing(table.column(columns.id).cast(pa.large_string()), units, quality))


def read_sketch(work: Store, shard: int, config: DedupConfig) -> Sketch:
    """What `sketches` wrote for a shard."""
    with work.reading(f"sketch/{shard:05d}.arrow") as file:
        batch = pa.ipc.open_file(file).get_batch(0)
    keys = batch.column("keys").flatten().to_numpy().reshape(-1, config.bands)
    who = Standing(batch.column("score").to_numpy(), batch.column("tie").to_numpy())
    return Sketch(Bands(keys, who.units), who)


def sets_of(texts: pa.Array | pa.ChunkedArray, rows: Rows, shingle: int) -> list[UnitColumn]:
    """Shingle sets of some rows of a column (ascending), in parts of bounded size."""
    chosen = texts.take(pa.array(rows))
    return [shingle_sets(chosen.slice(start, stop - start), shingle) for start, stop in slices(chosen)]


class SetPile:
    """Shingle sets that come in parts, gathered in one array that is allocated once: uint64[shingles] and bounds."""

    def __init__(self, rows: int, shingles: int) -> None:
        self._hashes = np.empty(shingles, np.uint64)  # the pages that are never written to take no memory
        self._bounds = np.zeros(rows + 1, np.int64)
        self._row = 0

    def add(self, part: UnitColumn) -> None:
        """Append the sets of the next rows."""
        start, count = self._bounds[self._row], len(part.counts)
        self._hashes[start : start + part.offsets[-1]] = part.hashes[: part.offsets[-1]]
        self._bounds[self._row + 1 : self._row + 1 + count] = start + part.offsets[1:]
        self._row += count

    @property
    def column(self) -> UnitColumn:
        """The sets so far; rows that have not come are empty."""
        self._bounds[self._row + 1 :] = self._bounds[self._row]
        return UnitColumn(self._hashes, self._bounds)
