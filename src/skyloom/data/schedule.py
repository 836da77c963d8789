"""Deterministic mixing: which source each sample of a stage comes from, never far from the planned shares.

Drawing sources at random gives each batch a mixture of its own and a small source (the canaries) a random number of samples.
We assign them instead: this is the chairman assignment problem, and Tijdeman's rule (1980, Discrete Mathematics 32)
keeps the number of samples of every one of n sources within 1 - 1/(2n-2) of its share at every point of the stage, for
shares that change with time too. The rule: of the sources that are far enough behind, take the one that must be
taken soonest. It is earliest-deadline-first scheduling of unit jobs: the k-th sample of a source may be given out once its
share has come to k - 1 + 1/(2n-2), and must be before it passes k - 1/(2n-2).

Run sample by sample, the rule would make a jump to a late step walk through all that came before: minutes at the report's
size. So it is run twice. First over borders that lie `BLOCK` samples apart: from one to the next it gives whole amounts, of which
all but at most one sample of each source are certain, and those by their deadlines. Then, inside a block, over its samples,
with what its borders leave to each source; where no source is due yet, the one that is most behind goes early. What is
proven of it (the interval scheduling argument is in ADR 0007): at borders, and in the last block, Tijdeman's bound; elsewhere
no source is more than that behind, and none is 2 samples ahead. A stage of one block is Tijdeman's sequence itself.

A jump costs the borders before it, a microsecond or two each, and one block: 30 ms to the end of 3.3 T tokens in samples of
4,096. Memory is one block. Nothing is kept but the border last passed, which saves time and is no state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Floats, Int, Ints, kernel

BLOCK = 1 << 16
"""Samples computed at once."""


@dataclass(frozen=True)
class ScheduleBlock:
    """Samples from `first` on. `sources`: int16[length]; `ranks`: int64[length], how many of that source came before each;
    `before`: int64[sources], how many of each came before the block."""

    number: int
    first: int
    sources: npt.NDArray[np.int16]
    ranks: npt.NDArray[np.int64]
    before: npt.NDArray[np.int64]


class Schedule:
    """Sources of samples 0 … samples - 1.

    `positions`: float64[K], sample positions from 0 to `samples`, ascending; `shares`: float64[K, sources], each row adding
    up to 1, linear in between. Two equal positions are a step: the shares before it and from it on.
    """

    def __init__(
        self, samples: int, positions: npt.NDArray[np.float64], shares: npt.NDArray[np.float64], *, block: int = BLOCK
    ) -> None:
        self.samples, self.block_size = samples, block
        self._positions = np.ascontiguousarray(positions, np.float64)
        self._shares = np.ascontiguousarray(shares, np.float64)
        widths = np.diff(self._positions)[:, None]
        steps = (self._shares[:-1] + self._shares[1:]) / 2 * widths
        self._totals = np.vstack([np.zeros((1, self._shares.shape[1])), np.cumsum(steps, axis=0)])
        # Both are replaced whole, never changed, so that a thread that reads ahead cannot see half of one.
        self._border = (0, np.zeros(self._shares.shape[1], np.int64))
        self._held: ScheduleBlock | None = None

    def block(self, number: int) -> ScheduleBlock:
        """Samples number * block_size and on; an empty block where the stage is over."""
        held = self._held
        if held is not None and held.number == number:
            return held
        first = min(number * self.block_size, self.samples)
        length = min(self.block_size, self.samples - first)
        before = self._counts_at(number)
        counts, quota = before.copy(), before + length  # of the last block no source's part is fixed beforehand
        if first + length < self.samples:
            quota = self._counts_at(number + 1)
        sources, ranks = _assign(self._positions, self._shares, self._totals, counts, quota, first, length)
        self._held = ScheduleBlock(number, first, sources, ranks, before)
        return self._held

    def counts(self, sample: int) -> npt.NDArray[np.int64]:
        """Samples of each source among the first `sample`, int64[sources]."""
        sample = min(sample, self.samples)
        held = self._held
        if held is None or not held.first <= sample <= held.first + len(held.sources):
            held = self.block(sample // self.block_size)
        inside = np.bincount(held.sources[: sample - held.first], minlength=len(held.before))
        return np.asarray(held.before + inside, np.int64)

    def ideal(self, sample: int) -> npt.NDArray[np.float64]:
        """What the shares ask of each source among the first `sample`, float64[sources]."""
        sources = self._shares.shape[1]
        return np.array([_total(self._positions, self._shares, self._totals, 0, i, float(sample)) for i in range(sources)])

    def most(self) -> npt.NDArray[np.int64]:
        """How many samples of each source the whole stage has at most, int64[sources], without running through it."""
        bound = np.floor(self.ideal(self.samples) + 1 - _slack(self._shares.shape[1]) + 1e-9)
        return np.asarray(np.minimum(bound, self.samples), np.int64)

    def _counts_at(self, number: int) -> npt.NDArray[np.int64]:
        """Samples of each source before block `number`, which must not be modified."""
        at, counts = self._border
        if at > number:
            at, counts = 0, np.zeros(self._shares.shape[1], np.int64)
        if at < number:
            counts = counts.copy()
            _borders(self._positions, self._shares, self._totals, counts, at, number, self.block_size)
            self._border = (number, counts)
        return counts


@kernel
def _slack(sources: Int) -> float:
    return 1.0 / (2 * sources - 2) if sources > 1 else 0.0


@kernel
def _piece(positions: Floats, k: Int, at: float) -> Int:
    """The piece that holds `at`, searched from piece k on. A step's piece has no width and holds nothing."""
    while k < len(positions) - 2 and at > positions[k + 1]:
        k += 1
    return k


