"""The detectors on simulated scores: the level holds without leakage, what is planted is seen, and the share that is promised is."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from skyloom.leakage.benchmark_sets import BenchmarkItem
from skyloom.leakage.suspect.completion import beginning, completed, completion
from skyloom.leakage.suspect.detectors import (
    DELTA1,
    DELTA2,
    MIN_K,
    MIN_K_PLUS,
    ZLIB,
    clean_twin_gap,
    loss_gap,
    score_test,
    twin_gap,
)
from skyloom.leakage.suspect.item_order import choice_shards, choice_text, item_shards, order_test, shard_text
from skyloom.leakage.suspect.token_scores import ItemScores
from skyloom.score.intervals import Floats

RNG = np.random.default_rng


def drawn(rng: np.random.Generator, count: int, shift: float = 0.0, share: float = 1.0) -> list[ItemScores]:
    """Items whose loss per token is 1.5 ± .3; a `share` of them is `shift` lower."""
    leaked = rng.random(count) < share
    loss = rng.normal(1.5, 0.3, count) - shift * leaked
    sizes = rng.integers(40, 160, count)
    return [
        ItemScores(float(a * n), int(n), int(4 * n), int(2 * n), -float(a) * 3, -float(a) * 2, int(n))
        for a, n in zip(loss, sizes, strict=True)
    ]


def test_levels_hold_and_intervals_hold_zero() -> None:
    rng, runs = RNG(1), 400
    seen = {"delta1": 0, "min_k_plus": 0, "zlib": 0, "covered": 0}
    for _ in range(runs):
        first, second = drawn(rng, 60), drawn(rng, 40)
        gap = loss_gap(DELTA1, "reference", first, second, low=True)
        seen["covered"] += gap.low <= 0 <= gap.high
        seen["delta1"] += gap.p <= 0.05
        for name in (MIN_K_PLUS, ZLIB):
            seen[name] += score_test(name, "reference", first, second).p <= 0.05
    assert all(0.02 <= seen[name] / runs <= 0.085 for name in ("delta1", "min_k_plus", "zlib")), seen
    assert 0.925 <= seen["covered"] / runs <= 0.975


@pytest.mark.parametrize("name", ["delta1", "min_k_plus"])
def test_the_share_that_is_promised_is_seen_four_times_in_five(name: str) -> None:
    rng, hits = RNG(2), 0

    def found(first: list[ItemScores], second: list[ItemScores]) -> tuple[float, float | None]:
        one = loss_gap(DELTA1, "r", first, second, low=True) if name == DELTA1 else score_test(MIN_K_PLUS, "r", first, second)
        return one.p, one.share_seen(0.05)

    _, share = found(drawn(rng, 200), drawn(rng, 200))
    assert share is not None and 0.15 < share < 0.4
    for _ in range(200):
        hits += found(drawn(rng, 200, shift=0.3, share=share), drawn(rng, 200))[0] <= 0.05
    assert 0.68 <= hits / 200 <= 0.92
    few = found(drawn(rng, 3), drawn(rng, 3))[1]
    assert few is None, "so few items would not show that all were leaked"


def test_signs_and_directions() -> None:
    rng = RNG(3)
    leaked, clean = drawn(rng, 80, shift=0.4), drawn(rng, 80)
    gap = loss_gap(DELTA1, "reference", leaked, clean, low=True)
    assert gap.high < 0 and gap.p < 1e-3 and gap.unit == "nats/token" and gap.tokens == sum(s.tokens for s in leaked + clean)
    assert (
        loss_gap(DELTA2, "train", clean, leaked, low=False).p < 1e-3 < 0.9 < loss_gap(DELTA2, "train", leaked, clean, low=False).p
    )
    for name in (MIN_K, MIN_K_PLUS, ZLIB):
        one = score_test(name, "reference", leaked, clean)
        assert one.value > 0.6 and one.low > 0.5 and one.p < 1e-3
    pairs = [(a, ItemScores(a.nats + 0.05 * a.tokens, a.tokens, 1, 1, 0, 0, 0)) for a in clean]
    twins = twin_gap("twins", pairs)
    assert twins.value == pytest.approx(-0.05) and twins.p < 1e-3 and twins.items == 80 and twins.share_seen(0.05) is None
    assert math.isnan(twin_gap("twins", pairs[:1]).p)


def test_a_clean_twin_model_shows_planted_less_held_back() -> None:
    rng = np.random.default_rng(8)
    twin = drawn(rng, 400)
    better = [
        dataclasses.replace(s, nats=s.nats - s.tokens * rng.normal(0.2, 0.02)) for s in twin
    ]  # reads everything better, and has read nothing
    leaked = [dataclasses.replace(s, nats=s.nats - 0.1 * s.tokens * rng.uniform(0, 2)) for s in better[:200]] + better[200:]
    held = list(zip(better[200:], twin[200:], strict=True))
    clean, seen = (clean_twin_gap("reference", list(zip(part[:200], twin[:200], strict=True)), held) for part in (better, leaked))
    assert clean.value == pytest.approx(0, abs=0.01)
    assert seen.value == pytest.approx(-0.1, abs=0.02) and seen.low < seen.value < seen.high < 0 and seen.p < 1e-6
    assert seen.items == 200 and seen.tokens == sum(s.tokens for s in [*leaked, *twin])


def items(count: int) -> list[BenchmarkItem]:
    return [
        BenchmarkItem(f"题{n}", "zh", f"第{n}题", "", f"第{n}题", ("甲", "乙", "丙", "丁"), float(count - n)) for n in range(count)
    ]


def test_shards_are_neighbours_in_the_published_order() -> None:
    shards = item_shards(items(20), [10] * 20, context=60)
    assert [shard[0] for shard in shards] == [[19 - 4 * k - j for j in range(4)] for k in range(5)]
    for shard in shards:
        assert len(shard) == 6 and len({tuple(order) for order in shard}) == 6 and all(sorted(o) == sorted(shard[0]) for o in shard)
    assert item_shards(items(20), [10] * 20, context=60) == shards and item_shards(items(20), [100] * 20, context=60) == []
    assert shard_text(items(3), [2, 0]) == "第2题\n\n第0题"
    orders = choice_shards(items(1)[0])
    assert orders[0] == [0, 1, 2, 3] and len({tuple(o) for o in orders}) == 6
    assert choice_text(items(1)[0], [1, 0, 2, 3]).splitlines() == ["第0题", "A. 乙", "B. 甲", "C. 丙", "D. 丁"]
    assert choice_shards(BenchmarkItem("a", "en", "", "", "a", ("yes",))) == []
    assert len(choice_shards(BenchmarkItem("a", "en", "", "", "a", ("yes", "no")))) == 2


def rows(rng: np.random.Generator, count: int, gain: float = 0.0) -> list[Floats]:
    found = [rng.normal(100, 2, 6) for _ in range(count)]
    for row in found:
        row[0] -= gain
    return found


def test_the_order_test_holds_its_level_and_sees_a_published_order() -> None:
    rng = RNG(4)
    flagged = [order_test("item_order", "benchmark", rows(rng, 10), tokens=1, items=40, seed=s).p <= 0.05 for s in range(300)]
    assert sum(flagged) / 300 <= 0.08
    seen = order_test("item_order", "benchmark", rows(rng, 30, gain=3), tokens=1, items=120)
    assert seen.p <= 0.001 and seen.high < 0 and seen.value == pytest.approx(-0.75, abs=0.3) and seen.unit == "nats/item"
    same = order_test("item_order", "benchmark", [np.full(6, 5.0)] * 4, tokens=1, items=16)
    assert same.p == 1.0, "equal orders say nothing"
    assert math.isnan(order_test("item_order", "benchmark", rows(rng, 1), tokens=1, items=4).p)


def test_completion_compares_shares() -> None:
    found = completion("reference", [True] * 8 + [False] * 32 + [None], [True] * 1 + [False] * 39)
    assert found.value == pytest.approx(0.175) and found.low > 0 and found.p < 0.02 and found.unit == "share"
    assert math.isnan(completion("reference", [None], [True]).value)
    scores = ItemScores(1.0, 20, 1, 1, 0, 0, greedy_from=7)
    assert (completed(scores, 7), completed(scores, 6), completed(scores, 13)) == (True, False, None)
    item = BenchmarkItem("a", "zh", "小明有几个瓜", "三个", "问：小明有几个瓜\n三个")
    assert beginning(item, questions=True) == "问：小明有" and beginning(item, questions=False) == "问：小明有"
