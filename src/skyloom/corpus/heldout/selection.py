"""Selection of held-out documents over all shards: each shard proposes, one merge chooses, each shard looks for near-copies.

Input: columns of one shard. Output: a small `Proposal` for each shard, the chosen ids, and a mark for every document that is
near a chosen one. The rules of choice and nearness are in nearness.py. A proposal holds at most `maximum` ids for each domain,
so the merge is as small as the number of shards times that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.records import record_id
from skyloom.core.units import hash_units
from skyloom.corpus.candidates import origin_is
from skyloom.corpus.dedup import sequence_hashes
from skyloom.corpus.heldout.config import LARGEST_PART, HeldoutChoiceConfig
from skyloom.corpus.heldout.nearness import HeldoutIndex


class ProposalJson(TypedDict):
    """A `Proposal` on disk."""

    counts: dict[str, int]
    ranked: dict[str, list[tuple[str, str]]]
    settled: list[str]


@dataclass(frozen=True)
class Proposal:
    """Of one shard. `counts`: documents by domain; `ranked`: by domain the (hash, id) of those with the smallest hashes;
    `settled`: domains that came with a held-out part of their own (exercises), of which nothing more is chosen."""

    counts: dict[str, int]
    ranked: dict[str, list[tuple[str, str]]]
    settled: tuple[str, ...]

    def to_json(self) -> ProposalJson:
        return {"counts": self.counts, "ranked": self.ranked, "settled": list(self.settled)}

    @staticmethod
    def from_json(value: ProposalJson) -> Proposal:
        ranked = {domain: [(rank, name) for rank, name in rows] for domain, rows in value["ranked"].items()}
        return Proposal(value["counts"], ranked, tuple(value["settled"]))


def propose_heldout(table: pa.Table, config: HeldoutChoiceConfig) -> Proposal:
    """The proposal of a shard with the columns id, domain and split."""
    members: dict[str, list[tuple[str, str]]] = {}
    for name, domain in zip(table.column("id").to_pylist(), table.column("domain").to_pylist(), strict=True):
        members.setdefault(domain, []).append((record_id(f"held out {config.seed}", name), name))
    settled = pc.unique(table.filter(pc.equal(table.column("split"), "valid")).column("domain")).to_pylist()
    ranked = {domain: sorted(rows)[: config.maximum] for domain, rows in sorted(members.items())}
    return Proposal({d: len(rows) for d, rows in sorted(members.items())}, ranked, tuple(sorted(settled)))


def choose(proposals: Iterable[Proposal], config: HeldoutChoiceConfig) -> frozenset[str]:
    """Ids of the documents that are held out: of each domain a share of them with the smallest hashes, within bounds."""
    counts: dict[str, int] = {}
    ranked: dict[str, list[tuple[str, str]]] = {}
    settled: set[str] = set()
    for proposal in proposals:
        settled.update(proposal.settled)
        for domain, count in proposal.counts.items():
            counts[domain] = counts.get(domain, 0) + count
            ranked[domain] = sorted(ranked.get(domain, []) + proposal.ranked[domain])[: config.maximum]
    chosen: set[str] = set()
    for domain, rows in ranked.items():
        if domain not in settled:
            whole = counts[domain]
            wanted = min(max(round(config.share * whole), config.minimum), config.maximum, whole // LARGEST_PART)
            chosen.update(name for _, name in rows[:wanted])
    return frozenset(chosen)


def held(table: pa.Table, chosen: frozenset[str]) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents that are held out, chosen or given."""
    given = np.asarray(pc.equal(table.column("split"), "valid").to_numpy(zero_copy_only=False), bool)
    ids = pa.array(sorted(chosen), pa.string())
    chosen_here = np.asarray(pc.is_in(table.column("id"), value_set=ids).to_numpy(zero_copy_only=False), bool)
    return np.asarray(given | chosen_here)


REFERENCE = ("id", "text", "origin", "cluster")
"""Columns of the held-out documents that copies are looked for with."""


class Copies:
    """All held-out documents of the corpus, ready to be looked for in any shard; nearness.py has the rules.

    `references`: a table with the columns REFERENCE. Memory: 20 bytes for each n-gram of the held-out documents.
    """

    def __init__(self, references: pa.Table, config: HeldoutChoiceConfig) -> None:
        exercise, text = origin_is(references, "exercise"), references.column("text")
        prose = text.filter(pa.array(~exercise))
        self.config = config
        self.clusters = pc.unique(references.column("cluster").combine_chunks())
        self.questions = sequence_hashes(hash_units(text.filter(pa.array(exercise))))[:, 0]
        self.all = HeldoutIndex(text) if len(text) else None
        self.prose = HeldoutIndex(prose) if len(prose) else None

    def near(self, table: pa.Table, mine: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """bool[rows]: training documents of a shard near a held-out document. `mine`: bool[rows], its own held-out ones."""
        known = pc.is_in(table.column("cluster"), value_set=self.clusters)
        result = np.asarray(known.to_numpy(zero_copy_only=False), bool) & ~mine
        exercise, text = origin_is(table, "exercise"), table.column("text")
        items = np.flatnonzero(exercise & ~mine)
        keys = sequence_hashes(hash_units(text.take(pa.array(items))))[:, 0]
        result[items] |= np.isin(keys, self.questions)
        for rows, index in ((np.flatnonzero(~exercise & ~mine), self.all), (items, self.prose)):
            if index is not None and len(rows):
                result[rows] |= index.near(text.take(pa.array(rows)), self.config.contained)
        return result
