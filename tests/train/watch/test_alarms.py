"""Alarms: few on healthy curves, most of what is planted, the same after a resume; on simulated curves and on real training."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skyloom.core.records import DOMAINS
from skyloom.core.store import Store
from skyloom.train.config import StageConfig
from skyloom.train.watch.alarms import ALL, REPEATS, TREND, Alarms, replay, slope, trend
from tests.planted import alarms as simulated
from tests.train.toy import CONFIG, ToyBatch, ToyLoader, train

Curves = dict[str, list[float]]


def points(curves: Curves, trained: list[float] | None = None, shares: list[dict[str, float]] | None = None) -> tuple[Any, Any]:
    """Journals of a stage with one step between two points, at tokens 1000, 2000, …; `shares` are those of each step."""
    count = len(next(iter(curves.values())))
    metrics, heldout, sums = [], [], dict.fromkeys(curves, 0.0)
    for n in range(count):
        where = {"stage": "stage1", "step": n + 1, "tokens": 1000 * (n + 1)}
        for name, share in (shares[n] if shares else {}).items():
            sums[name] += share
        realised = {name: total / (n + 1) for name, total in sums.items()} if shares else {}
        metrics.append({**where, "loss": trained[n] if trained else 3.0, "shares": realised})
        heldout += [{**where, "set": name, "loss": values[n]} for name, values in curves.items()]
    return metrics, heldout


def raised(*journals: Any) -> list[tuple[str, str, int]]:
    return [(a["kind"], a["set"], a["step"]) for a in replay(Alarms(), *journals)]


def fall(count: int, start: float = 3.0, seed: int = 1) -> list[float]:
    """A healthy curve with a little noise."""
    noise = np.random.Generator(np.random.Philox(key=seed)).standard_normal(count)
    return [start + 2 * (n + 1) ** -0.5 + 0.004 * float(noise[n]) for n in range(count)]


def test_healthy_runs_are_quiet() -> None:
    """40 runs of 12 to 60 points, keys [20, 0] to [20, 39]; 300 runs: bench/train/alarms.py."""
    assert simulated.false_alarms(40) <= 0.05


@pytest.mark.parametrize("fault", simulated.FAULTS)
def test_what_is_planted_is_found(fault: str) -> None:
    """Of the first 24 runs those of 30 points and more, with noise of up to 0.6 % and departures of 3 %."""
    assert simulated.power(fault, 24) >= 0.7


@pytest.mark.parametrize("name", ["web_en", "web_zh"])
def test_a_set_that_comes_into_training_falls_below_its_trend(name: str) -> None:
    curves = {n: fall(24, seed=k) for k, n in enumerate(DOMAINS)}
    assert raised(*points(curves)) == []
    curves[name] = [loss * (0.97 if n >= 15 else 1) for n, loss in enumerate(curves[name])]
    (alarm,) = replay(Alarms(), *points(curves))
    assert (alarm["kind"], alarm["set"], alarm["step"]) == (TREND, name, 17)
    assert alarm["figures"]["departure"] < -alarm["figures"]["limit"] < 0 and name in alarm["sentence"]
    assert json.loads(json.dumps(alarm)) == alarm


@pytest.mark.parametrize("name", ["stem_en", "stem_zh"])
def test_repeats_of_one_domain_are_told_by_its_own_training_loss(name: str) -> None:
    curves = {n: fall(20, seed=k) for k, n in enumerate(DOMAINS)}
    curves[name] = [loss + 0.03 * max(0, n - 11) for n, loss in enumerate(curves[name])]
    metrics, heldout = points(curves, [3.0] * 20)
    for n, record in enumerate(metrics):
        trained = {d: curves[d][n] - (0.06 * max(0, n - 11) if d == name else 0.0) for d in DOMAINS}
        record["losses_by_domain"] = trained
    assert (REPEATS, name) in {(kind, of) for kind, of, _ in raised(metrics, heldout)}
    for record in metrics:  # the same rise is no repeat if its training loss rises too
        record["losses_by_domain"][name] = curves[name][record["step"] - 1]
    assert all(kind != REPEATS for kind, _, _ in raised(metrics, heldout))


def test_a_mix_that_turns_to_easier_text_is_no_repeat() -> None:
    """Training loss falls since more exercises are read, and the other sets rise a little, as in the report's Table 7."""
    share = [min(0.1 + 0.05 * n, 0.9) for n in range(16)]
    web = [3.0 + 0.01 * n for n in range(16)]
    stem = [1.5 - 0.002 * n for n in range(16)]
    trained = [w * (1 - s) + e * s for w, e, s in zip(web, stem, share, strict=True)]
    curves = {"web_zh": web, "stem_zh": stem}
    assert (REPEATS, ALL) in {(k, s) for k, s, _ in raised(*points(curves, trained))}  # what not to know the mix would say
    mixed = points(curves, trained, [{"web_zh": 1 - s, "stem_zh": s} for s in share])
    assert all(kind != REPEATS for kind, _, _ in raised(*mixed))


