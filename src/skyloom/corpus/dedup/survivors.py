"""Clusters from verified pairs of near-duplicates: which document of each stays, with chains cut.

Input: pairs of documents whose exact similarity was found to be high enough. Output: for each document, the kept one that
stands for it. Going from the best document down, a document stays unless one that stays was found similar to it: the
lexicographically first maximal independent set of the graph of pairs. So every removed document was compared with the very
document that stands for it. Connected components, the usual way, chain A~B~C~D until the ends have nothing in common, and then
remove D for the sake of A; here components only say which documents can be decided apart from each other (`components.py`).

The best is the one with the highest quality, then the most central: the one to which most others are similar. With the
longest first, as is usual, a copy on the fringe of its cluster stays, half of the others are not similar to it, and the
cluster falls into pieces: on planted copies 93 % of the pairs of similarity 0.9 came into one cluster, with the most central
first 99.8 %, and a seventh more was removed (docs/log.md).

Memory: 28 bytes for each pair and 34 for each document that is in one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Floats, kernel
from skyloom.corpus.dedup.candidate_pairs import Standing

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Owners:
    """`owner`: int64[documents], who stands for each (itself where it stays); `jaccard`: float64[documents], how similar."""

    owner: Rows
    jaccard: npt.NDArray[np.float64]


def choose(left: Rows, right: Rows, similarity: npt.NDArray[np.float64], who: Standing) -> Owners:
    """Who stands for each document of `who`, from verified pairs (documents `left[k]` and `right[k]`, each pair once).

    The best document: quality, then the number of similar ones, then units, then the lowest tie, then the first. Of several
    kept documents the most similar stands for a removed one, then the better one. `similarity`: float64[pairs].
    """
    size = len(who.score)
    degree = np.bincount(left, minlength=size) + np.bincount(right, minlength=size)
    joined = np.flatnonzero(degree)
    quality, units = who.score[joined] >> np.uint64(32), who.units[joined]
    order = joined[np.lexsort((joined, who.tie[joined], -units, -degree[joined], ~quality))]
    return Owners(*_choose(left, right, similarity, degree, order))


@kernel
def _choose(left: Rows, right: Rows, similarity: Floats, degree: Rows, order: Rows) -> tuple[Rows, Floats]:
    size = len(degree)
    ends = np.cumsum(degree)
    first = ends - degree
    near, at = np.empty(2 * len(left), np.int64), first.copy()
    for k in range(len(left)):  # the pairs of each document
        near[at[left[k]]] = k
        near[at[right[k]]] = k
        at[left[k]] += 1
        at[right[k]] += 1
    owner, best = np.arange(size), np.ones(size, np.float64)
    for node in order:
        if owner[node] != node:
            continue
        for k in near[first[node] : ends[node]]:
            other = right[k] if left[k] == node else left[k]
            if owner[other] == other or similarity[k] > best[other]:
                owner[other], best[other] = node, similarity[k]
    return owner, best
