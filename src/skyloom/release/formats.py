"""Number formatting for people: counts, sizes, shares, intervals, durations. What is missing or not finite becomes "–".

One place for it, so that a figure looks the same in all tables of the run page and in the cards of a release.
"""

from __future__ import annotations

import math
from typing import TypeGuard

from skyloom.core.json_files import Figure

NONE = "–"
MINUS = "−"


def known(value: object) -> TypeGuard[float]:
    """Whether `value` is a finite number (NaN and infinity come from runs that diverged, None from what was not measured)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Figure) -> str:
    """1234567 → "1,234,567"."""
    return _signed(f"{value:,.0f}") if known(value) else NONE


def short(value: Figure) -> str:
    """1234567 → "1.23 M": three significant digits with a decimal prefix."""
    if not known(value):
        return NONE
    for power, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= power * 0.9995:
            return _signed(f"{_three(value / power)} {letter}")
    return _signed(_three(value))


def size(value: Figure) -> str:
    """Bytes with decimal prefixes: 1234567 → "1.23 MB"."""
    if not known(value):
        return NONE
    for power, letter in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= power * 0.9995:
            return f"{_three(value / power)} {letter}"
    return f"{value:.0f} B"


def energy(kwh: Figure) -> str:
    """0.3 → "0.30 kWh", 0.0021 → "2.10 Wh": small runs need less than a hundredth of a kWh."""
    if not known(kwh):
        return NONE
    return f"{short(kwh)} kWh" if abs(kwh) >= 0.1 else f"{short(1000 * kwh)} Wh"


def percent(value: Figure, digits: int = 1) -> str:
    """A share from 0 to 1: 0.1234 → "12.3 %"."""
    return _signed(f"{100 * value:.{digits}f} %") if known(value) else NONE


def decimal(value: Figure, digits: int = 3) -> str:
    """1.23456 → "1.235", with a true minus sign."""
    return _signed(f"{value:.{digits}f}") if known(value) else NONE


def scientific(value: Figure) -> str:
    """0.0006 → "6.0e−4", for learning rates."""
    if not known(value):
        return NONE
    mantissa, _, power = f"{value:.1e}".partition("e")
    return _signed(f"{mantissa}e{int(power)}")


def span(low: Figure, high: Figure, digits: int = 3) -> str:
    """An interval: "1.20 to 1.31"; "–" unless both ends are known."""
    return f"{decimal(low, digits)} to {decimal(high, digits)}" if known(low) and known(high) else NONE


def seconds(value: Figure) -> str:
    """A duration: 4.2 → "4.2 s", 75 → "1 min 15 s", 3700 → "1 h 02 min"."""
    if not known(value):
        return NONE
    if value < 59.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def axis(value: float) -> str:
    """A tick of an axis, without digits that say nothing: 1500000 → "1.5M", 0.25 → "0.25"."""
    for power, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= power:
            return _signed(f"{value / power:.6g}{letter}")
    return scientific(value).replace(".0e", "e") if 0 < abs(value) < 0.001 else _signed(f"{value:.6g}")


def _three(value: float) -> str:
    digits = 0 if abs(value) >= 99.95 or value == int(value) else 1 if abs(value) >= 9.995 else 2
    return f"{value:.{digits}f}"


def _signed(text: str) -> str:
    return text.replace("-", MINUS)
