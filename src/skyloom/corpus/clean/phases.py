"""The phases of the clean stage: which filters each applies to one shard. The only file in which a judge's verdict drops anything.

Input: a task with a shard's key and the `CleanJob` (settings and policies). Output: files in the work folder of the stage,
named after the phase and the shard, and a small result: what the shard adds to the ledger and to the counts of the whole
corpus. stage.py says in which order the phases come and what is merged between them.

    prepare   candidates → filter rules                        → prepared-KEY, dropped/prepared-KEY
    unique    prepared minus exact duplicates                  → unique-KEY (id and text, to be compared)
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

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
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
from skyloom.corpus.clean.config import CleanConfig, CleanJob
from skyloom.corpus.clean.funnel import DROPPED, EXCERPT, Funnel
from skyloom.corpus.clean.phase_results import (
    AllShardsTask,
    Finished,
    HeldoutPart,
    NumberedPart,
    PhaseInput,
    Prepared,
    Proposed,
    ShardGroup,
    ShardTask,
    Sized,
)
from skyloom.corpus.code import CodeCounts, count_code, judge_code
from skyloom.corpus.decontaminate import DecontaminationConfig, ItemIndex, count_documents, judge_contamination
from skyloom.corpus.dedup import read_repeats, too_short, without_repeats
from skyloom.corpus.distribution import (
    BlockCounts,
    BlockSpace,
    BlockVerdict,
    MeaningDecision,
    MeaningGroups,
    frequent_blocks,
    judge_blocks,
    judge_meaning,
    merge_sketches,
    pack,
    sketch_blocks,
    unpack,
    without,
)
from skyloom.corpus.exercises import exercise_documents, judge_exercises
from skyloom.corpus.heldout import REFERENCE, Copies, HeldoutChoiceConfig, held, propose_heldout
from skyloom.corpus.quality import Thresholds, cheap_reasons, group, group_reasons, judge_quality, short_language
from skyloom.corpus.redact import redact
from skyloom.corpus.sources import SourcePolicy
from skyloom.corpus.text import byte_sizes, list_lengths, slices

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
D = TypeVar("D", bound="DataclassInstance")

COUNTS, CODE, HELDOUT, ITEMS, WORK = "blocks.npz", "code.npz", "heldout.parquet", "items", "work"
SPACE, GROUPS, DECISION = "space.npz", "groups.npz", "decision.npz"
JUDGES, THRESHOLDS = "judges", "thresholds.json"
"""Files that the merges between the phases write, and the folder below the output that they and the shards are in."""


def prepare(task: Task[PhaseInput[CandidateShard]], work: Store) -> Done[Prepared]:
    """Phase 1 of a shard: the rules, so that nothing after them sees debris."""
    job, shard = task.payload.job, task.payload.part
    table = candidates.read(shard)
    funnel = Funnel(table)
    reasons = cheap_reasons(table.column("text"), table.column("lang"), job.config.quality)
    funnel.filter("rules", reasons, exempt=origin_is(table, "exercise", "parallel"))
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
    table = table.filter(work.read_table(f"exact/clusters-{key}.parquet", ["keep"]).column("keep"))
    good = np.ones(len(table), np.int8)
    prose = np.flatnonzero(origin_is(table, *PAGES))
    part = table.take(pa.array(prose))
    good[prose] = judge_quality(part.column("text"), part.column("lang"), job.config.quality).reason.is_null().to_numpy(False)
    table = table.select(["id", "text"]).append_column("quality", pa.array(good))
    return Done((work.write_table(f"unique-{key}.parquet", table),), None)


def pass_duplicates(job: CleanJob, work: Store, key: str) -> Funnel:
    """The filters for exact and near duplicates.

    Sources that a policy exempts were compared too, so that held-out documents can find their copies in them.
    """
    table = work.read_table(f"prepared-{key}.parquet")
    exact, near_keep, cluster = np.ones(len(table), bool), np.ones(len(table), bool), table.column("id").combine_chunks()
    if work.exists(f"exact/clusters-{key}.parquet"):
        exact = _bools(work.read_table(f"exact/clusters-{key}.parquet", ["keep"]).column("keep"))
        near_found = work.read_table(f"near/clusters-{key}.parquet", ["keep", "cluster"])
        near_keep[exact] = _bools(near_found.column("keep"))
        cluster = pc.replace_with_mask(cluster, pa.array(exact), near_found.column("cluster").combine_chunks().cast(cluster.type))
    funnel = Funnel(table.append_column("cluster", cluster).append_column("near", pa.array(near_keep)))
    funnel.filter("exact-duplicates", _where(~exact, "exact duplicate"), exempt=origin_is(table, "exercise"))
    exempt = origin_is(funnel.table, "exercise") | _exempted(funnel.table, job.policies, "near-duplicates")
    funnel.filter("near-duplicates", _where(~_bools(funnel.table.column("near")), "near-duplicate"), exempt=exempt)
    return funnel


def count_blocks(task: ShardTask, work: Store) -> Done[dict[str, int]]:
    """Phase 3 of a shard: its recurring blocks and its bytes of data formats, to be added up over all shards."""
    job, key = task.payload.job, task.payload.part
    table = pass_duplicates(job, work, key).table
    prose = table.filter(pa.array(templates(table, job)))
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
    """Phase 4 of a shard: the filters duplicates, distribution and quality."""
    job, key = task.payload.job, task.payload.part
    funnel = pass_duplicates(job, work, key)
    if job.config.exercises.wanted:
        _exercises(funnel, job)
    cut = _distribution(funnel, job, work)
    _quality(funnel, job, read(CodeCounts, work, CODE))
    funnel.table = funnel.table.drop_columns(["blocks", "tags", "near"])
    file = work.write_table(f"recurring-{key}.parquet", cut)
    done = _left(work, "judged", key, funnel, partial(Sized, bytes=int(byte_sizes(funnel.table.column("text")).sum())))
    return Done((*done.files, file), done.result)


def compare(task: ShardTask, work: Store) -> Done[None]:
    """What of a shard is looked through for repeated lines and runs: its pages, with an empty text for all other documents."""
    job, key = task.payload.job, task.payload.part
    table = work.read_table(f"judged-{key}.parquet", ["id", "text", "origin", "source"])
    texts = pc.if_else(pa.array(_repeats(table, job)), table.column("text"), "")
    return Done((work.write_table(f"compared-{key}.parquet", pa.table({"id": table.column("id"), "text": texts})),), None)


def cut(task: Task[PhaseInput[NumberedPart]], work: Store) -> Done[Sized]:
    """The filter "repeats" of a shard: lines and runs that an earlier place has are cut."""
    job, number, key = task.payload.job, task.payload.part.number, task.payload.part.key
    funnel = Funnel(work.read_table(f"judged-{key}.parquet"))
    texts, changed = without_repeats(funnel.table.column("text"), read_repeats(work, number, job.config.repeats))
    short = too_short(texts, changed, _shortest(funnel.table, job))
    exempt = ~_repeats(funnel.table, job)
    reasons = _where(short, "too short without its repeated text")
    funnel.filter("repeats", reasons, exempt=exempt, texts=texts, removed="repeated text")
    return _left(work, "cut", key, funnel, partial(Sized, bytes=int(byte_sizes(funnel.table.column("text")).sum())))


def _repeats(table: pa.Table, job: CleanJob) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents in which repeated lines and runs are cut."""
    return origin_is(table, *PAGES) & ~_exempted(table, job.policies, "near-duplicates")


