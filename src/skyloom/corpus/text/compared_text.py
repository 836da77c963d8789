"""The form in which two texts are compared: without width, invisible characters and, where asked, the two Chinese scripts.

Input: a string column. Output: the same column in which full-width letters and digits (Ａ, １) are ASCII ones, invisible characters
are gone, and each Han character is the one form that stands for its simplified and traditional forms. No text is changed by it:
duplicates and benchmark items are looked for in this form. A character that carries an accent as a character of its own stays as
it is, because NFC would join the accent to the letter and shift what follows. Memory: the column once more.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.code_points import made_once
from skyloom.core.kernels import Bools, Bytes, Int, Ints, Ints32, decode, kernel
from skyloom.core.units import unstable_points, utf8_buffers
from skyloom.corpus.text.chinese_forms import FORMS
from skyloom.corpus.text.columns import Texts
from skyloom.corpus.text.invisible import hidden_points

WIDE = 0xFEE0
"""From an ASCII letter or digit to its full-width form."""


def comparable(texts: Texts, *, one_script: bool = False) -> pa.Array:
    """The column in the form of comparison, large_string[rows]; a null becomes "". `one_script`: one form for both scripts."""
    data, offsets = utf8_buffers(texts)
    data, offsets = _folded(data, offsets, one_script_points() if one_script else same_points(), unstable_points())
    return pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), pa.py_buffer(data))


def plainness(texts: Texts) -> npt.NDArray[np.int64]:
    """Bytes of each text, where each byte that the form of comparison saves counts against it, int64[rows], at least 0.

    Of two texts that are equal in that form the one without full-width letters and invisible characters is larger.
    """
    data, offsets = utf8_buffers(texts)
    saved = np.diff(offsets) - _sizes(data, offsets, same_points(), unstable_points())
    return np.maximum(np.diff(offsets) - 2 * saved, 0)


def comparable_text(text: str, *, one_script: bool = False) -> tuple[str, list[int]]:
    """One text (in NFC) in the form of comparison, and where each of its characters stands in the text that was given."""
    points = one_script_points() if one_script else same_points()
    stays = unstable_points()
    chars, places = [], []
    for at, char in enumerate(text):
        carries = at + 1 < len(text) and bool(stays[ord(text[at + 1])])
        point = ord(char) if carries else int(points[ord(char)])
        if point:
            chars.append(chr(point))
            places.append(at)
    return "".join(chars), places


@made_once
def same_points() -> npt.NDArray[np.int32]:
    """What each code point is compared as, 0 for none; int32[0x110000]."""
    table = np.arange(0x110000, dtype=np.int32)
    table[hidden_points()] = 0
    for point in range(0xFF10, 0xFF5B):
        if unicodedata.category(chr(point))[0] in "LN":
            table[point] = point - WIDE
    return table


@made_once
def one_script_points() -> npt.NDArray[np.int32]:
    """The same, with one form for the simplified and traditional forms of a Han character; int32[0x110000]."""
    table = same_points().copy()
    for group in FORMS.split():
        table[[ord(c) for c in group]] = ord(group[0])
    return table


@kernel
def _put(out: Bytes, k: Int, point: Int) -> Int:
    """Write a code point as UTF-8 at out[k:]; the place after it."""
    if point < 0x80:
        out[k] = point
        return k + 1
    if point < 0x800:
        out[k], out[k + 1] = 0xC0 | (point >> 6), 0x80 | (point & 63)
        return k + 2
    if point < 0x10000:
        out[k], out[k + 1], out[k + 2] = 0xE0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)
        return k + 3
    out[k], out[k + 1] = 0xF0 | (point >> 18), 0x80 | ((point >> 12) & 63)
    out[k + 2], out[k + 3] = 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)
    return k + 4


@kernel
def _fold(data: Bytes, i: Int, stop: Int, folds: Ints32, unstable: Bools) -> tuple[Int, Int]:
    """The code point at byte i as it is compared (0: not at all), and its length in bytes."""
    fold: Int
    point, length = decode(data, i)
    fold = np.int64(folds[point])
    if fold != point and i + length < stop:
        following, _ = decode(data, i + length)
        if unstable[following]:
            fold = point
    return fold, length


@kernel
def _folded(data: Bytes, offsets: Ints, folds: Ints32, unstable: Bools) -> tuple[Bytes, Ints]:
    out, bounds = np.empty((offsets[-1] - offsets[0]) // 3 * 4 + 4, np.uint8), np.zeros(len(offsets), np.int64)
    k: Int
    k = 0
    for row in range(len(offsets) - 1):
        i, stop = offsets[row], offsets[row + 1]
        while i < stop:
            if data[i] < 0x80:
                out[k] = data[i]
                k, i = k + 1, i + 1
                continue
            fold, length = _fold(data, i, stop, folds, unstable)
            if fold:
                k = _put(out, k, fold)
            i += length
        bounds[row + 1] = k
    return out[:k].copy(), bounds


@kernel
def _sizes(data: Bytes, offsets: Ints, folds: Ints32, unstable: Bools) -> Ints:
    """Bytes of each text in the form of comparison; no longer than the text (forms that are longer count as the text does)."""
    out = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(out)):
        i, stop, total = offsets[row], offsets[row + 1], np.int64(0)
        while i < stop:
            if data[i] < 0x80:
                total, i = total + 1, i + 1
                continue
            fold, length = _fold(data, i, stop, folds, unstable)
            total += 0 if fold == 0 else (1 if fold < 0x80 else length)
            i += length
        out[row] = total
    return out
