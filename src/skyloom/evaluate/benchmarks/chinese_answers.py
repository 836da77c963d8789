"""How generated answers of our own Chinese tasks are judged: a number for CMATH, a span of the text for CMRC 2018.

Input: an item and the generated text, as lm-eval's `process_results` is given them; output: values by metric. Numbers are equal if
their values are, however they are written (1/2, 0.5, 50%, full-width digits). Spans follow the authors' script: punctuation and
spaces are taken away, Chinese is compared by characters and other scripts by words, and F1 is that of the longest common part, the
best over all reference answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from fractions import Fraction

_NUMBER = re.compile(r"-?\d+(?:,\d{3})+(?:\.\d+)?%?|-?\d+(?:\.\d+)?(?:/\d+)?%?")
_SIGNS = re.compile("答案(?:是|为|[:：])")
_PIECE = re.compile(r"[A-Za-z0-9]+|\S")


def number_matches(doc: Mapping[str, object], results: Sequence[str]) -> dict[str, float]:
    """`exact_match`: whether the number after the last "答案是", or else the last number, is the item's answer."""
    text = unicodedata.normalize("NFKC", results[0])
    signs = list(_SIGNS.finditer(text))
    behind = _NUMBER.findall(text[signs[-1].end() :]) if signs else []
    numbers = behind[:1] or _NUMBER.findall(text)[-1:]
    wanted = _NUMBER.findall(unicodedata.normalize("NFKC", str(doc["answer"])))[-1:]
    return {"exact_match": float(bool(numbers) and bool(wanted) and _value(numbers[0]) == _value(wanted[0]))}


def _value(text: str) -> Fraction | None:
    percent = text.endswith("%")
    try:
        value = Fraction(text.rstrip("%").replace(",", ""))
    except (ValueError, ZeroDivisionError):
        return None
    return value / 100 if percent else value


def span_matches(doc: Mapping[str, object], results: Sequence[str]) -> dict[str, float]:
    """`f1` and `exact_match` of the text against the item's `answers`, a list of texts (or SQuAD's `{"text": [...]}`)."""
    answers = doc["answers"]
    texts = answers.get("text") if isinstance(answers, Mapping) else answers
    wanted = [pieces(str(text)) for text in texts] if isinstance(texts, (list, tuple)) else [pieces(str(texts))]
    found = pieces(results[0])
    return {
        "f1": max((span_f1(found, right) for right in wanted), default=0.0),
        "exact_match": float(bool(found) and found in wanted),
    }


def pieces(text: str) -> list[str]:
    """Characters of Chinese, words of other scripts, in lower case and without punctuation and spaces."""
    kept = "".join(" " if unicodedata.category(c)[0] in "PSZC" else c for c in text.lower())
    return _PIECE.findall(kept)


def span_f1(found: Sequence[str], right: Sequence[str]) -> float:
    """F1 of the longest common run of pieces."""
    common = _longest(found, right)
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(right)
    return 2 * precision * recall / (precision + recall)


def _longest(one: Sequence[str], other: Sequence[str]) -> int:
    best, before = 0, [0] * (len(other) + 1)
    for piece in one:
        now = [0] * (len(other) + 1)
        for place, theirs in enumerate(other, 1):
            if piece == theirs:
                now[place] = before[place - 1] + 1
                best = max(best, now[place])
        before = now
    return best
