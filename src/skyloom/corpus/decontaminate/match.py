"""Rolling hashes of n-grams and their search in a sorted index: the compiled part of decontamination.

Input: hashed units (core/units.py) and sorted n-gram hashes. Output: the rows and places where they meet. A filter (two bits of
one 64-bit word for each hash, some four hashes a word) turns 49 of 50 other n-grams away with one look into memory; the rest is
settled by a search in the bucket of equal first bits. Memory: 2 to 4 bytes for the filter and 4 to 8 for the buckets for each
hash.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import GOLDEN, Hashes, Int, Ints, Ints32, kernel, mix
from skyloom.core.units import IDEOGRAPHIC, UnitColumn
from skyloom.corpus.text import comparable, comparable_text

_UNIT = re.compile(f"[{IDEOGRAPHIC}]|[^\\W{IDEOGRAPHIC}]+")


def narrow(texts: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as items are searched for in it, large_string[rows]: full-width letters as ASCII ones, without invisible
    characters, and with one form for simplified and traditional characters; a null becomes ""."""
    return comparable(texts, one_script=True)


def unit_places(text: str) -> tuple[list[int], list[int]]:
    """First character of each unit of a text (in NFC) and the one after its last; units are those of `narrow`."""
    text, origin = comparable_text(unicodedata.normalize("NFC", text), one_script=True)
    lower = text.lower()
    if len(lower) != len(text):  # a character became two: only the first counts, so that places stay
        lower = "".join(c.lower()[0] for c in text)
    places = [match.span() for match in _UNIT.finditer(lower)]
    return [origin[start] for start, _ in places], [origin[stop - 1] + 1 for _, stop in places]


def grams_of(
    column: UnitColumn, rows: npt.NDArray[np.int64], n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Row, first unit and hash of each n-gram of the chosen rows, int64, int64 and uint64[grams]."""
    counts = np.maximum(column.counts[rows] - n + 1, 0)
    hashes = np.empty(int(counts.sum()), np.uint64)
    _roll(column.hashes, column.offsets, rows, n, _leading(n), hashes)
    return np.repeat(rows, counts), np.arange(len(hashes)) - np.repeat(np.cumsum(counts) - counts, counts), hashes


@dataclass(frozen=True)
class Lookup:
    """Sorted hashes, made ready for a search. `grams`: uint64[g], ascending. The first `bits` bits of a hash number its bucket:
    `buckets`: int32[2^bits + 1], where each begins. `words`: uint64[a power of two], the filter of those that are searched for.
    """

    grams: npt.NDArray[np.uint64]
    buckets: npt.NDArray[np.int32]
    bits: int
    words: npt.NDArray[np.uint64]

    @classmethod
    def by_length(cls, grams: npt.NDArray[np.uint64], lengths: npt.NDArray[np.uint8]) -> dict[int, Lookup]:
        """One for each length of n-grams; `lengths`: uint8[g]. They differ in the filter."""
        bits = max(8, len(grams).bit_length())
        first = np.searchsorted(grams, np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits))
        buckets = np.append(first, len(grams)).astype(np.int32)
        return {n: cls(grams, buckets, bits, _filter(grams[lengths == n])) for n in np.unique(lengths).tolist()}


def _filter(grams: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    words = np.zeros(1 << max(4, len(grams).bit_length() - 2), np.uint64)
    _fill(grams, words)
    return words


def find_grams(
    column: UnitColumn, n: int, lookup: Lookup
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Row, first unit and place in `lookup.grams` of each n-gram of the column that is there, int64[hits] each."""
    room = max(1024, len(column.hashes) // 256)
    tables = (lookup.grams, lookup.words, lookup.buckets, lookup.bits)
    while True:
        hits = np.empty((room, 3), np.int64)
        found = int(_search(column.hashes, column.offsets, n, _leading(n), *tables, hits))
        if found <= room:
            return hits[:found, 0].copy(), hits[:found, 1].copy(), hits[:found, 2].copy()
        room = found


_BASE = int(GOLDEN)  # odd: multiplication by it can be undone, so that no unit is forgotten


def _leading(n: int) -> np.uint64:
    """What the unit that leaves the window was multiplied by."""
    return np.uint64(pow(_BASE, n, 2**64))


@kernel
def _mixed(state: np.uint64, n: Int) -> np.uint64:
    """The finalizer of SplitMix64 over a window's polynomial; windows of different lengths do not meet."""
    return mix(state ^ (np.uint64(n) * np.uint64(0xD6E8FEB86659FD93)))


@kernel
def _roll(hashes: Hashes, offsets: Ints, rows: Ints, n: Int, leading: np.uint64, out: Hashes) -> None:
    done = 0
    for row in rows:
        state = np.uint64(0)
        for k in range(offsets[row], offsets[row + 1]):
            state = state * np.uint64(_BASE) + hashes[k]
            if k >= offsets[row] + n:
                state -= hashes[k - n] * leading
            if k >= offsets[row] + n - 1:
                out[done] = _mixed(state, n)
                done += 1


@kernel
def _mask(gram: np.uint64) -> np.uint64:
    """The two bits of a word that stand for a hash; the word is numbered by the bits above these."""
    return (np.uint64(1) << (gram & np.uint64(63))) | (np.uint64(1) << ((gram >> np.uint64(6)) & np.uint64(63)))


@kernel
def _fill(grams: Hashes, words: Hashes) -> None:
    last = np.uint64(len(words) - 1)
    for gram in grams:
        words[(gram >> np.uint64(12)) & last] |= _mask(gram)


@kernel
def _search(
    hashes: Hashes, offsets: Ints, n: Int, leading: np.uint64, grams: Hashes, words: Hashes, buckets: Ints32, bits: Int, hits: Ints
) -> int:
    found, last = 0, np.uint64(len(words) - 1)
    for row in range(len(offsets) - 1):
        state = np.uint64(0)
        for k in range(offsets[row], offsets[row + 1]):
            state = state * np.uint64(_BASE) + hashes[k]
            if k >= offsets[row] + n:
                state -= hashes[k - n] * leading
            if k < offsets[row] + n - 1:
                continue
            gram = _mixed(state, n)
            mask = _mask(gram)
            if words[(gram >> np.uint64(12)) & last] & mask != mask:
                continue
            bucket = np.int64(gram >> np.uint64(64 - bits))
            for slot in range(buckets[bucket], buckets[bucket + 1]):
                if grams[slot] == gram:
                    if found < len(hits):
                        hits[found, 0], hits[found, 1], hits[found, 2] = row, k - offsets[row] - n + 1, slot
                    found += 1
                    break
    return found
