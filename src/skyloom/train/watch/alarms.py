"""Alarms over the loss curves of a stage: repeated data, and held-out losses that leave their trend. Report 2.2.

The report's reason for held-out losses is that training loss misleads once data repeats or is duplicated. Two kinds of
trouble show in the curves and are told here; spikes of the training loss are for `recover`.

**repeats**: the training loss of a distribution falls while the held-out loss of the same distribution rises. Over the last
5, 8, 12 or 20 monitoring points, a straight line through the held-out losses must rise and one through the mean training
losses between the points must fall, both beyond chance (Student's t); the rise must also be worth half a percent and, once
there are ten earlier points, four times the scatter around their trend. The training loss of a set is that of the domain of
its name where the metrics have `losses_by_domain`. Otherwise all training loss is compared with the mean held-out loss,
weighted by what the steps between two points read, so that a mix that turns to easier text is no alarm.

**trend**: a set departs from its own trend: the best of a few power laws in tokens (and the logarithm) through up to 20
earlier points. Two points in a row must lie beyond the prediction's interval, on the same side, by at least half a percent;
or two percent beyond the trend of all points but the last five, since a set that leaves slowly takes its trend along. The
interval is as wide as the scatter around the fit says, and never narrower than the median set's, so that a set that was quiet
by luck does not call out at the first ripple. A falling rate moves all sets down and an instability all up; so a set must
rise by that much more than the others' median, or fall by that much more than three times theirs. A set that is watched
alone has no others, and its falls are not judged. If the median set itself rises, the record is of the set `all`. A fall
that the others do not share is as bad a sign as a rise: text of the set may have come into training.

The 95 % interval of a held-out line is about which documents were drawn. They are the same at each point, so changes are
measured far more sharply than that, and the scatter of the curve itself is what they are judged by.

All of it is a pure function of the lines so far, within one stage (a new stage has another mix and rate, so the curves begin
anew): a run that goes on from a checkpoint raises the same alarms. An alarm is raised when its condition begins and again only
after it has ended. Rates of false alarms and power: `bench/train/alarms.py`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt
from scipy import stats

from skyloom.train.watch.journal import HeldOutLine, MetricsLine

ALARMS = "alarms.jsonl"
REPEATS, TREND = "repeats", "trend"
ALL = "all"
"""The set of a record that is about all of them."""

WINDOWS = (5, 8, 12, 20)
HISTORY = 20
"""Points that a trend is fitted to at most."""
LOOKS = ((2, 6, 0.005), (5, 12, 0.02))
"""How the last two points are judged: by the trend of all points but the last 2 (or 5), at least 6 (or 12) of them, from a
relative departure of half a percent (or two) on. The second look is for a set that leaves its trend slowly and would take it
along; the further a trend is drawn out, the more its form matters, hence the larger departure."""
SCATTER_FROM = 10
"""Earlier points from which on a rise is compared with their scatter."""
SURE, LIKELY = 0.995, 0.95
"""One-sided levels: of held-out losses, and of training losses (which are noisier and only have to agree)."""
LEAST_RISE, LEAST_FALL = 0.005, 0.0025
"""Relative changes of held-out and training loss over a window that are worth a word."""
SCATTERS = 4.0
OTHERS_FALL = 3.0
"""How many times the others' fall a set must fall, since sets gain differently from a falling rate."""
Floats: TypeAlias = npt.NDArray[np.float64]

_POWERS = np.array([0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5])[:, None]


class Finding(TypedDict):
    """An alarm without its place: which kind, of which set, its figures, and a sentence that says what to do."""

    kind: str
    set: str
    figures: Mapping[str, float | list[str]]
    sentence: str


class AlarmLine(Finding):
    """A line of `alarms.jsonl`."""

    stage: str
    step: int
    tokens: int


@functools.cache
def quantile(level: float, freedom: int) -> float:
    """Student's t."""
    return float(stats.t.ppf(level, freedom))


@dataclass(frozen=True)
class Trend:
    """What a fit says of later points: predicted values, their standard errors, and the scatter around the fit."""

    values: Floats
    errors: Floats
    scatter: float
    freedom: int


def trend(tokens: Floats, losses: Floats, at: Floats) -> Trend:
    """The best of power laws `a + b·tokens^-p` and `a + b·log tokens` by least squares, at least 4 points; predicted for `at`."""
    known, wanted = (np.vstack([np.log(x), (x / tokens[-1]) ** -_POWERS]) for x in (tokens, at))  # [forms, points]
    middle = known.mean(1, keepdims=True)
    spread = ((known - middle) ** 2).sum(1)
    slopes = ((known - middle) * losses).sum(1) / spread
    errors = ((losses - losses.mean() - slopes[:, None] * (known - middle)) ** 2).sum(1)
    best = int(errors.argmin())
    away = wanted[best] - middle[best]
    freedom = len(losses) - 3  # level, slope and power
    scatter = math.sqrt(float(errors[best]) / freedom)
    values = losses.mean() + slopes[best] * away
    return Trend(values, scatter * np.sqrt(1 + 1 / len(losses) + away**2 / spread[best]), scatter, freedom)


