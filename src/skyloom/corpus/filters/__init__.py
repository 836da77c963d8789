"""Filters of one's own: Python functions over Arrow tables of documents, named in the recipe or by an entry point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.filters.config import FilterConfig

if TYPE_CHECKING:
    from skyloom.corpus.filters.own import COLUMNS, FilterError, OwnFilter, resolve, run_filter
else:
    __getattr__ = lazy(__name__, {
        "own": ("COLUMNS", "FilterError", "OwnFilter", "resolve", "run_filter",),
    })  # fmt: skip

__all__ = ["COLUMNS", "FilterConfig", "FilterError", "OwnFilter", "resolve", "run_filter"]
