"""Line charts and interval strips as inline SVG, in the colours of the page's theme.

The colours are CSS classes (`tone-…`), so light and dark need no second picture, and the text is real text. A chart is
drawn for the width of its column (300 or 360 px) and scales with it: small multiples side by side on a desk, one below the
other on a phone. Every chart carries a title and a description for screen readers, and every point a hover text.

Missing values are the normal case of a run that diverged or was cut short: points that are not finite break their line
and are left out; without a single point there is no chart, but a sentence that says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from skyloom.release.formats import axis, decimal, known
from skyloom.report.labels import ENGLISH, Say

WIDE, NARROW, HEIGHT = 360.0, 300.0, 200.0
RIGHT, TOP, BOTTOM = 12.0, 12.0, 36.0
LABEL, DIGIT = 24.0, 6.3
"""Room left of the axis: for its label, and for each digit of its longest tick, in px."""
TINIEST = 1e-300
"""A span below it is none: its logarithm and its parts would underflow."""
STRIP_WIDTH, STRIP_HEIGHT = 180.0, 22.0


@dataclass(frozen=True)
class Point:
    """One measurement; `low` and `high` are the ends of its interval. What is missing is NaN."""

    x: float
    y: float
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Series:
    """A line: its name in the legend, its colour (the CSS class `tone-<tone>`) and its points in order of x."""

    name: str
    tone: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Level:
    """A dashed horizontal line: what something else reaches, whatever x."""

    name: str
    tone: str
    y: float


@dataclass(frozen=True)
class _Frame:
    """The rectangle of numbers that a chart shows, and where they lie on it."""

    left: float
    right: float
    bottom: float
    top: float
    width: float

    @property
    def margin(self) -> float:
        """Where the plot begins: right of the label and the longest tick."""
        return LABEL + DIGIT * max(len(axis(value)) for value in (*ticks(self.bottom, self.top), 0.0))

    @property
    def end(self) -> float:
        return self.width - RIGHT

    def x(self, value: float) -> float:
        return self.margin + (value - self.left) / (self.right - self.left) * (self.end - self.margin)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.bottom) / (self.top - self.bottom) * (HEIGHT - TOP - BOTTOM)


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) in low..high, about `wanted` of them."""
    span = high - low
    if not (math.isfinite(span) and span > TINIEST):
        return [low] if math.isfinite(low) else []
    raw = span / max(wanted - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / raw)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") + 0.0 for k in range(first, last + 1)]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str,
    y_label: str,
    y_text: Callable[[float], str] = decimal,
    boundaries: Sequence[float] = (),
    levels: Sequence[Level] = (),
    dots: bool = True,
    zero: bool = False,
    width: float = WIDE,
    say: Say = ENGLISH,
) -> Markup:
    """Lines with bands over a common x axis, as one `<svg>` `width` px wide.

    `boundaries` draw dashed vertical lines (where stages begin). `dots` marks every point; leave it off for
    dense series. `zero` makes the y axis begin at 0. `y_text` writes a value in the hover text, `say` the words around it.
    `levels` are drawn over the whole width and always in sight.
    """
    points = [p for s in series for p in s.points if known(p.x) and known(p.y)]
    if not points:
        return Markup(f'<p class="missing">{escape(say("not measured"))}</p>')
    frame = _frame([*points, *(Point(points[0].x, level.y) for level in levels if known(level.y))], width, zero)
    body = [_axes(frame, x_label, y_label)]
    for boundary in (place for place in boundaries if frame.left < place < frame.right):
        at = _n(frame.x(boundary))
        body.append(f'<line class="boundary" x1="{at}" x2="{at}" y1="{_n(TOP)}" y2="{_n(HEIGHT - BOTTOM)}"/>')
    body += [_level(level, frame, y_text) for level in levels if known(level.y)]
    for one in series:
        tone = escape(one.tone)
        for run in _runs(one.points):
            body.append(_band(run, frame, tone))
            if len(run) > 1:
                path = " ".join(f"{_n(frame.x(p.x))},{_n(frame.y(p.y))}" for p in run)
                body.append(f'<polyline class="line tone-{tone}" points="{path}"/>')
            body += [_dot(p, one, frame, y_text, dots or len(run) == 1, say) for p in run]
    ends = [(s.name, r[-1].y) for s in series for r in _runs(s.points)[-1:]]
    last = [say("{name} ends at {value}", name=name, value=y_text(y)) for name, y in ends]
    last += [say("{name} lies at {value}", name=level.name, value=y_text(level.y)) for level in levels if known(level.y)]
    told = f"{say('{y} over {x}', y=y_label, x=x_label)}. {'; '.join(last)}."
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_n(width)} {_n(HEIGHT)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def strip(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    left: float,
    right: float,
    title: str,
    mark: float | None = None,
    tone: str = "accent",
) -> Markup:
    """An interval with its value on a line from `left` to `right`, for a table's cell; `mark` is a tick (chance, zero)."""
    if not known(value) or not right > left:
        return Markup("")
    middle = STRIP_HEIGHT / 2

    def at(x: float) -> str:
        return _n(6 + (min(max(x, left), right) - left) / (right - left) * (STRIP_WIDTH - 12))

    body = [f'<line class="rail" x1="6" x2="{_n(STRIP_WIDTH - 6)}" y1="{_n(middle)}" y2="{_n(middle)}"/>']
    if mark is not None:
        body.append(f'<line class="mark" x1="{at(mark)}" x2="{at(mark)}" y1="3" y2="{_n(STRIP_HEIGHT - 3)}"/>')
    if known(low) and known(high):
        body.append(
            f'<line class="whisker tone-{escape(tone)}" x1="{at(low)}" x2="{at(high)}" y1="{_n(middle)}" y2="{_n(middle)}"/>'
        )
    body.append(f'<circle class="dot tone-{escape(tone)}" cx="{at(value)}" cy="{_n(middle)}" r="4"/>')
    return Markup(
        f'<svg class="strip" viewBox="0 0 {_n(STRIP_WIDTH)} {_n(STRIP_HEIGHT)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(body)}</svg>"
    )


def thin(points: Sequence[Point], most: int = 160) -> tuple[Point, ...]:
    """At most `most` points: means of x and y over runs of equal length; points that are not finite are left out."""
    good = [p for p in points if known(p.x) and known(p.y)]
    if len(good) <= most:
        return tuple(good)
    edges = [round(k * len(good) / most) for k in range(most + 1)]
    bins = [good[a:b] for a, b in pairwise(edges)]
    return tuple(Point(sum(p.x for p in b) / len(b), sum(p.y for p in b) / len(b)) for b in bins)


def _frame(points: Sequence[Point], width: float, zero: bool) -> _Frame:
    xs = [p.x for p in points]
    ys = [v for p in points for v in (p.y, p.low, p.high) if known(v)]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    if right <= left:
        left, right = left - max(abs(left), 1.0) * 0.5, right + max(abs(right), 1.0) * 0.5
    if 0 < left < 0.3 * right:
        left = 0.0
    pad = (top - bottom) * 0.06 or abs(top) * 0.05 or 1.0
    floor = 0.0 if bottom >= 0 and (zero or bottom - pad < 0.15 * top) else bottom - pad
    return _Frame(left, right, floor, top + pad, width)


def _axes(frame: _Frame, x_label: str, y_label: str) -> str:
    parts = []
    base = HEIGHT - BOTTOM
    for value in ticks(frame.bottom, frame.top):
        at = _n(frame.y(value))
        parts.append(f'<line class="grid" x1="{_n(frame.margin)}" x2="{_n(frame.end)}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="tick" x="{_n(frame.margin - 6)}" y="{at}" dy="3.5" text-anchor="end">{axis(value)}</text>')
    for value in ticks(frame.left, frame.right):
        x = frame.x(value)
        anchor = "end" if x > frame.end - 12 else "middle"
        parts.append(f'<text class="tick" x="{_n(x)}" y="{_n(base + 15)}" text-anchor="{anchor}">{axis(value)}</text>')
    parts.append(f'<line class="base" x1="{_n(frame.margin)}" x2="{_n(frame.end)}" y1="{_n(base)}" y2="{_n(base)}"/>')
    middle = (frame.margin + frame.end) / 2
    parts.append(f'<text class="label" x="{_n(middle)}" y="{_n(HEIGHT - 5)}" text-anchor="middle">{escape(x_label)}</text>')
    centre = (TOP + base) / 2
    parts.append(
        f'<text class="label" transform="translate(11 {_n(centre)}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """The stretches of finite points: a missing value breaks the line instead of being bridged."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if known(point.x) and known(point.y):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [r for r in runs if r]


def _band(run: Sequence[Point], frame: _Frame, tone: str) -> str:
    ends = [(p.x, p.low, p.high) for p in run if known(p.low) and known(p.high)]
    if len(ends) < 2:
        return ""
    upper = [f"{_n(frame.x(x))},{_n(frame.y(h))}" for x, _, h in ends]
    lower = [f"{_n(frame.x(x))},{_n(frame.y(v))}" for x, v, _ in reversed(ends)]
    return f'<polygon class="band tone-{tone}" points="{" ".join(upper + lower)}"/>'


def _level(level: Level, frame: _Frame, y_text: Callable[[float], str]) -> str:
    at = _n(frame.y(level.y))
    return (
        f'<line class="level tone-{escape(level.tone)}" x1="{_n(frame.margin)}" x2="{_n(frame.end)}" y1="{at}" y2="{at}">'
        f"<title>{escape(f'{level.name}: {y_text(level.y)}')}</title></line>"
    )


def _dot(point: Point, series: Series, frame: _Frame, y_text: Callable[[float], str], visible: bool, say: Say) -> str:
    known_ends = known(point.low) and known(point.high)
    interval = f" ({say('{low} to {high}', low=y_text(point.low), high=y_text(point.high))})" if known_ends else ""
    tip = f"{series.name}, {axis(float(f'{point.x:.4g}'))}: {y_text(point.y)}{interval}"
    radius, kind = ("3", "dot") if visible else ("6", "dot ghost")
    return (
        f'<circle class="{kind} tone-{escape(series.tone)}" cx="{_n(frame.x(point.x))}" cy="{_n(frame.y(point.y))}" r="{radius}">'
        f"<title>{escape(tip)}</title></circle>"
    )


def _n(value: float) -> str:
    """A coordinate with a tenth of a pixel, so that equal inputs give equal bytes on every machine."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
