"""N-gram overlap of two text collections, in units: for near-copies of held-out documents and for test items in the corpus.

Input: two text columns. Output: for each candidate text, the share of its n-grams that some reference text has. The unit of
text makes one threshold mean the same in both languages. The corpus removes near-copies of held-out documents with it, and the
leakage audit asks with it whether a test item stands in the training text (report 5.2 asks the same question with losses).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import FNV_PRIME, GOLDEN, Bytes, Hashes, Int, Ints, kernel
from skyloom.core.units import UnitColumn, hash_units, ngrams

N = 13
"""Units per n-gram unless told: long enough that prose seldom shares one by chance."""


class Reference:
    """The set of n-grams of a reference collection: a sorted uint64 array, and before it a sieve that most others do not pass.

    10 to 12 bytes for each distinct n-gram. Texts shorter than `n` units count with one n-gram of all their units, so that a
    short exercise can be found too.
    """

    def __init__(self, texts: pa.Array | pa.ChunkedArray, n: int = N) -> None:
        self.n = n
        self.grams: npt.NDArray[np.uint64] = np.unique(_grams(texts, n).hashes)
        self._sieve: npt.NDArray[np.uint8] = _sift(self.grams, np.zeros(1 << max(len(self.grams) * 2, 2).bit_length(), np.uint8))

    def share(self, texts: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.float64]:
        """For each text the share of its n-grams that the reference has, float64[rows] in 0..1; 0 for a text without units."""
        column = _grams(texts, self.n)
        hits = _hits(column.hashes, column.offsets, self.grams, self._sieve)
        return np.asarray(hits / np.maximum(column.counts, 1), np.float64)


def _grams(texts: pa.Array | pa.ChunkedArray, n: int) -> UnitColumn:
    column = hash_units(texts)
    counts = column.counts
    sizes = np.where(counts >= n, counts - n + 1, np.minimum(counts, 1))
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(sizes, out=bounds[1:])
    out = np.empty(bounds[-1], np.uint64)
    long = ngrams(column, n)
    _merge(column.hashes, column.offsets, long.hashes, long.offsets, bounds, out)
    return UnitColumn(out, bounds)


@kernel
def _merge(hashes: Hashes, offsets: Ints, long_hashes: Hashes, long_offsets: Ints, bounds: Ints, out: Hashes) -> None:
    for row in range(len(offsets) - 1):
        size = bounds[row + 1] - bounds[row]
        if long_offsets[row + 1] > long_offsets[row]:
            for k in range(size):
                out[bounds[row] + k] = long_hashes[long_offsets[row] + k]
        elif size:
            state = GOLDEN
            for k in range(offsets[row], offsets[row + 1]):
                state = (state ^ hashes[k]) * FNV_PRIME
                state ^= state >> np.uint64(29)
            out[bounds[row]] = state


@kernel
def _slot(gram: np.uint64, size: Int) -> tuple[Int, np.uint8]:
    """Where a gram's bit is in a sieve of `size` bytes, a power of two: the byte, and the bit."""
    mixed = gram * GOLDEN
    return np.int64(mixed >> np.uint64(23)) & (size - 1), np.uint8(1) << np.uint8(mixed >> np.uint64(61))


@kernel
def _sift(grams: Hashes, sieve: Bytes) -> Bytes:
    for gram in grams:
        at, bit = _slot(gram, len(sieve))
        sieve[at] |= bit
    return sieve


@kernel
def _hits(hashes: Hashes, offsets: Ints, grams: Hashes, sieve: Bytes) -> Ints:
    out = np.zeros(len(offsets) - 1, np.int64)
    for row in range(len(offsets) - 1):
        for k in range(offsets[row], offsets[row + 1]):
            at, bit = _slot(hashes[k], len(sieve))
            if sieve[at] & bit:
                place = np.searchsorted(grams, hashes[k])
                if place < len(grams) and grams[place] == hashes[k]:
                    out[row] += 1
    return out
