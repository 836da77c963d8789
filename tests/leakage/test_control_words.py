"""The control in words: canaries count as found only where the half held back is not flagged and the two halves differ."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from skyloom.core.json_files import ControlEntry, LeakageControl
from skyloom.leakage.control_words import (
    FOUND,
    NOT_FOUND,
    CleanTest,
    before_planting,
    clean_test,
    flags,
    holds,
    outcome,
    reason,
    sentence,
)
from skyloom.leakage.verdict import UNKNOWN

Gap = tuple[float, float | None, float | None]
NO_SIGN: Gap = (0.0, -0.1, 0.1)
SEEN: Gap = (-0.6, -0.7, -0.5)
CLEAN = CleanTest(False, False)


def flagged(gap: Gap) -> bool | None:
    return None if gap[2] is None else gap[2] < 0


def row(canary: Gap = NO_SIGN, heldback: Gap = NO_SIGN, pairs: Gap = NO_SIGN) -> Any:
    """A model's row of the control."""
    none: Gap = (1.0, None, None)
    figures = {"L_canary": none, "L_heldback": none, "L_ref": none, "delta1": canary, "heldback_delta1": heldback, "paired": pairs}
    ends = {f"{name}{end}": gap[place] for name, gap in figures.items() for place, end in enumerate(("", "_low", "_high"))}
    return {
        **ends,
        "n": {"canary": 50, "heldback": 50, "ref": 416, "pairs": 50},
        "strata": {"by": "family and language", "count": 50},
        "flagged": flagged(canary),
        "heldback_flagged": flagged(heldback),
        "flagged_paired": flagged(pairs),
    }


def control(final: ControlEntry, before: ControlEntry | None = None, clean: CleanTest = CLEAN) -> Any:
    """The part "control" of leakage.json."""
    models = {"stage1": before or row(), "final": final}
    seen = {"clean_test_flagged_in_final": clean.final, "clean_test_flagged_in_stage1": clean.before}
    return {**flags(models), "models": models, **seen, "holds": holds(models, clean)}


LEAKED = row(SEEN, pairs=SEEN)
BOTH = row((-0.143, -0.216, -0.071), (-0.109, -0.176, -0.039), (-0.027, -0.068, 0.013))


def test_canaries_that_are_flagged_like_the_held_back_half_are_not_called_found() -> None:
    assert outcome(BOTH) == UNKNOWN and reason(BOTH) == "flagged, but so is the held-back half"
    found = control(BOTH)
    assert found["holds"] is False and found["heldback_flagged_in_final"] is True
    told = sentence(found)
    assert told.startswith("The control cannot tell whether this audit would find a leak")
    for figure in ("−0.143 [−0.216, −0.071]", "−0.109 [−0.176, −0.039]", "−0.027 [−0.068, 0.013]"):
        assert figure in told
    assert "are not told from those held back" in told and "holds" not in told


NOT_TOLD_APART = row((-0.096, -0.174, -0.022), (-0.061, -0.135, 0.013), (-0.033, -0.073, 0.004))
"""The planted half flagged, the other not, and no difference between the two."""


def test_one_flagged_and_the_other_not_is_no_difference_between_the_two() -> None:
    assert outcome(NOT_TOLD_APART) == UNKNOWN and reason(NOT_TOLD_APART) == "flagged, but not told from the held-back half"
    found = control(NOT_TOLD_APART)
    assert found["holds"] is False and found["pairs_flagged_in_final"] is False
    told = sentence(found)
    assert told.startswith("The control cannot tell whether this audit would find a leak") and "control holds" not in told
    for figure in (
        "−0.096 [−0.174, −0.022]",
        "are not (Δ1 −0.061 [−0.135, 0.013])",
        "from those held back (−0.033 [−0.073, 0.004])",
    ):
        assert figure in told
    assert "does not show a difference between the two" in told and told.endswith("says little here.")


def test_a_difference_on_the_other_side_or_without_an_interval_is_no_sign_of_a_leak() -> None:
    other = row((-0.3, -0.4, -0.2), NO_SIGN, (0.2, 0.1, 0.3))
    assert outcome(other) == UNKNOWN and control(other)["holds"] is False
    few = row((-0.3, -0.4, -0.2), NO_SIGN, (-0.3, None, None))
    assert (outcome(few), reason(few)) == (UNKNOWN, "flagged, but too few pairs to compare it with the held-back half")
    assert control(few)["holds"] is None and "There are too few pairs" in sentence(control(few))


def test_canaries_that_are_flagged_alone_are_found() -> None:
    final = row(SEEN, (0.01, -0.05, 0.07), (-0.61, -0.7, -0.5))
    found = control(final)
    assert (outcome(final), reason(final), found["holds"]) == (FOUND, "", True)
    told = sentence(found)
    assert (
        told.startswith("The control holds")
        and "0.010 [−0.050, 0.070]" in told
        and "have lower losses than those held back" in told
    )


