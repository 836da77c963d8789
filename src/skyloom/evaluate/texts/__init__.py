"""Perplexity of any model on any documents (report 4, Table 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.evaluate.texts.perplexity_run import (
        DOCUMENTS,
        NONE,
        TABLE,
        THIRD,
        PerplexityJson,
        PerplexityRequest,
        named,
        perplexity,
    )
    from skyloom.evaluate.texts.text_scores import DISJOINT, ROLLING, Scoring, TextRow, check_numbers, nats_of, token_parts
    from skyloom.evaluate.texts.text_sets import Texts, as_set, read_sets
else:
    __getattr__ = lazy(__name__, {
        "text_scores": ("DISJOINT", "ROLLING", "Scoring", "TextRow", "check_numbers", "nats_of", "token_parts",),
        "perplexity_run": ("DOCUMENTS", "TABLE", "PerplexityRequest", "NONE", "PerplexityJson", "THIRD", "named", "perplexity",),
        "text_sets": ("Texts", "as_set", "read_sets",),
    })  # fmt: skip

__all__ = [
    "DISJOINT",
    "DOCUMENTS",
    "NONE",
    "ROLLING",
    "TABLE",
    "THIRD",
    "PerplexityJson",
    "PerplexityRequest",
    "Scoring",
    "TextRow",
    "Texts",
    "as_set",
    "check_numbers",
    "named",
    "nats_of",
    "perplexity",
    "read_sets",
    "token_parts",
]  # fmt: skip
