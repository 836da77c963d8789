"""Distribution filtering: text blocks that recur exceedingly often are taken out of the documents (report 3.1).

The report has no category labels for its pages and drops the blocks that recur across them: navigation, site notices,
licence footers. What enters are the blocks of each document with their tags and the document's source; what leaves is
one verdict for each block. Blocks are compared fuzzily: their units in lower case, with every run of digits taken as
one digit, so that "Page 3 of 20" and "PAGE 4 of 20", "第 3 页" and "第 4 页" are one block.

How often is too often depends on the source's size and on the block's length. A short line that stands in 1 % of
a site's pages is its furniture; a long passage may be a warning that several chapters rightly quote, so it needs more,
and the first document that has it keeps it: no prose leaves the corpus altogether. A heading ("Examples", "语法") goes
only together with the block that follows it, because above text of its own it says what that text is.

Memory: 60 bytes for each block, all held at once; blocks number about one for each 200 bytes of text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import setting
from skyloom.core.units import hash_units
from skyloom.corpus.columns import Texts, list_lengths, lists, slices
from skyloom.corpus.dedup import sequence_hashes

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6", "dt")
"""Tags of blocks that name what follows them."""


@dataclass(frozen=True)
class DistributionConfig:
    """When a block recurs exceedingly often."""

    short_units: int = setting(20, doc="blocks of at most this length are short", unit="units", low=1)
    short_share: float = setting(0.01, doc="share of a source's documents from which a short block is furniture", low=0.0, high=1.0)
    long_share: float = setting(0.02, doc="the same for longer blocks", low=0.0, high=1.0)
    minimum_documents: int = setting(10, doc="a block in fewer documents never recurs too often", unit="documents", low=2)


@dataclass(frozen=True)
class BlockVerdict:
    """For all blocks of the column in order. `remove`: bool[blocks]. `documents`: int64[blocks], how many documents of the
    source have the block. `keys`: uint64[blocks], equal for blocks of one source that count as the same."""

    remove: npt.NDArray[np.bool_]
    documents: npt.NDArray[np.int64]
    keys: npt.NDArray[np.uint64]


def recurring_blocks(
    blocks: Texts, tags: Texts, sources: Texts, config: DistributionConfig, untagged: npt.NDArray[np.bool_] | None = None
) -> BlockVerdict:
    """Judge all blocks of the documents: `blocks` and `tags` are list<string> columns of equal shape, `sources` strings.

    Counts are per source and in documents, so that a line that one page repeats counts once. `untagged`: bool[documents],
    plain text, whose tags say nothing: any short block of it may be a heading.
    """
    lengths = list_lengths(blocks)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    flat = pc.list_flatten(blocks)
    keys, sizes = _keys(flat)
    codes = _codes(sources)
    keys = (keys ^ (codes[owner].astype(np.uint64) + np.uint64(1))) * np.uint64(0x9E3779B97F4A7C15)
    documents, first = _count_documents(keys, owner)
    population = np.bincount(codes, minlength=int(codes.max(initial=0)) + 1)[codes[owner]]
    short = sizes <= config.short_units
    limit = np.where(short, config.short_share, config.long_share) * population
    often = (documents >= config.minimum_documents) & (documents > limit)
    remove = often & (short | ~first)
    heading = np.asarray(pc.is_in(pc.list_flatten(tags), value_set=pa.array(HEADINGS)).to_numpy(zero_copy_only=False), bool)
    if untagged is not None:
        heading |= untagged[owner] & short
    return BlockVerdict(_spare_headings(remove, heading, owner), documents, keys)


def without(blocks: Texts, remove: npt.NDArray[np.bool_]) -> pa.Array:
    """The list<string> column without the marked blocks; a document may be left with an empty list."""
    lengths = list_lengths(blocks)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    left = np.bincount(owner[~remove], minlength=len(lengths))
    return lists(pc.list_flatten(blocks).filter(pa.array(~remove)), left)


def _keys(flat: Texts) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """For each block a hash of its units with digits made alike, and how many units it has."""
    keys, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)]
    for start, stop in slices(flat):
        column = hash_units(pc.replace_substring_regex(flat.slice(start, stop - start), r"\p{Nd}+", "0"))
        keys.append(sequence_hashes(column)[:, 0])
        sizes.append(column.counts)
    return np.concatenate(keys), np.concatenate(sizes)


def _codes(sources: Texts) -> npt.NDArray[np.int64]:
    encoded = sources.combine_chunks() if isinstance(sources, pa.ChunkedArray) else sources
    return np.asarray(encoded.dictionary_encode().indices.to_numpy(zero_copy_only=False), np.int64)


def _count_documents(
    keys: npt.NDArray[np.uint64], owner: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """For each block: how many documents have its key (int64), and whether its document is the first of them (bool)."""
    order = np.lexsort((owner, keys))
    key, document = keys[order], owner[order]
    new_key = np.ones(len(order), bool)
    new_key[1:] = key[1:] != key[:-1]
    new_pair = new_key.copy()
    new_pair[1:] |= document[1:] != document[:-1]
    group = np.cumsum(new_key) - 1
    totals = np.bincount(group[new_pair], minlength=1)
    documents = np.empty(len(order), np.int64)
    first = np.empty(len(order), bool)
    documents[order] = totals[group] if len(order) else 0
    first[order] = document == document[new_key][group] if len(order) else False
    return documents, first


def _spare_headings(
    remove: npt.NDArray[np.bool_], heading: npt.NDArray[np.bool_], owner: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Keep a recurring heading whose next block stays; one without a next block goes."""
    result = remove.copy()
    for k in np.flatnonzero(remove & heading)[::-1]:
        followed = k + 1 < len(owner) and owner[k + 1] == owner[k]
        result[k] = not followed or result[k + 1]
    return result
