"""Deduplication of a corpus in shards within a memory limit, with the result of `clusters.py`.

Input: Parquet shards with an id, a text and, if there is one, a quality column. Output: one file `clusters-NNNNN.parquet` for
each shard, with a row for each of its documents in their order: its id, the id of the document that is kept for it (its own
where it stays), whether it stays, and its exact similarity to the kept one. The text is never in memory as a whole: it is read
once for the signatures and once more for the documents that have a candidate.

Memory: at most the limit that the caller sets, said before it starts (`budget.py`). Either all band keys, candidate
pairs and shingle sets lie in this process, or everything goes by keyed shuffles on disk (`disk.py`): where there is
no room, or where there turn out to be more pairs than expected. Working files take about 250 bytes for each document in
memory and 1,000 on disk (twice the text of web pages at most) and are removed at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.corpus.dedup.budget import DOCUMENT, FOUND, PAIR, MemoryPlan, buckets_for, plan
from skyloom.corpus.dedup.candidate_pairs import Standing, all_pairs, pair_rows, standing
from skyloom.corpus.dedup.clusters import same_prints, similar
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.disk import REMOVED, DedupJob, grouped, removed_on_disk
from skyloom.corpus.dedup.exchange import bucket_of, gather, numbers, scatter, write_buckets
from skyloom.corpus.dedup.minhash import fingerprints, jaccards, shingle_counts
from skyloom.corpus.dedup.sketch import CLUSTERS, Columns, SetPile, Shards, Sizes, read_sketch, sizes, sketches
from skyloom.corpus.text import plainness

Words = npt.NDArray[np.uint64]
WORK = "duplicates-work"

PRINT = pa.schema(
    [
        ("one", pa.uint64()),
        ("two", pa.uint64()),
        ("score", pa.uint64()),
        ("tie", pa.uint64()),
        ("shard", pa.int64()),
        ("row", pa.int64()),
        ("id", pa.large_string()),
    ]
)


@dataclass(frozen=True)
class DedupOutcome:
    """What was done: documents seen and removed, the files written, and the plan that was followed."""

    documents: int
    removed: int
    names: tuple[str, ...]
    plan: MemoryPlan


def near_duplicates_of(
    store: Store,
    names: Sequence[str],
    columns: Columns,
    out: Store,
    config: DedupConfig,
    *,
    memory: int,
    engine: Engine,
    progress: Progress,
) -> DedupOutcome:
    """Write `clusters-NNNNN.parquet` (CLUSTERS) to `out` for each of `names`, as `clusters.near_duplicates` would decide.

    `memory`: bytes of resident memory, workers included. ConfigError if not even one shard fits; DataError for a shard
    without the columns. Files of a run that was killed are used again.
    """
    shards = Shards(store, tuple(names), columns)
    measured = sizes(shards)
    planned = plan_of(measured, memory, bands=config.bands, workers=engine.workers)
    progress.log(f"  near-duplicates: {planned}")
    work = out.child(WORK)
    if not shards.names:
        return DedupOutcome(0, 0, (), planned)
    shingles = sketches(shards, config, work, engine=engine, progress=progress)
    removed: list[str] | None = None
    if planned.way == "memory":
        here = partial(_in_memory, shards, config, measured, planned.free)
        (removed,) = engine.map(here, [Task("00000", None)], work, progress=progress, label="near-duplicates: in memory")
    if removed is None:
        if planned.way == "memory":
            planned = plan_of(measured, memory, bands=config.bands, workers=engine.workers, on_disk=True)
            progress.log(f"  near-duplicates: more candidates than expected; {planned}")
        job = DedupJob(
            shards, config, planned.buckets, grouped(shingles, measured.rows, planned.room), measured.starts, planned.room
        )
        removed = removed_on_disk(job, work, engine=engine, progress=progress)
    return _write(shards, removed, measured, planned, out, engine, progress, "near-duplicates")


def exact_duplicates_of(
    store: Store,
    names: Sequence[str],
    columns: Columns,
    out: Store,
    *,
    memory: int,
    engine: Engine,
    progress: Progress,
) -> DedupOutcome:
    """Write `clusters-NNNNN.parquet` (CLUSTERS) to `out` for each of `names`, as `clusters.exact_duplicates` would decide.

    With a quality column the best quality stays, then the longest text. Documents are compared by 128-bit hashes that meet
    in as many buckets as the memory asks for. Errors as of `near_duplicates_of`.
    """
    shards = Shards(store, tuple(names), columns)
    measured = sizes(shards)
    planned = plan_of(measured, memory, bands=1, workers=engine.workers, on_disk=True)
    progress.log(f"  exact duplicates: {planned}")
    work = out.child(WORK)
    if not shards.names:
        return DedupOutcome(0, 0, (), planned)
    label = "exact duplicates"
    prints = partial(_prints, shards, planned.buckets)
    found = engine.map(prints, shards.tasks, work, progress=progress, label=f"{label}: hashes")
    buckets = [Task(f"{b:05d}", b) for b in range(planned.buckets)]
    same = partial(_same, found, len(shards.names))
    removed = engine.map(same, buckets, work, progress=progress, label=f"{label}: buckets")
    return _write(shards, removed, measured, planned, out, engine, progress, label)


def plan_of(measured: Sizes, memory: int, *, bands: int, workers: int, on_disk: bool = False) -> MemoryPlan:
    """The plan for shards of these sizes; `on_disk` rules out the way in memory."""
    rows, text = sum(measured.rows), sum(measured.text)
    largest, most = max(measured.text, default=0), max(measured.rows, default=0)
    found = plan(rows, text, memory, bands=bands, largest_shard=largest, largest_rows=most, workers=workers)
    if found.way == "memory" and on_disk:
        return replace(found, way="disk", buckets=buckets_for(rows * bands, found.room), peak=memory)
    return found


def _in_memory(
    shards: Shards, config: DedupConfig, measured: Sizes, room: int, _: Task[None], work: Store
) -> Done[list[str] | None]:
    """The removed documents as one file in `work`; nothing if pairs or shingle sets do not fit into `room` bytes.

    One task, so that it is done once and not in the main process.
    """
    rows = sum(measured.rows)
    starts = np.array(measured.starts, np.int64)
    keys = np.empty((rows, config.bands), np.uint64, order="F")
    who = Standing(np.empty(rows, np.uint64), np.empty(rows, np.uint64))
    for shard, start in enumerate(starts[:-1]):
        found = read_sketch(work, shard, config)
        mine = slice(int(start), int(start) + len(found.who.score))
        keys[mine], who.score[mine], who.tie[mine] = found.bands.keys, found.who.score, found.who.tie
    some = np.flatnonzero(who.units)
    pairs = all_pairs(keys, some, who, room=(room - rows * (8 * config.bands + DOCUMENT)) // FOUND)
    del keys, some
    if pairs is None or rows * DOCUMENT + len(pairs) * PAIR > room:
        return Done((), None)
    paired, left, right = pair_rows(pairs)
    shingles = int(shingle_counts(who.units[paired], config.shingle).sum())
    if rows * DOCUMENT + len(pairs) * FOUND + 8 * shingles > room:
        return Done((), None)
    del pairs
    sets = SetPile(len(paired), shingles, config.shingle)
    for shard, start in enumerate(starts[:-1]):
        mine = paired[np.searchsorted(paired, start) : np.searchsorted(paired, starts[shard + 1])] - start
        if len(mine):
            for part in shards.texts(shard, mine):
                sets.add(part)
    similarity = jaccards(sets.column, sets.column, left, right)
    del sets
    owner = similar(paired, left, right, similarity, who, config.threshold)
    del left, right, similarity
    file = _removed(shards, starts, owner.owner, owner.jaccard, work)
    return Done((file,), [file.name])


def _removed(
    shards: Shards, starts: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], jaccard: npt.NDArray[np.float64], work: Store
) -> FileRecord:
    """Write the removed documents, one batch for each shard, with the ids of those that are kept for them."""
    gone = np.flatnonzero(owner != np.arange(len(owner)))
    kept = np.unique(owner[gone])
    ids = [pa.chunked_array([], pa.large_string())]
    for shard, start in enumerate(starts[:-1]):
        mine = kept[np.searchsorted(kept, start) : np.searchsorted(kept, starts[shard + 1])] - start
        if len(mine):
            ids.append(shards.ids(shard).take(pa.array(mine)))
    known = pa.chunked_array([c for part in ids for c in part.chunks], pa.large_string()).combine_chunks()

    def part(shard: int) -> pa.Table:
        mine = gone[np.searchsorted(gone, starts[shard]) : np.searchsorted(gone, starts[shard + 1])]
        cluster = known.take(pa.array(np.searchsorted(kept, owner[mine])))
        return pa.table([pa.array(mine - starts[shard]), cluster, pa.array(jaccard[mine])], schema=REMOVED)

    return write_buckets(work, "removed/00000.arrow", REMOVED, (part(s) for s in range(len(starts) - 1)))


def _write(
    shards: Shards,
    removed: list[str],
    measured: Sizes,
    planned: MemoryPlan,
    out: Store,
    engine: Engine,
    progress: Progress,
    label: str,
) -> DedupOutcome:
    task = partial(_clusters, shards, removed)
    results = engine.map(task, shards.tasks, out, progress=progress, label=f"{label}: clusters", result=Clustered)
    engine.discard(out, WORK)
    return DedupOutcome(sum(measured.rows), sum(r.removed for r in results), tuple(r.name for r in results), planned)


@dataclass(frozen=True)
class Clustered:
    """The result of a shard: its file of clusters, and how many of its documents are removed."""

    name: str
    removed: int


def _clusters(shards: Shards, removed: list[str], task: Task[int], out: Store) -> Done[Clustered]:
    """A shard's file of clusters: every row its own, but for those that were removed."""
    ids = shards.ids(task.payload).combine_chunks()
    gone = gather(out.child(WORK), removed, task.payload, REMOVED)
    rows = numbers(gone, "row")
    order = np.argsort(rows)
    keep, jaccard = np.ones(len(ids), bool), np.ones(len(ids), np.float32)
    keep[rows], jaccard[rows] = False, numbers(gone, "jaccard")
    cluster = ids
    if len(rows):
        cluster = pc.replace_with_mask(ids, pa.array(~keep), gone.column("cluster").take(pa.array(order)).combine_chunks())
    table = pa.table([ids.cast(pa.string()), cluster.cast(pa.string()), pa.array(keep), pa.array(jaccard)], schema=CLUSTERS)
    file = out.write_table(f"clusters-{task.key}.parquet", table)
    return Done((file,), Clustered(file.name, len(rows)))


