"""The rules of the leakage audit: from loss gaps to a verdict in words, stated before anything is measured.

The report (5.2, Table 8) reads two gaps of mean token loss by eye: L_test - L_ref (low: the test split was trained on)
and L_test - L_train (high: the model knows its train split by heart). It gives neither intervals nor a threshold. Here
a gap counts when its whole 95 % interval lies on one side of zero; on a clean model each gap gives a false alarm in 2.5 %
of audits. A gap that does not count is told with the size that would have been seen four times in five: "no sign" from a handful
of items says little, and the reader must see that.

Published tables hold no intervals. `judge_points` reads them with one threshold for both gaps, `POINT_THRESHOLD`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from skyloom.score.intervals import Estimate

LEAKED = "test data leaked"
OVERFITTED = "overfitted on the train split"
NO_SIGN = "no sign"
UNKNOWN = "cannot tell"

POINT_THRESHOLD = 0.2
"""Nats per token, for figures without intervals: between the gaps that the report's text names and those it passes over."""

POWER = 1.43
"""The gap seen four times in five, in half-widths of the interval: (1.96 + 0.84) / 1.96 for a normal estimate."""

WORDS = {
    "L": "mean loss in nats per token over question and solution concatenated, with the test split's mix of families",
    "delta1": f"L_test - L_ref; '{LEAKED}' if its 95 % interval lies below 0: the test split reads easier than others of its kind",
    "delta2": f"L_test - L_train; '{OVERFITTED}' if its 95 % interval lies above 0: the train split reads easier than unseen items",
    NO_SIGN: "the interval holds 0; the true gap that would have been seen four times in five is given with it",
    UNKNOWN: "too few items for an interval; of canaries also: flagged, but so is the held-back half, or both are not told apart",
}


@dataclass(frozen=True)
class LeakageVerdict:
    """`leaked` and `overfitted` are None where there was no interval to judge; `words` is for people."""

    leaked: bool | None
    overfitted: bool | None
    words: str


def below_zero(gap: Estimate) -> bool | None:
    """Whether the interval lies below 0; None without an interval."""
    return None if math.isnan(gap.high) else gap.high < 0


def above_zero(gap: Estimate) -> bool | None:
    """Whether the interval lies above 0; None without an interval."""
    return None if math.isnan(gap.low) else gap.low > 0


def detectable(gap: Estimate) -> float:
    """The true gap, in nats per token, that an interval this wide would show four times in five."""
    return POWER * gap.half_width


def judge(delta1: Estimate, delta2: Estimate) -> LeakageVerdict:
    """The verdict on one model from its two gaps with intervals."""
    leaked, overfitted = below_zero(delta1), above_zero(delta2)
    sizes = f"a leak of {detectable(delta1):.2g} or an overfit of {detectable(delta2):.2g} nats per token"
    seen = f"{sizes} would have been seen four times in five"
    return LeakageVerdict(leaked, overfitted, _sentence(leaked, overfitted, delta1.value, delta2.value, seen))


def judge_points(delta1: float, delta2: float, threshold: float = POINT_THRESHOLD) -> LeakageVerdict:
    """The verdict on published point figures: a gap counts from `threshold` nats per token on."""
    leaked, overfitted = delta1 <= -threshold, delta2 >= threshold
    seen = f"gaps count from {threshold:g} nats per token on"
    return LeakageVerdict(leaked, overfitted, _sentence(leaked, overfitted, delta1, delta2, seen))


def _sentence(leaked: bool | None, overfitted: bool | None, delta1: float, delta2: float, seen: str) -> str:
    found = [f"{name} (by {gap:.2f})" for name, flag, gap in ((LEAKED, leaked, -delta1), (OVERFITTED, overfitted, delta2)) if flag]
    if found:
        return "; ".join(found)
    return UNKNOWN if leaked is None or overfitted is None else f"{NO_SIGN} ({seen})"
