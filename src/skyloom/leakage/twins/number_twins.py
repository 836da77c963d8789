"""Twins of worked items: the same question with other numbers, its solution computed anew through the calculator notes.

Input: a question and a solution with notes (`<<16-3-4=9>>`). Output: both with other numbers, or the reason why not. Every number
of the solution must have a known source: a number of the question, a percentage of it, the result of a note, or a constant that the
question's words explain. Where a number could come from several sources, a draw counts only if all of them give the same new
value; so the twin's solution is right whichever the writer meant. No step may take more than there is, give a fraction where
there was none, or change which of two results is the larger where the question compares.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from skyloom.leakage.twins.calculator_notes import Note, Worked, read_notes, worked
from skyloom.leakage.twins.known_constants import counts_in_words, implied_constants, written_constants
from skyloom.leakage.twins.number_draws import FreeNumber, NumberPool, free_numbers, percents_fit
from skyloom.leakage.twins.number_spans import Figure, articles_fit, figures, places, rewritten

NO_NOTES = "no calculator notes"
ODD_NOTE = "a note that is no arithmetic, or rounded"
ODD_ANSWER = "the answer is not the result of a note"
ROUNDED = "the question asks for rounding, or for a smallest or largest number"
NOTHING_FREE = "no number that may change"
UNUSED = "a number of the question that no note uses"
UNKNOWN = "a number of the solution has no known source"
NO_DRAW = "no other numbers pass the checks of sense"
TRIES = 400

_ROUNDING = re.compile(
    r"\b(?:round(?:ed|s)?|nearest|at least|at most|minimum|maximum|prime|even number|odd number|remainder|approximately|"
    r"consecutive|dice|probability|chance)\b|四舍五入|最少|最多|至少|至多|大约|约|(?<!其)余(?![下额的])",
    re.IGNORECASE,
)
_COMPARES = re.compile(
    r"\b(?:cheap\w*|expensive|better|best|larg\w*|bigg\w*|small\w*|most|least|high\w*|low\w*|fast\w*|slow\w*|old\w*|young\w*|first|over|"
    r"exceed\w*|more than|less than|fewer|above|below|under|up to|until|whichever|if)\b|更|比|超过|以上|以下|如果|最",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SolvedTwin:
    """A twin's question and solution, and which value each changed number took."""

    question: str
    answer: str
    changed: dict[Fraction, Fraction]


@dataclass(frozen=True)
class _Item:
    """An item that has been read: numbers of both texts, notes, and what each number of the solution can come from."""

    question: str
    answer: str
    asked: list[Figure]
    solved: list[Figure]
    notes: list[Note]
    free: list[FreeNumber]
    constants: frozenset[Fraction]
    steps: list[list[Worked]]


def solved_twin(question: str, answer: str, pool: NumberPool, rng: np.random.Generator) -> SolvedTwin | str:
    """A twin of a worked item, or the reason why there is none."""
    item = _read(question, answer)
    if isinstance(item, str):
        return item
    for _ in range(TRIES):
        new = pool.draw(item.free, rng)
        if new is None or any(new[old] == old for old in new) or not percents_fit(item.asked, new):
            continue
        values = _solve(item, new)
        if values is None:
            continue
        told = {id(f): values[k] for k, f in enumerate(item.solved)}
        made = ((question, item.asked, new_value(new)), (answer, item.solved, _told(told)))
        if all(articles_fit(*one) for one in made):
            return SolvedTwin(rewritten(*made[0]), rewritten(*made[1]), new)
    return NO_DRAW


def new_value(new: Mapping[Fraction, Fraction]) -> Callable[[Figure], Fraction]:
    """What a number of the question becomes."""
    return lambda figure: new.get(figure.value, figure.value)


def _told(values: Mapping[int, Fraction]) -> Callable[[Figure], Fraction]:
    return lambda figure: values[id(figure)]


def _read(question: str, answer: str) -> _Item | str:
    asked, solved = figures(question), figures(answer)
    notes = read_notes(answer, solved)
    if notes is None:
        return ODD_NOTE
    if not notes:
        return NO_NOTES
    if rounds(question):
        return ROUNDED
    steps = []
    for note in notes:
        nodes = worked(note, {k: f.value for k, f in enumerate(solved)})
        if nodes is None or nodes[-1].value != solved[note.result].value:
            return ODD_NOTE
        steps.append(nodes)
    if not re.search(r"####\s*[-$]?\s*[\d.,]+\s*$", answer) or solved[-1].value not in {solved[n.result].value for n in notes}:
        return ODD_ANSWER
    if not _all_used(question, asked, {solved[k].value for note in notes for k in note.operands.values()}):
        return UNUSED
    constants = written_constants(question) | {f.value for f in asked if f.fixed}
    free, constants = _free(question, asked, solved, notes, constants)
    if not free:
        return NOTHING_FREE
    item = _Item(question, answer, asked, solved, notes, free, constants, steps)
    return item if _explained(item) and not _spelt(item) else UNKNOWN


def rounds(question: str) -> bool:
    """Whether a question asks for rounding or for an extreme: then other numbers may need another solution."""
    return _ROUNDING.search(question) is not None


def _spelt(item: _Item) -> bool:
    """Whether the solution writes a number in words that would have to change: "Fifteen more than" for 15."""
    moving = {f.value for f in item.free} | {item.solved[n.result].value for n in item.notes}
    return bool(moving & counts_in_words(item.answer))