def _shortest(table: pa.Table, job: CleanJob) -> npt.NDArray[np.int64]:
    """The fewest units that a document of each row's language may have, int64[rows]."""
    return np.array([job.config.quality.of(short_language(x)).minimum_units for x in table.column("lang").to_pylist()], np.int64)


JOINED = "joined from what was split off"
"""A ledger line with negative figures: documents that a stage adds. In is still kept plus all other lines."""


def _exercises(funnel: Funnel, job: CleanJob) -> None:
    """Pages that are exercises leave as pages, and come back as one document for each exercise."""
    pages = funnel.table.filter(pa.array(origin_is(funnel.table, *PAGES)))
    rows = np.flatnonzero(origin_is(funnel.table, *PAGES))
    verdicts = judge_exercises(pages.column("text"), pages.column("lang"), job.config.exercises)
    found = exercise_documents(pages, verdicts)
    reasons = np.full(len(funnel.table), None, object)
    reasons[rows[_bools(verdicts.column("is_exercise"))]] = "split off as exercises"
    funnel.filter("exercises", pa.array(reasons, pa.string()), exempt=~origin_is(funnel.table, *PAGES))
    if len(found):
        added = candidates.documents(found, "exercise")
        added = added.append_column("cluster", added.column("id")).append_column("near", pa.array([True] * len(added)))
        funnel.join("exercises", added, JOINED)