@kernel
def _total(positions: Floats, shares: Floats, totals: Floats, k: Int, source: Int, at: float) -> float:
    """Integral of a source's share from 0 to `at`, which lies in piece k or later."""
    k = _piece(positions, k, at)
    width = positions[k + 1] - positions[k]
    slope = (shares[k + 1, source] - shares[k, source]) / width
    x = at - positions[k]
    total: float = totals[k, source] + x * (shares[k, source] + 0.5 * slope * x)
    return total


@kernel
def _when(positions: Floats, shares: Floats, totals: Floats, k: Int, source: Int, amount: float) -> float:
    """The position, in piece k or later, where the integral of a source's share reaches `amount`; past the end the last share
    goes on."""
    last = len(positions) - 1
    if amount > totals[last, source]:
        rest = amount - totals[last, source]
        return positions[last] + rest / shares[last, source] if shares[last, source] > 0 else np.inf
    while k < last - 1 and amount > totals[k + 1, source]:
        k += 1
    rest = amount - totals[k, source]
    start = shares[k, source]
    slope = (shares[k + 1, source] - start) / (positions[k + 1] - positions[k])
    root = np.sqrt(max(start * start + 2.0 * slope * rest, 0.0))
    position: float = positions[k] + 2.0 * rest / (start + root) if start + root > 0 else positions[k + 1]
    return position


@kernel
def _borders(positions: Floats, shares: Floats, totals: Floats, counts: Ints, number: Int, stop: Int, size: Int) -> None:
    """Move `counts` on from border `number` to border `stop`: what is overdue there, then the earliest deadlines."""
    n = len(counts)
    slack = _slack(n)
    ideal, due = np.empty(n, np.float64), np.empty(n, np.float64)
    floor = np.empty(n, np.int64)
    k: Int = 0
    while number < stop:
        floor[:] = counts
        k = _piece(positions, k, np.float64(number * size))
        number += 1
        left = number * size
        for i in range(n):
            ideal[i] = _total(positions, shares, totals, k, i, np.float64(number * size))
            counts[i] = max(counts[i], np.int64(np.ceil(ideal[i] - 1.0 + slack)))
            due[i] = _when(positions, shares, totals, k, i, counts[i] + 1.0 - slack)
            left -= counts[i]
        for _ in range(left):
            best = _soonest(ideal, counts, due, slack)
            counts[best] += 1
            due[best] = _when(positions, shares, totals, k, best, counts[best] + 1.0 - slack)
        for _ in range(-left):  # only rounding can bring this about
            best = -1
            for i in range(n):
                if counts[i] > floor[i] and (best < 0 or counts[i] - ideal[i] > counts[best] - ideal[best]):
                    best = i
            counts[best] -= 1


@kernel
def _soonest(ideal: Floats, counts: Ints, due: Floats, slack: float) -> int:
    """Of the sources that are far enough behind the one that is due soonest, else the one most behind."""
    best, most, behind = -1, 0, -np.inf
    for i in range(len(counts)):
        lag = ideal[i] - counts[i]
        if lag > behind:
            most, behind = i, lag
        if lag >= slack and (best < 0 or due[i] < due[best]):
            best = i
    return best if best >= 0 else most


@kernel
def _assign(
    positions: Floats, shares: Floats, totals: Floats, counts: Ints, quota: Ints, first: Int, length: Int
) -> tuple[npt.NDArray[np.int16], Ints]:
    """Tijdeman's rule for samples first … first + length - 1, at most up to `quota` of each source; `counts` is moved on."""
    n = len(counts)
    slack = _slack(n)
    k = _piece(positions, 0, np.float64(first))
    due = np.empty(n, np.float64)
    for i in range(n):
        due[i] = _when(positions, shares, totals, k, i, counts[i] + 1.0 - slack)
    sources = np.empty(length, np.int16)
    ranks = np.empty(length, np.int64)
    for j in range(length):
        best, most, behind = -1, -1, -np.inf
        for i in range(n):
            if counts[i] < quota[i]:
                lag = _total(positions, shares, totals, k, i, first + j + 1.0) - counts[i]
                if lag > behind:
                    most, behind = i, lag
                if lag >= slack and (best < 0 or due[i] < due[best]):
                    best = i
        if best < 0:
            best = most
        sources[j] = best
        ranks[j] = counts[best]
        counts[best] += 1
        due[best] = _when(positions, shares, totals, k, best, counts[best] + 1.0 - slack)
    return sources, ranks
