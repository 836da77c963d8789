"""The charts of a leakage page as inline SVG: gaps with intervals around a centre, and a model among its family.

Drawn like the line charts (`charts.py`): colours are classes of the page's theme, text is text, every mark has a hover text, and
equal inputs give equal bytes. What is not finite is left out; without anything to draw there is no chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from skyloom.release.formats import axis, decimal, known
from skyloom.report.charts import ticks

WIDTH, ROW, EDGE, FOOT = 360.0, 42.0, 16.0, 26.0
HEIGHT, LEFT, TOP, BOTTOM = 250.0, 54.0, 12.0, 38.0
STEPS = 40


@dataclass(frozen=True)
class Gap:
    """A row of a forest plot; `counts`: filled or hollow; `told` is the row's hover text; `shown`: its figure as text, `tone`: its
    colour, where they are not the usual ones."""

    name: str
    value: float
    low: float
    high: float
    counts: bool
    flagged: bool
    told: str
    shown: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Member:
    """A model: ability (bits per byte on the third text set) and gap (bits per byte)."""

    name: str
    ability: float
    gap: float


@dataclass(frozen=True)
class Regression:
    """gap = intercept + slope · ability, and half the width of the prediction interval at the suspect's ability (NaN: no band)."""

    slope: float
    intercept: float
    half: float


