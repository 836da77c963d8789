"""Compiled kernels of deduplication: one pass from a text column's bytes to units, shingles and MinHash signatures.

Input: the buffers of an Arrow string column. Output: numpy arrays with one entry or one run for each row. The units are those
of `core.units` (NFC, lower case, a Han character or a word), of texts without width and invisible characters; but neither they
nor their n-grams are ever materialised for a column: a row's unit hashes live in one small buffer that is used again for the next
row.

Why so, in figures of one core (docs/benchmarks.md, "Duplicates"): 112 permutations of 32 bits take less time than finding the
words does, because eight or sixteen of them fit into one machine instruction; one-permutation hashing would save that small
part and lose recall on documents that have fewer shingles than the signature has places. Rows are normalised only if
they hold a code point that NFC could change, which web text rarely does.

Memory: 12 bytes for each byte of the longest row, and what is returned.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.code_points import made_once
from skyloom.core.kernels import FNV_START, GOLDEN, Bools, Bytes, Floats, Int, inlined, kernel, mix
from skyloom.core.units import UnitColumn, unit_classes, utf8_buffers
from skyloom.corpus.text import same_points

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

SINGLE, WORD, UNSEEN = 1, 2, 3  # what `core.units` says of a code point; 0 separates
_UNSTABLE = 4
POINT_SHIFT = 3


@dataclass(frozen=True)
class Bands:
    """`keys`: uint64[rows, bands], equal where all values of a band are equal; `units`: int64[rows], the length of each text.

    Texts without units have keys without meaning.
    """

    keys: Words
    units: Rows


def band_keys(texts: pa.Array | pa.ChunkedArray, shingle: int, bands: int, rows: int) -> Bands:
    """MinHash of each text's shingles by `bands` × `rows` permutations, folded to one 64-bit key for each band."""
    factors, terms = _permutations(bands * rows)
    data, offsets, table = _prepared(texts)
    keys, units = _band_keys(data, offsets, table, _powers(shingle), factors, terms, bands)
    return Bands(keys, units)


def signatures(texts: pa.Array | pa.ChunkedArray, shingle: int, size: int) -> npt.NDArray[np.uint32]:
    """The MinHash values themselves, uint32[rows, size]: the share in which two rows agree estimates their similarity."""
    factors, terms = _permutations(size)
    data, offsets, table = _prepared(texts)
    return _signatures(data, offsets, table, _powers(shingle), factors, terms)


