"""Twins: every number of a solution follows its source, what makes no sense is refused, and the same seed gives the same bytes."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError
from skyloom.leakage.twins import NumberPool, make_twins, question_twin, solved_twin, write_twins
from skyloom.leakage.twins.calculator_notes import read_notes, worked
from skyloom.leakage.twins.number_draws import free_numbers
from skyloom.leakage.twins.number_spans import figures, places, rewritten
from skyloom.leakage.twins.number_twins import NO_NOTES, NOTHING_FREE, ODD_ANSWER, ODD_NOTE, ROUNDED, UNKNOWN, UNUSED
from skyloom.leakage.twins.people_names import count_names, other_names, renamed
from skyloom.leakage.twins.question_formulas import formulas_for
from skyloom.leakage.twins.question_twins import UNEXPLAINED, known_answer
from skyloom.leakage.twins.twins_run import read_questions

POOL = NumberPool(
    [
        " ".join(map(str, range(3, 100))),
        "120 150 200 240 300 360 400 480 600 900",
        "10% 20% 25% 30% 40% 50%",
        "2.50 3.50 4.25 1.5 2.5",
    ]
)
WORKED = {
    "en": (
        "Sarah has 16 eggs. She eats 5 and sells 4 of them. How many are left?",
        "She has 16 - 5 - 4 = <<16-5-4=7>>7 left.\n#### 7",
    ),
    "zh": ("小明有16个鸡蛋，吃了5个，卖了4个，还剩多少个？", "还剩 16 - 5 - 4 = <<16-5-4=7>>7 个。\n#### 7"),
}


def rng(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def twin(question: str, answer: str, seed: int = 1) -> tuple[str, str] | str:
    made = solved_twin(question, answer, POOL, rng(seed))
    return made if isinstance(made, str) else (made.question, made.answer)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("seed", range(8))
def test_a_solution_is_computed_anew_and_nobody_takes_more_than_there_is(lang: str, seed: int) -> None:
    made = twin(*WORKED[lang], seed)
    assert not isinstance(made, str)
    have, eaten, sold = (f.value for f in figures(made[0]))
    left = have - eaten - sold
    assert left > 0 and eaten > sold and (have, eaten, sold) != (16, 5, 4)
    assert f"{have} - {eaten} - {sold} = <<{have}-{eaten}-{sold}={left}>>{left}" in made[1] and made[1].endswith(f"#### {left}")


def test_percentages_money_and_thousands_are_followed() -> None:
    made = twin(
        "A coat costs $120. It is 25% off, and shipping is $2.50. What is paid?",
        "Off: 120*.25=$<<120*.25=30>>30. Price: $<<120-30=90>>90.\nPaid: <<90+2.50=92.50>>92.50\n#### 92.50",
    )
    assert not isinstance(made, str)
    price, share, shipping = (f.value for f in figures(made[0]))
    paid = price * (1 - share / 100) + shipping
    assert figures(made[1])[-1].value == paid and price * share % 100 == 0
    # a quarter is 25 %, and also the four lessons: nobody knows which of them the four is
    assert twin(
        "It costs $80, 25% off, for 4 lessons. What is paid?", "<<80/4=20>>20 off, <<80-20=60>>60, <<60*4=240>>240\n#### 240"
    ) in (
        UNUSED,
        "no other numbers pass the checks of sense",
    )


@pytest.mark.parametrize(
    ("question", "answer", "reason"),
    [
        ("Tom has 16 eggs and 5 hens. 多少？", "#### 21", NO_NOTES),
        ("Tom has 16 eggs and eats 5.", "<<16-5=12>>12\n#### 12", ODD_NOTE),
        ("Tom has 16 eggs and eats 5.", "<<16**5=1048576>>\n#### 12", ODD_NOTE),
        ("Tom has 16 eggs and eats 5.", "<<16-5=11>>11\n#### 12", ODD_ANSWER),
        ("At least how many of 16 eggs, 5 eaten?", "<<16-5=11>>11\n#### 11", ROUNDED),
        ("16个鸡蛋，吃了5个，至少剩多少？", "<<16-5=11>>11\n#### 11", ROUNDED),
        ("A week has some days, eggs are twice as many.", "<<7*2=14>>14\n#### 14", NOTHING_FREE),
        ("Tom has 16 eggs, eats 5, and is 9 years old.", "<<16-5=11>>11\n#### 11", UNUSED),
        ("Tom works from 9 am to 5 pm for $20.", "<<8*20=160>>160\n#### 160", UNUSED),
        ("Tom has 16 eggs and eats 5, as always.", "<<16-5=11>>11, <<11*13=143>>143\n#### 143", UNKNOWN),
        ("Tom has 15 eggs and 40 hens.", "Fifteen eggs: <<15+40=55>>55\n#### 55", UNKNOWN),
        ("小明有16个鸡蛋，吃了5个。", "五个吃了：<<16-5=11>>11\n#### 11", UNKNOWN),
    ],
)
def test_what_cannot_be_changed_safely_is_refused_with_its_reason(question: str, answer: str, reason: str) -> None:
    assert twin(question, answer) == reason


def test_a_number_of_two_possible_sources_is_never_guessed() -> None:
    # 9 is a number of the question and the result of a note
    for seed in range(5):
        made = twin("He has 14 cats, loses 5, and buys 9 at $30.", "<<14-5=9>>9 stay. They cost <<9*30=270>>270\n#### 270", seed)
        if not isinstance(made, str):
            have, lost, bought, _ = (f.value for f in figures(made[0]))
            assert have - lost == bought


def test_numbers_that_are_no_quantities_stay() -> None:
    fixed = {f.text for f in figures("On May 5 at 9:30, in 2019, the 3rd of 12 lots, 1/2 of 30 in Room 7, COVID-19, B2") if f.fixed}
    assert fixed == {"5", "9", "30", "2019", "3", "1", "2", "7", "19"}
    fixed = {f.text for f in figures("2019年5月8日9时30分，五（3）班第7名，住20楼，1/4的48人") if f.fixed}
    assert fixed == {"2019", "5", "8", "9", "7", "20", "1", "4"} or fixed == {"2019", "5", "8", "9", "3", "7", "20", "1", "4"}


def test_a_number_is_written_as_the_old_one_was() -> None:
    (money,) = figures("$1,250.50")
    assert money.value == Fraction(2501, 2) and money.written(Fraction(36005, 10)) == "3,600.50"
    assert figures(".5")[0].written(Fraction(1, 4)) == ".25" and figures("18.00")[0].written(Fraction(9)) == "9.00"
    assert figures("900")[0].written(Fraction(12000)) == "12,000" and figures("7")[0].written(Fraction(-3)) == "-3"
    assert places(Fraction(1, 3)) is None and places(Fraction(1, 8)) == 3
    with pytest.raises(ValueError, match="no finite decimals"):
        figures("7")[0].written(Fraction(1, 3))
    text = "一共 3,000 元 and 4.5"
    assert rewritten(text, figures(text), lambda f: f.value) == text


def test_articles_fit_their_numbers() -> None:
    for seed in range(6):
        made = twin("She has $80 and buys an $11 hat and a $20 coat. What is left?", "<<80-11-20=49>>49\n#### 49", seed)
        if not isinstance(made, str):
            assert " an $11 " in made[0] or " an $18 " in made[0] or " an $8" in made[0]


def test_an_expression_may_not_be_a_program() -> None:
    for text in ("<<__import__('os')=1>>", f"<<{'(' * 150}1{')' * 150}=1>>", f"<<{'1+' * 500}1=501>>", "<<2**9=512>>", "<<1<2=1>>"):
        notes = read_notes(text, figures(text))
        assert notes in (None, []) or all(worked(n, {k: f.value for k, f in enumerate(figures(text))}) is None for n in notes or [])
    text = "<<5/(3-3)=0>>"
    (note,) = read_notes(text, figures(text)) or []
    assert worked(note, {k: f.value for k, f in enumerate(figures(text))}) is None


QUESTIONS = [
    ("芳芳买了一本书有99页，看了90页，她还剩多少页没有看？", "9"),
    ("有67颗五角星，第一大组发了14颗，第二大组发了6颗，还剩多少颗五角星？", "47"),
    ("把48本书平均分给6个班，每个班分多少本？", "8"),
    ("A rope of 48 meters is cut into pieces of 6 meters each. How many pieces?", "8"),
]


@pytest.mark.parametrize(("question", "answer"), [*QUESTIONS, *((q, "") for q, _ in QUESTIONS)])
@pytest.mark.parametrize("seed", range(4))
def test_a_question_without_a_solution_still_makes_sense(question: str, answer: str, seed: int) -> None:
    made = question_twin(question, answer, POOL, rng(seed))
    assert not isinstance(made, str)
    old, new = [f.value for f in figures(question)], [f.value for f in figures(made.question)]
    assert old != new and [len(str(v)) for v in old] == [len(str(v)) for v in new]
    assert new[0] > sum(new[1:]), "no more is taken than there is"
    if "分" in question or "each" in question:
        assert new[0] % new[1] == 0


def test_questions_that_nothing_vouches_for_have_no_twin() -> None:
    assert question_twin("每箱装7袋，33袋可以装几箱？", "4", POOL, rng()) == UNEXPLAINED
    assert question_twin("一半是多少？", "2", POOL, rng()) == UNEXPLAINED
    assert question_twin("每两人一桌，至少要几张桌子坐16人？", "8", POOL, rng()) == ROUNDED
    assert question_twin("2019年的5月8日，一共几天？", "", POOL, rng()) == NOTHING_FREE


def test_units_and_ages_keep_their_limits() -> None:
    question = "爷爷77岁，每天走40分钟，一周走5天，占80%，跑90分钟"
    found = {f.value: f for f in free_numbers(question, figures(question), ())}
    assert found[Fraction(77)].floor == Fraction(231, 4) and found[Fraction(77)].ceiling == Fraction(385, 4)
    assert found[Fraction(40)].ceiling == 60 and found[Fraction(5)].ceiling == 7 and found[Fraction(80)].ceiling == 100
    assert found[Fraction(90)].ceiling is None
    (hours,) = free_numbers("He works 8 hours.", figures("He works 8 hours."), ())
    assert hours.ceiling == 24


def test_formulas_use_each_number_once() -> None:
    assert len(formulas_for([Fraction(9), Fraction(4)], [], Fraction(5))) == 1
    assert not formulas_for([Fraction(9), Fraction(4)], [], Fraction(7)) and not formulas_for([Fraction(1)] * 5, [], Fraction(5))
    assert formulas_for([Fraction(9)], [Fraction(2)], Fraction(18))
    assert (known_answer("3/4"), known_answer("1,200"), known_answer("5%"), known_answer("五")) == (Fraction(3, 4), 1200, 5, None)


def test_names_change_together_and_never_into_one_that_is_there() -> None:
    counts = Counter(dict.fromkeys(("Anna", "Emma", "Nancy", "Tom", "Peter", "小明", "小刚", "小红", "小芳"), 1))
    texts = ["Anna and Tom's dog. Mark will see Grace in May.", "Anna has 5, Tom 6."]
    names = other_names(texts, counts, rng())
    assert set(names) == {"Anna", "Tom"} and names["Anna"] in ("Emma", "Nancy") and names["Tom"] == "Peter"
    assert renamed(texts[0], names) == f"{names['Anna']} and Peter's dog. Mark will see Grace in May."
    assert other_names(["小明和小红各有5朵小红花"], counts, rng()) == {"小明": "小刚", "小红": "小芳"}
    assert renamed("小红有5朵小红花", {"小红": "小芳"}) == "小芳有5朵小红花"
    assert other_names(["小丽包了3个。丽丽还要包几个？"], counts, rng()) == {}
    assert count_names(["Anna, Anna, 小明", "Anna"]) == Counter({"Anna": 2, "小明": 1})


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(lines) if path.suffix == ".gz" else lines)
    return path


def items(tmp_path: Path, name: str = "测试.jsonl") -> Path:
    rows: list[dict[str, object]] = [{"question": q, "answer": a} for q, a in WORKED.values()]
    rows += [{"id": f"问{k}", "question": q, "answer": a} for k, (q, a) in enumerate(QUESTIONS)]
    rows += [{"question": f"小红有{n}个，又买了{n + 3}个，一共多少个？", "answer": str(2 * n + 3)} for n in range(11, 30)]
    rows += [
        {"question": f"Anna has {n} and Tom has {k}. How many?", "answer": str(n + k)}
        for n, k in zip(range(13, 19), range(3, 9), strict=True)
    ]
    return write(tmp_path / name, [*rows, {"question": "为什么？", "answer": "因为"}])


def test_the_command_writes_the_same_bytes_for_the_same_seed(tmp_path: Path) -> None:
    place = items(tmp_path)
    said = [
        CliRunner().invoke(main, ["leak", "twins", str(place), "--out", str(tmp_path / name), "--seed", seed, "--json"])
        for name, seed in (("a.jsonl", "1"), ("b.jsonl", "1"), ("c.jsonl.gz", "1"), ("d.jsonl", "2"))
    ]
    assert [s.exit_code for s in said] == [0] * 4, said[0].output
    first = (tmp_path / "a.jsonl").read_bytes()
    assert first == (tmp_path / "b.jsonl").read_bytes() == gzip.decompress((tmp_path / "c.jsonl.gz").read_bytes())
    assert first != (tmp_path / "d.jsonl").read_bytes()
    report = json.loads(said[0].stdout)
    assert report["items"] == report["twins"] + sum(report["skipped"].values()) and report["skipped"][NO_NOTES] == 1
    assert report == json.loads((tmp_path / "a.jsonl.report.json").read_text("utf-8"))
    rows = [json.loads(line) for line in first.decode().splitlines()]
    assert len(rows) == report["twins"] and report["question_only"] == sum("answer" not in r for r in rows)
    originals = {i.id: i for i in read_questions(place).items}
    for row in rows:
        item = originals[row["id"]]
        assert row["twin_of"] == row["id"] and row["lang"] == item.lang and row["question"] != item.question
        assert ("answer" in row) == ("<<" in item.answer)
    shown = CliRunner().invoke(main, ["leak", "twins", str(place), "--out", str(tmp_path / "e.jsonl")])
    assert shown.exit_code == 0 and "question only" in shown.output and NO_NOTES in shown.output


def test_an_item_more_does_not_change_the_twins_of_others(tmp_path: Path) -> None:
    train = read_questions(items(tmp_path))
    some = read_questions(write(tmp_path / "a.jsonl", [{"id": "a", "question": WORKED["en"][0], "answer": WORKED["en"][1]}]))
    more = read_questions(
        write(
            tmp_path / "b.jsonl",
            [{"id": k, "question": q, "answer": a} for k, (q, a) in zip("za", WORKED.values(), strict=True)][::-1],
        )
    )
    assert some.items[0].id == "a"
    first = make_twins(some, train, 3).rows[0]
    assert first["question"] in [row["question"] for row in make_twins(more, train, 3).rows] or more.items[0].lang == "zh"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "holds no item"),
        (b'{"question": "Q 5", "answer": "5"}\nnope\n', "line 2: not JSON"),
        (b"[1]\n", "item 1: not a JSON object"),
        ('{"问题": "几个？", "answer": "5"}\n'.encode(), "it has no 'question'; its fields are answer, 问题"),
        (b'{"id": "a", "question": "Q"}\n{"id": "a", "question": "R"}\n', "the id 'a' stands in items 1 and 2"),
        (b'{"id": [1], "question": "Q"}\n', "its field 'id' is neither text"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
        ('{"text": "整段文字 5"}\n'.encode(), "no item has a twin"),
    ],
)
def test_bad_files_are_told_in_a_sentence(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "坏.jsonl").write_bytes(data)
    with pytest.raises(DataError, match=words):
        write_twins(tmp_path / "坏.jsonl", None, tmp_path / "out.jsonl", 1)
    assert not (tmp_path / "out.jsonl").exists()


def test_the_benchmark_is_never_replaced(tmp_path: Path) -> None:
    place = items(tmp_path)
    with pytest.raises(ConfigError, match="is the benchmark"):
        write_twins(place, None, place, 1)
    with pytest.raises(DataError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")
