"""Perplexity of any model on any documents (report 4, Table 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.evaluate.texts.measure import DISJOINT, ROLLING, Scoring
    from skyloom.evaluate.texts.perplexity_run import NONE, THIRD, Asked, PerplexityJson, perplexity
    from skyloom.evaluate.texts.text_sets import Texts, as_set, read_sets
else:
    __getattr__ = lazy(__name__, {
        "measure": ("DISJOINT", "ROLLING", "Scoring",),
        "perplexity_run": ("Asked", "NONE", "PerplexityJson", "THIRD", "perplexity",),
        "text_sets": ("Texts", "as_set", "read_sets",),
    })  # fmt: skip

__all__ = [
    "DISJOINT", "NONE", "ROLLING", "THIRD", "Asked", "PerplexityJson", "Scoring", "Texts", "as_set", "perplexity", "read_sets",
]  # fmt: skip
