"""Block frequencies: how many documents of a source and of the corpus hold a block, counted by shard and merged by addition.

Input: the blocks of a shard. Output: a `BlockCounts`, a sorted table of (block, source, documents, first document). A block is
counted under a hash of its units in lower case with every run of digits taken as one digit, and a long one also under a few
hashes of its least pairs of units (MinHash, Broder 1997): two blocks that differ in one unit of forty share most of these, so
that a notice with a changed name or an added word still counts. `merge_blocks` is associative and commutative, so any order and
any split of the documents into shards gives the same bytes while the table fits `capacity`.

Beyond it the table keeps the heavy hitters (Misra and Gries 1982; merging: Agarwal et al. 2012): the count of the first row that
does not fit is taken from all rows. A count is then too low by at most `error` and never too high; `error` is at most
N / capacity for N counted rows. Who judges by such a table removes no block
that exact counts would not find recurrent, but may miss one; which document keeps a block may change.

Memory: 32 bytes for each row, at most `capacity` rows and half as many that wait to be added (or BATCH), three times over while
they are; a block has one row, a long one six.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from skyloom.core.kernels import GOLDEN, Int, kernel, mix
from skyloom.core.units import hash_units, ngrams
from skyloom.corpus.dedup import sequence_hashes
from skyloom.corpus.text import Texts, slices

NEAR_KEYS, NEAR_ROWS = 5, 4
"""Hashes of a long block's least pairs of units, and how many of them make a hash: blocks that share 90 % of their
pairs agree in two of the five with probability .95, those that share 80 % with .68, those that share half with .03."""

ROWS = ("keys", "sources", "documents", "first")
BATCH = 250_000
"""Rows that wait before they are added to a small table."""

Hashes = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BlockKeys:
    """Of each block: `exact` uint64[blocks]; `near` uint64[blocks, NEAR_KEYS], zeros for a short one; `units` int64[blocks]."""

    exact: Hashes
    near: Hashes
    units: Counts


@dataclass(frozen=True)
class BlockCounts:
    """Rows sorted by key, then source, each pair once. `keys`, `sources`: uint64[rows], hashes. `documents`: int64[rows], documents
    of the source that have the block. `first`: uint64[rows], the smallest of their numbers. `places`, `population`: uint64 and
    int64[sources], how many documents each source has. `error`: by how much a count may be too low."""

    keys: Hashes
    sources: Hashes
    documents: Counts
    first: Hashes
    places: Hashes
    population: Counts
    error: int = 0

    @functools.cached_property
    def starts(self) -> Counts:
        """Where each key's rows begin, int64[distinct keys]."""
        return np.flatnonzero(np.append(True, self.keys[1:] != self.keys[:-1])[: len(self.keys)])

    def of_source(self, keys: Hashes, sources: Hashes) -> tuple[Counts, Hashes]:
        """Documents of the source that have each key (0: not in the table) and the first of them."""
        place = _find(self.keys, self.sources, keys, sources)
        documents = np.append(self.documents, 0)[place]
        return documents, np.append(self.first, np.uint64(0))[place]

    def of_corpus(self, keys: Hashes) -> tuple[Counts, Counts, Hashes]:
        """The same over all sources: documents, sources, and the first document of all."""
        if not len(self.keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64), np.zeros(len(keys), np.uint64)
        starts = self.starts
        totals, firsts = np.add.reduceat(self.documents, starts), np.minimum.reduceat(self.first, starts)
        spread = np.diff(np.append(starts, len(self.keys)))
        place = np.minimum(np.searchsorted(self.keys[starts], keys), len(starts) - 1)
        there = self.keys[starts][place] == keys
        return np.where(there, totals[place], 0), np.where(there, spread[place], 0), firsts[place]

    def size_of(self, sources: Hashes) -> Counts:
        """How many documents each source has, int64; 0 for one that was not counted."""
        if not len(self.places):
            return np.zeros(len(sources), np.int64)
        place = np.minimum(np.searchsorted(self.places, sources), len(self.places) - 1)
        return np.where(self.places[place] == sources, self.population[place], 0)


def block_keys(flat: Texts, near_units: int) -> BlockKeys:
    """The keys of each block of a string column; blocks of at least `near_units` distinct pairs of units have near keys."""
    exact, near, units = [np.zeros(0, np.uint64)], [np.zeros((0, NEAR_KEYS), np.uint64)], [np.zeros(0, np.int64)]
    for start, stop in slices(flat):
        column = hash_units(pc.replace_substring_regex(flat.slice(start, stop - start), r"\p{Nd}+", "0"))
        exact.append(sequence_hashes(column)[:, 0])
        pairs = ngrams(column, 2)  # pairs, because sentences made of one small vocabulary are not alike
        near.append(_near_keys(pairs.hashes, pairs.offsets, near_units, NEAR_KEYS, NEAR_ROWS))
        units.append(column.counts)
    return BlockKeys(np.concatenate(exact), np.concatenate(near), np.concatenate(units))


