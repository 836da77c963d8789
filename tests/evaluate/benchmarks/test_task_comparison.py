"""Two models on the same items: McNemar's test, the paired difference, and questions that are not the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skyloom.core.errors import ConfigError, DataError
from skyloom.evaluate.benchmarks.item_records import ItemRecord
from skyloom.evaluate.benchmarks.task_command import compare_two, comparison_table
from skyloom.evaluate.benchmarks.task_comparison import RIGHT, compare, mcnemar, packed
from skyloom.score.intervals import generator


def items(model: str, right: list[int], task: str = "题目", **other: Any) -> list[ItemRecord]:
    made: list[ItemRecord] = []
    for number, value in enumerate(right):
        made.append(
            {
                "model": model, "task": task, "id": f"项{number}", "choices": [-1.0, -2.0], "answer": 0, "right": [0], "margin": 1.0,
                "right_nats": 1.0 + value, "right_bytes": 4, "metrics": {"acc,none": float(value)}, "near": [], "prompt": "p", **other,
            }  # type: ignore[typeddict-item]
        )  # fmt: skip
    return made


def test_mcnemar_is_a_fair_coin() -> None:
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(8, 0) == pytest.approx(2 / 2**8)
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10) and mcnemar(9, 1) == mcnemar(1, 9)


def test_a_difference_with_its_interval() -> None:
    rows = compare("a", {"题目": items("a", [1, 1, 1, 0, 1, 0])}, "b", {"题目": items("b", [1, 0, 0, 0, 1, 1])[::-1]})
    acc, bits = rows
    assert (acc["metric"], acc["only_model"], acc["only_other"], acc["n"]) == ("acc,none", 2, 1, 6)
    assert acc["difference"] == pytest.approx(1 / 6, abs=1e-6) and acc["low"] < acc["difference"] < acc["high"]  # type: ignore[operator]
    assert acc["p"] == 1.0 and bits["metric"] == RIGHT and bits["p"] is None
    assert bits["difference"] == pytest.approx((10 - 9) / 24 / np.log(2), abs=1e-6)
    assert comparison_table(rows)[0]["a"] == pytest.approx(4 / 6, abs=1e-6)


def test_the_tasks_of_a_group_are_compared_together() -> None:
    mine = {"x": items("a", [1, 1], "x"), "y": items("a", [1, 0, 1], "y")}
    theirs = {"x": items("b", [0, 1], "x"), "y": items("b", [0, 0, 0], "y")}
    rows = compare("a", mine, "b", theirs, {"组": ["x", "y"], "other": ["z"]})
    assert [(r["task"], r["n"], r["only_model"]) for r in rows if r["metric"] == "acc,none"] == [
        ("组", 5, 3),
        ("x", 2, 1),
        ("y", 3, 2),
    ]


@pytest.mark.slow
def test_the_paired_interval_covers_the_difference() -> None:
    """Of 1,000 simulated pairs over 150 items, 93 to 97 % (the level is 95 %) of the intervals hold the true difference."""
    held, trials = 0, 1000
    draw = generator(7, "coverage")
    for _ in range(trials):
        ease = draw.normal(size=150)
        a, b = (((ease + draw.normal(size=150) + shift) > 0).astype(int).tolist() for shift in (0.3, 0.0))
        row = compare("a", {"t": items("a", a, "t")}, "b", {"t": items("b", b, "t")})[0]
        held += row["low"] <= TRUE <= row["high"]  # type: ignore[operator]
    assert 0.93 <= held / trials <= 0.97


TRUE = 0.08401
"""P(N(0.3, 2) > 0) − 1/2."""


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        (items("b", [1]), "a answered 2 items, b 1; item 项1"),
        (items("b", [1, 1], id="项0"), "has an id twice"),
        (items("b", [1, 1], prompt="q"), "项0: a and b were asked in other words"),
        (items("b", [1, 1], task="z"), "no task in common"),
    ],
)
def test_other_questions_are_not_compared(theirs: list[ItemRecord], told: str) -> None:
    with pytest.raises(DataError) as problem:
        compare("a", {"题目": items("a", [1, 1])}, "b", {theirs[0]["task"]: theirs})
    assert told in str(problem.value)


def test_folders_of_results(tmp_path: Path) -> None:
    for name, right in (("一", [1, 0]), ("二", [0, 0])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "items.jsonl.gz").write_bytes(packed(items(f"model {name}", right)))
    folders = str(tmp_path / "一"), str(tmp_path / "二")
    assert compare_two(folders, {})[0]["only_model"] == 1
    assert compare_two((f"{folders[0]}:model 一", folders[1]), {})[0]["model"] == "model 一"
    assert compare_two(("甲", folders[1]), {"甲": {"题目": items("甲", [1, 1])}})[0]["only_model"] == 2
    (tmp_path / "三").mkdir()
    both = packed(items("m", [1]) + items("n", [1]))
    (tmp_path / "三" / "items.jsonl.gz").write_bytes(both)
    for pair, kind, told in (
        ((str(tmp_path), folders[0]), ConfigError, "neither a model of this command"),
        (("nothing", folders[0]), ConfigError, "a folder of results"),
        ((f"{folders[0]}:x", folders[1]), ConfigError, "has model 一"),
        ((str(tmp_path / "三"), folders[0]), ConfigError, "has m, n; write"),
        ((folders[0], folders[0]), ConfigError, "both are the same"),
    ):
        with pytest.raises(kind) as problem:
            compare_two(pair, {})
        assert told in str(problem.value)
    for damaged in (both[:20], packed([{"a": 1}])):  # type: ignore[list-item]
        (tmp_path / "三" / "items.jsonl.gz").write_bytes(damaged)
        with pytest.raises(DataError):
            compare_two((str(tmp_path / "三"), folders[0]), {})
    (tmp_path / "一" / "tasks.json").write_text("[]", encoding="utf-8")
    with pytest.raises(DataError, match="not the report of an evaluation"):
        compare_two(folders, {})
