"""The unit of text: one Han, kana or hangul character, or one word of any other script; counted and hashed over whole columns.

Duplicates, filters, decontamination, document sizes and tokenizer measurement all count in this unit, so that figures
of the two languages can be compared. Splitting Chinese on white space finds almost no units in it; character n-grams
over English make every page look alike. A word is a maximal run of letters, digits and underscores (Unicode \\w);
punctuation and space separate and are no units.

Text enters as whole Arrow columns; the work is done over the column's UTF-8 bytes in compiled code (numba).
`units` is the readable reference that the compiled code is tested against. Texts are compared in NFC and, where
`fold` is on (the default), in lower case.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.code_points import made_once
from skyloom.core.kernels import (
    FNV_START,
    GOLDEN,
    Bool,
    Bools,
    Bytes,
    Hashes,
    Int,
    Ints,
    Ints32,
    decode,
    fnv_point,
    kernel,
    mix,
    read_only,
)

IDEOGRAPHIC = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3041-\u3096\u3099\u309a\u309d-\u309f"
    "\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
_REFERENCE = re.compile(f"[{IDEOGRAPHIC}]|[^\\W{IDEOGRAPHIC}]+")
_SPLIT, _SINGLE, _WORD = 0, 1, 2
_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FFF  # each a unit by itself, in NFC and without case: no table is asked


@dataclass(frozen=True)
class UnitColumn:
    """Units of a text column. `hashes`: uint64[total]; `offsets`: int64[rows + 1], text i owns hashes[offsets[i]:offsets[i+1]]."""

    hashes: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Number of units of each text, int64[rows]."""
        return np.diff(self.offsets)


def units(text: str, *, fold: bool = True) -> list[str]:
    """The units of one text, in order. The reference for the compiled kernels; for columns use `hash_units`."""
    text = unicodedata.normalize("NFC", text)
    if fold:  # one character to one character, as Arrow does: "ΑΣ" to "ασ" and "İ" to "i", without a rule for word ends
        text = "".join(c.lower()[0] for c in text)
    return _REFERENCE.findall(text)


