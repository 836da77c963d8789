"""Settings of the cleaning stage, filter by filter, and what its phases have in common."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.corpus.clean.order import ORDER, Plan, check_order, plan
from skyloom.corpus.code import CodeConfig
from skyloom.corpus.decontaminate import DecontaminationConfig
from skyloom.corpus.dedup import DedupConfig, RepeatsConfig
from skyloom.corpus.distribution import (
    DistributionConfig,
    MeaningConfig,
)
from skyloom.corpus.exercises import ExerciseConfig
from skyloom.corpus.filters import OwnFilter
from skyloom.corpus.heldout import HeldoutChoiceConfig
from skyloom.corpus.lists import ListsConfig
from skyloom.corpus.quality import QualityConfig
from skyloom.corpus.redact import RedactConfig
from skyloom.corpus.sources import SourcePolicy


@dataclass(frozen=True)
class FoundConfig(ExerciseConfig):
    """Exercises with solutions that stand in pages."""

    wanted: bool = setting(True, doc="split exercises off the pages that they make up, as documents of the category stem")


@dataclass(frozen=True)
class RecurringConfig(MeaningConfig):
    """Templates and spun text: blocks that say one thing in many wordings."""

    wanted: bool = setting(False, doc="take out blocks that recur in meaning; documentation and laws lose text of their own")


@dataclass(frozen=True)
class CleanConfig:
    """Settings of the clean stage, filter by filter. `order` and `lists` are part of a step's identity by `order.identity`, so
    that a usual recipe names no step anew."""

    order: tuple[str, ...] = setting(
        ORDER, doc="the filters in their order; it can be shortened, and reordered within limits", choices=ORDER, identity=False
    )
    lists: ListsConfig = setting(factory=ListsConfig, doc="pages by host and URL", identity=False)
    quality: QualityConfig = setting(factory=QualityConfig, doc="rules and quality filters")
    duplicates: DedupConfig = setting(factory=DedupConfig, doc="near-duplicates")
    distribution: DistributionConfig = setting(factory=DistributionConfig, doc="recurring blocks")
    found_exercises: FoundConfig = setting(factory=FoundConfig, doc="exercises found in pages")
    meaning: RecurringConfig = setting(factory=RecurringConfig, doc="blocks that recur in meaning")
    repeats: RepeatsConfig = setting(factory=RepeatsConfig, doc="lines and runs that stand in several documents")
    code: CodeConfig = setting(factory=CodeConfig, doc="code heuristics")
    redact: RedactConfig = setting(factory=RedactConfig, doc="personal data")
    decontaminate: DecontaminationConfig = setting(
        factory=DecontaminationConfig, doc="benchmarks whose items must not be trained on"
    )
    heldout_documents: HeldoutChoiceConfig = setting(factory=HeldoutChoiceConfig, doc="held-out documents")
    memory_gb: float = setting(
        4.0, doc="memory for finding duplicates; beyond it they are shuffled on disk", unit="GB", low=0.1, identity=False
    )
    minimum_documents: int = setting(100, doc="fewest training documents from pages that are a corpus", unit="documents", low=1)
    shard_bytes: int = setting(64 << 20, doc="text in one shard of documents", unit="bytes", low=1 << 10, high=1 << 29)
    examples: int = setting(5, doc="examples kept for each domain and for each reason", low=0)

    def __post_init__(self) -> None:
        wanted = {**self.asked, "distribution": self.meaning.wanted, "exercises": False}
        check_order(self.order, [name for name, asked in wanted.items() if asked])

    @property
    def asked(self) -> dict[str, bool]:
        """Of the filters that run only where settings ask for them: whether they do."""
        return {
            "lists": self.lists.wanted,
            "exercises": self.found_exercises.wanted,
            "repeats": self.repeats.wanted,
            "groups": self.quality.judges.wanted,
            "decontamination": bool(self.decontaminate.sets),
        }


@dataclass(frozen=True)
class CleanJob:
    """What every task is told. `own`: the filters of one's own, in the order of the recipe."""

    config: CleanConfig
    policies: dict[str, SourcePolicy]
    own: tuple[OwnFilter, ...] = ()

    @property
    def plan(self) -> Plan:
        """The filters of each phase."""
        return plan(self.config.order, self.own, repeats=self.config.repeats.wanted)

    @property
    def decontaminates(self) -> bool:
        """Whether benchmark items are looked for."""
        return bool(self.config.decontaminate.sets)

    @property
    def phases(self) -> tuple[str, ...]:
        """Phases that drop documents, before the last."""
        asked = {"prepared": True, "passed": bool(self.plan.passed), "judged": True, "cut": self.config.repeats.wanted}
        return tuple(name for name, there in asked.items() if there)

    @property
    def before(self) -> str:
        """The phase whose shards the last one reads."""
        return self.phases[-1]
