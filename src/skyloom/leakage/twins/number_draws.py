"""New numbers for the free numbers of a question: of the same form, in the same order, and inside what their units allow.

Input: the numbers of the questions of a set (of its train split where there is one), and one question. Output: draws. A new number
has as many digits and decimals as the old one and is drawn as often as the set has it; numbers of one form keep their order, so
that the older stays the older and the threshold below what passes it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from skyloom.leakage.twins.number_spans import Figure, figures

Form = tuple[int, int, bool]

_CEILINGS = (
    (re.compile(r"\s?(?:%|％|percent|per cent)", re.IGNORECASE), 100),
    (re.compile(r"\s?-?hours?\b|\s?hrs?\b|\s?小时"), 24),
    (re.compile(r"\s?-?(?:minutes?|mins?)\b|\s?分钟|分(?!之|数|米|给|成|钱)"), 60),
    (re.compile(r"\s?-?seconds?\b|\s?秒"), 60),
    (re.compile(r"\s?-?days?\b|\s?天"), 7),
    (re.compile(r"\s?-?months?\b|\s?个?月"), 12),
    (re.compile(r"\s?-?weeks?\b|\s?(?:周|星期)"), 52),
    (re.compile(r"\s?-?inch(?:es)?\b"), 12),
)
"""A number at or below the ceiling of its unit stays at or below it: a day has 24 hours."""
_AGE = re.compile(r"\s?(?:-?years?[\s-]old|周?岁)")
"""An age changes by a quarter at most: a grandfather stays a grandfather."""
_LONGER = {7: 31}
"""The next ceiling of a number that is above the first one."""


@dataclass(frozen=True)
class FreeNumber:
    """A value that the question holds, in all places that show it: `form` of the first, and between what it may be."""

    value: Fraction
    form: Form
    floor: Fraction
    ceiling: Fraction | None


class NumberPool:
    """Which numbers a set's questions hold, and how often."""

    def __init__(self, questions: Iterable[str]) -> None:
        counts: defaultdict[Form, Counter[Fraction]] = defaultdict(Counter)
        for question in questions:
            for figure in figures(question):
                if not figure.fixed and figure.value > 1:
                    counts[figure.form][figure.value] += 1
        self._values = {form: sorted(found) for form, found in counts.items()}
        self._weights = {form: np.array([counts[form][v] for v in self._values[form]], np.float64) for form in counts}

    def draw(self, free: Sequence[FreeNumber], rng: np.random.Generator) -> dict[Fraction, Fraction] | None:
        """A new value for each free number, different ones for different ones; None where the set has too few."""
        chosen: dict[Fraction, Fraction] = {}
        for form in sorted({f.form for f in free}):
            members = sorted((f for f in free if f.form == form), key=lambda f: f.value)
            values = self._values.get(form, [])
            if len(values) < len(members) + 1:
                return None
            weights = self._weights[form] / self._weights[form].sum()
            places = sorted(rng.choice(len(values), size=len(members), replace=False, p=weights).tolist())
            for member, place in zip(members, places, strict=True):
                if values[place] < member.floor or (member.ceiling is not None and values[place] > member.ceiling):
                    return None
                chosen[member.value] = values[place]
        return chosen


def free_numbers(text: str, found: Sequence[Figure], kept: Mapping[Fraction, str] | Iterable[Fraction]) -> list[FreeNumber]:
    """The values of a question that may change: none of `kept`, none that is fixed anywhere in it, none below 2."""
    held = set(kept) | {f.value for f in found if f.fixed} | {f.value for f in found if f.value < 2 and not f.decimals}
    groups: dict[Fraction, list[Figure]] = {}
    for figure in found:
        if figure.value not in held and figure.value > 0:
            groups.setdefault(figure.value, []).append(figure)
    free = []
    for value, members in groups.items():
        if len({m.form[:2] for m in members}) > 1:
            continue  # 5 and 5.0: left alone
        ceilings = [c for m in members if (c := _ceiling(text, m)) is not None]
        form = (*members[0].form[:2], any(m.percent for m in members))
        aged = any(_AGE.match(text, m.stop) for m in members)
        if aged:
            ceilings.append(value * 5 / 4)
        free.append(FreeNumber(value, form, value * 3 / 4 if aged else Fraction(0), min(ceilings, default=None)))
    return free


def _ceiling(text: str, figure: Figure) -> Fraction | None:
    after = text[figure.stop : figure.stop + 12]
    for unit, ceiling in _CEILINGS:
        if unit.match(after):
            if figure.value <= ceiling:
                return Fraction(ceiling)
            longer = _LONGER.get(ceiling)
            return Fraction(longer) if longer and figure.value <= longer else None
    return None


def percents_fit(found: Sequence[Figure], new: Mapping[Fraction, Fraction]) -> bool:
    """Whether percentages that were at most 100 together still are."""
    shares = [f.value for f in found if f.percent]
    return sum(shares) > 100 or sum(new.get(v, v) for v in shares) <= 100
