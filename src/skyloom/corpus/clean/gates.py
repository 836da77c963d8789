"""The filters of the clean stage, each over one shard: the verdicts of the judges drop documents here.

Input: a funnel with a shard's documents, and the job. Output: the funnel after the filters that a phase asks for, and what they
leave beside it: blocks that were cut, passages of benchmark items, counts of personal data. phases.py says which phase applies
which filters, order.py in which order they may stand. A filter of one's own goes through the same funnel, so its drops are in the
ledger by reason.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.records import DOCUMENT
from skyloom.core.store import Store
from skyloom.corpus import candidates
from skyloom.corpus.candidates import PAGES, origin_is
from skyloom.corpus.clean.config import CleanJob
from skyloom.corpus.clean.funnel import EXCERPT, Funnel
from skyloom.corpus.clean.order import Item
from skyloom.corpus.code import CodeCounts, judge_code
from skyloom.corpus.decontaminate import ItemIndex, judge_contamination
from skyloom.corpus.dedup import too_short
from skyloom.corpus.distribution import (
    BlockCounts,
    BlockSpace,
    BlockVerdict,
    MeaningDecision,
    MeaningGroups,
    judge_blocks,
    judge_meaning,
    unpack,
    without,
)
from skyloom.corpus.exercises import exercise_documents, judge_exercises
from skyloom.corpus.filters import OwnFilter, run_filter
from skyloom.corpus.heldout import Copies, HeldoutChoiceConfig, held
from skyloom.corpus.lists import judge_urls
from skyloom.corpus.notices import judge_robots
from skyloom.corpus.quality import Thresholds, cheap_reasons, group, group_reasons, judge_quality, short_language
from skyloom.corpus.redact import KINDS, redact
from skyloom.corpus.sources import SourcePolicy
from skyloom.corpus.text import byte_sizes, list_lengths

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

D = TypeVar("D", bound="DataclassInstance")

COUNTS, CODE, HELDOUT, ITEMS = "blocks.npz", "code.npz", "heldout.parquet", "items"
SPACE, GROUPS, DECISION = "space.npz", "groups.npz", "decision.npz"
JUDGES, THRESHOLDS = "judges", "thresholds.json"
"""Files that the merges between the phases write."""
JOINED = "joined from what was split off"
"""A ledger line with negative figures: documents that a stage adds. In is still kept plus all other lines."""
CHANGED = "text changed"
"""A ledger line: bytes that a filter of one's own took out of documents that stay, or put in (negative)."""
TEXT_LEFT = "no text is left"


@dataclass
class Gates:
    """The filters of a phase over one shard (`key`). `chosen`: ids of held-out documents; None where nothing is held out.

    `blocks`, `spans` and `redacted` are what distribution, decontamination and redaction leave beside the documents."""

    funnel: Funnel
    job: CleanJob
    work: Store
    key: str
    chosen: frozenset[str] | None = None
    blocks: pa.Table | None = None
    spans: pa.Table | None = None
    redacted: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))

    def apply(self, items: Sequence[Item]) -> Funnel:
        """The funnel after the filters, in their order; built-in ones that the settings do not ask for are passed over."""
        for item in items:
            if isinstance(item, OwnFilter):
                if item.texts:
                    self.mark()  # copies of held-out documents are looked for in the texts as those were collected
                own_filter(self.funnel, item, self.key)
            else:
                _GATES[item](self)
        return self.funnel

    def mark(self) -> None:
        """Mark what is held out and what is near it, by the texts as they are when this is first called."""
        if self.chosen is None or "mine" in self.funnel.table.column_names:
            return
        mine = held(self.funnel.table, self.chosen)
        copies = _copies(self.work.root, self.work.describe(HELDOUT).sha256, self.job.config.heldout_documents).near(
            self.funnel.table, mine
        )
        self.funnel.table = self.funnel.table.append_column("mine", pa.array(mine)).append_column("copy", pa.array(copies))


def own_filter(funnel: Funnel, own: OwnFilter, shard: str) -> None:
    """A filter of one's own: it drops the documents that it gives a reason for, or changes their texts.

    A text that is changed before blocks are counted has new blocks: its parts between empty lines.
    """
    table = funnel.table
    judged = origin_is(table, *own.config.origins)
    given = run_filter(own, table.filter(pa.array(judged)), shard)
    places = np.cumsum(judged) - 1
    found = given.take(pa.array(places, mask=~judged)) if len(given) else pa.nulls(len(table), given.type)
    if not own.texts:
        funnel.filter(own.name, found.cast(pa.string()), exempt=~judged)
        return
    texts = pc.coalesce(found, table.column("text").combine_chunks())
    if "blocks" in table.column_names:
        texts = _with_new_blocks(funnel, texts)
    empty = pc.equal(pc.binary_length(pc.utf8_trim_whitespace(texts)), 0)
    reasons = where(judged & bools(empty), TEXT_LEFT)
    funnel.filter(own.name, reasons, exempt=~judged, texts=texts, removed=CHANGED)