def _prints(shards: Shards, buckets: int, task: Task[int], work: Store) -> Done[str]:
    tables = [PRINT.empty_table()]
    for first, table in shards.batches(task.payload, shards.columns.names):
        texts, ids = table.column(shards.columns.text), table.column(shards.columns.id).cast(pa.large_string())
        prints = fingerprints(texts)
        who = standing(ids, plainness(texts), table.column(shards.columns.quality) if shards.columns.quality else None)
        rows = np.flatnonzero(prints.any(axis=1))  # a text without units is like no other
        shard = np.full(len(rows), task.payload)
        columns = [prints[rows, 0], prints[rows, 1], who.score[rows], who.tie[rows], shard, first + rows]
        tables.append(pa.table([*(pa.array(c) for c in columns), ids.take(pa.array(rows))], schema=PRINT))
    found = pa.concat_tables(tables)
    file = scatter(work, f"prints/{task.key}.arrow", found, bucket_of(numbers(found, "one"), buckets), buckets)
    return Done((file,), file.name)


def _same(names: list[str], shard_count: int, task: Task[int], work: Store) -> Done[str]:
    table = gather(work, names, task.payload, PRINT)
    prints = np.stack([numbers(table, "one"), numbers(table, "two")], axis=1)
    labels = same_prints(prints, Standing(numbers(table, "score"), numbers(table, "tie")))
    gone = np.flatnonzero(labels != np.arange(len(labels)))
    row = table.column("row").take(pa.array(gone))
    found = pa.table([row, table.column("id").take(pa.array(labels[gone])), pa.array(np.ones(len(gone)))], schema=REMOVED)
    file = scatter(work, f"removed/{task.key}.arrow", found, numbers(table, "shard")[gone], shard_count)
    return Done((file,), file.name)