def _all_used(question: str, asked: list[Figure], used: set[Fraction]) -> bool:
    """Whether the notes use every number of the question. One that they do not use may be used unseen ("25 %" in `80/4`), and then
    a number of a note only seems to come from elsewhere."""
    for k, figure in enumerate(asked):
        made = {figure.value} | (set(_of_percent(figure.value)) if figure.percent else set())
        for a, b in itertools.pairwise(asked[max(0, k - 1) : k + 2]):
            if question[a.stop : b.start] == "/" and b.value:
                made.add(a.value / b.value)
        if figure.value != 1 and not made & used:
            return False
    return True


def _free(
    question: str, asked: list[Figure], solved: list[Figure], notes: list[Note], written: frozenset[Fraction]
) -> tuple[list[FreeNumber], frozenset[Fraction]]:
    """Which numbers may change, and which values of the solution stay."""
    used = {solved[k].value for note in notes for k in note.operands.values()}
    used |= {p for p in (f.value for f in asked if f.percent) if any(v in used for v in _of_percent(p))}
    implied = implied_constants(question) & used
    free = [f for f in free_numbers(question, asked, written | implied) if f.value in used]
    stays = {f.value for f in asked} - {f.value for f in free}
    pairs = {v for a, b in itertools.permutations([f.value for f in free], 2) for v in (a - b, a + b, a * b, a / b)}
    results = {solved[n.result].value for n in notes}
    implied = frozenset(v for v in implied if v not in pairs or v in results)
    two = frozenset({Fraction(2)} - pairs)
    return free, written | implied | two | frozenset(stays)


def _of_percent(share: Fraction) -> tuple[Fraction, ...]:
    """What a solution makes of a percentage without a note: .3, 70, .7, 130, 1.3, and of 25 % a quarter or three quarters."""
    part = share / 100
    made = (part, 100 - share, 1 - part, 100 + share, 1 + part)
    if not 0 < share < 100:
        return made
    return (*made, 1 / part, Fraction(part.numerator), Fraction(part.denominator), Fraction((1 - part).numerator), 1 / (1 - part))


def _explained(item: _Item) -> bool:
    """Whether every number of the solution has a source."""
    old = {f.value: f.value for f in item.free}
    values = {k: f.value for k, f in enumerate(item.solved)}
    return all(list(_sources(item, k, old, values)) for k in range(len(item.solved)))


def _sources(item: _Item, k: int, new: Mapping[Fraction, Fraction], values: Mapping[int, Fraction]) -> Iterator[Fraction]:
    """The new values that number `k` of the solution may have. Operands of a note look at results of earlier notes only."""
    figure = item.solved[k]
    value = figure.value
    if value in new:
        yield new[value]
    for share in {f.value for f in item.asked if f.percent and f.value in new}:
        yield from (made for was, made in zip(_of_percent(share), _of_percent(new[share]), strict=True) if was == value)
    inside = next((n for n in item.notes if n.start <= figure.start < n.stop), None)
    for note in item.notes:
        if (inside is None or note.start < inside.start or k == note.result) and item.solved[note.result].value == value:
            yield values[note.result]
    if value in item.constants:
        yield value


def _solve(item: _Item, new: Mapping[Fraction, Fraction]) -> dict[int, Fraction] | None:
    """The new value of every number of the solution, None if a check fails."""
    values: dict[int, Fraction] = {}
    for note, before in zip(item.notes, item.steps, strict=True):
        for k in note.operands.values():
            found = set(_sources(item, k, new, values))
            if len(found) != 1:
                return None
            values[k] = found.pop()
        nodes = worked(note, values)
        if nodes is None or not all(map(sensible, before, nodes)):
            return None
        values[note.result] = nodes[-1].value
    for k in range(len(item.solved)):
        if k not in values:
            found = set(_sources(item, k, new, values))
            if len(found) != 1:
                return None
            values[k] = found.pop()
    if values[len(item.solved) - 1] == item.solved[-1].value or not _writable(item, values) or not _same_order(item, new, values):
        return None
    return values


def sensible(before: Worked, after: Worked) -> bool:
    """Whether a step still makes sense: nothing below zero, no new fraction, and a quotient on the same side of one."""
    if (before.value > 0) != (after.value > 0) or (before.value < 0) != (after.value < 0):
        return False
    if before.value.denominator == 1 and after.value.denominator != 1:
        return False
    if before.kind == "/" and (before.value > 1) != (after.value > 1):
        return False
    was, now = places(before.value), places(after.value)
    return was is None or (now is not None and now <= max(was, 2 if before.value.denominator != 1 else 0))


def _writable(item: _Item, values: Mapping[int, Fraction]) -> bool:
    """Whether the new values can be written as the old ones are, without rounding."""
    return all(
        (now := places(values[k])) is not None and now <= max(f.decimals, places(f.value) or 0) for k, f in enumerate(item.solved)
    )


def _same_order(item: _Item, new: Mapping[Fraction, Fraction], values: Mapping[int, Fraction]) -> bool:
    """Where the question compares, results and numbers stand in the order in which they stood."""
    if not _COMPARES.search(item.question):
        return True
    pairs = {(item.solved[n.result].value, values[n.result]) for n in item.notes}
    pairs |= {(f.value, new.get(f.value, f.value)) for f in item.asked}
    ordered = sorted(pairs)
    return all(_holds(a, b) for a, b in itertools.pairwise(ordered))


def _holds(a: tuple[Fraction, Fraction], b: tuple[Fraction, Fraction]) -> bool:
    return a[1] <= b[1] if a[0] < b[0] else True
