"""A bilingual lexicon by IBM model 1: translation probabilities learned from paragraphs that are paired.

Input: paragraphs of both languages, as pairs. Output: a `Lexicon`: for each English word the Chinese terms that translate it,
with probabilities, by the first of IBM's models (Brown et al. 1993), and how common each Chinese term is by itself. English
terms are words without case and without a plural's s; Chinese terms are single Han characters and pairs of neighbours, and the
words and numbers of ASCII, which are the same in both languages and need no lexicon.

Terms are kept as 64-bit hashes of their bytes. Everything that touches single characters or terms is compiled (numba).

Memory: 4 bytes for each time that an English and a Chinese term stand in one pair, at most CELLS of them, and 60 for each two that
ever do (0.2 GB in practice, 0.7 GB if no two meet twice); training takes the shortest pairs first and leaves the rest once CELLS is
reached. A lexicon has 12 bytes an entry.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import FNV_START, GOLDEN, Bytes, Floats, Int, Ints, fnv, kernel, mix
from skyloom.core.units import utf8_buffers
from skyloom.corpus.text import Texts, packed

Words = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int32]

CELLS = 10_000_000
ROUNDS = 5  # of expectation and maximisation
RARE = 2  # pairs in which a term must stand to be learnt
PRIOR = 1.0  # pairs' worth of doubt about each word: a lexicon must not know its own training pairs by heart
FAINT = 0.01  # probabilities below are not kept
LATIN = np.uint64(1)  # the lowest bit of a term's hash: letters and digits of ASCII
NUMBER = np.uint64(2)  # the next one: begins with a digit


@dataclass(frozen=True)
class Terms:
    """Distinct terms of each text, ascending: uint64[total]; text i owns hashes[bounds[i]:bounds[i+1]] (int64[rows + 1])."""

    hashes: npt.NDArray[np.uint64]
    bounds: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Lexicon:
    """Translations, and how common the Chinese terms are.

    English word i (`words`: uint64[n], ascending) is translated by terms[bounds[i]:bounds[i+1]] (uint64) with `chances` (float32);
    `known` (uint64[m], ascending) are the Chinese terms met in training and `share` (float32[m]) the share of each among all.
    """

    words: npt.NDArray[np.uint64]
    bounds: npt.NDArray[np.int64]
    terms: npt.NDArray[np.uint64]
    chances: npt.NDArray[np.float32]
    known: npt.NDArray[np.uint64]
    share: npt.NDArray[np.float32]

    @staticmethod
    def empty() -> Lexicon:
        """One that knows nothing: only words and numbers that both sides share will count."""
        none, zero = np.zeros(0, np.uint64), np.zeros(0, np.float32)
        return Lexicon(none, np.zeros(1, np.int64), none, zero, none, zero)

    def to_table(self) -> pa.Table:
        """Rows (word, term, chance); the share of a Chinese term by itself is in the row of word 0."""
        counts = np.diff(self.bounds)
        words = np.concatenate([np.repeat(self.words, counts), np.zeros(len(self.known), np.uint64)])
        terms, chances = np.concatenate([self.terms, self.known]), np.concatenate([self.chances, self.share])
        return pa.table({"word": words, "term": terms, "chance": chances})

    @staticmethod
    def from_table(table: pa.Table) -> Lexicon:
        """The lexicon that `to_table` wrote."""
        word, term, chance = (table.column(n).to_numpy() for n in ("word", "term", "chance"))
        pairs = word != 0
        words, starts = np.unique(word[pairs], return_index=True)
        bounds = np.append(starts, int(pairs.sum())).astype(np.int64)
        return Lexicon(words, bounds, term[pairs], chance[pairs], term[~pairs], chance[~pairs])


def terms(texts: Texts) -> Terms:
    """The distinct terms of each text of a string column."""
    data, offsets = utf8_buffers(texts)
    hashes, counts = _terms(data, offsets)
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    return Terms(packed(hashes, offsets, bounds), bounds)


def learn(english: Texts, chinese: Texts) -> tuple[Lexicon, Lexicon]:
    """The lexicons of paragraphs that pair, row by row: English to Chinese, and back. The same pairs give the same lexicons."""
    left, right = terms(english), terms(chinese)
    words, left = _common(left)
    known, right = _common(right)
    if not len(words) or not len(known):
        return Lexicon.empty(), Lexicon.empty()
    sizes = np.diff(left.bounds), np.diff(right.bounds)
    rows = np.argsort(sizes[0] * sizes[1], kind="stable")  # short pairs say more for each cell
    rows = rows[: int(np.searchsorted(np.cumsum((sizes[0] * sizes[1])[rows]), CELLS, side="right"))]
    keys, place = _numbered(left.hashes, left.bounds, right.hashes, right.bounds, rows, len(known))
    order = np.argsort(keys)
    keys = keys[order]
    _renumber(place, order)
    del order
    of, to = (keys // len(known)).astype(np.int32), (keys % len(known)).astype(np.int32)
    del keys
    sizes = sizes[0][rows], sizes[1][rows]
    forward = _entries(words, known, of, to, _expect(of, place, *sizes, len(words), ROUNDS, False), right)
    return forward, _entries(known, words, to, of, _expect(to, place, *sizes, len(known), ROUNDS, True), left)


def _entries(words: Words, known: Words, of: Numbers, to: Numbers, chances: npt.NDArray[np.float64], told: Terms) -> Lexicon:
    """The lexicon of words[of[k]] to known[to[k]] with `chances`, without the faint ones. `told`: the texts of the told side."""
    kept = np.flatnonzero(chances >= FAINT)
    kept = kept[np.lexsort((to[kept], of[kept]))]
    word, starts = np.unique(of[kept], return_index=True)
    share = np.bincount(told.hashes.astype(np.int64), minlength=len(known)).astype(np.float64)
    return Lexicon(
        words[word],
        np.append(starts, len(kept)).astype(np.int64),
        known[to[kept]],
        chances[kept].astype(np.float32),
        known,
        (share / share.sum()).astype(np.float32),
    )


def _common(found: Terms) -> tuple[npt.NDArray[np.uint64], Terms]:
    """The vocabulary (ascending, terms of at least RARE texts), and the texts as numbers of it."""
    vocabulary, place, counts = np.unique(found.hashes, return_inverse=True, return_counts=True)
    keep = counts >= RARE
    number = np.cumsum(keep) - 1
    chosen = keep[place]
    rows = np.repeat(np.arange(len(found.bounds) - 1), np.diff(found.bounds))[chosen]
    bounds = np.zeros(len(found.bounds), np.int64)
    np.cumsum(np.bincount(rows, minlength=len(found.bounds) - 1), out=bounds[1:])
    return vocabulary[keep], Terms(number[place[chosen]].astype(np.uint64), bounds)


@kernel
def _mixed(state: np.uint64, flag: np.uint64) -> np.uint64:
    return (mix(state) & ~np.uint64(3)) | flag | np.uint64(4)  # never 0


@kernel
def _terms(data: Bytes, offsets: Ints) -> tuple[Words, Ints]:
    """Distinct sorted hashes of each text at the text's own offset (a text has no more terms than bytes), and their counts."""
    out = np.empty(len(data) + 1, np.uint64)
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(offsets) - 1):
        i, stop, at = offsets[row], offsets[row + 1], offsets[row]
        before = 0  # the Han character that stood just before
        while i < stop:
            b = int(data[i])
            if b < 0x80:
                before = 0
                digit, letter = 48 <= b <= 57, 97 <= (b | 32) <= 122
                if not digit and not letter:
                    i += 1
                    continue
                begin = i
                while i < stop and ((48 <= data[i] <= 57) if digit else (97 <= (data[i] | 32) <= 122)):
                    i += 1
                if letter and i - begin < 2:
                    continue
                end = i - 1 if letter and i - begin > 3 and (data[i - 1] | 32) == 115 and (data[i - 2] | 32) != 115 else i
                state = FNV_START
                for k in range(begin, end):
                    state = fnv(state, data[k] | 32)
                out[at] = _mixed(state, LATIN | NUMBER if digit else LATIN)
                at += 1
                continue
            length = 2 if b < 0xE0 else (3 if b < 0xF0 else 4)
            point = b & (0x7F >> length)
            for k in range(1, length):
                point = (point << 6) | int(data[i + k] & 0x3F)
            i += length
            if 0x3400 <= point <= 0x9FFF or 0xF900 <= point <= 0xFAFF or 0x20000 <= point <= 0x3FFFF:
                out[at] = _mixed(np.uint64(point) * GOLDEN, np.uint64(0))
                at += 1
                if before:  # three bytes of UTF-8 for each two terms: there is room
                    out[at] = _mixed(np.uint64((before << 21) | point) * GOLDEN, np.uint64(0))
                    at += 1
                before = point
            else:
                before = 0
        part = np.sort(out[offsets[row] : at])
        total = 0
        for k in range(len(part)):
            if k == 0 or part[k] != part[k - 1]:
                out[offsets[row] + total] = part[k]
                total += 1
        counts[row] = total
    return out, counts


