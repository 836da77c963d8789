"""Characters that nobody sees: which they are, and the cleaning of text columns from them.

Input: a column of plain text. Output: the same column as people would read it: without zero-width characters, soft hyphens, byte
order marks, marks of direction, control characters and the colour codes of terminals, and with `\\n` as the only end of a line.
A character that is typed over (man pages write bold as N, backspace, N) stays once. No-break spaces become spaces.

Joiners (U+200C, U+200D) stay where they do something: after Arabic and Indic letters and inside emoji. After Latin letters and
Chinese characters they are as invisible as the rest. One compiled pass over the column's bytes; each byte is read at most twice.
Memory: the column once more, if anything in it changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.code_points import made_once
from skyloom.core.kernels import Bool, Bytes, Int, Ints, decode, kernel
from skyloom.core.units import utf8_buffers
from skyloom.corpus.text.columns import Texts

_KEEP, _DROP, _BREAK, _SPACE, _JOINER, _ESCAPE, _BACK, _INTRODUCER = range(8)
_RETURN = 8
_JOINERS = (0x200C, 0x200D)
_HIDDEN = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x180E, 0x180E), (0x200B, 0x200B), (0x200E, 0x200F), (0x202A, 0x202E),
    (0x2060, 0x206F), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB), (0xE0000, 0xE007F),
)  # fmt: skip
_VARIANTS = ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))  # they choose the shape of the character before them
_LONGEST = 256  # bytes of a terminal's command that is ended by a mark of its own


def hidden_points() -> npt.NDArray[np.int64]:
    """The code points that a comparison of texts passes over: invisible ones, joiners, and choices of a shape."""
    ranges = (*_HIDDEN, *_VARIANTS, (_JOINERS[0], _JOINERS[1]))
    return np.concatenate([np.arange(low, high + 1) for low, high in ranges])


def clean(texts: Texts) -> pa.Array:
    """The column without invisible characters, large_string[rows]; a null becomes ""."""
    data, offsets = utf8_buffers(texts)
    kinds = _kinds()
    if _changes(data, offsets, kinds):
        data, offsets = _clean(data, offsets, kinds)
    return pa.LargeStringArray.from_buffers(
        len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(np.ascontiguousarray(data))
    )


@made_once
def _kinds() -> npt.NDArray[np.uint8]:
    """What to do with each code point, uint8[0x110000]."""
    table = np.full(0x110000, _KEEP, np.uint8)
    table[0:32] = table[0x7F:0xA0] = _DROP
    table[[9, 10]] = _KEEP
    table[[11, 12, 0x85, 0x2028, 0x2029]] = _BREAK
    for low, high in _HIDDEN:
        table[low : high + 1] = _DROP
    table[list(_JOINERS)] = _JOINER
    table[13], table[0xA0], table[0x1B], table[8], table[0x9B] = _RETURN, _SPACE, _ESCAPE, _BACK, _INTRODUCER
    return table


@kernel
def _changes(data: Bytes, offsets: Ints, kinds: Bytes) -> bool:
    """Whether any code point of the column is not kept."""
    for row in range(len(offsets) - 1):
        i = offsets[row]
        while i < offsets[row + 1]:
            byte = data[i]
            if 32 <= byte < 127 or byte == 10:
                i += 1
                continue
            if 0xE3 <= byte < 0xEF:  # Chinese characters: nothing to look up
                i += 3
                continue
            point, length = decode(data, i)
            if kinds[point] != 0:
                return True
            i += length
    return False


@kernel
def _command_end(data: Bytes, i: Int, stop: Int) -> Int:
    """The place after a terminal's command whose parameters begin at i: parameters, then one letter."""
    while i < stop and 0x20 <= data[i] <= 0x3F:
        i += 1
    return i + 1 if i < stop and 0x40 <= data[i] <= 0x7E else i


@kernel
def _escape_end(data: Bytes, i: Int, stop: Int) -> Int:
    """The place after the terminal's command whose escape character stands before i."""
    if i >= stop:
        return i
    if data[i] == 91:  # ESC [
        return _command_end(data, i + 1, stop)
    if data[i] == 93 or data[i] == 80 or data[i] == 94 or data[i] == 95:  # ESC ], P, ^, _: a text, to BEL or ESC \
        for k in range(i + 1, min(stop, i + _LONGEST)):
            if data[k] == 7:
                return k + 1
            if data[k] == 27:
                return k + 2 if k + 1 < stop and data[k + 1] == 92 else k
            if data[k] == 10:
                return i + 1
        return i + 1
    end = i
    while end < stop and 0x20 <= data[end] <= 0x2F and end < i + 4:
        end += 1
    return end + 1 if end < stop and 0x30 <= data[end] <= 0x7E else i


@kernel
def _joins(before: Int) -> Bool:
    """Whether a joiner after this code point may do something: in scripts whose letters join, and in emoji."""
    return 0x590 <= before < 0x1100 or 0x1780 <= before < 0x1E00 or 0x2190 <= before < 0x2E80 or 0xA800 <= before < 0xAC00 or (
        0xFB50 <= before <= 0xFE0F or 0x10A00 <= before < 0x20000
    )  # fmt: skip


@kernel
def _clean(data: Bytes, offsets: Ints, kinds: Bytes) -> tuple[Bytes, Ints]:
    out, bounds = np.empty(offsets[-1] - offsets[0], np.uint8), np.zeros(len(offsets), np.int64)
    k: Int
    k = 0
    for row in range(len(offsets) - 1):
        i, stop, begin = offsets[row], offsets[row + 1], k
        before: Int
        before = np.int64(0)
        while i < stop:
            byte = data[i]
            if 32 <= byte < 127:
                out[k] = byte
                k, i, before = k + 1, i + 1, np.int64(byte)
                continue
            point, length = decode(data, i)
            kind = kinds[point]
            if kind == _KEEP or (kind == _JOINER and _joins(before)):
                for n in range(length):
                    out[k + n] = data[i + n]
                k, i, before = k + length, i + length, point
                continue
            i += length
            if kind == _RETURN:
                if i < stop and data[i] == 10:
                    continue
                kind = np.uint8(_BREAK)
            if kind in (_BREAK, _SPACE):
                before = np.int64(10 if kind == _BREAK else 32)
                out[k] = before
                k += 1
            elif kind == _ESCAPE:
                i = _escape_end(data, i, stop)
            elif kind == _INTRODUCER:
                i = _command_end(data, i, stop)
            elif kind == _BACK and k > begin and out[k - 1] != 10:
                k -= 1
                while k > begin and out[k] & 0xC0 == 0x80:
                    k -= 1
        bounds[row + 1] = k
    return out[:k].copy(), bounds
