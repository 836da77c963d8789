"""Parallel text (report 3.1): sentence alignment of the English and Chinese versions of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.bitext.config import BitextConfig

if TYPE_CHECKING:
    from skyloom.corpus.bitext.stage import align
else:
    __getattr__ = lazy(__name__, {
        "stage": ("align",),
    })  # fmt: skip

__all__ = ["BitextConfig", "align"]
