"""Verdicts: the published table is read as its authors read it, and an interval decides where there is one."""

from __future__ import annotations

import math

import pytest

from skyloom.evaluate.intervals import Estimate
from skyloom.leakage.verdict import LEAKED, NO_SIGN, OVERFITTED, POINT_THRESHOLD, UNKNOWN, detectable, judge, judge_points

TABLE_8 = {
    "ChatGLM3-6B": (0.99, 0.78, 0.99),
    "MOSS-7B": (1.51, 1.52, 1.49),
    "InternLM-7B": (1.21, 1.12, 1.27),
    "Qwen-7B": (1.07, 0.64, 1.10),
    "Baichuan2-7B": (1.41, 1.42, 1.36),
    "LLaMA-13B": (1.41, 1.42, 1.36),
    "LLaMA2-13B": (1.36, 1.38, 1.33),
    "Xverse-13B": (1.42, 1.43, 1.39),
    "Baichuan-13B": (1.41, 1.42, 1.37),
    "Baichuan2-13B": (1.09, 0.72, 1.12),
    "Qwen-14B": (1.03, 0.42, 1.14),
    "InternLM-20B": (1.20, 1.09, 1.19),
    "Aquila2-34B": (0.78, 0.39, 1.29),
    "Skywork-13B": (1.01, 0.97, 1.00),
}
"""L_test, L_train, L_ref on GSM8K: arXiv 2310.19341, Table 8."""


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
