"""Stages by themselves on files of texts: language, quality and redaction, without a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.corpus.alone.command import FilesReport, judge_files
    from skyloom.corpus.alone.verdicts import LanguageVerdict, QualityVerdicts, Redaction, RowStage
else:
    __getattr__ = lazy(__name__, {
        "command": ("FilesReport", "judge_files",),
        "verdicts": ("LanguageVerdict", "QualityVerdicts", "Redaction", "RowStage",),
    })  # fmt: skip

__all__ = ["FilesReport", "LanguageVerdict", "QualityVerdicts", "Redaction", "RowStage", "judge_files"]
