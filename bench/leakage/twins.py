"""Twins of benchmark items: how many there are, whether their answers are right, and whether a bag of words sees the difference.

Input: GSM8K (test and train split) and CMATH from the folder that SKYLOOM_BENCH_DATA names. Output: the bars `gsm8k-share`,
`gsm8k-wrong`, `gsm8k-auc`, `cmath-share`, `cmath-auc`, or tables. Answers are recomputed here by code that shares nothing with the
code that wrote them: another reader of numbers, another evaluator, and every reading of a note's numbers, not one. The bag of words
is a small one of this bench (logistic regression over word counts, five folds, both of a pair in one fold).

    python -m bench.leakage.twins [--json gsm8k-share] [--show 5]
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.answers import NotMeasuredError, answer, offer
from bench.bars import DATA_VARIABLE
from skyloom.leakage.twins import TwinsOutcome, make_twins
from skyloom.leakage.twins.twins_run import read_questions

BARS = ("gsm8k-share", "gsm8k-wrong", "gsm8k-auc", "cmath-share", "cmath-auc")
SEED = 1
FOLDS = 5
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[a-z']+|[\u4e00-\u9fff]|[^\s\w]", re.IGNORECASE)


def folder() -> Path:
    root = os.environ.get(DATA_VARIABLE)
    if not root or not (Path(root) / "eval/gsm8k/test.jsonl.gz").is_file():
        raise NotMeasuredError(f"{DATA_VARIABLE} names no folder with eval/gsm8k and eval/cmath")
    return Path(root) / "eval"


@cache
def outcome(name: str) -> TwinsOutcome:
    train = read_questions(folder() / "gsm8k/train_text.jsonl.gz") if name == "gsm8k" else None
    return make_twins(read_questions(folder() / f"{name}/test.jsonl.gz"), train, SEED)


@cache
def originals(name: str) -> dict[str, dict[str, Any]]:
    """The items by the number of their line, read by plain code."""
    with gzip.open(folder() / f"{name}/test.jsonl.gz", "rt", encoding="utf-8") as lines:
        return {str(number): json.loads(line) for number, line in enumerate(lines, 1)}


# Answers, recomputed


def number(text: str) -> Fraction:
    return Fraction(text.replace(",", "").rstrip("."))


def evaluated(expression: str) -> Fraction:
    """The value of an expression of + - * / and brackets, by two stacks."""
    values: list[Fraction] = []
    signs: list[str] = []
    weight = {"+": 1, "-": 1, "*": 2, "/": 2}

    def fold() -> None:
        right, left, sign = values.pop(), values.pop(), signs.pop()
        values.append(
            left + right if sign == "+" else left - right if sign == "-" else left * right if sign == "*" else left / right
        )

    for token in re.findall(r"\d+\.?\d*|\.\d+|[-+*/()]", expression):
        if token == "(":
            signs.append(token)
        elif token == ")":
            while signs[-1] != "(":
                fold()
            signs.pop()
        elif token in weight:
            while signs and signs[-1] != "(" and weight[signs[-1]] >= weight[token]:
                fold()
            signs.append(token)
        else:
            values.append(Fraction(token.rstrip(".")))
    while signs:
        fold()
    (value,) = values
    return value


NUMBERS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+|\d+|\.\d+"


def from_percent(p: Fraction) -> list[Fraction]:
    """What a percentage may have become before a note uses it."""
    return [p / 100, 100 - p, 1 - p / 100, 100 + p, 1 + p / 100, 100 / p if p else p]


def readings(value: Fraction, asked: Sequence[tuple[Fraction, Fraction, bool]], done: Sequence[tuple[Fraction, Fraction]]) -> set:
    """What an operand of value `value` becomes in the twin, under every source that has this value in the original.

    `asked`: (original, twin, is a percentage) of the question's numbers; `done`: (original, twin) of earlier results."""
    found = {new for old, new, _ in asked if old == value} | {new for old, new in done if old == value}
    for old, new, percent in asked:
        if percent:
            found |= {b for a, b in zip(from_percent(old), from_percent(new), strict=True) if a == value}
    return found or {value}


