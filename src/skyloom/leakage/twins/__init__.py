"""Twins of a benchmark's items: the same wording with other numbers and names, made offline, in English and Chinese."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.leakage.twins.calculator_notes import read_notes
    from skyloom.leakage.twins.number_draws import NumberPool
    from skyloom.leakage.twins.number_twins import SolvedTwin, solved_twin
    from skyloom.leakage.twins.people_names import names_in
    from skyloom.leakage.twins.question_twins import QuestionTwin, question_twin
    from skyloom.leakage.twins.twins_run import QUESTION_ONLY, TwinsOutcome, TwinsReport, make_twins, write_twins
else:
    __getattr__ = lazy(__name__, {
        "calculator_notes": ("read_notes",),
        "number_draws": ("NumberPool",),
        "number_twins": ("SolvedTwin", "solved_twin",),
        "people_names": ("names_in",),
        "question_twins": ("QuestionTwin", "question_twin",),
        "twins_run": ("QUESTION_ONLY", "TwinsOutcome", "TwinsReport", "make_twins", "write_twins",),
    })  # fmt: skip

__all__ = [
    "QUESTION_ONLY",
    "NumberPool",
    "QuestionTwin",
    "SolvedTwin",
    "TwinsOutcome",
    "TwinsReport",
    "make_twins",
    "names_in",
    "question_twin",
    "read_notes",
    "solved_twin",
    "write_twins",
]  # fmt: skip
