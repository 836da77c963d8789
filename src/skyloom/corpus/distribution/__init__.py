"""Distribution filtering (report 3.1): blocks that recur exceedingly often, by wording and by meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.distribution.config import DistributionConfig, MeaningConfig

if TYPE_CHECKING:
    from skyloom.corpus.distribution.arrays import pack, unpack
    from skyloom.corpus.distribution.counts import BlockCounts
    from skyloom.corpus.distribution.meaning import count_meaning, judge_meaning, merge_counts, merge_meaning, sketch_meaning
    from skyloom.corpus.distribution.meaning_groups import (
        MeaningCounts,
        MeaningDecision,
        MeaningGroups,
        MeaningSketch,
        decide,
        find_groups,
    )
    from skyloom.corpus.distribution.space import BlockSpace, fit, language_codes, merge_samples, sample_blocks
    from skyloom.corpus.distribution.wording import (
        BlockVerdict,
        frequent_blocks,
        judge_blocks,
        merge_sketches,
        sketch_blocks,
        without,
    )
else:
    __getattr__ = lazy(__name__, {
        "arrays": ("pack", "unpack",),
        "counts": ("BlockCounts",),
        "meaning": ("count_meaning", "judge_meaning", "merge_counts", "merge_meaning", "sketch_meaning",),
        "meaning_groups": ("MeaningCounts", "MeaningDecision", "MeaningGroups", "MeaningSketch", "decide", "find_groups",),
        "space": ("BlockSpace", "fit", "language_codes", "merge_samples", "sample_blocks",),
        "wording": ("BlockVerdict", "frequent_blocks", "judge_blocks", "merge_sketches", "sketch_blocks", "without",),
    })  # fmt: skip

__all__ = [
    "BlockCounts", "BlockSpace", "BlockVerdict", "DistributionConfig", "MeaningConfig", "MeaningCounts", "MeaningDecision",
    "MeaningGroups", "MeaningSketch", "count_meaning", "decide", "find_groups", "fit", "frequent_blocks", "judge_blocks",
    "judge_meaning", "language_codes", "merge_counts", "merge_meaning", "merge_samples", "merge_sketches", "pack",
    "sample_blocks", "sketch_blocks", "sketch_meaning", "unpack", "without",
]  # fmt: skip
