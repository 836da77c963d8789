"""Helpers over whole text columns: slices of bounded size, distinct hashes of each row, and the shape of a text.

Input: a string column (or the hashed units of one). Output: numpy arrays with one entry for each row. The judges of the corpus
(quality, code, duplicates, held-out copies) share these so that each reads as its rules alone. Everything that touches single
characters is compiled (numba), because Python loops over characters reach 1 MB/s where this reaches a hundred.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.code_points import made_once
from skyloom.core.kernels import FNV_START, Bytes, Hashes, Int, Ints, decode, fnv, kernel, mix
from skyloom.core.units import UnitColumn, utf8_buffers

Texts: TypeAlias = pa.Array | pa.ChunkedArray
"""A string column, whole or in chunks."""

SLICE = 32 << 20
"""Bytes of text that a kernel is given at once; hashed units take 3 to 6 times that, whatever the corpus' size."""

_OTHER, _SPACE, _LETTER, _DIGIT, _SENTENCE, _BROKEN = range(6)
_SENTENCE_MARKS = ".,;:!?…。，、；：！？．︰﹐﹑﹔﹕﹖﹗｡､"
_BULLETS = "-*•·‣◦▪●○■□»›–—+#|"


def byte_sizes(texts: Texts) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of each text, int64[rows]; a null counts 0."""
    return np.asarray(pc.fill_null(pc.binary_length(texts), 0).to_numpy(), np.int64)


def slices(texts: Texts, budget: int = SLICE) -> Iterator[tuple[int, int]]:
    """Row ranges (start, stop) that cover the column, each of at most `budget` bytes of text or of a single row."""
    ends = np.cumsum(byte_sizes(texts))
    start, done = 0, 0
    while start < len(ends):
        stop = max(int(np.searchsorted(ends, done + budget, side="right")), start + 1)
        yield start, stop
        start, done = stop, int(ends[stop - 1])


def lists(values: Texts, lengths: npt.NDArray[np.int64]) -> pa.Array:
    """The large_list<large_string> column whose row i holds the next `lengths[i]` of the `values`."""
    values = values.cast(pa.large_string())
    flat = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pa.LargeListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)), flat)


def list_lengths(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Values in each row of a list column, int64[rows]."""
    return np.asarray(pc.list_value_length(column).to_numpy(), np.int64)


def distinct(column: UnitColumn) -> UnitColumn:
    """The distinct hashes of each row, ascending."""
    hashes, counts = _distinct(column.hashes, column.offsets)
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    return UnitColumn(packed(hashes, column.offsets, bounds), bounds)


def distinct_counts(column: UnitColumn) -> npt.NDArray[np.int64]:
    """How many distinct hashes each row has, int64[rows]."""
    return _distinct(column.hashes, column.offsets)[1]


@dataclass(frozen=True)
class Shape:
    """What a text looks like, one int64 for each row; counts are of characters unless the name says lines.

    `sentence_marks`: full stops, commas, colons and the like, in ASCII and in full width. `broken`: replacement and
    control characters and code points of private use. `symbols`: whatever is neither a letter, digit, space, sentence
    mark nor broken. Lines are those that are not blank. `repeated`: characters but spaces of lines that stood before in the
    text, of lines with a letter or digit. Lines drawn around tables count as spaces.
    """

    characters: npt.NDArray[np.int64]
    letters: npt.NDArray[np.int64]
    digits: npt.NDArray[np.int64]
    spaces: npt.NDArray[np.int64]
    sentence_marks: npt.NDArray[np.int64]
    broken: npt.NDArray[np.int64]
    symbols: npt.NDArray[np.int64]
    lines: npt.NDArray[np.int64]
    longest_line: npt.NDArray[np.int64]
    bullet_lines: npt.NDArray[np.int64]
    repeated: npt.NDArray[np.int64]


def shape(texts: Texts) -> Shape:
    """The shape of each text of a string column."""
    data, offsets = utf8_buffers(texts)
    table = _shape(data, offsets, _kinds(), _bullets())
    return Shape(*(np.ascontiguousarray(table[:, k]) for k in range(table.shape[1])))


def string_hashes(values: Texts) -> npt.NDArray[np.uint64]:
    """A 64-bit hash of each string, uint64[rows]: FNV-1a over its bytes with a final avalanche, the same everywhere."""
    return _hash_bytes(*utf8_buffers(values))


