"""The flow of the corpus as an inline SVG (a Sankey diagram from top to bottom): widths are bytes or documents.

Input: the stages of `flow`. Output: one `<svg>`: the trunk is what goes on, ribbons from the left are what comes in, ribbons to
the right are what is dropped. It runs downwards because a page has many stages and little width: the same picture is read on a
desk and on a phone. Colours are classes of the page's theme; every ribbon has a hover text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from skyloom.release.formats import count, percent, size
from skyloom.report.figures.flow import Amount, FlowStage
from skyloom.report.labels import Say

Unit = Literal["bytes", "documents"]
WIDTH, LEFT, RIGHT, TRUNK = 360.0, 92.0, 232.0, 124.0
"""Of the picture; where the names on the left end and those on the right begin; and the room of the trunk."""
ROW, INFLOW, THINNEST, SHOWN = 48.0, 30.0, 0.6, 5
"""Heights of a stage and of an inflow, the thinnest ribbon, and how many sources are drawn one by one."""
NAME, WORDS = 15, 23
"""Letters that fit on the left and on the right; a Chinese character takes the room of two."""


@dataclass
class _Pen:
    """Where the trunk stands: `left` and `right` in units of the flow; `y` in px."""

    left: float
    right: float
    y: float


def flow_chart(stages: Sequence[FlowStage], unit: Unit, say: Say, *, languages: bool = False) -> Markup:
    """The picture; empty without a stage. `languages`: the trunk in the colours of the languages."""
    if not stages:
        return Markup("")
    scale, start = _scale(stages, unit)
    tones = language_tones(stages) if languages else {}
    body: list[str] = []
    pen = _Pen(start, start, 8.0)

    def x(value: float) -> float:
        return LEFT + 6 + value * scale

    for number, stage in enumerate(stages):
        for source, amount in _inflows(stage, first=number == 0, unit=unit, say=say):
            _inflow(body, pen, x, source, amount, unit, say)
        _drawn(body, pen, x, stage, unit, say, tones)
    body.append(_text(x(pen.left), pen.y + 12, "row-name", say("to training: {amount}", amount=_amount(stages[-1].total, unit))))
    title = say("The flow of the corpus in bytes") if unit == "bytes" else say("The flow of the corpus in documents")
    if languages:
        title = say("The flow of the corpus in bytes, by language")
    told = "; ".join(
        say(
            "{stage}: {kept} go on, {lost} dropped",
            stage=say.gate(s.name),
            kept=_amount(s.total, unit),
            lost=_amount(s.dropped, unit),
        )
        for s in stages
    )
    return Markup(
        f'<svg class="flowchart" viewBox="0 0 {_n(WIDTH)} {_n(pen.y + 22)}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title><desc>{escape(told)}</desc>{''.join(body)}</svg>"
    )


def language_tones(stages: Sequence[FlowStage]) -> dict[str, str]:
    """The colour of each language, the largest first; what is not judged yet has none."""
    sizes: dict[str, int] = {}
    for stage in stages:
        for lang, amount in stage.kept.items():
            sizes[lang] = max(sizes.get(lang, 0), amount.bytes)
    named = sorted((lang for lang in sizes if lang), key=lambda lang: (-sizes[lang], lang))
    return {lang: f"d{number % 8}" for number, lang in enumerate(named)}


def _scale(stages: Sequence[FlowStage], unit: Unit) -> tuple[float, float]:
    """px per unit, and where the trunk's left edge starts: it moves left by each inflow and its right edge by each drop."""
    joined = sum(_of(amount, unit) for stage in stages for amount in stage.inflows.values())
    joined += sum(_of(stage.added, unit) for stage in stages)
    return TRUNK / max(joined, 1), float(joined)


def _inflows(stage: FlowStage, *, first: bool, unit: Unit, say: Say) -> list[tuple[str, Amount]]:
    """The inflows of a stage, the largest first; beyond `SHOWN` they are one."""
    found = sorted(stage.inflows.items(), key=lambda item: (-_of(item[1], unit), item[0]))
    rest = found[SHOWN:]
    if len(rest) > 1:
        more = Amount(sum(a.documents for _, a in rest), sum(a.bytes for _, a in rest))
        found = [*found[:SHOWN], (say("{count} more sources", count=len(rest)), more)]
    return found


def _inflow(body: list[str], pen: _Pen, x: Callable[[float], float], source: str, amount: Amount, unit: Unit, say: Say) -> None:
    """A ribbon from the left that joins the trunk at its left edge."""
    wide = _of(amount, unit)
    left, right = x(pen.left - wide), x(pen.left)
    thick = max(right - left, THINNEST)
    height = max(INFLOW, thick + 12)
    top, end = pen.y + 2, pen.y + height
    if pen.right > pen.left:
        body.append(_box("kept", x(pen.left), pen.y, x(pen.right), end))
    low = top + thick
    path = f"M{_n(LEFT)},{_n(top)} L{_n(left)},{_n(top)} C{_n(right)},{_n(top)} {_n(right)},{_n(top)} {_n(right)},{_n(end)} "
    path += f"L{_n(left)},{_n(end)} C{_n(left)},{_n(low)} {_n(left)},{_n(low)} {_n(left - 4)},{_n(low)} L{_n(LEFT)},{_n(low)} Z"
    title = say(
        "{source} comes in: {documents} documents, {bytes}",
        source=source,
        documents=count(amount.documents),
        bytes=size(amount.bytes),
    )
    body.append(f'<path class="inflow" d="{path}"><title>{escape(title)}</title></path>')
    body.append(_text(LEFT - 4, top + 9, "row-name", _cut(source, NAME), "end"))
    body.append(_text(LEFT - 4, top + 21, "row-value", f"+{_amount(amount, unit)}", "end"))
    pen.left -= wide
    pen.y = end


