"""The recomputation of twins sees every kind of wrong twin, so that its zero means something."""

from __future__ import annotations

from fractions import Fraction

import pytest
from bench.leakage.twins import blind_auc, evaluated, faults

ORIGINAL = {
    "question": "小明 has 16 eggs, 25% are white. He eats 5.",
    "answer": "White: <<16*.25=4>>4. Left: <<16-5=11>>11 个\n#### 11",
}
RIGHT = {
    "question": "小刚 has 20 eggs, 30% are white. He eats 9.",
    "answer": "White: <<20*.3=6>>6. Left: <<20-9=11>>11 个\n#### 11",
}


def test_a_right_twin_has_no_fault() -> None:
    assert list(faults(ORIGINAL, RIGHT)) == []


@pytest.mark.parametrize(
    ("field", "old", "new", "word"),
    [
        ("answer", "=6>>", "=7>>", "is not"),
        ("answer", "#### 11", "#### 12", "not what the notes give"),
        ("answer", "20*.3=6", "20*.25=5", "became"),
        ("answer", "20-9=11", "20+9=29", "another formula"),
        ("answer", "20-9=11", "30-9=21", "became"),
        ("question", "20 eggs", "21 eggs", "became"),
        ("question", " He eats 9.", " He eats 9 of 12.", "another count"),
    ],
)
def test_a_wrong_twin_is_seen(field: str, old: str, new: str, word: str) -> None:
    found = list(faults(ORIGINAL, RIGHT | {field: RIGHT[field].replace(old, new)}))
    assert found and word in " ".join(found)


def test_the_evaluator_knows_order_and_brackets() -> None:
    assert evaluated("2+3*4-6/2") == 11 and evaluated("(2+3)*.5") == Fraction(5, 2) and evaluated("100-40-10") == 50


def test_the_bag_of_words_sees_a_style_and_nothing_where_there_is_nothing() -> None:
    pytest.importorskip("sklearn")
    plain = [f"小红有{k}个球，又买了{k * 7 % 13}个" for k in range(60)]
    assert blind_auc(plain, [f"{t}，对吗" for t in plain]).value > 0.95
    assert blind_auc(plain, plain).value < 0.6
