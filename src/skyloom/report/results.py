"""Evaluation and leakage on the run page: the verdict on each model, the outcomes of the controls, and how much text figures
are of.

Input: the JSON of `evaluate` and `leakage`. Output: rows for the template. The charts of both are in `figures`.
"""

from __future__ import annotations

from typing import TypedDict

from skyloom.core.json_files import LeakageControl, LeakageEntry, OverlapEntry, OverlapTable
from skyloom.data.config import CANARY
from skyloom.leakage.control_words import before_planting, clean_test, holds
from skyloom.release.evidence import Evidence
from skyloom.release.formats import size
from skyloom.report.labels import ENGLISH, Say
from skyloom.train.stage_list import Planting


class LeakageRow(LeakageEntry):
    """A model; `loud`: it shows a sign of leakage or of overfitting."""

    loud: bool


class LeakageView(TypedDict):
    """The leakage audit as the page shows it."""

    rows: list[LeakageRow]
    corpus: list[OverlapEntry]


def leakage(evidence: Evidence) -> LeakageView | None:
    """The models in order, and the corpus side if there is one."""
    audit = evidence.leakage
    if audit is None:
        return None
    corpus: OverlapTable = audit.get("corpus") or {}
    return {
        "rows": [{**row, "loud": bool(row.get("leaked") or row.get("overfitted"))} for row in audit["rows"]],
        "corpus": corpus.get("rows", []),
    }


def outcomes(evidence: Evidence, say: Say) -> dict[str, str]:
    """Whether the planted exercises are found, by model; empty without a control."""
    control: LeakageControl = (evidence.leakage.get("control") if evidence.leakage else None) or {}
    return {model: say.outcome(row) for model, row in (control.get("models") or {}).items()}


def sizes(evidence: Evidence, say: Say = ENGLISH) -> tuple[str, str] | None:
    """How much of each held-out set is scored while it trains, and in the evaluation: "15.9 kB to 16.0 kB".

    None where both are the same, or where one of the two was not done.
    """
    monitored = {row["set"]: row["scored_bytes"] for row in evidence.heldout or []}
    rows = evidence.perplexity["rows"] if evidence.perplexity else []
    evaluated = {row["set"]: row["bytes"] for row in rows if row["set"] in monitored}
    if not evaluated or all(monitored[name] == number for name, number in evaluated.items()):
        return None
    return _range([monitored[name] for name in evaluated], say), _range(list(evaluated.values()), say)


def _range(numbers: list[int], say: Say) -> str:
    low, high = size(min(numbers)), size(max(numbers))
    return low if low == high else say("{low} to {high}", low=low, high=high)


def control_failed(evidence: Evidence) -> bool:
    """Whether the leakage audit has a control that does not hold."""
    found: LeakageControl = (evidence.leakage.get("control") if evidence.leakage else None) or {}
    return bool(found) and not holds(found.get("models") or {}, clean_test(found), before_planting(found))


def planted_in(evidence: Evidence, say: Say = ENGLISH) -> str:
    """The first stage that read the planted exercises: "the second stage"."""
    read = [row["stage"] for row in evidence.metrics or [] if (row.get("shares") or {}).get(CANARY, 0) > 0]
    names = evidence.stages
    if say.lang == "zh":
        return say.stage(read[0]) if read else "第二阶段"
    return Planting(names, read[0], "").place(read[0]) if read and read[0] in names else "the second stage"
