"""How generated answers of our Chinese tasks are judged."""

from __future__ import annotations

import pytest

from skyloom.evaluate.benchmarks.chinese_answers import number_matches, pieces, span_f1, span_matches


@pytest.mark.parametrize(
    ("answer", "text", "right"),
    [
        ("28", "36-8=28（棵）。答案是28。", 1), ("28", "答案是２８棵，因为 3", 1), ("0.5", "一共1/2，答案是 1/2", 1), ("50%", "答案：0.5", 1),
        ("1200", "答案是1,200。", 1), ("7", "3+4=7", 1), ("7", "7 then 8", 0), ("7", "七", 0), ("7", "", 0), ("-3", "答案是-3", 1),
        ("3", "答案是3。问题二的答案是4。", 0), ("1", "答案是1/0", 0),
    ],
)  # fmt: skip
def test_numbers(answer: str, text: str, right: int) -> None:
    assert number_matches({"answer": answer}, [text]) == {"exact_match": right}


def test_pieces() -> None:
    assert pieces("光荣和ω-force，Koei 2.0！") == ["光", "荣", "和", "ω", "force", "koei", "2", "0"]


@pytest.mark.parametrize(
    ("answers", "text", "f1", "exact"),
    [
        (["光荣和ω-force"], "《光荣》和ω-force。", 1.0, 1.0),
        (["九百里", "900里"], "有九百里", 6 / 7, 0.0),
        ({"text": ["Port Royal"], "answer_start": [3]}, "the port royal", 0.8, 0.0),
        (["河"], "山", 0.0, 0.0),
        (["河"], "", 0.0, 0.0),
        ("河", "河", 1.0, 1.0),
    ],
)
def test_spans(answers: object, text: str, f1: float, exact: float) -> None:
    assert span_matches({"answers": answers}, [text]) == pytest.approx({"f1": f1, "exact_match": exact})


def test_the_longest_common_run_counts() -> None:
    assert span_f1(list("甲乙x丙丁戊"), list("甲乙丙丁戊")) == pytest.approx(2 * (3 / 6) * (3 / 5) / (3 / 6 + 3 / 5))
