"""The ledger: what came in is what was kept plus what was dropped, by stage, source, language and reason.

Every filter posts one entry per document, in documents and in UTF-8 bytes of text. `check` raises if a stage does not
balance; whether a stage received what the one before it kept is checked where the stages are strung together, since
sources and languages may join in between. Report 3.1 publishes no such table; without one nobody can tell what a corpus
lost, and why.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TypedDict

from skyloom.core.errors import IntegrityError

KEPT = ""


class LedgerJson(TypedDict):
    """A ledger on disk: rows of the keys of a cell followed by its documents and bytes."""

    intake: list[list[str | int]]
    counts: list[list[str | int]]


@dataclass(frozen=True)
class LedgerEntry:
    """One line of a stage: `reason` is empty for what was kept. `documents` and `bytes` are counts."""

    stage: str
    source: str
    lang: str
    reason: str
    documents: int
    bytes: int


@dataclass
class Ledger:
    """Counts of documents and bytes per (stage, source, lang, reason); addable across shards and processes."""

    counts: dict[tuple[str, str, str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    intake: dict[tuple[str, str, str], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))

    def enter(self, stage: str, source: str, lang: str, documents: int, size: int) -> None:
        """Documents and bytes that a stage received."""
        cell = self.intake[stage, source, lang]
        cell[0] += documents
        cell[1] += size

    def post(self, stage: str, source: str, lang: str, reason: str, documents: int, size: int) -> None:
        """Documents and bytes that a stage kept (`reason` empty) or dropped for `reason`."""
        cell = self.counts[stage, source, lang, reason]
        cell[0] += documents
        cell[1] += size

    def add(self, other: Ledger) -> None:
        for (stage, source, lang), (documents, size) in other.intake.items():
            self.enter(stage, source, lang, documents, size)
        for (stage, source, lang, reason), (documents, size) in other.counts.items():
            self.post(stage, source, lang, reason, documents, size)

    def entries(self) -> list[LedgerEntry]:
        return [LedgerEntry(*key, documents=cell[0], bytes=cell[1]) for key, cell in sorted(self.counts.items())]

    def stages(self) -> list[str]:
        """Stages in the order in which they were first posted."""
        return list(dict.fromkeys(key[0] for key in [*self.intake, *self.counts]))

    def totals(self, stage: str) -> dict[str, tuple[int, int]]:
        """(documents, bytes) of a stage by reason, over all sources and languages; "" is what was kept."""
        result: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        for (name, _, _, reason), cell in self.counts.items():
            if name == stage:
                result[reason][0] += cell[0]
                result[reason][1] += cell[1]
        return {reason: (cell[0], cell[1]) for reason, cell in sorted(result.items())}

    def check(self) -> None:
        """IntegrityError unless in = kept + dropped for each stage, source and language, in documents and in bytes."""
        spent: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        for (stage, source, lang, _), cell in self.counts.items():
            spent[stage, source, lang][0] += cell[0]
            spent[stage, source, lang][1] += cell[1]
        for key in sorted(set(spent) | set(self.intake)):
            came, went = self.intake.get(key, [0, 0]), spent.get(key, [0, 0])
            if list(came) != list(went):
                stage, source, lang = key
                raise IntegrityError(
                    f"the ledger does not balance at {stage} ({source}, {lang or 'no language'}): "
                    f"in {came[0]} documents, {came[1]} bytes; kept and dropped {went[0]} documents, {went[1]} bytes"
                )

    def to_json(self) -> LedgerJson:
        return {
            "intake": [[*key, *cell] for key, cell in self.intake.items()],
            "counts": [[*key, *cell] for key, cell in self.counts.items()],
        }

    @staticmethod
    def from_json(value: LedgerJson) -> Ledger:
        ledger = Ledger()
        for stage, source, lang, documents, size in value["intake"]:
            ledger.enter(str(stage), str(source), str(lang), int(documents), int(size))
        for stage, source, lang, reason, documents, size in value["counts"]:
            ledger.post(str(stage), str(source), str(lang), str(reason), int(documents), int(size))
        return ledger
