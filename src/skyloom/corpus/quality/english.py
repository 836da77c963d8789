"""English words as the web filters count them: punctuation and contractions are words of their own.

Input: the code points of a text. Output: the bounds of its words. The published web filters (Gopher's rules as datatrove
implements them) count words of spaCy's English tokenizer, and their limits (four words in five have a letter) only mean
something for such words. These are the conventions of that tokenizer, written as one compiled pass: white space cuts chunks;
marks are peeled off both ends of a chunk until nothing changes or a known exception (an abbreviation, a contraction) is left;
what is left is cut at hyphens, dots, commas and slashes between letters unless it is an address. `bench/corpus/quality.py` measures
the agreement.

Memory: the caller's scratch arrays. Everywhere else we count `core.units`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_START, Bytes, Hashes, Int, Ints, fnv, kernel, mix
from skyloom.corpus.quality.english_tables import (
    ALPHA,
    BEFORE_DOT,
    CURRENCY,
    DIGIT,
    HOST,
    ICON,
    LETTERS,
    LOWER,
    PREFIX,
    QUOTE,
    SPACE,
    SUFFIX,
    SYMBOL,
    UPPER,
    WORDY,
    Book,
    hash_points,
)


@kernel
def _find(key: np.uint64, table: Hashes) -> Int:
    """The value of an entry, or -1."""
    mask = np.uint64(len(table) - 1)
    slot = key & mask
    while table[slot, 0] != 0:
        if table[slot, 0] == key:
            return np.int64(table[slot, 1])
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@kernel
def _lookup(points: npt.NDArray[np.uint32], start: Int, stop: Int, table: Hashes) -> Int:
    """The value of points[start:stop], or -1; no entry is longer than twelve."""
    return _find(hash_points(points, start, stop), table) if stop - start <= 12 else np.int64(-1)


@kernel
def _special(key: np.uint64, special: Hashes, sieve: Hashes) -> Int:
    """The cuts of an exception, or -1; most words are told by the sieve, which stays in the fastest memory."""
    if (sieve[(key >> np.uint64(6)) & np.uint64(511)] >> (key & np.uint64(63))) & np.uint64(1) == 0:
        return np.int64(-1)
    return _find(key, special)


@kernel
def _prefix(points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16]) -> Int:
    """Length of what is peeled off the front."""
    first = points[a]
    if kinds[first] & PREFIX:
        return 1
    if first == 46:
        k = a
        while k < b and points[k] == 46:
            k += 1
        return k - a if k - a > 1 else 0
    if first == 43:
        return 0 if a + 1 < b and kinds[points[a + 1]] & DIGIT else 1
    if a + 2 < b and first == 85 and points[a + 1] == 83 and points[a + 2] == 36:  # US$
        return 3
    if a + 1 < b and (first == 67 or first == 65) and points[a + 1] == 36:  # C$, A$
        return 2
    return 0


@kernel
def _suffix(points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16], units: Hashes) -> Int:
    """Length of what is peeled off the end."""
    last = points[b - 1]
    kind = kinds[last]
    if last == 46:
        k = b
        while k > a and points[k - 1] == 46:
            k -= 1
        if b - k > 1:
            return b - k
        if b - a > 1 and kinds[points[b - 2]] & BEFORE_DOT:
            return 1
        return 1 if b - a > 2 and kinds[points[b - 2]] & kinds[points[b - 3]] & UPPER else 0
    if (last == 115 or last == 83) and b - a > 1 and (points[b - 2] == 39 or points[b - 2] == 8217):
        return 2
    if kind & SUFFIX:
        return 2 if last == 0x2026 and b - a > 1 and points[b - 2] == 0x2026 else 1
    if b - a > 1 and kinds[points[b - 2]] & DIGIT and (last == 43 or kind & CURRENCY):
        return 1
    for length in range(1, min(5, b - a)):
        before = points[b - length - 1]
        if kinds[before] & DIGIT:
            if kind & DIGIT == 0 and _lookup(points, b - length, b, units) >= 0:
                return length
            return 0
    return 0


@kernel
def _address(points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16]) -> bool:
    """Whether a chunk is a URL, a host name with a domain in lower case, or an e-mail address."""
    dot = False
    for k in range(a + 1, b - 2):
        dot = dot or points[k] == 46
    if not dot:
        return False
    start = a
    for k in range(a + 2, b - 3):
        if points[k] == 58 and points[k + 1] == 47 and points[k + 2] == 47:
            start = k + 3
            break
    if _host(points, start, b, kinds):
        return True
    for k in range(start + 1, b - 3):  # noqa: SIM110 (any() is slower in numba)
        if points[k] == 64 and _host(points, k + 1, b, kinds):
            return True
    return False


@kernel
def _host(points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16]) -> bool:
    """Labels with dots, the last of at least two small letters, or four numbers; then a port or a path."""
    k, label, labels, lower, digits = a, a, 0, True, True
    while k < b and (kinds[points[k]] & HOST or points[k] == 45 or points[k] == 95 or points[k] == 46):
        if points[k] == 46:
            if k == label or kinds[points[k - 1]] & HOST == 0 or kinds[points[label]] & HOST == 0:
                return False
            labels, label, lower = labels + 1, k + 1, True
        else:
            lower = lower and kinds[points[k]] & LOWER != 0
            digits = digits and kinds[points[k]] & DIGIT != 0
        k += 1
    named = labels >= 1 and lower and k - label >= 2
    if not (named or (labels == 3 and digits and k > label)):
        return False
    if k < b and points[k] == 58:
        port = k + 1
        while port < b and kinds[points[port]] & DIGIT:
            port += 1
        if port - k < 3:
            return False
        k = port
    return k == b or points[k] == 47 or points[k] == 63 or points[k] == 35


@kernel
def _infix(points: npt.NDArray[np.uint32], a: Int, b: Int, k: Int, kinds: npt.NDArray[np.uint16]) -> Int:
    """Length of what cuts a chunk at `k`, 0 if nothing does."""
    point = points[k]
    kind = kinds[point]
    if kind & (ALPHA | DIGIT):
        return 0
    if kind & ICON or point == 0x2026:
        return 1
    before, after = kinds[points[k - 1]] if k > a else 0, kinds[points[k + 1]] if k + 1 < b else 0
    if point == 46:
        if k + 1 < b and points[k + 1] == 46:
            stop = k
            while stop < b and points[stop] == 46:
                stop += 1
            return stop - k
        return 1 if before & (LOWER | QUOTE) and after & (UPPER | QUOTE) else 0
    sign = point == 43 or point == 45 or point == 42 or point == 94
    if sign and before & DIGIT and (after & DIGIT or (k + 1 < b and points[k + 1] == 45)):
        return 1
    if point == 44:
        return 1 if before & ALPHA and after & ALPHA else 0
    if before & (ALPHA | DIGIT) == 0:
        return 0
    if point == 58 or point == 60 or point == 62 or point == 61 or point == 47:
        return 1 if after & ALPHA else 0
    if point == 45 or point == 0x2013 or point == 0x2014 or point == 126:
        length = 1
        while point == 45 and length < 3 and k + length < b and points[k + length] == 45:
            length += 1
        if point == 0x2014 and k + 1 < b and points[k + 1] == 0x2014:
            length = 2
        return length if k + length < b and kinds[points[k + length]] & ALPHA else 0
    return 0


@kernel
def _chunk(
    points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16], special: Hashes, units: Hashes, starts: Ints,
    ends: Ints, count: Int,
) -> Int:  # fmt: skip
    """The words of a chunk without white space, written from `count` on; returns how many there are now.

    Ends of peeled suffixes wait at the far end of `starts`: words and suffixes together are never more than characters.
    """
    top, depth = len(starts) - 1, 0
    while a < b:
        cuts = _lookup(points, a, b, special)
        if cuts >= 0:
            break
        front = _prefix(points, a, b, kinds)
        back = _suffix(points, a + front, b, kinds, units) if a + front < b else 0
        if front and a + front < b and _lookup(points, a + front, b, special) >= 0:
            back = 0
        elif back and b - back > a and _lookup(points, a, b - back, special) >= 0:
            front = 0
        if front == 0 and back == 0:
            break
        if front:
            starts[count], ends[count] = a, a + front
            count += 1
        if back:
            starts[top - depth] = b
            depth += 1
        a, b = a + front, b - back
    if a < b:
        cuts = _lookup(points, a, b, special)
        start = a
        if cuts >= 0:
            while cuts:
                starts[count], ends[count] = start, a + (cuts & 15)
                count, start, cuts = count + 1, a + (cuts & 15), cuts >> 4
        elif not _address(points, a, b, kinds):
            k = a
            while k < b:
                length = _infix(points, a, b, k, kinds)
                if length and k > start:
                    starts[count], ends[count] = start, k
                    starts[count + 1], ends[count + 1] = k, k + length
                    count, start = count + 2, k + length
                k += max(length, 1)
        if start < b:
            starts[count], ends[count] = start, b
            count += 1
    while depth:  # what was peeled off the end, last first
        depth -= 1
        starts[count], ends[count] = b, starts[top - depth]
        b = starts[top - depth]
        count += 1
    return count


@kernel
def split_words(
    points: npt.NDArray[np.uint32], start: Int, stop: Int, book: Book, starts: Ints, ends: Ints, hashes: Hashes, flags: Bytes
) -> Int:
    """Bounds, hashes and flags of the words of points[start:stop], into arrays at least as long; returns their number.

    Words of letters alone, and those with one mark behind them, are nearly all there are; the others go to `_chunk`.
    """
    kinds, special, sieve, units = book
    count: Int
    count, k = 0, start
    while k < stop:
        while k < stop and kinds[points[k]] & SPACE:
            k += 1
        begin, odd, state = k, 0, FNV_START
        before = state
        while k < stop:
            kind = kinds[points[k]]
            if kind & SPACE:
                break
            odd += kind & ALPHA == 0
            before = state
            state = fnv(state, points[k])
            k += 1
        if k == begin:
            continue
        key = mix(state)
        last = points[k - 1]
        kind = kinds[last]
        if odd == 0:
            if k - begin > 12 or _special(key, special, sieve) < 0:
                starts[count], ends[count], hashes[count], flags[count] = begin, k, key, LETTERS | WORDY
                count += 1
                continue
        elif odd == 1 and k - begin > 2 and kind & ALPHA == 0 and (kind & SUFFIX or (last == 46 and kinds[points[k - 2]] & LOWER)):
            core = mix(before)
            if _special(key, special, sieve) < 0 and _special(core, special, sieve) < 0:
                starts[count], ends[count], hashes[count], flags[count] = begin, k - 1, core, LETTERS | WORDY
                starts[count + 1], ends[count + 1], hashes[count + 1] = k - 1, k, hash_points(points, k - 1, k)
                flags[count + 1] = 0 if kind & SYMBOL else WORDY
                count += 2
                continue
        first = count
        count = _chunk(points, begin, k, kinds, special, units, starts, ends, count)
        for word in range(first, count):
            found = 0
            for j in range(starts[word], ends[word]):
                kind = kinds[points[j]]
                found |= (LETTERS if kind & ALPHA else 0) | (0 if kind & SYMBOL else WORDY)
            hashes[word], flags[word] = hash_points(points, starts[word], ends[word]), found
    return count