@kernel
def _numbered(left: Words, left_bounds: Ints, right: Words, right_bounds: Ints, rows: Ints, width: Int) -> tuple[Ints, Numbers]:
    """The distinct (word, term), as word * width + term in the order in which they come, and the number of each cell's one.

    Cells are those of each of the pairs `rows`: term by term, words within. An open hash table, never more than half full.
    """
    total = 0
    for row in rows:
        total += (left_bounds[row + 1] - left_bounds[row]) * (right_bounds[row + 1] - right_bounds[row])
    place = np.empty(total, np.int32)
    keys, count = np.empty(1 << 10, np.int64), 0
    table, bits = np.full(1 << 11, np.int32(-1)), np.uint64(11)
    at = 0
    for row in rows:
        for j in range(right_bounds[row], right_bounds[row + 1]):
            for i in range(left_bounds[row], left_bounds[row + 1]):
                key = np.int64(left[i]) * width + np.int64(right[j])
                slot = np.int64((np.uint64(key) * GOLDEN) >> (np.uint64(64) - bits))
                while table[slot] >= 0 and keys[table[slot]] != key:
                    slot = (slot + 1) & (len(table) - 1)
                if table[slot] < 0:
                    if count == len(keys):
                        more = np.empty(2 * count, np.int64)
                        more[:count] = keys
                        keys, bits = more, bits + np.uint64(1)
                        table = np.full(2 * len(table), np.int32(-1))
                        for k in range(count):
                            slot = np.int64((np.uint64(keys[k]) * GOLDEN) >> (np.uint64(64) - bits))
                            while table[slot] >= 0:
                                slot = (slot + 1) & (len(table) - 1)
                            table[slot] = k
                        slot = np.int64((np.uint64(key) * GOLDEN) >> (np.uint64(64) - bits))
                        while table[slot] >= 0:
                            slot = (slot + 1) & (len(table) - 1)
                    keys[count], table[slot] = key, count
                    count += 1
                place[at] = table[slot]
                at += 1
    return keys[:count].copy(), place


