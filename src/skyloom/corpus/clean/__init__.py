"""The cleaning stage: all filters in order over shards of candidates, with a ledger that balances."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.clean.config import CleanConfig
from skyloom.corpus.clean.order import MEANINGS, ORDER, asked_for, check_filters, identity

if TYPE_CHECKING:
    from skyloom.corpus.clean.composition import count_mixture, merge_mixtures, mixture_json
    from skyloom.corpus.clean.funnel import EXCERPT, EXEMPT
    from skyloom.corpus.clean.stage import STAGES, clean
else:
    __getattr__ = lazy(__name__, {
        "composition": ("count_mixture", "merge_mixtures", "mixture_json",),
        "funnel": ("EXCERPT", "EXEMPT",),
        "stage": ("STAGES", "clean",),
    })  # fmt: skip

__all__ = [
    "EXCERPT", "EXEMPT", "MEANINGS", "ORDER", "STAGES", "CleanConfig", "asked_for", "check_filters", "clean", "count_mixture",
    "identity", "merge_mixtures", "mixture_json",
]  # fmt: skip
