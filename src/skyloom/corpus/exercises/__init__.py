"""Exercises with solutions that stand in pages: detection, and documents of their own (the STEM part, report 3.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.exercises.config import ExerciseConfig

if TYPE_CHECKING:
    from skyloom.corpus.exercises.documents import exercise_documents, judge_exercises
else:
    __getattr__ = lazy(__name__, {
        "documents": ("exercise_documents", "judge_exercises",),
    })  # fmt: skip

__all__ = ["ExerciseConfig", "exercise_documents", "judge_exercises"]