@kernel
def _renumber(place: Numbers, order: Ints) -> None:
    """Numbers in the order in which things came become those in their sorted order, in place."""
    rank = np.empty(len(order), np.int32)
    for k in range(len(order)):
        rank[order[k]] = k
    for at in range(len(place)):
        place[at] = rank[place[at]]


@kernel
def _expect(word_of: Numbers, place: Numbers, left_sizes: Ints, right_sizes: Ints, words: Int, rounds: Int, back: bool) -> Floats:
    """The chances of each (word, term), float64[keys], after `rounds` of expectation and maximisation from equal chances.

    A pair's cells stand term by term, left words within; with `back` the terms are the left ones and the words the right ones.
    """
    chance = np.full(len(word_of), 1.0)
    gain, total = np.empty(len(word_of)), np.empty(words)
    for _ in range(rounds):
        gain[:] = 0.0
        total[:] = 0.0
        at = 0
        for row in range(len(left_sizes)):
            width, height = left_sizes[row], right_sizes[row]
            outer, inner = (width, height) if back else (height, width)
            first, step = (1, width) if back else (width, 1)
            for j in range(outer):
                begin = at + j * first
                whole = 1e-12
                for k in range(inner):
                    whole += chance[place[begin + k * step]]
                for k in range(inner):
                    cell = place[begin + k * step]
                    gain[cell] += chance[cell] / whole
            at += width * height
        for key in range(len(word_of)):
            total[word_of[key]] += gain[key]
        for key in range(len(word_of)):  # less than half a meeting is none, and a word met a few times says little
            chance[key] = max(gain[key] - 0.5, 0.0) / (total[word_of[key]] + PRIOR)
    return chance
