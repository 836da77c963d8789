"""Charts of the training: loss curves with each stage in its own colour (the report's Fig. 3), shares, throughput.

Input: the lines of `metrics.jsonl`, `heldout.jsonl` and `telemetry/speed.jsonl`, which become charts and rows, and those of
`alarms.jsonl`, `skips.jsonl` and `scores.jsonl`, which become rows. The x axis is always tokens read since the start of the
first stage, so that the stages follow each other on it. All losses are in one unit, bits per byte, which does not depend on a
tokenizer: other models are dashed lines on the same axis. A training loss in nats per token is divided by ln 2 and by the bytes
per token of the domains read so far (the tokenizer's table, weighted with the realised shares). The run page and the dashboard
use the same code.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Sequence
from typing import TypedDict, TypeVar

from markupsafe import Markup

from skyloom.core.json_files import AlarmEntry, Figure, HeldoutEntry, MetricsEntry, ScoreEntry, SkipEntry, SpeedEntry
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known, percent, scientific, short, span
from skyloom.release.tables import in_order
from skyloom.report.charts import NARROW, ChartMark, Level, Point, Series, line_chart, strip, thin
from skyloom.report.labels import ENGLISH, Say
from skyloom.train.watch import ALL

TOKENS, BITS = "tokens read", "bits per byte"
TONES = 8
"""Number of colours for domains in style.css."""
OTHERS = ("d3", "d4", "d5", "d6", "d2", "d7")
"""Colours of other models: none of them is a stage's."""
BETWEEN = ("stage1b", "accent", "d5", "d6")
"""Colours of the stages between the first and the last, in turn."""
SHOWN = 20
"""Skipped batches that are listed."""
DRAWN = 160
"""Points of all stages together that a curve of the training text has at most."""
Line = TypeVar("Line", MetricsEntry, HeldoutEntry, SpeedEntry)


class HeldoutPanel(TypedDict):
    """A held-out set: its chart, its first line, and the last line of each stage."""

    set: str
    name: str
    chart: Markup
    first: HeldoutEntry
    ends: dict[str, HeldoutEntry]


class AlarmRow(AlarmEntry):
    """An alarm with the words for it."""

    name: str
    told: str


class SkipRow(TypedDict):
    """A batch that was left out."""

    name: str
    step: int
    reason: str
    documents: int


class SkipTable(TypedDict):
    """How many batches were left out, and the last of them."""

    count: int
    rows: list[SkipRow]


class ScoreRow(ScoreEntry):
    """A benchmark score with its interval as a strip."""

    name: str
    tone: str
    language: str
    told: str
    counted: str
    shown: str
    bits: str
    bits_span: str
    strip: Markup


class SpeedRow(TypedDict):
    """Medians of a stage. `mfu`: only of lines that name their peak; `peak`: FLOP/s of one accelerator, which it is a share of."""

    stage: str
    tokens_per_s: Figure
    data_wait_share: Figure
    mfu: Figure
    peak: Figure
    memory_bytes: Figure


class SpeedTable(TypedDict):
    """Throughput as a chart and a table."""

    chart: Markup
    rows: list[SpeedRow]
    has_mfu: bool


def tones(evidence: Evidence) -> dict[str, str]:
    """The colour of each stage: the first and the last have their own, those between take turns."""
    names = evidence.stages
    found = {name: BETWEEN[(place - 1) % len(BETWEEN)] for place, name in enumerate(names)}
    return {**found, **dict.fromkeys(names[-1:], "stage2"), **dict.fromkeys(names[:1], "stage1")}


def boundaries(evidence: Evidence) -> tuple[float, ...]:
    """Tokens read when each stage began, save for the first; a stage that has not begun has none."""
    ends: dict[str, float] = {}
    for row in evidence.metrics or evidence.heldout or []:
        ends[row["stage"]] = max(ends.get(row["stage"], 0.0), row["tokens"])
    begun = [name for name in evidence.stages if name in ends]
    return tuple(ends[name] for name in begun[:-1])


