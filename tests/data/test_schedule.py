from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.data.schedule import BLOCK, Schedule

ROUNDING = 1e-6


@st.composite
def stages(draw) -> tuple[int, np.ndarray, np.ndarray]:
    """Samples, positions and shares: straight pieces and steps, sources that come, go, are rare or are missing."""
    sources, corners = draw(st.integers(1, 8)), draw(st.integers(2, 5))
    weights = draw(st.lists(st.sampled_from([0, 0, 1, 2, 7, 50, 1000]), min_size=sources * corners, max_size=sources * corners))
    rows = np.array(weights, float).reshape(corners, sources)
    rows[:, draw(st.integers(0, sources - 1))] += 1e-3
    samples = draw(st.integers(2, 500))
    inner = draw(st.lists(st.integers(1, samples - 1), min_size=corners - 2, max_size=corners - 2).map(sorted))
    return samples, np.array([0, *inner, samples], float), rows / rows.sum(1, keepdims=True)


def integral(positions, shares, source, at) -> float:
    """What a source is due up to `at`, exactly, piece by piece."""
    total = Fraction(0)
    for k in range(len(positions) - 1):
        left, right = Fraction(positions[k]), Fraction(positions[k + 1])
        width, inside = right - left, min(max(Fraction(at) - left, Fraction(0)), right - left)
        if width:
            a, b = Fraction(shares[k, source]), Fraction(shares[k + 1, source])
            total += inside * (a + (a + (b - a) * inside / width)) / 2
    return float(total)


def everything(schedule: Schedule) -> tuple[np.ndarray, np.ndarray]:
    blocks = [schedule.block(number) for number in range(-(-schedule.samples // schedule.block_size))]
    return np.concatenate([b.sources for b in blocks]), np.concatenate([b.ranks for b in blocks])


@settings(max_examples=150, deadline=None)
@given(stage=stages(), block=st.sampled_from([1, 2, 3, 7, 32, 1000]))
def test_every_prefix_keeps_the_proven_bounds(stage, block):
    samples, positions, shares = stage
    n = shares.shape[1]
    schedule = Schedule(samples, positions, shares, block=block)
    sources, ranks = everything(schedule)
    counts = np.cumsum(np.eye(n, dtype=np.int64)[sources], axis=0)
    ideal = np.array([[integral(positions, shares, i, s) for i in range(n)] for s in range(1, samples + 1)])
    ahead, tijdeman = counts - ideal, 1 - (1 / (2 * n - 2) if n > 1 else 0) + ROUNDING
    assert ahead.min() >= -tijdeman, "nobody is left behind"
    assert ahead.max() < 2
    last = (samples - 1) // block * block
    assert np.abs(ahead[block - 1 :: block]).max(initial=0) <= tijdeman, "at borders"
    assert np.abs(ahead[last:]).max() <= tijdeman, "in the last block, and so in a stage of one block"
    assert (counts[-1] <= schedule.most()).all() and (schedule.most() <= counts[-1] + 2).all()
    for i in range(n):
        assert ranks[sources == i].tolist() == list(range(counts[-1, i])), "each place of a source is given out once"
    for s in {0, samples // 3, samples - 1}:
        np.testing.assert_allclose(schedule.ideal(s + 1), ideal[s], atol=1e-6)


@settings(max_examples=60, deadline=None)
@given(stage=stages(), block=st.sampled_from([1, 5, 32]), data=st.data())
def test_any_jump_gives_what_a_walk_gives(stage, block, data):
    samples, positions, shares = stage
    sources, ranks = everything(Schedule(samples, positions, shares, block=block))
    jumping = Schedule(samples, positions, shares, block=block)
    for number in data.draw(st.lists(st.integers(0, (samples - 1) // block), max_size=5)):
        found = jumping.block(number)
        inside = slice(number * block, number * block + block)
        assert (found.sources == sources[inside]).all() and (found.ranks == ranks[inside]).all()
        sample = data.draw(st.integers(0, samples))
        assert (jumping.counts(sample) == np.bincount(sources[:sample], minlength=shares.shape[1])).all()


def test_a_stage_of_one_block_is_tijdemans_sequence():
    """The rule as he gives it, in fractions."""
    shares = [Fraction(1, 2), Fraction(1, 5), Fraction(3, 10)]
    slack, counts, expected = Fraction(1, 4), [0, 0, 0], []
    for sample in range(1, 61):
        due = [i for i in range(3) if shares[i] * sample - counts[i] >= slack]
        expected.append(min(due, key=lambda i: ((counts[i] + 1 - slack) / shares[i], i)))
        counts[expected[-1]] += 1
    schedule = Schedule(60, np.array([0.0, 60.0]), np.array([shares, shares], float))
    assert schedule.block(0).sources.tolist() == expected


def test_the_order_is_pinned():
    """Runs must be repeatable for years: these may only change together with `loader.ORDER`."""
    shares = np.array([[2, 1, 1, 7, 7, 2], [4, 4, 3, 5, 3, 1]]) / 20
    for block, expected in ((1000, "3403453413423403413504231340234103524103"), (5, "3403453434123403413504231340234103524103")):
        sources, _ = everything(Schedule(40, np.array([0.0, 40.0]), shares, block=block))
        assert "".join(map(str, sources.tolist())) == expected


def test_a_stage_of_trillions_of_tokens_keeps_its_counts():
    """3.3 T tokens in samples of 4,096, the report's Stage 2 in form: a jump to the end, then back to the middle."""
    samples = 820_000_000
    shares = np.array([[0.1, 0.5, 0.4], [0.4, 0.35, 0.25]])
    schedule = Schedule(samples, np.array([0.0, samples]), shares)
    for number in (samples // BLOCK - 1, samples // BLOCK // 2):
        block = schedule.block(number)
        assert block.before.sum() == number * BLOCK == block.first and block.ranks.min() > 2**26
        assert np.abs(schedule.counts(block.first + 1_000) - schedule.ideal(block.first + 1_000)).max() < 2
    assert schedule.ideal(samples).tolist() == pytest.approx([0.25 * samples, 0.425 * samples, 0.325 * samples])
    assert np.abs(schedule.counts(samples) - schedule.ideal(samples)).max() < 1
