"""Gopher's rules on one English text, repetition and quality (Rae et al. 2021, table A1), in compiled code.

Input: a text's code points and its words (`english.py`). Output: the number of the first rule that fails (`web_en.REASONS`), or
0. Repeats are counted by 64-bit hashes in an open hash table that a rising clock clears.

Memory: the caller's tables, of at least two slots for each word or line.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import GOLDEN, Bytes, Hashes, Int, Ints, Ints32, kernel
from skyloom.corpus.quality.english_tables import BREAK, LETTERS, SPACE, WORDY

_BASE = np.uint64(0x9E6C63D0876A9A63)  # of the polynomial hash of n-grams
_TOP = np.array([0.20, 0.18, 0.16])  # of 2-grams to 4-grams
_REPEATED = np.array([0.15, 0.14, 0.13, 0.12, 0.11, 0.10])  # of 5-grams to 10-grams


@kernel
def find_slot(table: Hashes, clock: Ints, mask: Int, key: np.uint64) -> tuple[Int, bool]:
    """The slot of a key, and whether the key has been seen since the table was cleared (a new `clock[0]` clears it).

    A slot holds the key's upper 44 bits and the clock; its number gives up to 20 more bits of the key. So two different
    n-grams of a text are taken for one with a probability of some 2^-55.
    """
    slot = np.int64(key & np.uint64(mask))
    sign = (key & ~np.uint64(0xFFFFF)) | np.uint64(clock[0])
    while True:
        found = table[slot]
        if found == sign:
            return slot, True
        if found & np.uint64(0xFFFFF) != np.uint64(clock[0]):
            table[slot] = sign
            return slot, False
        slot = (slot + 1) & mask


@kernel
def clear(table: Hashes, clock: Ints) -> None:
    clock[0] += 1
    if clock[0] == 0x100000:
        table[:] = 0
        clock[0] = 1


@kernel
def table_mask(count: Int) -> int:
    mask = 15
    while mask < 2 * count:
        mask = 2 * mask + 1
    return mask


@kernel
def piece_hash(points: npt.NDArray[np.uint32], start: Int, stop: Int) -> np.uint64:
    """64-bit hash of a line or paragraph, two characters at a time."""
    state, k = np.uint64(stop - start), start
    while k + 1 < stop:
        state = (state ^ (np.uint64(points[k]) | np.uint64(points[k + 1]) << np.uint64(32))) * GOLDEN
        state ^= state >> np.uint64(32)
        k += 2
    if k < stop:
        state = (state ^ np.uint64(points[k])) * GOLDEN
    return state ^ (state >> np.uint64(29))


@kernel
def _pieces(points: npt.NDArray[np.uint32], start: Int, stop: Int, breaks: Int, table: Hashes, clock: Ints) -> tuple[Int, Int, Int]:
    """Pieces between runs of at least `breaks` newlines: how many, how many stood before, and the characters of those."""
    clear(table, clock)
    mask = table_mask((stop - start) // (breaks + 1) + 1)
    characters: Int
    total, repeated, characters = 0, 0, 0
    begin = k = start
    while True:
        while k < stop and points[k] != 10:
            k += 1
        run = k
        while run < stop and points[run] == 10:
            run += 1
        if k == stop or run - k >= breaks:
            total += 1
            if find_slot(table, clock, mask, piece_hash(points, begin, k))[1]:
                repeated, characters = repeated + 1, characters + k - begin
            if k == stop:
                return total, repeated, characters
            begin = run
        k = run


@kernel
def repetition(
    points: npt.NDArray[np.uint32], n: Int, kinds: npt.NDArray[np.uint16], sums: Hashes, starts: Ints, ends: Ints, words: Int,
    table: Hashes, counts: Ints32, clock: Ints,
) -> int:  # fmt: skip
    """Gopher's repetition rules: the code of the first that fails, or 0.

    Two bounds spare most texts most passes. A 3-gram or 4-gram is no more frequent than the most frequent 2-gram, and no
    longer than the longest of its kind. And whatever repeats in 5-grams or longer lies within the repeated 5-grams.
    """
    lines, line_repeats, line_characters = _pieces(points, 0, n, 1, table, clock)
    a, b = stripped(points, 0, n, kinds)
    bare = (a == 0 or points[a - 1] == 10) and (b == n or points[b] == 10)  # the ends of the text are ends of lines
    if line_repeats or not bare:  # else no paragraph can repeat: it is made of lines
        total, repeated, characters = _pieces(points, a, b, 2, table, clock)
        if repeated / total > 0.3:
            return 2
        if characters / n > 0.2:
            return 3
    if line_repeats / lines > 0.3:
        return 4
    if line_characters / n > 0.2:
        return 5
    most = words
    for size in range(2, 5):
        longest, limit = _longest(size, starts, ends, words), _TOP[size - 2]
        if most * longest / n > limit:
            most = _most(size, sums, words, table, counts, clock)
            if (
                most * longest / n > limit
                and most * _top_length(size, most, sums, starts, ends, words, table, counts, clock) / n > limit
            ):
                return 4 + size
    if _covered(sums, starts, ends, words, table, clock) / n > _REPEATED[-1]:
        for size in range(5, 11):
            if _duplicated(size, sums, starts, ends, words, table, clock) / n > _REPEATED[size - 5]:
                return 4 + size
    return 0


@kernel
def add_up(hashes: Hashes, words: Int, sums: Hashes) -> None:
    """Polynomial sums of the words' hashes, from which `_gram` takes the hash of any n-gram."""
    sums[0] = 0
    for k in range(words):
        sums[k + 1] = sums[k] * _BASE + hashes[k]


