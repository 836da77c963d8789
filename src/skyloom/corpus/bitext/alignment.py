"""Paragraph alignment by dynamic programming (Gale and Church 1993) over lexical likelihoods.

Input: the blocks of two pages as `Side`s and a `Lexicon`. Output: pairs of blocks with their cost, a negative log likelihood up
to a constant. The path is Gale and Church's (1993): monotone, a block pairs with a block, with two neighbours or with none. A
pair costs by how unlikely its lengths are together, by whether its tags differ, and by its content: each Chinese term (and each
ASCII word and number in the Chinese) is as much evidence as the English words explain it better than chance.

Memory: 5 bytes for each cell of a band around the diagonal, at most CELLS of them (80 MB); larger pages are refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import Bytes, Floats, Floats32, Hashes, Int, Ints, kernel
from skyloom.corpus.bitext.lexicon import LATIN, NUMBER, Lexicon, Terms, terms
from skyloom.corpus.text import count_scripts

RATIO = 1.75  # Chinese characters for one English word, in documentation
SPREAD = 0.35  # standard deviation of the log of that ratio for a long paragraph
SKIP = 3.0  # cost of leaving a block of either side without partner
JOIN = 6.0  # cost of joining two blocks: more than leaving one, so that only what both say pays for it
TAG = 2.0  # cost of pairing blocks of different tags
WEIGHT = 1.5  # of the mean evidence of a term in a pair's cost
PULL = 0.3  # of the sum of the evidence in the path's: terms overlap and depend on each other
CHANCE = 0.1  # of a term that no English word explains
UNKNOWN = 1e-4  # share of a word that training did not meet
NUMBERS, NAMES = 6.0, 3.0  # weight of numbers, and of ASCII words in Chinese, against 1 of other terms
SAME = 0.5  # chance of a word or number of ASCII to be carried over as it is
BEST = 4.0  # evidence of a single term, at most
DOUBT = 2.0  # terms' worth of no evidence that every pair begins with
BAND = 60  # blocks that a path may stray from the diagonal
CELLS = 16_000_000


@dataclass(frozen=True)
class Side:
    """Blocks of one page: `size` in English words or what equals them (float64[n]), scripts (int64[n] each), and `terms`."""

    size: npt.NDArray[np.float64]
    latin: npt.NDArray[np.int64]
    han: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    terms: Terms

    @staticmethod
    def of(blocks: list[str] | pa.Array) -> Side:
        column = blocks if isinstance(blocks, pa.Array) else pa.array(blocks, pa.string())
        scripts = count_scripts(column)
        size = scripts.latin + scripts.other + (scripts.han + scripts.kana + scripts.hangul) / RATIO
        return Side(size, scripts.latin, scripts.han, scripts.total, terms(column))


@dataclass(frozen=True)
class Local:
    """A lexicon cut down to two sides. English word i of `left` (numbers of the sides' own vocabularies, int64) is translated by
    to[bounds[i]:bounds[i+1]] with `chances`; `share` is the share of each Chinese term, 0 if it is no evidence."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    to: npt.NDArray[np.int64]
    chances: npt.NDArray[np.float64]
    share: npt.NDArray[np.float64]
    weight: npt.NDArray[np.float64]

    @staticmethod
    def of(english: Terms, chinese: Terms, lexicon: Lexicon, carried: np.uint64 = LATIN) -> Local:
        """`carried`: the terms that are evidence though the lexicon does not know them, since they come over as they are."""
        words, left = np.unique(english.hashes, return_inverse=True)
        found, right = np.unique(chinese.hashes, return_inverse=True)
        share = np.where(found & carried != 0, UNKNOWN, 0.0)
        known = _places(lexicon.known, found)
        share[known >= 0] = np.maximum(lexicon.share[known[known >= 0]], 1e-6)
        bounds, to, chances = _localise(words, found, _places(lexicon.words, words), lexicon.bounds, lexicon.terms, lexicon.chances)
        weight = np.where(found & NUMBER != 0, NUMBERS, np.where(found & carried != 0, NAMES, 1.0))
        return Local(left.astype(np.int64), right.astype(np.int64), bounds, to, chances, share, weight)


@dataclass(frozen=True)
class Lexicons:
    """A lexicon each way: `forward` from English to Chinese, `backward` from Chinese to English."""

    forward: Lexicon
    backward: Lexicon

    @staticmethod
    def empty() -> Lexicons:
        """Without a lexicon."""
        return Lexicons(Lexicon.empty(), Lexicon.empty())

    @property
    def known(self) -> bool:
        """Whether they know anything."""
        return len(self.forward.words) > 0


@dataclass(frozen=True)
class Path:
    """Pairs in order: blocks left[k, 0] up to but not including left[k, 1] with right[k, 0] up to right[k, 1].

    `cost` (float64[k]) is of lengths, tags and content; `doubt` is the content's part, English to Chinese."""

    left: npt.NDArray[np.int64]
    right: npt.NDArray[np.int64]
    cost: npt.NDArray[np.float64]
    doubt: npt.NDArray[np.float64]


def band(n: int, m: int) -> int:
    """Cells to either side of the diagonal for pages of n and m blocks."""
    return max(BAND, abs(n - m) + 20)


def fits(n: int, m: int) -> bool:
    """Whether the path's table of two pages stays within CELLS."""
    return (n + 1) * (2 * min(band(n, m), m) + 1) <= CELLS


def best_path(
    english: Side, english_tags: npt.NDArray[np.int64], chinese: Side, chinese_tags: npt.NDArray[np.int64], lexicon: Lexicon
) -> Path:
    """The cheapest path through two pages that `fits`. Tags are numbers; equal numbers are equal tags."""
    local = Local.of(english.terms, chinese.terms, lexicon)
    rows = _path(
        english.size, english_tags, local.left, english.terms.bounds,
        chinese.size, chinese_tags, local.right, chinese.terms.bounds,
        local.bounds, local.to, local.chances, local.share, local.weight, band(len(english.size), len(chinese.size)),
    )  # fmt: skip
    left, right = rows[:, 0:2].astype(np.int64), rows[:, 2:4].astype(np.int64)
    doubt = doubts(english.terms, chinese.terms, left, right, lexicon, LATIN)
    return Path(left, right, rows[:, 4] + doubt, doubt)


def length_costs(english: npt.NDArray[np.float64], chinese: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How unlikely sizes (of `Side`) are together, element by element."""
    return _lengths(english, chinese)


def doubts(
    given: Terms, told: Terms, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], lexicon: Lexicon, carried: np.uint64
) -> npt.NDArray[np.float64]:
    """How little blocks rows[k, 0]..rows[k, 1] of one side explain columns[k, 0]..columns[k, 1] of the other: float64[k], near 0 if
    they explain it, 0.69 (log 2) without evidence either way. `lexicon` goes from the given to the told side."""
    local = Local.of(given, told, lexicon, carried)
    return np.asarray(
        _doubts(
            rows, columns, local.left, given.bounds, local.right, told.bounds,
            local.bounds, local.to, local.chances, local.share, local.weight,
        )
    )  # fmt: skip


def _places(values: npt.NDArray[np.uint64], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Where each of `wanted` stands in the ascending `values`, or -1."""
    if not len(values):
        return np.full(len(wanted), -1, np.int64)
    places = np.minimum(np.searchsorted(values, wanted), len(values) - 1)
    return np.where(values[places] == wanted, places, -1)


@kernel
def _localise(
    words: Hashes, found: Hashes, rows: Ints, bounds: Ints, lexicon_terms: Hashes, lexicon_chances: Floats32
) -> tuple[Ints, Ints, Floats]:
    """The lexicon's entries between the words and the terms of two pages; a word of ASCII translates itself, too."""
    starts = np.zeros(len(words) + 1, np.int64)
    room = len(words)
    for row in rows:
        if row >= 0:
            room += bounds[row + 1] - bounds[row]
    to, chances = np.empty(room, np.int64), np.empty(room, np.float64)
    at = 0
    for w in range(len(words)):
        itself = np.searchsorted(found, words[w])
        if itself < len(found) and found[itself] == words[w]:
            to[at], chances[at] = itself, SAME
            at += 1
        else:
            itself = -1
        if rows[w] >= 0:
            for k in range(bounds[rows[w]], bounds[rows[w] + 1]):
                place = np.searchsorted(found, lexicon_terms[k])
                if place < len(found) and found[place] == lexicon_terms[k] and place != itself:
                    to[at], chances[at] = place, lexicon_chances[k]
                    at += 1
        starts[w + 1] = at
    return starts, to[:at], chances[:at]


@kernel
def _spread(
    expected: Floats, sign: Int, block: Int, left: Ints, left_bounds: Ints, bounds: Ints, to: Ints, chances: Floats
) -> None:
    """Adds to `expected` how often the English block's words would give each Chinese term, or takes it away again."""
    for k in range(left_bounds[block], left_bounds[block + 1]):
        for e in range(bounds[left[k]], bounds[left[k] + 1]):
            if sign > 0:
                expected[to[e]] += chances[e]
            else:
                expected[to[e]] = 0.0


@kernel
def _evidence(
    expected: Floats, other: Floats, words: float, first: Int, last: Int, right: Ints, share: Floats, weight: Floats
) -> tuple[float, float]:
    """Sum of the evidence of Chinese terms first..last, and the weight of the terms that could give any."""
    total, count = 0.0, 0.0
    for k in range(first, last):
        term = right[k]
        if share[term] > 0.0:
            explained = (expected[term] + other[term]) / (words + 1.0)
            total += weight[term] * min(BEST, math.log(CHANCE + explained / share[term]))
            count += weight[term]
    return total, count


@kernel
def _length(size_a: float, size_b: float) -> float:
    spread = SPREAD * (1.0 + 2.0 / math.sqrt(size_a + 1.0))  # short paragraphs vary more
    distance = (math.log(size_b + 1.0) - math.log(size_a + 1.0)) / spread
    return 0.5 * distance * distance


@kernel
def _lengths(size_a: Floats, size_b: Floats) -> Floats:
    out = np.empty(len(size_a))
    for k in range(len(size_a)):
        out[k] = _length(size_a[k], size_b[k])
    return out


@kernel
def _doubt(evidence: float, count: float) -> float:
    return math.log1p(math.exp(-WEIGHT * evidence / (count + DOUBT)))


@kernel
def _doubts(
    rows: Ints, columns: Ints, left: Ints, left_bounds: Ints, right: Ints, right_bounds: Ints, bounds: Ints, to: Ints,
    chances: Floats, share: Floats, weight: Floats,
) -> Floats:  # fmt: skip
    out = np.empty(len(rows), np.float64)
    expected = np.zeros(len(share))
    for k in range(len(rows)):
        first, last = rows[k, 0], rows[k, 1]
        if k == 0 or rows[k - 1, 0] != first or rows[k - 1, 1] != last:
            if k > 0:
                for block in range(rows[k - 1, 0], rows[k - 1, 1]):
                    _spread(expected, -1, block, left, left_bounds, bounds, to, chances)
            for block in range(first, last):
                _spread(expected, 1, block, left, left_bounds, bounds, to, chances)
        words = float(left_bounds[last] - left_bounds[first])
        begin, end = right_bounds[columns[k, 0]], right_bounds[columns[k, 1]]
        evidence, count = _one(expected, words, begin, end, right, share, weight)
        out[k] = _doubt(evidence, count)
    return out


@kernel
def _path(
    size_a: Floats, tag_a: Ints, left: Ints, left_bounds: Ints, size_b: Floats, tag_b: Ints, right: Ints, right_bounds: Ints,
    bounds: Ints, to: Ints, chances: Floats, share: Floats, weight: Floats, band: Int,
) -> Floats:  # fmt: skip
    """float64[pairs, 5]: first and last + 1 of the left blocks, the same of the right ones, cost."""
    n, m = len(size_a), len(size_b)
    width = min(2 * band, m) + 1
    step = np.zeros((n + 1, width), np.uint8)
    price = np.zeros((n + 1, width), np.float32)
    best = np.full((3, m + 1), np.inf)  # of this row and the two before, in turn
    rows = np.zeros((2, len(share)))  # what block i, and the one before, would give
    low = np.zeros(n + 1, np.int64)
    best[0, 0] = 0.0
    for i in range(n + 1):
        here, above, second = best[i % 3], best[(i - 1) % 3], best[(i - 2) % 3]
        if i > 0:
            here[:] = np.inf
        low[i] = min(max(0, i * m // max(n, 1) - band), m + 1 - width)
        now, before = rows[i % 2], rows[(i - 1) % 2]
        words = words_before = 0.0
        if i > 0:
            _spread(now, 1, i - 1, left, left_bounds, bounds, to, chances)
            words = float(left_bounds[i] - left_bounds[i - 1])
        if i > 1:
            words_before = float(left_bounds[i - 1] - left_bounds[i - 2])
        for j in range(low[i], low[i] + width):
            at = j - low[i]
            if i > 0 and above[j] + SKIP < here[j]:
                here[j], step[i, at] = above[j] + SKIP, 1
            if j > 0 and here[j - 1] + SKIP < here[j]:
                here[j], step[i, at] = here[j - 1] + SKIP, 2
            if i == 0 or j == 0:
                continue
            tag = 0.0 if tag_a[i - 1] == tag_b[j - 1] else TAG
            if above[j - 1] < np.inf:
                e, _ = _one(now, words, right_bounds[j - 1], right_bounds[j], right, share, weight)
                cost = tag + _length(size_a[i - 1], size_b[j - 1])
                if above[j - 1] + cost - PULL * e < here[j]:
                    here[j], step[i, at], price[i, at] = above[j - 1] + cost - PULL * e, 3, cost
            if i > 1 and tag_a[i - 2] == tag_a[i - 1] and second[j - 1] < np.inf:
                e, _ = _evidence(now, before, words + words_before, right_bounds[j - 1], right_bounds[j], right, share, weight)
                cost = tag + _length(size_a[i - 1] + size_a[i - 2], size_b[j - 1])
                if second[j - 1] + JOIN + cost - PULL * e < here[j]:
                    here[j], step[i, at], price[i, at] = second[j - 1] + JOIN + cost - PULL * e, 4, cost
            if j > 1 and tag_b[j - 2] == tag_b[j - 1] and above[j - 2] < np.inf:
                e, _ = _one(now, words, right_bounds[j - 2], right_bounds[j], right, share, weight)
                cost = tag + _length(size_a[i - 1], size_b[j - 1] + size_b[j - 2])
                if above[j - 2] + JOIN + cost - PULL * e < here[j]:
                    here[j], step[i, at], price[i, at] = above[j - 2] + JOIN + cost - PULL * e, 5, cost
        if i > 1:
            _spread(before, -1, i - 2, left, left_bounds, bounds, to, chances)
    return _walked(step, price, low, n, m)


@kernel
def _one(expected: Floats, words: float, first: Int, last: Int, right: Ints, share: Floats, weight: Floats) -> tuple[float, float]:
    """`_evidence` of one English block."""
    total, count = 0.0, 0.0
    for k in range(first, last):
        term = right[k]
        if share[term] > 0.0:
            total += weight[term] * min(BEST, math.log(CHANCE + expected[term] / (words + 1.0) / share[term]))
            count += weight[term]
    return total, count


@kernel
def _walked(step: Bytes, price: Floats32, low: Ints, n: Int, m: Int) -> Floats:
    out = np.empty((min(n, m), 5))
    total = 0
    i, j = n, m
    while i > 0 or j > 0:
        move = step[i, j - low[i]]
        a, b = (0 if move == 2 else (2 if move == 4 else 1)), (0 if move == 1 else (2 if move == 5 else 1))
        if move > 2:
            out[total, 0], out[total, 1], out[total, 2], out[total, 3] = i - a, i, j - b, j
            out[total, 4] = price[i, j - low[i]]
            total += 1
        i -= a
        j -= b
    return out[:total][::-1].copy()
