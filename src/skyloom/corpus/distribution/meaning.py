"""Distribution filtering by meaning: templated and spun blocks, found by locality-sensitive hashing of block vectors (report 3.1).

The report measures the semantic affinity between text blocks and drops those that recur exceedingly often. Input: shards,
tables with `id`, `lang`, `blocks` and, if they have it, `tags` and `quality`. Output: a verdict for each block of each shard.
Every shard is read three times, the first two independently of all others, and what is kept of it merges by addition:

1. `sketch_meaning`   which buckets of a locality-sensitive hash its blocks fall into (12 tables of 12 bits of the meaning's
                      SimHash), and the sum of the wordings in each. `find_groups` on the merged sketch takes those buckets
                      whose wordings point the same way, and joins the buckets that hold one group.
2. `count_meaning`    how many blocks have their wording within reach of each group's centre, their sum, and the `keep` blocks
                      of each that stay: the best by `quality`, then by a hash of id and place.
3. `judge_meaning`    a block is removed if its group has enough blocks, is tight enough to be a template rather than a topic
                      (mean cosine of two members, from the sum), and did not choose it to stay.

All sums are of integers, so that any order and any split into shards gives the same bytes. There are at most 2 × 12 × 4096
buckets. With more bits they may exceed `capacity`; then the sketch keeps heavy hitters as Misra and Gries do, a bucket's count
is too low by at most `error`, which is stated and at most N / capacity for N entries, and a small group may be missed. The
counts of step 2 are always exact.

Memory: 1 KB for each bucket (100 MB at most with the defaults), 2 KB for each group, and what space.py states.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import DataError
from skyloom.core.kernels import GOLDEN, Bytes, Hashes, Int, Ints, kernel
from skyloom.corpus.distribution.config import MeaningConfig
from skyloom.corpus.distribution.meaning_groups import MeaningCounts, MeaningDecision, MeaningGroups, MeaningSketch, best_of
from skyloom.corpus.distribution.space import SCALE, WORDING, BlockSpace, BlockVectors, Encoder, embed, language_codes
from skyloom.corpus.text import list_lengths, string_hashes

UNJUDGED = ("pre", "code", "math")
"""Tags of blocks that are no prose."""

REASON = "recurs in meaning"
_ROWS = 4096  # blocks compared at once
Whole = TypeVar("Whole", np.int32, np.int64)


@dataclass(frozen=True)
class MeaningVerdict:
    """For all blocks of the shard in order. `remove`: bool. `group`: int64, -1 for none. `count`: int64, blocks of the group in the
    whole corpus, 0 for none. `similarity`: float32, cosine to the centre of the group."""

    remove: npt.NDArray[np.bool_]
    group: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float32]

    @property
    def reason(self) -> pa.Array:
        """string: REASON where a block is removed, else null."""
        return pc.if_else(pa.array(self.remove), pa.scalar(REASON), pa.scalar(None, pa.string()))


def vectors(table: pa.Table, space: BlockSpace, config: MeaningConfig, *, encoder: Encoder | None = None) -> BlockVectors:
    """The vectors of a shard's blocks. The functions below take them in place of the table's text, to spare its second reading."""
    lengths = list_lengths(table.column("blocks"))
    langs = np.repeat(language_codes(table.column("lang")), lengths)
    if "tags" in table.column_names:
        tags = pc.list_flatten(table.column("tags"))
        langs[np.asarray(pc.is_in(tags, value_set=pa.array(UNJUDGED)).to_numpy(zero_copy_only=False), bool)] = -1
    return embed(pc.list_flatten(table.column("blocks")), langs, space, minimum_units=config.minimum_units, encoder=encoder)


def sketch_meaning(table: pa.Table, space: BlockSpace, config: MeaningConfig, *, made: BlockVectors | None = None) -> MeaningSketch:
    """Buckets of a shard's blocks. `made`: its vectors, if they are there already."""
    found = made if made is not None else vectors(table, space, config)
    keys = _bucket_keys(found.signs, found.langs, config.tables, config.bits).ravel()
    owner = np.repeat(np.arange(len(found.rows)), config.tables)
    unique, inverse = np.unique(keys, return_inverse=True)
    counts = np.bincount(inverse, minlength=len(unique)).astype(np.int64)
    sums = _sums(found.wording, owner, inverse.astype(np.int64), len(unique), np.int32(0))
    return _bounded(MeaningSketch(unique, counts, sums), config.capacity)


