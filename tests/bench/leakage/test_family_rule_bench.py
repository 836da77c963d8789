"""The simulation of the family rule: few suspects, the same counts for the same seed, and the plain gap accuses far more often."""

from __future__ import annotations

from bench.leakage.family_rule import mixed, simulated


def test_the_same_seed_gives_the_same_counts_and_the_plain_gap_is_worse() -> None:
    found = simulated(40, resamples=50)
    assert found == simulated.__wrapped__(40, resamples=50)
    assert found.suspects == 40 and found.family <= found.bare <= found.judged <= 40
    assert found.plain / 40 > 0.3 > found.family / found.judged


def test_a_tenth_of_another_style_accuses_more_often_than_the_level() -> None:
    one = mixed(300, draws=200)
    assert 0.53 < one.auc < 0.57 and 0.3 < one.comparable < 0.8 and one.accused > 8