def test_the_control_holds_in_one_combination_of_all() -> None:
    """Planted and difference in the final model; then what must not be flagged: held back and test in both, planted before."""
    for seen in itertools.product((True, False, None), repeat=7):
        planted, difference, held_final, test_final, planted_before, held_before, test_before = seen
        models: Any = {
            "final": {"flagged": planted, "heldback_flagged": held_final, "flagged_paired": difference},
            "stage1": {"flagged": planted_before, "heldback_flagged": held_before, "flagged_paired": True},  # published only
        }
        expected = None if None in seen else seen == (True, True, False, False, False, False, False)
        assert holds(models, CleanTest(test_before, test_final)) is expected, seen
        found: Any = {"models": models, "clean_test_flagged_in_final": test_final, "clean_test_flagged_in_stage1": test_before}
        assert sentence(found).startswith("The control holds") is (expected is True), seen


def test_the_sentence_is_computed_from_the_figures_and_not_from_what_the_file_claims() -> None:
    forged: Any = {**control(BOTH), "holds": True}
    assert sentence(forged).startswith("The control cannot tell")
    denied: Any = {**forged, "heldback_flagged_in_final": False}
    assert sentence(denied).startswith("The control cannot tell")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (control(row((-0.1, -0.2, 0.1))), "the planted exercises are not found in the final model (Δ1 −0.100 [−0.200, 0.100])"),
        (
            control(row(heldback=(-0.3, -0.4, -0.2))),
            "the held-back exercises, which no stage read, are flagged in the final model (Δ1 −0.300",
        ),
        (control(LEAKED, before=row((-0.2, -0.3, -0.1))), "flagged before they were planted (Δ1 −0.200"),
        (
            control(LEAKED, before=row(heldback=(-0.2, -0.3, -0.1))),
            "the held-back exercises are flagged before the others were planted (Δ1",
        ),
        (control(LEAKED, clean=CleanTest(False, True)), "clean test items are flagged in the final model"),
        (control(LEAKED, clean=CleanTest(True, False)), "clean test items are flagged before the exercises were planted"),
    ],
)
def test_each_way_to_fail_is_told(found: LeakageControl, told: str) -> None:
    assert found["holds"] is False
    words = sentence(found)
    assert words.startswith("The control does not hold: ") and told in words and "says little here" in words


def test_what_could_not_be_judged_is_neither_found_nor_absent() -> None:
    few = row((-0.6, None, None), (0.0, None, None), (-0.6, None, None))
    assert (outcome(few), reason(few)) == (UNKNOWN, "too few items for an interval")
    assert control(few)["holds"] is None and sentence(control(few)) == "The control could not be judged in this run."
    assert control(LEAKED)["holds"] is True and control(LEAKED, clean=CleanTest(False, None))["holds"] is None
    assert holds({"final": BOTH}, CLEAN) is None
    assert outcome(row()) == NOT_FOUND


def test_an_audit_of_an_earlier_version_cannot_tell() -> None:
    """Files of earlier versions have twins in the place of a half that was held back; the first ones have neither."""
    old = row(SEEN, pairs=SEEN)
    for key in [key for key in old if "heldback" in key]:
        del old[key]
    assert (outcome(old), reason(old)) == (UNKNOWN, "flagged, but no held-back half was judged")
    found: Any = {"models": {"stage1": old, "final": old}, "clean_test_flagged_in_final": False, "holds": True}
    assert holds(found["models"], clean_test(found)) is None
    told = sentence(found)
    assert told.startswith("The control cannot tell") and "were not judged (Δ1 not measured)" in told
    twins: Any = {**found, "models": {name: {**old, "twin_flagged": False, "twin_delta1": 0.0} for name in ("stage1", "final")}}
    assert "made by an earlier version, which compared the planted exercises with twins" in sentence(twins)


def test_the_model_before_planting_has_the_name_of_its_stage() -> None:
    """Stages are named by the recipe; without a released one before planting nothing shows that the audit sees the difference."""
    models = {"通用": row(), "final": LEAKED}
    seen = {"clean_test_flagged_in_final": False, "clean_test_flagged_in_通用": False}
    found: Any = {**flags(models, "通用"), **seen, "models": models}
    assert before_planting(found) == "通用" and found["canaries_flagged_in_通用"] is False
    assert holds(models, clean_test(found), "通用") is True and sentence(found).startswith("The control holds")
    alone: Any = {**flags({"final": LEAKED}, ""), "clean_test_flagged_in_final": False, "models": {"final": LEAKED}}
    assert before_planting(alone) == "" and holds(alone["models"], clean_test(alone), "") is None
    assert "no model was released from before the exercises were planted" in sentence(alone)


def test_no_control_has_no_sentence() -> None:
    assert sentence(None) == "" and sentence({}) == ""
