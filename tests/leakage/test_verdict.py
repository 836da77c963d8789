"""Verdicts: the published table is read as its authors read it, and an interval decides where there is one."""

from __future__ import annotations

import math

import pytest

from skyloom.leakage.verdict import LEAKED, NO_SIGN, OVERFITTED, POINT_THRESHOLD, UNKNOWN, detectable, judge, judge_points
from skyloom.score.intervals import Estimate
from tests.planted.published_losses import TABLE_8


def test_the_published_table_is_read_as_its_authors_read_it() -> None:
    verdicts = {m: judge_points(test - ref, test - train) for m, (test, train, ref) in TABLE_8.items()}
    assert {m for m, v in verdicts.items() if v.leaked} == {"Aquila2-34B"}
    overfitted = {"ChatGLM3-6B", "Qwen-7B", "Qwen-14B", "Baichuan2-13B", "Aquila2-34B"}
    assert {m for m, v in verdicts.items() if v.overfitted} == overfitted
    assert LEAKED in verdicts["Aquila2-34B"].words and OVERFITTED in verdicts["Aquila2-34B"].words
    assert verdicts["Skywork-13B"].words.startswith(NO_SIGN)


@pytest.mark.parametrize("threshold", [0.13, POINT_THRESHOLD, 0.21])
def test_the_reading_does_not_hang_on_one_threshold(threshold: float) -> None:
    named = {
        m
        for m, (test, train, ref) in TABLE_8.items()
        if judge_points(round(test - ref, 2), round(test - train, 2), threshold).overfitted
    }
    assert len(named) == 5


@pytest.mark.parametrize(
    ("delta1", "delta2", "leaked", "overfitted"),
    [
        (Estimate(-0.3, -0.5, -0.1), Estimate(0.0, -0.1, 0.1), True, False),
        (Estimate(-0.3, -0.7, 0.1), Estimate(0.4, 0.1, 0.7), False, True),
        (Estimate(0.3, 0.1, 0.5), Estimate(-0.3, -0.5, -0.1), False, False),  # a gap the other way is neither
        (Estimate(-0.3, -0.5, -0.1), Estimate(0.4, 0.1, 0.7), True, True),
        (Estimate(-0.3, math.nan, math.nan), Estimate(0.0, -0.1, 0.1), None, False),
    ],
)
def test_the_interval_decides(delta1: Estimate, delta2: Estimate, leaked: bool | None, overfitted: bool) -> None:
    verdict = judge(delta1, delta2)
    assert (verdict.leaked, verdict.overfitted) == (leaked, overfitted)
    assert (LEAKED in verdict.words) == bool(leaked)
    assert (OVERFITTED in verdict.words) == bool(overfitted)
    assert (verdict.words == UNKNOWN) == (leaked is None)


def test_no_sign_says_what_would_have_been_seen() -> None:
    narrow, wide = Estimate(0.0, -0.1, 0.1), Estimate(0.0, -0.7, 0.7)
    assert detectable(narrow) == pytest.approx(0.143)
    words = judge(narrow, wide).words
    assert words.startswith(NO_SIGN) and "0.14" in words and " 1 nats" in words
