"""What flowed through the corpus: for each stage what came in anew, what was dropped for which reason, and what went on.

Input: the two ledgers of a run. Output: a `FlowStage` for each stage, in order, in documents and in bytes, by language and by
source. What a stage received beyond what the one before kept are inflows (the sources at the first stage; parallel text and
exercises later). What it received less left between the stages without being dropped (pages that were joined into parallel
documents). Bytes are of pages up to the extraction and of their text from then on: the difference is markup, which is an
outflow of its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from skyloom.core.ledger import KEPT, Ledger
from skyloom.release.evidence import Evidence

MARKUP, BETWEEN = "markup, scripts, navigation", "left between the stages"


@dataclass
class Amount:
    """Documents and UTF-8 bytes."""

    documents: int = 0
    bytes: int = 0

    def add(self, documents: int, size: int) -> None:
        self.documents += documents
        self.bytes += size


@dataclass
class FlowStage:
    """A stage of a ledger. `inflows` are by source, `lost` by reason and language, `kept` by language; `added`: documents that the
    stage itself makes of what it split off. `lost` also holds bytes that were cut from documents that stayed (no documents)."""

    name: str
    inflows: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    lost: dict[tuple[str, str], Amount] = field(default_factory=lambda: defaultdict(Amount))
    kept: dict[str, Amount] = field(default_factory=lambda: defaultdict(Amount))
    added: Amount = field(default_factory=Amount)

    @property
    def total(self) -> Amount:
        """What goes on to the next stage."""
        return Amount(sum(a.documents for a in self.kept.values()), sum(a.bytes for a in self.kept.values()))

    @property
    def dropped(self) -> Amount:
        return Amount(sum(a.documents for a in self.lost.values()), sum(a.bytes for a in self.lost.values()))


def flow(evidence: Evidence) -> list[FlowStage]:
    """The stages of both ledgers in order; empty where there is no ledger."""
    stages: list[FlowStage] = []
    before: dict[str, Amount] | None = None
    for ledger in (evidence.extraction, evidence.cleaning):
        for name in ledger.stages() if ledger else ():
            if ledger is not None:
                stage, before = _stage(ledger, name, before, extracts=ledger is evidence.extraction)
                stages.append(stage)
    return stages


def _stage(ledger: Ledger, name: str, before: dict[str, Amount] | None, *, extracts: bool) -> tuple[FlowStage, dict[str, Amount]]:
    """The stage, and what it kept by source."""
    stage = FlowStage(name)
    came, kept = defaultdict[str, Amount](Amount), defaultdict[str, Amount](Amount)
    for (at, source, _), (documents, size) in ledger.intake.items():
        if at == name:
            came[source].add(documents, size)
    for entry in ledger.entries():
        if entry.stage != name:
            continue
        if entry.reason == KEPT:
            stage.kept[entry.lang].add(entry.documents, entry.bytes)
            kept[entry.source].add(entry.documents, entry.bytes)
        elif entry.documents < 0 or entry.bytes < 0:
            stage.added.add(-entry.documents, -entry.bytes)
        elif entry.documents or entry.bytes:
            stage.lost[entry.reason, entry.lang].add(entry.documents, entry.bytes)
    for source in came if before is None else {**before, **came}:
        had = before.get(source, Amount()) if before is not None else Amount()
        documents, size = came[source].documents - had.documents, came[source].bytes - had.bytes
        if documents > 0:
            stage.inflows[source].add(documents, max(size, 0))
        elif documents < 0:
            stage.lost[BETWEEN, ""].add(-documents, max(-size, 0))
        elif size < 0 and extracts:
            stage.lost[MARKUP, ""].add(0, -size)
    return stage, dict(kept)
