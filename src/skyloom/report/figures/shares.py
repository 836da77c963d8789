"""Which domains training read: the planned shares beside those that it realised, as stacked areas over tokens.

Input: `metrics.jsonl`, where a line has the shares of its stage so far, and the plan of each stage. Output: two charts, rows
for a table and lines for the figure's data. Shares so far become shares of each stretch between two lines: a jump at the end of
a stage is then seen as one. The plan is the mixture that the stage was resolved to, so that both pictures are in tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from markupsafe import Markup

from skyloom.core.json_files import Cell, PlannedShares
from skyloom.release.evidence import Evidence
from skyloom.release.tables import in_order
from skyloom.report.figures.area_chart import ShareBand, area_chart
from skyloom.report.labels import Say
from skyloom.report.training import TONES, boundaries

PLACES = 40
"""Stretches of a stage that are drawn at most."""
PLANNED, REALISED = "planned", "realised"


class ShareColumn(TypedDict):
    """A domain with its share of each whole stage, planned (None: not known) and realised."""

    name: str
    tone: str
    planned: dict[str, float | None]
    realised: dict[str, float]


class ShareFigure(TypedDict):
    """Both charts, the table under them, and the lines behind them."""

    planned: Markup
    realised: Markup
    rows: list[ShareColumn]
    stages: list[str]


def realised_lines(evidence: Evidence) -> list[tuple[str, float, dict[str, float]]]:
    """(stage, tokens, shares of the stretch that ends there) in order; at most `PLACES` for each stage."""
    found: list[tuple[str, float, dict[str, float]]] = []
    start = 0.0
    for stage in evidence.stages:
        rows = [
            (float(row["tokens"]), shares)
            for row in evidence.metrics or []
            if row["stage"] == stage and (shares := row.get("shares"))
        ]
        if not rows:
            continue
        picked = [rows[round((k + 1) * len(rows) / PLACES) - 1] for k in range(PLACES)] if len(rows) > PLACES else rows
        before, read = start, dict.fromkeys(rows[-1][1], 0.0)
        for tokens, shares in picked:
            so_far = {domain: share * (tokens - start) for domain, share in shares.items()}
            wide = tokens - before
            if wide > 0:
                found.append((stage, tokens, {d: max(so_far[d] - read.get(d, 0.0), 0.0) / wide for d in so_far}))
            before, read = tokens, so_far
        start = rows[-1][0]
    return found


def planned_lines(plans: Mapping[str, PlannedShares], names: Sequence[str]) -> list[tuple[str, float, dict[str, float]]]:
    """(stage, tokens, planned shares there) at the corners of each stage's plan, of the stages `names` in order."""
    found: list[tuple[str, float, dict[str, float]]] = []
    start = 0.0
    for stage in names:
        plan = plans.get(stage)
        if plan is None:
            continue
        for place, shares in zip(plan["positions"], plan["shares"], strict=True):
            found.append((stage, start + place * plan["tokens"], dict(zip(plan["domains"], shares, strict=True))))
        start += plan["tokens"]
    return found


def share_lines(evidence: Evidence, plans: Mapping[str, PlannedShares]) -> list[list[Cell]]:
    """The figure's data: kind, stage, tokens, domain, share."""
    kinds = ((PLANNED, planned_lines(plans, evidence.stages)), (REALISED, realised_lines(evidence)))
    return [
        [kind, stage, round(tokens), domain, round(share, 6)]
        for kind, lines in kinds
        for stage, tokens, shares in lines
        for domain, share in shares.items()
    ]


def share_figure(evidence: Evidence, plans: Mapping[str, PlannedShares], say: Say) -> ShareFigure | None:
    """None where no line has shares."""
    realised, planned = realised_lines(evidence), planned_lines(plans, evidence.stages)
    if not realised:
        return None
    domains = in_order(domain for _, _, shares in (*realised, *planned) for domain in shares)
    tones = {domain: f"d{number % TONES}" for number, domain in enumerate(domains)}
    right = max(tokens for _, tokens, _ in (*realised, *planned))
    first = [realised[0], *realised] if realised[0][1] > 0 else realised
    places = [0.0, *[tokens for _, tokens, _ in first[1:]]] if first is not realised else [tokens for _, tokens, _ in realised]

    def drawn(lines: Sequence[tuple[str, float, dict[str, float]]], at: Sequence[float], title: str) -> Markup:
        bands = [ShareBand(say.domain(d), tones[d], tuple(shares.get(d, 0.0) for _, _, shares in lines)) for d in domains]
        return area_chart(at, bands, title=title, say=say, boundaries=boundaries(evidence), right=right)

    ends = {stage: _whole(evidence, stage) for stage in evidence.stages}
    means = {stage: _mean(plans[stage]) for stage in evidence.stages if stage in plans}
    stages = [stage for stage in evidence.stages if ends[stage]]
    return {
        "planned": drawn(planned, [tokens for _, tokens, _ in planned], say("Planned shares of the domains by tokens")),
        "realised": drawn(first, places, say("Realised shares of the domains by tokens")),
        "rows": [
            {
                "name": say.domain(d),
                "tone": tones[d],
                "planned": {s: means[s].get(d, 0.0) if s in means else None for s in stages},
                "realised": {s: ends[s].get(d, 0.0) for s in stages},
            }
            for d in domains
        ],
        "stages": stages,
    }


def _whole(evidence: Evidence, stage: str) -> dict[str, float]:
    """Shares of a whole stage: those of its last line."""
    rows = [shares for row in evidence.metrics or [] if row["stage"] == stage and (shares := row.get("shares"))]
    return rows[-1] if rows else {}


def _mean(plan: PlannedShares) -> dict[str, float]:
    """Planned shares of a whole stage: linear between the positions."""
    total = dict.fromkeys(plan["domains"], 0.0)
    for k in range(len(plan["positions"]) - 1):
        width = plan["positions"][k + 1] - plan["positions"][k]
        for domain, one, two in zip(plan["domains"], plan["shares"][k], plan["shares"][k + 1], strict=True):
            total[domain] += width * (one + two) / 2
    return total
