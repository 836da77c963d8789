"""The learning-rate test of a stage: short runs at several constant rates, and a recommendation (report Fig. 4).

Before Stage 1 b the report went on from one checkpoint at 6e-5, 1.2e-4 and 2.5e-4 for a while, saw the higher rates raise the
loss, and took 6e-5. Here each rate has a run of its own over the same samples, and the runs are compared on the held-out texts.

The rule. A run that diverged (no numbers any more, or a fifth above the checkpoint's loss), or of which a batch had to be skipped,
is out. Of the others the one with the lowest mean loss
over the held-out sets is the best; a rate whose loss differs from the best one's by no more than its 95 % interval (paired
bootstrap: the same documents are drawn again for both) cannot be told from it. Of those that cannot be told apart the lowest
rate is recommended: what a higher one costs shows late, and the report took the lowest.

What the interval does not hold: another order of samples, and what happens after the test. A short test favours low rates.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import ConfigError
from skyloom.core.records import Json
from skyloom.score.intervals import resampled_sums
from skyloom.score.nll import TextLosses
from skyloom.train.inputs import Batches, SeenRow, StepBatch

MOST = 8
"""Rates of one test: a figure has no more colours."""
FACTORS = (0.5, 1.0, 2.0, 4.0)
"""The rates that are tried if none are given, as parts of the stage's own."""
SHARE, FEWEST = 0.1, 50
"""Length of a test if none is given: this part of the stage, at least so many steps."""
RESAMPLES = 2000
RISE = 0.2
"""A run whose held-out loss ends this part above the checkpoint's has diverged, though its numbers are finite."""


@dataclass(frozen=True)
class PartOfStage:
    """`steps` steps of a stage's stream from step `first` on; asked for and counted as the steps of a stage of their own."""

    whole: Batches
    first: int
    steps: int

    def __post_init__(self) -> None:
        if self.first + self.steps > self.whole.steps:
            raise ConfigError(
                f"a test of {self.steps:,} steps does not fit: the stage has {self.whole.steps:,} steps, of which "
                f"{max(self.whole.steps - self.first, 0):,} are left; give fewer --tokens"
            )

    @property
    def identity(self) -> Mapping[str, Json]:
        return self.whole.identity

    def check_identity(self, recorded: Mapping[str, Json]) -> None:
        self.whole.check_identity(recorded)

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> StepBatch:
        return self.whole.batch(self.first + step, rank=rank, world=world)

    def prefetch(self, step: int, *, rank: int = 0, world: int = 1) -> None:
        self.whole.prefetch(self.first + step, rank=rank, world=world)

    def documents(self, step: int) -> Sequence[SeenRow]:
        return self.whole.documents(self.first + step)

    def realised(self, step: int) -> Mapping[str, float]:
        return self.whole.realised(self.first + step)


def parse_rates(text: str) -> tuple[float, ...]:
    """`6e-5,1.2e-4` as rates in ascending order. ConfigError unless they are two to eight different positive numbers."""
    try:
        rates = sorted(float(part) for part in text.split(",") if part.strip())
    except ValueError as problem:
        raise ConfigError(f"--rates {text!r}: {problem}; give numbers with commas between them: 6e-5,1.2e-4") from problem
    wrong = [rate for rate in rates if not (rate > 0 and math.isfinite(rate))]
    if wrong:
        raise ConfigError(f"--rates {text!r}: {wrong[0]:g} is no learning rate; give positive numbers")
    if any(f"{a:g}" == f"{b:g}" for a, b in pairwise(rates)):  # their runs are named so
        raise ConfigError(f"--rates {text!r} has a rate twice, to six digits")
    if not 2 <= len(rates) <= MOST:
        raise ConfigError(f"--rates {text!r}: a test compares 2 to {MOST} rates, not {len(rates)}")
    return tuple(rates)


