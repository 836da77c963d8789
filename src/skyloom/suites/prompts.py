"""Pinned prompts for multiple-choice items, with tokenization boundaries that no tokenizer can blur.

Input: an `Item` and worked examples. Output: a `Prompt`: one context and one continuation for each
choice. A context never ends in a space; an English continuation begins with one, a Chinese one does not: so a model
is asked for exactly the pieces that it would meet in running text. There are two scorings: the letter of the choice
(the report's way for C-Eval, CMMLU and MMLU, 4.4) and the full text of the answer, which small models can already tell
apart. The wording is part of a benchmark: changing it changes every score, so a test pins it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skyloom.core.errors import ConfigError

LETTERS = "ABCDEFGH"
SCORINGS = ("letter", "text")


@dataclass(frozen=True)
class Labels:
    """The words around an exercise in one language; `gap` stands between a label and what follows it."""

    question: str
    solution: str
    answer: str
    gap: str


LABELS = {"en": Labels("Question:", "Solution:", "Answer:", " "), "zh-Hans": Labels("题目：", "解答：", "答案：", "")}
"""Exercises are written with the same labels (`corpus/stem/stage.py`), so that a prompt looks like what was read."""


@dataclass(frozen=True)
class Item:
    """One multiple-choice question. `answer` is the index of the right choice, `family` the kind of problem."""

    id: str
    lang: str
    family: str
    question: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True)
class Prompt:
    """`context + continuations[i]` is the text in which choice i was made; `answer` is the index of the right one."""

    context: str
    continuations: tuple[str, ...]
    answer: int


def exercise_text(lang: str, question: str, solution: str, answer: str) -> str:
    """An exercise with its working, as it stands in the training text."""
    labels = labels_of(lang)
    lines = ((labels.question, question), (labels.solution, solution), (labels.answer, answer))
    return "\n".join(label + labels.gap + text for label, text in lines)


def prompt(item: Item, shots: Sequence[Item] = (), scoring: str = "letter") -> Prompt:
    """The pinned prompt of an item behind worked examples of the same language. ConfigError for an unknown scoring."""
    if scoring not in SCORINGS:
        raise ConfigError(f"unknown scoring '{scoring}'; use one of: {', '.join(SCORINGS)}")
    for shot in shots:
        if shot.lang != item.lang:
            raise ConfigError(f"example {shot.id} is in {shot.lang}, but item {item.id} is in {item.lang}")
    worked = [_stem(shot, scoring) + _continuations(shot, scoring)[shot.answer] for shot in shots]
    return Prompt("\n\n".join([*worked, _stem(item, scoring)]), _continuations(item, scoring), item.answer)


def labels_of(lang: str) -> Labels:
    """The labels of a language, or ConfigError."""
    if lang not in LABELS:
        raise ConfigError(f"there are no prompts for the language '{lang}'; use one of: {', '.join(LABELS)}")
    return LABELS[lang]


def _stem(item: Item, scoring: str) -> str:
    labels = labels_of(item.lang)
    lines = [labels.question + labels.gap + item.question]
    if scoring == "letter":
        lines += [f"{letter}. {choice}" for letter, choice in zip(LETTERS, item.choices, strict=False)]
    return "\n".join([*lines, labels.answer])


def _continuations(item: Item, scoring: str) -> tuple[str, ...]:
    gap = labels_of(item.lang).gap
    texts = LETTERS[: len(item.choices)] if scoring == "letter" else item.choices
    return tuple(gap + text for text in texts)
