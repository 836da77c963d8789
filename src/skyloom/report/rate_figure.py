"""The figure of a learning-rate test (the report's Fig. 4): losses over tokens, one line for each rate, in one SVG file.

Input: curves and the recommendation. The file needs no other file: its colours follow the reader's light or dark theme, its
captions are English and Chinese, and nothing is fetched.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import escape

from skyloom.release.tables import domain_name, in_order
from skyloom.report.charts import HEIGHT, NARROW, Point, Series, line_chart, thin

COLUMNS, GAP, HEAD, LINE = 3, 18.0, 40.0, 17.0
MEAN, TRAINING = "mean", "training"
"""Panels beside those of the held-out sets."""
CHINESE = {
    MEAN: "留出损失均值", TRAINING: "训练损失", "web_en": "英文网页", "web_zh": "中文网页", "code": "代码", "parallel": "双语对照",
    "stem_en": "英文习题", "stem_zh": "中文习题",
}  # fmt: skip
STYLE = """
.figure { --paper: #fbfbf9; --ink: #1d2126; --soft: #5d6671; --faint: #8b949e; --line: #e4e6e8;
  --d0: #2f6cab; --d1: #c2621b; --d2: #3d8f6b; --d3: #8a5bb0; --d4: #b08a18; --d5: #c04a78; --d6: #4a9aa8; --d7: #77808a;
  font-family: Inter, system-ui, "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
@media (prefers-color-scheme: dark) { .figure {
  --paper: #14171a; --ink: #e4e7ea; --soft: #a0a9b2; --faint: #77818b; --line: #2b3137;
  --d0: #78aee6; --d1: #f0a05a; --d2: #74c2a8; --d3: #bf9ae0; --d4: #dcbc55; --d5: #ee8fb4; --d6: #79c8d6; --d7: #9aa4ae; } }
.paper { fill: var(--paper); } .head { font-size: 17px; font-weight: 620; fill: var(--ink); }
.name { font-size: 12.5px; font-weight: 620; fill: var(--ink); } .said { font-size: 12.5px; fill: var(--soft); }
.tick, .label { font-size: 10.5px; fill: var(--soft); } .label { fill: var(--faint); }
.grid, .base { stroke: var(--line); stroke-width: 1; } .base { stroke: var(--faint); }
.line { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round; }
.band { fill: currentColor; opacity: 0.12; } .dot { fill: currentColor; } .dot.ghost { opacity: 0; }
""" + "".join(f".tone-d{n} {{ color: var(--d{n}); }} " for n in range(8))  # fmt: skip

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Curve:
    """One rate: its name in the legend, and (tokens since the checkpoint, loss) by panel: `TRAINING`, `MEAN`, held-out sets."""

    name: str
    points: Mapping[str, Points]


def figure(title: str, title_zh: str, curves: Sequence[Curve], reason: str, reason_zh: str) -> str:
    """The SVG file as text: training loss, mean held-out loss and each held-out set, with the recommendation beneath."""
    sets = in_order(name for curve in curves for name in curve.points if name not in (MEAN, TRAINING))
    panels = [TRAINING, MEAN, *sets]
    width = COLUMNS * NARROW + (COLUMNS + 1) * GAP
    body: list[str] = [_text(GAP, 30, "head", title), _text(GAP, 52, "head", title_zh)]
    body.append(_legend(curves, 78))
    top = 96.0
    for number, panel in enumerate(panels):
        x = GAP + number % COLUMNS * (NARROW + GAP)
        y = top + number // COLUMNS * (HEIGHT + HEAD)
        body += _panel(panel, curves, x, y)
    y = top + -(-len(panels) // COLUMNS) * (HEIGHT + HEAD) + 8
    for line in [*textwrap.wrap(reason, 150), *_wrap_zh(reason_zh, 72)]:
        body.append(_text(GAP, y, "said", line))
        y += LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="figure" viewBox="0 0 {width:g} {y:g}" width="{width:g}" height="{y:g}" '
        f'role="img"><title>{escape(title)}</title><desc>{escape(reason)} {escape(reason_zh)}</desc><style>{STYLE}</style>'
        f'<rect class="paper" width="100%" height="100%"/>{"".join(body)}</svg>\n'
    )


def _panel(panel: str, curves: Sequence[Curve], x: float, y: float) -> list[str]:
    named = {TRAINING: "Training loss", MEAN: "Mean held-out loss"}.get(panel) or domain_name(panel)
    chinese = CHINESE.get(panel, "")
    series = [
        Series(curve.name, f"d{number}", thin([Point(*point) for point in curve.points.get(panel, ())], 60))
        for number, curve in enumerate(curves)
    ]
    drawn = line_chart(
        series, title=named, x_label="tokens since the checkpoint 词元数", y_label="nats per token 损失",
        dots=panel != TRAINING, width=NARROW,
    )  # fmt: skip
    heading = _text(x, y + 14, "name", f"{named} {chinese}".strip())
    if not drawn.startswith("<svg "):
        return [heading, _text(x, y + 60, "said", "not measured 未测量")]
    placed = f'<svg x="{x:g}" y="{y + 20:g}" width="{NARROW:g}" height="{HEIGHT:g}" '
    return [heading, str(drawn).replace("<svg ", placed, 1)]


def _legend(curves: Sequence[Curve], y: float) -> str:
    """Each rate's name behind a stroke of its colour."""
    parts, x = [], GAP
    for number, curve in enumerate(curves):
        parts.append(f'<g class="tone-d{number}"><line class="line" x1="{x:g}" x2="{x + 18:g}" y1="{y - 4:g}" y2="{y - 4:g}"/></g>')
        parts.append(_text(x + 24, y, "said", curve.name))
        x += 24 + 8.2 * len(curve.name) + 22
    return "".join(parts)


def _wrap_zh(text: str, width: int) -> list[str]:
    return [text[k : k + width] for k in range(0, len(text), width)]


def _text(x: float, y: float, kind: str, text: str) -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(text)}</text>'
