"""Line charts and interval strips as inline SVG, in the colours of the page's theme.

Lines carry their names themselves, so that no colour must be looked up. A curve that begins far above the rest is cut at the
top of the frame (`settle`), and the picture says where it begins. Alarms are marks on the curve.

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
MOST_SETTLED = 4
"""Points that must stay before the first ones are left out of the y axis."""


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
class ChartMark:
    """A place on the x axis where something happened; `told` is its hover text."""

    x: float
    told: str


@dataclass(frozen=True)
class Frame:
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
    settle: bool = False,
    named: bool = False,
    marks: Sequence[ChartMark] = (),
) -> Markup:
    """Lines with bands over a common x axis, as one `<svg>` `width` px wide.

    `boundaries` draw dashed vertical lines (where stages begin). `dots` marks every point; leave it off for
    dense series. `zero` makes the y axis begin at 0. `y_text` writes a value in the hover text, `say` the words around it.
    `levels` are drawn over the whole width and always in sight. `settle`: the first point does not set the y axis. `named`: lines
    and levels carry their names. `marks` are triangles on the x axis.
    """
    points = [p for s in series for p in s.points if known(p.x) and known(p.y)]
    if not points:
        return Markup(f'<p class="missing">{escape(say("not measured"))}</p>')
    shown = _settled(series) if settle else points
    frame = frame_of([*shown, *(Point(points[0].x, level.y) for level in levels if known(level.y))], width, zero, points)
    body = [axes(frame, x_label, y_label)]
    for boundary in (place for place in boundaries if frame.left < place < frame.right):
        at = px(frame.x(boundary))
        body.append(f'<line class="boundary" x1="{at}" x2="{at}" y1="{px(TOP)}" y2="{px(HEIGHT - BOTTOM)}"/>')
    body += [_level(level, frame, y_text) for level in levels if known(level.y)]
    for one in series:
        tone, own = escape(one.tone), set(one.points)
        for run in _inside(one.points, frame.top):
            body.append(_band(run, frame, tone))
            if len(run) > 1:
                path = " ".join(f"{px(frame.x(p.x))},{px(frame.y(p.y))}" for p in run)
                body.append(f'<polyline class="line tone-{tone}" points="{path}"/>')
            body += [_dot(p, one, frame, y_text, dots or len(run) == 1, say) for p in run if p in own]
    above = [p for p in points if p.y > frame.top]
    if above:
        told = say("begins at {value}", value=y_text(above[0].y))
        begin = max(frame.x(above[0].x), frame.margin)
        body.append(f'<text class="tick" x="{px(begin + 3)}" y="{px(TOP - 2)}">▲ {escape(told)}</text>')
    body += [_mark(mark, frame) for mark in marks if frame.left <= mark.x <= frame.right]
    if named:
        body += _names(series, [level for level in levels if known(level.y)], frame)
    ends = [(s.name, r[-1].y) for s in series for r in _runs(s.points)[-1:]]
    last = [say("{name} ends at {value}", name=name, value=y_text(y)) for name, y in ends]
    last += [say("{name} lies at {value}", name=level.name, value=y_text(level.y)) for level in levels if known(level.y)]
    told = f"{say('{y} over {x}', y=y_label, x=x_label)}. {'; '.join(last)}."
    return Markup(
        f'<svg class="chart" viewBox="0 0 {px(width)} {px(HEIGHT)}" role="img" aria-label="{escape(title)}">'
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
        return px(6 + (min(max(x, left), right) - left) / (right - left) * (STRIP_WIDTH - 12))

    body = [f'<line class="rail" x1="6" x2="{px(STRIP_WIDTH - 6)}" y1="{px(middle)}" y2="{px(middle)}"/>']
    if mark is not None:
        body.append(f'<line class="mark" x1="{at(mark)}" x2="{at(mark)}" y1="3" y2="{px(STRIP_HEIGHT - 3)}"/>')
    if known(low) and known(high):
        body.append(
            f'<line class="whisker tone-{escape(tone)}" x1="{at(low)}" x2="{at(high)}" y1="{px(middle)}" y2="{px(middle)}"/>'
        )
    body.append(f'<circle class="dot tone-{escape(tone)}" cx="{at(value)}" cy="{px(middle)}" r="4"/>')
    return Markup(
        f'<svg class="strip" viewBox="0 0 {px(STRIP_WIDTH)} {px(STRIP_HEIGHT)}" role="img" aria-label="{escape(title)}">'
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


def frame_of(points: Sequence[Point], width: float, zero: bool = False, all_points: Sequence[Point] = ()) -> Frame:
    """The rectangle that holds the points with their intervals; its x axis also holds `all_points`."""
    xs = [p.x for p in (*points, *all_points)]
    ys = [v for p in points for v in (p.y, p.low, p.high) if known(v)]
    left, right, bottom, top = min(xs), max(xs), min(ys), max(ys)
    if right <= left:
        left, right = left - max(abs(left), 1.0) * 0.5, right + max(abs(right), 1.0) * 0.5
    if 0 < left < 0.3 * right:
        left = 0.0
    pad = (top - bottom) * 0.06 or abs(top) * 0.05 or 1.0
    floor = 0.0 if bottom >= 0 and (zero or bottom - pad < 0.15 * top) else bottom - pad
    return Frame(left, right, floor, top + pad, width)


def axes(frame: Frame, x_label: str, y_label: str) -> str:
    """Ticks, lines of the grid and labels."""
    parts = []
    base = HEIGHT - BOTTOM
    for value in ticks(frame.bottom, frame.top):
        at = px(frame.y(value))
        parts.append(f'<line class="grid" x1="{px(frame.margin)}" x2="{px(frame.end)}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text class="tick" x="{px(frame.margin - 6)}" y="{at}" dy="3.5" text-anchor="end">{axis(value)}</text>')
    for value in ticks(frame.left, frame.right):
        x = frame.x(value)
        anchor = "end" if x > frame.end - 12 else "middle"
        parts.append(f'<text class="tick" x="{px(x)}" y="{px(base + 15)}" text-anchor="{anchor}">{axis(value)}</text>')
    parts.append(f'<line class="base" x1="{px(frame.margin)}" x2="{px(frame.end)}" y1="{px(base)}" y2="{px(base)}"/>')
    middle = (frame.margin + frame.end) / 2
    parts.append(f'<text class="label" x="{px(middle)}" y="{px(HEIGHT - 5)}" text-anchor="middle">{escape(x_label)}</text>')
    centre = (TOP + base) / 2
    parts.append(
        f'<text class="label" transform="translate(11 {px(centre)}) rotate(-90)" text-anchor="middle">{escape(y_label)}</text>'
    )
    return "".join(parts)


def _settled(series: Sequence[Series]) -> list[Point]:
    """All points but the first of what comes first, where the rest is enough to see; then the y axis is that of the rest."""
    found = sorted((p for s in series for p in s.points if known(p.x) and known(p.y)), key=lambda p: p.x)
    start = found[0].x + 0.04 * (found[-1].x - found[0].x)
    rest = [p for p in found if p.x > start]
    return rest if len(rest) >= MOST_SETTLED else found


def _inside(points: Sequence[Point], top: float) -> list[list[Point]]:
    """The stretches of finite points below the top of the frame; a line that comes from above begins where it crosses the top."""
    runs: list[list[Point]] = []
    for stretch in _runs(points):
        runs.append([])
        before: Point | None = None
        for point in stretch:
            if before is not None and (before.y > top) != (point.y > top):
                share = (top - before.y) / (point.y - before.y)
                runs[-1].append(Point(before.x + share * (point.x - before.x), top))
            if point.y <= top:
                runs[-1].append(point)
            elif runs[-1]:
                runs.append([])
            before = point
    return [run for run in runs if run]


def _mark(mark: ChartMark, frame: Frame) -> str:
    at, base = frame.x(mark.x), HEIGHT - BOTTOM
    return (
        f'<g class="alarm"><line x1="{px(at)}" x2="{px(at)}" y1="{px(TOP)}" y2="{px(base)}"/>'
        f'<path d="M{px(at)},{px(base - 10)} l5,9 l-10,0 Z"><title>{escape(mark.told)}</title></path></g>'
    )


def _names(series: Sequence[Series], levels: Sequence[Level], frame: Frame) -> list[str]:
    """The name of each line at its middle, above it, and of each level at the right; names that would lie on each other move."""
    taken: list[tuple[float, float, float]] = []
    parts = []
    for level in levels:
        wide = 5.6 * len(level.name)
        y = _free(taken, frame.end - wide, frame.end, frame.y(level.y) - 4)
        parts.append(_name(level.name, level.tone, frame.end, y, "end"))
    for name, tone, points in _lines(series):
        good = [p for run in _inside(points, frame.top) for p in run]
        if not good or not name:
            continue
        middle = good[len(good) // 2]
        wide = 5.8 * len(name) * (2 if any(ord(c) > 0x2E7F for c in name) else 1)
        x = min(max(frame.x(middle.x), frame.margin + wide / 2), frame.end - wide / 2)
        near = [p for p in good if abs(frame.x(p.x) - x) <= wide / 2 + 2] or [middle]
        y = frame.y(min(max(p.high if known(p.high) else p.y for p in near), frame.top)) - 6
        if y < TOP + 8:  # no room above the line
            y = frame.y(max(min(p.low if known(p.low) else p.y for p in near), frame.bottom)) + 14
        y = _free(taken, x - wide / 2, x + wide / 2, y)
        parts.append(_name(name, tone, x, y, "middle"))
    return parts


def _lines(series: Sequence[Series]) -> list[tuple[str, str, tuple[Point, ...]]]:
    """Series by name and colour: one that goes on in the next stage is named once."""
    joined: dict[tuple[str, str], tuple[Point, ...]] = {}
    for one in series:
        joined[one.name, one.tone] = (*joined.get((one.name, one.tone), ()), *one.points)
    return [(name, tone, points) for (name, tone), points in joined.items()]


def _free(taken: list[tuple[float, float, float]], left: float, right: float, y: float) -> float:
    """The y nearest to the wanted one at which no other name stands between `left` and `right`."""
    base = HEIGHT - BOTTOM - 3
    for shift in (0, -12, 12, -24, 24, -36, 36, -48, 48):
        at = y + shift
        if TOP + 7 <= at <= base and not any(abs(at - other) < 11 and left < b and a < right for a, b, other in taken):
            taken.append((left, right, at))
            return at
    return min(max(y, TOP + 7), base)


def _name(name: str, tone: str, x: float, y: float, anchor: str) -> str:
    return f'<text class="direct tone-{escape(tone)}" x="{px(x)}" y="{px(y)}" text-anchor="{anchor}">{escape(name)}</text>'


def _runs(points: Sequence[Point]) -> list[list[Point]]:
    """The stretches of finite points: a missing value breaks the line instead of being bridged."""
    runs: list[list[Point]] = [[]]
    for point in points:
        if known(point.x) and known(point.y):
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [r for r in runs if r]


def _band(run: Sequence[Point], frame: Frame, tone: str) -> str:
    ends = [(p.x, p.low, p.high) for p in run if known(p.low) and known(p.high)]
    if len(ends) < 2:
        return ""
    upper = [f"{px(frame.x(x))},{px(frame.y(min(h, frame.top)))}" for x, _, h in ends]
    lower = [f"{px(frame.x(x))},{px(frame.y(v))}" for x, v, _ in reversed(ends)]
    return f'<polygon class="band tone-{tone}" points="{" ".join(upper + lower)}"/>'


def _level(level: Level, frame: Frame, y_text: Callable[[float], str]) -> str:
    at = px(frame.y(level.y))
    return (
        f'<line class="level tone-{escape(level.tone)}" x1="{px(frame.margin)}" x2="{px(frame.end)}" y1="{at}" y2="{at}">'
        f"<title>{escape(f'{level.name}: {y_text(level.y)}')}</title></line>"
    )


def _dot(point: Point, series: Series, frame: Frame, y_text: Callable[[float], str], visible: bool, say: Say) -> str:
    known_ends = known(point.low) and known(point.high)
    interval = f" ({say('{low} to {high}', low=y_text(point.low), high=y_text(point.high))})" if known_ends else ""
    tip = f"{series.name}, {axis(float(f'{point.x:.4g}'))}: {y_text(point.y)}{interval}"
    radius, kind = ("3", "dot") if visible else ("6", "dot ghost")
    return (
        f'<circle class="{kind} tone-{escape(series.tone)}" cx="{px(frame.x(point.x))}" cy="{px(frame.y(point.y))}" r="{radius}">'
        f"<title>{escape(tip)}</title></circle>"
    )


def px(value: float) -> str:
    """A coordinate with a tenth of a pixel, so that equal inputs give equal bytes on every machine."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
