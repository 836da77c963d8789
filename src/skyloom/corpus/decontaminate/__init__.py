"""Benchmark decontamination: n-gram search for benchmark items in the corpus, with the spans that match."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.decontaminate.config import DecontaminationConfig

if TYPE_CHECKING:
    from skyloom.corpus.decontaminate.command import (
        MATCHES,
        CorpusLeaks,
        CorpusSearch,
        LeakCountRow,
        count_leaks,
        matches_of,
        search_corpus,
    )
    from skyloom.corpus.decontaminate.item_index import ItemIndex, build_index, count_documents, judge_contamination, merge_counts
    from skyloom.corpus.decontaminate.item_sets import files_of, given_items, items_table, read_benchmarks, read_items
else:
    __getattr__ = lazy(__name__, {
        "command": ("MATCHES", "CorpusLeaks", "CorpusSearch", "LeakCountRow", "count_leaks", "matches_of", "search_corpus",),
        "item_index": ("ItemIndex", "build_index", "count_documents", "judge_contamination", "merge_counts",),
        "item_sets": ("files_of", "given_items", "items_table", "read_benchmarks", "read_items",),
    })  # fmt: skip

__all__ = [
    "MATCHES", "CorpusLeaks", "CorpusSearch", "DecontaminationConfig", "ItemIndex", "LeakCountRow", "build_index",
    "count_documents", "count_leaks", "files_of", "given_items", "items_table", "judge_contamination", "matches_of", "merge_counts",
    "read_benchmarks", "read_items", "search_corpus",
]  # fmt: skip
