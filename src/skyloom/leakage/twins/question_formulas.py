"""Formulas that lead from the numbers of a question to its known answer, to see whether other numbers would make sense.

Input: numbers, each to be used once, constants of which one may be used, and the answer. Output: all trees of the four operations
with that value. Nobody knows which one the writer meant; so other numbers are accepted only if every one of them still makes sense
at every step. The formulas claim no answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from skyloom.leakage.twins.calculator_notes import Worked

MOST_NUMBERS = 4
MOST_FORMULAS = 64
"""An answer that so many formulas reach is explained by none of them in particular."""


@dataclass(frozen=True)
class Formula:
    """A tree: a leaf is the place of a number in the question's list (`kind` ""), or an operation on two trees."""

    kind: str
    place: int = -1
    left: Formula | None = None
    right: Formula | None = None


def value_of(formula: Formula, numbers: Mapping[int, Fraction], nodes: list[Worked]) -> Fraction | None:
    """The value of a formula, its steps added to `nodes`; None where it divides by zero."""
    if formula.left is None or formula.right is None:
        return numbers[formula.place]
    left, right = value_of(formula.left, numbers, nodes), value_of(formula.right, numbers, nodes)
    if left is None or right is None:
        return None
    value = _apply(formula.kind, left, right)
    if value is not None:
        nodes.append(Worked(formula.kind, value, left, right))
    return value


def _apply(kind: str, left: Fraction, right: Fraction) -> Fraction | None:
    if kind == "/":
        return left / right if right else None
    return left + right if kind == "+" else left - right if kind == "-" else left * right


def formulas_for(numbers: Sequence[Fraction], constants: Sequence[Fraction], answer: Fraction) -> list[Formula]:
    """Formulas that use each number once and have the answer as value: those without a constant, or if there are none, those with
    one. Constant k has the place len(numbers) + k. [] if there are none, too many, or too many numbers."""
    if not 0 < len(numbers) <= MOST_NUMBERS:
        return []
    found = _matching([(Formula("", k), v) for k, v in enumerate(numbers)], answer)
    if not found and len(numbers) < MOST_NUMBERS:
        for k, constant in enumerate(constants):
            leaves = [(Formula("", k), v) for k, v in enumerate(numbers)]
            found += _matching([*leaves, (Formula("", len(numbers) + k), constant)], answer)
    return found if len(found) <= MOST_FORMULAS else []


def _matching(leaves: list[tuple[Formula, Fraction]], answer: Fraction) -> list[Formula]:
    return [tree for tree, value in _trees(leaves) if value == answer]


def _trees(leaves: list[tuple[Formula, Fraction]]) -> Iterator[tuple[Formula, Fraction]]:
    """Every way of joining all leaves; steps below zero are no steps of such questions."""
    if len(leaves) == 1:
        yield leaves[0]
        return
    for first in _splits(len(leaves)):
        left = [leaves[k] for k in first]
        right = [leaves[k] for k in range(len(leaves)) if k not in first]
        for (a, x), (b, y) in itertools.product(list(_trees(left)), list(_trees(right))):
            yield Formula("+", -1, a, b), x + y
            yield Formula("*", -1, a, b), x * y
            high, low = ((a, x), (b, y)) if x >= y else ((b, y), (a, x))
            yield Formula("-", -1, high[0], low[0]), high[1] - low[1]
            for (p, u), (q, w) in (((a, x), (b, y)), ((b, y), (a, x))):
                if w:
                    yield Formula("/", -1, p, q), u / w


def _splits(count: int) -> Iterator[tuple[int, ...]]:
    """Which leaves go to the left: each split once, the first leaf always on the left."""
    for size in range(1, count):
        for others in itertools.combinations(range(1, count), size - 1):
            yield (0, *others)
