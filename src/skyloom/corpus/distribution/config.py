"""Settings of distribution filtering, by wording and by meaning."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class MeaningConfig:
    """When blocks that say one thing in many wordings recur too often."""

    minimum_units: int = setting(12, doc="shorter blocks say too little to have a meaning", unit="units", low=1)
    sample: int = setting(60_000, doc="blocks of each language that the vectors are learned from", unit="blocks", low=100)
    tables: int = setting(12, doc="hash tables; more of them find looser groups", low=1, high=64)
    bits: int = setting(
        12, doc="bits of a bucket's key; more for corpora of more than 10 million blocks", unit="bits", low=4, high=32
    )
    capacity: int = setting(1 << 17, doc="buckets that a sketch holds", unit="buckets", low=16)
    minimum_blocks: int = setting(25, doc="a group of fewer blocks never recurs too often", unit="blocks", low=2)
    similarity_en: float = setting(0.3, doc="cosine of an English block to its group's centre", low=0.0, high=1.0)
    similarity_zh: float = setting(0.3, doc="cosine of a Chinese block to its group's centre", low=0.0, high=1.0)
    tightness_en: float = setting(0.25, doc="mean cosine of two English blocks from which a group is a template", low=0.0, high=1.0)
    tightness_zh: float = setting(0.25, doc="mean cosine of two Chinese blocks from which a group is a template", low=0.0, high=1.0)
    keep: int = setting(3, doc="blocks of each group that stay", unit="blocks", low=0, high=1000)


@dataclass(frozen=True)
class DistributionConfig:
    """When a block recurs exceedingly often."""

    short_units: int = setting(20, doc="blocks of at most this length are short", unit="units", low=1)
    short_share: float = setting(0.01, doc="share of a source's documents from which a short block is furniture", low=0.0, high=1.0)
    long_share: float = setting(0.02, doc="the same for longer blocks", low=0.0, high=1.0)
    minimum_documents: int = setting(10, doc="a block in fewer documents never recurs too often", unit="documents", low=2)
    near_units: int = setting(
        40, doc="blocks with this many different pairs of units may recur with small edits", unit="pairs", low=6
    )
    corpus_documents: int = setting(
        50, doc="a long block in this many documents of the corpus recurs too often", unit="documents", low=2
    )
    corpus_sources: int = setting(2, doc="sources among which these documents must be", unit="sources", low=2)
    capacity: int = setting(
        20_000_000, doc="counts held at once, 32 bytes each; beyond it heavy hitters only", unit="rows", low=100
    )
