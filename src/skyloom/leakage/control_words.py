"""The control of the leakage audit in words: whether the audit finds planted exercises, and only these.

Input: the part "control" of `leakage.json`. Output: an outcome for each model and a sentence for the run. The pool of the control
is split by lot: one half is planted, the other is held back and read by no stage. Both halves take the place of the test split in
the rule. Planted exercises count as found only if the half that was held back is not flagged: where both are, the rule saw
something that the two share. And where only one is flagged, the halves may still be equal: one interval may just exclude zero and
the other just hold it. So the difference itself is judged too, planted minus held back: as the halves differ by the lot alone, this
is an experiment with a random assignment, and it holds even if the reference split were not like the pool. The audit, the cards,
the run page and the command line all take their words from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from skyloom.core.json_files import ControlEntry, Figure, LeakageControl
from skyloom.leakage.verdict import UNKNOWN

CLEAN, PLANTED = "stage1", "final"
"""The models before and after the canaries were planted, by their names in tables. The first is `CLEAN` where `leakage.json` was
made for the two stages of the report; else it is the last released stage before the one that read them, see `before_planting`."""
_CLEAN_TEST = "clean_test_flagged_in_"

FOUND, NOT_FOUND = "found", "not found"
EXPECTED = ("canaries_flagged_in_final", "pairs_flagged_in_final")
"""Of the flags: those that a control which holds has."""
UNUSED = (f"pairs_flagged_in_{CLEAN}",)
"""Of the flags: those that are published only. Before planting each half is judged by itself."""
_NOT_JUDGED = "The control could not be judged in this run."
_NO_MODEL_BEFORE = (
    "The control could not be judged in this run: no model was released from before the exercises were planted, so nothing shows "
    "that they were not flagged all along."
)
_SAYS_LITTLE = "A verdict without a sign of leakage says little here."


class CleanTest(NamedTuple):
    """Whether the rule flags the clean test split in the model before planting and in the final one; None if not judged."""

    before: bool | None
    final: bool | None


def outcome(row: ControlEntry) -> str:
    """Whether the rule finds the canaries in a model: `FOUND`, `NOT_FOUND` or `UNKNOWN`.

    `FOUND` needs three things: canaries flagged, the held-back half not flagged, and lower losses of canaries than of that half.
    `UNKNOWN` if there is no interval, if the held-back half is flagged too or the halves are not told apart, or if nobody looked.
    """
    if row.get("flagged"):
        return FOUND if row.get("heldback_flagged") is False and row.get("flagged_paired") else UNKNOWN
    return NOT_FOUND if row.get("flagged") is False else UNKNOWN


def reason(row: ControlEntry) -> str:
    """Why the outcome is `UNKNOWN`; empty for the other two."""
    if outcome(row) != UNKNOWN:
        return ""
    if not row.get("flagged"):
        return "too few items for an interval"
    if row.get("heldback_flagged"):
        return "flagged, but so is the held-back half"
    if row.get("heldback_flagged") is None:
        return "flagged, but no held-back half was judged"
    pairs = "too few pairs to compare it with" if row.get("flagged_paired") is None else "not told from"
    return f"flagged, but {pairs} the held-back half"


def before_planting(control: Mapping[str, object]) -> str:
    """The model of `leakage.json` that was trained before the exercises were planted, by the keys of its flags; "" if none was."""
    names = [key.removeprefix(_CLEAN_TEST) for key in control if key.startswith(_CLEAN_TEST)]
    models = control.get("models")
    usual = CLEAN if not isinstance(models, Mapping) or CLEAN in models else ""  # files of earlier versions lack the key
    return next((name for name in names if name != PLANTED), usual)


def flags(models: Mapping[str, ControlEntry], clean: str = CLEAN) -> dict[str, bool | None]:
    """What the rule flagged, under the keys of `leakage.json`; None where a model is missing or has no interval. `clean`: the
    model before planting, "" if there is none."""
    after, before = models.get(PLANTED), models.get(clean)
    found: dict[str, bool | None] = {}
    for what, key in _FLAGS:
        found[f"{what}_flagged_in_{PLANTED}"] = _flag(after, key)
        if clean:
            found[f"{what}_flagged_in_{clean}"] = _flag(before, key)
    return found


_FLAGS: tuple[tuple[str, Literal["flagged", "heldback_flagged", "flagged_paired"]], ...] = (
    ("canaries", "flagged"), ("heldback", "heldback_flagged"), ("pairs", "flagged_paired"),
)  # fmt: skip


def _flag(row: ControlEntry | None, key: Literal["flagged", "heldback_flagged", "flagged_paired"]) -> bool | None:
    return row.get(key) if row else None


def holds(models: Mapping[str, ControlEntry], tests: CleanTest, clean: str = CLEAN) -> bool | None:
    """Whether the control holds; None where one of its parts could not be judged.

    It holds if the rule flags the planted half in the final model, where it also has lower losses than the held-back half, and if
    the rule flags nothing else: not the held-back half and the clean test split in either model, not the planted half before.
    Without a model before planting (`clean` is "") nothing shows that the rule did not flag the planted half all along: None.
    """
    if not clean:
        return None
    unused = f"pairs_flagged_in_{clean}"  # published only: before planting each half is judged by itself
    seen = {name: flag for name, flag in flags(models, clean).items() if name != unused}
    wanted = [seen.pop(name) for name in EXPECTED]
    unwanted = [*seen.values(), *tests]
    return None if None in wanted or None in unwanted else all(wanted) and not any(unwanted)


def clean_test(control: LeakageControl) -> CleanTest:
    """What "control" says of the clean test split."""
    before, after = (control.get(f"{_CLEAN_TEST}{name}") for name in (before_planting(control), PLANTED))
    return CleanTest(before if isinstance(before, bool) else None, after if isinstance(after, bool) else None)


def sentence(control: LeakageControl | None) -> str:
    """What the control showed, with its figures; empty if there was none. Computed from flags and figures, not from "holds"."""
    if not control:
        return ""
    models = control.get("models") or {}
    clean, final, name = clean_test(control), models.get(PLANTED), before_planting(control)
    if final is None or final.get("flagged") is None:
        return _NOT_JUDGED
    if not name:
        return _NO_MODEL_BEFORE
    if any("twin_flagged" in row for row in models.values()):
        return (
            "The control cannot tell whether this audit would find a leak: it was made by an earlier version, which compared the "
            "planted exercises with twins of the same wording. What a model learns of a wording helps the twin as well. Audit the "
            "run again."
        )
    if holds(models, clean, name):
        return (
            f"The control holds: the planted exercises are found in the final model (Δ1 {_planted(final)}) and not before they "
            "were planted. Those held back, the other half of one pool, which no stage read, are not flagged "
            f"(Δ1 {_heldback(final)}), and neither is the clean test split. {_pairs(final)}"
        )
    wrong = _false_alarms(models.get(name), clean)
    if final.get("flagged") and outcome(final) == UNKNOWN:
        return (
            "The control cannot tell whether this audit would find a leak: the planted exercises are flagged in the final model "
            f"(Δ1 {_planted(final)}), {_doubt(final)} {_also(wrong)}{_SAYS_LITTLE}"
        )
    if final.get("heldback_flagged"):
        wrong.insert(0, f"the held-back exercises, which no stage read, are flagged in the final model (Δ1 {_heldback(final)})")
    if not final.get("flagged"):
        wrong.insert(0, f"the planted exercises are not found in the final model (Δ1 {_planted(final)})")
    return f"The control does not hold: {'; '.join(wrong)}. {_pairs(final)} {_SAYS_LITTLE}" if wrong else _NOT_JUDGED


def _doubt(row: ControlEntry) -> str:
    """Why canaries that are flagged prove nothing: the held-back half is flagged too, or the two are not told apart."""
    other = f"the held-back exercises, which no stage read, {{}} (Δ1 {_heldback(row)})"
    if row.get("heldback_flagged") is not False:
        return f"but {other.format('are flagged too' if row.get('heldback_flagged') else 'were not judged')}. {_pairs(row)}"
    return f"and {other.format('are not')}. This by itself does not show a difference between the two. {_pairs(row)}"


def _false_alarms(before: ControlEntry | None, clean: CleanTest) -> list[str]:
    """What was flagged and should not have been, save for the held-back half in the final model."""
    found = []
    if before and before.get("flagged"):
        found.append(f"the planted exercises are flagged before they were planted (Δ1 {_planted(before)})")
    if before and before.get("heldback_flagged"):
        found.append(f"the held-back exercises are flagged before the others were planted (Δ1 {_heldback(before)})")
    if clean.before:
        found.append("clean test items are flagged before the exercises were planted")
    return [*found, "clean test items are flagged in the final model"] if clean.final else found


def _also(wrong: list[str]) -> str:
    return f"Also, {'; '.join(wrong)}. " if wrong else ""


def _pairs(row: ControlEntry) -> str:
    """The planted half against the held-back half in a sentence."""
    if row.get("flagged_paired") is None:
        return "There are too few pairs to compare the planted exercises with those held back."
    told = "have lower losses than those held back" if row["flagged_paired"] else "are not told from those held back"
    return f"The planted exercises {told} ({_interval(row.get('paired'), row.get('paired_low'), row.get('paired_high'))})."


def _planted(row: ControlEntry) -> str:
    return _interval(row.get("delta1"), row.get("delta1_low"), row.get("delta1_high"))


def _heldback(row: ControlEntry) -> str:
    return _interval(row.get("heldback_delta1"), row.get("heldback_delta1_low"), row.get("heldback_delta1_high"))


def _interval(value: Figure, low: Figure, high: Figure) -> str:
    if value is None:
        return "not measured"
    ends = f" [{low:.3f}, {high:.3f}]" if low is not None and high is not None else ""
    return f"{value:.3f}{ends}".replace("-", "−")
