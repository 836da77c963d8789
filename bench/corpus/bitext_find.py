"""Pairs among paragraphs whose order says nothing: two lists, shuffled, with paragraphs that have no partner.

Input: English and Chinese texts and the lexicons that page pairs taught (`corpus/bitext/stage.py`). Output: the
pairs of which each side is the other's best, and clearly so. Candidates come from an inverted index: an English text is one if rare
words of its translate rare terms of the Chinese one. They are then priced as in `corpus/bitext/alignment.py`, by length and by
content in both directions. Equal texts are one text. No pair is given without a lexicon but those that share numbers and names.

Memory: 24 bytes for each of at most CANDIDATES candidates a Chinese text, and the terms of both lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import kernel
from skyloom.corpus.bitext.alignment import Lexicons, Local, Side, doubts, length_costs
from skyloom.corpus.bitext.lexicon import LATIN, NUMBER
from skyloom.corpus.text import Texts

CANDIDATES = 16
COMMON = 2000  # texts that may share a word for it to find candidates


@dataclass(frozen=True)
class Found:
    """Pairs: english[k] and chinese[k] are rows of the lists given (int64[k]); `cost`, `margin` to the next best (float64[k])."""

    english: npt.NDArray[np.int64]
    chinese: npt.NDArray[np.int64]
    cost: npt.NDArray[np.float64]
    margin: npt.NDArray[np.float64]


def find_pairs(english: Texts, chinese: Texts, lexicons: Lexicons, max_cost: float, min_margin: float) -> Found:
    """The pairs that cost at most `max_cost` and at least `min_margin` less than any other pair of either side.

    Of equal texts the first row is given. Pairs come in the order of the Chinese rows.
    """
    (left_rows, left), (right_rows, right) = _distinct(english), _distinct(chinese)
    if not len(left_rows) or not len(right_rows):
        none = np.zeros(0, np.int64)
        return Found(none, none, np.zeros(0), np.zeros(0))
    back = Local.of(right.terms, left.terms, lexicons.backward, NUMBER | LATIN)
    pairs = _candidates(
        back.left, right.terms.bounds, back.bounds, back.to, back.chances, back.right, left.terms.bounds, len(back.share)
    )
    ranges = [np.stack([side, side + 1], axis=1) for side in (pairs[:, 0], pairs[:, 1])]
    cost = (
        length_costs(left.size[pairs[:, 0]], right.size[pairs[:, 1]])
        + doubts(left.terms, right.terms, ranges[0], ranges[1], lexicons.forward, LATIN)
        + doubts(right.terms, left.terms, ranges[1], ranges[0], lexicons.backward, NUMBER)
    )
    margin = np.minimum(_margins(pairs[:, 0], cost), _margins(pairs[:, 1], cost))
    good = (cost <= max_cost) & (margin >= max(min_margin, 1e-9))
    rows = left_rows[pairs[good, 0]], right_rows[pairs[good, 1]]
    order = np.lexsort((rows[0], rows[1]))
    return Found(rows[0][order], rows[1][order], cost[good][order], margin[good][order])


def _distinct(texts: Texts) -> tuple[npt.NDArray[np.int64], Side]:
    """The first row of each distinct text, ascending, and those texts as a `Side`."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    codes = column.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    _, first = np.unique(codes, return_index=True)
    rows = np.sort(first).astype(np.int64)
    return rows, Side.of(column.take(pa.array(rows)))


def _margins(groups: npt.NDArray[np.int64], cost: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How much cheaper each pair is than the cheapest other one of its group; infinite if it is alone."""
    order = np.lexsort((cost, groups))
    starts = np.flatnonzero(np.r_[True, groups[order][1:] != groups[order][:-1]])
    sizes = np.diff(np.append(starts, len(order)))
    cheapest = np.repeat(cost[order][starts], sizes)
    second = np.repeat(np.where(sizes > 1, cost[order][np.minimum(starts + 1, len(order) - 1)], np.inf), sizes)
    result = np.empty(len(cost))
    result[order] = np.where(np.arange(len(order)) == np.repeat(starts, sizes), second, cheapest) - cost[order]
    return result


@kernel
def _candidates(given, given_bounds, bounds, to, chances, told, told_bounds, words):  # type: ignore[no-untyped-def]
    """int64[pairs, 2]: (English row, Chinese row) of the likeliest English rows of each Chinese one, Chinese rows in runs."""
    rows, columns = len(told_bounds) - 1, len(given_bounds) - 1
    counts = np.zeros(words + 1, np.int64)
    for k in range(len(told)):
        counts[told[k] + 1] += 1
    starts = np.cumsum(counts)
    fill = starts[:-1].copy()
    postings = np.empty(len(told), np.int64)
    for row in range(rows):
        for k in range(told_bounds[row], told_bounds[row + 1]):
            postings[fill[told[k]]] = row
            fill[told[k]] += 1
    out = np.empty((columns * CANDIDATES, 2), np.int64)
    total = 0
    score = np.zeros(rows)
    touched = np.empty(rows, np.int64)
    for column in range(columns):
        count = 0
        for k in range(given_bounds[column], given_bounds[column + 1]):
            for e in range(bounds[given[k]], bounds[given[k] + 1]):
                word = to[e]
                size = starts[word + 1] - starts[word]
                if size == 0 or size > COMMON:
                    continue
                gain = chances[e] * np.log(1.0 + rows / size)
                for p in range(starts[word], starts[word + 1]):
                    row = postings[p]
                    if score[row] == 0.0:
                        touched[count] = row
                        count += 1
                    score[row] += gain
        found = touched[:count]
        weights = np.empty(count)
        for k in range(count):
            weights[k] = -score[found[k]] / np.sqrt(1.0 + told_bounds[found[k] + 1] - told_bounds[found[k]])
            score[found[k]] = 0.0
        best = np.argsort(weights, kind="mergesort")[:CANDIDATES]
        for k in best:
            out[total, 0], out[total, 1] = found[k], column
            total += 1
    return out[:total]