def slope(values: Floats) -> tuple[float, float]:
    """Change from the first to the last point along a straight line, and its standard error; at least 3 points."""
    places = np.arange(len(values)) - (len(values) - 1) / 2
    spread = float((places**2).sum())
    rate = float((places * values).sum()) / spread
    rest = values - values.mean() - rate * places
    error = math.sqrt(float((rest**2).sum()) / (len(values) - 2) / spread)
    return rate * (len(values) - 1), error * (len(values) - 1)


@dataclass
class _Curve:
    """One set's points so far, and the mean training loss between each point and the one before (NaN: nothing was read)."""

    tokens: list[float] = field(default_factory=list)
    heldout: list[float] = field(default_factory=list)
    trained: list[float] = field(default_factory=list)

    def arrays(self, start: int, stop: int) -> tuple[Floats, Floats]:
        return np.array(self.tokens[start:stop]), np.array(self.heldout[start:stop])


class Alarms:
    """Watches the curves of one stage. Feed it the journals' lines in their order: `step` for each step, `point` for each point.

    A run that goes on makes it anew with the lines that its checkpoint sealed (`metrics`, `heldout`): they set the curves, and
    their alarms, which are in the journal already, are not raised again.
    """

    def __init__(self, metrics: Iterable[MetricsLine] = (), heldout: Iterable[HeldOutLine] = ()) -> None:
        self._curves: dict[str, _Curve] = {}
        self._sums: dict[str, list[float]] = {}
        self._shares: dict[str, float] = {}
        self._read: dict[str, float] = {}
        self._before = self._tokens = 0.0
        self._on: set[tuple[str, str]] = set()
        replay(self, metrics, heldout)

    def step(self, record: MetricsLine) -> None:
        """A line of `metrics.jsonl`."""
        for name, loss in {**(record.get("losses_by_domain") or {}), ALL: record["loss"]}.items():
            total = self._sums.setdefault(name, [0.0, 0.0])
            total[0] += loss
            total[1] += 1
        if not self._tokens:  # shares count from the beginning of the stage, tokens from that of the first
            self._before = self._tokens = float(record["tokens"])
        self._shares, self._tokens = dict(record.get("shares") or {}), float(record["tokens"])

    def point(self, lines: Sequence[HeldOutLine]) -> list[AlarmLine]:
        """The lines of `heldout.jsonl` of one monitoring point. Returns the alarms that begin with it."""
        if not lines or not lines[0]["tokens"]:  # before the first step there is nothing to compare, and no logarithm
            return []
        by_domain = len(self._sums) > 1
        losses = {str(line["set"]): float(line["loss"]) for line in lines}
        watched = losses if by_domain else {**losses, ALL: self._mixed(losses)}
        for name, loss in watched.items():
            curve = self._curves.setdefault(name, _Curve())
            curve.tokens.append(float(lines[0]["tokens"]))
            curve.heldout.append(loss)
            total, count = self._sums.get(name, (0.0, 0.0))
            curve.trained.append(total / count if count else math.nan)
        self._sums.clear()
        found = [found for name in (losses if by_domain else (ALL,)) if (found := repeats(self._curves[name], name))]
        found += departures({name: self._curves[name] for name in losses})
        new = [alarm for alarm in found if (alarm["kind"], alarm["set"]) not in self._on]
        self._on = {(alarm["kind"], alarm["set"]) for alarm in found}
        stage, step, tokens = lines[0]["stage"], lines[0]["step"], lines[0]["tokens"]
        return [
            {
                "kind": a["kind"], "set": a["set"], "stage": stage, "step": step, "tokens": tokens, "figures": a["figures"],
                "sentence": a["sentence"],
            }
            for a in new
        ]  # fmt: skip

    def _mixed(self, losses: Mapping[str, float]) -> float:
        """The mean of the held-out losses, weighted by what was read since the last point where that is known."""
        length = self._tokens - self._before
        read = {name: share * length for name, share in self._shares.items()}
        weights = {name: read.get(name, 0.0) - self._read.get(name, 0.0) for name in losses}
        self._read = read
        total = sum(w for w in weights.values() if w > 0)
        if total <= 0:
            return sum(losses.values()) / len(losses)
        return sum(losses[name] * w for name, w in weights.items() if w > 0) / total


def replay(alarms: Alarms, metrics: Iterable[MetricsLine], heldout: Iterable[HeldOutLine]) -> list[AlarmLine]:
    """Feed `alarms` the lines of both journals in the order in which they were written; all alarms that they raise."""
    points: dict[int, list[HeldOutLine]] = {}
    for line in heldout:
        points.setdefault(line["step"], []).append(line)
    waiting = sorted(points)
    raised: list[AlarmLine] = []
    for record in metrics:
        while waiting and waiting[0] < record["step"]:
            raised += alarms.point(points[waiting.pop(0)])
        alarms.step(record)
    for step in waiting:
        raised += alarms.point(points[step])
    return raised


