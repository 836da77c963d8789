"""Exact and MinHash LSH near-duplicate removal in memory; one document of each cluster is kept.

Input: a text column and its ids. Output: for each row, the row that stands for its cluster. Report 3.1 counts fuzzy
deduplication as a part of distribution filtering and gives no method; ours is MinHash with banding (Broder 1997; Leskovec,
Rajaraman and Ullman, chapter 3) over n-grams of our units, so that five Chinese characters count as five English words
do: splitting Chinese on white space would see almost no shingles at all.

The steps: permutations of each document's shingles, folded into band keys of 64 bits (`minhash.py`); documents that
agree in a band are candidates (`candidate_pairs.py`); each candidate pair is verified by its exact Jaccard similarity; of
each cluster the best stays, and a document goes only if it was found similar to the very one that stays
(`survivors.py`). Past one machine's memory the same is done shard by shard (`shards.py`), with the same result.

Memory: 8 bytes for each band and about 60 more for each document, 8 bytes for each candidate pair, 8 bytes for each
shingle of the documents in such a pair, and the kernels' 13 bytes for each byte of one slice of 32 MB per thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.units import UnitColumn
from skyloom.corpus.dedup.candidate_pairs import Standing, all_pairs, pair_rows, standing
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.minhash import band_keys, fingerprints, jaccards, sequence_prints, shingle_sets
from skyloom.corpus.dedup.survivors import Owners, choose
from skyloom.corpus.text import Texts, plainness, slices

Rows = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Clusters:
    """`labels`: int64[rows], the number of the row that stands for each row's cluster (its own where it stays).

    `jaccard`: float64[rows], the similarity of each row to that one; 1 where it stays.
    """

    labels: Rows
    jaccard: npt.NDArray[np.float64]

    @property
    def keep(self) -> npt.NDArray[np.bool_]:
        """bool[rows]: whether the row stands for its cluster."""
        return np.asarray(self.labels == np.arange(len(self.labels)))


def exact_duplicates(texts: Texts, ids: Texts) -> Clusters:
    """Clusters of texts with the same units in the same order, whatever their case, spacing and punctuation.

    Of each cluster the longest text stays, then the one whose id has the smallest hash. A text without units has no
    duplicate. Compared by 128-bit hashes: two different texts are taken for one with probability below 1e-18 among 10^10.
    """
    parts = [fingerprints(texts.slice(start, stop - start)) for start, stop in slices(texts)]
    prints = np.concatenate([np.zeros((0, 2), np.uint64), *parts])
    return Clusters(same_prints(prints, standing(ids, plainness(texts))), np.ones(len(prints)))


def same_prints(prints: Words, who: Standing) -> Rows:
    """The best row of those with the same print (uint64[rows, 2]) as each row, int64[rows]; a print of zeros is like no other."""
    order = np.lexsort((np.arange(len(prints)), who.tie, ~who.score, prints[:, 1], prints[:, 0]))
    ranked = prints[order]
    first = np.ones(len(order), bool)
    first[1:] = np.any(ranked[1:] != ranked[:-1], axis=1) | ~ranked[1:].any(axis=1)
    labels = np.empty(len(order), np.int64)
    labels[order] = order[first][np.cumsum(first) - 1]
    return labels


def near_duplicates(
    texts: Texts, ids: Texts, config: DedupConfig, *, threads: int = 1, quality: pa.Array | pa.ChunkedArray | None = None
) -> Clusters:
    """Clusters of texts around one that stays; each other has a Jaccard similarity of at least `config.threshold` to it.

    The text with the highest `quality` (numbers; null is lowest) stays, then the one that most others are similar to, then the
    one with the most units, then the one whose id has the smallest hash. A text shorter than one shingle is one shingle: it is
    like its exact copies alone; one without units is like no other. The result does not depend on `threads`.
    """
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        parts = list(
            pool.map(
                lambda bounds: band_keys(texts.slice(bounds[0], bounds[1] - bounds[0]), config.shingle, config.bands, config.rows),
                slices(texts),
            )
        )
    keys = np.asfortranarray(np.concatenate([np.zeros((0, config.bands), np.uint64), *(p.keys for p in parts)]))
    units = np.concatenate([np.zeros(0, np.int64), *(p.units for p in parts)])
    who = standing(ids, units, quality)
    pairs = all_pairs(keys, np.flatnonzero(units), who, room=2**62)
    assert pairs is not None
    del keys, parts
    rows, left, right = pair_rows(pairs)
    sets = _sets(texts.take(pa.array(rows)), config.shingle)
    found = similar(rows, left, right, jaccards(sets, sets, left, right), who, config.threshold)
    return Clusters(found.owner, found.jaccard)


def similar(rows: Rows, left: Rows, right: Rows, similarity: npt.NDArray[np.float64], who: Standing, threshold: float) -> Owners:
    """Who stands for each document of `who`, from the pairs of `pair_rows` and their exact similarities."""
    passed = similarity >= threshold
    return choose(rows[left[passed]], rows[right[passed]], similarity[passed], who)


def jaccard(texts: Texts, left: Sequence[int], right: Sequence[int], shingle: int) -> npt.NDArray[np.float64]:
    """Exact Jaccard similarity of the shingle sets of the given pairs of rows, float64[pairs] in 0..1."""
    pairs = np.stack([np.asarray(left, np.int64), np.asarray(right, np.int64)])
    rows = np.unique(pairs)
    sets = _sets(texts.take(pa.array(rows, pa.int64())), shingle)
    places = np.searchsorted(rows, pairs)
    return jaccards(sets, sets, places[0], places[1])


def sequence_hashes(column: UnitColumn) -> Words:
    """Two 64-bit hashes of each row's units in their order, uint64[rows, 2]; zeros for a row without units."""
    return sequence_prints(column.hashes, column.offsets)


def _sets(texts: Texts, shingle: int) -> UnitColumn:
    """Shingle sets of a column, slice by slice."""
    parts = [shingle_sets(texts.slice(start, stop - start), shingle) for start, stop in slices(texts)]
    counts = np.concatenate([np.zeros(1, np.int64), *(p.counts for p in parts)])
    return UnitColumn(np.concatenate([np.zeros(0, np.uint64), *(p.hashes for p in parts)]), np.cumsum(counts))
