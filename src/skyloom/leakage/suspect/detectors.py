"""The detectors of leakage: what the scores of a benchmark's items say beside those of a set that the model has not read.

Input: `ItemScores` of two sets. Output: a `DetectorFinding`: a figure with its 95 % interval and a one-sided p-value. Each is a
test of two samples of items, and fair only where the two sets are exchangeable; which of them may count is not decided here but
in `suspect_verdict`.

- Δ1 and Δ2 (report 5.2, Table 8): the mean token loss of the benchmark less that of a reference, or of the train split. A mean is a
  ratio of sums, so its error is that of a ratio over items (linearised), with Student's t and Welch's degrees of freedom.
- Min-K% (Shi et al. 2023), Min-K%++ (Zhang et al. 2024) and the ratio of nats to bytes after zlib (Carlini et al. 2021): a score of
  each item; the figure is the AUC, above one half if the benchmark's items look more familiar, with DeLong's interval and the
  p-value of Mann and Whitney.
- Twins: nats per token of each item less those of its twin. A twin of the same wording profits from what was learnt of the wording,
  so this sees little of a leak and exonerates nobody.
- A clean twin model: one that was trained as the suspect was, but without the benchmark. What the suspect pays for each item less
  what the twin pays, of the benchmark less the same of a held-back set. No stranger's model has such a twin, so `leak model` does
  not use it; it is the measure of what could be seen at best (`studies/leakage_power.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from skyloom.leakage.blind import auc
from skyloom.leakage.suspect.token_scores import ItemScores
from skyloom.score.intervals import LEVEL, Floats

PER_TOKEN, AREA, SHARES, PER_ITEM, PER_BYTE = "nats/token", "auc", "share", "nats/item", "bits/byte"
DELTA1, DELTA2, MIN_K, MIN_K_PLUS, ZLIB, FAMILY, TWINS, ITEM_ORDER, CHOICE_ORDER, COMPLETION = (
    "delta1", "delta2", "min_k", "min_k_plus", "zlib", "family", "twins", "item_order", "choice_order", "completion",
)  # fmt: skip
CLEAN_TWIN = "clean_twin"
"""Not a detector of `leak model`: see above."""
POWER = 0.8
"""Four times in five."""
ONE_DEVIATION = float(stats.norm.cdf(1 / math.sqrt(2))) - 0.5
"""By how much the AUC rises above one half if every item's score rises by one standard deviation of a normal distribution."""


@dataclass(frozen=True)
class DetectorFinding:
    """What a detector says. `p`: one-sided, for a sign of leakage (of overfitting: Δ2); `error`: standard error of `value` without
    leakage; `effect`: by how much `value` would change if every item were leaked and its score moved by one standard deviation of
    the items' scores; both NaN where no share of leaked items can be derived. `tokens`: what the model read for it."""

    name: str
    set: str
    value: float
    low: float
    high: float
    unit: str
    p: float
    items: int
    tokens: int
    error: float = math.nan
    effect: float = math.nan

    def gap_seen(self, level: float) -> float:
        """The true change that a one-sided test at `level` would have shown four times in five, in the unit of `value`."""
        return float(stats.norm.ppf(1 - level) + stats.norm.ppf(POWER)) * self.error

    def share_seen(self, level: float) -> float | None:
        """The share of leaked items that would have been seen four times in five, if the score of each leaked item moves by one
        standard deviation of the items' scores; None where even all of them would not have been, or nothing can be derived."""
        share = self.gap_seen(level) / self.effect if self.effect > 0 else math.nan
        return share if share <= 1 else None


def loss_gap(name: str, other: str, mine: Sequence[ItemScores], theirs: Sequence[ItemScores], *, low: bool) -> DetectorFinding:
    """Mean token loss of `mine` less that of `theirs`. `low`: a gap below zero is the sign, else one above."""
    (first, error1), (second, error2) = (_ratio(part) for part in (mine, theirs))
    value, error = first - second, math.hypot(error1, error2)
    free = error**4 / (error1**4 / (len(mine) - 1) + error2**4 / (len(theirs) - 1)) if error > 0 else 1.0
    reach = float(stats.t.ppf((1 + LEVEL) / 2, free)) * error
    place = value / error if error > 0 else 0.0
    p = float(stats.t.cdf(place if low else -place, free))
    spread = float(np.std([s.loss for s in mine], ddof=1))
    tokens = _tokens(mine) + _tokens(theirs)
    return DetectorFinding(
        name, other, value, value - reach, value + reach, PER_TOKEN, p, min(len(mine), len(theirs)), tokens, error, spread
    )