def _distribution(funnel: Funnel, job: CleanJob, work: Store) -> pa.Table:
    """The filter for recurring blocks; returns the blocks that were cut."""
    table = funnel.table
    judged = templates(table, job)
    part = table.filter(pa.array(judged))
    verdict = judge_blocks(part, read(BlockCounts, work, COUNTS), job.config.distribution)
    if job.config.meaning.wanted:
        verdict = _with_meaning(part, verdict, job, work)
    left = candidates.joined(without(part.column("blocks"), verdict.remove))
    changed = byte_sizes(left) != byte_sizes(part.column("text"))
    short = too_short(left, np.asarray(changed, bool), _shortest(part, job))
    reasons = np.full(len(table), None, object)
    reasons[judged] = _where(short, "too short without its recurring blocks").to_pylist()
    texts = pc.replace_with_mask(table.column("text").combine_chunks(), pa.array(judged), left.cast(pa.large_string()))
    funnel.filter("distribution", pa.array(reasons, pa.string()), exempt=~judged, texts=texts, removed="recurring block")
    return _cut_blocks(part, verdict)


def remaining(part: pa.Table, verdict: BlockVerdict) -> pa.Table:
    """The documents without the blocks that recur word for word, and without the tags of these."""
    for name in ("blocks", "tags"):
        place = part.schema.get_field_index(name)
        part = part.set_column(place, part.schema.field(name), without(part.column(name), verdict.remove))
    return part


def _with_meaning(part: pa.Table, verdict: BlockVerdict, job: CleanJob, work: Store) -> BlockVerdict:
    """The verdict with what recurs in meaning among the blocks that do not recur word for word."""
    space, groups = read(BlockSpace, work, SPACE), read(MeaningGroups, work, GROUPS)
    alike = judge_meaning(remaining(part, verdict), space, groups, read(MeaningDecision, work, DECISION), job.config.meaning)
    remove, documents = verdict.remove.copy(), verdict.documents.copy()
    rest = np.flatnonzero(~verdict.remove)
    remove[rest], documents[rest] = alike.remove, np.where(alike.remove, alike.count, documents[rest])
    return replace(verdict, remove=remove, documents=documents)


def _quality(funnel: Funnel, job: CleanJob, code: CodeCounts) -> None:
    """The quality filter."""
    table = funnel.table
    prose, files = origin_is(table, *PAGES), origin_is(table, "code")
    reasons = np.full(len(table), None, object)
    part = table.filter(pa.array(prose))
    reasons[prose] = judge_quality(part.column("text"), part.column("lang"), job.config.quality).reason.to_pylist()
    part = table.filter(pa.array(files))
    reasons[files] = judge_code(part.column("text"), part.column("url"), part.column("id"), job.config.code, code).to_pylist()
    exempt = ~(prose | files) | _exempted(table, job.policies, "quality")
    funnel.filter("quality", pa.array(reasons, pa.string()), exempt=exempt)


def count_items(task: ShardTask, work: Store) -> Done[None]:
    """In how many documents of a shard the n-grams of benchmark items stand: what stands in many is a common phrase."""
    job, key = task.payload.job, task.payload.part
    texts = work.read_table(f"{job.before}-{key}.parquet", ["text"]).column("text")
    counts = count_documents(texts, ItemIndex.load(work.child(ITEMS)))
    return Done((work.write_table(f"items-{key}.parquet", pa.table({"documents": counts})),), None)