def where_stages_begin(evidence: Evidence) -> str:
    """What the dashed lines of the charts are, for the legend."""
    return "dashed: where stage 2 begins" if evidence.stages[1:] == ("stage2",) else "dashed: where a stage begins"


def heldout_panels(evidence: Evidence, say: Say = ENGLISH) -> list[HeldoutPanel]:
    """One panel per held-out set: bits per byte with the 95 % band, other models' lines and alarms, and the last figures of
    each stage."""
    rows, colours = evidence.heldout or [], tones(evidence)
    panels: list[HeldoutPanel] = []
    for name in in_order(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        series = [Series(say.stage(s), tone, _bits([r for r in mine if r["stage"] == s])) for s, tone in colours.items()]
        chart = line_chart(
            _joined(series), title=say("Held-out loss on {name}", name=say.domain(name)), x_label=say(TOKENS), y_label=say(BITS),
            boundaries=boundaries(evidence), levels=_levels(evidence, name), width=NARROW, say=say, settle=True, named=True,
            marks=alarm_marks(evidence, name, say),
        )  # fmt: skip
        ends = {s: [r for r in mine if r["stage"] == s][-1] for s in colours if any(r["stage"] == s for r in mine)}
        panels.append({"set": name, "name": say.domain(name), "chart": chart, "first": mine[0], "ends": ends})
    return panels


def alarm_marks(evidence: Evidence, name: str, say: Say) -> list[ChartMark]:
    """The alarms of a held-out set, and those of all sets together, as marks on its curve."""
    return [
        ChartMark(
            float(row["tokens"]),
            f"{say('{stage}, step {step}:', stage=say.stage(row['stage']), step=count(row['step']))} {say.alarm(row)}",
        )
        for row in evidence.alarms or []
        if row["set"] in (name, ALL)
    ]


def bits_interval(row: HeldoutEntry) -> tuple[float, float]:
    """The ends of a line's interval in bits per byte; `low` and `high` of the file bound its loss."""
    loss, bits = row.get("loss"), row.get("bits_per_byte")
    factor = bits / loss if known(loss) and known(bits) and loss else math.nan
    return _number(row.get("low")) * factor, _number(row.get("high")) * factor


def _bits(rows: Sequence[HeldoutEntry]) -> tuple[Point, ...]:
    return tuple(
        Point(
            _number(row.get("tokens")),
            _number(row.get("bits_per_byte")) if known(row.get("loss")) else math.nan,
            *bits_interval(row),
        )
        for row in rows
    )


def others(evidence: Evidence) -> list[dict[str, str]]:
    """The other models with the colour of their lines."""
    names = dict.fromkeys(row["model"] for row in evidence.references or [])
    return [{"name": name, "tone": OTHERS[n % len(OTHERS)]} for n, name in enumerate(names)]


def _levels(evidence: Evidence, name: str) -> list[Level]:
    """Other models' bits per byte on a set."""
    tones = {other["name"]: other["tone"] for other in others(evidence)}
    return [
        Level(row["model"], tones[row["model"]], row["bits_per_byte"]) for row in evidence.references or [] if row["set"] == name
    ]


def bytes_per_token(evidence: Evidence) -> dict[str, float]:
    """Of each domain, by the tokenizer's table; without one, of each held-out set by its own two figures."""
    if evidence.measure:
        return {row["domain"]: row["bytes_per_token"] for row in evidence.measure["rows"] if known(row["bytes_per_token"])}
    found = {}
    for row in evidence.heldout or []:
        loss, bits = row.get("loss"), row.get("bits_per_byte")
        if known(loss) and known(bits) and bits > 0:
            found[row["set"]] = loss / math.log(2) / bits
    return found


def training_bits(evidence: Evidence) -> dict[str, list[Point]]:
    """Training loss in bits per byte of each update, by stage. Updates of a run whose bytes per token are not known have none."""
    per_token = bytes_per_token(evidence)
    usual = sum(per_token.values()) / len(per_token) if per_token else math.nan
    found: dict[str, list[Point]] = {stage: [] for stage in evidence.stages}
    for row in evidence.metrics or []:
        shares = row.get("shares") or {}
        total = sum(shares.values())
        mean = sum(share * per_token.get(d, usual) for d, share in shares.items()) / total if total > 0 else usual
        loss = row.get("loss")
        y = loss / math.log(2) / mean if known(loss) and known(mean) and mean > 0 else math.nan
        found.setdefault(row["stage"], []).append(Point(_number(row.get("tokens")), y))
    return found


def window(evidence: Evidence) -> int:
    """How many lines one drawn point is the mean of: the same for all stages."""
    return max(1, math.ceil(len(evidence.metrics or []) / DRAWN))


def smoothed(points: Sequence[Point], width: int) -> tuple[Point, ...]:
    """Means of x and y over `width` neighbours each; not finite ones are left out, and so is a rest shorter than half."""
    good = [p for p in points if known(p.x) and known(p.y)]
    parts = [good[k : k + width] for k in range(0, len(good), width)]
    if len(parts) > 1 and len(parts[-1]) * 2 < width:
        parts = parts[:-1]
    return tuple(Point(sum(p.x for p in part) / len(part), sum(p.y for p in part) / len(part)) for part in parts)


def loss_chart(evidence: Evidence, say: Say = ENGLISH) -> Markup | None:
    """Training loss in bits per byte, each point the mean of `window` updates."""
    if not evidence.metrics:
        return None
    points, width = training_bits(evidence), window(evidence)
    series = [Series(say.stage(s), tone, smoothed(points.get(s, ()), width)) for s, tone in tones(evidence).items()]
    return line_chart(
        series, title=say("Training loss"), x_label=say(TOKENS), y_label=say(BITS), boundaries=boundaries(evidence), dots=False,
        say=say, settle=True, named=True,
    )  # fmt: skip


def rate_chart(evidence: Evidence, say: Say = ENGLISH) -> Markup | None:
    """The learning rate over all stages."""
    if not evidence.metrics:
        return None
    series = [Series(say.stage(s), tone, thin(_rates(_of(evidence.metrics, s)))) for s, tone in tones(evidence).items()]
    return line_chart(
        series, title=say("Learning rate"), x_label=say(TOKENS), y_label=say("learning rate"), y_text=scientific,
        boundaries=boundaries(evidence), dots=False, say=say, named=True,
    )  # fmt: skip


def alarms(evidence: Evidence, say: Say = ENGLISH) -> list[AlarmRow]:
    """What the alarms said, in order."""
    return [{**row, "name": say.stage(row["stage"]), "told": say.alarm(row)} for row in evidence.alarms or []]


def skips(evidence: Evidence, say: Say = ENGLISH, count: int | None = None) -> SkipTable:
    """How many batches were left out (`count`, if the rows are not all), and the last of them with their reasons."""
    rows = evidence.skips or []
    last: list[SkipRow] = [
        {"name": say.stage(r["stage"]), "step": r["step"], "reason": r["reason"], "documents": _documents(r)} for r in rows[-SHOWN:]
    ]
    return {"count": len(rows) if count is None else count, "rows": last}


def _documents(row: SkipEntry) -> int:
    held = row.get("documents") or {}
    return held if isinstance(held, int) else sum(len(ids) for ids in held.values())


def scores(evidence: Evidence, say: Say = ENGLISH) -> list[ScoreRow]:
    """Benchmark scores of released checkpoints: accuracy with its interval on a line from 0 to 1, chance as a tick on it. A score
    that is no accuracy has no line. Bits per byte are of the right answers."""
    rows: list[ScoreRow] = []
    colours = tones(evidence)
    for row in evidence.scores or []:
        low, high, chance, bits = row["low"], row["high"], row["chance"], row.get("bits_per_byte")
        words = {"accuracy": percent(row["accuracy"]), "low": percent(low), "high": percent(high), "chance": percent(chance)}
        title = say("{accuracy}, 95 % {low} to {high}", **words)
        if known(chance):
            title = say("{accuracy}, 95 % {low} to {high}; chance {chance}", **words)
        line = strip(
            row["accuracy"], low, high, left=0.0, right=1.0, mark=chance, title=title, tone=colours.get(row["stage"], "accent")
        )
        of = row.get("of", row["items"])
        rows.append(
            {
                **row,
                "name": say.stage(row["stage"]),
                "tone": colours.get(row["stage"], "accent"),
                "language": say.language(row["lang"]) if row["lang"] else "",
                "told": _told(row, say),
                "counted": count(row["items"]) + (f" / {count(of)}" if of != row["items"] else ""),
                "shown": percent(row["accuracy"]) if known(row["accuracy"]) else decimal(row.get("value")),
                "bits": decimal(bits) if known(bits) else "",
                "bits_span": span(row.get("bits_low"), row.get("bits_high")) if known(bits) else "",
                "strip": line,
            }
        )
    return rows


def _told(row: ScoreEntry, say: Say) -> str:
    """The benchmark with its metric and number of examples."""
    told = say.benchmark(row["benchmark"])
    if "metric" not in row:
        return told
    chosen = row.get("filter", "none")
    metric = row["metric"] if chosen == "none" else f"{row['metric']} ({chosen})"
    shots = row.get("shots", -1)
    return f"{told}, {metric}" + (f", {say('{shots}-shot', shots=str(shots))}" if shots >= 0 else "")


def speed(evidence: Evidence, say: Say = ENGLISH) -> SpeedTable | None:
    """Throughput: a chart, and the median by stage. These are timings of one machine and differ from run to run."""
    if not evidence.speed:
        return None
    tokens_at = {row["step"]: row["tokens"] for row in evidence.metrics or []}
    tokens_at |= {row["step"]: row["tokens"] for row in evidence.speed if known(row.get("tokens"))}
    x_label = say(TOKENS if tokens_at else "step")
    series = []
    rows: list[SpeedRow] = []
    for stage, tone in tones(evidence).items():
        mine = _of(evidence.speed, stage)
        points = [Point(_number(tokens_at.get(r["step"], r["step"])), _number(r.get("tokens_per_s"))) for r in mine]
        series.append(Series(say.stage(stage), tone, thin(points)))
        if mine:
            rows.append(
                {
                    "stage": say.stage(stage),
                    "tokens_per_s": _median(row.get("tokens_per_s") for row in mine),
                    "data_wait_share": _median(row.get("data_wait_share") for row in mine),
                    "mfu": _median(row.get("mfu") for row in mine if known(row.get("peak_flops"))),
                    "peak": _median(row.get("peak_flops") for row in mine),
                    "memory_bytes": _median(row.get("memory_bytes") for row in mine),
                }
            )
    chart = line_chart(
        series, title=say("Throughput"), x_label=x_label, y_label=say("tokens per second"), y_text=short,
        boundaries=boundaries(evidence) if tokens_at else (), dots=False, zero=True, say=say, named=True,
    )  # fmt: skip
    return {"chart": chart, "rows": rows, "has_mfu": any(row["mfu"] is not None for row in rows)}


def _of(rows: Sequence[Line], stage: str) -> list[Line]:
    return [row for row in rows if row["stage"] == stage]


def _rates(rows: Sequence[MetricsEntry]) -> tuple[Point, ...]:
    return tuple(Point(_number(row.get("tokens")), _number(row.get("lr"))) for row in rows)


def _number(value: object) -> float:
    return float(value) if known(value) else math.nan


def _joined(series: list[Series]) -> list[Series]:
    """Let each stage's line start where the one before ends, so that the curve shows no gap that was not there."""
    lines = [s for s in series if s.points]
    joined = lines[:1]
    for before, line in itertools.pairwise(lines):
        gap = before.points[-1].x < line.points[0].x
        joined.append(Series(line.name, line.tone, (before.points[-1], *line.points)) if gap else line)
    return joined[::-1]


def _median(figures: Iterable[Figure]) -> float | None:
    values = [figure for figure in figures if known(figure)]
    return float(statistics.median(values)) if values else None
