"""Converters of public benchmark files, and the files themselves where they are at hand."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.evaluate import convert
from skyloom.cli import main
from tests.evaluate.benchmarks import stand_in as small

CHOOSE = "Please choose the correct answer to the question: {}\n\nAnswer format: answer1/answer2"


def row(instruction: str, answer: str) -> convert.Row:
    return {"instruction": instruction, "input": "", "output": f"the correct answer is {answer}", "answer": answer}


def test_choices_are_taken_apart() -> None:
    asked = row(CHOOSE.format("What is 河?\n\nAnswer1: a river Answer2: Answer 2: 山"), "answer2")
    assert convert.arc(asked) == {
        "question": "What is 河?",
        "choices": {"text": ["a river", "Answer 2: 山"], "label": ["A", "B"]},
        "answerKey": "B",
    }
    assert convert.openbookqa(asked) == {
        "question_stem": "What is 河?",
        "choices": {"text": ["a river", "Answer 2: 山"], "label": ["A", "B"]},
        "answerKey": "B",
    }
    assert convert.arc(row(CHOOSE.format("x"), "answer1")) == "no choices"
    assert convert.arc(row(CHOOSE.format("x Answer1: a Answer2: b"), "answer3")) == "choices and answer do not fit"


def test_the_other_forms() -> None:
    piqa = row(
        "Please choose the correct solution to the question: 怎么做?\n\nSolution1: a\nb\n\nSolution2: c\n\nAnswer format: solution1/solution2",
        "solution1",
    )
    assert convert.piqa(piqa) == {"goal": "怎么做?", "sol1": "a\nb", "sol2": "c", "label": 0}
    blank = "Please choose the correct answer to fill in the blank to complete the given sentence: {} _ 累了.\n\nOption1: 甲 Option2: Bo Answer format: option1/option2"
    assert convert.winogrande(row(blank.format("Then"), "option2")) == {
        "sentence": "Then _ 累了.",
        "option1": "甲",
        "option2": "Bo",
        "answer": "2",
    }
    assert convert.winogrande(row(blank.format("_"), "option2")) == "not one blank and two choices"
    yes = row("Please answer the following question with true or false, question: is it 河?\n\nAnswer format: true/false", "true")
    assert convert.boolq(yes) == {"passage": "", "question": "is it 河", "label": 1}
    assert convert.gsm8k_text({"text": "How many? 2+3=<<2+3=5>>5 is it?\n#### 5"}) == {
        "question": "How many?",
        "answer": "2+3=<<2+3=5>>5 is it?\n#### 5",
    }
    assert convert.gsm8k_text({"text": "How? Why? 5\n#### 5"}) == "where the question ends is not clear"


def test_gaokao() -> None:
    found = list(convert.gaokao({"index": 3, "question": " 选？ ", "answer": ["A", "BC", "D"]}))
    assert (
        found[0] == {"id": "3-1", "question": "选？\n（第1小题）", "answer": "A"}
        and found[1] == "several right letters, or none of A to D"
    )
    options = {"A": "1", "B": "2", "C": "3", "D": "4"}
    assert convert.gaokao_math_qa({"question": "几？", "options": options, "label": "D"}) == {
        "question": "几？\nA. 1\nB. 2\nC. 3\nD. 4",
        "answer": "D",
    }
    assert convert.gaokao_math_qa({"question": "几？", "options": {}, "label": "D"}) == "not four options"


def test_what_is_left_out_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "eval" / "ARC-Easy"
    folder.mkdir(parents=True)
    rows = [row(CHOOSE.format("河? Answer1: a Answer2: b"), "answer1"), row(CHOOSE.format("x"), "answer1")]
    (folder / "test.json.gz").write_bytes(gzip.compress(json.dumps(rows).encode()))
    convert.convert(tmp_path / "eval", tmp_path / "out")
    assert "1 items; 1 left out (no choices)" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "arc_easy" / "test.jsonl").read_text(encoding="utf-8"))["question"] == "河?"


FEW = ("cmmlu", "gsm8k", "arc_easy", "arc_challenge", "boolq", "openbookqa")
NONE = ("mmlu_stem_18", "piqa", "winogrande", "cmath", "cmrc2018", "gaokao")


@pytest.mark.data
@pytest.mark.parametrize(("names", "shots"), [(FEW, ("--shots", "2")), (NONE, ())], ids=["few-shot", "own-shots"])
def test_the_public_files(names: tuple[str, ...], shots: tuple[str, ...], tmp_path: Path) -> None:
    """Two items of each task, offline, under a two-layer model; with examples where the files have a split for them."""
    root = Path(os.environ.get("SKYLOOM_BENCH_DATA", "/nowhere")) / "eval"
    if not root.is_dir():
        pytest.skip("SKYLOOM_BENCH_DATA names no folder with eval/")
    folder = small.hub_folder(tmp_path / "model", adds_bos=False, context=2048)
    convert.convert(root, tmp_path / "sets")
    data = [word for name in names for word in ("--data", f"{name}={tmp_path / 'sets' / name}")]
    words = [
        "eval",
        "tasks",
        str(folder),
        "--tasks",
        ",".join(names),
        *shots,
        "--limit",
        "2",
        *data,
        "--offline",
        "--cut",
        "--json",
        "--quiet",
    ]
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    rows = json.loads(done.stdout)["rows"]
    assert set(names) <= {row["task"] for row in rows} and all(row["value"] is not None for row in rows)
