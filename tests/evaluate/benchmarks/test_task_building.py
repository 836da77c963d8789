"""Tasks from definitions and local data: what they are made of, and every mistake told before a model is opened."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError, DataError
from skyloom.evaluate.benchmarks.task_building import build, check_items, example_split, scored_split, settings_of, shots_of
from skyloom.evaluate.benchmarks.task_command import fields
from skyloom.evaluate.benchmarks.template_fields import example
from tests.evaluate.benchmarks import stand_in as small


def test_a_task_takes_its_own_splits(tmp_path: Path) -> None:
    scored, train = small.lines(tmp_path / "test.jsonl", small.arc(4)), small.lines(tmp_path / "train.jsonl", small.arc(6, 9))
    built = build(["arc_easy"], shots=3, data=[f"arc_easy={tmp_path}"], offline=True)
    task = built.tasks["arc_easy"]
    assert [len(task.eval_docs), len(task.training_docs()), task.config.num_fewshot] == [4, 6, 3]
    assert built.origins == {"arc_easy": str(scored)}
    named = build(["arc_easy"], shots=3, data=[f"arc_easy={scored}", f"arc_easy:train={train}"], offline=True)
    assert list(named.tasks["arc_easy"].training_docs()) == list(task.training_docs())


def test_a_group_takes_a_folder(tmp_path: Path) -> None:
    for subject in ("agronomy", "law"):
        small.lines(tmp_path / "test" / f"{subject}.jsonl", small.cmmlu(3))
    with pytest.raises(DataError, match="task cmmlu_anatomy has no file of its split 'test'"):
        build(["cmmlu"], data=[f"cmmlu={tmp_path}"], offline=True)
    with pytest.raises(ConfigError, match="no part of --tasks"):
        build(["cmmlu_agronomy"], data=[f"gaokao={tmp_path}", f"cmmlu_agronomy={tmp_path}"], offline=True)
    assert len(build(["cmmlu_agronomy"], data=[f"cmmlu={tmp_path}"], offline=True).tasks["cmmlu_agronomy"].eval_docs) == 3


def test_a_program_among_the_tasks_takes_local_data_too(tmp_path: Path) -> None:
    """squadv2 fetches its data by itself; it is given ours in its place."""
    item = {
        "id": "甲",
        "title": "河",
        "context": "河很长。",
        "question": "什么长？",
        "answers": {"text": ["河"], "answer_start": [0]},
    }
    built = build(["squadv2"], data=[f"squadv2={small.lines(tmp_path / 'a.jsonl', [item])}"], offline=True)
    assert [doc["id"] for doc in built.tasks["squadv2"].eval_docs] == ["甲"]


def test_definitions_without_examples_keep_their_zero() -> None:
    assert [shots_of({"num_fewshot": own}, asked) for own, asked in ((0, 5), (None, 5), (4, None), (4, 0), (None, None))] == [
        0,
        5,
        4,
        0,
        0,
    ]
    settings = settings_of("gsm8k")["gsm8k"]
    assert (scored_split(settings), example_split(settings)) == ("test", "train")
    assert example_split(settings_of("cmath")["cmath"]) == ""


@pytest.mark.parametrize(
    ("task", "item"),
    [
        ("arc_easy", {"question": "…", "choices": {"text": ["…", "…"], "label": ["…"]}, "answerKey": "…"}),
        ("mmlu_anatomy", {"question": "…", "choices": ["…"], "answer": 0}),
        ("piqa", {"goal": "…", "sol1": "…", "sol2": "…", "label": 0}),
        ("boolq", {"passage": "…", "question": "…", "label": 0}),
        ("winogrande", {"sentence": "…", "option1": "…", "option2": "…", "answer": "…"}),
        ("gaokao_physics", {"question": "…", "answer": "…"}),
        ("cmmlu_agronomy", {"Question": "…", "A": "…", "B": "…", "C": "…", "D": "…", "Answer": "…"}),
    ],
)
def test_fields_of_a_task(task: str, item: dict[str, object]) -> None:
    assert example(settings_of(task)[task]) == item


def test_fields_of_a_group_are_told_once() -> None:
    found = fields(["gaokao"])
    assert [(f["task"], f["scored"], f["shots"], f["program"]) for f in found] == [("gaokao_biology", "test", None, False)]


QUESTION = {"question": "河流是什么？", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([{"id": "甲", "text": "x"}], "cannot be prepared"),
        ([QUESTION, {"id": "甲", "question": "x", "answerKey": "A"}], "item 甲 lacks the field choices"),
        ([QUESTION | {"id": "b"}, QUESTION | {"id": "甲", "answerKey": "Z"}], "item 甲: the prompt cannot be made"),
        ([QUESTION, QUESTION | {"id": "甲", "choices": {"text": [], "label": []}}], "item 甲"),
    ],
)
def test_items_that_do_not_fit(tmp_path: Path, items: list[dict[str, object]], told: str) -> None:
    path = small.lines(tmp_path / "题.jsonl", items)
    with pytest.raises(DataError) as problem:
        build(["arc_easy"], data=[f"arc_easy={path}"], offline=True)
    assert told in str(problem.value) and "arc_easy" in str(problem.value)
    assert "answerKey" in str(problem.value) or "--fields" in str(problem.value)


def test_an_item_without_text(tmp_path: Path) -> None:
    path = small.lines(tmp_path / "a.jsonl", [{"question": "x", "answer": "A"}, {"id": "空", "question": " ", "answer": "A"}])
    built = build(["gaokao_physics"], data=[f"gaokao_physics={path}"], offline=True)
    task = built.tasks["gaokao_physics"]
    task.config.doc_to_text, task.config.doc_to_choice, task.config.doc_to_target = "{{question}}", None, " "
    with pytest.raises(DataError, match="item 空 has no text after the template"):
        check_items("gaokao_physics", task, None)


def test_data_that_is_missing(tmp_path: Path) -> None:
    path = small.lines(tmp_path / "a.jsonl", small.gsm8k(3))
    with pytest.raises(DataError, match="task arc_easy has no local data, and --offline forbids the network"):
        build(["gsm8k", "arc_easy"], shots=0, data=[f"gsm8k={path}"], offline=True)
    with pytest.raises(DataError, match=r"takes its 5 examples from the split 'train'.*--shots 0"):
        build(["gsm8k"], data=[f"gsm8k={path}"], offline=True)
    with pytest.raises(DataError, match="task cmath has no data set on the hub"):
        build(["cmath"])


def test_tasks_that_are_not_run() -> None:
    with pytest.raises(ConfigError, match="images"):
        build(["mmmu_val_accounting"], offline=True)
    with pytest.raises(ConfigError, match="runs programs"):
        build(["humaneval"], offline=True)


def test_offline_makes_no_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    path = small.lines(tmp_path / "a.jsonl", small.arc(2))
    assert build(["arc_easy"], data=[f"arc_easy={path}"], offline=True).tasks
    with pytest.raises(DataError, match="--offline"):
        build(["piqa"], offline=True)


def test_own_definitions_can_be_asked(tmp_path: Path) -> None:
    span = {"context": "河很长，有九百里。", "question": "河多长？", "answers": ["九百里"]}
    rows: dict[str, list[dict[str, object]]] = {
        "cmath": [{"question": "3+4=？", "answer": "7"}],
        "cmrc2018": [span],
        "gaokao_history": [{"question": "选哪个？\nA. 甲 B. 乙", "answer": "B"}],
    }
    data = [f"{task}={small.lines(tmp_path / f'{task}.jsonl', items)}" for task, items in rows.items()]
    built = build(list(rows), data=data, offline=True)
    prompts = {}
    for name, task in built.tasks.items():
        task.set_fewshot_seed(1)
        prompts[name] = task.fewshot_context(task.eval_docs[0], task.config.num_fewshot)
    assert prompts["cmath"].count("答案是") == 4 and prompts["cmath"].endswith("\n\n问题：3+4=？\n解答：")
    assert prompts["cmrc2018"] == f"阅读材料，用材料中的原文回答问题。\n\n材料：{span['context']}\n问题：河多长？\n答案："
    assert prompts["gaokao_history"].endswith("选哪个？\nA. 甲 B. 乙\n答案：")
    assert (
        json.dumps(built.tasks["cmrc2018"].doc_to_target(built.tasks["cmrc2018"].eval_docs[0]), ensure_ascii=False) == '["九百里"]'
    )
