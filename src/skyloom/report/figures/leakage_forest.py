"""The leakage audit of a run on one axis: test, train, canary and held-back half, each with its interval around zero.

Input: `leakage.json`. Output: a forest plot for each model, in nats per token, and the lines behind it. Filled circles: the
interval excludes zero. The blind baseline of a run is its draw: test and reference items come from one generator by lot, and so
do both halves of the pool, so no reader of the texts alone can tell them apart; its place on the axis is zero.
"""

from __future__ import annotations

import math

from skyloom.core.json_files import Cell, ControlEntry, LeakageEntry
from skyloom.release.evidence import Evidence
from skyloom.release.formats import count, decimal, known
from skyloom.report.figures.evaluation_forest import ForestView
from skyloom.report.labels import Say
from skyloom.report.leak_charts import Gap, forest

GAPS = (
    ("delta1", "test − reference (Δ1)"),
    ("delta2", "test − train (Δ2)"),
)
CONTROLS = (
    ("delta1", "canary − reference"),
    ("heldback_delta1", "held back − reference"),
    ("paired", "canary − held back, in pairs"),
)


def gap_lines(evidence: Evidence) -> list[list[Cell]]:
    """model, gap, value, low, high of all gaps, in nats per token."""
    found: list[list[Cell]] = []
    for model, rows in _rows(evidence).items():
        for key, name, row in rows:
            value, low, high = _figures(row, key)
            found.append([model, name, value, low, high])
    return found


def leakage_forests(evidence: Evidence, say: Say) -> list[ForestView]:
    """A chart for each model."""
    found: list[ForestView] = []
    for model, rows in _rows(evidence).items():
        gaps = []
        for key, name, row in rows:
            value, low, high = _figures(row, key)
            if not known(value):
                continue
            told = f"{say(name)}{say.colon}{decimal(value)} ({say('{low} to {high}', low=decimal(low), high=decimal(high))})"
            sign = known(low) and known(high) and (low > 0 or high < 0)
            gaps.append(Gap(say(name), value, low, high, counts=sign, flagged=sign, told=told))
        blind = say("blind baseline: drawn by lot")
        gaps.append(
            Gap(blind, 0.0, math.nan, math.nan, counts=False, flagged=False, told=blind, tone="d7", shown=say("0 by design"))
        )
        title = say("Leakage, {model}", model=say.model(model))
        found.append(
            {"anchor": "gaps", "title": title, "sub": _items(evidence, model, say), "chart": forest(gaps, centre=0.0, title=title)}
        )
    return found


def _items(evidence: Evidence, model: str, say: Say) -> str:
    """How many items of each split were read."""
    audit = evidence.leakage
    row = next((row for row in (audit["rows"] if audit else []) if row["model"] == model), None)
    numbers = dict(row.get("n") or {}) if row else {}
    control = ((audit.get("control") if audit else None) or {}).get("models") or {}
    numbers |= {
        k: v for k, v in ((control[model].get("n") or {}) if model in control else {}).items() if k in ("canary", "heldback")
    }
    names = {"test": "test", "train": "train", "ref": "reference", "canary": "canary", "heldback": "held back"}
    return say.comma.join(f"{say(names[key])} {count(number)}" for key, number in numbers.items() if key in names)


def _rows(evidence: Evidence) -> dict[str, list[tuple[str, str, LeakageEntry | ControlEntry]]]:
    audit = evidence.leakage
    if audit is None:
        return {}
    found: dict[str, list[tuple[str, str, LeakageEntry | ControlEntry]]] = {}
    for row in audit["rows"]:
        found[row["model"]] = [(key, name, row) for key, name in GAPS]
    for model, control in ((audit.get("control") or {}).get("models") or {}).items():
        found.setdefault(model, []).extend((key, name, control) for key, name in CONTROLS)
    return found


def _figures(row: LeakageEntry | ControlEntry, key: str) -> tuple[float, float, float]:
    values = [row.get(name) for name in (key, f"{key}_low", f"{key}_high")]
    value, low, high = (float(v) if known(v) else math.nan for v in values)
    return value, low, high
