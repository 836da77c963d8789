"""Verbatim completion: how many items a model finishes word for word from the first half of their question.

Input: scores of two sets, and where each text is cut. Output: a `DetectorFinding`: the share of the benchmark's items that greedy
decoding would write to their last token, less that share of the reference set, with Newcombe's interval and Fisher's exact p-value.
Greedy decoding writes a text's own tokens exactly if at each place the next one is the most likely. So the pass that scores a
text shows it already, and nothing needs to be generated. Where a set has texts without questions, all are cut in their middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from skyloom.leakage.benchmark_sets import BenchmarkItem
from skyloom.leakage.suspect.detectors import COMPLETION, SHARES, DetectorFinding
from skyloom.leakage.suspect.token_scores import ItemScores
from skyloom.score.intervals import wilson

LEAST = 8
"""Tokens that must be left to write: fewer are guessed."""


def beginning(item: BenchmarkItem, *, questions: bool) -> str:
    """What the model is given of an item: half of its question, or half of its text where a set has no `questions`."""
    half = len(item.question if questions else item.text) // 2
    return item.text[: item.text.find(item.question) + half] if questions else item.text[:half]


def completed(scores: ItemScores, given: int) -> bool | None:
    """Whether the text is written to its end behind its first `given` tokens; None where fewer than LEAST are left."""
    return None if scores.tokens - given < LEAST else scores.greedy_from <= given


def completion(other: str, mine: Sequence[bool | None], theirs: Sequence[bool | None]) -> DetectorFinding:
    """The benchmark's share less the reference's. NaN where a set has nothing that could be completed."""
    (own, n), (far, m) = ((sum(map(bool, part)), sum(one is not None for one in part)) for part in (mine, theirs))
    if not n or not m:
        return DetectorFinding(COMPLETION, other, math.nan, math.nan, math.nan, SHARES, math.nan, min(n, m), 0)
    first, second = wilson(own, n), wilson(far, m)
    value = first.value - second.value
    low = value - math.hypot(first.value - first.low, second.high - second.value)
    high = value + math.hypot(first.high - first.value, second.value - second.low)
    p = float(stats.fisher_exact([[own, n - own], [far, m - far]], alternative="greater").pvalue)
    return DetectorFinding(COMPLETION, other, value, low, high, SHARES, p, min(n, m), 0)
