"""The rule: what counts is known before the model, a veto holds whatever the size, and the report's Table 8 goes through it."""

from __future__ import annotations

import dataclasses
import math

import pytest

from skyloom.leakage.blind import Auc, BlindBaseline
from skyloom.leakage.suspect import known_power
from skyloom.leakage.suspect.detectors import DELTA1, DELTA2, FAMILY, MIN_K_PLUS, TWINS, DetectorFinding
from skyloom.leakage.suspect.suspect_run import _detector_row
from skyloom.leakage.suspect.suspect_verdict import (
    LEAKED,
    OVERFITTED,
    SUPPORTING,
    SuspectVerdict,
    decide,
    holm,
    judge_published,
    rule_for,
)
from skyloom.leakage.verdict import NO_SIGN, UNKNOWN
from tests.planted.published_losses import TABLE_8


def baseline(value: float, error: float = 0.02, length: float = 0.5) -> BlindBaseline:
    return BlindBaseline(*(Auc(v, v - 2 * error, v + 2 * error, error) for v in (value, length)), n=100)


FAIR, STYLE = baseline(0.5), baseline(0.996, 0.001)


def finding(name: str, other: str, p: float, value: float = -0.1, error: float = 0.02, effect: float = 0.3) -> DetectorFinding:
    unit = "auc" if name == MIN_K_PLUS else "nats/token"
    return DetectorFinding(name, other, value, value - 2 * error, value + 2 * error, unit, p, 300, 1000, error, effect)


def judged(findings: list[DetectorFinding], declared: str | None = "reference", blind: BlindBaseline = FAIR) -> SuspectVerdict:
    sets = {f.set for f in findings} & {"reference", "train"}
    rules = {(f.name, f.set): rule_for(f.name, f.set, declared=declared, blind=dict.fromkeys(sets, blind)) for f in findings}
    return decide(findings, rules, holm(findings, rules))


def test_a_gap_counts_by_declaration_or_family_and_never_against_a_veto() -> None:
    for name in (DELTA1, MIN_K_PLUS):
        assert rule_for(name, "reference", declared="reference", blind={"reference": FAIR}).counts
        assert not rule_for(name, "reference", declared=None, blind={"reference": FAIR}).counts
        assert not rule_for(name, "reference", declared="train", blind={"reference": FAIR}).counts
        vetoed = rule_for(name, "reference", declared="reference", blind={"reference": STYLE})
        assert not vetoed.counts and "a bag of words tells" in vetoed.why and "0.99" in vetoed.why and "词袋" in vetoed.zh
    assert "length alone" in rule_for(DELTA1, "reference", declared="reference", blind={"reference": baseline(0.5, length=0.8)}).why
    assert rule_for(FAMILY, "reference", declared=None, blind={"reference": FAIR}).counts
    assert not rule_for(FAMILY, "reference", declared=None, blind={"reference": STYLE}).counts
    for name in SUPPORTING:
        assert not rule_for(name, "reference", declared="reference", blind={"reference": FAIR}).counts


def test_no_sign_quotes_what_was_measured_on_small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ((DELTA1, "zh", 3, 300, 20, 18), (DELTA1, "zh", 1, 400, 20, 9), (DELTA1, "en", 3, 300, 20, 1))
    monkeypatch.setattr(known_power, "KNOWN_POWER", rows)
    found, key = finding(DELTA1, "reference", 0.4), (DELTA1, "reference")
    rules = {key: rule_for(*key, declared="reference", blind={"reference": FAIR})}
    quotes = decide([found], rules, holm([found], rules), {"zh": 300}).reasons[-1]
    assert "Known power of delta1: measured on small models of 0.9 M parameters (CMATH), one-sided" in quotes["en"]
    assert "90% [70%, 97%] of 20 if all 300 items were read 3 times" in quotes["en"] and "400" not in quotes["en"]
    assert "0.9 M 参数的小模型" in quotes["zh"] and "20 个中 90%" in quotes["zh"]
    row = _detector_row(found, rules[key], {}, {"zh": 300})["power"]
    assert row["source"].startswith("measured on small models") and "the share is derived" in row["source"]
    assert row["source_zh"].startswith("在 0.9 M 参数的小模型上实测") and row["source_zh"].count("；该比例由推算得出") == 1
    assert [(one["copies"], one["share"], one["seeds"]) for one in row["measured"]] == [(3, 0.9, 20)]
    assert _detector_row(found, rules[key], {}, {"fr": 300})["power"]["source"].startswith("the share is derived")
    for langs in ({"en": 150, "zh": 150}, None):  # nothing was measured: the derived share stands alone
        assert "Known power" not in "".join(r["en"] for r in decide([found], rules, holm([found], rules), langs).reasons)


