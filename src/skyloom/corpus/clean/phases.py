"""The phases of the clean stage: which filters each applies to one shard. order.py cuts the list of filters into phases, gates.py
has the filters; what duplicates and repeated lines drop, which are found over all shards, is dropped here.

Input: a task with a shard's key and the `CleanJob` (settings and policies). Output: files in the work folder of the stage,
named after the phase and the shard, and a small result: what the shard adds to the ledger and to the counts of the whole
corpus. stage.py says in which order the phases come and what is merged between them.

    prepare   candidates → filter rules                        → prepared-KEY, dropped/prepared-KEY
    unique    prepared minus exact duplicates                  → unique-KEY (id and text, to be compared)
    pass_own  filters duplicates and those of one's own that follow them, if there are any → passed-KEY, dropped/passed-KEY
    count     filters duplicates, undone again                 → blocks-KEY, code-KEY (counts)
    merge     (one task for all shards)                        → blocks.npz, code.npz
    judge     filters duplicates, exercises, distribution, quality → judged-KEY, dropped/judged-KEY, recurring-KEY
    compare, cut  filter repeats, if it is asked for           → compared-KEY (to be compared), cut-KEY, dropped/cut-KEY
    propose   hashes of ids by domain                          → (a result)
    count_items  n-grams of benchmark items, if there are any  → items-KEY
    collect   held-out documents                               → heldout-KEY
    finish    filters groups, decontamination, redaction, held-out → final-KEY, dropped/final-KEY
    publish   the shards of a group, put together              → documents-NNNNN-NNN, dropped-NNNNN-NNN, clusters-NNNNN

Memory: a shard four times over (text, blocks, what they become, and hashed units), and the merged counts of blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Task
from skyloom.core.ledger import LedgerJson
from skyloom.core.records import DOCUMENT
from skyloom.core.store import FileRecord, Store
from skyloom.corpus import candidates
from skyloom.corpus.candidates import PAGES, CandidateShard, origin_is
from skyloom.corpus.clean import outputs
from skyloom.corpus.clean.composition import count_mixture
from skyloom.corpus.clean.config import CleanJob
from skyloom.corpus.clean.funnel import DROPPED, Funnel
from skyloom.corpus.clean.gates import (
    CODE,
    COUNTS,
    ITEMS,
    Gates,
    bools,
    exempted,
    no_blocks,
    read,
    repeats,
    shortest,
    templates,
    where,
)
from skyloom.corpus.clean.phase_results import (
    AllShardsTask,
    Finished,
    HeldoutPart,
    NumberedPart,
    PhaseInput,
    Posted,
    Prepared,
    Proposed,
    ShardGroup,
    ShardTask,
    Sized,
)
from skyloom.corpus.code import CodeCounts, count_code
from skyloom.corpus.decontaminate import ItemIndex, count_documents
from skyloom.corpus.dedup import read_repeats, too_short, without_repeats
from skyloom.corpus.distribution import (
    BlockCounts,
    frequent_blocks,
    merge_sketches,
    pack,
    sketch_blocks,
)
from skyloom.corpus.heldout import REFERENCE, held, propose_heldout
from skyloom.corpus.quality import judge_quality
from skyloom.corpus.text import byte_sizes, slices

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
D = TypeVar("D", bound="DataclassInstance")

WORK = "work"
"""The folder below the output that the files of the shards and of the merges are in."""


def prepare(task: Task[PhaseInput[CandidateShard]], work: Store) -> Done[Prepared]:
    """Phase 1 of a shard: the rules, so that nothing after them sees debris."""
    job, shard = task.payload.job, task.payload.part
    table = candidates.read(shard)
    funnel = Gates(Funnel(table), job, work, task.key).apply(job.plan.prepare)
    return _left(work, "prepared", task.key, funnel, partial(Prepared, came=len(table), pages=int(origin_is(table, *PAGES).sum())))


def _left(work: Store, phase: str, key: str, funnel: Funnel, result: Callable[[LedgerJson], _T]) -> Done[_T]:
    """Write what a phase kept and dropped of a shard; `result` makes its result of the ledger."""
    files = (
        work.write_table(f"{phase}-{key}.parquet", funnel.table),
        work.write_table(f"dropped/{phase}-{key}.parquet", funnel.all_dropped()),
    )
    return Done(files, result(funnel.ledger.to_json()))


def unique(task: ShardTask, work: Store) -> Done[None]:
    """Phase 2 of a shard: what is left to be compared once word for word copies are gone.

    `quality` is 1 for what the rules would keep, so that of near-copies one stays that stays to the end.
    """
    job, key = task.payload.job, task.payload.part
    table = work.read_table(f"prepared-{key}.parquet", ["id", "text", "lang", "origin"])
    if "exact-duplicates" in job.plan.duplicates:
        table = table.filter(work.read_table(f"exact/clusters-{key}.parquet", ["keep"]).column("keep"))
    good = np.ones(len(table), np.int8)
    prose = np.flatnonzero(origin_is(table, *PAGES))
    part = table.take(pa.array(prose))
    good[prose] = judge_quality(part.column("text"), part.column("lang"), job.config.quality).reason.is_null().to_numpy(False)
    table = table.select(["id", "text"]).append_column("quality", pa.array(good))
    return Done((work.write_table(f"unique-{key}.parquet", table),), None)


def pass_duplicates(job: CleanJob, work: Store, key: str) -> Funnel:
    """What the filters for duplicates leave of a shard, and after them the filters of one's own that follow at once.

    Sources that a policy exempts were compared too, so that held-out documents can find their copies in them.
    """
    return Funnel(work.read_table(f"passed-{key}.parquet")) if job.plan.passed else _duplicates(job, work, key)


def _duplicates(job: CleanJob, work: Store, key: str) -> Funnel:
    """The filters for exact and near duplicates."""
    table = work.read_table(f"prepared-{key}.parquet")
    exact, near_keep, cluster = np.ones(len(table), bool), np.ones(len(table), bool), table.column("id").combine_chunks()
    if work.exists(f"exact/clusters-{key}.parquet"):
        exact = bools(work.read_table(f"exact/clusters-{key}.parquet", ["keep"]).column("keep"))
    if work.exists(f"near/clusters-{key}.parquet"):
        near_found = work.read_table(f"near/clusters-{key}.parquet", ["keep", "cluster"])
        near_keep[exact] = bools(near_found.column("keep"))
        cluster = pc.replace_with_mask(cluster, pa.array(exact), near_found.column("cluster").combine_chunks().cast(cluster.type))
    funnel = Funnel(table.append_column("cluster", cluster).append_column("near", pa.array(near_keep)))
    if "exact-duplicates" in job.plan.duplicates:
        funnel.filter("exact-duplicates", where(~exact, "exact duplicate"), exempt=origin_is(table, "exercise"))
    if "near-duplicates" in job.plan.duplicates:
        exempt = origin_is(funnel.table, "exercise") | exempted(funnel.table, job.policies, "near-duplicates")
        funnel.filter("near-duplicates", where(~bools(funnel.table.column("near")), "near-duplicate"), exempt=exempt)
    return funnel


def pass_own(task: ShardTask, work: Store) -> Done[Posted]:
    """The filters of one's own that follow the duplicates, where there are any: once, because several phases begin with what they
    leave."""
    job, key = task.payload.job, task.payload.part
    funnel = Gates(_duplicates(job, work, key), job, work, key).apply(job.plan.passed)
    return _left(work, "passed", key, funnel, Posted)


def count_blocks(task: ShardTask, work: Store) -> Done[dict[str, int]]:
    """Phase 3 of a shard: its recurring blocks and its bytes of data formats, to be added up over all shards."""
    job, key = task.payload.job, task.payload.part
    table = pass_duplicates(job, work, key).table
    wanted = "distribution" in job.plan.judge
    prose = table.filter(pa.array(templates(table, job))) if wanted else table.slice(0, 0)
    code = table.filter(pa.array(origin_is(table, "code")))
    counts = count_code(code.column("text"), code.column("url"), code.column("id"), job.config.code)
    file = work.write_bytes(f"blocks-{key}.npz", pack(sketch_blocks(prose, job.config.distribution)))
    return Done((file, work.write_bytes(f"code-{key}.npz", pack(counts))), {})


def merge(task: AllShardsTask, work: Store) -> Done[None]:
    """The counts of all shards, added up by one task."""
    job, keys = task.payload.job, task.payload.part
    counts = merge_sketches((read(BlockCounts, work, f"blocks-{key}.npz") for key in keys), job.config.distribution)
    file = work.write_bytes(COUNTS, pack(frequent_blocks(counts, job.config.distribution)))
    code = CodeCounts.merge(read(CodeCounts, work, f"code-{key}.npz") for key in keys)
    return Done((file, work.write_bytes(CODE, pack(code))), None)


def judge(task: ShardTask, work: Store) -> Done[Sized]:
    """Phase 4 of a shard: the filters duplicates, exercises, distribution and quality."""
    job, key = task.payload.job, task.payload.part
    gates = Gates(pass_duplicates(job, work, key), job, work, key)
    funnel = gates.apply(job.plan.judge)
    cut = no_blocks(funnel.table, job, work) if gates.blocks is None else gates.blocks
    funnel.table = funnel.table.drop_columns(["blocks", "tags", "near"])
    file = work.write_table(f"recurring-{key}.parquet", cut)
    done = _left(work, "judged", key, funnel, partial(Sized, bytes=int(byte_sizes(funnel.table.column("text")).sum())))
    return Done((*done.files, file), done.result)


def compare(task: ShardTask, work: Store) -> Done[None]:
    """What of a shard is looked through for repeated lines and runs: its pages, with an empty text for all other documents."""
    job, key = task.payload.job, task.payload.part
    table = work.read_table(f"judged-{key}.parquet", ["id", "text", "origin", "source"])
    texts = pc.if_else(pa.array(repeats(table, job)), table.column("text"), "")
    return Done((work.write_table(f"compared-{key}.parquet", pa.table({"id": table.column("id"), "text": texts})),), None)


def cut(task: Task[PhaseInput[NumberedPart]], work: Store) -> Done[Sized]:
    """The filter "repeats" of a shard: lines and runs that an earlier place has are cut."""
    job, number, key = task.payload.job, task.payload.part.number, task.payload.part.key
    funnel = Funnel(work.read_table(f"judged-{key}.parquet"))
    texts, changed = without_repeats(funnel.table.column("text"), read_repeats(work, number, job.config.repeats))
    short = too_short(texts, changed, shortest(funnel.table, job))
    exempt = ~repeats(funnel.table, job)
    reasons = where(short, "too short without its repeated text")
    funnel.filter("repeats", reasons, exempt=exempt, texts=texts, removed="repeated text")
    own = [item for item in job.plan.cut if item != "repeats"]
    funnel = Gates(funnel, job, work, key).apply(own)
    return _left(work, "cut", key, funnel, partial(Sized, bytes=int(byte_sizes(funnel.table.column("text")).sum())))


def count_items(task: ShardTask, work: Store) -> Done[None]:
    """In how many documents of a shard the n-grams of benchmark items stand: what stands in many is a common phrase."""
    job, key = task.payload.job, task.payload.part
    texts = work.read_table(f"{job.before}-{key}.parquet", ["text"]).column("text")
    counts = count_documents(texts, ItemIndex.load(work.child(ITEMS)))
    return Done((work.write_table(f"items-{key}.parquet", pa.table({"documents": counts})),), None)


def propose(task: ShardTask, work: Store) -> Done[Proposed]:
    job, key = task.payload.job, task.payload.part
    table = work.read_table(f"{job.before}-{key}.parquet", ["id", "domain", "split"])
    return Done((), Proposed(propose_heldout(table, job.config.heldout_documents).to_json()))


def collect(task: Task[PhaseInput[HeldoutPart]], work: Store) -> Done[None]:
    """The held-out documents of a shard, for all others to be compared with."""
    job, key, chosen = task.payload.job, task.payload.part.key, task.payload.part.chosen
    table = work.read_table(f"{job.before}-{key}.parquet", [*REFERENCE, "split"])
    return Done((work.write_table(f"heldout-{key}.parquet", table.filter(pa.array(held(table, chosen)))),), None)


def finish(task: Task[PhaseInput[HeldoutPart]], work: Store) -> Done[Finished]:
    """Phase 5 of a shard: the learned groups, benchmark items, redaction, and what is near the held-out documents."""
    job, key, chosen = task.payload.job, task.payload.part.key, task.payload.part.chosen
    config = job.config
    funnel = Funnel(work.read_table(f"{job.before}-{key}.parquet"))
    gates = Gates(funnel, job, work, key, chosen if "held-out" in job.plan.finish else None)
    gates.apply(job.plan.finish)
    files = [] if gates.spans is None else [work.write_table(f"contamination-{key}.parquet", gates.spans)]
    train = funnel.table.filter(pc.equal(funnel.table.column("split"), "train"))
    pages = int(origin_is(train, *PAGES).sum())
    funnel.table = funnel.table.select(DOCUMENT.names)
    parts = [work.read_table(f"dropped/{phase}-{key}.parquet") for phase in job.phases]
    lost = pa.concat_tables([*parts, funnel.all_dropped()])
    result = partial(
        Finished,
        pages=pages,
        mixture=count_mixture(funnel.table).to_pylist(),
        redaction=gates.redacted,
        found=outputs.found(funnel.table),
        kept=outputs.examples(funnel.table, outputs.KEPT_GROUPS, outputs.KEPT_COLUMNS, config.examples),
        lost=outputs.examples(lost, outputs.LOST_GROUPS, outputs.LOST_COLUMNS, config.examples),
    )
    done = _left(work, "final", key, funnel, result)
    return Done((*files, *done.files), done.result)


def publish(task: Task[PhaseInput[ShardGroup]], out: Store) -> Done[None]:
    """The files of the corpus, from a group of shards."""
    job, number, keys = task.payload.job, task.payload.part.number, task.payload.part.keys
    work, limit = out.child(WORK, sync=False), job.config.shard_bytes
    documents = pa.concat_tables([work.read_table(f"final-{key}.parquet") for key in keys])
    phases = (*job.phases, "final")
    dropped = pa.concat_tables([work.read_table(f"dropped/{phase}-{key}.parquet") for key in keys for phase in phases])
    files = [
        *_slices(out, f"documents-{number:05d}", documents, limit, DOCUMENT),
        *_slices(out, f"dropped-{number:05d}", dropped, limit, DROPPED),
    ]
    files += _slices_of_clusters(work, out, f"clusters-{number:05d}.parquet", keys)
    if job.decontaminates:
        spans = pa.concat_tables([work.read_table(f"contamination-{key}.parquet") for key in keys])
        files.append(out.write_table(f"contamination-{number:05d}.parquet", spans))
    return Done(tuple(files), None)


def _slices_of_clusters(work: Store, out: Store, name: str, keys: Sequence[str]) -> list[FileRecord]:
    """What each duplicate of a group of shards is a copy of, for audit: id, the id that is kept, similarity, whether exact."""
    parts = []
    for key in keys:
        for kind in ("exact", "near"):
            if work.exists(f"{kind}/clusters-{key}.parquet"):
                table = work.read_table(f"{kind}/clusters-{key}.parquet")
                table = table.filter(pc.invert(table.column("keep"))).drop_columns(["keep"])
                parts.append(table.append_column("exact", pa.array([kind == "exact"] * len(table), pa.bool_())))
    return [out.write_table(name, pa.concat_tables(parts))] if parts else []


def _slices(out: Store, name: str, table: pa.Table, limit: int, schema: pa.Schema) -> list[FileRecord]:
    return [
        out.write_table(f"{name}-{part:03d}.parquet", table.slice(start, stop - start).cast(schema))
        for part, (start, stop) in enumerate(slices(table.column("text"), limit))
    ]