@made_once
def _kinds() -> npt.NDArray[np.uint8]:
    """What each code point counts as in a `Shape`, uint8[0x110000]."""
    table = np.full(0x110000, _OTHER, np.uint8)
    for point in range(0x110000):
        category = unicodedata.category(chr(point))
        if category[0] in "LM":
            table[point] = _LETTER
        elif category[0] == "N":
            table[point] = _DIGIT
        elif category[0] == "Z":
            table[point] = _SPACE
        elif category in ("Cc", "Co", "Cs"):
            table[point] = _BROKEN
    table[[ord(c) for c in "\t\n\r\f\v"]] = _SPACE
    table[0x2500:0x25A0] = _SPACE  # box drawing and blocks: the lines of tables, no text
    table[[ord(c) for c in _SENTENCE_MARKS]] = _SENTENCE
    table[0xFFFD] = _BROKEN
    return table


@functools.cache
def _bullets() -> npt.NDArray[np.int64]:
    return np.array([ord(c) for c in _BULLETS], np.int64)


@kernel
def _hash_bytes(data: Bytes, offsets: Ints) -> Hashes:
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(out)):
        state = FNV_START
        for i in range(offsets[row], offsets[row + 1]):
            state = fnv(state, data[i])
        out[row] = mix(state)
    return out


@kernel
def _distinct(hashes: Hashes, offsets: Ints) -> tuple[Hashes, Ints]:
    out = hashes.copy()
    counts = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        if stop == start:
            continue
        part = np.sort(out[start:stop])
        total = 0
        for k in range(len(part)):
            if k == 0 or part[k] != part[k - 1]:
                out[start + total] = part[k]
                total += 1
        counts[row] = total
    return out, counts


@kernel
def packed(hashes: Hashes, offsets: Ints, bounds: Ints) -> Hashes:
    """The first `bounds[row + 1] - bounds[row]` hashes of each row, which begin at `offsets[row]`, without gaps between rows."""
    out = np.empty(bounds[-1], np.uint64)
    for row in range(len(bounds) - 1):
        for k in range(bounds[row + 1] - bounds[row]):
            out[bounds[row] + k] = hashes[offsets[row] + k]
    return out


@kernel
def _shape(data: Bytes, offsets: Ints, kinds: Bytes, bullets: Ints) -> Ints:
    rows = len(offsets) - 1
    out = np.zeros((rows, 11), np.int64)
    for row in range(rows):
        start, stop = offsets[row], offsets[row + 1]
        counts = np.zeros(6, np.int64)
        breaks = 1
        for i in range(start, stop):
            breaks += data[i] == 10
        hashes, sizes = np.zeros(breaks, np.uint64), np.zeros(breaks, np.int64)
        lines, longest, listed, solid, worded = 0, 0, 0, 0, False
        first: Int
        state, length, first, last_solid = FNV_START, 0, np.int64(-1), 0
        i = start
        while i <= stop:
            at_end = i == stop
            point, step = (np.int64(10), 1) if at_end else decode(data, i)
            if not at_end:
                counts[kinds[point]] += 1
            if point == 10:
                if first >= 0:
                    hashes[lines], sizes[lines] = state, solid if worded else 0
                    lines += 1
                    longest = max(longest, last_solid)
                    for bullet in bullets:
                        if first == bullet:
                            listed += 1
                state, length, first, last_solid = FNV_START, 0, np.int64(-1), 0
                solid, worded = 0, False
            elif first >= 0 or kinds[point] != _SPACE:
                length += 1
                if first < 0:
                    first = point
                if kinds[point] != _SPACE:
                    last_solid = length
                    solid += 1
                    worded = worded or kinds[point] == _LETTER or kinds[point] == _DIGIT
                    state = fnv(state, point)
                    state ^= state >> np.uint64(29)
            i += step
        order = np.argsort(hashes[:lines])
        repeated = 0
        for k in range(1, lines):
            if hashes[order[k]] == hashes[order[k - 1]]:
                repeated += sizes[order[k]]
        out[row, 0] = counts.sum()
        out[row, 1], out[row, 2], out[row, 3] = counts[_LETTER], counts[_DIGIT], counts[_SPACE]
        out[row, 4], out[row, 5], out[row, 6] = counts[_SENTENCE], counts[_BROKEN], counts[_OTHER]
        out[row, 7], out[row, 8], out[row, 9], out[row, 10] = lines, longest, listed, repeated
    return out
