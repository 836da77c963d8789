"""Exercises are found with their solutions, in both languages, and what only looks like one stays where it is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.planted.exercises import EXERCISE_LAYOUTS, PROSE_LAYOUTS, key_page, pages

from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.corpus.exercises.config import ExerciseConfig
from skyloom.corpus.exercises.documents import VERDICT, exercise_documents, judge_exercises
from skyloom.corpus.exercises.model import features, scores, weights
from skyloom.corpus.exercises.scan import NUMBER, Q_START, Q_STOP, S_START, S_STOP, items
from skyloom.corpus.stem.config import StemConfig
from skyloom.corpus.stem.stage import generate

Pairs = list[tuple[str, str]]

PROSE = {
    "en": [
        "The harbour froze twice that winter, and the fishermen carried their boats up to the church on sledges.",
        "Visitors who come by the old road see the tower long before they see the village at its foot.",
        "Her second novel was received more coldly than the first, though the critics praised its letters.",
        "Nobody remembers who planted the lime trees, but everyone in town has an opinion about them.",
    ],
    "zh": [
        "那年冬天港口结了两次冰，渔民们用雪橇把船一直拖到教堂旁边。",
        "沿着旧路走来的客人，远远就能望见那座塔，要走很久才看得到塔下的村子。",
        "她的第二部小说不如第一部受欢迎，不过评论家们都称赞书里的那些信。",
        "没有人记得街上的菩提树是谁种的，可是镇上人人都能说出一番道理来。",
    ],
}


def code(lang: str) -> str:
    return "en" if lang == "en" else "zh-Hans"


@pytest.fixture(scope="module")
def exercises(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pairs]:
    store = Store(tmp_path_factory.mktemp("exercises"))
    generate(StemConfig(train=52, valid=26, test=52, ref=26, canaries=0), store, progress=Progress.silent())
    found: dict[str, Pairs] = {"en": [], "zh": []}
    for row in store.read_table("exercises-test.parquet").to_pylist():
        meta = json.loads(row["meta"])
        found[row["lang"][:2]].append((meta["question"], meta["solution"]))
    return found


def spans(text: str) -> list[tuple[str, str, int]]:
    """Question, solution and number of each item of a text."""
    body = text.encode()
    table = items(np.frombuffer(body, np.uint8), np.array([0, len(body)]))
    return [(body[r[Q_START] : r[Q_STOP]].decode(), body[r[S_START] : r[S_STOP]].decode() if r[S_START] >= 0 else "", int(r[NUMBER]))
            for r in table]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1. What is 2+2?\nAnswer: 4\n\n2. And 3+3?\nAnswer: 6", [("What is 2+2?", "4", 1), ("And 3+3?", "6", 2)]),
        ("1. What is 2+2?\n2. And 3+3?\n\nAnswers\n1. 4\n2. 6", [("What is 2+2?", "4", 1), ("And 3+3?", "6", 2)]),
        ("第1题 求x。\n解：x=1。\n\n第2题 求y。\n解：y=2。", [("求x。", "x=1。", 1), ("求y。", "y=2。", 2)]),
        ("（1）甲是多少？\n（2）乙是多少？\n参考答案\n（1）三。\n（2）四。", [("甲是多少？", "三。", 1), ("乙是多少？", "四。", 2)]),
        ("1、选一个\nA．一 B．二\n2、再选\nA．三 B．四\n【参考答案】\n1-2 BA", [("选一个\nA．一 B．二", "B", 1), ("再选\nA．三 B．四", "A", 2)]),
        ("1) a?\n2) b?\n3) c?\nAnswer Key\n1. B  2. C  3. A", [("a?", "B", 1), ("b?", "C", 2), ("c?", "A", 3)]),
        ("How far is it?\nSolution. Ten miles.", [("How far is it?", "Ten miles.", 0)]),
        ("例1 求面积。\n【解析】面积是6。\n例2 求周长。\n【解析】周长是10。", [("求面积。", "面积是6。", 1), ("求周长。", "周长是10。", 2)]),
        ("1. Steps: Answer: 7\n", [("Steps:", "7", 1)]),
        ("Problem 1. One?\nSolution\nFirst.\n\nProblem 2. Two?\nSolution\nSecond.", [("One?", "First.", 1), ("Two?", "Second.", 2)]),
        ("1. One?\nSolution: (1) add (2) divide\n(2) more\n2. Two?\nSolution: no.", [("One?", "(1) add (2) divide\n(2) more", 1), ("Two?", "no.", 2)]),
        ("1.求甲。\n答案：4\n2.3+3=？\n答案：6", [("求甲。", "4", 1), ("3+3=？", "6", 2)]),
        ("1. Heat\n3.5 litres of milk.\n2. Stir.", [("Heat\n3.5 litres of milk.", "", 1), ("Stir.", "", 2)]),
        ("The 2. of May was 3.5 degrees warmer.", []),
        ("", []),
        ("解放以后\n答应他", []),
    ],
)  # fmt: skip
def test_where_questions_and_solutions_stand(text: str, expected: list[tuple[str, str, int]]) -> None:
    assert spans(text) == expected


def test_parts_that_count_from_one_again_find_their_own_answers() -> None:
    text = "Part I\n1. a?\n2. b?\nPart II\n1. c?\n2. d?\nAnswers\nPart I\n1. A1\n2. B1\nPart II\n1. C1\n2. D1"
    assert [(q, s) for q, s, _ in spans(text)] == [("a?", "A1"), ("b?", "B1"), ("c?", "C1"), ("d?", "D1")]
    chinese = "一、选择题\n1．甲？\n2．乙？\n二、填空题\n1．丙？\n答案\n一、选择题\n1．子\n2．丑\n二、填空题\n1．寅"
    assert [(q, s) for q, s, _ in spans(chinese)] == [("甲？", "子"), ("乙？", "丑"), ("丙？", "寅")]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_planted_pages(lang: str, exercises: dict[str, Pairs]) -> None:
    made = pages(random.Random(11), lang, exercises[lang], PROSE[lang], 100)
    texts = ["\n\n".join(page.blocks) for page in made]
    verdicts = judge_exercises(pa.array(texts), pa.array([code(lang)] * len(texts)), ExerciseConfig())
    planted = right = 0
    for page, text, verdict in zip(made, texts, verdicts.to_pylist(), strict=True):
        if page.layout in PROSE_LAYOUTS:
            assert not verdict["is_exercise"], text
        if page.layout not in EXERCISE_LAYOUTS or page.layout == "amid":
            continue
        body = text.encode()
        given = {(body[i["question_start"] : i["question_stop"]].decode().strip(),
                  body[max(i["solution_start"], 0) : max(i["solution_stop"], 0)].decode().strip()) for i in verdict["items"]}  # fmt: skip
        planted += len(page.items)
        right += sum(item in given for item in page.items)
    assert right >= 0.9 * planted


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_keys_of_letters(lang: str) -> None:
    stems = {"en": "Which number is even?\nA. {} B. 3 C. 5 D. 7", "zh": "下列各数中，偶数是（　　）\nA．{} B．3 C．5 D．7"}
    choices = [(stems[lang].format(2 * k), "ABCD"[k % 4]) for k in range(12)]
    for seed in range(8):
        page = key_page(random.Random(seed), lang, choices)
        found = [(q.replace("\r", ""), s) for q, s, _ in spans("\n\n".join(page.blocks))]
        assert found == page.items, page.blocks


def test_exercise_documents_join_question_and_solution() -> None:
    text = "1. Solve $x^2 = 9$ for $x > 0$.\n\nAnswer: Taking roots, $x = 3$.\n\n2. Compute $2 + 3 \\times 4$.\n\nAnswer: $2 + 12 = 14$."
    chinese = "1．已知函数 $y=2x+1$，求 $x=3$ 时 $y$ 的值。\n答案：$y=2\\times 3+1=7$。"
    row = {"lang": "en", "source": "s", "domain": "web_en", "category": "web", "url": "u", "date": None, "license": "MIT",
           "split": "train", "meta": '{"file": "f"}'}  # fmt: skip
    rows = [
        {**row, "id": "a", "text": text},
        {**row, "id": "b", "text": " ".join(PROSE["en"])},
        {**row, "id": "c", "text": chinese, "lang": "zh-Hans"},
    ]
    documents = pa.Table.from_pylist(rows, schema=DOCUMENT)
    verdicts = judge_exercises(documents.column("text"), documents.column("lang"), ExerciseConfig())
    assert verdicts.schema == VERDICT
    assert verdicts.column("is_exercise").to_pylist() == [True, False, True]
    made = exercise_documents(documents, verdicts)
    assert made.schema == DOCUMENT
    assert [r["text"] for r in made.to_pylist()] == [
        "Solve $x^2 = 9$ for $x > 0$.\n\nSolution: Taking roots, $x = 3$.",
        "Compute $2 + 3 \\times 4$.\n\nSolution: $2 + 12 = 14$.",
        "已知函数 $y=2x+1$，求 $x=3$ 时 $y$ 的值。\n\n解答：$y=2\\times 3+1=7$。",
    ]
    assert made.column("domain").to_pylist() == ["stem_en", "stem_en", "stem_zh"]
    meta = json.loads(made.column("meta")[0].as_py())
    assert (meta["exercise_of"], meta["file"], meta["solution"]) == ("a", "f", "Taking roots, $x = 3$.")
    assert len(set(made.column("id").to_pylist())) == 3


def test_a_long_article_with_an_exercise_stays() -> None:
    article = "\n\n".join(PROSE["en"] * 40) + "\n\n1. What is 2 + 2?\n\nAnswer: 4"
    verdict = judge_exercises(pa.array([article]), pa.array(["en"]), ExerciseConfig()).to_pylist()[0]
    assert not verdict["is_exercise"]
    assert verdict["share"] < 0.5


def test_the_model_reads_as_the_training_does() -> None:
    table, flags = weights()
    for text in (
        "What is 12 + 30? Answer: 12 + 30 = 42.",
        "下列正确的是（　　）A．一 B．二 C．三 D．四 答案：B",
        PROSE["zh"][0],
        "",
    ):
        body = np.frombuffer(text.encode(), np.uint8)
        buckets, seen = features(body, 0, len(body))
        value = table[buckets].sum(dtype=np.float64) / (len(buckets) / 2 + 8) + flags[:-1] @ seen + flags[-1]
        assert scores(body, np.array([0]), np.array([len(body)]))[0] == pytest.approx(1 / (1 + np.exp(-value)), rel=1e-5)


ANY = st.text(
    st.sampled_from("1239.、．)（）( \n\nAB答案解析：:【】例题第?？=$x字é😀\u3000") | st.characters(codec="utf-8"), max_size=120
)


@settings(max_examples=300, deadline=None)
@given(st.lists(ANY, max_size=5))
def test_any_text_gives_whole_characters_in_order(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    verdicts = judge_exercises(
        column, pa.array(["en"] * len(texts), pa.string()), ExerciseConfig(english=0.0, share=0.0, solved=False)
    )
    assert len(verdicts) == len(texts)
    for text, verdict in zip(texts, verdicts.to_pylist(), strict=True):
        body, last = text.encode(), 0
        assert 0 <= verdict["share"] <= 1
        for item in verdict["items"]:
            a, b, c, d = (item[k] for k in ("question_start", "question_stop", "solution_start", "solution_stop"))
            assert last <= a <= b <= len(body)
            body[a:b].decode()
            if c >= 0:
                assert b <= c <= d <= len(body)
                body[c:d].decode()
            last = a


def test_shards_do_not_matter(exercises: dict[str, Pairs]) -> None:
    texts = [f"1. {q}\nAnswer: {s}" for q, s in exercises["en"][:20]] + PROSE["en"]
    langs = ["en"] * len(texts)
    whole = judge_exercises(pa.array(texts), pa.array(langs), ExerciseConfig())
    parts = [judge_exercises(pa.array(texts[a:b]), pa.array(langs[a:b]), ExerciseConfig()) for a, b in ((0, 7), (7, 7), (7, 24))]
    assert pa.concat_tables(parts).to_pylist() == whole.to_pylist()
    chunked = pa.chunked_array([texts[:3], texts[3:]])
    assert judge_exercises(chunked, pa.array(langs), ExerciseConfig()).equals(whole)


def test_the_model_says_what_it_was_trained_on() -> None:
    model = json.loads(Path("src/skyloom/corpus/exercises/model.json").read_text(encoding="utf-8"))
    assert {"generated", "GSM8K train"} <= set(model["exercises"])
    assert len(model["flags"]) == 7
