"""What a family of exercises is, and how one of its problems becomes text with working and choices.

A family is one piece of mathematics: a finite space of whole-number parameters, a function that works the problem out
(`solve`), and its wording in English and in Chinese. Input: a point of the space, a language and a choice of phrasing, names
and things. Output: a `Written` exercise. Numbers and words are kept apart so that the same problem can be recognised in either
language (`Family.canonical`), which is what keeps splits disjoint.

The report's SkyPile-STEM (2.2, 3.1) was collected from the web and is not published. Exercises that we write ourselves
have a known answer, a known licence, and test and reference sets that are exchangeable by construction, which the
leakage test of report 5.2 needs and could not have.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from math import prod
from typing import TypeVar

from skyloom.core.errors import DataError

T = TypeVar("T")
Params = dict[str, int]
Number = int | Fraction | Decimal
Value = Number | str
Worked = Mapping[str, Value | tuple[Value, ...] | list[Value]]
"""The values of a worked problem by name: single ones, and under "wrong" the results of typical mistakes."""
Telling = tuple[int, int]
"""A phrasing and a world by their numbers."""
CHOICES = 4

NAMES = {
    "en": ("Anna", "Ben", "Carla", "David", "Emma", "Farid", "Grace", "Hassan", "Ivy", "Jonas", "Leila", "Marco", "Nora", "Omar"),
    "zh-Hans": ("小明", "小红", "李华", "王芳", "张伟", "陈静", "刘洋", "小雨", "周宁", "赵敏", "孙浩", "林晓", "吴磊", "郑洁"),
}


class Dice:
    """A seeded stream of choices, built on `random.Random.random` alone: the one method Python promises never to change."""

    def __init__(self, *seed: object) -> None:
        self._random = random.Random("/".join(map(str, seed))).random

    def below(self, n: int) -> int:
        """A whole number in 0..n-1, uniform to within 2^-53 · n."""
        return int(self._random() * n)

    def pick(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        result = list(items)
        for i in range(len(result) - 1, 0, -1):
            j = self.below(i + 1)
            result[i], result[j] = result[j], result[i]
        return result


@dataclass(frozen=True)
class Wording:
    """A family in one language. All texts are `str.format` templates over parameters, worked values, names and a world.

    `questions` are phrasings of the same problem; `solution` shows the working and ends in the answer; `answer` adds the
    unit. A world is a set of words that fit together (things, places, measure words). `labels` turn a whole number into
    a word of the language, for example a weekday.
    """

    questions: tuple[str, ...]
    solution: str
    answer: str = "{answer}"
    worlds: tuple[Mapping[str, str], ...] = ({},)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def show(self, name: str, value: Value) -> str:
        """A value as people of this language write it."""
        return self.labels[name][value] if name in self.labels and isinstance(value, int) else show(value)


@dataclass(frozen=True)
class Guise:
    """How a problem is told: which phrasing, which world, and the names of two people."""

    phrasing: int
    world: int
    name: str
    other: str


@dataclass(frozen=True)
class Written:
    """An exercise in one language; `choices[answer_index] == answer`."""

    question: str
    solution: str
    answer: str
    choices: tuple[str, ...]
    answer_index: int


@dataclass(frozen=True)
class Family:
    """One kind of problem. `space` gives each parameter its values, `where` rules combinations out.

    `where` also leaves one of two combinations that are the same mathematics (2 + 3 and 3 + 2), so that different
    parameters are different problems.

    `solve(**params)` returns all values that the templates name: at least "answer", and "wrong", the results of typical
    mistakes, which become the distractors.
    """

    name: str
    field: str  # the part of mathematics or science, for tables
    space: Mapping[str, Sequence[int]]
    solve: Callable[..., Worked]
    en: Wording
    zh: Wording
    where: Callable[..., bool] = lambda **_: True

    def wording(self, lang: str) -> Wording:
        return self.en if lang == "en" else self.zh

    def canonical(self, params: Params) -> str:
        """The problem itself, without language or wording: family and parameters in a fixed order."""
        return f"{self.name}(" + ", ".join(f"{k}={params[k]}" for k in self.space) + ")"

    def draw(self, dice: Dice) -> Iterator[Params]:
        """All problems of the family in random order, each once; DataError when there are no more.

        Uniform without replacement, so any split of the stream into consecutive parts is exchangeable.
        """
        size, given = prod(len(v) for v in self.space.values()), 0
        tried: set[int] = set()
        while len(tried) < size:
            index = dice.below(size)
            if index in tried:
                continue
            tried.add(index)
            params = {}
            for name, values in self.space.items():
                index, place = divmod(index, len(values))
                params[name] = values[place]
            if self.where(**params):
                given += 1
                yield params
        raise DataError(f"the exercise family '{self.name}' has only {given} problems; ask for fewer exercises per split")

    def tellings(self, lang: str) -> list[Telling]:
        """All ways of telling a problem in a language: phrasing and world."""
        wording = self.wording(lang)
        return [(phrasing, world) for phrasing in range(len(wording.questions)) for world in range(len(wording.worlds))]

    def told_apart(self, lang: str) -> bool:
        """Whether each of its tellings asks in other words, whatever the numbers and the people: each phrasing names its world."""
        wording = self.wording(lang)
        asked = {wording.questions[p].format_map(_Blank(wording.worlds[w])) for p, w in self.tellings(lang)}
        return len(asked) == len(self.tellings(lang))

    def guise(self, lang: str, dice: Dice, telling: Telling | None = None) -> Guise:
        """A random pair of different names, and the telling that is given, or else a random one."""
        wording, names = self.wording(lang), NAMES[lang]
        first = dice.below(len(names))
        second = (first + 1 + dice.below(len(names) - 1)) % len(names)
        phrasing, world = telling or (dice.below(len(wording.questions)), dice.below(len(wording.worlds)))
        return Guise(phrasing, world, names[first], names[second])

    def write(self, params: Params, lang: str, guise: Guise, dice: Dice) -> Written:
        """The exercise as text. `dice` only orders the choices."""
        wording, worked = self.wording(lang), self.solve(**params)
        values: dict[str, Value] = {**params, **{k: v for k, v in worked.items() if not isinstance(v, (tuple, list))}}
        wrong = worked["wrong"]
        if not isinstance(wrong, (tuple, list)):
            raise TypeError(f"{self.name}: wrong answers are a sequence")
        words = {k: wording.show(k, v) for k, v in values.items()}
        words |= {**wording.worlds[guise.world], "name": guise.name, "other": guise.other}

        def unit(value: Value) -> str:
            return wording.answer.format_map({**words, "answer": wording.show("answer", value)})

        answer = unit(values["answer"])
        distractors: list[str] = []
        labels = len(wording.labels.get("answer", ()))
        for value in [*wrong, *_neighbours(values["answer"], labels)]:
            if len(distractors) < CHOICES - 1 and _plausible(value, values["answer"]):
                text = unit(value)
                if text != answer and text not in distractors:
                    distractors.append(text)
        if len(distractors) < CHOICES - 1:
            raise AssertionError(f"{self.canonical(params)} has only {len(distractors)} distractors")
        choices = tuple(dice.shuffled([answer, *distractors]))
        return Written(
            question=wording.questions[guise.phrasing].format_map(words),
            solution=wording.solution.format_map(words),
            answer=answer,
            choices=choices,
            answer_index=choices.index(answer),
        )


class _Blank(dict[str, str]):
    """Words of a template; a blank for what differs from problem to problem."""

    def __missing__(self, key: str) -> str:
        return "#"


def show(value: Value) -> str:
    """Fractions as 3/4, decimals without trailing zeros, never an exponent."""
    if isinstance(value, Decimal):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return str(value)


def worlds(columns: str, *rows: str) -> tuple[dict[str, str], ...]:
    """Worlds as a small table: names of the columns, then one row each, cells separated by "|"."""
    names = columns.split("|")
    return tuple(dict(zip(names, row.split("|"), strict=True)) for row in rows)


def _plausible(value: Value, answer: Value) -> bool:
    """A distractor must be of the answer's kind: whole for whole, and not negative unless the answer is."""
    if isinstance(answer, str) or isinstance(value, str):
        return isinstance(answer, str) and isinstance(value, str)
    if isinstance(answer, int) and Fraction(value).denominator != 1:
        return False
    return bool(value >= 0) if answer >= 0 else True


def _neighbours(answer: Value, labels: int) -> Sequence[Number]:
    """Values beside the answer, for families whose typical mistakes coincide."""
    if isinstance(answer, str):
        return []
    if labels:
        return [(answer + step) % labels for step in range(1, labels)]
    if isinstance(answer, int):
        return [answer + step for step in (1, -1, 2, -2, 10, -10, 3, 4, 5)]
    if isinstance(answer, Fraction):
        top, bottom = answer.numerator, answer.denominator
        return [Fraction(top + step, bottom) for step in (1, -1, 2, 3)] + [Fraction(top, bottom + step) for step in (1, 2, 3)]
    return [answer * 2, answer * 10, answer / 2, answer + 1, answer + 2, answer + 3]
