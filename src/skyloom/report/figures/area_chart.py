"""Shares that add up to one as stacked areas over tokens, as an inline SVG.

Input: for each domain its shares at common places. Output: one `<svg>` in the frame of the line charts. Each area that is high
enough carries its name; every place of every area has a hover text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from skyloom.release.formats import axis, percent
from skyloom.report.charts import BOTTOM, HEIGHT, TOP, WIDE, Point, axes, frame_of, px
from skyloom.report.labels import Say

ROOM = 11.0
"""Height in px that a name needs."""


@dataclass(frozen=True)
class ShareBand:
    """A domain: its name, its colour, and its share at each place."""

    name: str
    tone: str
    shares: tuple[float, ...]


def area_chart(
    places: Sequence[float],
    bands: Sequence[ShareBand],
    *,
    title: str,
    say: Say,
    boundaries: Sequence[float] = (),
    right: float = 0.0,
) -> Markup:
    """The bands on each other, from 0 to 1; empty with fewer than two places. `right`: where the x axis ends at least."""
    if len(places) < 2 or not bands:
        return Markup("")
    frame = frame_of([Point(0.0, 0.0), Point(max(places[-1], right), 1.0)], WIDE, zero=True)
    body, base = [], [0.0] * len(places)
    names: list[str] = []
    for band in bands:
        top = [low + share for low, share in zip(base, band.shares, strict=True)]
        ring = [f"{px(frame.x(x))},{px(frame.y(y))}" for x, y in zip(places, top, strict=True)]
        ring += [f"{px(frame.x(x))},{px(frame.y(y))}" for x, y in reversed(list(zip(places, base, strict=True)))]
        body.append(f'<polygon class="area tone-{escape(band.tone)}" points="{" ".join(ring)}"/>')
        high = [k for k in range(len(places)) if band.shares[k] >= 0.85 * max(band.shares)]
        widest = high[len(high) // 2]
        if frame.y(base[widest]) - frame.y(top[widest]) >= ROOM and any(band.shares):
            wide = 2.9 * len(band.name) * (2 if any(ord(c) > 0x2E7F for c in band.name) else 1)
            x = min(max(frame.x(places[widest]), frame.margin + wide + 3), frame.end - wide - 3)
            y = frame.y((base[widest] + top[widest]) / 2) + 3.5
            names.append(f'<text class="on-area" x="{px(x)}" y="{px(y)}" text-anchor="middle">{escape(band.name)}</text>')
        body += [_spot(band, k, frame.x(places[k]), frame.y(top[k]), places[k]) for k in range(len(places)) if band.shares[k] > 0]
        base = top
    lines = [
        f'<line class="boundary" x1="{px(frame.x(b))}" x2="{px(frame.x(b))}" y1="{px(TOP)}" y2="{px(HEIGHT - BOTTOM)}"/>'
        for b in boundaries
        if frame.left < b < frame.right
    ]
    told = "; ".join(say("{name} ends at {value}", name=band.name, value=percent(band.shares[-1])) for band in bands)
    return Markup(
        f'<svg class="chart" viewBox="0 0 {px(WIDE)} {px(HEIGHT)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(body)}"
        f"{axes(frame, say('tokens read'), say('share of tokens'))}{''.join(lines)}{''.join(names)}</svg>"
    )


def _spot(band: ShareBand, place: int, x: float, y: float, tokens: float) -> str:
    tip = f"{band.name}, {axis(float(f'{tokens:.4g}'))}: {percent(band.shares[place])}"
    return (
        f'<circle class="dot ghost tone-{escape(band.tone)}" cx="{px(x)}" cy="{px(y)}" r="6"><title>{escape(tip)}</title></circle>'
    )
