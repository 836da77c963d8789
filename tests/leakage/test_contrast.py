"""Gaps between splits: planted gaps are covered, clean ones raise no alarm, and the mix of families does not matter."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from skyloom.core.errors import DataError
from skyloom.leakage.contrast import ALL, FAMILY, LANGUAGE, Scored, gap, mix, paired, reference_mean, suspect_mean
from skyloom.leakage.verdict import above_zero, below_zero, detectable
from skyloom.score.intervals import Estimate

LEVELS = {
    ("加法", "zh-Hans"): 1.1, ("加法", "en"): 0.7, ("方程", "zh-Hans"): 2.0,
    ("ratio", "en"): 1.6, ("ratio", "zh-Hans"): 1.3, ("area", "en"): 0.9,
}  # fmt: skip
"""Mean token loss of each family and language: far more apart than any gap that is planted here."""

Counts = dict[tuple[str, str], int]


def split(rng: np.random.Generator, shift: float = 0.0, counts: Counts | None = None, items: float = 9.0) -> Scored:
    """A split whose items scatter by 0.2 nats per token around their family's level."""
    counts = counts or {kind: 2 + rng.poisson(items - 2) for kind in LEVELS}
    kinds = tuple(kind for kind, count in counts.items() for _ in range(count))
    tokens = rng.integers(25, 90, len(kinds))
    level = np.array([LEVELS[kind] for kind in kinds]) + shift
    return Scored(tokens * (level + rng.normal(0, 0.2, len(kinds))), tokens, kinds)


def gap_of(suspect: Scored, reference: Scored, seed: int) -> Estimate:
    return gap(mix(suspect, {"ref": reference}), reference, seed=seed, name="suspect-ref", resamples=300)


@pytest.mark.parametrize(("planted", "items"), [(0.0, 9.0), (-0.15, 9.0), (0.0, 3.0)])
def test_intervals_cover_the_planted_gap_and_clean_splits_raise_few_alarms(planted: float, items: float) -> None:
    rng, trials = np.random.default_rng(11), 200
    found = [gap_of(split(rng, planted, items=items), split(rng, items=items), trial) for trial in range(trials)]
    missed = sum(not (e.low <= planted <= e.high) for e in found)
    assert missed <= stats.binom.ppf(0.999, trials, 0.06)  # nominal 5 %, and the bootstrap may be 1 % off
    assert missed >= stats.binom.ppf(0.001, trials, 0.03)  # intervals that cover always would be too wide to be of use
    if planted == 0.0:
        alarms = sum(bool(below_zero(e)) or bool(above_zero(e)) for e in found)
        assert alarms <= stats.binom.ppf(0.999, trials, 0.06)


def test_a_planted_leak_is_found() -> None:
    rng = np.random.default_rng(5)
    found = [gap_of(split(rng, -0.3), split(rng), trial) for trial in range(30)]
    assert sum(bool(below_zero(e)) for e in found) >= 28
    assert not any(above_zero(e) for e in found)


def test_the_gap_said_to_be_detectable_is_found_four_times_in_five() -> None:
    rng, trials = np.random.default_rng(17), 200
    size = float(np.mean([detectable(gap_of(split(rng), split(rng), trial)) for trial in range(20)]))
    found = sum(bool(below_zero(gap_of(split(rng, -size), split(rng), trial))) for trial in range(trials))
    low, high = stats.binom.ppf([0.001, 0.999], trials, 0.8)
    assert low <= found <= high


def test_a_suspect_with_one_item_of_each_family_is_judged_within_families() -> None:
    """Canaries are few; the spread between families must not drown them, and clean ones must not be flagged."""
    rng, trials, one_each = np.random.default_rng(23), 200, dict.fromkeys(LEVELS, 1)
    clean = [gap_of(split(rng, counts=one_each), split(rng), trial) for trial in range(trials)]
    assert sum(not (e.low <= 0 <= e.high) for e in clean) <= stats.binom.ppf(0.999, trials, 0.06)
    assert np.mean([e.half_width for e in clean]) < 0.3  # levels alone scatter by 0.45, which would give 0.5
    planted = [gap_of(split(rng, -0.5, one_each), split(rng), trial) for trial in range(30)]
    assert sum(bool(below_zero(e)) for e in planted) >= 28