def faults(original: dict[str, Any], twin: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a twin of a worked item; nothing if it is right."""
    old_numbers = list(re.finditer(NUMBERS, original["question"]))
    new_numbers = list(re.finditer(NUMBERS, twin["question"]))
    if len(old_numbers) != len(new_numbers):
        yield "the question has another count of numbers"
        return
    asked = [
        (number(a.group()), number(b.group()), bool(re.match(r"\s?(%|percent|per cent)", original["question"][a.end() :], re.I)))
        for a, b in zip(old_numbers, new_numbers, strict=True)
    ]
    pattern = r"<<([^=<>]+)=([^<>]+)>>"
    old_notes, new_notes = re.findall(pattern, original["answer"]), re.findall(pattern, twin["answer"])
    if len(old_notes) != len(new_notes):
        yield "the solution has another count of notes"
        return
    used = {number(n) for left, _ in old_notes for n in re.findall(NUMBERS, left)}
    for match, (old, new, percent) in zip(old_numbers, asked, strict=True):
        if old != new and not ({old, *(from_percent(old) if percent else ())} & used):
            yield f"{match.group()} changed, and no note uses it"
        if percent and old == new and not ({old, *from_percent(old)} & used):
            yield f"{match.group()} % is in no note"
    done: list[tuple[Fraction, Fraction]] = []
    for (old_left, _), (new_left, new_right) in zip(old_notes, new_notes, strict=True):
        if re.sub(NUMBERS, "N", old_left) != re.sub(NUMBERS, "N", new_left):
            yield f"another formula: {old_left} and {new_left}"
            return
        if evaluated(new_left) != number(new_right.strip()):
            yield f"{new_left} is not {new_right}"
        for a, b in zip(re.findall(NUMBERS, old_left), re.findall(NUMBERS, new_left), strict=True):
            if readings(number(a), asked, done) != {number(b)}:
                yield f"{a} became {b}, the readings give {sorted(map(str, readings(number(a), asked, done)))}"
        if evaluated(new_left) < 0 <= evaluated(old_left):
            yield f"{new_left} is below zero"
        done.append((evaluated(old_left), evaluated(new_left)))
    final = [re.search(r"####\s*\$?([\d.,]+)\s*$", text) for text in (original["answer"], twin["answer"])]
    if final[0] is None or final[1] is None:
        yield "no answer behind ####"
    elif {new for old, new in done if old == number(final[0].group(1))} != {number(final[1].group(1))}:
        yield f"the answer {final[1].group(1)} is not what the notes give"


@cache
def wrong() -> tuple[tuple[str, str], ...]:
    """(item, fault) of all twins of GSM8K."""
    items = originals("gsm8k")
    return tuple((row["id"], fault) for row in outcome("gsm8k").rows for fault in faults(items[row["id"]], dict(row)))


# The bag of words


@dataclass(frozen=True)
class Auc:
    value: float
    low: float
    high: float


def blind_auc(originals: Sequence[str], twins: Sequence[str], seed: int = SEED) -> Auc:
    """How well word counts tell twins from originals: AUC of out-of-fold scores, with a 95 % bootstrap interval over pairs."""
    try:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import roc_auc_score
    except ImportError as problem:
        raise NotMeasuredError("scikit-learn is not installed (pip install skyloom[eval])") from problem
    count = len(originals)
    texts = [*originals, *twins]
    labels = np.repeat([0, 1], count)
    fold = np.tile(np.random.default_rng(seed).permutation(count) % FOLDS, 2)
    scores = np.zeros(2 * count)
    for k in range(FOLDS):
        seen = fold != k
        words = CountVectorizer(tokenizer=lambda t: _WORD.findall(t.lower()), token_pattern=None, lowercase=False)
        matrix = words.fit_transform([t for t, used in zip(texts, seen, strict=True) if used])
        model = LogisticRegression(max_iter=2000).fit(matrix, labels[seen])
        held = words.transform([t for t, used in zip(texts, seen, strict=True) if not used])
        scores[~seen] = model.decision_function(held)
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(200):
        pairs = rng.integers(0, count, count)
        rows = np.concatenate([pairs, pairs + count])
        draws.append(roc_auc_score(labels[rows], scores[rows]))
    low, high = np.quantile(draws, [0.025, 0.975])
    return Auc(float(roc_auc_score(labels, scores)), float(low), float(high))


@cache
def auc(name: str) -> Auc:
    items, rows = originals(name), outcome(name).rows
    if name == "gsm8k":
        pairs = [
            (f"{items[r['id']]['question']}\n{items[r['id']]['answer']}", f"{r['question']}\n{dict(r)['answer']}") for r in rows
        ]
    else:
        pairs = [(items[r["id"]]["question"], r["question"]) for r in rows]
    return blind_auc([a for a, _ in pairs], [b for _, b in pairs])


def value(bar: str) -> float:
    name, _, what = bar.partition("-")
    if what == "share":
        report = outcome(name).report
        return 100 * report["twins"] / report["items"]
    if what == "wrong":
        return float(len({item for item, _ in wrong()}))
    return auc(name).value


def tables(show: int) -> None:
    for name in ("gsm8k", "cmath"):
        report, found = outcome(name).report, auc(name)
        told = f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
        print(f"{name}: {report['twins']} twins of {report['items']} items, bag of words {told}")
        for reason, count in report["skipped"].items():
            print(f"  {count:5d}  {reason}")
        items, rows = originals(name), outcome(name).rows
        for k in np.random.default_rng(show).permutation(len(rows))[:show]:
            row = dict(rows[k])
            print(f"\n{items[row['id']]['question']}\n→ {row['question']}\n{row.get('answer', '')}")
    print(f"wrong: {len(wrong())}")
    for item, fault in wrong():
        print(f"  {item}: {fault}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    offer(parser, BARS)
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N pairs of each set, drawn with seed N")
    asked = parser.parse_args(arguments)
    return answer(asked.json, value, lambda: tables(asked.show))


if __name__ == "__main__":
    sys.exit(main())