def count_units(texts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Units of each text of a string column, int64[rows]; a null counts 0."""
    data, offsets = _composed(texts)
    return _count(data, offsets, unit_classes())


def hash_units(texts: pa.Array | pa.ChunkedArray, *, fold: bool = True) -> UnitColumn:
    """64-bit hashes of the units of each text of a string column, in order.

    Hashes are FNV-1a over a unit's UTF-8 bytes with a final avalanche: stable across machines, versions and runs.
    Two different units share a hash with probability 2^-64.
    """
    data, offsets = _composed(texts)
    rows = len(offsets) - 1
    # Room for the most units there can be: a word and the separator after it are two bytes, any other unit is at least three.
    room = np.empty((int(offsets[-1] - offsets[0]) + rows) // 2 + 1, np.uint64)
    bounds = _hash(data, offsets, unit_classes(), _lower() if fold else _identity(), room)
    return UnitColumn(room[: bounds[-1]], bounds)


def ngrams(column: UnitColumn, n: int) -> UnitColumn:
    """Hashes of all n-grams of units (as one `UnitColumn`): a text of k units has max(k - n + 1, 0) of them."""
    counts = np.maximum(column.counts - n + 1, 0)
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    return UnitColumn(_ngrams(column.hashes, column.offsets, bounds, n), bounds)


def unit_bounds(text: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Bytes at which each unit of a text begins and ends, int64[units] both: the units of `hash_units`, in order.

    `text`: UTF-8 in NFC (`unicodedata.normalize`), which is not checked.
    """
    data = read_only(np.frombuffer(text, np.uint8))
    room = (len(data) + 1) // 2 + 1
    starts, stops = np.empty(room, np.int64), np.empty(room, np.int64)
    total = _bounds(data, unit_classes(), _lower(), starts, stops)
    return starts[:total], stops[:total]


def utf8_buffers(column: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes and offsets of a string column, to read only, uncopied where Arrow allows it: uint8[bytes], int64[rows + 1]."""
    if isinstance(column, pa.ChunkedArray):
        column = (
            pa.concat_arrays([c.cast(pa.large_string()) for c in column.chunks])
            if column.num_chunks
            else pa.array([], pa.large_string())
        )
    array = column.cast(pa.large_string())
    if array.null_count:
        array = pc.fill_null(array, "")
    _, raw_offsets, raw_data = array.buffers()
    if len(array) == 0 or raw_offsets is None:
        return read_only(np.zeros(0, np.uint8)), read_only(np.zeros(len(array) + 1, np.int64))
    offsets = np.frombuffer(raw_offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    data = np.frombuffer(raw_data, np.uint8) if raw_data is not None else np.zeros(0, np.uint8)
    return read_only(data), read_only(offsets)


@made_once
def unit_classes() -> npt.NDArray[np.uint8]:
    """What each code point is: separator, a unit by itself, or part of a word. uint8[0x110000]."""
    table = np.zeros(0x110000, np.uint8)
    everything = "".join(chr(c) for c in range(0x40000) if not 0xD800 <= c <= 0xDFFF) + "".join(
        chr(c) for c in range(0xE0100, 0xE01F0)
    )
    for pattern, kind in ((re.compile(r"\w+"), _WORD), (re.compile(f"[{IDEOGRAPHIC}]+"), _SINGLE)):
        for match in pattern.finditer(everything):
            table[[ord(c) for c in match.group()]] = kind
    return table


def _composed(texts: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The buffers of a column in NFC. Arrow composes only rows that a scan cannot clear: few in text from the web."""
    data, offsets = utf8_buffers(texts)
    doubtful = _doubtful(data, offsets, unstable_points())
    if not doubtful.any():
        return data, offsets
    column = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(np.ascontiguousarray(offsets)), pa.py_buffer(data))
    mask = pa.array(doubtful)
    return utf8_buffers(pc.replace_with_mask(column, mask, pc.utf8_normalize(column.filter(mask), form="NFC")))


@made_once
def unstable_points() -> npt.NDArray[np.bool_]:
    """Code points that NFC may change, reorder or join to the one before: a text without any is in NFC. bool[0x110000].

    Code points that Python's tables do not know are among them, because Arrow's tables may be newer, and surrogates.
    """
    table = np.zeros(0x110000, np.bool_)
    table[0x1161:0x1176] = table[0x11A8:0x11C3] = True  # vowels and finals of hangul, composed by rule
    for point in range(0x110000):
        char = chr(point)
        parts = unicodedata.decomposition(char)
        if unicodedata.combining(char) or unicodedata.category(char) in ("Cn", "Cs"):
            table[point] = True
        elif parts and not parts.startswith("<"):
            table[point] |= not unicodedata.is_normalized("NFC", char)
            table[[int(part, 16) for part in parts.split()[1:]]] = True
    return table


@made_once
def _lower() -> npt.NDArray[np.int32]:
    """Arrow's lower case of each code point, int32[0x110000]."""
    table = _identity().copy()
    valid = np.concatenate([np.arange(0xD800), np.arange(0xE000, 0x110000)])
    everything = valid.astype("<u4").tobytes().decode("utf-32-le")
    lowered = pc.utf8_lower(pa.scalar(everything)).as_py()
    table[valid] = np.frombuffer(lowered.encode("utf-32-le"), "<i4")
    return table


@functools.cache
def _identity() -> npt.NDArray[np.int32]:
    return np.arange(0x110000, dtype=np.int32)


@kernel
def _doubtful(data: Bytes, offsets: Ints, unstable: Bools) -> Bools:
    """Rows with a code point that NFC may change, or with bytes that are no UTF-8 (Arrow says which). bool[rows]."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(out)):
        i, stop = offsets[row], offsets[row + 1]
        while i < stop:
            b = data[i]
            if b < 0x80:
                i += 1
                continue
            length = 2 if b < 0xE0 else (3 if b < 0xF0 else 4)
            if b < 0xC2 or b > 0xF4 or i + length > stop:
                out[row] = True
                break
            broken: Bool = False
            for k in range(1, length):
                broken = broken or data[i + k] & 0xC0 != 0x80
            point, _ = decode(data, i)
            broken = broken or point > 0x10FFFF or (length == 3 and point < 0x800) or (length == 4 and point < 0x10000)
            if broken or (not (_FIRST_HAN <= point <= _LAST_HAN) and unstable[point]):
                out[row] = True
                break
            i += length
    return out


@kernel
def _count(data: Bytes, offsets: Ints, classes: Bytes) -> Ints:
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(counts)):
        i, total, in_word = offsets[row], 0, False
        while i < offsets[row + 1]:
            point, length = decode(data, i)
            kind = _SINGLE if _FIRST_HAN <= point <= _LAST_HAN else classes[point]
            if kind == _SINGLE or (kind == _WORD and not in_word):
                total += 1
            in_word = kind == _WORD
            i += length
        counts[row] = total
    return counts


@kernel
def _hash(data: Bytes, offsets: Ints, classes: Bytes, lower: Ints32, out: Hashes) -> Ints:
    """Fill `out` with the units' hashes, row after row; where each row begins, int64[rows + 1]."""
    bounds = np.zeros(len(offsets), np.int64)
    slot = 0
    for row in range(len(offsets) - 1):
        i, in_word, state = offsets[row], False, FNV_START
        while i < offsets[row + 1]:
            point, length = decode(data, i)
            i += length
            if _FIRST_HAN <= point <= _LAST_HAN:
                kind = _SINGLE
            else:
                point = np.int64(lower[point])
                kind = classes[point]
            if kind == _WORD:
                state = fnv_point(state if in_word else FNV_START, point)
                in_word = True
                continue
            if in_word:
                out[slot] = mix(state)
                slot += 1
                in_word = False
            if kind == _SINGLE:
                out[slot] = mix(fnv_point(FNV_START, point))
                slot += 1
        if in_word:
            out[slot] = mix(state)
            slot += 1
        bounds[row + 1] = slot
    return bounds


@kernel
def _bounds(data: Bytes, classes: Bytes, lower: Ints32, starts: Ints, stops: Ints) -> int:
    """Fill in where units begin and end, as `_hash` divides them; how many there are."""
    i: Int = 0
    total, in_word = 0, False
    while i < len(data):
        point, length = decode(data, i)
        kind = _SINGLE if _FIRST_HAN <= point <= _LAST_HAN else classes[lower[point]]
        if kind != _SPLIT:
            if kind == _SINGLE or not in_word:
                starts[total] = i
                total += 1
            stops[total - 1] = i + length
        in_word = kind == _WORD
        i += length
    return total


@kernel
def _ngrams(hashes: Hashes, offsets: Ints, bounds: Ints, n: Int) -> Hashes:
    out = np.empty(bounds[-1], np.uint64)
    for row in range(len(offsets) - 1):
        start = offsets[row]
        for k in range(bounds[row + 1] - bounds[row]):
            state = np.uint64(n)
            for j in range(n):
                state = mix(state * GOLDEN + hashes[start + k + j])
            out[bounds[row] + k] = state
    return out
