"""Numbers written in digits: where they stand in a text, how they are written, and another value written the same way.

Input: a text. Output: `Figure`s with exact values. Only digits count: words such as "three" or "三" stay as they are. A number is
`fixed` where its neighbours show that it is no free quantity: a time of day, a date, a year, an ordinal, a fraction, a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

_NUMBER = re.compile(r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|(?<!\d)\.\d+")
_PERCENT = re.compile(r"\s?(?:%|％|percent|per cent)", re.IGNORECASE)
_JOINED_BEFORE = re.compile(r"[A-Za-z0-9_:：/#第^]$|[A-Za-z]-$|\d[.,]$|(?:No|Grade|grade|Level|Room|Highway|Route|Flight)\.?\s$")
_JOINED_AFTER = re.compile(
    r"(?:st|nd|rd|th)\b|[:：/]|[.,]\d|\s?[aApP]\.?[mM]\b|\s?o['’]clock|'s\b|年级|[年月日号时点层楼路班]|线|\^|\s*[×xX*]\s*10\^"
)
_UNITS = re.compile(r"(?:mph|km|kg|cm|mm|ml|mL|mg|ft|lbs?|oz|GB|MB|TB|KB|g|m|L|l|k?m/h|s|h|in|inch|x|X)\b")
_LETTER = re.compile(r"[A-Za-z_]")
_MONTH = re.compile(r"(?:January|February|March|April|May|June|July|August|September|October|November|December)\s$")
YEARS = (1800, 2100)


@dataclass(frozen=True)
class Figure:
    """A number of a text. `digits` of its whole part; `fixed`: it must stay as it is."""

    start: int
    stop: int
    text: str
    value: Fraction
    digits: int
    decimals: int
    percent: bool
    fixed: bool

    @property
    def form(self) -> tuple[int, int, bool]:
        """What a new number has in common with this one: digits, decimals, and whether it is a percentage."""
        return self.digits, self.decimals, self.percent

    def written(self, value: Fraction) -> str:
        """`value` written as this number is. ValueError if it has no finite decimals."""
        decimals = places(value)
        if decimals is None:
            raise ValueError(f"{value} has no finite decimals")
        decimals = max(decimals, self.decimals if self.text.endswith("0") or self.decimals != places(self.value) else 0)
        scaled = str(abs(value * 10**decimals).numerator).rjust(decimals + 1, "0")
        whole, rest = (scaled[:-decimals], scaled[-decimals:]) if decimals else (scaled, "")
        if "," in self.text or (self.value < 1000 <= value and value >= 10_000):
            whole = f"{int(whole):,}"
        if self.text.startswith(".") and whole == "0":
            whole = ""
        return ("-" if value < 0 else "") + whole + (f".{rest}" if rest else "")


def places(value: Fraction) -> int | None:
    """Decimals that a number needs, None if no finite number suffices."""
    bottom, twos, fives = value.denominator, 0, 0
    while bottom % 2 == 0:
        bottom, twos = bottom // 2, twos + 1
    while bottom % 5 == 0:
        bottom, fives = bottom // 5, fives + 1
    return max(twos, fives) if bottom == 1 else None


def figures(text: str) -> list[Figure]:
    """All numbers of a text in digits, in order."""
    return [_figure(text, match) for match in _NUMBER.finditer(text)]


def _figure(text: str, match: re.Match[str]) -> Figure:
    start, stop, written = match.start(), match.end(), match.group()
    whole, _, rest = written.replace(",", "").partition(".")
    value = Fraction(int(whole or 0)) + (Fraction(int(rest), 10 ** len(rest)) if rest else 0)
    before, after = text[max(0, start - 12) : start], text[stop : stop + 12]
    joined = _JOINED_BEFORE.search(before) is not None or _MONTH.search(before) is not None
    follows = _JOINED_AFTER.match(after) is not None or (_LETTER.match(after) is not None and not _UNITS.match(after))
    year = not rest and "," not in written and len(whole) == 4 and YEARS[0] <= value <= YEARS[1] and not before.endswith("$")
    padded = len(whole) > 1 and whole.startswith("0")
    negative = re.search(r"(?:^|[\s(（])[-−]$", before) is not None
    fixed = joined or follows or year or padded or negative
    return Figure(start, stop, written, value, len(whole.lstrip("0")), len(rest), bool(_PERCENT.match(after)), fixed)


def rewritten(text: str, found: Sequence[Figure], value: Callable[[Figure], Fraction]) -> str:
    """The text with each number in its new value."""
    parts, last = [], 0
    for figure in found:
        new = value(figure)
        parts += [text[last : figure.start], figure.text if new == figure.value else figure.written(new)]
        last = figure.stop
    return "".join([*parts, text[last:]])


_ARTICLE = re.compile(r"\b([Aa]n?)\s[$€£]?$")
_VOWEL = re.compile(r"8|1[18](?:\D|,|$)")


def articles_fit(text: str, found: Sequence[Figure], value: Callable[[Figure], Fraction]) -> bool:
    """Whether "a" and "an" before numbers still fit: an 8, an 11, a 10."""
    for figure in found:
        article = _ARTICLE.search(text[max(0, figure.start - 5) : figure.start])
        if article and (_VOWEL.match(figure.text) is None) != (_VOWEL.match(figure.written(value(figure))) is None):
            return False
    return True