def shingle_sets(texts: pa.Array | pa.ChunkedArray, shingle: int) -> UnitColumn:
    """The distinct shingles of each text as ascending 64-bit hashes; a text shorter than one shingle is one as a whole."""
    data, offsets, table = _prepared(texts)
    hashes, bounds = _shingle_sets(data, offsets, table, _powers(shingle))
    return UnitColumn(hashes[: bounds[-1]].copy() if bounds[-1] < len(hashes) // 2 else hashes[: bounds[-1]], bounds)


def prepared_shingles(hashes: Words, bounds: Rows, shingle: int) -> Words:
    """For each unit the hash of the shingle that begins there, uint64[units]; 0 where the row ends before the shingle does."""
    return _shingles_at(hashes, bounds, _powers(shingle))


def fingerprints(texts: pa.Array | pa.ChunkedArray) -> Words:
    """128 bits of each text's units in their order, uint64[rows, 2]; zeros for a text without units."""
    data, offsets, table = _prepared(texts)
    return _fingerprints(data, offsets, table)


def shingle_counts(units: Rows, shingle: int) -> Rows:
    """Shingles of texts with so many units, repeated ones counted: a text shorter than one shingle is one, an empty one none."""
    return np.where(units > 0, np.maximum(units - shingle + 1, 1), 0)


def sequence_prints(hashes: Words, offsets: Rows) -> Words:
    """128 bits of each run of hashes in their order, uint64[rows, 2]; zeros for an empty one."""
    return _prints(hashes, offsets)


def jaccards(sets: UnitColumn, others: UnitColumn, left: Rows, right: Rows) -> npt.NDArray[np.float64]:
    """Jaccard similarity of row `left[k]` of `sets` and row `right[k]` of `others`, in 0..1; of two empty sets 0."""
    return _jaccards(sets.hashes, sets.offsets, others.hashes, others.offsets, left, right)


@functools.cache
def _permutations(size: int) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    generator = np.random.default_rng(20231019)  # fixed: keys of two runs can be compared
    factors = np.asarray(generator.integers(0, 2**31, size, np.uint32), np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, np.asarray(generator.integers(0, 2**32, size, np.uint32), np.uint32)


def _powers(shingle: int) -> Words:
    """Weights of the units in a shingle's hash: odd powers, so that their order counts."""
    base = int(GOLDEN)
    return np.array([pow(base, k, 2**64) for k in range(shingle - 1, -1, -1)], np.uint64)


def _prepared(texts: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.uint8], Rows, npt.NDArray[np.uint32]]:
    """Bytes and offsets of the column in NFC (only rows that need it are normalised), and the table of code points."""
    table = code_points()
    data, offsets = utf8_buffers(texts)
    unstable = _unstable(data, offsets, table)
    if unstable.any():
        column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        column = pc.fill_null(column.cast(pa.large_string()), "")
        mask = pa.array(unstable)
        column = pc.replace_with_mask(column, mask, pc.utf8_normalize(column.filter(mask), form="NFC"))
        data, offsets = utf8_buffers(column)
    return data, offsets, table


@made_once
def code_points() -> npt.NDArray[np.uint32]:
    """For each code point, uint32[0x110000]: its class (bits 0, 1), whether NFC may change it (bit 2), its lower case (above),
    of a full-width letter or digit that of the ASCII one."""
    points = np.arange(0x110000, dtype=np.uint32)
    lower, unstable = points.copy(), np.zeros(0x110000, bool)
    settled = ((0x3400, 0xA000), (0xAC00, 0xD7A4), (0xD800, 0xF900), (0x20000, 0x2F800), (0x2FA20, sys.maxunicode + 1))
    unstable[0x1161:0x1176] = unstable[0x11A8:0x11C3] = True  # jamo that join a syllable before them
    start = 0
    for first, last in settled:  # ideographs, syllables, surrogates and private use: NFC and case leave them alone
        for point in range(start, first):
            char = chr(point)
            lower[point] = ord(char.lower()[0])
            parts = unicodedata.decomposition(char)
            if parts and not parts.startswith("<"):
                seconds = parts.split()[1:]
                unstable[[int(s, 16) for s in seconds]] = True
            unstable[point] |= bool(unicodedata.combining(char)) or not unicodedata.is_normalized("NFC", char)
        start = last
    folds = same_points()
    lower = np.where(folds > 0, lower[folds], lower)
    kinds = np.where(folds > 0, unit_classes(), UNSEEN).astype(np.uint32)
    kinds[0] = 0
    table = (lower << POINT_SHIFT) | (unstable.astype(np.uint32) * _UNSTABLE) | kinds
    return np.asarray(table, np.uint32)


@inlined
def decode(data: Bytes, i: Int) -> tuple[np.uint32, int]:
    """Code point at byte i of valid UTF-8, its lead byte not ASCII, and its length in bytes."""
    b = np.uint32(data[i])
    one = np.uint32(data[i + 1] & 0x3F)
    if b < 0xE0:
        return ((b & np.uint32(0x1F)) << np.uint32(6)) | one, 2
    two = np.uint32(data[i + 2] & 0x3F)
    if b < 0xF0:
        return ((b & np.uint32(0x0F)) << np.uint32(12)) | (one << np.uint32(6)) | two, 3
    three = np.uint32(data[i + 3] & 0x3F)
    return ((b & np.uint32(0x07)) << np.uint32(18)) | (one << np.uint32(12)) | (two << np.uint32(6)) | three, 4


@kernel
def _unstable(data: Bytes, offsets: Rows, table: npt.NDArray[np.uint32]) -> Bools:
    """Rows with a code point that NFC may change, bool[rows]."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(out)):
        i, stop = offsets[row], offsets[row + 1]
        while i < stop:
            if data[i] < 0x80:
                i += 1
                continue
            point, length = decode(data, i)
            if table[point] & np.uint32(_UNSTABLE):
                out[row] = True
                break
            i += length
    return out


@kernel
def _units(data: Bytes, start: Int, stop: Int, table: npt.NDArray[np.uint32], hashes: Words) -> int:
    """Hashes of the units of bytes start..stop, written to `hashes`; returns how many."""
    total, in_word, state, i = 0, False, np.uint64(0), start
    while i < stop:
        if data[i] < 0x80:
            entry, length = table[data[i]], 1
        else:
            point, length = decode(data, i)
            entry = table[point]
        kind = entry & np.uint32(3)
        i += length
        if kind == WORD:
            if not in_word:
                state, in_word = FNV_START, True
            state = (state ^ np.uint64(entry >> np.uint32(POINT_SHIFT))) * np.uint64(0x9FB21C651E98DF25)
            continue
        if kind == UNSEEN:
            continue
        if in_word:
            hashes[total] = mix(state)
            total += 1
            in_word = False
        if kind == SINGLE:
            hashes[total] = mix(np.uint64(entry >> np.uint32(POINT_SHIFT)) * GOLDEN)
            total += 1
    if in_word:
        hashes[total] = mix(state)
        total += 1
    return total


@kernel
def _shingles(hashes: Words, total: Int, powers: Words, out: Words) -> Int:
    """Hashes of the shingles of `total` units, written to `out`; returns how many. Fewer units than that are one shingle."""
    n = min(len(powers), total)
    count = total - n + 1 if total > 0 else 0
    for k in range(count):
        out[k] = hashes[k] * powers[0]
    for j in range(1, n):
        for k in range(count):
            out[k] += hashes[k + j] * powers[j]
    for k in range(count):
        out[k] = mix(out[k])
    return count


@kernel
def _shingles_at(hashes: Words, bounds: Rows, weights: Words) -> Words:
    out, n = np.zeros(len(hashes), np.uint64), len(weights)
    for row in range(len(bounds) - 1):
        if bounds[row + 1] - bounds[row] >= n:
            part = hashes[bounds[row] : bounds[row + 1]]
            _shingles(part, len(part), weights, out[bounds[row] : bounds[row + 1]])
    return out


@kernel
def _longest(offsets: Rows) -> Int:
    longest = np.int64(0)
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return longest


@kernel
def _minima(
    shingles: Words,
    count: Int,
    short: npt.NDArray[np.uint32],
    factors: npt.NDArray[np.uint32],
    terms: npt.NDArray[np.uint32],
    best: npt.NDArray[np.uint32],
) -> None:
    """The smallest value of each permutation over the shingles; the inner loop becomes vector instructions of 32-bit lanes."""
    for k in range(count):
        short[k] = np.uint32(shingles[k] >> np.uint64(32))
    for j in range(len(best)):
        factor, term, least = factors[j], terms[j], np.uint32(0xFFFFFFFF)
        for k in range(count):
            least = min(least, np.uint32(short[k] * factor + term))  # numba widens; the cast brings back 32 bits
        best[j] = least


@kernel
def _signatures(
    data: Bytes,
    offsets: Rows,
    table: npt.NDArray[np.uint32],
    powers: Words,
    factors: npt.NDArray[np.uint32],
    terms: npt.NDArray[np.uint32],
) -> npt.NDArray[np.uint32]:
    rows, room = len(offsets) - 1, _longest(offsets) + 1
    hashes, shingles, short = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.uint32)
    out = np.empty((rows, len(factors)), np.uint32)
    for row in range(rows):
        total = _units(data, offsets[row], offsets[row + 1], table, hashes)
        count = _shingles(hashes, total, powers, shingles)
        _minima(shingles, count, short, factors, terms, out[row])
    return out


@kernel
def _band_keys(
    data: Bytes, offsets: Rows, table: npt.NDArray[np.uint32], powers: Words, factors: npt.NDArray[np.uint32],
    terms: npt.NDArray[np.uint32], bands: Int,
) -> tuple[Words, Rows]:  # fmt: skip
    rows, room = len(offsets) - 1, _longest(offsets) + 1
    hashes, shingles, short = np.empty(room, np.uint64), np.empty(room, np.uint64), np.empty(room, np.uint32)
    best, width = np.empty(len(factors), np.uint32), len(factors) // bands
    keys, units = np.zeros((rows, bands), np.uint64), np.zeros(rows, np.int64)
    for row in range(rows):
        units[row] = _units(data, offsets[row], offsets[row + 1], table, hashes)
        count = _shingles(hashes, units[row], powers, shingles)
        if count == 0:
            continue
        _minima(shingles, count, short, factors, terms, best)
        for band in range(bands):
            state = np.uint64(band + 1)
            for j in range(band * width, (band + 1) * width):
                state = (state ^ np.uint64(best[j])) * GOLDEN
                state ^= state >> np.uint64(29)
            keys[row, band] = mix(state)
    return keys, units


@kernel
def _shingle_sets(data: Bytes, offsets: Rows, table: npt.NDArray[np.uint32], powers: Words) -> tuple[Words, Rows]:
    rows, room = len(offsets) - 1, _longest(offsets) + 1
    hashes, shingles = np.empty(room, np.uint64), np.empty(room, np.uint64)
    out, bounds = np.empty(offsets[-1] - offsets[0], np.uint64), np.zeros(rows + 1, np.int64)
    for row in range(rows):
        total = _units(data, offsets[row], offsets[row + 1], table, hashes)
        count = _shingles(hashes, total, powers, shingles)
        shingles[:count].sort()
        place = bounds[row]
        for k in range(count):
            if k == 0 or shingles[k] != shingles[k - 1]:
                out[place] = shingles[k]
                place += 1
        bounds[row + 1] = place
    return out, bounds


@kernel
def _print(hashes: Words, start: Int, stop: Int) -> tuple[np.uint64, np.uint64]:
    one, two = np.uint64(0), np.uint64(0)
    for k in range(start, stop):
        one = (one ^ hashes[k]) * GOLDEN
        one = (one ^ (one >> np.uint64(32))) + np.uint64(1)
        two = (two + hashes[k]) * np.uint64(0xD6E8FEB86659FD93)
        two = (two ^ (two >> np.uint64(29))) + np.uint64(1)
    return one, two


@kernel
def _prints(hashes: Words, offsets: Rows) -> Words:
    out = np.zeros((len(offsets) - 1, 2), np.uint64)
    for row in range(len(out)):
        out[row, 0], out[row, 1] = _print(hashes, offsets[row], offsets[row + 1])
    return out


@kernel
def _fingerprints(data: Bytes, offsets: Rows, table: npt.NDArray[np.uint32]) -> Words:
    hashes = np.empty(_longest(offsets) + 1, np.uint64)
    out = np.zeros((len(offsets) - 1, 2), np.uint64)
    for row in range(len(out)):
        total = _units(data, offsets[row], offsets[row + 1], table, hashes)
        out[row, 0], out[row, 1] = _print(hashes, 0, total)
    return out


@kernel
def _jaccards(hashes: Words, offsets: Rows, others: Words, bounds: Rows, left: Rows, right: Rows) -> Floats:
    out, one = np.zeros(len(left), np.float64), np.uint64(1)
    for pair in range(len(left)):  # unsigned places, because for signed ones numba looks whether they count from the end
        i, i_end = np.uint64(offsets[left[pair]]), np.uint64(offsets[left[pair] + 1])
        j, j_end = np.uint64(bounds[right[pair]]), np.uint64(bounds[right[pair] + 1])
        total, common = (i_end - i) + (j_end - j), np.uint64(0)
        while i < i_end and j < j_end:
            x, y = hashes[i], others[j]
            if x == y:
                common += one
                i += one
                j += one
            elif x < y:
                i += one
            else:
                j += one
        out[pair] = common / max(total - common, one)
    return out
