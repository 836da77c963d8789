"""Distribution filtering by wording: text blocks that recur too often are removed from documents (report 3.1).

The report has no category labels for its pages and drops the blocks that recur across them: navigation, site notices, licence
footers. Input: the blocks of each document with their tags and the document's source. Output: one verdict for each block.
Blocks are compared fuzzily: their units in lower case, with every run of digits taken as one digit, so that "Page 3 of 20" and
"PAGE 4 of 20", "第 3 页" and "第 4 页" are one block; longer blocks recur too if a few of their units differ (counts.py). Blocks
that only mean the same are the subject of meaning.py.

How often is too often depends on the source's size and on the block's length. A short line that stands in 1 % of
a site's pages is its furniture; a long passage may be a warning that several chapters rightly quote, so it needs more,
and the first document that has it keeps it: no prose leaves the corpus altogether. A long passage in many documents of several
sources (a licence, a disclaimer) stays in the first document of the whole corpus. A heading ("Examples", "语法") goes
only together with the block that follows it, because above text of its own it says what that text is.

Shard by shard: `sketch_blocks` counts, `merge_sketches` adds up, `judge_blocks` judges a shard by the sum; `recurring_blocks` does
all three for one table. The first document is the one with the least hash of its id, whatever the order of the shards.

Memory: `judge_blocks` holds 130 bytes for each block of its shard and the merged counts; for the rest see counts.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.kernels import GOLDEN
from skyloom.corpus.distribution.config import DistributionConfig
from skyloom.corpus.distribution.counts import BlockCounts, BlockKeys, block_keys, count_keys, frequent, merge_blocks
from skyloom.corpus.text import Texts, list_lengths, lists, string_hashes

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6", "dt")
"""Tags of blocks that name what follows them."""

REASONS = ("", "recurring block", "nearly recurring block", "block recurs across sources")
"""By `BlockVerdict.reason`."""
_EXACT, _NEAR, _ACROSS = 1, 2, 3


@dataclass(frozen=True)
class BlockVerdict:
    """For all blocks of the column in order. `remove`: bool[blocks]. `documents`: int64[blocks], how many documents of the
    source have the block. `keys`: uint64[blocks], equal for blocks of one source that count as the same. `reason`:
    int8[blocks], index into REASONS."""

    remove: npt.NDArray[np.bool_]
    documents: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]
    reason: npt.NDArray[np.int8]


def sketch_blocks(table: pa.Table, config: DistributionConfig) -> BlockCounts:
    """Count the blocks of a shard: a table with the columns `id`, `source` and `blocks` (list of string)."""
    keys = block_keys(pc.list_flatten(table.column("blocks")), config.near_units)
    sources, numbers = string_hashes(table.column("source")), string_hashes(table.column("id"))
    return count_keys(keys, _owners(table.column("blocks")), sources, numbers)


def merge_sketches(parts: Iterable[BlockCounts], config: DistributionConfig) -> BlockCounts:
    """The counts of many shards, or of merged ones, together: exact up to `config.capacity` rows, see counts.py."""
    return merge_blocks(parts, capacity=config.capacity)


def frequent_blocks(counts: BlockCounts, config: DistributionConfig) -> BlockCounts:
    """What `judge_blocks` needs of the counts of all shards: a small part. The verdicts are the same with it as without."""
    return frequent(counts, min(config.minimum_documents, config.corpus_documents))


def judge_blocks(table: pa.Table, counts: BlockCounts, config: DistributionConfig) -> BlockVerdict:
    """Judge all blocks of a shard: columns `id`, `source`, `blocks`, `tags`, and if there is one `origin`, where "text" marks plain
    text, whose tags say nothing: any short block of it may be a heading."""
    untagged = None
    if "origin" in table.column_names:
        untagged = np.asarray(pc.equal(table.column("origin"), "text").to_numpy(), bool)
    keys = block_keys(pc.list_flatten(table.column("blocks")), config.near_units)
    sources, numbers = string_hashes(table.column("source")), string_hashes(table.column("id"))
    return _judge(table.column("blocks"), table.column("tags"), keys, sources, numbers, counts, config, untagged)


def recurring_blocks(
    blocks: Texts, tags: Texts, sources: Texts, config: DistributionConfig, untagged: npt.NDArray[np.bool_] | None = None
) -> BlockVerdict:
    """Judge all blocks of the documents: `blocks` and `tags` are list<string> columns of equal shape, `sources` strings.

    Counts are per source and in documents, so that a line that one page repeats counts once. `untagged`: bool[documents],
    plain text. The first document is here the first of the column.
    """
    keys = block_keys(pc.list_flatten(blocks), config.near_units)
    hashes, numbers = string_hashes(sources), np.arange(len(blocks), dtype=np.uint64)
    counts = count_keys(keys, _owners(blocks), hashes, numbers)
    return _judge(blocks, tags, keys, hashes, numbers, counts, config, untagged)


def without(blocks: Texts, remove: npt.NDArray[np.bool_]) -> pa.Array:
    """The list<string> column without the marked blocks; a document may be left with an empty list."""
    lengths = list_lengths(blocks)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    left = np.bincount(owner[~remove], minlength=len(lengths))
    return lists(pc.list_flatten(blocks).filter(pa.array(~remove)), left)


def _owners(blocks: Texts) -> npt.NDArray[np.int64]:
    lengths = list_lengths(blocks)
    return np.repeat(np.arange(len(lengths)), lengths)


def _judge(
    blocks: Texts,
    tags: Texts,
    keys: BlockKeys,
    sources: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.uint64],
    counts: BlockCounts,
    config: DistributionConfig,
    untagged: npt.NDArray[np.bool_] | None,
) -> BlockVerdict:
    owner = _owners(blocks)
    short = keys.units <= config.short_units
    limit = np.where(short, config.short_share, config.long_share) * counts.size_of(sources)[owner]
    limit = np.maximum(limit, config.minimum_documents - 1)
    documents, first = counts.of_source(keys.exact, sources[owner])
    reason = np.zeros(len(owner), np.int8)
    mine = first == numbers[owner]
    reason[(documents > limit) & (short | ~mine)] = _EXACT
    for mark, found in (
        (_NEAR, _near(keys, sources, numbers, owner, counts, limit)),
        (_ACROSS, _across(keys, numbers, owner, counts, config)),
    ):
        reason[(reason == 0) & ~short & found] = mark
    heading = np.asarray(pc.is_in(pc.list_flatten(tags), value_set=pa.array(HEADINGS)).to_numpy(zero_copy_only=False), bool)
    if untagged is not None:
        heading |= untagged[owner] & short
    remove = _spare_headings(reason > 0, heading, owner)
    reason[~remove] = 0
    scoped = (keys.exact ^ sources[owner]) * GOLDEN
    return BlockVerdict(remove, documents, scoped, reason)


def _near(
    keys: BlockKeys,
    sources: npt.NDArray[np.uint64],
    numbers: npt.NDArray[np.uint64],
    owner: npt.NDArray[np.int64],
    counts: BlockCounts,
    limit: npt.NDArray[np.float64] | npt.NDArray[np.int64],
) -> npt.NDArray[np.bool_]:
    """Blocks of which at least two near keys recur too often in the source, except in the first document of any of these."""
    often = np.zeros(len(owner), np.int64)
    first = np.zeros(len(owner), bool)
    for column in keys.near.T:
        documents, one = counts.of_source(column, sources[owner])
        many = (column != 0) & (documents > limit)
        often += many
        first |= many & (one == numbers[owner])
    return (often >= 2) & ~first


def _across(
    keys: BlockKeys, numbers: npt.NDArray[np.uint64], owner: npt.NDArray[np.int64], counts: BlockCounts, config: DistributionConfig
) -> npt.NDArray[np.bool_]:
    """Blocks in too many documents of several sources, except in the first document of all."""
    result = np.zeros(len(owner), bool)
    first = np.zeros(len(owner), bool)
    near = np.zeros(len(owner), np.int64)
    for place, column in enumerate((keys.exact, *keys.near.T)):
        documents, sources, one = counts.of_corpus(column)
        many = (column != 0) & (documents >= config.corpus_documents) & (sources >= config.corpus_sources)
        first |= many & (one == numbers[owner])
        if place == 0:
            result |= many
        else:
            near += many
    return (result | (near >= 2)) & ~first


def _spare_headings(
    remove: npt.NDArray[np.bool_], heading: npt.NDArray[np.bool_], owner: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Keep a recurring heading whose next block stays; one without a next block goes."""
    result = remove.copy()
    for k in np.flatnonzero(remove & heading)[::-1]:
        followed = k + 1 < len(owner) and owner[k + 1] == owner[k]
        result[k] = not followed or result[k + 1]
    return result
