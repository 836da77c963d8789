"""Settings of deduplication: MinHash LSH, and repeated lines and runs."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class DedupConfig:
    """How near-duplicates are found.

    18 bands of 6 rows bring documents of similarity 0.9 together with probability 0.999998, those of 0.8 with 0.996, of 0.7
    with 0.895 and of 0.5 with 0.25. The usual 14 bands of 8 rows find 0.565 at 0.7; the threshold is where they rise.
    """

    shingle: int = setting(5, doc="length of a shingle", unit="units", low=1, high=32)
    bands: int = setting(18, doc="bands of the signature; more of them find less similar pairs", low=1, high=256)
    rows: int = setting(6, doc="permutations in each band", low=1, high=32)
    threshold: float = setting(
        0.7, doc="Jaccard similarity of shingle sets from which two documents are near-duplicates", low=0.3, high=1.0
    )


@dataclass(frozen=True)
class SpanConfig:
    """What counts as a duplicate inside documents."""

    run: int = setting(50, doc="length from which a run of units that stands elsewhere is removed", unit="units", low=8, high=1000)
    line_units: int = setting(4, doc="shorter lines are not compared", unit="units", low=1, high=1000)
    line_copies: int = setting(2, doc="places in the corpus from which a line is removed but in the first", low=2)

    @property
    def seed(self) -> int:
        """Units of a seed: half a run."""
        return self.run // 2

    @property
    def window(self) -> int:
        """Seeds of which one is picked; a seed and a window make up a run."""
        return self.run - self.seed + 1


@dataclass(frozen=True)
class RepeatsConfig(SpanConfig):
    """Lines and runs that stand more than once in the corpus."""

    repeated_lines: bool = setting(False, doc="cut lines that stand elsewhere, but for the first place")
    repeated_runs: bool = setting(False, doc="cut runs of units that stand elsewhere, but for the first place")

    @property
    def kinds(self) -> tuple[str, ...]:
        """What is looked for, of `spans_shards.KINDS`."""
        asked = {"lines": self.repeated_lines, "runs": self.repeated_runs}
        return tuple(kind for kind, wanted in asked.items() if wanted)

    @property
    def wanted(self) -> bool:
        return bool(self.kinds)
