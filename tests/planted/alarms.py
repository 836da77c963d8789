"""Simulated stages of training, healthy and with a planted fault, and what the alarms of training say about them.

Curves are simulated: power laws in tokens of six held-out sets in both languages, the fall of a cosine, a constant or a
warm-up-stable-decay rate, noise that is partly common to all sets and partly correlated from point to point, and training
losses that are noisier. A fault begins at the middle of a run, in one set or in all. Run k is drawn from numpy's Philox with
key [SEED, k], its settings (points, noise, correlation, schedule) too. Power is of the runs of 30
or 60 points, since 12 are too few to know a trend by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skyloom.core.records import DOMAINS
from skyloom.train.watch.alarms import ALL, REPEATS, TREND, Alarms

SEED = 20
STEPS = 4
"""Lines of metrics for each monitoring point."""
SIZE = 0.03
"""Relative size of a planted departure, reached within three points; repeats add a fifth of it at each point."""
FAULTS = ("repeats", "repeats-mixed", "leak", "damage", "unstable")
Floats = npt.NDArray[np.float64]


@dataclass
class Run:
    """Curves of one simulated stage: [sets, points]; `trained` is the mean training loss between points."""

    tokens: Floats
    heldout: Floats
    trained: Floats
    noise: float
    stream: np.random.Generator


def simulate(number: int) -> Run:
    """A healthy run: 12 to 60 points, noise of 0.1 to 0.6 % of the loss, correlation 0 or 0.6, one of three schedules."""
    stream = np.random.Generator(np.random.Philox(key=[SEED, number]))
    points = int(stream.choice([12, 30, 60]))
    noise = float(stream.choice([0.001, 0.003, 0.006]))
    kept = float(stream.choice([0.0, 0.6]))
    done = np.arange(1, points + 1) / points
    rate = [0.1 + 0.45 * (1 + np.cos(np.pi * done)), np.ones(points), np.clip((1 - done) / 0.2 * 0.9 + 0.1, 0.1, 1.0)]
    lost = 1 - rate[stream.integers(3)]
    tokens = done * 10 ** stream.uniform(6, 11)
    common = _wander(stream, points, kept)
    heldout, trained = np.empty((2, len(DOMAINS), points))
    for row in range(len(DOMAINS)):
        floor, height, power, gain = stream.uniform((1.2, 0.3, 0.15, 0.02), (3.0, 2.0, 0.7, 0.12))
        clean = floor + height * (tokens / tokens[0] + 0.3) ** -power - gain * lost
        heldout[row] = clean * (1 + noise * np.sqrt(0.5) * (common + _wander(stream, points, kept)))
        trained[row] = clean * (0.99 + noise * (np.sqrt(0.5) * common + 3 * stream.standard_normal(points)))
    return Run(tokens, heldout, trained, noise, stream)


def _wander(stream: np.random.Generator, points: int, kept: float) -> Floats:
    """Unit noise that keeps a part of itself from point to point."""
    values = stream.standard_normal(points)
    for place in range(1, points):
        values[place] = kept * values[place - 1] + np.sqrt(1 - kept**2) * values[place]
    return values


def plant(run: Run, fault: str) -> tuple[str, int]:
    """Plant a fault at the middle of a run, in place. Returns the set that it is in and the point it begins at."""
    start, row = len(run.tokens) // 2, int(run.stream.integers(len(DOMAINS)))
    since = np.clip(np.arange(len(run.tokens)) - start + 1, 0, None)
    reached = np.clip(since / 3, 0, 1)
    if fault == "leak":
        run.heldout[row] *= 1 - SIZE * reached
    elif fault == "damage":
        run.heldout[row] *= 1 + SIZE * reached
    elif fault == "unstable":
        run.heldout *= 1 + SIZE * reached
    else:  # what is repeated is learnt by heart: held-out losses turn upwards, training losses go on falling
        rows = slice(None) if fault == "repeats-mixed" else slice(row, row + 1)
        bottom = run.heldout[rows, start - 1 : start]
        wobble = run.heldout[rows, start:] / _smooth(run.heldout[rows, start:])
        run.heldout[rows, start:] = bottom * (1 + SIZE / 5 * since[start:]) * wobble
        run.trained[rows] *= np.maximum(1 - SIZE / 5 * since, 0.3)
    return (ALL if fault in ("unstable", "repeats-mixed") else DOMAINS[row]), start


def _smooth(curves: Floats) -> Floats:
    """Straight lines through the rows."""
    places = np.arange(curves.shape[1])
    return np.array([np.polyval(np.polyfit(places, row, 1), places) for row in curves])


def lines(run: Run, by_domain: bool) -> Iterator[tuple[dict[str, Any] | None, list[dict[str, Any]]]]:
    """Lines of metrics.jsonl, each with None or [] for no point, as the loop would write them."""
    shares = dict.fromkeys(DOMAINS, 1 / len(DOMAINS))
    for point, tokens in enumerate(run.tokens):
        for step in range(point * STEPS, (point + 1) * STEPS):
            losses = run.trained[:, point] * (1 + run.noise * run.stream.standard_normal(len(DOMAINS)))
            record = {"step": step + 1, "tokens": tokens, "loss": float(losses.mean()), "shares": shares}
            if by_domain:
                record["losses_by_domain"] = dict(zip(DOMAINS, losses.tolist(), strict=True))
            yield record, []
        held = zip(DOMAINS, run.heldout[:, point].tolist(), strict=True)
        where = {"stage": "stage1", "step": (point + 1) * STEPS, "tokens": tokens}
        yield None, [{**where, "set": name, "loss": loss} for name, loss in held]


def raised(run: Run, by_domain: bool = True) -> list[tuple[int, str, str]]:
    """(point, kind, set) of every alarm of a run."""
    alarms, found, point = Alarms(), [], -1
    for record, heldout in lines(run, by_domain):
        if record is not None:
            alarms.step(record)
        else:
            point += 1
            found += [(point, alarm["kind"], alarm["set"]) for alarm in alarms.point(heldout)]
    return found


def false_alarms(runs: int) -> float:
    """Share of healthy runs with any alarm; every second one has training losses by domain."""
    return sum(bool(raised(simulate(k), by_domain=bool(k % 2))) for k in range(runs)) / runs


def power(fault: str, runs: int, least: int = 30) -> float:
    """Share of runs of at least `least` points in which a planted fault is told, for the right set, after it began."""
    hits = []
    for number in range(runs):
        run = simulate(number)
        if len(run.tokens) < least:
            continue
        name, start = plant(run, fault)
        kind = REPEATS if fault.startswith("repeats") else TREND
        found = raised(run, by_domain=fault != "repeats-mixed")
        hits.append(any(point >= start and (what, of) == (kind, name) for point, what, of in found))
    return sum(hits) / len(hits)