def test_another_mix_of_families_is_no_gap() -> None:
    """Equal losses in each family but opposite mixes: the raw means differ by far, the standardised by nothing."""

    def make(counts: Counts) -> Scored:
        kinds = tuple(kind for kind, count in counts.items() for _ in range(count))
        wave = np.array([0.1 * (-1) ** i for count in counts.values() for i in range(count)])
        return Scored(50 * (np.array([LEVELS[k] for k in kinds]) + wave), np.full(len(kinds), 50), kinds)

    low, high = ("加法", "en"), ("方程", "zh-Hans")
    one, other = make({low: 40, high: 4}), make({low: 4, high: 40})
    assert one.nats.sum() / one.tokens.sum() < other.nats.sum() / other.tokens.sum() - 0.9
    found = gap_of(one, other, 0)
    assert found.value == pytest.approx(0.0, abs=1e-12)
    assert found.low < 0 < found.high


def test_the_suspects_mean_is_plain_and_the_gap_is_the_difference_of_means() -> None:
    rng = np.random.default_rng(3)
    suspect, reference = split(rng), split(rng, 0.1)
    mixed = mix(suspect, {"ref": reference})
    assert mixed.weights.sum() == pytest.approx(1.0) and mixed.by == FAMILY
    own = suspect_mean(mixed, seed=0, name="test", resamples=300)
    other = reference_mean(mixed, reference, seed=0, name="ref", resamples=300)
    assert own.value == pytest.approx(suspect.nats.sum() / suspect.tokens.sum())
    assert gap_of(suspect, reference, 0).value == pytest.approx(own.value - other.value)
    assert own.low < own.value < own.high and other.low < other.value < other.high


def test_strata_are_as_fine_as_the_references_allow() -> None:
    rng = np.random.default_rng(4)
    suspect = split(rng)
    assert mix(suspect, {"ref": split(rng)}).by == FAMILY
    thin = split(rng, counts=dict.fromkeys(LEVELS, 1))
    assert mix(suspect, {"train": split(rng), "ref": thin}).by == LANGUAGE
    english = split(rng, counts={("area", "en"): 5})
    assert mix(suspect, {"ref": english}).by == ALL


def test_a_family_that_one_reference_lacks_is_left_out_if_it_is_small() -> None:
    rng = np.random.default_rng(4)
    suspect = split(rng, counts={**dict.fromkeys(LEVELS, 12), ("area", "en"): 2})
    lacking = split(rng, counts={kind: 4 for kind in LEVELS if kind != ("area", "en")})
    mixed = mix(suspect, {"ref": lacking, "train": split(rng)})
    assert mixed.by == FAMILY and len(mixed.names) == 5 and len(mixed.of) == 60


def test_splits_that_are_too_small_are_refused_with_advice() -> None:
    one = Scored(np.ones(1), np.ones(1, np.int64), (("加法", "en"),))
    with pytest.raises(DataError, match="generate at least 2"):
        mix(one, {"ref": one})


def test_pairing_finds_what_the_spread_between_families_hides() -> None:
    rng = np.random.default_rng(9)
    kinds = tuple(kind for kind in LEVELS for _ in range(6))
    tokens = rng.integers(25, 90, len(kinds))
    own = rng.normal(0, 0.2, len(kinds))  # what both of a pair have in common
    level = np.array([LEVELS[kind] for kind in kinds]) + own
    other = Scored(tokens * (level + rng.normal(0, 0.02, len(kinds))), tokens, kinds)
    canary = Scored(tokens * (level - 0.05 + rng.normal(0, 0.02, len(kinds))), tokens, kinds)
    close = paired(canary, other, seed=1, name="pair", resamples=500)
    apart = gap_of(canary, split(rng), 1)
    assert close.high < 0 and close.low < -0.05 < close.high
    assert close.half_width < apart.half_width / 4


def test_one_pair_has_no_interval() -> None:
    one = Scored(np.array([3.0]), np.array([2]), (("加法", "en"),))
    found = paired(one, one, seed=0, name="x", resamples=200)
    assert found.value == 0.0 and math.isnan(found.low) and below_zero(found) is None