def _with_new_blocks(funnel: Funnel, texts: pa.Array) -> pa.Array:
    """Give the documents whose texts differ from `texts` the blocks of these; the texts as their blocks join to."""
    table = funnel.table
    changed = np.flatnonzero(bools(pc.not_equal(texts, table.column("text"))) & (list_lengths(table.column("blocks")) > 0))
    if not len(changed):
        return texts
    blocks, tags = table.column("blocks").to_pylist(), table.column("tags").to_pylist()
    for row, text in zip(changed.tolist(), texts.take(pa.array(changed)).to_pylist(), strict=True):
        blocks[row] = [part for part in text.split("\n\n") if part.strip()]
        if len(blocks[row]) != len(tags[row]):
            tags[row] = ["p"] * len(blocks[row])
    for name, values in (("blocks", blocks), ("tags", tags)):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    funnel.table = table
    left = candidates.joined(table.column("blocks").take(pa.array(changed))).cast(texts.type)
    mask = np.isin(np.arange(len(texts)), changed)
    return pc.replace_with_mask(texts, pa.array(mask), left.combine_chunks() if isinstance(left, pa.ChunkedArray) else left)


def _lists(gates: Gates) -> None:
    """Pages by their addresses, and by their robots directives."""
    table = gates.funnel.table
    if gates.job.config.lists.wanted:
        lists = gates.job.config.lists
        reasons = pc.coalesce(judge_urls(table.column("url"), lists), judge_robots(table.column("meta"), lists.robots))
        gates.funnel.filter("lists", reasons, exempt=~origin_is(table, *PAGES))


def _rules(gates: Gates) -> None:
    """The cheapest rules, so that nothing after them sees debris."""
    table = gates.funnel.table
    reasons = cheap_reasons(table.column("text"), table.column("lang"), gates.job.config.quality)
    gates.funnel.filter("rules", reasons, exempt=origin_is(table, "exercise", "parallel"))


def repeats(table: pa.Table, job: CleanJob) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents in which repeated lines and runs are cut."""
    return origin_is(table, *PAGES) & ~exempted(table, job.policies, "near-duplicates")


def shortest(table: pa.Table, job: CleanJob) -> npt.NDArray[np.int64]:
    """The fewest units that a document of each row's language may have, int64[rows]."""
    return np.array([job.config.quality.of(short_language(x)).minimum_units for x in table.column("lang").to_pylist()], np.int64)


def _exercises(gates: Gates) -> None:
    """Pages that are exercises leave as pages, and come back as one document for each exercise."""
    funnel, job = gates.funnel, gates.job
    if not job.config.found_exercises.wanted:
        return
    pages = funnel.table.filter(pa.array(origin_is(funnel.table, *PAGES)))
    rows = np.flatnonzero(origin_is(funnel.table, *PAGES))
    verdicts = judge_exercises(pages.column("text"), pages.column("lang"), job.config.found_exercises)
    found = exercise_documents(pages, verdicts)
    reasons = np.full(len(funnel.table), None, object)
    reasons[rows[bools(verdicts.column("is_exercise"))]] = "split off as exercises"
    funnel.filter("exercises", pa.array(reasons, pa.string()), exempt=~origin_is(funnel.table, *PAGES))
    if len(found):
        added = candidates.documents(found, "exercise")
        added = added.append_column("cluster", added.column("id")).append_column("near", pa.array([True] * len(added)))
        funnel.join("exercises", added, JOINED)


def _distribution(gates: Gates) -> None:
    """The filter for recurring blocks; keeps the blocks that were cut."""
    funnel, job, work = gates.funnel, gates.job, gates.work
    table = funnel.table
    judged = templates(table, job)
    part = table.filter(pa.array(judged))
    verdict = judge_blocks(part, read(BlockCounts, work, COUNTS), job.config.distribution)
    if job.config.meaning.wanted:
        verdict = _with_meaning(part, verdict, job, work)
    left = candidates.joined(without(part.column("blocks"), verdict.remove))
    changed = byte_sizes(left) != byte_sizes(part.column("text"))
    short = too_short(left, np.asarray(changed, bool), shortest(part, job))
    reasons = np.full(len(table), None, object)
    reasons[judged] = where(short, "too short without its recurring blocks").to_pylist()
    texts = pc.replace_with_mask(table.column("text").combine_chunks(), pa.array(judged), left.cast(pa.large_string()))
    funnel.filter("distribution", pa.array(reasons, pa.string()), exempt=~judged, texts=texts, removed="recurring block")
    gates.blocks = _cut_blocks(part, verdict)


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