@kernel
def _power(size: Int) -> np.uint64:
    power = np.uint64(1)
    for _ in range(size):
        power *= _BASE
    return power


@kernel
def _gram(sums: Hashes, k: Int, size: Int, power: np.uint64) -> np.uint64:
    key: np.uint64 = (sums[k + size] - sums[k] * power) * GOLDEN
    return key ^ (key >> np.uint64(32))


@kernel
def _characters(starts: Ints, ends: Ints, k: Int, size: Int) -> int:
    """Characters of an n-gram, without spaces."""
    length = 0
    for j in range(k, k + size):
        length += ends[j] - starts[j]
    return length


@kernel
def _longest(size: Int, starts: Ints, ends: Ints, words: Int) -> Int:
    """Characters of the longest n-gram with a space between words."""
    longest, length = 0, 0
    for k in range(words):
        length += ends[k] - starts[k] - (ends[k - size] - starts[k - size] if k >= size else 0)
        longest = max(longest, length)
    return longest + size - 1


@kernel
def _most(size: Int, sums: Hashes, words: Int, table: Hashes, counts: Ints32, clock: Ints) -> int:
    """How often the most frequent n-gram stands."""
    mask, power = table_mask(words), _power(size)
    clear(table, clock)
    best = 0
    for k in range(words - size + 1):
        at, seen = find_slot(table, clock, mask, _gram(sums, k, size, power))
        counts[at] = counts[at] + 1 if seen else 1
        best = max(best, counts[at])
    return best


@kernel
def _top_length(
    size: Int, best: Int, sums: Hashes, starts: Ints, ends: Ints, words: Int, table: Hashes, counts: Ints32, clock: Ints
) -> Int:
    """Characters, with a space between words, of the n-gram that `_most` just found `best` times; of several the first."""
    mask, power = table_mask(words), _power(size)
    for k in range(words - size + 1):
        if counts[find_slot(table, clock, mask, _gram(sums, k, size, power))[0]] == best:
            return _characters(starts, ends, k, size) + size - 1
    return 0


