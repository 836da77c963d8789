"""Loss gaps between splits, of one mix of families, with their uncertainty.

Input: losses per item of several splits; output: mean token losses and their differences with 95 % intervals.

Splits differ by chance in how many items of each family and language they hold, and families differ in loss
by far more than leakage does. So means are standardised to the *suspect* split: its own is its plain token mean, as in
the report's Table 8, and a reference's is taken within each stratum (a family in one language) and weighted by the
tokens that the suspect has there. Where splits are too small for families, strata are languages.

Each split is resampled by itself: the reference within its strata; the suspect over all its items, after each stratum's
reference mean is taken off, so that a suspect with one item of a family still tells how far items scatter. With few
items percentile intervals are too narrow, as a normal interval would be; they are widened by the ratio of Student's
quantile to the normal one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from skyloom.core.errors import DataError
from skyloom.score.intervals import LEVEL, Estimate, Floats, Z, estimate, generator, replicates, resampled_sums

FAMILY, LANGUAGE, ALL = "family and language", "language", "all items"
STRATA = (FAMILY, LANGUAGE, ALL)
"""Ways to form strata, the finest first."""

FEWEST = 2
"""Items that a reference must have in a stratum: one item says nothing about spread."""

COVERED = 0.9
"""Share of the suspect's tokens that must lie in strata which the references have, for a way to be taken."""


@dataclass(frozen=True)
class Scored:
    """A split under one model. `nats`: float64[items]; `tokens`: int64[items], positive; `kinds`: (family, language)."""

    nats: Floats
    tokens: npt.NDArray[np.int64]
    kinds: tuple[tuple[str, str], ...]

    def strata(self, by: str) -> list[str]:
        """The stratum of each item."""
        if by == FAMILY:
            return [f"{family}/{lang}" for family, lang in self.kinds]
        return [lang for _, lang in self.kinds] if by == LANGUAGE else [ALL] * len(self.kinds)

    def pick(self, rows: Sequence[int]) -> Scored:
        chosen = list(rows)
        return Scored(self.nats[chosen], self.tokens[chosen], tuple(self.kinds[r] for r in chosen))


@dataclass(frozen=True)
class Mix:
    """A suspect with its strata. `names`: the strata; `of`: int64[items], the stratum of each item of `suspect`."""

    by: str
    suspect: Scored
    names: tuple[str, ...]
    of: npt.NDArray[np.int64]

    @property
    def weights(self) -> Floats:
        """The suspect's share of tokens in each stratum, float64[strata]."""
        tokens = np.bincount(self.of, self.suspect.tokens, len(self.names))
        return np.asarray(tokens / tokens.sum(), np.float64)

    def rows(self, reference: Scored) -> list[npt.NDArray[np.int64]]:
        """Row numbers of a reference's items in each stratum."""
        strata = np.asarray(reference.strata(self.by), dtype=object)
        return [np.flatnonzero(strata == name) for name in self.names]


def mix(suspect: Scored, references: Mapping[str, Scored]) -> Mix:
    """The suspect's items in strata that all references have, by the finest way that covers the suspect.

    Items outside these strata are left out. DataError if a split is too small for any comparison.
    """
    for by in STRATA:
        strata = suspect.strata(by)
        counts = [{s: other.strata(by).count(s) for s in set(strata)} for other in references.values()]
        names = tuple(sorted(s for s in set(strata) if all(c[s] >= FEWEST for c in counts)))
        kept = [row for row, stratum in enumerate(strata) if stratum in names]
        if len(kept) >= FEWEST and suspect.tokens[kept].sum() >= COVERED * suspect.tokens.sum():
            return Mix(by, suspect.pick(kept), names, np.array([names.index(strata[r]) for r in kept], np.int64))
    sizes = ", ".join(f"{name} {len(split.kinds)}" for name, split in references.items())
    raise DataError(
        f"too few exercises for the leakage audit (suspect {len(suspect.kinds)}, {sizes}); generate at least {FEWEST} in each split"
    )


def suspect_mean(mixed: Mix, *, seed: int, name: str, resamples: int) -> Estimate:
    """The suspect's mean token loss in nats."""
    split = mixed.suspect
    draws = replicates(split.nats, split.tokens, generator(seed, name), resamples)
    return _widened(estimate(float(split.nats.sum() / split.tokens.sum()), draws), len(split.nats) - 1)


def reference_mean(mixed: Mix, reference: Scored, *, seed: int, name: str, resamples: int) -> Estimate:
    """A reference's mean token loss in nats, with the suspect's mix of strata."""
    means, draws = _by_stratum(mixed, reference, seed, name, resamples)
    return _widened(estimate(float(means @ mixed.weights), draws @ mixed.weights), _free(mixed, reference))


def gap(mixed: Mix, reference: Scored, *, seed: int, name: str, resamples: int) -> Estimate:
    """The suspect's mean token loss less the reference's, in nats."""
    split, strata = mixed.suspect, len(mixed.names)
    means, draws = _by_stratum(mixed, reference, seed, name, resamples)
    spread = np.zeros((strata, len(split.nats)))
    spread[mixed.of, np.arange(len(split.nats))] = split.tokens
    nats, *sums = resampled_sums((split.nats, *spread), generator(seed, "suspect", name), resamples)
    tokens = np.stack(sums, axis=1)
    replicated = (nats - (tokens * draws).sum(1)) / tokens.sum(1)
    value = float(split.nats.sum() / split.tokens.sum() - means @ mixed.weights)
    return _widened(estimate(value, replicated), min(len(split.nats) - 1, _free(mixed, reference)))


def paired(first: Scored, second: Scored, *, seed: int, name: str, resamples: int) -> Estimate:
    """Mean over pairs of the difference of token losses, item i of `first` against item i of `second`; pairs are resampled."""
    gaps = first.nats / first.tokens - second.nats / second.tokens
    draws = replicates(gaps, np.ones(len(gaps)), generator(seed, "paired", name), resamples)
    return _widened(estimate(float(gaps.mean()) if len(gaps) else math.nan, draws), len(gaps) - 1)


def _by_stratum(mixed: Mix, reference: Scored, seed: int, name: str, resamples: int) -> tuple[Floats, Floats]:
    """Mean token loss of each stratum, float64[strata], and its replicates, float64[resamples, strata]."""
    rng = generator(seed, "reference", name)
    parts = [(reference.nats[rows], reference.tokens[rows]) for rows in mixed.rows(reference)]
    means = np.array([nats.sum() / tokens.sum() for nats, tokens in parts], np.float64)
    return means, np.stack([replicates(nats, tokens, rng, resamples) for nats, tokens in parts], axis=1)


def _free(mixed: Mix, reference: Scored) -> int:
    """Degrees of freedom that the strata leave."""
    return sum(len(rows) - 1 for rows in mixed.rows(reference))


def _widened(interval: Estimate, free: int) -> Estimate:
    if free < 1 or math.isnan(interval.low):
        return Estimate(interval.value, math.nan, math.nan)
    factor = float(stats.t.ppf((1 + LEVEL) / 2, free)) / Z
    value = interval.value
    return Estimate(value, value - factor * (value - interval.low), value + factor * (interval.high - value))