def test_a_falling_rate_moves_all_sets_and_is_no_alarm() -> None:
    curves = {n: [loss - 0.08 * max(0, k - 15) / 4 for k, loss in enumerate(fall(20, seed=i))] for i, n in enumerate(DOMAINS)}
    assert raised(*points(curves)) == []


def test_all_sets_that_rise_are_one_alarm() -> None:
    curves = {n: [loss * (1.03 if k >= 15 else 1) for k, loss in enumerate(fall(20, seed=i))] for i, n in enumerate(DOMAINS)}
    assert raised(*points(curves)) == [(TREND, ALL, 17)]


def test_a_set_alone_may_rise_but_not_fall() -> None:
    curve = fall(20)
    risen, fallen = ([loss * (f if n >= 15 else 1) for n, loss in enumerate(curve)] for f in (1.03, 0.97))
    assert raised(*points({"web_zh": risen})) == [(TREND, "web_zh", 17)]
    assert raised(*points({"web_zh": fallen})) == []


def test_an_alarm_is_raised_when_it_begins_and_again_after_it_ended() -> None:
    curves = {n: fall(60, seed=k) for k, n in enumerate(DOMAINS)}
    high = {*range(20, 24), *range(50, 54)}
    curves["code"] = [loss * (1.05 if n in high else 1) for n, loss in enumerate(curves["code"])]
    steps = [step for kind, name, step in raised(*points(curves)) if name == "code"]
    assert [s for s in steps if s in (22, 52)] == [22, 52] and len(steps) <= 4


@pytest.mark.parametrize("cut", [1, 9, 17, 18, 40, 79])
@pytest.mark.parametrize("by_domain", [True, False])
def test_a_run_that_goes_on_raises_the_same_alarms(cut: int, by_domain: bool) -> None:
    """The lines before the cut set the curves; what comes after raises what an undisturbed run raises there."""
    run = simulated.simulate(1)
    simulated.plant(run, "repeats" if by_domain else "repeats-mixed")
    written = list(simulated.lines(run, by_domain))
    metrics = [m for m, _ in written if m is not None]
    heldout = [line for _, lines in written for line in lines]
    whole = replay(Alarms(), metrics, heldout)
    assert whole

    def upto(rows: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
        return [r for r in rows if r["step"] <= step]

    again = Alarms(upto(metrics, cut), upto(heldout, cut))
    later = ([r for r in rows if r["step"] > cut] for rows in (metrics, heldout))
    before = replay(Alarms(), upto(metrics, cut), upto(heldout, cut))
    assert before + replay(again, *later) == whole


def test_fits_are_those_of_ordinary_least_squares() -> None:
    stream = np.random.Generator(np.random.Philox(key=3))
    values = stream.standard_normal(9)
    line = stats.linregress(np.arange(9), values)
    assert slope(values) == pytest.approx((line.slope * 8, line.stderr * 8))
    tokens = np.arange(3.0, 15.0) * 1e9
    losses = (
        2 + 1.5 * (tokens / tokens[-1]) ** -0.5 + 1e-5 * stream.standard_normal(12)
    )  # so little that no other power fits better
    at = np.array([16e9, 20e9])
    design = np.stack([np.ones(12), (tokens / tokens[-1]) ** -0.5], 1)
    wanted = np.stack([np.ones(2), (at / tokens[-1]) ** -0.5], 1)
    level, *_ = np.linalg.lstsq(design, losses, rcond=None)
    rest = losses - design @ level
    scatter = np.sqrt((rest**2).sum() / 9)
    spread = np.sqrt(1 + np.einsum("ij,jk,ik->i", wanted, np.linalg.inv(design.T @ design), wanted))
    found = trend(tokens, losses, at)
    np.testing.assert_allclose(found.values, wanted @ level)
    np.testing.assert_allclose(found.errors, scatter * spread)
    exact = trend(tokens, 2 + 1.5 * (tokens / 1e9) ** -0.75, at)
    np.testing.assert_allclose(exact.values, 2 + 1.5 * (at / 1e9) ** -0.75, rtol=1e-9)
    assert exact.scatter < 1e-9


class Repeating(ToyLoader):
    """One batch again and again from step 40 on, in both languages."""

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
        return super().batch(min(step, 40), rank=rank, world=world)


@pytest.mark.parametrize("kind", [ToyLoader, Repeating])
def test_real_training_on_repeated_batches_is_told_and_on_fresh_ones_is_not(kind: type[ToyLoader], tmp_path: Path) -> None:
    stage = StageConfig(name="stage1", schedule="constant", peak=3e-3, warmup_steps=2, monitor_points=20, releases=1)
    relaxed = dataclasses.replace(CONFIG, checkpoint_seconds=600.0)
    out = Store(str(tmp_path))
    train(out, 120, stage=stage, loader=kind(120), config=relaxed)
    metrics, heldout = ([json.loads(line) for line in out.read_text(f"{n}.jsonl").splitlines()] for n in ("metrics", "heldout"))
    found = replay(Alarms(), metrics, heldout)
    if kind is ToyLoader:
        assert found == []
    else:
        assert found[0]["kind"] == REPEATS and found[0]["step"] <= 90
