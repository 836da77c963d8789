"""The requests with which the engine is measured beside lm-evaluation-harness: real questions, in the harness' own prompts.

Input: `eval/` and `text/` of SKYLOOM_BENCH_DATA (data.toml), and a tokenizer as a function. Output: for each form of question the
token ids of contexts and continuations, the texts of documents, or prompts. Few-shot examples are the first ones of the
development split (CMMLU) or of the training split, the same for all questions, as the harness has them with `sampler: first_n`.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.answers import NotMeasuredError

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
Encode = Callable[[str], list[int]]
SUBJECT, SUBJECT_NAME = "anatomy", "解剖学"
GENERATED = 256
"""Most new tokens of a GSM8K solution, the harness' own setting."""


@dataclass(frozen=True)
class Choices:
    """A question: its context, and its choices as continuations."""

    context: str
    choices: Sequence[str]


@dataclass(frozen=True)
class Form:
    """A form of question. `items`: how many the bar asks for."""

    name: str
    items: int
    read: Callable[[Path], Iterator[Choices]]
    bar: float


def folder() -> Path:
    """Where the data lie. NotMeasuredError if nobody says it."""
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        raise NotMeasuredError(f"{DATA_VARIABLE} names no folder with the questions")
    return Path(named)


def letters(root: Path) -> Iterator[Choices]:
    """CMMLU, 5-shot: the choices stand in the question, a letter is the answer."""
    with tarfile.open(root / "eval/cmmlu/cmmlu_data.tar.gz") as archive:
        splits = []
        for split in ("dev", "test"):
            file = archive.extractfile(f"data/{split}/{SUBJECT}.csv")
            assert file is not None
            splits.append(list(csv.DictReader(io.StringIO(file.read().decode("utf-8")))))

    def asked(row: dict[str, str]) -> str:
        return f"{row['Question'].strip()}\nA. {row['A']}\nB. {row['B']}\nC. {row['C']}\nD. {row['D']}\n答案："

    begin = f"以下是关于{SUBJECT_NAME}的单项选择题，请直接给出正确答案的选项。\n\n"
    begin += "".join(f"{asked(row)}{row['Answer']}\n\n" for row in splits[0][:5])
    for row in splits[1]:
        yield Choices(begin + asked(row), "ABCD")


def arc(name: str, shots: int) -> Callable[[Path], Iterator[Choices]]:
    """ARC (Easy, Challenge): the texts of the choices are the answers."""

    def read(root: Path) -> Iterator[Choices]:
        begin = ""
        for row in itertools.islice(_rows(root / f"eval/ARC-{name}/train.json.gz"), shots):
            question, choices = _parts(row["instruction"], "Answer")
            begin += f"Question: {question}\nAnswer: {choices[int(row['answer'].removeprefix('answer')) - 1]}\n\n"
        for row in _rows(root / f"eval/ARC-{name}/test.json.gz"):
            question, choices = _parts(row["instruction"], "Answer")
            yield Choices(f"{begin}Question: {question}\nAnswer:", [f" {choice}" for choice in choices])

    return read


def piqa(root: Path) -> Iterator[Choices]:
    """PIQA, 0-shot: two long choices."""
    for row in _rows(root / "eval/piqa/test.json.gz"):
        question, choices = _parts(row["instruction"], "Solution")
        yield Choices(f"Question: {question}\nAnswer:", [f" {choice}" for choice in choices])


def _parts(instruction: str, word: str) -> tuple[str, list[str]]:
    """The question and its choices, out of the one text that they were joined to."""
    asked, *rest = re.split(rf"\s*{word}\d: ", instruction)
    rest[-1] = re.split(rf"\s*{word} format:", rest[-1])[0]
    return asked.split(": ", 1)[1].strip(), [choice.strip() for choice in rest]


FORMS = (
    Form("letters", 80, letters, 4.5),
    Form("full-5-shot", 100, arc("Easy", 5), 9),
    Form("full-25-shot", 20, arc("Challenge", 25), 30),
    Form("full-0-shot", 100, arc("Easy", 0), 1.6),
    Form("long-choices", 100, piqa, 1.0),
)


def full_windows(root: Path, encode: Encode, decode: Callable[[list[int]], str], size: int) -> Iterator[str]:
    """Texts of about two windows of `size` tokens each, English and Chinese in turns."""
    for texts in zip(*(_joined(texts) for texts in _prose(root)), strict=False):
        for text in texts:
            ids = encode(text[: 12 * size])
            if len(ids) >= 2 * size:
                yield decode(ids[: 2 * size])


def mixed(root: Path) -> Iterator[str]:
    """Short texts of mixed length, 40 to 1,500 characters, English and Chinese in turns."""
    draw = np.random.default_rng(7)
    for pair in zip(*_prose(root), strict=False):
        for text in pair:
            yield text[: int(np.exp(draw.uniform(np.log(40), np.log(1500))))]


def problems(root: Path) -> Iterator[str]:
    """GSM8K, 5-shot: prompts whose solutions are written."""
    shots = []
    for row in itertools.islice(_lines(root / "eval/gsm8k/train_text.jsonl.gz"), 5):
        asked, solved = row["text"].split("? ", 1)
        shots.append(f"Question: {asked}?\nAnswer: {solved}\n\n")
    for row in _lines(root / "eval/gsm8k/test.jsonl.gz"):
        yield f"{''.join(shots)}Question: {row['question']}\nAnswer:"


UNTIL = ("Question:", "</s>", "<|im_end|>")
"""Where a GSM8K solution ends, the harness' own setting."""


def _prose(root: Path) -> tuple[Iterator[str], Iterator[str]]:
    english = (
        row["text"] for path in sorted((root / "text/lmtest").glob("*.jsonl.gz")) for row in _lines(path) if row["lang"] == "en"
    )
    chinese = (row["text"] for row in _lines(root / "eval/skywork_lm/zh_general.jsonl.gz"))
    return english, chinese


def _joined(texts: Iterator[str]) -> Iterator[str]:
    """The texts, small ones together."""
    together = ""
    for text in texts:
        together += text + "\n\n"
        if len(together) > 20_000:
            yield together
            together = ""


def _rows(path: Path) -> list[dict[str, Any]]:
    _there(path)
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return rows


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    _there(path)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def _there(path: Path) -> None:
    if not path.exists():
        raise NotMeasuredError(f"{path} is not there")
