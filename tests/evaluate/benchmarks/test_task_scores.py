"""Figures from items: intervals by kind, near ties and the range that they leave, bits per byte of the right answers."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from lm_eval.api.metrics import bits_per_byte, mean, perplexity, weighted_perplexity

from skyloom.evaluate.benchmarks.asking import TaskAnswers
from skyloom.evaluate.benchmarks.item_records import ChoiceSet, ItemRecord, Near, near_greedy, right_numbers, single_numbers
from skyloom.evaluate.benchmarks.task_scores import BOOTSTRAP, WILSON, right_bits, scored, task_rows
from skyloom.score.intervals import wilson


def choices(
    *logs: float, texts: tuple[str, ...] = ("ab", "河", "abcd", "x"), right: int = 0, same: tuple[int, ...] | None = None
) -> ChoiceSet:
    kept = texts[: len(logs)]
    sizes = [np.array([float(len(t)) for t in kept]), np.array([float(len(t.encode())) for t in kept])]
    return ChoiceSet(np.array(logs), None, *sizes, frozenset({right}), same or tuple(range(len(logs))))


def test_near_ties_by_metric() -> None:
    assert choices(-1.0, -1.00009).near("acc", 1e-4) == Near(right=True, wrong=True)
    assert choices(-1.0, -1.0002).near("acc", 1e-4) is None
    assert choices(-1.0, -1.00001, right=1).near("acc", 1e-4) == Near(True, True)
    assert choices(-2.0, -1.0, -1.00001).near("acc", 1e-4) == Near(right=False, wrong=True), "both that could win are wrong"
    # by character: −2 / 2 and −1 / 1 are equal, though the sums are a nat apart
    assert choices(-2.0, -1.0).near("acc_norm", 1e-4) == Near(True, True) and choices(-2.0, -1.0).near("acc", 1e-4) is None
    assert choices(-2.0, -3.0).near("acc_bytes", 1e-4) == Near(True, True)
    assert choices(-1.0, -1.0, same=(0, 0)).near("acc", 1e-4) is None, "the same request cannot differ from itself"
    assert choices(-1.0, -1.0).near("exact_match", 1e-4) is None
    assert near_greedy(-5e-5, 1e-4) == Near(True, True) and near_greedy(2e-4, 1e-4) is None


def test_mutual_information_is_noisier() -> None:
    both = ChoiceSet(np.array([-1.0, -2.0]), np.array([-3.0, -4.00015]), np.ones(2), np.ones(2), frozenset({0}), (0, 1))
    assert both.near("acc_mutual_info", 1e-4) == Near(True, True)
    assert both.near("acc", 1e-4) is None


def test_right_numbers_of_any_form() -> None:
    texts = ["甲", "乙", "c"]
    assert [right_numbers(t, texts) for t in (1, "乙", [0, 2], -100, "丁", ["甲", 2])] == [{1}, {1}, {0, 2}, set(), set(), {0, 2}]
    assert single_numbers({"acc": 1, "f1": (0, 1), "em": np.float64(0.5)}, "none") == {"acc,none": 1.0, "em,none": 0.5}


def item(name: str, nats: float, size: int) -> ItemRecord:
    return {
        "model": "m", "task": "t", "id": name, "choices": [-nats], "answer": 0, "right": [0], "margin": None, "right_nats": nats,
        "right_bytes": size, "metrics": {}, "near": [], "prompt": "p",
    }  # fmt: skip


def test_bits_per_byte_of_the_right_answers() -> None:
    found = right_bits([item("甲", 3.0, 3), item("b", 2.0, 5), item("c", 4.0, 2)])
    assert found.value == pytest.approx(9 / 10 / math.log(2)) and found.low < found.value < found.high
    assert math.isnan(right_bits([]).value)


def sorted_middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


@pytest.mark.parametrize(
    ("values", "aggregate", "value", "kind"),
    [
        ([1, 0, 1, 1], mean, 0.75, WILSON),
        ([0.5, 0.0, 1.0], mean, 0.5, BOOTSTRAP),
        ([(-3.0, 2), (-5.0, 6)], weighted_perplexity, math.e, BOOTSTRAP),
        ([(-3.0, 2), (-5.0, 6)], bits_per_byte, 1 / math.log(2), BOOTSTRAP),
        ([-1.0, -3.0], perplexity, math.e**2, BOOTSTRAP),
        ([3, 1, 2], sorted_middle, 2.0, BOOTSTRAP),
    ],
)
def test_values_are_those_of_the_tasks_own_aggregation(values: list[Any], aggregate: Any, value: float, kind: str) -> None:
    found, how = scored(values, aggregate, seed=1, name="x")
    assert found.value == pytest.approx(value, rel=1e-5) and how == kind
    if kind == WILSON:
        assert (found.low, found.high) == (wilson(3, 4).low, wilson(3, 4).high)
    elif not math.isnan(found.low):
        assert found.low <= found.value <= found.high


def test_the_range_that_near_ties_leave() -> None:
    task = SimpleNamespace(
        aggregation=lambda: {"acc": mean}, higher_is_better=lambda: {"acc": True}, get_config=lambda _: None, VERSION=1.0
    )
    found = TaskAnswers(task, "multiple_choice", items=[item(str(n), 1.0, 1) for n in range(4)], of=9, chances=[0.25] * 4)
    found.values["acc", "none"] = [1.0, 1.0, 0.0, 0.0]
    found.near["acc"] = {0: Near(True, True), 2: Near(right=True, wrong=True), 3: Near(right=False, wrong=True)}
    row = task_rows("m", "t", found)[0]
    assert (row["value"], row["least"], row["most"], row["near_ties"], row["n"], row["of"]) == (0.5, 0.25, 0.75, 3, 4, 9)
