"""The control in words: canaries count as found only where their twins, which no stage read, are not flagged and the pairs differ."""

from __future__ import annotations

from typing import Any

import pytest

from skyloom.core.json_files import ControlEntry, LeakageControl
from skyloom.leakage.control_words import FOUND, NOT_FOUND, flags, holds, outcome, reason, sentence
from skyloom.leakage.verdict import UNKNOWN

Gap = tuple[float, float | None, float | None]
NO_SIGN: Gap = (0.0, -0.1, 0.1)
SEEN: Gap = (-0.6, -0.7, -0.5)


def flagged(gap: Gap) -> bool | None:
    return None if gap[2] is None else gap[2] < 0


def row(canary: Gap = NO_SIGN, twin: Gap = NO_SIGN, pairs: Gap = NO_SIGN) -> Any:
    """A model's row of the control."""
    none: Gap = (1.0, None, None)
    figures = {"L_canary": none, "L_twin": none, "L_ref": none, "delta1": canary, "twin_delta1": twin, "paired": pairs}
    ends = {f"{name}{end}": gap[place] for name, gap in figures.items() for place, end in enumerate(("", "_low", "_high"))}
    return {
        **ends,
        "n": {"canary": 50, "twin": 50, "ref": 416, "pairs": 50},
        "strata": {"by": "family and language", "count": 50},
        "flagged": flagged(canary),
        "twin_flagged": flagged(twin),
        "flagged_paired": flagged(pairs),
    }


def control(final: ControlEntry, before: ControlEntry | None = None, clean: bool | None = False) -> Any:
    """The part "control" of leakage.json."""
    models = {"stage1": before or row(), "final": final}
    return {**flags(models), "models": models, "clean_test_flagged_in_final": clean, "holds": holds(models, clean)}


LEAKED = row(SEEN, pairs=SEEN)
PUBLISHED = row((-0.143, -0.216, -0.071), (-0.109, -0.176, -0.039), (-0.027, -0.068, 0.013))
"""A run whose card said "found": the twins are flagged as well."""


def test_canaries_that_are_flagged_like_their_twins_are_not_called_found() -> None:
    assert outcome(PUBLISHED) == UNKNOWN and reason(PUBLISHED) == "flagged, but so are their twins"
    found = control(PUBLISHED)
    assert found["holds"] is False and found["twins_flagged_in_final"] is True
    told = sentence(found)
    assert told.startswith("The control cannot tell whether this audit would find a leak")
    for figure in ("−0.143 [−0.216, −0.071]", "−0.109 [−0.176, −0.039]", "−0.027 [−0.068, 0.013]"):
        assert figure in told
    assert "are not told from their twins" in told and "holds" not in told


NOT_TOLD_APART = row((-0.096, -0.174, -0.022), (-0.061, -0.135, 0.013), (-0.033, -0.073, 0.004))
"""A run whose audit said "found": canaries flagged, twins not, and item by item no difference between the two."""


def test_one_flagged_and_the_other_not_is_no_difference_between_the_two() -> None:
    assert outcome(NOT_TOLD_APART) == UNKNOWN and reason(NOT_TOLD_APART) == "flagged, but not told item by item from their twins"
    found = control(NOT_TOLD_APART)
    assert found["holds"] is False and found["pairs_flagged_in_final"] is False
    told = sentence(found)
    assert told.startswith("The control cannot tell whether this audit would find a leak") and "control holds" not in told
    for figure in ("−0.096 [−0.174, −0.022]", "are not (Δ1 −0.061 [−0.135, 0.013])", "from their twins (−0.033 [−0.073, 0.004])"):
        assert figure in told
    assert "does not show a difference between the two" in told and told.endswith("says little here.")


def test_a_difference_on_the_other_side_or_without_an_interval_is_no_sign_of_a_leak() -> None:
    other = row((-0.3, -0.4, -0.2), NO_SIGN, (0.2, 0.1, 0.3))
    assert outcome(other) == UNKNOWN and control(other)["holds"] is False
    few = row((-0.3, -0.4, -0.2), NO_SIGN, (-0.3, None, None))
    assert (outcome(few), reason(few)) == (UNKNOWN, "flagged, but too few pairs to compare them with their twins")
    assert control(few)["holds"] is None and "There are too few pairs" in sentence(control(few))


def test_canaries_that_are_flagged_alone_are_found() -> None:
    final = row(SEEN, (0.01, -0.05, 0.07), (-0.61, -0.7, -0.5))
    found = control(final)
    assert (outcome(final), reason(final), found["holds"]) == (FOUND, "", True)
    told = sentence(found)
    assert told.startswith("The control holds") and "0.010 [−0.050, 0.070]" in told and "have lower losses than their twins" in told


def test_the_sentence_is_computed_from_the_figures_and_not_from_what_the_file_claims() -> None:
    forged: Any = {**control(PUBLISHED), "holds": True}
    assert sentence(forged).startswith("The control cannot tell")
    denied: Any = {**forged, "twins_flagged_in_final": False}
    assert sentence(denied).startswith("The control cannot tell")


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (control(row((-0.1, -0.2, 0.1))), "the planted exercises are not found in the final model (Δ1 −0.100 [−0.200, 0.100])"),
        (control(row(twin=(-0.3, -0.4, -0.2))), "their twins, which no stage read, are flagged in the final model (Δ1 −0.300"),
        (control(LEAKED, before=row((-0.2, -0.3, -0.1))), "flagged before they were planted (Δ1 −0.200"),
        (control(LEAKED, before=row(twin=(-0.2, -0.3, -0.1))), "their twins are flagged before the exercises were planted (Δ1"),
        (
            control(LEAKED, before=row(pairs=(-0.2, -0.3, -0.1))),
            "than their twins before they were planted (−0.200 [−0.300, −0.100])",
        ),
        (control(LEAKED, clean=True), "clean test items are flagged too"),
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
    assert control(LEAKED)["holds"] is True and control(LEAKED, clean=None)["holds"] is None
    assert holds({"final": PUBLISHED}, False) is None
    assert outcome(row()) == NOT_FOUND


def test_an_audit_without_the_negative_control_cannot_tell() -> None:
    """Files of earlier versions have no figures of the twins."""
    old = row(SEEN, pairs=SEEN)
    for key in ("twin_delta1", "twin_delta1_low", "twin_delta1_high", "twin_flagged", "L_twin"):
        del old[key]
    assert (outcome(old), reason(old)) == (UNKNOWN, "flagged, but their twins were not judged")
    assert holds({"stage1": old, "final": old}, False) is None
    told = sentence({"models": {"stage1": row(), "final": old}, "clean_test_flagged_in_final": False, "holds": True})
    assert told.startswith("The control cannot tell") and "were not judged (Δ1 not measured)" in told


def test_no_control_has_no_sentence() -> None:
    assert sentence(None) == "" and sentence({}) == ""