_FULL = 1 << 24
"""Blocks of a bucket whose int32 sums cannot overflow, whatever they are."""


def merge_meaning(sketches: Iterable[MeaningSketch], config: MeaningConfig) -> MeaningSketch:
    """The sketch of all shards together; exact in any order while the buckets fit, else within the stated error."""
    whole = MeaningSketch(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros((0, WORDING), np.int32))
    for one in sketches:
        keys = np.union1d(whole.keys, one.keys)
        counts, sums = np.zeros(len(keys), np.int64), np.zeros((len(keys), WORDING), np.int32)
        for part in (whole, one):
            place = np.searchsorted(keys, part.keys)
            counts[place] += part.counts
            sums[place] += part.sums
        if counts.max(initial=0) >= _FULL:
            raise DataError(
                f"one bucket of block vectors holds {counts.max():,} blocks: set the meaning filter's bits above {config.bits}"
            )
        whole = _bounded(MeaningSketch(keys, counts, sums, whole.error + one.error), config.capacity)
    return whole


def count_meaning(
    table: pa.Table, space: BlockSpace, groups: MeaningGroups, config: MeaningConfig, *, made: BlockVectors | None = None
) -> MeaningCounts:
    """How many of a shard's blocks belong to each group, and which of them would stay."""
    found = made if made is not None else vectors(table, space, config)
    group, _ = _assign(found, groups, config)
    inside = np.flatnonzero(group >= 0)
    size = len(groups.langs)
    blocks = np.bincount(group[inside], minlength=size).astype(np.int64)
    sums = _sums(found.wording, inside, group[inside], size, np.int64(0))
    quality, ids = _priorities(table, found.rows[inside])
    return MeaningCounts(blocks, sums, *best_of(group[inside], quality, ids, size, config.keep))


def merge_counts(counts: Sequence[MeaningCounts]) -> MeaningCounts:
    """The counts of all shards together, in any order. At least one is needed."""
    size, keep = counts[0].ids.shape
    group = np.concatenate([np.repeat(np.arange(size), keep)] * len(counts))
    quality = np.concatenate([c.quality.ravel() for c in counts])
    ids = np.concatenate([c.ids.ravel() for c in counts])
    there = quality > -np.inf
    blocks = np.sum([c.blocks for c in counts], axis=0)
    sums = np.sum([c.sums for c in counts], axis=0)
    return MeaningCounts(blocks, sums, *best_of(group[there], quality[there], ids[there], size, keep))


def judge_meaning(
    table: pa.Table,
    space: BlockSpace,
    groups: MeaningGroups,
    decision: MeaningDecision,
    config: MeaningConfig,
    *,
    made: BlockVectors | None = None,
) -> MeaningVerdict:
    """Judge all blocks of a shard by the decision on the whole corpus."""
    found = made if made is not None else vectors(table, space, config)
    group, similarity = _assign(found, groups, config)
    inside = np.flatnonzero(group >= 0)
    inside = inside[decision.often[decision.family[group[inside]]]]
    rows, of = found.rows[inside], decision.family[group[inside]]
    total = int(list_lengths(table.column("blocks")).sum())
    verdict = MeaningVerdict(
        np.zeros(total, bool), np.full(total, -1, np.int64), np.zeros(total, np.int64), np.zeros(total, np.float32)
    )
    quality, ids = _priorities(table, rows)
    stays = ((decision.ids[of] == ids[:, None]) & (decision.quality[of] == quality[:, None])).any(axis=1)
    verdict.remove[rows] = ~stays
    verdict.group[rows], verdict.count[rows], verdict.similarity[rows] = of, decision.blocks[of], similarity[inside]
    return verdict


