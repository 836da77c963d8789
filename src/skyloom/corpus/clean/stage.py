"""The clean stage: extracted pages, parallel text and exercises become the corpus, through named filters in the recipe's order.

Input: three stores. Output: `documents-NNNNN-NNN.parquet` with a held-out part, `dropped-…` with stage and reason for every
document that did not stay, `blocks.parquet` (the recurring blocks), the ledger, the mixture and examples (docs/design.md).
phases.py holds what each phase does with a shard.

The usual order of the filters, and why (report 3.1 has the same boxes in its figure); order.py says what may change; those in
brackets where the recipe asks for them (lists of hosts and URLs come before all):

1. rules            cheap, so that nothing after it sees debris
2. exact-duplicates before anything that compares
3. near-duplicates  before blocks are counted, or the blocks of a page that came five times would seem to recur
4. exercises        pages that are exercises leave as pages and come back one by one
5. distribution     recurring blocks leave the documents, which changes what quality is measured on
6. quality          prose by the rules, code by heuristics
7. [repeats]        lines and runs of units that another document has, too
8. [groups]         prose by the judges that were trained on reference text
9. [decontamination] items of the benchmarks that the recipe names
10. redaction       on what will stay, so that its counts are those of the corpus
11. held-out        last: the held-out documents are of the same make as the training ones, and no copy of them remains

The work goes over shards, each a task of the engine (a process here, a Ray task or a Slurm job on a cluster), in phases.
Between the phases stand only small tables that were counted over all shards:

    prepare  rules                                    →  keys of duplicates
    count    (what the duplicates leave)              →  how often blocks recur, bytes of data formats
    judge    duplicates, exercises, distribution, quality →  quantiles of the scores, candidates to hold out
    [cut     repeats]
    finish   groups, decontamination, redaction, held-out
    publish  the final shards

Pages whose extraction set a reason are in the ledger of that stage and are not counted here. Generated exercises are
variations by intent: no filter from exact-duplicates to groups judges them. Parallel text quotes pages, so the filters from
exercises to groups do not judge it.

Memory: of each worker a shard four times over (text, blocks, what they become, and hashed units); beside it what the packages dedup
and distribution state for the counted tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import pyarrow as pa

from skyloom.core.engine import Engine, Task, TaskFunction
from skyloom.core.errors import DataError
from skyloom.core.ledger import Ledger
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus import candidates
from skyloom.corpus.candidates import CandidateShard
from skyloom.corpus.clean import learned, outputs, phases
from skyloom.corpus.clean.composition import COUNTS as MIXTURE
from skyloom.corpus.clean.composition import merge_mixtures, mixture_json
from skyloom.corpus.clean.config import CleanConfig, CleanJob
from skyloom.corpus.clean.funnel import check_chain
from skyloom.corpus.clean.gates import HELDOUT, ITEMS
from skyloom.corpus.clean.phase_results import (
    Finished,
    HeldoutPart,
    NumberedPart,
    PhaseInput,
    Posted,
    Prepared,
    Proposed,
    ShardGroup,
    Sized,
)
from skyloom.corpus.clean.phases import WORK
from skyloom.corpus.decontaminate import build_index, merge_counts, read_items
from skyloom.corpus.dedup import Columns, exact_duplicates_of, find_repeats, near_duplicates_of
from skyloom.corpus.filters import OwnFilter
from skyloom.corpus.heldout import Proposal, choose
from skyloom.corpus.redact import KINDS
from skyloom.corpus.sources import SourcePolicy

__all__ = ["STAGES", "CleanConfig", "clean"]

T = TypeVar("T")
R = TypeVar("R")

STAGES = ("rules", "exact-duplicates", "near-duplicates", "exercises", "distribution", "quality", "redaction", "held-out")
"""The filters of every corpus; "repeats", "groups" and "decontamination" stand before redaction where the recipe asks for them, and
"exercises" is left out where it does not."""


def clean(
    extracted: Store,
    parallel: Store,
    exercises: Store,
    out: Store,
    config: CleanConfig,
    policies: Mapping[str, SourcePolicy],
    *,
    engine: Engine,
    progress: Progress,
    own: Sequence[OwnFilter] = (),
) -> None:
    """Write the corpus to `out`; see the module's docstring for the filters and phases, docs/design.md for the files.

    `own`: filters of one's own, each after the built-in one that it names.

    What is written does not depend on the engine. Raises DataError when too few documents come in or remain, IntegrityError
    when the ledger does not balance.
    """
    found = candidates.shards(extracted, parallel, exercises)
    stage = _Clean(CleanJob(config, dict(policies), tuple(own)), found, out, engine, progress)
    prepared = stage.map(phases.prepare, found, "rules", result=Prepared)
    came = sum(r.pages for r in prepared)
    if not sum(r.came for r in prepared):
        raise DataError(f"no document came out of extraction ({extracted.root}): check the sources and the extraction ledger")
    stage.duplicates()
    if stage.job.plan.passed:
        stage.map(phases.pass_own, stage.keys, "filters of one's own", result=Posted)
    stage.finish(came, stage.judge())
    engine.discard(out, WORK)


@dataclass
class _Clean:
    """The stage in progress: `keys` number the shards of candidates, `ledger` sums up what their tasks posted."""

    job: CleanJob
    shards: list[CandidateShard]
    out: Store
    engine: Engine
    progress: Progress
    ledger: Ledger = field(default_factory=Ledger)

    @property
    def keys(self) -> list[str]:
        return [f"{k:05d}" for k in range(len(self.shards))]

    @property
    def work(self) -> Store:
        return self.out.child(WORK, sync=False)

    def map(
        self,
        function: TaskFunction[PhaseInput[T], R],
        parts: Sequence[T],
        label: str,
        store: Store | None = None,
        *,
        result: type[R] | None = None,
    ) -> list[R]:
        """Run a phase over all shards (or `parts` that are groups of them) and add up what it posted."""
        tasks = [Task(f"{k:05d}", PhaseInput(self.job, part)) for k, part in enumerate(parts)]
        results = self.engine.map(function, tasks, store or self.work, progress=self.progress, label=label, result=result)
        before = set(self.ledger.stages())
        for found in results:
            if isinstance(found, Posted):
                self.ledger.add(Ledger.from_json(found.ledger))
        for name in self.ledger.stages():
            if name not in before:
                kept = self.ledger.totals(name).get("", (0, 0))
                self.progress.log(f"  {name}: {kept[0]:,} documents with {kept[1] / 1e6:,.1f} MB stay")
        return results

    def duplicates(self) -> None:
        """Phase 2: which documents repeat others, word for word, then nearly; exercises repeat by intent and are not compared."""
        compared = [key for key, shard in zip(self.keys, self.shards, strict=True) if shard.kind != "exercise"]
        memory = round(self.job.config.memory_gb * 1e9)
        names = [f"prepared-{key}.parquet" for key in compared]
        wanted = self.job.plan.duplicates
        if "exact-duplicates" in wanted:
            exact_duplicates_of(
                self.work, names, Columns(), self.work.child("exact"), memory=memory, engine=self.engine, progress=self.progress
            )
        if "near-duplicates" not in wanted:
            return
        self.map(phases.unique, compared, "drop exact duplicates")
        names = [f"unique-{key}.parquet" for key in compared]
        near_duplicates_of(
            self.work,
            names,
            Columns(quality="quality"),
            self.work.child("near"),
            self.job.config.duplicates,
            memory=memory,
            engine=self.engine,
            progress=self.progress,
        )

    def judge(self) -> list[int]:
        """Phases 3 and 4: what must be counted over all shards first, and the verdicts on it. Bytes left of each shard."""
        config = self.job.config
        self.map(phases.count_blocks, self.keys, "count blocks")
        self.map(phases.merge, [self.keys], "merge counts")
        if config.meaning.wanted:
            self.meaning()
        judged = self.map(phases.judge, self.keys, "judge", result=Sized)
        outputs.write_blocks(self.out, [self.work.read_table(f"recurring-{key}.parquet") for key in self.keys])
        if config.repeats.wanted:
            judged = self.repeats()
        return [r.bytes for r in judged]

    def meaning(self) -> None:
        """Block vectors learned from this corpus, and which of their groups recur too often."""
        self.map(learned.meaning_sample, self.keys, "meaning: sample")
        self.map(learned.meaning_space, [self.keys], "meaning: space")
        self.map(learned.meaning_sketch, self.keys, "meaning: buckets")
        (groups,) = self.map(learned.meaning_groups, [self.keys], "meaning: groups")
        self.map(learned.meaning_count, self.keys, "meaning: count")
        (often,) = self.map(learned.meaning_decision, [self.keys], "meaning: decide")
        self.progress.log(f"  meaning: {groups:,} groups of blocks alike, {often:,} of them recur too often")

    def repeats(self) -> list[Sized]:
        """Lines and runs that stand more than once in what is left; what the shards have after it."""
        config = self.job.config
        self.map(phases.compare, self.keys, "compare lines and runs")
        memory = round(config.memory_gb * 1e9)
        names = [f"compared-{key}.parquet" for key in self.keys]
        find_repeats(
            self.work, names, Columns(), self.work, config.repeats, memory=memory, engine=self.engine, progress=self.progress
        )
        return self.map(phases.cut, [NumberedPart(n, key) for n, key in enumerate(self.keys)], "cut repeated text", result=Sized)

    def judges(self) -> None:
        """Language models and the linear judge, trained on reference text, and what they say of each document."""
        self.map(learned.judges_sample, self.keys, "judges: sample")
        self.map(learned.judges_train, [self.keys], "judges: train")
        self.map(learned.judges_score, self.keys, "judges: score")
        self.map(learned.judges_thresholds, [self.keys], "judges: thresholds")

    def benchmarks(self) -> None:
        """The index of the items that must not be trained on, and how common their n-grams are in this corpus."""
        items = read_items(self.job.config.decontaminate.sets)
        index = build_index(items, self.job.config.decontaminate)
        folder = self.work.child(ITEMS)
        index.save(folder)
        if index.unsearchable:
            self.progress.log(
                f"  decontamination: {len(index.unsearchable):,} of {len(items):,} items are too short to be searched for"
            )
        self.map(phases.count_items, self.keys, "count benchmark items")
        parts = (self.work.read_table(f"items-{key}.parquet").column("documents").to_numpy() for key in self.keys)
        folder.write_table("counts.parquet", pa.table({"documents": merge_counts(parts)}))

    def finish(self, came: int, sizes: Sequence[int]) -> None:
        """Phase 5: choose what is held out, take out what is near it, and write the final shards."""
        config = self.job.config
        if config.quality.judges.wanted:
            self.judges()
        if config.decontaminate.sets:
            self.benchmarks()
        chosen: frozenset[str] = frozenset()
        if "held-out" in self.job.plan.finish:
            proposals = self.map(phases.propose, self.keys, "propose held-out", result=Proposed)
            chosen = choose([Proposal.from_json(r.proposal) for r in proposals], config.heldout_documents)
        held_out = [HeldoutPart(key, chosen) for key in self.keys]
        if "held-out" in self.job.plan.finish:
            self.map(phases.collect, held_out, "held-out texts")
            references = pa.concat_tables([self.work.read_table(f"heldout-{key}.parquet") for key in self.keys])
            self.work.write_table(HELDOUT, references)
        results = self.map(phases.finish, held_out, "finish", result=Finished)
        groups = [ShardGroup(n, keys) for n, keys in enumerate(_groups(self.keys, sizes, config.shard_bytes))]
        self.map(phases.publish, groups, "write documents", self.out)
        check_chain(self.ledger)
        outputs.demand(self.ledger, came=came, left=sum(r.pages for r in results), minimum=config.minimum_documents)
        outputs.warn([r.found for r in results], self.job.policies, self.progress)
        self.out.write_json("ledger.json", self.ledger.to_json())
        self.out.write_json(
            "mixture.json", mixture_json(merge_mixtures(pa.Table.from_pylist(r.mixture, schema=MIXTURE) for r in results))
        )
        self.out.write_json("redaction.json", {kind: sum(r.redaction[kind] for r in results) for kind in KINDS})
        kept = outputs.merged_examples([r.kept for r in results], outputs.KEPT_GROUPS, config.examples)
        lost = outputs.merged_examples([r.lost for r in results], outputs.LOST_GROUPS, config.examples)
        self.out.write_json("examples.json", {"kept": kept, "dropped": lost})


def _groups(keys: Sequence[str], sizes: Sequence[int], limit: int) -> list[list[str]]:
    """Runs of shards whose texts together have at most `limit` bytes, or single ones, so that small shards become large files."""
    groups: list[list[str]] = []
    filled = limit
    for key, size in zip(keys, sizes, strict=True):
        if not groups or filled + size > limit:
            groups.append([])
            filled = 0
        groups[-1].append(key)
        filled += size
    return groups