@kernel
def _covered(sums: Hashes, starts: Ints, ends: Ints, words: Int, table: Hashes, clock: Ints) -> int:
    """Characters of the words that lie in a 5-gram which stood before."""
    mask, power = table_mask(words), _power(5)
    clear(table, clock)
    characters, done = 0, 0
    for k in range(words - 4):
        if find_slot(table, clock, mask, _gram(sums, k, 5, power))[1]:
            for j in range(max(k, done), k + 5):
                characters += ends[j] - starts[j]
            done = k + 5
    return characters


@kernel
def _duplicated(size: Int, sums: Hashes, starts: Ints, ends: Ints, words: Int, table: Hashes, clock: Ints) -> int:
    """Characters of n-grams that stood before, without spaces; a repeat is skipped whole."""
    mask, power = table_mask(words), _power(size)
    clear(table, clock)
    k: Int
    k, characters = 0, 0
    while k < words - size + 1:
        if find_slot(table, clock, mask, _gram(sums, k, size, power))[1]:
            characters += _characters(starts, ends, k, size)
            k += size
        else:
            k += 1
    return characters


@kernel
def quality(
    points: npt.NDArray[np.uint32], n: Int, kinds: npt.NDArray[np.uint16], hashes: Hashes, flags: Bytes, starts: Ints, ends: Ints,
    words: Int, stops: Hashes,
) -> int:  # fmt: skip
    """Gopher's quality rules: the code of the first that fails, or 0."""
    plain, length, lettered = 0, 0, 0
    seen: Int = np.int64(0)
    for k in range(words):
        if flags[k] & WORDY:
            plain, length = plain + 1, length + ends[k] - starts[k]
        lettered += flags[k] & LETTERS
        if ends[k] - starts[k] <= 4:
            for s in range(len(stops)):
                if hashes[k] == stops[s]:
                    seen |= 1 << s
    if plain < 50:
        return 15
    if plain > 100_000:
        return 16
    if length / plain < 3:
        return 17
    if length / plain > 10:
        return 18
    marks, ellipses, k = 0, 0, 0
    while k < n:
        marks += points[k] == 35
        if points[k] == 0x2026:
            ellipses += 1
        elif points[k] == 46 and k + 2 < n and points[k + 1] == 46 and points[k + 2] == 46:
            ellipses, k = ellipses + 1, k + 2
        k += 1
    if marks / words > 0.1:
        return 19
    if ellipses / words > 0.1:
        return 20
    at: Int
    cut: Int
    lines, bullets, cut, at = 0, 0, 0, 0
    while at < n:
        stop, following = next_line(points, at, n, kinds)
        lines += 1
        a, b = stripped(points, at, stop, kinds)
        if b > a:
            bullets += points[a] == 0x2022 or points[a] == 45
            cut += points[b - 1] == 0x2026 or (b - a > 2 and points[b - 1] == points[b - 2] == points[b - 3] == 46)
        at = following
    if bullets / lines > 0.9:
        return 21
    if cut / lines > 0.3:
        return 22
    if lettered / words < 0.8:
        return 23
    distinct: Int = 0
    while seen:
        distinct, seen = distinct + (seen & 1), seen >> 1
    return 24 if distinct < 2 else 0


@kernel
def next_line(points: npt.NDArray[np.uint32], at: Int, n: Int, kinds: npt.NDArray[np.uint16]) -> tuple[Int, Int]:
    """Where the line that begins at `at` ends, and where the next begins."""
    stop = at
    while stop < n and kinds[points[stop]] & BREAK == 0:
        stop += 1
    if stop + 1 < n and points[stop] == 13 and points[stop + 1] == 10:
        return stop, stop + 2
    return stop, min(stop + 1, n)


@kernel
def stripped(points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16]) -> tuple[Int, Int]:
    while a < b and kinds[points[a]] & SPACE:
        a += 1
    while b > a and kinds[points[b - 1]] & SPACE:
        b -= 1
    return a, b
