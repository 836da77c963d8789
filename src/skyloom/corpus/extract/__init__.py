"""Structural extraction (report 3.1): the contiguous passages of HTML pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.extract.config import ExtractConfig

if TYPE_CHECKING:
    from skyloom.corpus.extract.column import extract_column
    from skyloom.corpus.extract.command import extract_files
    from skyloom.corpus.extract.own_extractor import extractor_identity
    from skyloom.corpus.extract.stage import BROKEN_PAGE, extract, extract_html, extract_pages, page_texts
else:
    __getattr__ = lazy(__name__, {
        "column": ("extract_column",),
        "command": ("extract_files",),
        "own_extractor": ("extractor_identity",),
        "stage": ("BROKEN_PAGE", "extract", "extract_html", "extract_pages", "page_texts",),
    })  # fmt: skip

__all__ = [
    "BROKEN_PAGE", "ExtractConfig", "extract", "extract_column", "extract_files", "extract_html", "extract_pages",
    "extractor_identity", "page_texts",
]  # fmt: skip
