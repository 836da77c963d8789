"""Evaluation and leakage in figures: perplexity against baselines, choices against chance, gaps with their intervals.

The JSON of `evaluate` and `leakage` enters, rows for the template leave. Intervals are drawn on one common line per
column, so that rows can be compared by eye; verdicts are the audit's own words.
"""

from __future__ import annotations

from typing import Any

from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known, percent, short, span
from skyloom.release.tables import domain_name, language_name, model_name
from skyloom.report.charts import strip

GAPS = ("delta1", "delta2", "paired")
"""Differences of loss in leakage.json, each with its interval: the report's two, and canaries against their twins."""

WORDS = {"delta1": "Δ1", "delta2": "Δ2", "control": "Control"}


def choice(evidence: Evidence) -> list[dict[str, Any]]:
    """One row per model and language: accuracy with its interval on a line from 0 to 1, chance as a tick on it."""
    rows = []
    for row in (evidence.choice or {}).get("rows", []):
        title = f"{percent(row['accuracy'])}, 95 % {percent(row['low'])} to {percent(row['high'])}; chance {percent(row['chance'])}"
        line = strip(
            row["accuracy"], row["low"], row["high"], left=0.0, right=1.0, mark=row["chance"], title=title, tone=_tone(row["model"])
        )
        sure = known(row["low"]) and known(row["chance"]) and row["low"] > row["chance"]
        rows.append({**row, "name": model_name(row["model"]), "language": language_name(row["lang"]), "strip": line, "above": sure})
    return rows


def leakage(evidence: Evidence) -> dict[str, Any] | None:
    """Rows with both gaps drawn on a common line around zero, the positive control, and the corpus side if there is one."""
    audit = evidence.leakage
    if audit is None:
        return None
    control = audit.get("control") or {}
    planted = control.get("models") or {}
    order = [row["model"] for row in audit["rows"]]
    controls = [{"model": model, **planted[model]} for model in dict.fromkeys([*order, *planted]) if model in planted]
    ends = [row.get(f"{gap}{end}") for row in [*audit["rows"], *controls] for gap in GAPS for end in ("", "_low", "_high")]
    reach = 1.05 * max((abs(v) for v in ends if known(v)), default=1.0) or 1.0

    def drawn(row: dict[str, Any]) -> dict[str, Any]:
        strips = {f"{gap}_strip": _gap(row, gap, reach) for gap in GAPS}
        return {**row, "name": model_name(row["model"]), **strips}

    corpus = audit.get("corpus") or {}
    return {
        "rows": [{**drawn(row), "loud": bool(row.get("leaked") or row.get("overfitted"))} for row in audit["rows"]],
        "controls": [drawn(row) for row in controls],
        "words": {WORDS.get(k, k): v for k, v in (audit.get("words") or {}).items() if k not in order},
        "corpus": corpus.get("rows", []),
        "corpus_words": corpus.get("words"),
    }


def headline(evidence: Evidence) -> list[dict[str, str]]:
    """The tiles at the top: a figure, what it is, and a line of context each; only what was measured."""
    tiles = []
    if evidence.mixture is not None:
        rows = evidence.mixture["rows"]
        tiles.append(_tile("Documents kept", count(sum(r["documents"] for r in rows)), f"{len(rows)} parts of the mixture"))
    trained = (evidence.metrics or [{}])[-1].get("tokens")
    parameters = next((plan.get("parameters") for plan in evidence.plans.values()), None)
    if known(trained):
        tiles.append(_tile("Tokens read", short(trained), f"by {short(parameters)} parameters"))
    bits = {r["set"]: r for r in (evidence.perplexity or {}).get("rows", []) if r["model"] == "final"}
    baseline = {r["set"]: r for r in (evidence.perplexity or {}).get("rows", []) if r["model"] == "xz"}
    for name in ("web_en", "web_zh"):
        if name in bits:
            other = f"; xz needs {decimal(baseline[name]['bits_per_byte'], 2)}" if name in baseline else ""
            tiles.append(_tile(domain_name(name), decimal(bits[name]["bits_per_byte"], 2), f"bits per byte{other}"))
    final = [r for r in (evidence.choice or {}).get("rows", []) if r["model"] == "final"]
    final = [r for r in final if r["lang"] == "both"] or final  # the row over both languages, where there is one
    if final:
        items, correct = sum(r["items"] for r in final), sum(r["correct"] for r in final)
        chance = sum(r["items"] * r["chance"] for r in final) / max(items, 1)
        tiles.append(_tile("Choices right", percent(correct / max(items, 1)), f"chance is {percent(chance)}"))
    return tiles


def _gap(row: dict[str, Any], key: str, reach: float) -> Any:
    value, low, high = row.get(key), row.get(f"{key}_low"), row.get(f"{key}_high")
    title = f"{decimal(value)}, 95 % {span(low, high)}"
    return strip(value, low, high, left=-reach, right=reach, mark=0.0, title=title, tone=_tone(str(row.get("model", ""))))


def _tone(model: str) -> str:
    return {"stage1": "stage1", "final": "stage2", "stage2": "stage2"}.get(model, "accent")


def _tile(label: str, value: str, context: str) -> dict[str, str]:
    return {"label": label, "value": value, "context": context}
