"""Code filtering (report 3.1): heuristics of line lengths and alphanumeric share, and a share of JSON, XML, YAML and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.code.config import CodeConfig

if TYPE_CHECKING:
    from skyloom.corpus.code.heuristics import CodeCounts, count_code, judge_code
else:
    __getattr__ = lazy(__name__, {
        "heuristics": ("CodeCounts", "count_code", "judge_code",),
    })  # fmt: skip

__all__ = ["CodeConfig", "CodeCounts", "count_code", "judge_code"]
