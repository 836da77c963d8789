"""Compares recorded results with recomputed ones: numbers within a tolerance, everything else exactly.

Input: two values of JSON. Output: the differences, in words that name the key. Numbers inside a sentence count as numbers where
there is a tolerance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[-−]?\d[\d,]*(?:\.\d+)?(?:e[-−]?\d+)?(?![A-Za-z0-9_])")


def unlike(stated: object, found: object, tolerance: float, where: str = "") -> Iterator[str]:
    """Each difference between what is recorded and what was found again.

    Two floats agree if they differ by at most `tolerance` times the larger of 1 and the recorded one; integers, truth values and
    nulls must be equal.
    """
    if isinstance(stated, dict) and isinstance(found, dict):
        for key in [*stated, *(k for k in found if k not in stated)]:
            place = f"{where}.{key}" if where else key
            if key not in stated or key not in found:
                yield f"{place} stands only in what is {'recorded' if key in stated else 'recomputed'}"
            else:
                yield from unlike(stated[key], found[key], tolerance, place)
    elif isinstance(stated, list) and isinstance(found, list):
        if len(stated) != len(found):
            yield f"{where} has {len(stated)} entries, recomputed {len(found)}"
        for number, (one, other) in enumerate(zip(stated, found, strict=False)):
            yield from unlike(one, other, tolerance, f"{where}[{_label(one) or number}]")
    elif not _alike(stated, found, tolerance):
        yield f"{where} is {stated!r}, recomputed {found!r}"


def _alike(stated: object, found: object, tolerance: float) -> bool:
    if isinstance(stated, str) and isinstance(found, str):
        if stated == found or not tolerance:
            return stated == found
        one, other = _NUMBER.findall(stated), _NUMBER.findall(found)
        same_words = _NUMBER.sub("#", stated) == _NUMBER.sub("#", found)
        return same_words and all(_close(_value(a), _value(b), tolerance, a) for a, b in zip(one, other, strict=True))
    if isinstance(stated, bool) or isinstance(found, bool) or stated is None or found is None:
        return stated is found
    if isinstance(stated, int) and isinstance(found, int):
        return stated == found
    if isinstance(stated, (int, float)) and isinstance(found, (int, float)):
        return _close(stated, found, tolerance)
    return stated == found


def _close(stated: float, found: float, tolerance: float, printed: str = "") -> bool:
    """A printed number is rounded, so its last digit may be one off."""
    places = len(printed.partition(".")[2]) if "e" not in printed else 0
    rounding = 1.5 * 10.0**-places if "." in printed else 0.0
    return abs(stated - found) <= max(tolerance * max(1.0, abs(stated)), rounding)


def _value(number: str) -> float:
    return float(number.replace(",", "").replace("−", "-"))


def _label(row: object) -> str:
    """What names a row of a table: its model, set, language or split."""
    if not isinstance(row, dict):
        return ""
    return " ".join(str(row[key]) for key in ("model", "stage", "step", "set", "lang", "split", "benchmark") if key in row)
