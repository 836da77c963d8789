"""The figure of `skyloom eval perplexity`: bits per byte of each model on each set, as dots with 95 % intervals in one SVG file.

Input: rows of the table. Output: the text of an SVG file that needs no font, style or script of its own: one strip for each set,
one line for each model in it, sorted, all on one axis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from skyloom.evaluate.texts.text_scores import TextRow

WIDTH, LABEL, RIGHT, LINE, HEAD = 760.0, 230.0, 90.0, 18.0, 26.0
COLOURS = ("#0b6e99", "#c2410c", "#3f7d20", "#7a3e9d", "#a16207", "#b0125b")


def draw(rows: Sequence[TextRow], models: Sequence[str]) -> str:
    """The SVG file's text. `models`: in the order of the command, which decides their colours."""
    sets = list(dict.fromkeys(row["set"] for row in rows))
    ends = [v for r in rows for v in (r["bits_per_byte"], r["bits_per_byte_low"], r["bits_per_byte_high"]) if v is not None]
    left, right = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = (right - left) * 0.05 or 0.5
    left, right = left - room, right + room

    def x(value: float) -> float:
        return LABEL + (value - left) / (right - left) * (WIDTH - LABEL - RIGHT)

    parts: list[str] = []
    y = HEAD
    for name in sets:
        y += LINE
        parts.append(f'<text x="8" y="{y:.1f}" font-weight="bold">{escape(name)}</text>')
        for row in sorted((r for r in rows if r["set"] == name), key=lambda r: r["bits_per_byte"] or 0.0):
            y += LINE
            parts += _line(row, y, COLOURS[models.index(row["model"]) % len(COLOURS)], x)
        y += LINE / 2
    axis = "".join(
        f'<text x="{x(v):.1f}" y="{y + LINE:.1f}" text-anchor="middle">{v:.2f}</text>'
        f'<line x1="{x(v):.1f}" x2="{x(v):.1f}" y1="{HEAD}" y2="{y:.1f}" stroke="#8884"/>'
        for v in (left + (right - left) * k / 4 for k in range(5))
    )
    height = y + 2 * LINE
    title = "Bits per byte by set, with 95 % intervals over documents"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{height:.0f}" viewBox="0 0 {WIDTH:.0f} {height:.0f}" '
        f'font-family="sans-serif" font-size="12" role="img"><title>{title}</title>'
        f'<rect width="100%" height="100%" fill="#fff"/><text x="8" y="16">{title}</text>{axis}{"".join(parts)}</svg>\n'
    )


def _line(row: TextRow, y: float, colour: str, x: Callable[[float], float]) -> list[str]:
    value, low, high = row["bits_per_byte"], row["bits_per_byte_low"], row["bits_per_byte_high"]
    label = f'<text x="20" y="{y:.1f}">{escape(row["model"])}</text>'
    if value is None:
        return [label]
    strip = []
    if low is not None and high is not None:
        ends = f'x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y - 4:.1f}" y2="{y - 4:.1f}"'
        strip.append(f'<line {ends} stroke="{colour}" stroke-width="3" stroke-opacity=".4"/>')
    dot = f'<circle cx="{x(value):.1f}" cy="{y - 4:.1f}" r="4" fill="{colour}"/>'
    return [label, *strip, dot, f'<text x="{WIDTH - RIGHT + 10:.1f}" y="{y:.1f}">{value:.4f}</text>']
