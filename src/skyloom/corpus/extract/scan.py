"""The HTML tokenizer: names, attributes, character references, numbers and dates, byte by byte in compiled code.

Input: a page as valid UTF-8 (uint8[:], `stop` its end) and a place in it. Output: a number or the next place. Every function
moves on by at least one byte and never reads at or beyond `stop`, so that their sum over a page is linear.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_START, Bytes, Hashes, Int, Ints, Ints32, find_byte, fnv, inner

REPLACED = 0xFFFD


@inner
def lookup(keys: Hashes, key: np.uint64) -> Int:
    """The slot of a key in open addressing, or -1."""
    slot = np.int64(key % np.uint64(len(keys)))
    while keys[slot] != 0:
        if keys[slot] == key:
            return slot
        slot = (slot + 1) % len(keys)
    return np.int64(-1)


@inner
def name_end(data: Bytes, i: Int, stop: Int) -> tuple[Int, np.uint64]:
    """The end of a tag's or an attribute's name that begins at i, and its FNV-1a hash in lower case."""
    state = FNV_START
    while i < stop:
        byte = data[i]
        if byte <= 32 or byte == 62 or byte == 47 or byte == 61:
            break
        if 65 <= byte <= 90:
            byte |= 32
        state = fnv(state, byte)
        i += 1
    return i, state


@inner
def attribute(data: Bytes, i: Int, stop: Int, found: Ints) -> tuple[Int, np.uint64]:
    """Read the next attribute of a tag from i on: its hash (0: the tag is over) and its value's bounds in found[0:2].

    Returns (the place after it, the hash); at the tag's end the place after `>`.
    """
    while i < stop and (data[i] <= 32 or data[i] == 47):
        i += 1
    if i >= stop:
        return stop, np.uint64(0)
    if data[i] == 62:
        return i + 1, np.uint64(0)
    begin = i
    i, key = name_end(data, i, stop)
    if i == begin:  # a stray "="
        i += 1
    found[0] = found[1] = i
    after = i
    while after < stop and data[after] <= 32:
        after += 1
    if after >= stop or data[after] != 61:
        return i, key
    i = after + 1
    while i < stop and data[i] <= 32:
        i += 1
    if i < stop and (data[i] == 34 or data[i] == 39):
        quote = data[i]
        i += 1
        found[0] = i
        while i < stop and data[i] != quote:
            i += 1
        found[1] = i
        return min(i + 1, stop), key
    found[0] = i
    while i < stop and data[i] > 32 and data[i] != 62:
        i += 1
    found[1] = i
    return i, key


@inner
def tag_end(data: Bytes, i: Int, stop: Int) -> Int:
    """The place after the `>` that ends a tag; quotes after `=` may hold one."""
    while i < stop:
        byte = data[i]
        if byte == 62:
            return i + 1
        i += 1
        if byte == 61:
            while i < stop and data[i] <= 32:
                i += 1
            if i < stop and (data[i] == 34 or data[i] == 39):
                quote = data[i]
                i += 1
                while i < stop and data[i] != quote:
                    i += 1
                i += 1
    return stop


@inner
def find_close(data: Bytes, i: Int, stop: Int, key: np.uint64) -> Int:
    """The place of the first `</name` from i on whose name has this hash, or `stop`."""
    while i + 2 < stop:
        i = find_byte(data, i, stop - 2, 60)
        if i + 2 < stop and data[i + 1] == 47:
            _, found = name_end(data, i + 2, stop)
            if found == key:
                return i
        i += 1
    return stop


@inner
def find(data: Bytes, i: Int, stop: Int, wanted: Bytes) -> Int:
    """The place of the first occurrence of some bytes (uint8[:], in lower case) from i on, or `stop`; ASCII case is ignored."""
    last = stop - len(wanted)
    first = wanted[0]
    while i <= last:
        byte = data[i]
        if byte == first or (65 <= byte <= 90 and (byte | 32) == first):
            same = 1
            while same < len(wanted):
                byte = data[i + same]
                if 65 <= byte <= 90:
                    byte |= 32
                if byte != wanted[same]:
                    break
                same += 1
            if same == len(wanted):
                return i
        i += 1
    return stop


@inner
def match(data: Bytes, i: Int, stop: Int, symbols: Bytes, following: npt.NDArray[np.int16], bits: Ints, bounded: bool) -> Int:
    """The bits of all words that an automaton of `tag_tables` finds in data[i:stop]; `bounded`: the ends are separators."""
    separator = symbols[124]
    state = following[0, separator] if bounded else following[0, 0]
    found = np.int64(0)
    while i < stop:
        state = following[state, symbols[data[i]]]
        found |= bits[state]
        i += 1
    if bounded:
        found |= bits[following[state, separator]]
    return found


@inner
def copy(out: Bytes, at: Int, source: Bytes, i: Int, stop: Int) -> Int:
    """Copy source[i:stop] to out[at:]; the place after it. (A slice assignment would ask for memory.)"""
    while i < stop:
        out[at] = source[i]
        at += 1
        i += 1
    return at


@inner
def put(out: Bytes, k: Int, point: Int) -> Int:
    """Write a code point as UTF-8 at out[k:]; the place after it."""
    if point < 0x80:
        out[k] = point
        return k + 1
    if point < 0x800:
        out[k] = 0xC0 | (point >> 6)
        out[k + 1] = 0x80 | (point & 63)
        return k + 2
    if point < 0x10000:
        out[k] = 0xE0 | (point >> 12)
        out[k + 1] = 0x80 | ((point >> 6) & 63)
        out[k + 2] = 0x80 | (point & 63)
        return k + 3
    out[k] = 0xF0 | (point >> 18)
    out[k + 1] = 0x80 | ((point >> 12) & 63)
    out[k + 2] = 0x80 | ((point >> 6) & 63)
    out[k + 3] = 0x80 | (point & 63)
    return k + 4


_WINDOWS = np.array([
    0x20AC, 0x81, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8D, 0x017D, 0x8F, 0x90,
    0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x9D, 0x017E, 0x0178,
], np.int64)  # fmt: skip


@inner
def reference(data: Bytes, i: Int, stop: Int, keys: Hashes, points: Ints32) -> tuple[Int, Int, Int]:
    """The character reference at data[i] == `&`: (the place after it, its code point, a second one or 0). No reference: `&`."""
    at = i + 1
    if at >= stop:
        return i + 1, np.int64(38), np.int64(0)
    if data[at] == 35:  # &#1234; &#x4e2d;
        at += 1
        base = np.int64(10)
        if at < stop and (data[at] | 32) == 120:
            base, at = np.int64(16), at + 1
        begin, value = at, np.int64(0)
        while at < stop:
            byte = np.int64(data[at])
            digit = np.int64(99)
            if 48 <= byte <= 57:
                digit = byte - 48
            elif 97 <= (byte | 32) <= 102:
                digit = (byte | 32) - 87
            if digit >= base:
                break
            value = min(value * base + digit, np.int64(0x110000))
            at += 1
        if at == begin:
            return i + 1, np.int64(38), np.int64(0)
        if at < stop and data[at] == 59:
            at += 1
        if 0x80 <= value <= 0x9F:
            value = _WINDOWS[value - 0x80]
        if value == 0 or value > 0x10FFFF or 0xD800 <= value <= 0xDFFF:
            value = np.int64(REPLACED)
        return at, value, np.int64(0)
    best: Int
    state, best, best_at = FNV_START, np.int64(-1), at
    while at < stop and at - i <= 33:
        byte = data[at]
        if not (48 <= byte <= 57 or 97 <= (byte | 32) <= 122 or byte == 59):
            break
        state = fnv(state, byte)
        at += 1
        if byte == 59 or at - i <= 7:  # the names that need no ";" have at most 6 letters
            slot = lookup(keys, state)
            if slot >= 0:
                best, best_at = slot, at
        if byte == 59:
            break
    if best < 0:
        return i + 1, np.int64(38), np.int64(0)
    return best_at, np.int64(points[best, 0]), np.int64(points[best, 1])


@inner
def _digits(data: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """Up to four digits from i on: (the place after them, their value), or -1 if there are none."""
    value, begin = np.int64(0), i
    while i < stop and i - begin < 4 and 48 <= data[i] <= 57:
        value = value * 10 + np.int64(data[i]) - 48
        i += 1
    return i, (value if i > begin else np.int64(-1))


@inner
def date(data: Bytes, i: Int, stop: Int) -> Int:
    """The first date in data[i:stop] that is written year, month, day (2023-06-30, 2023/6/30, 2023.06.30, 2023年6月30日), as
    20230630, or 0."""
    while i + 8 <= stop:
        if (data[i] == 49 and data[i + 1] == 57) or (data[i] == 50 and data[i + 1] == 48):
            at, year = _digits(data, i, stop)
            if at == i + 4 and (i == 0 or not 48 <= data[i - 1] <= 57):
                at = _between(data, at, stop, 0xE5, 0xB9, 0xB4)  # 年
                at, month = _digits(data, at, stop)
                at = _between(data, at, stop, 0xE6, 0x9C, 0x88)  # 月
                at, day = _digits(data, at, stop)
                if 1 <= month <= 12 and 1 <= day <= 31:
                    return year * 10000 + month * 100 + day
        i += 1
    return np.int64(0)


@inner
def _between(data: Bytes, i: Int, stop: Int, a: Int, b: Int, c: Int) -> Int:
    """The place after a separator of a date: `-`, `/`, `.` or one Chinese character; `stop` if there is none."""
    if i < stop and (data[i] == 45 or data[i] == 47 or data[i] == 46):
        return i + 1
    if i + 2 < stop and data[i] == a and data[i + 1] == b and data[i + 2] == c:
        return i + 3
    return stop
