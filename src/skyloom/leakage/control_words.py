"""The control of the leakage audit in words: whether planted exercises are found, and whether their twins are flagged as well.

Input: the part "control" of `leakage.json`. Output: an outcome for each model and a sentence for the run. The twins have the
families, names and wording of the canaries with other numbers, and no stage read them. So canaries that are flagged prove something
only if their twins are not: where both are flagged, the rule saw the wording, and nobody can tell whether it would see a leak. The
audit, the cards, the run page and the command line all take their words from here.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyloom.core.json_files import ControlEntry, Figure, LeakageControl
from skyloom.leakage.verdict import UNKNOWN

CLEAN, PLANTED = "stage1", "final"
"""The models before and after the canaries were planted. The name "stage1" is published and stands for the end of Stage 1: the
model of step `stage1b` where the recipe has that step."""

FOUND, NOT_FOUND = "found", "not found"
_NOT_JUDGED = "The control could not be judged in this run."
_SAYS_LITTLE = "A verdict without a sign of leakage says little here."


def outcome(row: ControlEntry) -> str:
    """Whether the rule finds the canaries in a model: `FOUND`, `NOT_FOUND` or `UNKNOWN`.

    `UNKNOWN` if there is no interval, if the twins are flagged too, or if nobody looked at the twins.
    """
    if row.get("flagged"):
        return FOUND if row.get("twin_flagged") is False else UNKNOWN
    return NOT_FOUND if row.get("flagged") is False else UNKNOWN


def reason(row: ControlEntry) -> str:
    """Why the outcome is `UNKNOWN`; empty for the other two."""
    if outcome(row) != UNKNOWN:
        return ""
    if not row.get("flagged"):
        return "too few items for an interval"
    return f"flagged, but {'so are their twins' if row.get('twin_flagged') else 'their twins were not judged'}"


def flags(models: Mapping[str, ControlEntry]) -> dict[str, bool | None]:
    """What the rule flagged, under the keys of `leakage.json`; None where a model is missing or has no interval."""
    after, before = models.get(PLANTED), models.get(CLEAN)
    return {
        "canaries_flagged_in_final": after.get("flagged") if after else None,
        "canaries_flagged_in_stage1": before.get("flagged") if before else None,
        "twins_flagged_in_final": after.get("twin_flagged") if after else None,
        "twins_flagged_in_stage1": before.get("twin_flagged") if before else None,
    }


def holds(models: Mapping[str, ControlEntry], clean_test_flagged: bool | None) -> bool | None:
    """Whether the control holds; None where one of its parts could not be judged.

    It holds if the rule finds the canaries in the final model and not before, does not flag the clean test split, and flags the
    twins in neither model.
    """
    seen = flags(models)
    wanted = seen.pop("canaries_flagged_in_final")
    unwanted = [*seen.values(), clean_test_flagged]
    return None if wanted is None or None in unwanted else wanted and not any(unwanted)


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
        twins = "are flagged too" if final.get("twin_flagged") else "were not judged"
        return (
            "The control cannot tell whether this audit would find a leak: the planted exercises are flagged in the final model "
            f"(Δ1 {_planted(final)}), but their twins, which no stage read, {twins} (Δ1 {_twins(final)}). {_pairs(final)} "
            f"{_also(wrong)}{_SAYS_LITTLE}"
        )
    if final.get("twin_flagged"):
        wrong.insert(0, f"their twins, which no stage read, are flagged in the final model (Δ1 {_twins(final)})")
    if not final.get("flagged"):
        wrong.insert(0, f"the planted exercises are not found in the final model (Δ1 {_planted(final)})")
    return f"The control does not hold: {'; '.join(wrong)}. {_pairs(final)} {_SAYS_LITTLE}" if wrong else _NOT_JUDGED


def _false_alarms(models: Mapping[str, ControlEntry], clean_test_flagged: bool | None) -> list[str]:
    """What was flagged and should not have been, save for the twins in the final model."""
    found, before = [], models.get(CLEAN)
    if before and before.get("flagged"):
        found.append(f"the planted exercises are flagged before they were planted (Δ1 {_planted(before)})")
    if before and before.get("twin_flagged"):
        found.append(f"their twins are flagged before they were planted (Δ1 {_twins(before)})")
    return [*found, "clean test items are flagged too"] if clean_test_flagged else found


def _also(wrong: list[str]) -> str:
    return f"Also, {'; '.join(wrong)}. " if wrong else ""


def _pairs(row: ControlEntry) -> str:
    """The canaries against their twins, item by item, in a sentence."""
    if row.get("flagged_paired") is None:
        return "There are too few pairs to compare the planted exercises with their twins item by item."
    told = "have lower losses than their twins" if row["flagged_paired"] else "are not told from their twins"
    gap = _interval(row.get("paired"), row.get("paired_low"), row.get("paired_high"))
    return f"Item by item the planted exercises {told} ({gap})."


def _planted(row: ControlEntry) -> str:
    return _interval(row.get("delta1"), row.get("delta1_low"), row.get("delta1_high"))


def _twins(row: ControlEntry) -> str:
    return _interval(row.get("twin_delta1"), row.get("twin_delta1_low"), row.get("twin_delta1_high"))


def _interval(value: Figure, low: Figure, high: Figure) -> str:
    if value is None:
        return "not measured"
    ends = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
    return f"{value:.3f}{ends}".replace("-", "−")