def forest(rows: Sequence[Gap], *, centre: float | None, title: str, width: float = WIDTH) -> Markup:
    """Values with their intervals, one below the other, on one scale that holds `centre`, which is a vertical line (None: none)."""
    rows = [row for row in rows if known(row.value)]
    if not rows:
        return Markup("")
    ends = [v for row in rows for v in (row.value, row.low, row.high) if known(v)]
    ends += [centre] if centre is not None else []
    pad = (max(ends) - min(ends)) * 0.06 or max(abs(ends[0]), 0.1) * 0.1
    left, right = min(ends) - pad, max(ends) + pad
    height = ROW * len(rows) + FOOT

    def at(value: float) -> str:
        return _n(EDGE + (value - left) / (right - left) * (width - 2 * EDGE))

    body = []
    for value in ticks(left, right):
        body.append(_upright("grid", at(value), len(rows)))
        body.append(f'<text class="tick" x="{at(value)}" y="{_n(ROW * len(rows) + 19)}" text-anchor="middle">{axis(value)}</text>')
    if centre is not None:
        body.append(_upright("centre", at(centre), len(rows)))
    for number, row in enumerate(rows):
        body.append(_gap(row, number * ROW, at, width))
    told = "; ".join(row.told for row in rows)
    return Markup(
        f'<svg class="forest" viewBox="0 0 {_n(width)} {_n(height)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def _upright(kind: str, x: str, rows: int) -> str:
    """A vertical line that leaves the rows' names free."""
    return "".join(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{_n(k * ROW + 21)}" y2="{_n(k * ROW + 37)}"/>' for k in range(rows))


def _gap(row: Gap, top: float, at: Callable[[float], str], width: float) -> str:
    tone, y = escape(row.tone) or ("stage2" if row.flagged else "stage1"), _n(top + 29)
    parts = [
        f'<text class="row-name" x="{_n(EDGE)}" y="{_n(top + 16)}">{escape(row.name)}</text>',
        f'<text class="row-value" x="{_n(width - EDGE)}" y="{_n(top + 16)}" text-anchor="end">'
        f"{escape(row.shown or decimal(row.value))}</text>",
    ]
    if known(row.low) and known(row.high):
        parts.append(f'<line class="whisker tone-{tone}" x1="{at(row.low)}" x2="{at(row.high)}" y1="{y}" y2="{y}"/>')
    kind = "dot" if row.counts else "hollow"
    parts.append(
        f'<circle class="{kind} tone-{tone}" cx="{at(row.value)}" cy="{y}" r="4.5"><title>{escape(row.told)}</title></circle>'
    )
    return "".join(parts)


def scatter(
    members: Sequence[Member], suspect: Member | None, line: Regression, *, x_label: str, y_label: str, title: str
) -> Markup:
    """The family, the suspect, the regression line and the band in which one more clean model is expected."""
    members = [m for m in members if known(m.ability) and known(m.gap)]
    suspect = suspect if suspect is not None and known(suspect.ability) and known(suspect.gap) else None
    shown = [*members, *([suspect] if suspect else [])]
    if not shown:
        return Markup("")
    xs = [m.ability for m in shown]
    margin = (max(xs) - min(xs)) * 0.08 or max(abs(xs[0]), 1.0) * 0.1
    left, right = min(xs) - margin, max(xs) + margin
    band = _band(members, suspect, line, left, right)
    ys = [m.gap for m in shown] + [v for _, low, high in band for v in (low, high)] + [0.0]
    pad = (max(ys) - min(ys)) * 0.06 or 0.1
    bottom, top = min(ys) - pad, max(ys) + pad

    def x(value: float) -> str:
        return _n(LEFT + (value - left) / (right - left) * (WIDTH - LEFT - 12))

    def y(value: float) -> str:
        return _n(HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM))

    body = [_axes((left, right), (bottom, top), x, y, x_label, y_label)]
    if known(line.half) and len(band) > 1:
        ring = [f"{x(v)},{y(high)}" for v, _, high in band] + [f"{x(v)},{y(low)}" for v, low, _ in reversed(band)]
        body.append(f'<polygon class="band tone-d0" points="{" ".join(ring)}"/>')
    if band:
        path = " ".join(f"{x(v)},{y((low + high) / 2)}" for v, low, high in band)
        body.append(f'<polyline class="line tone-d0" points="{path}"/>')
    for member, tone, radius in [*((m, "d0", "4") for m in members), *([(suspect, "stage2", "6")] if suspect else [])]:
        tip = f"{member.name}: {decimal(member.ability)}, {decimal(member.gap)}"
        body.append(
            f'<circle class="dot tone-{tone}" cx="{x(member.ability)}" cy="{y(member.gap)}" r="{radius}">'
            f"<title>{escape(tip)}</title></circle>"
        )
    told = "; ".join(f"{m.name}: {decimal(m.ability)}, {decimal(m.gap)}" for m in shown)
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_n(WIDTH)} {_n(HEIGHT)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def _band(
    members: Sequence[Member], suspect: Member | None, line: Regression, left: float, right: float
) -> list[tuple[float, float, float]]:
    """(ability, low, high) from left to right. The width at the suspect's ability is given; elsewhere it follows from the leverage
    of the family's abilities."""
    if not (known(line.slope) and known(line.intercept)):
        return []
    number = len(members)
    mean = sum(m.ability for m in members) / number if number else 0.0
    spread = sum((m.ability - mean) ** 2 for m in members)

    def factor(value: float) -> float:
        return math.sqrt(1 + 1 / max(number, 1) + ((value - mean) ** 2 / spread if spread > 0 else 0))

    half = line.half / factor(suspect.ability) if suspect is not None and known(line.half) else 0.0
    found = []
    for k in range(STEPS + 1):
        value = left + (right - left) * k / STEPS
        middle, width = line.intercept + line.slope * value, half * factor(value)
        found.append((value, middle - width, middle + width))
    return found


def _axes(
    xs: tuple[float, float],
    ys: tuple[float, float],
    x: Callable[[float], str],
    y: Callable[[float], str],
    x_label: str,
    y_label: str,
) -> str:
    parts, base, end = [], HEIGHT - BOTTOM, _n(WIDTH - 12)
    for value in ticks(*ys):
        kind = "centre" if value == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{_n(LEFT)}" x2="{end}" y1="{y(value)}" y2="{y(value)}"/>')
        parts.append(f'<text class="tick" x="{_n(LEFT - 6)}" y="{y(value)}" dy="3.5" text-anchor="end">{axis(value)}</text>')
    for value in ticks(*xs):
        parts.append(f'<text class="tick" x="{x(value)}" y="{_n(base + 15)}" text-anchor="middle">{axis(value)}</text>')
    parts.append(f'<line class="base" x1="{_n(LEFT)}" x2="{end}" y1="{_n(base)}" y2="{_n(base)}"/>')
    middle, centre = _n((LEFT + WIDTH - 12) / 2), _n((TOP + base) / 2)
    parts.append(f'<text class="label" x="{middle}" y="{_n(HEIGHT - 5)}" text-anchor="middle">{escape(x_label)}</text>')
    parts.append(
        f'<text class="label" transform="translate(11 {centre}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _n(value: float) -> str:
    """A coordinate with a tenth of a pixel."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
