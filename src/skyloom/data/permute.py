"""Seeded permutations that need no table (Feistel networks): the place of any index in constant time and memory.

A Feistel network is a bijection of 2^(2k) numbers whatever its round function is; walking on while the result lies outside
[0, size) makes it one of [0, size). So the place of the millionth sample is known without shuffling the million before it,
and a resumed run has nothing to restore. The random numbers are SplitMix64, written out here, because a library's generator
may change between versions and the order of training data must not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import GOLDEN, Int, Ints, kernel, mix
from skyloom.core.records import record_id

_ROUNDS = 6


def key_of(*parts: object) -> np.uint64:
    """A 64-bit key of any printable parts (a seed, a domain, a purpose)."""
    return np.uint64(int(record_id(*(str(p) for p in parts))[:16], 16))


def permute(index: npt.NDArray[np.int64], size: int, key: np.uint64) -> npt.NDArray[np.int64]:
    """Where the permutation `key` of range(size) sends each index, int64 like `index`; indices must be in [0, size)."""
    return _permute(index, np.int64(size), np.uint64(key))


def shuffled(size: int, key: np.uint64) -> npt.NDArray[np.int64]:
    """range(size) in the order of the permutation `key`, int64[size]."""
    return permute(np.arange(size, dtype=np.int64), size, key)


@kernel
def half_bits(size: Int) -> np.uint64:
    """Bits of each half of the smallest network that holds `size` numbers."""
    half = np.uint64(1)
    while (np.int64(1) << np.int64(np.uint64(2) * half)) < size:
        half += np.uint64(1)
    return half


@kernel
def permute_one(index: Int, size: Int, half: np.uint64, key: np.uint64) -> Int:
    """`permute` of one index, for compiled code; `half` is `half_bits(size)`."""
    mask = (np.uint64(1) << half) - np.uint64(1)
    value = np.uint64(index)
    while True:
        left, right = value >> half, value & mask
        for turn in range(_ROUNDS):
            mixed = mix(right + key + np.uint64(turn + 1) * GOLDEN)
            left, right = right, (left ^ mixed) & mask
        value = (left << half) | right
        if np.int64(value) < size:
            return np.int64(value)


@kernel
def _permute(index: Ints, size: Int, key: np.uint64) -> Ints:
    half = half_bits(size)
    out = np.empty(len(index), np.int64)
    for i in range(len(index)):
        out[i] = permute_one(index[i], size, half, key)
    return out