def propose(task: ShardTask, work: Store) -> Done[Proposed]:
    job, key = task.payload.job, task.payload.part
    table = work.read_table(f"{job.before}-{key}.parquet", ["id", "domain", "split"])
    return Done((), Proposed(propose_heldout(table, job.config.heldout).to_json()))


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
    if config.quality.judges.wanted:
        _groups(funnel, config, work, key)
    files = []
    if config.decontaminate.sets:
        files.append(work.write_table(f"contamination-{key}.parquet", _decontaminate(funnel, config.decontaminate, work)))
    mine = held(funnel.table, chosen)
    copies = _copies(work.root, work.describe(HELDOUT).sha256, config.heldout).near(funnel.table, mine)
    found = redact(funnel.table.column("text"), config.redact)
    funnel.filter("redaction", pa.nulls(len(mine), pa.string()), texts=found.texts, removed="personal data")
    split = pa.array(np.where(mine, "valid", "train").tolist(), pa.string())
    funnel.table = funnel.table.set_column(DOCUMENT.get_field_index("split"), DOCUMENT.field("split"), split)
    funnel.filter("held-out", _where(copies, "near a held-out document"))
    train = funnel.table.filter(pc.equal(funnel.table.column("split"), "train"))
    pages = int(origin_is(train, *PAGES).sum())
    funnel.table = funnel.table.select(DOCUMENT.names)
    parts = [work.read_table(f"dropped/{phase}-{key}.parquet") for phase in job.phases]
    lost = pa.concat_tables([*parts, funnel.all_dropped()])
    result = partial(
        Finished,
        pages=pages,
        mixture=count_mixture(funnel.table).to_pylist(),
        redaction={kind: int(count.sum()) for kind, count in found.counts.items()},
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
    if job.config.decontaminate.sets:
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


def _groups(funnel: Funnel, config: CleanConfig, work: Store, key: str) -> None:
    """The filter by learned groups: prose of the groups that do not stay. Reference text stays."""
    scores = work.read_table(f"scores-{key}.parquet")
    part = funnel.table.take(scores.column("row"))
    limits = {lang: Thresholds(**values) for lang, values in work.read_json(THRESHOLDS).items()}
    found = group(scores, part.column("lang"), limits, config.quality.judges.groups)
    reasons = np.full(len(funnel.table), None, object)
    reasons[scores.column("row").to_numpy()] = group_reasons(found, config.quality.judges.groups).to_pylist()
    named = pc.is_in(funnel.table.column("source"), value_set=pa.array(config.quality.judges.reference, pa.string()))
    funnel.filter("groups", pa.array(reasons, pa.string()), exempt=~origin_is(funnel.table, *PAGES) | _bools(named))


def _decontaminate(funnel: Funnel, config: DecontaminationConfig, work: Store) -> pa.Table:
    """The decontamination filter, of exercises and held-out documents too; returns the passages that speak for it."""
    index = ItemIndex.load(work.child(ITEMS))
    counts = work.read_table(f"{ITEMS}/counts.parquet").column("documents").to_numpy()
    found = judge_contamination(funnel.table.column("id"), funnel.table.column("text"), index, config, counts)
    funnel.filter("decontamination", found.reason)
    return found.spans


@functools.lru_cache(maxsize=1)
def _copies(root: str, digest: str, config: HeldoutChoiceConfig) -> Copies:
    """The held-out documents (of this SHA-256), indexed once in each process."""
    return Copies(Store(root).read_table(HELDOUT), config)


def _slices(out: Store, name: str, table: pa.Table, limit: int, schema: pa.Schema) -> list[FileRecord]:
    return [
        out.write_table(f"{name}-{part:03d}.parquet", table.slice(start, stop - start).cast(schema))
        for part, (start, stop) in enumerate(slices(table.column("text"), limit))
    ]


def read(kind: type[D], work: Store, name: str) -> D:
    return unpack(kind, work.read_bytes(name), origin=work.url(name))


def _bools(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def _where(failed: npt.NDArray[np.bool_], reason: str) -> pa.Array:
    """`reason` where it failed, else null."""
    return pc.if_else(pa.array(failed), pa.scalar(reason), pa.scalar(None, pa.string()))


def _exempted(table: pa.Table, policies: Mapping[str, SourcePolicy], judgement: str) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents whose source's policy exempts them from "near-duplicates", "templates" or "quality"."""
    names = [name for name, policy in policies.items() if judgement in policy.exempt]
    return _bools(pc.is_in(table.column("source"), value_set=pa.array(names, pa.string())))


def templates(table: pa.Table, job: CleanJob) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents whose blocks distribution filtering counts and judges."""
    return origin_is(table, *PAGES) & ~_exempted(table, job.policies, "templates")


def _cut_blocks(part: pa.Table, verdict: BlockVerdict) -> pa.Table:
    """One row for each block that was cut from this shard, counted by key: source, documents that had it, times, how it begins."""
    rows = np.flatnonzero(verdict.remove)
    keys, first, removed = np.unique(verdict.keys[rows], return_index=True, return_counts=True)
    rows = rows[first]
    owner = np.repeat(np.arange(len(part)), list_lengths(part.column("blocks")))
    text = pc.list_flatten(part.column("blocks")).take(pa.array(rows))
    return pa.table(
        {
            "key": pa.array(keys),
            "source": part.column("source").take(pa.array(owner[rows])),
            "documents": pa.array(verdict.documents[rows]),
            "removed": pa.array(removed),
            "text": pc.utf8_slice_codeunits(text, 0, EXCERPT),
        }
    )