def _quality(gates: Gates) -> None:
    """The quality filter."""
    funnel, job, code = gates.funnel, gates.job, read(CodeCounts, gates.work, CODE)
    table = funnel.table
    prose, files = origin_is(table, *PAGES), origin_is(table, "code")
    reasons = np.full(len(table), None, object)
    part = table.filter(pa.array(prose))
    reasons[prose] = judge_quality(part.column("text"), part.column("lang"), job.config.quality).reason.to_pylist()
    part = table.filter(pa.array(files))
    reasons[files] = judge_code(part.column("text"), part.column("url"), part.column("id"), job.config.code, code).to_pylist()
    exempt = ~(prose | files) | exempted(table, job.policies, "quality")
    funnel.filter("quality", pa.array(reasons, pa.string()), exempt=exempt)


def _groups(gates: Gates) -> None:
    """The filter by learned groups: prose of the groups that do not stay. Reference text stays."""
    funnel, config, work = gates.funnel, gates.job.config, gates.work
    if not config.quality.judges.wanted:
        return
    scores = work.read_table(f"scores-{gates.key}.parquet")
    part = funnel.table.take(scores.column("row"))
    limits = {lang: Thresholds(**values) for lang, values in work.read_json(THRESHOLDS).items()}
    found = group(scores, part.column("lang"), limits, config.quality.judges.groups)
    reasons = np.full(len(funnel.table), None, object)
    reasons[scores.column("row").to_numpy()] = group_reasons(found, config.quality.judges.groups).to_pylist()
    named = pc.is_in(funnel.table.column("source"), value_set=pa.array(config.quality.judges.reference, pa.string()))
    funnel.filter("groups", pa.array(reasons, pa.string()), exempt=~origin_is(funnel.table, *PAGES) | bools(named))


def _decontamination(gates: Gates) -> None:
    """The decontamination filter, of exercises and held-out documents too; keeps the passages that speak for it."""
    funnel, config, work = gates.funnel, gates.job.config.decontaminate, gates.work
    if not config.sets:
        return
    index = ItemIndex.load(work.child(ITEMS))
    counts = work.read_table(f"{ITEMS}/counts.parquet").column("documents").to_numpy()
    found = judge_contamination(funnel.table.column("id"), funnel.table.column("text"), index, config, counts)
    funnel.filter("decontamination", found.reason)
    gates.spans = found.spans


def _redaction(gates: Gates) -> None:
    """Personal data becomes placeholders."""
    gates.mark()
    funnel = gates.funnel
    found = redact(funnel.table.column("text"), gates.job.config.redact)
    funnel.filter("redaction", pa.nulls(len(funnel.table), pa.string()), texts=found.texts, removed="personal data")
    gates.redacted = {kind: int(count.sum()) for kind, count in found.counts.items()}


def _held_out(gates: Gates) -> None:
    """Held-out documents leave the training split, and what is near them leaves the corpus."""
    gates.mark()
    funnel = gates.funnel
    split = pa.array(np.where(bools(funnel.table.column("mine")), "valid", "train").tolist(), pa.string())
    funnel.table = funnel.table.set_column(DOCUMENT.get_field_index("split"), DOCUMENT.field("split"), split)
    funnel.filter("held-out", where(bools(funnel.table.column("copy")), "near a held-out document"))


@functools.lru_cache(maxsize=1)
def _copies(root: str, digest: str, config: HeldoutChoiceConfig) -> Copies:
    """The held-out documents (of this SHA-256), indexed once in each process."""
    return Copies(Store(root).read_table(HELDOUT), config)


def read(kind: type[D], work: Store, name: str) -> D:
    return unpack(kind, work.read_bytes(name), origin=work.url(name))


def bools(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def where(failed: npt.NDArray[np.bool_], reason: str) -> pa.Array:
    """`reason` where it failed, else null."""
    return pc.if_else(pa.array(failed), pa.scalar(reason), pa.scalar(None, pa.string()))


def exempted(table: pa.Table, policies: Mapping[str, SourcePolicy], judgement: str) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents whose source's policy exempts them from "near-duplicates", "templates" or "quality"."""
    names = [name for name, policy in policies.items() if judgement in policy.exempt]
    return bools(pc.is_in(table.column("source"), value_set=pa.array(names, pa.string())))


def templates(table: pa.Table, job: CleanJob) -> npt.NDArray[np.bool_]:
    """bool[rows]: documents whose blocks distribution filtering counts and judges."""
    return origin_is(table, *PAGES) & ~exempted(table, job.policies, "templates")


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


def no_blocks(table: pa.Table, job: CleanJob, work: Store) -> pa.Table:
    """What `Gates.blocks` is where no block was cut."""
    part = table.slice(0, 0)
    return _cut_blocks(part, judge_blocks(part, read(BlockCounts, work, COUNTS), job.config.distribution))


_GATES: dict[str, Callable[[Gates], None]] = {
    "lists": _lists,
    "rules": _rules,
    "exercises": _exercises,
    "distribution": _distribution,
    "quality": _quality,
    "groups": _groups,
    "decontamination": _decontamination,
    "redaction": _redaction,
    "held-out": _held_out,
}
"""The built-in filters that need one shard and what was counted before; duplicates and repeats are found over all shards."""