def _assign(
    found: BlockVectors, groups: MeaningGroups, config: MeaningConfig
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """For each vector the nearest group of its language within reach (int64, -1 for none) and the cosine to it (float32).

    The products of int8 numbers are summed in float32, where no partial sum reaches 2^24: exact in any order, so that a
    fast matrix product gives the same bits everywhere.
    """
    group, similarity = np.full(len(found.rows), -1, np.int64), np.zeros(len(found.rows), np.float32)
    for code, limit in enumerate((config.similarity_en, config.similarity_zh)):
        number = np.flatnonzero(groups.langs == code)
        if not len(number):
            continue
        centres = groups.centres[number].T.astype(np.float32)
        rows = np.flatnonzero(found.langs == code)
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            wording = found.wording[part].astype(np.float32)
            products = wording @ centres
            best = products.argmax(axis=1)
            top = products[np.arange(len(part)), best].astype(np.float64)
            cosine = top / (SCALE * np.sqrt(np.maximum((wording * wording).sum(axis=1, dtype=np.float64), 1.0)))
            near = cosine >= limit
            group[part[near]], similarity[part[near]] = number[best[near]], cosine[near]
    return group, similarity


def _priorities(table: pa.Table, rows: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint64]]:
    """Of each block its document's quality (0 without such a column) and a hash of the document's id and its place there."""
    lengths = list_lengths(table.column("blocks"))
    owner = np.repeat(np.arange(len(lengths)), lengths)[rows]
    place = rows - (np.cumsum(lengths) - lengths)[owner]
    hashes = string_hashes(table.column("id"))
    quality = np.zeros(len(lengths), np.float64)
    if "quality" in table.column_names:
        quality = np.asarray(pc.fill_null(table.column("quality"), 0.0).cast(pa.float64()).to_numpy(), np.float64)
    mixed = (hashes[owner] ^ (place.astype(np.uint64) + np.uint64(1))) * GOLDEN
    return quality[owner], mixed ^ (mixed >> np.uint64(29))


def _bounded(sketch: MeaningSketch, capacity: int) -> MeaningSketch:
    """The sketch with at most `capacity` buckets: the count of the first that does not fit is taken from all (Misra and Gries).

    The sums of the buckets that stay are left as they are: they are of all blocks since the bucket came in.
    """
    if len(sketch.keys) <= capacity:
        return sketch
    cut = int(np.partition(sketch.counts, len(sketch.counts) - capacity - 1)[len(sketch.counts) - capacity - 1])
    stays = sketch.counts > cut
    return MeaningSketch(sketch.keys[stays], sketch.counts[stays] - cut, sketch.sums[stays], sketch.error + cut)


@kernel
def _bucket_keys(signs: Hashes, langs: Bytes, tables: Int, bits: Int) -> Hashes:
    """uint64[blocks, tables]: (table, bits of the signs, language). Tables beyond the 256 signs reuse them in another order."""
    out = np.empty((len(signs), tables), np.uint64)
    for row in range(len(signs)):
        for table in range(tables):
            key = np.uint64(table)
            for j in range(bits):
                place = table * bits + j
                place = (place * (1 + 2 * (place // 256)) + place // 256) % 256
                key = (key << np.uint64(1)) | ((signs[row, place >> 6] >> np.uint64(place & 63)) & np.uint64(1))
            out[row, table] = (key << np.uint64(1)) | np.uint64(langs[row])
    return out


@kernel
def _sums(wording: npt.NDArray[np.int8], rows: Ints, groups: Ints, size: Int, zero: Whole) -> npt.NDArray[Whole]:
    out = np.full((size, wording.shape[1]), zero)
    for k in range(len(rows)):
        for j in range(wording.shape[1]):
            out[groups[k], j] += wording[rows[k], j]
    return out
