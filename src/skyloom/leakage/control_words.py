"""The control of the leakage audit in words: whether planted exercises are found, and whether they are told from their twins.

Input: the part "control" of `leakage.json`. Output: an outcome for each model and a sentence for the run. The twins have the
families, names and wording of the canaries with other numbers, and no stage read them. So canaries that are flagged prove something
only if their twins are not: where both are flagged, the rule saw the wording, and nobody can tell whether it would see a leak. And
where only the canaries are flagged, the two may still be equal: one interval may just exclude zero and the other just hold it. So
the difference itself is judged, canary minus twin, item by item: its interval must lie below zero too. The audit, the
cards, the run page and the command line all take their words from here.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyloom.core.json_files import ControlEntry, Figure, LeakageControl
from skyloom.leakage.verdict import UNKNOWN

CLEAN, PLANTED = "stage1", "final"
"""The models before and after the canaries were planted. The name "stage1" is published and stands for the end of Stage 1: the
model of step `stage1b` where the recipe has that step."""

FOUND, NOT_FOUND = "found", "not found"
EXPECTED = ("canaries_flagged_in_final", "pairs_flagged_in_final")
"""Of the flags: those that a control which holds has. All others are false alarms."""
_NOT_JUDGED = "The control could not be judged in this run."
_SAYS_LITTLE = "A verdict without a sign of leakage says little here."


def outcome(row: ControlEntry) -> str:
    """Whether the rule finds the canaries in a model: `FOUND`, `NOT_FOUND` or `UNKNOWN`.

    `FOUND` needs three things: canaries flagged, twins not flagged, and lower losses of canaries than of twins, item by item.
    `UNKNOWN` if there is no interval, if the twins are flagged too, if the pairs are not told apart, or if nobody looked.
    """
    if row.get("flagged"):
        return FOUND if row.get("twin_flagged") is False and row.get("flagged_paired") else UNKNOWN
    return NOT_FOUND if row.get("flagged") is False else UNKNOWN


def reason(row: ControlEntry) -> str:
    """Why the outcome is `UNKNOWN`; empty for the other two."""
    if outcome(row) != UNKNOWN:
        return ""
    if not row.get("flagged"):
        return "too few items for an interval"
    if row.get("twin_flagged") is not False:
        return f"flagged, but {'so are their twins' if row.get('twin_flagged') else 'their twins were not judged'}"
    pairs = "too few pairs to compare them with" if row.get("flagged_paired") is None else "not told item by item from"
    return f"flagged, but {pairs} their twins"


def flags(models: Mapping[str, ControlEntry]) -> dict[str, bool | None]:
    """What the rule flagged, under the keys of `leakage.json`; None where a model is missing or has no interval."""
    after, before = models.get(PLANTED), models.get(CLEAN)
    return {
        "canaries_flagged_in_final": after.get("flagged") if after else None,
        "canaries_flagged_in_stage1": before.get("flagged") if before else None,
        "twins_flagged_in_final": after.get("twin_flagged") if after else None,
        "twins_flagged_in_stage1": before.get("twin_flagged") if before else None,
        "pairs_flagged_in_final": after.get("flagged_paired") if after else None,
        "pairs_flagged_in_stage1": before.get("flagged_paired") if before else None,
    }


def holds(models: Mapping[str, ControlEntry], clean_test_flagged: bool | None) -> bool | None:
    """Whether the control holds; None where one of its parts could not be judged.

    It holds if the rule flags the canaries in the final model and not before, the canaries have lower losses than their twins
    item by item in the final model and not before, and the rule flags neither the clean test split nor, in either model, the twins.
    """
    seen = flags(models)
    wanted = [seen.pop(name) for name in EXPECTED]
    unwanted = [*seen.values(), clean_test_flagged]
    return None if None in wanted or None in unwanted else all(wanted) and not any(unwanted)


def sentence(control: LeakageControl | None) -> str:
    """What the control showed, with its figures; empty if there was none. Computed from flags and figures, not from "holds"."""
    if not control:
        return ""
    models = control.get("models") or {}
    clean, final = control.get("clean_test_flagged_in_final"), models.get(PLANTED)
    if final is None or final.get("flagged") is None:
        return _NOT_JUDGED
    if holds(models, clean):
        return (
            f"The control holds: the planted exercises are found in the final model (Δ1 {_planted(final)}) and not before they "
            f"were planted. Their twins, which no stage read, are not flagged (Δ1 {_twins(final)}), and neither is the clean test "
            f"split. {_pairs(final)}"
        )
    wrong = _false_alarms(models, clean)
    if final.get("flagged") and outcome(final) == UNKNOWN:
        return (
            "The control cannot tell whether this audit would find a leak: the planted exercises are flagged in the final model "
            f"(Δ1 {_planted(final)}), {_doubt(final)} {_also(wrong)}{_SAYS_LITTLE}"
        )
    if final.get("twin_flagged"):
        wrong.insert(0, f"their twins, which no stage read, are flagged in the final model (Δ1 {_twins(final)})")
    if not final.get("flagged"):
        wrong.insert(0, f"the planted exercises are not found in the final model (Δ1 {_planted(final)})")
    return f"The control does not hold: {'; '.join(wrong)}. {_pairs(final)} {_SAYS_LITTLE}" if wrong else _NOT_JUDGED


def _doubt(row: ControlEntry) -> str:
    """Why canaries that are flagged prove nothing: their twins are flagged too, or the two are not told apart."""
    twins = f"their twins, which no stage read, {{}} (Δ1 {_twins(row)})"
    if row.get("twin_flagged") is not False:
        return f"but {twins.format('are flagged too' if row.get('twin_flagged') else 'were not judged')}. {_pairs(row)}"
    return f"and {twins.format('are not')}. This by itself does not show a difference between the two. {_pairs(row)}"


def _false_alarms(models: Mapping[str, ControlEntry], clean_test_flagged: bool | None) -> list[str]:
    """What was flagged and should not have been, save for the twins in the final model."""
    found, before = [], models.get(CLEAN)
    if before and before.get("flagged"):
        found.append(f"the planted exercises are flagged before they were planted (Δ1 {_planted(before)})")
    if before and before.get("twin_flagged"):
        found.append(f"their twins are flagged before the exercises were planted (Δ1 {_twins(before)})")
    if before and before.get("flagged_paired"):
        found.append(f"the planted exercises have lower losses than their twins before they were planted ({_difference(before)})")
    return [*found, "clean test items are flagged too"] if clean_test_flagged else found


def _also(wrong: list[str]) -> str:
    return f"Also, {'; '.join(wrong)}. " if wrong else ""


def _pairs(row: ControlEntry) -> str:
    """The canaries against their twins, item by item, in a sentence."""
    if row.get("flagged_paired") is None:
        return "There are too few pairs to compare the planted exercises with their twins item by item."
    told = "have lower losses than their twins" if row["flagged_paired"] else "are not told from their twins"
    return f"Item by item the planted exercises {told} ({_difference(row)})."


def _planted(row: ControlEntry) -> str:
    return _interval(row.get("delta1"), row.get("delta1_low"), row.get("delta1_high"))


def _twins(row: ControlEntry) -> str:
    return _interval(row.get("twin_delta1"), row.get("twin_delta1_low"), row.get("twin_delta1_high"))


def _difference(row: ControlEntry) -> str:
    return _interval(row.get("paired"), row.get("paired_low"), row.get("paired_high"))


def _interval(value: Figure, low: Figure, high: Figure) -> str:
    if value is None:
        return "not measured"
    ends = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
    return f"{value:.3f}{ends}".replace("-", "−")
