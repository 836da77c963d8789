"""The family rule: a line with leverage as by hand, verdicts that say what is missing, and an innocent suspect that stays innocent."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from skyloom.core.errors import DataError
from skyloom.leakage.family import FamilyRow, MemberCosts, ModelFamily, judge_family, judge_member, predict
from skyloom.leakage.family.family_file import FamilyHead

SETS = ("benchmark", "reference", "ability")
ITEMS = 60


def costs(
    name: str, ability: float, gap: float, seed: int = 0, lineage: str = "", clean: str = "date", own: float = 0.0
) -> MemberCosts:
    """A model with this ability and gap in nats per token, of 4 bytes; `own`: noise of its items."""
    shared = np.random.default_rng(7).normal(0, 0.2, (3, ITEMS))
    rng = np.random.default_rng([9, seed])
    levels = {"benchmark": 2 - ability + gap, "reference": 2 - ability, "ability": 2 - ability}
    nats = {n: 50 * (levels[n] + shared[k] - shared[k].mean() + rng.normal(0, own, ITEMS)) for k, n in enumerate(SETS)}
    return MemberCosts(name, lineage or name, "2020-01-01", clean, nats, dict.fromkeys(SETS, np.full(ITEMS, 200)))


def family(members: list[MemberCosts]) -> ModelFamily:
    head: FamilyHead = {
        "family": 1, "benchmark_sha256": "", "sha256": {}, "sets": dict.fromkeys(SETS, ITEMS), "template": "", "benchmark_date": None,
    }  # fmt: skip
    return ModelFamily(head, dict.fromkeys(SETS, tuple(f"题{k}" for k in range(ITEMS))), tuple(members))


def eight(clean: str = "date") -> list[MemberCosts]:
    jitter = np.random.default_rng(3).normal(0, 0.004, 8)
    return [costs(f"模型{k}", k / 8, -0.03 - 0.05 * k / 8 + jitter[k], k, clean=clean, own=0.01) for k in range(8)]


def test_the_prediction_is_that_of_ordinary_least_squares() -> None:
    rng = np.random.default_rng(1)
    x, noise = rng.uniform(0, 1, 9), rng.normal(0, 0.1, 9)
    y = 0.3 * x + noise
    found = predict(x, y, 0.7, 0.1)
    line = stats.linregress(x, y)
    assert (found.slope, found.intercept) == pytest.approx((line.slope, line.intercept))
    rest = y - line.intercept - line.slope * x
    s = math.sqrt((rest**2).sum() / 7)
    spread = s * math.sqrt(1 + 1 / 9 + (0.7 - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    assert found.spread == pytest.approx(spread) and found.degrees == 7
    assert found.p == pytest.approx(stats.t.cdf((0.1 - line.intercept - 0.7 * line.slope) / spread, 7))
    assert found.reach == pytest.approx(stats.t.ppf(0.975, 7) * spread)
    assert predict(x, y, 0.7, 0.1, item_variance=1.0).spread == 1.0, "never less than the suspect's items alone would give"
    assert predict(np.ones(8), np.zeros(8), 1.0, 0.0).p == 0.5, "all models equally able: the line is level"


def test_a_gap_that_ability_explains_accuses_nobody_and_a_leak_is_seen() -> None:
    innocent = judge_member(family(eight()), costs("嫌疑", 0.5, -0.03 - 0.025, 20, own=0.01))
    assert innocent.tells and innocent.inside and innocent.p is not None and innocent.p > 0.05 and innocent.declared == []
    assert innocent.low is not None and innocent.high is not None and innocent.low < 0 < innocent.high
    leaked = judge_member(family(eight()), costs("嫌疑", 0.5, -0.03 - 0.025 - 0.2, 20, own=0.01))
    assert leaked.p is not None and leaked.p < 1e-3 and leaked.high is not None and leaked.high < 0
    assert leaked.slope is not None and leaked.slope < 0 and "below the line through 8 clean lineages" in leaked.why
    names = {"models", "suspect", "slope", "intercept", "residual", "low", "high", "p", "inside", "why", "declared"}
    assert set(leaked.as_json()) == names and leaked.models[0].keys() == {"model", "lineage", "released", "ability", "gap"}
    assert judge_member(family(eight()), costs("嫌疑", 0.5, -0.055, 20, own=0.01)) == innocent, "the same for the same costs"


@pytest.mark.parametrize(("ability", "side"), [(1.4, "more able than all"), (-0.3, "less able than all")])
def test_outside_of_the_family_nothing_can_be_told(ability: float, side: str) -> None:
    found = judge_member(family(eight()), costs("嫌疑", ability, -0.5))
    assert not found.inside and found.p is None and found.residual is None and side in found.why and "cannot tell" in found.why


def test_too_small_a_family_says_what_is_missing() -> None:
    members = eight()
    members[0] = dataclasses.replace(members[0], lineage="模型1")
    found = judge_member(family(members), costs("嫌疑", 0.5, -0.5))
    assert not found.tells and "7 clean lineages, 8 are needed; 8 models, but those of one lineage count once" in found.why
    members = eight()
    members[3] = dataclasses.replace(members[3], clean="not known")
    found = judge_member(family(members), costs("嫌疑", 0.5, -0.5))
    assert not found.tells and "neither released before the benchmark nor declared): 模型3" in found.why
    assert [m["model"] for m in found.models] == [f"模型{k}" for k in range(8) if k != 3]
    found = judge_member(family(eight()), dataclasses.replace(costs("嫌疑", 0.5, -0.5), lineage="模型2"))
    assert not found.tells and "of the suspect's own lineage or name: 模型2" in found.why


def test_what_is_clean_by_the_users_word_alone_is_said() -> None:
    members = [*eight()[:7], dataclasses.replace(eight()[7], clean="declared")]
    found = judge_member(family(members), costs("嫌疑", 0.5, -0.055))
    assert found.tells and found.declared == ["模型7"] and "by the user's word, not by date: 模型7" in found.why


def test_models_of_one_lineage_are_one_point() -> None:
    members = eight()
    more = dataclasses.replace(costs("同系", 0.1, -3.0), lineage=members[7].lineage)
    one = judge_member(family(members), costs("嫌疑", 0.5, -0.055))
    both = judge_member(family([*members, more]), costs("嫌疑", 0.5, -0.055))
    assert len(both.models) == 9 and one.p != both.p and both.why.count("8 clean lineages") == 1


def test_a_noisier_suspect_has_a_wider_interval() -> None:
    def width(own: float) -> float:
        found = judge_member(family(eight()), costs("嫌疑", 0.5, -0.055, 20, own=own))
        assert found.low is not None and found.high is not None
        return found.high - found.low

    assert width(0.5) > 2 * width(0.01)


def test_the_suspects_rows_are_brought_into_order_and_checked() -> None:
    suspect = costs("嫌疑", 0.5, -0.055, 20, own=0.01)
    made = family(eight())
    rows: list[FamilyRow] = [
        {
            "model": "嫌疑", "lineage": "嫌疑", "released": None, "clean": "not known", "set": name, "item": made.items[name][k],
            "nats": float(suspect.nats[name][k]), "tokens": 50, "bytes": 200,
        }
        for name in SETS for k in range(ITEMS)
    ]  # fmt: skip
    assert judge_family(made, rows[::-1]) == judge_member(made, suspect)
    with pytest.raises(DataError, match=r"other items of the set ability .*it lacks the item 题59"):
        judge_family(made, rows[:-1])
    with pytest.raises(DataError, match="costs of several models"):
        judge_family(made, [*rows, {**rows[0], "model": "other"}])
    with pytest.raises(DataError, match="no costs of the suspect"):
        judge_family(made, [])
