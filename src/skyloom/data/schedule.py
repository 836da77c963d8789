"""Which source each sample comes from: shares over a stage in, a sequence of sources out that never strays from them.

Drawing sources at random gives each batch a mixture of its own and a small source (the canaries) a random number of samples.
We assign them instead: this is the chairman assignment problem, and Tijdeman's rule (1980, Discrete Mathematics 32)
keeps the number of samples of every one of n sources within 1 - 1/(2n-2) of its share at every point of the stage, for
shares that change with time too. The rule: of the sources that are far enough behind, take the one that must be
taken soonest.

The sequence is computed in blocks. A block needs only the counts at its start, so a jump costs one block (1 ms) once the
counts have been run through (some ten million samples a second, and 8 bytes kept per source and block).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

BLOCK = 1 << 16
"""Samples computed at once."""


class Schedule:
    """Sources of samples 0 … samples - 1.

    `positions`: float64[K], sample positions from 0 to `samples`, ascending; `shares`: float64[K, sources], each row adding
    up to 1, linear in between.
    """

    def __init__(self, samples: int, positions: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> None:
        self.samples = samples
        self._positions = np.ascontiguousarray(positions, np.float64)
        self._shares = np.ascontiguousarray(shares, np.float64)
        widths = np.diff(self._positions)[:, None]
        steps = (self._shares[:-1] + self._shares[1:]) / 2 * widths
        self._totals = np.vstack([np.zeros((1, self._shares.shape[1])), np.cumsum(steps, axis=0)])
        self._starts = [np.zeros(self._shares.shape[1], np.int64)]
        self._held: tuple[int, npt.NDArray[np.int16], npt.NDArray[np.int64]] | None = None

    def block(self, number: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]:
        """Samples number * BLOCK and on: the source of each, int16, and how many of that source came before it, int64."""
        if self._held is None or self._held[0] != number:
            while len(self._starts) <= number:
                self._run(len(self._starts) - 1)
            self._held = (number, *self._run(number))
        return self._held[1:]

    def counts(self, sample: int) -> npt.NDArray[np.int64]:
        """Samples of each source among the first `sample`, int64[sources]."""
        number = min(sample, self.samples) // BLOCK
        sources, _ = self.block(number)
        within = sources[: min(sample, self.samples) - number * BLOCK]
        return self._starts[number] + np.bincount(within, minlength=self._shares.shape[1])

    def ideal(self, sample: int) -> npt.NDArray[np.float64]:
        """What the shares ask of each source among the first `sample`, float64[sources]."""
        return np.array(
            [_total(self._positions, self._shares, self._totals, i, float(sample)) for i in range(self._shares.shape[1])]
        )

    def _run(self, number: int) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int64]]:
        counts = self._starts[number].copy()
        first = number * BLOCK
        length = max(min(BLOCK, self.samples - first), 0)
        sources, ranks = _assign(self._positions, self._shares, self._totals, counts, first, length)
        if len(self._starts) == number + 1:
            self._starts.append(counts)
        return sources, ranks


def _jit(function: Any) -> Any:
    return numba.njit(cache=True, nogil=True)(function)


@_jit
def _total(positions, shares, totals, source, at):  # type: ignore[no-untyped-def]
    """Integral of a source's share from 0 to `at`."""
    k = 0
    while k < len(positions) - 2 and at > positions[k + 1]:
        k += 1
    width = positions[k + 1] - positions[k]
    slope = (shares[k + 1, source] - shares[k, source]) / width
    x = at - positions[k]
    return totals[k, source] + x * (shares[k, source] + 0.5 * slope * x)


@_jit
def _when(positions, shares, totals, source, amount):  # type: ignore[no-untyped-def]
    """The position at which the integral of a source's share reaches `amount`; past the end the last share goes on."""
    last = len(positions) - 1
    if amount > totals[last, source]:
        rest = amount - totals[last, source]
        return positions[last] + rest / shares[last, source] if shares[last, source] > 0 else np.inf
    k = 0
    while k < last - 1 and amount > totals[k + 1, source]:
        k += 1
    rest = amount - totals[k, source]
    start = shares[k, source]
    slope = (shares[k + 1, source] - start) / (positions[k + 1] - positions[k])
    root = np.sqrt(max(start * start + 2.0 * slope * rest, 0.0))
    return positions[k] + 2.0 * rest / (start + root) if start + root > 0 else positions[k + 1]


@_jit
def _assign(positions, shares, totals, counts, first, length):  # type: ignore[no-untyped-def]
    """Tijdeman's rule for samples first … first + length - 1; `counts` is moved on in place."""
    n = len(counts)
    slack = 1.0 / (2 * n - 2) if n > 1 else 0.0
    due = np.empty(n, np.float64)
    for i in range(n):
        due[i] = _when(positions, shares, totals, i, counts[i] + 1.0 - slack)
    sources = np.empty(length, np.int16)
    ranks = np.empty(length, np.int64)
    for j in range(length):
        best, most, behind = -1, 0, -np.inf
        for i in range(n):
            lag = _total(positions, shares, totals, i, first + j + 1.0) - counts[i]
            if lag > behind:
                most, behind = i, lag
            if lag >= slack and (best < 0 or due[i] < due[best]):
                best = i
        if best < 0:  # only rounding can bring this about
            best = most
        sources[j] = best
        ranks[j] = counts[best]
        counts[best] += 1
        due[best] = _when(positions, shares, totals, best, counts[best] + 1.0 - slack)
    return sources, ranks
