"""Payloads and results of the phases of cleaning: what a task is given, and what it tells the stage.

Results are JSON in the receipts of the engine; a run that goes on reads them back as these classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypedDict, TypeVar

from skyloom.core.engine import Task
from skyloom.core.ledger import LedgerJson
from skyloom.corpus.clean.config import CleanJob
from skyloom.corpus.heldout import ProposalJson

T = TypeVar("T")


class MixtureCount(TypedDict, total=False):
    """A row of the counts of composition.py: keys, sums, and in the end its share."""

    split: str
    language: str
    category: str
    domain: str
    documents: int
    bytes: int
    units: int
    share: float


@dataclass(frozen=True)
class PhaseInput(Generic[T]):
    """The payload of a phase's task: the job, and what of it the task does (the key of a shard, the keys of all, …)."""

    job: CleanJob
    part: T


@dataclass(frozen=True)
class HeldoutPart:
    """A shard, and the ids of the documents that are held out, of all shards."""

    key: str
    chosen: frozenset[str]


@dataclass(frozen=True)
class NumberedPart:
    """A shard with its number."""

    number: int
    key: str


@dataclass(frozen=True)
class ShardGroup:
    """Shards that are published together, with the number of their group."""

    number: int
    keys: list[str]


ShardTask = Task[PhaseInput[str]]
AllShardsTask = Task[PhaseInput[list[str]]]


@dataclass(frozen=True)
class Posted:
    """The result of a phase that drops documents: what it adds to the ledger."""

    ledger: LedgerJson


@dataclass(frozen=True)
class Prepared(Posted):
    """The result of the rules: documents that came, and of them the training pages."""

    came: int
    pages: int


@dataclass(frozen=True)
class Sized(Posted):
    """The result of a phase after which shards are put together: bytes of text that are left."""

    bytes: int


@dataclass(frozen=True)
class FoundCounts:
    """Of a shard: languages by source, all domains, and the domains with held-out documents."""

    languages: dict[str, list[str]]
    domains: list[str]
    held: list[str]


@dataclass(frozen=True)
class Finished(Posted):
    """The result of the last phase: training `pages`, counts (COUNTS of composition.py), personal data by kind, and examples."""

    pages: int
    mixture: list[MixtureCount]
    redaction: dict[str, int]
    found: FoundCounts
    kept: list[dict[str, str]]
    lost: list[dict[str, str]]


@dataclass(frozen=True)
class Proposed:
    """The result of `propose`: what of a shard may be held out."""

    proposal: ProposalJson
