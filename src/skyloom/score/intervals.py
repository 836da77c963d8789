"""95 % confidence intervals: bootstrap over documents for mean losses, Wilson for shares of right answers.

Input: sums per document or per item; output: an `Estimate`. Mean losses are ratios of sums (nats over
tokens), and tokens of one document are far from independent, so documents are resampled, never tokens. From n documents
n - 1 are drawn with replacement (Rao and Wu, 1988): the spread of the replicates then has no downward bias, which the
usual draw of n has by a factor (n - 1) / n and which matters for the few items of a stratum. Shares of right answers
take Wilson's interval, which stays inside 0..1 and holds its level for small counts.

The report (4, 5.2) prints point figures only.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
Z = 1.959963984540054
"""The normal quantile of a two-sided interval of `LEVEL`."""

CHUNK = 32 << 20
"""Bytes of the counts of draws that are held at once."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; `low` and `high` are NaN where one observation gives no interval."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2


def generator(seed: int, *names: str) -> np.random.Generator:
    """A random stream of its own for each name, the same on every machine."""
    return np.random.Generator(np.random.PCG64([seed, *(zlib.crc32(n.encode("utf-8")) for n in names)]))


def drawn(count: int, rng: np.random.Generator, resamples: int) -> Floats:
    """How often each of `count` documents is drawn in each resample of `count - 1`, float64[resamples, count]: 8 bytes times
    both numbers. `resampled_sums` needs no more than `CHUNK` for any numbers."""
    return rng.multinomial(count - 1, np.full(count, 1 / count), size=resamples).astype(np.float64)


def resampled_sums(columns: Sequence[Floats], rng: np.random.Generator, resamples: int) -> list[Floats]:
    """Sums of float64[n] columns over the resamples of their n documents, float64[resamples] each; the same draws for all.

    Drawn in chunks of at most `CHUNK` bytes (of one resample at least), which give the same stream as all at once.
    """
    count = len(columns[0])
    sums = [np.empty(resamples) for _ in columns]
    rows = max(1, CHUNK // (8 * max(count, 1)))
    for start in range(0, resamples, rows):
        times = drawn(count, rng, min(rows, resamples - start))
        for one, column in zip(sums, columns, strict=True):
            one[start : start + len(times)] = times @ column
    return sums


def replicates(numerators: npt.ArrayLike, denominators: npt.ArrayLike, rng: np.random.Generator, resamples: int) -> Floats:
    """Bootstrap replicates of sum(numerators) / sum(denominators), float64[resamples].

    `numerators` and `denominators`: [n], one entry per document. NaN where a resample has nothing to divide by, and all NaN if n is
    below 2.
    """
    top, bottom = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    if len(top) < 2:
        return np.full(resamples, np.nan)
    above, below = resampled_sums((top, bottom), rng, resamples)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below > 0, above / below, np.nan)


def estimate(value: float, draws: Floats) -> Estimate:
    """`value` with the percentile interval of its replicates."""
    if not len(draws) or np.isnan(draws).any():
        return Estimate(value, math.nan, math.nan)
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def ratio(numerators: npt.ArrayLike, denominators: npt.ArrayLike, rng: np.random.Generator, resamples: int) -> Estimate:
    """sum(numerators) / sum(denominators) with its interval; NaN if there is nothing to divide by."""
    total = float(np.sum(np.asarray(denominators, np.float64)))
    if total <= 0:
        return Estimate(math.nan, math.nan, math.nan)
    value = float(np.sum(np.asarray(numerators, np.float64))) / total
    return estimate(value, replicates(numerators, denominators, rng, resamples))


def wilson(correct: int, items: int) -> Estimate:
    """The share of right answers with Wilson's 95 % interval; NaN, 0, 1 where there are no items."""
    if items == 0:
        return Estimate(math.nan, 0.0, 1.0)
    share, z2 = correct / items, Z * Z
    middle = (share + z2 / (2 * items)) / (1 + z2 / items)
    reach = Z * math.sqrt(share * (1 - share) / items + z2 / (4 * items * items)) / (1 + z2 / items)
    # Rounding must not put the share outside its own interval, where it lies on the edge: none or all right.
    return Estimate(share, min(share, max(0.0, middle - reach)), max(share, min(1.0, middle + reach)))


def figure(value: float) -> float | None:
    """A number as JSON files hold it: seven significant digits, and null for what is not a finite number."""
    return float(f"{value:.7g}") if math.isfinite(value) else None