def score_test(name: str, other: str, mine: Sequence[ItemScores], theirs: Sequence[ItemScores]) -> DetectorFinding:
    """Whether the items of `mine` look more familiar than those of `theirs`, by MIN_K, MIN_K_PLUS or ZLIB."""
    scores = [_score(name, part) for part in (mine, theirs)]
    found = auc(np.concatenate(scores), np.repeat([True, False], [len(mine), len(theirs)]))
    p = float(stats.mannwhitneyu(scores[0], scores[1], alternative="greater").pvalue)
    error = math.sqrt((len(mine) + len(theirs) + 1) / (12 * len(mine) * len(theirs)))  # of Mann and Whitney, without leakage
    tokens, items = _tokens(mine) + _tokens(theirs), min(len(mine), len(theirs))
    return DetectorFinding(name, other, found.value, found.low, found.high, AREA, p, items, tokens, error, ONE_DEVIATION)


def twin_gap(other: str, pairs: Sequence[tuple[ItemScores, ItemScores]]) -> DetectorFinding:
    """Nats per token of each item less those of its twin; below zero is the sign. NaN for fewer than two pairs."""
    gaps = np.array([mine.loss - twin.loss for mine, twin in pairs], np.float64)
    value, low, high, p = mean_below_zero(gaps)
    tokens = sum(mine.tokens + twin.tokens for mine, twin in pairs)
    return DetectorFinding(TWINS, other, value, low, high, PER_TOKEN, p, len(pairs), tokens)


ModelPairs = Sequence[tuple[ItemScores, ItemScores]]
"""What the suspect, and then its clean twin model, pay for the same items."""


def clean_twin_gap(other: str, mine: ModelPairs, theirs: ModelPairs) -> DetectorFinding:
    """Nats per token that the suspect pays more than its clean twin model: mean over the items of the benchmark (`mine`) less that
    over a held-back set (`theirs`), which takes off what else the two models differ in. Below zero is the sign (Welch's test)."""
    first, second = (np.array([suspect.loss - twin.loss for suspect, twin in part], np.float64) for part in (mine, theirs))
    found = stats.ttest_ind(first, second, equal_var=False, alternative="less")
    both = stats.ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    value, items = float(first.mean() - second.mean()), min(len(mine), len(theirs))
    tokens = sum(suspect.tokens + twin.tokens for suspect, twin in (*mine, *theirs))
    return DetectorFinding(
        CLEAN_TWIN, other, value, float(both.low), float(both.high), PER_TOKEN, float(found.pvalue), items, tokens
    )


def mean_below_zero(gaps: Floats) -> tuple[float, float, float, float]:
    """Mean of float64[n] with its 95 % interval (Student) and the one-sided p-value for a mean below zero; NaN for n below 2."""
    if len(gaps) < 2:
        return math.nan, math.nan, math.nan, math.nan
    value, error, free = float(gaps.mean()), float(gaps.std(ddof=1)) / math.sqrt(len(gaps)), len(gaps) - 1
    reach = float(stats.t.ppf((1 + LEVEL) / 2, free)) * error
    p = float(stats.t.cdf(value / error, free)) if error > 0 else 0.5
    return value, value - reach, value + reach, p


def _ratio(scores: Sequence[ItemScores]) -> tuple[float, float]:
    """All nats over all tokens, and its standard error over items."""
    nats, tokens = (np.array([getattr(s, name) for s in scores], np.float64) for name in ("nats", "tokens"))
    ratio = float(nats.sum() / tokens.sum())
    rest = (nats - ratio * tokens) / tokens.mean()
    return ratio, math.sqrt(float(rest @ rest) / (len(scores) * (len(scores) - 1)))


def _score(name: str, scores: Sequence[ItemScores]) -> Floats:
    """The score of each item, float64[n]: higher is more familiar."""
    if name == ZLIB:
        return np.array([-s.nats / s.zlib for s in scores], np.float64)
    return np.array([s.min_k if name == MIN_K else s.min_k_plus for s in scores], np.float64)


def _tokens(scores: Sequence[ItemScores]) -> int:
    return sum(s.tokens for s in scores)
