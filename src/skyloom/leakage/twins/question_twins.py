"""Twins of questions without a worked solution: other numbers with as many digits, and no answer.

Input: a question, and its answer if that is known as a number. Output: the question with other numbers, or the reason why not. What
the question shows must hold in the twin: numbers keep their order, what was enough for all that is taken still is, units keep their
limits. Where the answer is known, every formula that leads from the old numbers to it must make sense with the new ones (nothing
below zero, no fraction where there was none); where no formula leads there, nothing vouches for a twin, and there is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from skyloom.leakage.twins.calculator_notes import Worked
from skyloom.leakage.twins.known_constants import implied_constants, written_constants
from skyloom.leakage.twins.number_draws import NumberPool, free_numbers, percents_fit
from skyloom.leakage.twins.number_spans import Figure, figures, rewritten
from skyloom.leakage.twins.number_twins import NO_DRAW, NOTHING_FREE, ROUNDED, new_value, rounds, sensible
from skyloom.leakage.twins.question_formulas import Formula, formulas_for, value_of

UNEXPLAINED = "no formula over the question's numbers gives its answer"
TRIES = 300
_ANSWER = re.compile(r"\s*([\d,]+(?:\.\d+)?|\.\d+|\d+/[1-9]\d*)\s*[%％]?\s*")
_DIVIDES = re.compile(
    r"平均|每|倍|分成|分给|组|排|行|几[个只袋盒箱次]|\beach\b|\bevery\b|\bper\b|\btimes\b|\bequal|\bsplit|\bshare", re.IGNORECASE
)


@dataclass(frozen=True)
class QuestionTwin:
    """A twin's question, and which value each changed number took."""

    question: str
    changed: dict[Fraction, Fraction]


def known_answer(answer: str) -> Fraction | None:
    """The number that an answer is, None if it is anything else."""
    match = _ANSWER.fullmatch(answer)
    return Fraction(match.group(1).replace(",", "")) if match else None


def question_twin(question: str, answer: str, pool: NumberPool, rng: np.random.Generator) -> QuestionTwin | str:
    """A twin of a question, or the reason why there is none."""
    found = figures(question)
    if rounds(question):
        return ROUNDED
    goal = known_answer(answer)
    constants = sorted((written_constants(question) | implied_constants(question)) - {Fraction(0)})
    numbers = [f.value for f in found]
    leaves = _leaves(question, found)
    formulas = formulas_for(leaves.of(numbers), constants, goal) if goal is not None else []
    if answer.strip() and not formulas:
        return UNEXPLAINED
    free = free_numbers(question, found, written_constants(question))
    if not free:
        return NOTHING_FREE
    steps = [_steps(f, leaves.of(numbers), constants) for f in formulas]
    for _ in range(TRIES):
        new = pool.draw(free, rng)
        if new is None or all(new[old] == old for old in new) or not percents_fit(found, new):
            continue
        changed = [new.get(v, v) for v in numbers]
        if _kept(question, numbers, changed, formulas=bool(formulas)) and all(
            _sense(f, before, leaves.of(changed), constants) for f, before in zip(formulas, steps, strict=True)
        ):
            return QuestionTwin(rewritten(question, found, new_value(new)), new)
    return NO_DRAW


@dataclass(frozen=True)
class _Leaves:
    """What a formula counts with: a number, a percentage as a share, or a fraction written as two numbers."""

    parts: tuple[tuple[int, int | None, bool], ...]

    def of(self, numbers: Sequence[Fraction]) -> list[Fraction]:
        return [numbers[a] / (numbers[b] if b is not None else 100 if percent else 1) for a, b, percent in self.parts]


def _leaves(question: str, found: Sequence[Figure]) -> _Leaves:
    parts: list[tuple[int, int | None, bool]] = []
    k = 0
    while k < len(found):
        upper = found[k]
        below = k + 1 if question[upper.stop : upper.stop + 1] == "/" and k + 1 < len(found) else None
        below = below if below is not None and found[below].start == upper.stop + 1 and found[below].value else None
        parts.append((k, below, upper.percent))
        k += 1 if below is None else 2
    return _Leaves(tuple(parts))


def _steps(formula: Formula, numbers: Sequence[Fraction], constants: Sequence[Fraction]) -> list[Worked]:
    nodes: list[Worked] = []
    value_of(formula, dict(enumerate([*numbers, *constants])), nodes)
    return nodes


def _sense(formula: Formula, before: list[Worked], changed: Sequence[Fraction], constants: Sequence[Fraction]) -> bool:
    after = _steps(formula, changed, constants)
    return len(after) == len(before) and all(map(sensible, before, after))


def _kept(question: str, old: Sequence[Fraction], new: Sequence[Fraction], *, formulas: bool) -> bool:
    """Whether what can be seen from the numbers alone still holds."""
    most = max(range(len(old)), key=lambda k: old[k])
    rest_old, rest_new = (sum(values) - values[most] for values in (old, new))
    if len(old) > 2 and old[most] >= rest_old and new[most] < rest_new:
        return False
    if any((a > b) != (c > d) for a, c in zip(old, new, strict=True) for b, d in zip(old, new, strict=True)):
        return False
    if formulas or not _DIVIDES.search(question):
        return True
    return all(
        _divides(c, d) for a, c in zip(old, new, strict=True) for b, d in zip(old, new, strict=True) if b > 1 and _divides(a, b)
    )


def _divides(a: Fraction, b: Fraction) -> bool:
    return b != 0 and (a / b).denominator == 1


def changed_words(changed: Mapping[Fraction, Fraction]) -> dict[str, str]:
    """Old and new numbers as text, for the record."""
    return {_word(old): _word(new) for old, new in sorted(changed.items())}


def _word(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):g}"