def length(tokens: int | None, whole: int, step: int) -> int:
    """Steps of a test: of `tokens`, or of a tenth of `whole` tokens. ConfigError for fewer tokens than one `step` reads."""
    if tokens is None:
        return max(1, min(max(round(SHARE * whole / step), FEWEST), whole // step))
    if tokens < step:
        raise ConfigError(f"--tokens {tokens:,} is less than one step, which reads {step:,}; give at least that")
    return tokens // step


@dataclass(frozen=True)
class Trial:
    """What came of one rate: losses on each held-out set before and after, or why there are none."""

    rate: float
    start: Mapping[str, TextLosses]
    end: Mapping[str, TextLosses]
    skipped: int = 0
    diverged: str = ""

    @property
    def excluded(self) -> str:
        """Why the rate cannot be recommended, or ""."""
        if self.diverged:
            return f"diverged: {self.diverged}"
        if self.end and mean_loss(self.end) > (1 + RISE) * mean_loss(self.start):
            return f"diverged: its held-out loss rose from {mean_loss(self.start):.2f} to {mean_loss(self.end):.2f}"
        return f"{self.skipped} batches had to be skipped" if self.skipped else ""

    @property
    def loss(self) -> float | None:
        """Mean over the sets of the loss at the end, nats per token."""
        return mean_loss(self.end) if self.end else None


def mean_loss(sets: Mapping[str, TextLosses]) -> float:
    """Unweighted mean over the sets, as the report averages domains."""
    return float(np.mean([losses.loss for losses in sets.values()]))


@dataclass(frozen=True)
class Difference:
    """Mean loss of one run minus another's, with a 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.low > 0 or self.high < 0


def difference(ours: Mapping[str, TextLosses], theirs: Mapping[str, TextLosses], *, seed: int = 0) -> Difference:
    """Paired bootstrap: in each set the same documents are drawn again for both (n − 1 of n, as in `score.intervals`).

    A set of one document keeps its loss: it says nothing about the spread.
    """
    stream = np.random.Generator(np.random.Philox(key=seed))
    total = np.zeros(RESAMPLES)
    for name, mine in ours.items():
        other = theirs[name]
        gap: npt.NDArray[np.float64] = mine.nats - other.nats  # the same texts and tokenizer, so the same counts of tokens
        count = len(gap)
        if count == 1:
            total += gap[0] / mine.tokens[0]
            continue
        gaps, tokens = resampled_sums((gap, np.asarray(mine.tokens, np.float64)), stream, RESAMPLES)
        total += gaps / tokens
    low, high = np.quantile(total / len(ours), [0.025, 0.975])
    return Difference(mean_loss(ours) - mean_loss(theirs), float(low), float(high))


@dataclass(frozen=True)
class RateVerdict:
    """The recommended rate, or None if none can be; the reason in both languages; and each rate's distance to the best one."""

    rate: float | None
    best: float | None
    reason: str
    reason_zh: str
    to_best: Mapping[float, Difference]
    to_start: Mapping[float, Difference]


def judge(trials: Sequence[Trial]) -> RateVerdict:
    """Apply the rule above to the runs, in ascending order of their rates."""
    scored = [t for t in trials if t.end]
    to_start = {t.rate: difference(t.end, t.start) for t in scored}
    fit = [t for t in scored if not t.excluded]
    out = [t for t in trials if t.excluded]
    if not fit:
        return RateVerdict(
            None,
            None,
            "Every rate diverged or spiked: test lower ones.",
            "所有学习率都发散或出现尖峰：请测试更低的学习率。",
            {},
            to_start,
        )
    best = min(fit, key=mean_of)
    to_best = {t.rate: difference(t.end, best.end) for t in scored}
    level = [t for t in fit if not to_best[t.rate].certain]
    chosen = min(level, key=lambda t: t.rate)
    names, names_zh = (mark.join(f"{t.rate:g}" for t in level) for mark in (", ", "、"))
    if len(level) == 1:
        said = f"{chosen.rate:g} has the lowest mean held-out loss, and every other rate is higher by more than its 95 % interval."
        said_zh = f"{chosen.rate:g} 的平均留出损失最低，其余各学习率高出的幅度都超过其 95% 区间。"
    else:
        said = (
            f"{names} cannot be told apart (95 % intervals of their differences from {best.rate:g}, the lowest loss, hold 0); the "
            f"lowest of them, {chosen.rate:g}, is taken, since what a higher rate costs shows late."
        )
        said_zh = (
            f"{names_zh} 无法区分（与损失最低的 {best.rate:g} 之差的 95% 区间包含 0）；取其中最低的 {chosen.rate:g}，"
            "因为较高学习率的代价往往较晚才显现。"
        )
    if out:
        said += f" Left out: {'; '.join(f'{t.rate:g} ({t.excluded})' for t in out)}."
        said_zh += f"已排除（发散或出现尖峰）：{'、'.join(f'{t.rate:g}' for t in out)}。"
    if all(to_start[t.rate].low > 0 for t in fit):
        said += " Every rate raised the loss above the checkpoint's: test lower ones."
        said_zh += "所有学习率都使损失高于起始检查点：请测试更低的学习率。"
    elif best in (trials[0], trials[-1]):
        lower = best is trials[0]
        said += f" The lowest loss lies at the edge of what was tried: test {'lower' if lower else 'higher'} rates too."
        said_zh += f"最低损失位于所试范围的边缘：请再测试更{'低' if lower else '高'}的学习率。"
    return RateVerdict(chosen.rate, best.rate, said, said_zh, to_best, to_start)


def mean_of(trial: Trial) -> float:
    """`loss` of a run that has one."""
    return mean_loss(trial.end)
