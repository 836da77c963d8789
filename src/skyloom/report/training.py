"""The training in figures: loss curves with both stages in their own colour (the report's Fig. 3), shares, throughput.

Lines of `metrics.jsonl`, `heldout.jsonl` and `telemetry/speed.jsonl` enter, charts and plain rows leave. The x axis is
always tokens read since the start of stage 1, so that the stages stand one behind the other on it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import Any

from markupsafe import Markup

from skyloom.release.evidence import STAGES, Evidence, Rows
from skyloom.release.formats import known, percent, scientific, short
from skyloom.release.tables import domain_name, in_order, model_name
from skyloom.report.charts import NARROW, Point, Series, line_chart, thin

TOKENS = "tokens read"
TONES = 8
"""Number of colours for domains in style.css."""


def boundary(evidence: Evidence) -> float | None:
    """Tokens read when stage 2 began, or None if it did not."""
    ends = [row["tokens"] for row in evidence.metrics or evidence.heldout or [] if row["stage"] != STAGES[-1]]
    later = any(row["stage"] == STAGES[-1] for row in evidence.metrics or evidence.heldout or [])
    return max(ends) if ends and later else None


def heldout_panels(evidence: Evidence) -> list[dict[str, Any]]:
    """One panel per held-out set: a chart of its loss with the 95 % band, and the last figures of each stage."""
    rows = evidence.heldout or []
    panels = []
    for name in in_order(row["set"] for row in rows):
        mine = [row for row in rows if row["set"] == name]
        series = [Series(model_name(s), s, _points([r for r in mine if r["stage"] == s], "loss")) for s in STAGES]
        chart = line_chart(
            _joined(series), title=f"Held-out loss on {domain_name(name)}", x_label=TOKENS, y_label="nats per token",
            boundary=boundary(evidence), width=NARROW,
        )  # fmt: skip
        ends = {s: [r for r in mine if r["stage"] == s][-1] for s in STAGES if any(r["stage"] == s for r in mine)}
        panels.append({"set": name, "name": domain_name(name), "chart": chart, "first": mine[0], "ends": ends})
    return panels


def loss_chart(evidence: Evidence) -> Markup | None:
    """Training loss, averaged over runs of steps so that at most 160 points a stage are drawn."""
    if not evidence.metrics:
        return None
    series = [Series(model_name(s), s, thin(_points(_of(evidence.metrics, s), "loss"))) for s in STAGES]
    return line_chart(
        series, title="Training loss", x_label=TOKENS, y_label="nats per token", boundary=boundary(evidence), dots=False
    )


def rate_chart(evidence: Evidence) -> Markup | None:
    """The learning rate over both stages."""
    if not evidence.metrics:
        return None
    series = [Series(model_name(s), s, thin(_points(_of(evidence.metrics, s), "lr"))) for s in STAGES]
    return line_chart(
        series, title="Learning rate", x_label=TOKENS, y_label="learning rate", y_text=scientific,
        boundary=boundary(evidence), dots=False,
    )  # fmt: skip


def shares(evidence: Evidence) -> dict[str, Any] | None:
    """Realised shares by tokens: a chart with a line per domain, and the shares at the end of each stage."""
    rows = [row for row in evidence.metrics or [] if row.get("shares")]
    if not rows:
        return None
    domains = in_order(d for row in rows for d in row["shares"])
    series = []
    for number, domain in enumerate(domains):
        tone = f"d{number % TONES}"
        for stage in STAGES:
            points = [Point(r["tokens"], r["shares"].get(domain, 0.0)) for r in rows if r["stage"] == stage]
            series.append(Series(domain_name(domain), tone, thin(points, 80)))
    ends = {stage: mine[-1]["shares"] for stage in STAGES if (mine := _of(rows, stage))}
    chart = line_chart(
        series, title="Realised shares of the domains by tokens", x_label=TOKENS, y_label="share of the stage so far",
        y_text=percent, boundary=boundary(evidence), dots=False,
    )  # fmt: skip
    table = [
        {"name": domain_name(d), "tone": f"d{n % TONES}", "shares": {s: ends[s].get(d, 0.0) for s in ends}}
        for n, d in enumerate(domains)
    ]
    return {"chart": chart, "rows": table, "stages": list(ends)}


def speed(evidence: Evidence) -> dict[str, Any] | None:
    """Throughput: a chart, and the median by stage. These are timings of one machine and differ from run to run."""
    if not evidence.speed:
        return None
    tokens_at = {row["step"]: row["tokens"] for row in evidence.metrics or []}
    x_label = TOKENS if tokens_at else "step"
    series = []
    rows = []
    for stage in STAGES:
        mine = _of(evidence.speed, stage)
        points = [Point(_number(tokens_at.get(r["step"], r["step"])), _number(r.get("tokens_per_s"))) for r in mine]
        series.append(Series(model_name(stage), stage, thin(points)))
        if mine:
            rows.append(
                {
                    "stage": model_name(stage),
                    **{k: _median(mine, k) for k in ("tokens_per_s", "data_wait_share", "mfu", "memory_bytes")},
                }
            )
    chart = line_chart(
        series, title="Throughput", x_label=x_label, y_label="tokens per second", y_text=short,
        boundary=boundary(evidence) if tokens_at else None, dots=False, zero=True,
    )  # fmt: skip
    return {"chart": chart, "rows": rows}


def _of(rows: Rows, stage: str) -> Rows:
    return [row for row in rows if row["stage"] == stage]


def _points(rows: Rows, key: str) -> tuple[Point, ...]:
    return tuple(Point(*(_number(row.get(k)) for k in ("tokens", key, "low", "high"))) for row in rows)


def _number(value: Any) -> float:
    return float(value) if known(value) else math.nan


def _joined(series: list[Series]) -> list[Series]:
    """Let each session's line start where the one before ends, so that the curve shows no gap that was not there."""
    lines = [s for s in series if s.points]
    joined = lines[:1]
    for before, line in itertools.pairwise(lines):
        gap = before.points[-1].x < line.points[0].x
        joined.append(Series(line.name, line.tone, (before.points[-1], *line.points)) if gap else line)
    return joined[::-1]


def _median(rows: Rows, key: str) -> float | None:
    values = [row[key] for row in rows if known(row.get(key))]
    return float(statistics.median(values)) if values else None