def test_a_strong_leak_without_a_fair_set_is_not_told() -> None:
    huge = [finding(DELTA1, "reference", 1e-30, -0.9), finding(MIN_K_PLUS, "reference", 1e-30, 0.99)]
    for declared, blind, told in ((None, FAIR, "nobody declares"), ("reference", STYLE, "a bag of words tells")):
        found = judged(huge, declared, blind)
        assert found.word == UNKNOWN and told in found.sentence["en"] and "无法判断" in found.sentence["zh"]
        assert found.share_seen is None and any("-0.900" in reason["en"] for reason in found.reasons), "what was seen is shown"
    assert judged(huge).word == LEAKED and "泄漏" not in judged(huge).sentence["zh"][:2]


def test_holm_over_those_that_count() -> None:
    two = [finding(DELTA1, "reference", 0.03), finding(MIN_K_PLUS, "reference", 0.04, 0.55)]
    rules = {(f.name, f.set): rule_for(f.name, f.set, declared="reference", blind={"reference": FAIR}) for f in two}
    assert holm(two, rules) == {(DELTA1, "reference"): pytest.approx(0.06), (MIN_K_PLUS, "reference"): pytest.approx(0.06)}
    assert judged(two).word == NO_SIGN, "each alone would be flagged at 5 %"
    assert judged([finding(DELTA1, "reference", 0.02), *two[1:]]).word == LEAKED
    broken = finding(DELTA1, "reference", math.nan, math.nan)
    assert judged([broken, finding(MIN_K_PLUS, "reference", 0.03, 0.6)]).word == LEAKED, "what could not be judged is not tested"


def test_no_sign_says_what_would_have_been_seen_and_never_rests_on_twins() -> None:
    found = judged([finding(DELTA1, "reference", 0.6, 0.01)])
    assert found.word == NO_SIGN and found.share_seen == pytest.approx((1.645 + 0.842) * 0.02 / 0.3, abs=0.001)
    assert (
        "17%" in found.sentence["en"]
        and "17%" in found.sentence["zh"]
        and found.gap is not None
        and found.gap["detector"] == DELTA1
    )
    twins = judged([finding(TWINS, "twins", 0.6, 0.0)])
    assert twins.word == UNKNOWN and "neither a reference set nor a family" in twins.sentence["en"]
    blunt = judged([finding(DELTA1, "reference", 0.6, 0.01, error=0.4)])
    assert blunt.word == UNKNOWN and "so few items" in blunt.sentence["en"] and "题目太少" in blunt.sentence["zh"]


def test_the_train_split() -> None:
    over = [finding(DELTA1, "train", 1.0, 0.3), finding(DELTA2, "train", 1e-6, 0.3)]
    found = judged(over, "train")
    assert found.word == OVERFITTED and "过拟合" in found.sentence["zh"]
    clean = judged([dataclasses.replace(f, p=0.5, value=0.0) for f in over], "train")
    assert clean.word == NO_SIGN and any("a smaller leak than that cannot be seen" in r["en"] for r in clean.reasons)
    both = judged([finding(DELTA1, "reference", 1e-6), finding(DELTA2, "train", 1e-6, 0.3)], "train")
    assert both.word == OVERFITTED, "the reference set was not declared"


def test_table_8_through_the_rule() -> None:
    """The text of the report names five models for Δ2. Δ1 says nothing about any, whatever its size: the reference set is told by words."""
    blind = {"reference": STYLE, "train": FAIR}
    found = {m: judge_published(*losses, declared="train", blind=blind) for m, losses in TABLE_8.items()}
    named = {"ChatGLM3-6B", "Qwen-7B", "Qwen-14B", "Baichuan2-13B", "Aquila2-34B"}
    assert {m for m, v in found.items() if v.word == OVERFITTED} == named and len(found) == 14
    assert all(v.word == UNKNOWN for m, v in found.items() if m not in named)
    for model, (test, train, ref) in TABLE_8.items():
        told = found[model].sentence
        assert (
            f"Δ1 = {test - ref:+.2f}: cannot tell, a bag of words tells" in told["en"] and f"Δ2 = {test - train:+.2f}" in told["en"]
        )
        assert f"Δ1 = {test - ref:+.2f}（无法判断）" in told["zh"] and f"Δ2 = {test - train:+.2f}" in told["zh"]
    assert judge_published(*TABLE_8["Aquila2-34B"], declared="reference", blind={"reference": FAIR}).word == LEAKED
