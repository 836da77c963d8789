"""Duplicates: documents that say the same, word for word or nearly so. One of each cluster stays.

What enters are a text column and its ids; what leaves is, for each row, the row that stands for its cluster. Report 3.1
counts fuzzy deduplication as a part of distribution filtering and gives no method; ours is MinHash with banding
(Broder 1997; Leskovec, Rajaraman and Ullman, chapter 3) over n-grams of the house's units, so that five Chinese
characters count as five English words do: splitting Chinese on white space would see almost no shingles at all.

The steps: 126 multiply-shift permutations of each document's shingles; 21 bands of 6 rows bring documents of Jaccard
similarity 0.8 together with probability 0.998 (and those of 0.5 with 0.28); every candidate pair is then verified by
its exact Jaccard similarity, so that nothing is lost to a chance collision; connected components are the clusters.

Memory: 504 bytes for each document, 16 bytes for each unit of the 32 MB slice in hand, and 16 bytes for each shingle of
those documents that share a band with another.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from skyloom.core.config import setting
from skyloom.core.units import UnitColumn, hash_units, ngrams
from skyloom.corpus.columns import Texts, distinct, slices

CROWD = 16
"""Up to this many documents in one band's bucket are compared all with all; in a larger bucket each is compared with the
first and with its predecessor, so that a template with 10,000 copies costs 20,000 comparisons and not 50 million."""


@dataclass(frozen=True)
class DedupConfig:
    """How near-duplicates are found."""

    shingle: int = setting(5, doc="length of a shingle", unit="units", low=1, high=32)
    bands: int = setting(21, doc="bands of the signature; more of them find less similar pairs", low=1, high=256)
    rows: int = setting(6, doc="permutations in each band", low=1, high=32)
    threshold: float = setting(
        0.8, doc="Jaccard similarity of shingle sets from which two documents are near-duplicates", low=0.3, high=1.0
    )


@dataclass(frozen=True)
class Clusters:
    """`labels`: int64[rows], the number of the row that stands for each row's cluster (its own where it stays)."""

    labels: npt.NDArray[np.int64]

    @property
    def keep(self) -> npt.NDArray[np.bool_]:
        """bool[rows]: whether the row stands for its cluster."""
        return np.asarray(self.labels == np.arange(len(self.labels)))


def exact_duplicates(texts: Texts, ids: Texts) -> Clusters:
    """Clusters of texts with the same units in the same order, whatever their case, spacing and punctuation.

    Of each cluster the longest text stays, then the one with the earliest id. A text without units has no duplicate.
    Compared by 128-bit hashes: two different texts are taken for one with probability below 1e-18 among 10^10.
    """
    parts = [sequence_hashes(hash_units(texts.slice(start, stop - start))) for start, stop in slices(texts)]
    prints = np.concatenate([np.zeros((0, 2), np.uint64), *parts])
    order = np.lexsort((prints[:, 1], prints[:, 0]))
    new = np.ones(len(order), bool)
    new[1:] = np.any(prints[order][1:] != prints[order][:-1], axis=1)
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(new) - 1
    empty = ~prints.any(axis=1)
    groups[empty] = len(order) + np.flatnonzero(empty)
    return _best_of_each(groups, np.asarray(pc.binary_length(texts).to_numpy(), np.int64), ids)


def near_duplicates(texts: Texts, ids: Texts, config: DedupConfig, *, threads: int = 1) -> Clusters:
    """Clusters of texts that are linked by pairs of Jaccard similarity of at least `config.threshold`.

    Of each cluster the text with the most units stays, then the one with the earliest id. Texts shorter than one shingle
    have no near-duplicates. The result does not depend on `threads`.
    """
    signatures, sizes = _all_signatures(texts, config, threads)
    left, right = _candidates(signatures, np.flatnonzero(sizes >= config.shingle), config)
    if len(left):
        similar = _exact_jaccard(texts, left, right, config.shingle) >= config.threshold
        left, right = left[similar], right[similar]
    links = coo_matrix((np.ones(len(left), np.int8), (left, right)), shape=(len(texts), len(texts)))
    groups = connected_components(links, directed=False)[1] if len(texts) else np.zeros(0, np.int64)
    return _best_of_each(groups, sizes, ids)


def jaccard(texts: Texts, left: Sequence[int], right: Sequence[int], shingle: int) -> npt.NDArray[np.float64]:
    """Exact Jaccard similarity of the shingle sets of the given pairs of rows, float64[pairs] in 0..1."""
    return _exact_jaccard(texts, np.asarray(left, np.int64), np.asarray(right, np.int64), shingle)


def _best_of_each(groups: npt.NDArray[Any], sizes: npt.NDArray[np.int64], ids: Texts) -> Clusters:
    """The row that stays in each group: the largest, then the one with the earliest id, then the first."""
    if not len(groups):
        return Clusters(np.zeros(0, np.int64))
    rank = pc.rank(ids, tiebreaker="first").to_numpy()
    order = np.lexsort((rank, -sizes, groups))
    first = np.ones(len(order), bool)
    first[1:] = groups[order][1:] != groups[order][:-1]
    labels = np.empty(len(order), np.int64)
    labels[order] = order[first][np.cumsum(first) - 1]
    return Clusters(labels)


def _shingles(texts: Texts, n: int) -> UnitColumn:
    return ngrams(hash_units(texts), n)


