"""Quality filtering (report 3.1): rules per language, a perplexity judge, a reference classifier, and quality groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.quality.config import QualityConfig

if TYPE_CHECKING:
    from skyloom.corpus.quality.learned.judges import count_scores, group, group_reasons, load_judges, train_judges
    from skyloom.corpus.quality.learned.quality_groups import Thresholds, fit_thresholds, merge_counts
    from skyloom.corpus.quality.learned.reference_text import cited_in_dump, is_cited, merge_cited, merge_samples, sample
    from skyloom.corpus.quality.stage import cheap_reasons, judge_quality, short_language
else:
    __getattr__ = lazy(__name__, {
        "learned.judges": ("count_scores", "group", "group_reasons", "load_judges", "train_judges",),
        "learned.quality_groups": ("Thresholds", "fit_thresholds", "merge_counts",),
        "learned.reference_text": ("cited_in_dump", "is_cited", "merge_cited", "merge_samples", "sample",),
        "stage": ("cheap_reasons", "judge_quality", "short_language",),
    })  # fmt: skip

__all__ = [
    "QualityConfig", "Thresholds", "cheap_reasons", "cited_in_dump", "count_scores", "fit_thresholds", "group", "group_reasons",
    "is_cited", "judge_quality", "load_judges", "merge_cited", "merge_counts", "merge_samples", "sample", "short_language",
    "train_judges",
]  # fmt: skip