def count_keys(keys: BlockKeys, owner: Counts, sources: Hashes, numbers: Hashes) -> BlockCounts:
    """Count a shard. `owner`: int64[blocks], document of each block, ascending. `sources` and `numbers`: uint64[documents], the
    source's hash and what orders the documents (the least is the first)."""
    flat = np.concatenate([keys.exact, keys.near.ravel()])
    document = np.concatenate([owner, np.repeat(owner, NEAR_KEYS)])
    real = flat != 0
    flat, document = flat[real], document[real]
    order = np.lexsort((document, flat))
    flat, document = flat[order], document[order]
    new = np.append(True, (flat[1:] != flat[:-1]) | (document[1:] != document[:-1]))[: len(flat)]
    flat, document = flat[new], document[new]
    places, population = np.unique(sources, return_counts=True)
    rows = [flat, sources[document], np.ones(len(flat), np.int64), numbers[document]]
    return BlockCounts(*_reduced(rows), places, population.astype(np.int64))


def merge_blocks(parts: Iterable[BlockCounts], *, capacity: int) -> BlockCounts:
    """The counts of all parts together, in at most `capacity` rows; see the module's docstring."""
    nothing = np.zeros(0, np.uint64)
    waiting = [BlockCounts(nothing, nothing, np.zeros(0, np.int64), nothing, nothing, np.zeros(0, np.int64))]
    rows = 0
    for part in parts:
        waiting.append(part)
        rows += len(part.keys)
        if rows > max(len(waiting[0].keys) // 2, BATCH):  # each row is sorted a few times, not once for each part
            waiting, rows = [_together(waiting, capacity)], 0
    return _together(waiting, capacity)


def _together(parts: list[BlockCounts], capacity: int) -> BlockCounts:
    """The sum of `parts`, which are taken out of the list: nothing is in memory twice for longer than it must be."""
    columns = [np.concatenate([getattr(c, name) for c in parts]) for name in ROWS]
    places, inverse = np.unique(np.concatenate([c.places for c in parts]), return_inverse=True)
    population = np.zeros(len(places), np.int64)
    np.add.at(population, inverse, np.concatenate([c.population for c in parts]))
    error = sum(c.error for c in parts)
    parts.clear()
    keys, sources, documents, first = _reduced(columns)
    if len(keys) > capacity:
        cut = int(np.partition(documents, len(documents) - capacity - 1)[len(documents) - capacity - 1])
        stays = documents > cut
        keys, sources, documents, first = keys[stays], sources[stays], documents[stays] - cut, first[stays]
        error += cut
    return BlockCounts(keys, sources, documents, first, places, population, error)


def frequent(counts: BlockCounts, minimum: int) -> BlockCounts:
    """Only the rows of blocks that at least `minimum` documents of the corpus have: all that a judge needs."""
    totals, _, _ = counts.of_corpus(counts.keys)
    stays = totals >= minimum
    keys, sources, documents, first = counts.keys[stays], counts.sources[stays], counts.documents[stays], counts.first[stays]
    return BlockCounts(keys, sources, documents, first, counts.places, counts.population, counts.error)


def _reduced(columns: list[npt.NDArray[Any]]) -> tuple[Hashes, Hashes, Counts, Hashes]:
    """Rows (as of ROWS) sorted by key and source, equal ones added up. The list is emptied."""
    first, documents, sources, keys = (columns.pop() for _ in ROWS)
    order = np.lexsort((sources, keys))
    keys, sources = keys[order], sources[order]
    starts = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]) | (sources[1:] != sources[:-1]))[: len(keys)])
    keys, sources = keys[starts], sources[starts]
    documents, first = documents[order], first[order]
    if not len(starts):
        return keys, sources, documents, first
    return keys, sources, np.add.reduceat(documents, starts), np.minimum.reduceat(first, starts)


@kernel
def _near_keys(hashes: Hashes, offsets: Counts, shortest: Int, keys: Int, rows: Int) -> Hashes:
    out = np.zeros((len(offsets) - 1, keys), np.uint64)
    size = keys * rows
    factors, terms = np.empty(size, np.uint64), np.empty(size, np.uint64)
    for j in range(size):
        factors[j] = mix(np.uint64(2 * j + 1)) | np.uint64(1)
        terms[j] = mix(np.uint64(2 * j + 2))
    least = np.empty(size, np.uint64)
    for row in range(len(out)):
        start, stop = offsets[row], offsets[row + 1]
        if stop - start < shortest:
            continue
        part = np.sort(hashes[start:stop])
        distinct = 1
        for k in range(1, len(part)):
            distinct += part[k] != part[k - 1]
        if distinct < shortest:
            continue
        least[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for k in range(len(part)):
            if k == 0 or part[k] != part[k - 1]:
                for j in range(size):
                    least[j] = min(least[j], factors[j] * part[k] + terms[j])
        for key in range(keys):
            state = np.uint64(key + 1)
            for j in range(key * rows, (key + 1) * rows):
                state = mix(state * GOLDEN + least[j])
            out[row, key] = state
    return out


@kernel
def _find(keys: Hashes, sources: Hashes, wanted: Hashes, places: Hashes) -> Counts:
    """The row of each wanted (key, source), or the number of rows where there is none."""
    out = np.full(len(wanted), len(keys), np.int64)
    for k in range(len(wanted)):
        low, high = 0, len(keys)
        while low < high:
            middle = (low + high) // 2
            if keys[middle] < wanted[k] or (keys[middle] == wanted[k] and sources[middle] < places[k]):
                low = middle + 1
            else:
                high = middle
        if low < len(keys) and keys[low] == wanted[k] and sources[low] == places[k]:
            out[k] = low
    return out