def repeats(curve: _Curve, name: str) -> Finding | None:
    """The alarm of a held-out loss that rises while the training loss falls, or None."""
    count = len(curve.heldout)
    for size in WINDOWS:
        if size > count:
            break
        tokens, heldout = curve.arrays(count - size, count)
        trained = np.array(curve.trained[-size:])
        rise, error = slope(heldout)
        if not np.isfinite(trained).all() or rise <= max(quantile(SURE, size - 2) * error, LEAST_RISE * float(heldout.mean())):
            continue
        fall, fall_error = slope(trained)
        if -fall <= max(quantile(LIKELY, size - 2) * fall_error, LEAST_FALL * float(trained.mean())):
            continue
        earlier = curve.arrays(max(0, count - size - HISTORY), count - size)
        if len(earlier[0]) >= SCATTER_FROM and rise < SCATTERS * trend(*earlier, tokens).scatter:
            continue
        what = "the mean held-out loss, weighted as the data is mixed," if name == ALL else f"the held-out loss of {name}"
        figures = {"points": size, "heldout_change": rise, "training_change": fall, "heldout": curve.heldout[-1]}
        sentence = (
            f"over the last {size} monitoring points {what} rose by {rise:.3f} nats while "
            f"{'the training loss' if name == ALL else 'its training loss'} fell by {-fall:.3f}: the data may repeat or hold "
            "duplicates; look at the passes of the plan (skyloom data show) and at the corpus ledger"
        )
        return {"kind": REPEATS, "set": name, "figures": figures, "sentence": sentence}
    return None


def departures(curves: Mapping[str, _Curve]) -> list[Finding]:
    """The alarms of sets whose last points left the trend of the points before them, at once or over a few points."""
    found: dict[str, Finding] = {}
    for look in LOOKS:
        for record in _departures(curves, *look):
            found.setdefault(record["set"], record)
    return list(found.values())


def _departures(curves: Mapping[str, _Curve], new: int, fewest: int, least: float) -> list[Finding]:
    """By the trend of all points but the last `new`, if there are `fewest`."""
    fits = {name: _beyond(curve, new) for name, curve in curves.items() if len(curve.heldout) >= fewest + new}
    if not fits:
        return []
    gaps = {name: gap for name, (gap, _, _) in fits.items()}
    usual = np.median([error for _, error, _ in fits.values()], axis=0)
    found = []
    for name, (gap, error, fit) in fits.items():
        limit = np.maximum(quantile(SURE, fit.freedom) * np.maximum(error, usual), least)
        others = np.median([g for n, g in gaps.items() if n != name], axis=0) if len(gaps) > 1 else None
        rises = bool((gap - (0.0 if others is None else np.maximum(others, 0.0)) > limit).all())
        falls = others is not None and bool((gap - OTHERS_FALL * np.minimum(others, 0.0) < -limit).all())
        if rises or falls:
            found.append(_departure(name, curves[name], fit, float(limit[1]), rises))
    middle = np.median(list(gaps.values()), axis=0)
    freedom = min(fit.freedom for _, _, fit in fits.values())
    limit = np.maximum(quantile(SURE, freedom) * usual, least)
    if len(gaps) > 1 and bool((middle > limit).all()):
        found.append(_departure_of_all(gaps, float(middle[1]), float(limit[1])))
    return found


def _beyond(curve: _Curve, new: int) -> tuple[Floats, Floats, Trend]:
    """By how much the last two points lie above the trend of those before `new`, relative to it; the relative error; the fit."""
    count = len(curve.heldout)
    fit = trend(*curve.arrays(max(0, count - new - HISTORY), count - new), np.array(curve.tokens[-2:]))
    return (np.array(curve.heldout[-2:]) - fit.values) / fit.values, fit.errors / fit.values, fit


def _departure_of_all(gaps: Mapping[str, Floats], departure: float, limit: float) -> Finding:
    rose = sorted(name for name, gap in gaps.items() if gap[1] > 0)
    sentence = (
        f"the held-out losses lie {100 * departure:.1f} % above their trends (the median set; {100 * limit:.1f} % would be "
        f"chance) on {len(rose)} of {len(gaps)} sets: look at the learning rate, the gradient norm and what was read"
    )
    return {"kind": TREND, "set": ALL, "figures": {"departure": departure, "limit": limit, "sets": rose}, "sentence": sentence}


def _departure(name: str, curve: _Curve, fit: Trend, limit: float, rises: bool) -> Finding:
    loss, expected = curve.heldout[-1], float(fit.values[1])
    figures = {"loss": loss, "expected": expected, "departure": loss / expected - 1, "limit": limit}
    way, cause = (
        ("above", "look at what was read since then, and whether the mix still holds this distribution")
        if rises
        else ("below", "its text may have come into training; look at the corpus ledger and audit the leak (skyloom leak)")
    )
    sentence = (
        f"the held-out loss of {name} is {loss:.3f}, {100 * abs(loss / expected - 1):.1f} % {way} the {expected:.3f} of its own "
        f"trend ({100 * limit:.1f} % would be chance), and the other sets do not go with it: {cause}"
    )
    return {"kind": TREND, "set": name, "figures": figures, "sentence": sentence}
