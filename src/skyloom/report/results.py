"""Evaluation and leakage on the run page: accuracy against chance, loss gaps with their intervals, and the tiles at the top.

Input: the JSON of `evaluate` and `leakage`. Output: rows for the template. Intervals are drawn on one common line per
column, so that rows can be compared by eye; verdicts are the audit's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from markupsafe import Markup

from skyloom.core.json_files import ChoiceEntry, ControlEntry, Figure, LeakageControl, LeakageEntry, OverlapEntry, OverlapTable
from skyloom.data.config import CANARY
from skyloom.leakage.control_words import before_planting, clean_test, holds, outcome, reason
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known, percent, short, size, span
from skyloom.release.tables import domain_name, language_name, model_name
from skyloom.report.charts import strip
from skyloom.report.training import tones
from skyloom.train.stage_list import FINAL, Planting

_GAPS: tuple[Literal["delta1", "delta1_low", "delta1_high", "delta2", "delta2_low", "delta2_high"], ...] = (
    "delta1", "delta1_low", "delta1_high", "delta2", "delta2_low", "delta2_high",
)  # fmt: skip
_CONTROL_GAPS: tuple[
    Literal[
        "delta1", "delta1_low", "delta1_high", "heldback_delta1", "heldback_delta1_low", "heldback_delta1_high",
        "paired", "paired_low", "paired_high",
    ],
    ...,
] = (
    "delta1", "delta1_low", "delta1_high", "heldback_delta1", "heldback_delta1_low", "heldback_delta1_high",
    "paired", "paired_low", "paired_high",
)  # fmt: skip
WORDS = {"delta1": "Δ1", "delta2": "Δ2", "control": "Control"}


class ChoiceRow(ChoiceEntry):
    """An accuracy with its interval as a strip; `above`: the whole interval lies above chance."""

    name: str
    language: str
    strip: Markup
    above: bool


class LeakageRow(LeakageEntry):
    """A model with its gaps as strips; `loud`: it shows a sign of leakage or of overfitting."""

    name: str
    delta1_strip: Markup
    delta2_strip: Markup
    loud: bool


class ControlRow(ControlEntry):
    """A model of the positive and the negative control with its gaps as strips; `told`: whether the canaries are found."""

    model: str
    name: str
    told: str
    delta1_strip: Markup
    heldback_delta1_strip: Markup
    paired_strip: Markup


class LeakageView(TypedDict):
    """The leakage audit as the page shows it."""

    rows: list[LeakageRow]
    controls: list[ControlRow]
    words: dict[str, str]
    corpus: list[OverlapEntry]
    corpus_words: str | None


def choice(evidence: Evidence) -> list[ChoiceRow]:
    """One row per model and language: accuracy with its interval on a line from 0 to 1, chance as a tick on it."""
    rows: list[ChoiceRow] = []
    colours = tones(evidence)
    for row in evidence.choice["rows"] if evidence.choice else []:
        title = f"{percent(row['accuracy'])}, 95 % {percent(row['low'])} to {percent(row['high'])}; chance {percent(row['chance'])}"
        line = strip(
            row["accuracy"],
            row["low"],
            row["high"],
            left=0.0,
            right=1.0,
            mark=row["chance"],
            title=title,
            tone=_tone(row["model"], colours),
        )
        sure = known(row["low"]) and known(row["chance"]) and row["low"] > row["chance"]
        rows.append({**row, "name": model_name(row["model"]), "language": language_name(row["lang"]), "strip": line, "above": sure})
    return rows


def leakage(evidence: Evidence) -> LeakageView | None:
    """Rows with their gaps drawn on a common line around zero, both controls, and the corpus side if there is one."""
    audit = evidence.leakage
    if audit is None:
        return None
    colours = tones(evidence)
    control: LeakageControl = audit.get("control") or {}
    planted = control.get("models") or {}
    order = [row["model"] for row in audit["rows"]]
    names = [model for model in dict.fromkeys([*order, *planted]) if model in planted]
    ends = [row.get(key) for row in audit["rows"] for key in _GAPS]
    ends += [planted[name].get(key) for name in names for key in _CONTROL_GAPS]
    reach = 1.05 * max((abs(v) for v in ends if known(v)), default=1.0) or 1.0
    corpus: OverlapTable = audit.get("corpus") or {}
    return {
        "rows": [_audited(row, reach, _tone(row["model"], colours)) for row in audit["rows"]],
        "controls": [_controlled(name, planted[name], reach, _tone(name, colours)) for name in names],
        "words": {WORDS.get(k, k): v for k, v in (audit.get("words") or {}).items() if k not in order},
        "corpus": corpus.get("rows", []),
        "corpus_words": corpus.get("words"),
    }


def _audited(row: LeakageEntry, reach: float, tone: str) -> LeakageRow:
    return {
        **row,
        "name": model_name(row["model"]),
        "delta1_strip": _gap(tone, row.get("delta1"), row.get("delta1_low"), row.get("delta1_high"), reach),
        "delta2_strip": _gap(tone, row.get("delta2"), row.get("delta2_low"), row.get("delta2_high"), reach),
        "loud": bool(row.get("leaked") or row.get("overfitted")),
    }


def _controlled(model: str, row: ControlEntry, reach: float, tone: str) -> ControlRow:
    return {
        **row,
        "model": model,
        "name": model_name(model),
        "told": f"{outcome(row)}: {why}" if (why := reason(row)) else outcome(row),
        "delta1_strip": _gap(tone, row.get("delta1"), row.get("delta1_low"), row.get("delta1_high"), reach),
        "heldback_delta1_strip": _gap(
            tone, row.get("heldback_delta1"), row.get("heldback_delta1_low"), row.get("heldback_delta1_high"), reach
        ),
        "paired_strip": _gap(tone, row.get("paired"), row.get("paired_low"), row.get("paired_high"), reach),
    }


def sizes(evidence: Evidence) -> tuple[str, str] | None:
    """How much of each held-out set is scored while it trains, and in the evaluation: "15.9 kB to 16.0 kB".

    None where both are the same, or where one of the two was not done.
    """
    monitored = {row["set"]: row["scored_bytes"] for row in evidence.heldout or []}
    rows = evidence.perplexity["rows"] if evidence.perplexity else []
    evaluated = {row["set"]: row["bytes"] for row in rows if row["set"] in monitored}
    if not evaluated or all(monitored[name] == number for name, number in evaluated.items()):
        return None
    return _range([monitored[name] for name in evaluated]), _range(list(evaluated.values()))


def _range(numbers: list[int]) -> str:
    return " to ".join(dict.fromkeys((size(min(numbers)), size(max(numbers)))))


def control_failed(evidence: Evidence) -> bool:
    """Whether the leakage audit has a control that does not hold."""
    found: LeakageControl = (evidence.leakage.get("control") if evidence.leakage else None) or {}
    return bool(found) and not holds(found.get("models") or {}, clean_test(found), before_planting(found))


def planted_in(evidence: Evidence) -> str:
    """The first stage that read the planted exercises: "the second stage"."""
    read = [row["stage"] for row in evidence.metrics or [] if (row.get("shares") or {}).get(CANARY, 0) > 0]
    names = evidence.stages
    return Planting(names, read[0], "").place(read[0]) if read and read[0] in names else "the second stage"


def headline(evidence: Evidence) -> list[dict[str, str]]:
    """The tiles at the top: a figure, what it is, and a line of context each; only what was measured."""
    tiles = []
    if evidence.mixture is not None:
        rows = evidence.mixture["rows"]
        tiles.append(_tile("Documents kept", count(sum(r["documents"] for r in rows)), f"{len(rows)} parts of the mixture"))
    trained = evidence.metrics[-1].get("tokens") if evidence.metrics else None
    parameters = next((plan.get("parameters") for plan in evidence.plans.values()), None)
    if known(trained):
        tiles.append(_tile("Tokens read", short(trained), f"by {short(parameters)} parameters"))
    losses = evidence.perplexity["rows"] if evidence.perplexity else []
    bits = {r["set"]: r for r in losses if r["model"] == "final"}
    baseline = {r["set"]: r for r in losses if r["model"] == "xz"}
    for name in ("web_en", "web_zh"):
        if name in bits:
            other = f"; xz needs {decimal(baseline[name]['bits_per_byte'], 2)}" if name in baseline else ""
            tiles.append(_tile(domain_name(name), decimal(bits[name]["bits_per_byte"], 2), f"bits per byte{other}"))
    final = [r for r in (evidence.choice["rows"] if evidence.choice else []) if r["model"] == "final"]
    final = [r for r in final if r["lang"] == "both"] or final  # the row over both languages, where there is one
    if final:
        items, correct = sum(r["items"] for r in final), sum(r["correct"] for r in final)
        chance = sum(r["items"] * r["chance"] for r in final) / max(items, 1)
        tiles.append(_tile("Choices right", percent(correct / max(items, 1)), f"chance is {percent(chance)}"))
    return tiles


def _gap(tone: str, value: Figure, low: Figure, high: Figure, reach: float) -> Markup:
    title = f"{decimal(value)}, 95 % {span(low, high)}"
    return strip(value, low, high, left=-reach, right=reach, mark=0.0, title=title, tone=tone)


def _tone(model: str, colours: Mapping[str, str]) -> str:
    return "stage2" if model == FINAL else colours.get(model, "stage1" if model == "stage1" else "accent")


def _tile(label: str, value: str, context: str) -> dict[str, str]:
    return {"label": label, "value": value, "context": context}