def _all_signatures(texts: Texts, config: DedupConfig, threads: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """uint32[rows, bands × rows] and the units of each text, computed slice by slice (the kernels release the GIL)."""
    generator = np.random.default_rng(20231019)  # fixed: signatures of two runs can be compared
    size = config.bands * config.rows
    factors = generator.integers(1, 2**63, size, np.uint64) * np.uint64(2) + np.uint64(1)
    terms = generator.integers(0, 2**63, size, np.uint64)

    def work(bounds: tuple[int, int]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        part = texts.slice(bounds[0], bounds[1] - bounds[0])
        column = hash_units(part)
        grams = ngrams(column, config.shingle)
        return _signatures(grams.hashes, grams.offsets, factors, terms), column.counts

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        parts = list(pool.map(work, slices(texts)))
    if not parts:
        return np.zeros((0, size), np.uint32), np.zeros(0, np.int64)
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _candidates(
    signatures: npt.NDArray[np.uint32], active: npt.NDArray[np.int64], config: DedupConfig
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pairs of rows (left < right), each once, that agree in all rows of at least one band."""
    found = [np.zeros(0, np.uint64)]
    for band in range(config.bands):
        keys = _band_keys(signatures, active, band * config.rows, config.rows)
        order = np.argsort(keys, kind="stable")
        found.append(np.unique(_bucket_pairs(keys[order], active[order], CROWD)))
    pairs = np.unique(np.concatenate(found))
    return (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _exact_jaccard(
    texts: Texts, left: npt.NDArray[np.int64], right: npt.NDArray[np.int64], shingle: int
) -> npt.NDArray[np.float64]:
    rows = np.unique(np.concatenate([left, right]))
    sets = distinct(_shingles(texts.take(pa.array(rows)), shingle))
    where = np.searchsorted(rows, np.stack([left, right]))
    return np.asarray(_jaccards(sets.hashes, sets.offsets, where[0], where[1]), np.float64)


def sequence_hashes(column: UnitColumn) -> npt.NDArray[np.uint64]:
    """Two 64-bit hashes of each row's units in their order, uint64[rows, 2]; zeros for a row without units."""
    return np.asarray(_sequence_hash(column.hashes, column.offsets), np.uint64)


def _jit(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True, boundscheck=False)(function)


@_jit
def _sequence_hash(hashes, offsets):  # type: ignore[no-untyped-def]
    out = np.zeros((len(offsets) - 1, 2), np.uint64)
    for row in range(len(offsets) - 1):
        one, two = np.uint64(0), np.uint64(0)
        for k in range(offsets[row], offsets[row + 1]):
            one = (one ^ hashes[k]) * np.uint64(0x9E3779B97F4A7C15)
            one = (one ^ (one >> np.uint64(32))) + np.uint64(1)
            two = (two + hashes[k]) * np.uint64(0xD6E8FEB86659FD93)
            two = (two ^ (two >> np.uint64(29))) + np.uint64(1)
        out[row, 0], out[row, 1] = one, two
    return out


@_jit
def _signatures(hashes, offsets, factors, terms):  # type: ignore[no-untyped-def]
    rows, size = len(offsets) - 1, len(factors)
    out = np.full((rows, size), 0xFFFFFFFF, np.uint32)
    for row in range(rows):
        best = out[row]
        for k in range(offsets[row], offsets[row + 1]):
            value = hashes[k]
            for j in range(size):
                best[j] = min(best[j], np.uint32((factors[j] * value + terms[j]) >> np.uint64(32)))
    return out


@_jit
def _band_keys(signatures, active, start, width):  # type: ignore[no-untyped-def]
    out = np.empty(len(active), np.uint64)
    for k in range(len(active)):
        state = np.uint64(start)
        for j in range(start, start + width):
            state = (state ^ np.uint64(signatures[active[k], j])) * np.uint64(0x9E3779B97F4A7C15)
            state ^= state >> np.uint64(32)
        out[k] = state
    return out


@_jit
def _pair(one, other):  # type: ignore[no-untyped-def]
    return (np.uint64(min(one, other)) << np.uint64(32)) | np.uint64(max(one, other))


@_jit
def _bucket_pairs(keys, rows, crowd):  # type: ignore[no-untyped-def]
    """Pairs (smaller row << 32 | larger row) within each run of equal keys; see CROWD."""
    out = np.empty(len(keys) * (crowd // 2 + 2), np.uint64)
    total, start = 0, 0
    while start < len(keys):
        stop = start + 1
        while stop < len(keys) and keys[stop] == keys[start]:
            stop += 1
        for i in range(start + 1, stop):
            everyone = stop - start <= crowd
            for j in range(start, i) if everyone else range(i - 1, i):
                out[total] = _pair(rows[i], rows[j])
                total += 1
            if not everyone:
                out[total] = _pair(rows[i], rows[start])
                total += 1
        start = stop
    return out[:total]


@_jit
def _jaccards(hashes, offsets, left, right):  # type: ignore[no-untyped-def]
    out = np.zeros(len(left), np.float64)
    for pair in range(len(left)):
        i, i_end = offsets[left[pair]], offsets[left[pair] + 1]
        j, j_end = offsets[right[pair]], offsets[right[pair] + 1]
        total, common = (i_end - i) + (j_end - j), 0
        while i < i_end and j < j_end:
            if hashes[i] == hashes[j]:
                common += 1
                i += 1
                j += 1
            elif hashes[i] < hashes[j]:
                i += 1
            else:
                j += 1
        out[pair] = common / max(total - common, 1)
    return out
