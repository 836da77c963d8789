"""Intervals hold their level: simulated coverage within binomial bounds, agreement with scipy, and seeds that decide all."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skyloom.score import intervals
from skyloom.score.intervals import Estimate, estimate, figure, generator, ratio, replicates, wilson


def test_bootstrap_intervals_cover_the_true_ratio_about_19_times_in_20() -> None:
    rng, hits, trials = np.random.default_rng(7), 0, 300
    for trial in range(trials):
        tokens = rng.integers(20, 400, 80)
        nats = tokens * (2.0 + rng.normal(0, 0.4, 80))
        found = ratio(nats, tokens, generator(trial, "cover"), 400)
        hits += found.low <= 2.0 <= found.high
    low, high = stats.binom.ppf([0.0005, 0.9995], trials, 0.95)
    assert low - 4 <= hits <= high  # percentile intervals of 80 documents may be a shade narrow: 4 trials are allowed for it


def test_replicates_spread_like_the_standard_error_even_for_few_documents() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0])
    draws = replicates(values, np.ones(4), generator(1, "spread"), 200_000)
    assert draws.std() == pytest.approx(values.std(ddof=1) / math.sqrt(4), rel=0.01)
    assert draws.mean() == pytest.approx(values.mean(), rel=0.01)


def test_documents_are_weighted_by_their_tokens() -> None:
    assert ratio([10.0, 300.0], [10, 100], generator(0), 100).value == pytest.approx(310 / 110)


def test_one_document_has_a_value_and_no_interval() -> None:
    found = ratio([6.0], [3], generator(0), 100)
    assert found.value == 2.0 and math.isnan(found.low) and math.isnan(found.high)
    assert math.isnan(ratio([], [], generator(0), 100).value)


def test_same_seed_and_name_same_interval_other_name_other_interval() -> None:
    data = np.arange(1.0, 30.0)
    one, same, other = (ratio(data, np.ones(29), generator(3, name), 300) for name in ("网页", "网页", "web"))
    assert one == same and one != other


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_agrees_with_scipy(correct: int, items: int) -> None:
    correct = min(correct, items)
    expected = stats.binomtest(correct, items).proportion_ci(0.95, "wilson")
    found = wilson(correct, items)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0


def test_no_items_no_knowledge() -> None:
    found = wilson(0, 0)
    assert math.isnan(found.value) and (found.low, found.high) == (0.0, 1.0)


def test_figures_are_json_numbers() -> None:
    assert figure(math.nan) is None and figure(math.inf) is None
    assert figure(1 / 3) == 0.3333333
    assert figure(123456789.0) == 123456800.0


def test_interval_of_draws_is_their_quantiles() -> None:
    draws = np.linspace(0, 1, 1001)
    assert estimate(0.5, draws) == Estimate(0.5, pytest.approx(0.025), pytest.approx(0.975))


def test_draws_in_chunks_are_those_of_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little memory a chunk takes, the stream and so the interval are the same; and few documents spread enough."""
    stream = np.random.default_rng(3)
    top, bottom = stream.normal(3.0, 1.0, 50), stream.integers(1, 9, 50).astype(float)
    whole = replicates(top, bottom, generator(1, "网页"), 300)
    monkeypatch.setattr(intervals, "CHUNK", 8 * 50 * 7)
    assert np.allclose(replicates(top, bottom, generator(1, "网页"), 300), whole, rtol=1e-13)
    pairs = np.array([1.0, 3.0, 4.0])
    drawn = replicates(pairs, np.ones(3), generator(1, "few"), 20_000)
    assert set(np.unique(drawn)) == set((pairs[:, None] + pairs[None]).ravel() / 2), "two of three are drawn"
    assert np.isnan(replicates([1.0, 2.0], [0.0, 0.0], generator(1), 5)).all()