def _drawn(
    body: list[str], pen: _Pen, x: Callable[[float], float], stage: FlowStage, unit: Unit, say: Say, tones: dict[str, str]
) -> None:
    """A stage: its name, the ribbon of what it drops, and the trunk of what goes on."""
    lost, kept = _of(stage.dropped, unit), _of(stage.total, unit)
    pen.left -= _of(stage.added, unit)
    goes = pen.left + kept
    thick = max(x(pen.left + kept + lost) - x(goes), THINNEST) if lost else 0.0
    height = max(ROW, thick + 30)
    end = pen.y + height
    body += _trunk(stage, pen, x, end, unit, tones)
    body.append(_text(LEFT - 4, pen.y + 16, "row-name", _cut(say.gate(stage.name), NAME), "end"))
    body.append(_text(LEFT - 4, pen.y + 29, "row-value", _amount(stage.total, unit), "end"))
    if lost:
        top, right, left = pen.y + 8, x(pen.left + kept + lost), x(goes)
        path = (
            f"M{_n(left)},{_n(pen.y)} L{_n(right)},{_n(pen.y)} C{_n(right)},{_n(top)} {_n(right)},{_n(top)} {_n(RIGHT)},{_n(top)} "
        )
        path += (
            f"L{_n(RIGHT)},{_n(top + thick)} C{_n(left)},{_n(top + thick)} {_n(left)},{_n(top + thick)} {_n(left)},{_n(pen.y)} Z"
        )
        reasons = _reasons(stage, unit)
        told = "; ".join(f"{say.reason(reason)} {_amount(amount, unit)}" for reason, amount in reasons)
        body.append(f'<path class="outflow" d="{path}"><title>{escape(say.gate(stage.name))}: {escape(told)}</title></path>')
        share = percent(lost / (lost + kept)) if lost + kept else ""
        body.append(_text(RIGHT + 4, top + 10, "row-value", f"−{_amount(stage.dropped, unit)} ({share})"))
        reason = say.reason(reasons[0][0])
        more = f" +{len(reasons) - 1}" if len(reasons) > 1 else ""
        body.append(_text(RIGHT + 4, top + 23, "row-name", _cut(reason, WORDS - len(more)) + more))
    pen.right, pen.y = goes, end


def _trunk(stage: FlowStage, pen: _Pen, x: Callable[[float], float], end: float, unit: Unit, tones: dict[str, str]) -> list[str]:
    """What goes on, as one bar or in the colours of its languages."""
    if not tones:
        return [_box("kept", x(pen.left), pen.y, x(pen.left + _of(stage.total, unit)), end)]
    parts, at = [], pen.left
    for lang in [*tones, ""]:
        wide = _of(stage.kept[lang], unit) if lang in stage.kept else 0
        if wide:
            kind = f"band-of tone-{tones[lang]}" if lang else "outflow"
            parts.append(_box(kind, x(at), pen.y, x(at + wide), end))
            at += wide
    return parts


def _reasons(stage: FlowStage, unit: Unit) -> list[tuple[str, Amount]]:
    """What was dropped by reason, over all languages, the largest first."""
    found: dict[str, Amount] = {}
    for (reason, _), amount in stage.lost.items():
        found.setdefault(reason, Amount()).add(amount.documents, amount.bytes)
    return sorted(((r, a) for r, a in found.items() if _of(a, unit)), key=lambda item: (-_of(item[1], unit), item[0]))


def _of(amount: Amount, unit: Unit) -> int:
    return amount.bytes if unit == "bytes" else amount.documents


def _amount(amount: Amount, unit: Unit) -> str:
    return size(amount.bytes) if unit == "bytes" else count(amount.documents)


def _cut(text: str, most: int) -> str:
    """The text as far as there is room."""
    room = 0
    for place, letter in enumerate(text):
        room += 2 if ord(letter) > 0x2E7F else 1
        if room > most:
            return text[: max(place - 1, 0)].rstrip() + "…"
    return text


def _box(kind: str, left: float, top: float, right: float, bottom: float) -> str:
    wide = max(right - left, THINNEST)
    return f'<rect class="{kind}" x="{_n(left)}" y="{_n(top)}" width="{_n(wide)}" height="{_n(bottom - top + 0.4)}"/>'


def _text(x: float, y: float, kind: str, text: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{escape(text)}</text>'


def _n(value: float) -> str:
    """A coordinate with a tenth of a pixel."""
    return f"{value:.1f}".rstrip("0").rstrip(".")
