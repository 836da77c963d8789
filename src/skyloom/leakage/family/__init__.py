"""A family of clean models, beside which a suspect's gap is judged: its file, its making, and the rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.leakage.family.family_file import (
        NOT_KNOWN,
        FamilyHead,
        FamilyRow,
        MemberCosts,
        ModelFamily,
        family_of,
        read_family,
        write_family,
    )
    from skyloom.leakage.family.family_rule import FamilyFinding, judge_family, judge_member, predict
    from skyloom.leakage.family.family_run import FamilyRequest, SetTexts, ready, suspect_rows, write_family_of
else:
    __getattr__ = lazy(__name__, {
        "family_file": ("NOT_KNOWN", "FamilyHead", "FamilyRow", "MemberCosts", "ModelFamily", "family_of", "read_family",
            "write_family",),
        "family_rule": ("FamilyFinding", "judge_family", "judge_member", "predict",),
        "family_run": ("FamilyRequest", "SetTexts", "ready", "suspect_rows", "write_family_of",),
    })  # fmt: skip

__all__ = [
    "NOT_KNOWN",
    "FamilyFinding",
    "FamilyHead",
    "FamilyRequest",
    "FamilyRow",
    "MemberCosts",
    "ModelFamily",
    "SetTexts",
    "family_of",
    "judge_family",
    "judge_member",
    "predict",
    "read_family",
    "ready",
    "suspect_rows",
    "write_family",
    "write_family_of",
]  # fmt: skip
