"""The clean stage: extracted pages, parallel text and exercises become the corpus, through named gates in one visible order.

What enters are three stores; what leaves are `documents-NNNNN.parquet` with a held-out part, `dropped-NNNNN.parquet` with
stage and reason for every document that did not stay, `blocks.parquet` (the recurring blocks), the ledger, the mixture
and examples (docs/design.md). This is the only file in which a judge's verdict drops anything.

The order, and why (report 3.1 has the same boxes in its figure):

1. rules            cheap, so that nothing after it sees debris
2. exact-duplicates before anything that compares
3. near-duplicates  before blocks are counted, or the blocks of a page that came five times would seem to recur
4. distribution     recurring blocks leave the documents, which changes what quality is measured on
5. quality          prose by the rules, code by its heuristics
6. redaction        on what will stay, so that its counts are those of the corpus
7. held-out         last: the held-out documents are of the same make as the training ones, and no copy of them remains

Pages whose extraction set a reason are in the ledger of that stage and are not counted here. Generated exercises are
variations by intent: they pass gates 2 to 5 unjudged. Parallel text quotes pages, so gates 4 and 5 do not judge it.

Memory: the corpus' text once in Arrow and once more while it is rewritten, and what dedup.py and distribution.py state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import setting
from skyloom.core.engine import Engine
from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, domain_of, record_id
from skyloom.core.store import Store
from skyloom.core.units import count_units
from skyloom.corpus.code import CodeConfig, judge_code
from skyloom.corpus.columns import byte_sizes, list_lengths, lists, slices
from skyloom.corpus.decontaminate import HeldoutConfig, choose_heldout, near_heldout
from skyloom.corpus.dedup import DedupConfig, exact_duplicates, near_duplicates
from skyloom.corpus.distribution import BlockVerdict, DistributionConfig, recurring_blocks, without
from skyloom.corpus.funnel import EXCERPT, Funnel
from skyloom.corpus.mixture import mixture
from skyloom.corpus.quality import QualityConfig, cheap_reasons, judge_quality, short_language
from skyloom.corpus.redact import RedactConfig, redact
from skyloom.corpus.sources import SourcePolicy

STAGES = ("rules", "exact-duplicates", "near-duplicates", "distribution", "quality", "redaction", "held-out")
PAGES = ("html", "text")
"""Origins of running prose that distribution filtering and the quality rules judge."""

CANDIDATE = pa.schema(
    [
        *(pa.field(f.name, pa.large_string() if f.name == "text" else f.type, nullable=f.nullable) for f in DOCUMENT),
        pa.field("origin", pa.string(), nullable=False),  # "html", "text", "code", "parallel" or "exercise"
        pa.field("blocks", pa.large_list(pa.large_string()), nullable=False),
        pa.field("tags", pa.large_list(pa.large_string()), nullable=False),
    ]
)


@dataclass(frozen=True)
class CleanConfig:
    """Settings of the clean stage, by gate."""

    quality: QualityConfig = setting(factory=QualityConfig, doc="rules and quality gates")
    duplicates: DedupConfig = setting(factory=DedupConfig, doc="near-duplicates")
    distribution: DistributionConfig = setting(factory=DistributionConfig, doc="recurring blocks")
    code: CodeConfig = setting(factory=CodeConfig, doc="code heuristics")
    redact: RedactConfig = setting(factory=RedactConfig, doc="personal data")
    heldout: HeldoutConfig = setting(factory=HeldoutConfig, doc="held-out documents")
    minimum_documents: int = setting(100, doc="fewest training documents from pages that are a corpus", unit="documents", low=1)
    shard_bytes: int = setting(64 << 20, doc="text in one shard of documents", unit="bytes", low=1 << 10)
    examples: int = setting(5, doc="examples kept for each domain and for each reason", low=0)


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
) -> None:
    """Write the corpus to `out`; see the module's docstring for the gates and docs/design.md for the files.

    `engine.workers` is the number of threads for signatures; what is written does not depend on it. Raises DataError when
    too few documents come in or remain, IntegrityError when the ledger does not balance.
    """
    table = candidates(extracted, parallel, exercises)
    if not len(table):
        raise DataError(f"no document came out of extraction ({extracted.root}): check the sources and the extraction ledger")
    funnel = Funnel(table)
    with progress.task("clean", len(STAGES), "gates") as bar:
        for stage, step in zip(STAGES, (_rules, _exact, _near, _distribution, _quality, _redaction, _heldout), strict=True):
            bar.note(stage)
            came = len(funnel.table)
            step(_Gate(stage, funnel, config, policies, out, engine.workers))
            progress.log(f"  {stage}: {came:,} documents in, {len(funnel.table):,} kept")
            bar.advance()
    funnel.finish()
    _demand(funnel, came=_from_pages(table), config=config)
    _warn(funnel.table, policies, progress)
    _write(funnel, out, config)


def candidates(extracted: Store, parallel: Store, exercises: Store) -> pa.Table:
    """All that may become a document, with the schema CANDIDATE: pages without a reason, parallel text, exercises.

    Of the exercises only the splits train and valid: test, ref, canary and twin items never enter the corpus.
    """
    parts = [CANDIDATE.empty_table()]
    for name in extracted.names("extracted-"):
        pages = extracted.read_table(name)
        parts.append(_pages(pages.filter(pc.is_null(pages.column("reason")))))
    for store, names, origin in (
        (parallel, parallel.names("parallel-"), "parallel"),
        (
            exercises,
            [n for n in exercises.names("exercises-") if n in ("exercises-train.parquet", "exercises-valid.parquet")],
            "exercise",
        ),
    ):
        parts += [_documents(store.read_table(name), origin) for name in names]
    return pa.concat_tables(parts)


def _pages(pages: pa.Table) -> pa.Table:
    blocks = pages.column("blocks")
    blocks = lists(pc.utf8_normalize(pc.list_flatten(blocks), form="NFC"), list_lengths(blocks))
    langs, categories = pages.column("lang").to_pylist(), pages.column("category").to_pylist()
    columns: dict[str, Any] = {
        name: pages.column(name) for name in ("id", "lang", "source", "category", "url", "date", "license", "meta")
    }
    columns["text"] = _joined(blocks)
    columns["domain"] = pa.array([domain_of(c, lang) for c, lang in zip(categories, langs, strict=True)], pa.string())
    columns["split"] = pa.array(["train"] * len(pages), pa.string())
    columns["origin"] = pages.column("kind")
    columns["blocks"], columns["tags"] = blocks, pages.column("tags").cast(CANDIDATE.field("tags").type)
    return pa.table([columns[name] for name in CANDIDATE.names], schema=CANDIDATE)


def _joined(blocks: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    return pc.binary_join(blocks, pa.scalar("\n\n", pa.large_string()))


def _documents(documents: pa.Table, origin: str) -> pa.Table:
    columns: dict[str, Any] = {name: documents.column(name) for name in DOCUMENT.names}
    columns["text"] = columns["text"].cast(pa.large_string())
    columns["origin"] = pa.array([origin] * len(documents), pa.string())
    for name in ("blocks", "tags"):
        columns[name] = pa.array([[]] * len(documents), CANDIDATE.field(name).type)
    return pa.table([columns[name] for name in CANDIDATE.names], schema=CANDIDATE)


@dataclass(frozen=True)
class _Gate:
    """What each gate's function is given."""

    stage: str
    funnel: Funnel
    config: CleanConfig
    policies: Mapping[str, SourcePolicy]
    out: Store
    threads: int

    def column(self, name: str) -> pa.ChunkedArray:
        return self.funnel.table.column(name)

    def origin(self, *names: str) -> npt.NDArray[np.bool_]:
        """bool[rows]: documents that came as one of `names`."""
        return np.asarray(pc.is_in(self.column("origin"), value_set=pa.array(names)).to_numpy(), bool)

    def exempted(self, judgement: str) -> npt.NDArray[np.bool_]:
        """bool[rows]: documents whose source's policy exempts them from "near-duplicates", "templates" or "quality"."""
        names = [name for name, policy in self.policies.items() if judgement in policy.exempt]
        return np.asarray(pc.is_in(self.column("source"), value_set=pa.array(names, pa.string())).to_numpy(), bool)

    def drop(
        self,
        rows: npt.NDArray[np.bool_],
        reasons: npt.NDArray[np.object_],
        exempt: npt.NDArray[np.bool_] | None,
        *,
        texts: pa.Array | None = None,
        removed: str = "",
    ) -> None:
        """Pass the gate with `reasons` given for the judged `rows` (bool[rows]) only."""
        everyone = np.full(len(rows), None, object)
        everyone[rows] = reasons
        self.funnel.gate(self.stage, pa.array(everyone, pa.string()), exempt=exempt, texts=texts, removed=removed)


def _rules(gate: _Gate) -> None:
    reasons = cheap_reasons(gate.column("text"), gate.column("lang"), gate.config.quality)
    gate.funnel.gate(gate.stage, reasons, exempt=gate.origin("exercise", "parallel"))


def _exact(gate: _Gate) -> None:
    exempt = gate.origin("exercise")
    rows = pa.array(~exempt)
    clusters = exact_duplicates(gate.column("text").filter(rows), gate.column("id").filter(rows))
    gate.drop(~exempt, _where(~clusters.keep, "exact duplicate"), exempt)


def _near(gate: _Gate) -> None:
    """Sources that a policy exempts are compared too, so that held-out documents can find their copies in them."""
    compared = ~gate.origin("exercise")
    rows, numbers = pa.array(compared), np.arange(len(compared))
    clusters = near_duplicates(
        gate.column("text").filter(rows), gate.column("id").filter(rows), gate.config.duplicates, threads=gate.threads
    )
    numbers[compared] = np.flatnonzero(compared)[clusters.labels]
    gate.funnel.table = gate.funnel.table.append_column("cluster", pa.array(numbers))
    gate.drop(compared, _where(~clusters.keep, "near-duplicate"), ~compared | gate.exempted("near-duplicates"))


def _distribution(gate: _Gate) -> None:
    judged = gate.origin(*PAGES) & ~gate.exempted("templates")
    part = gate.funnel.table.filter(pa.array(judged))
    plain = gate.origin("text")[judged]
    verdict = recurring_blocks(part.column("blocks"), part.column("tags"), part.column("source"), gate.config.distribution, plain)
    _write_blocks(gate.out, part, verdict)
    left = _joined(without(part.column("blocks"), verdict.remove))
    changed = byte_sizes(left) != byte_sizes(part.column("text"))
    limits = np.array([gate.config.quality.of(short_language(x)).minimum_units for x in part.column("lang").to_pylist()])
    short = changed.copy()
    short[changed] = count_units(left.filter(pa.array(changed))) < limits[changed]
    gate.drop(
        judged,
        _where(short, "too short without its recurring blocks"),
        ~judged,
        texts=_replaced(gate.column("text"), judged, left),
        removed="recurring block",
    )


def _quality(gate: _Gate) -> None:
    prose, code = gate.origin(*PAGES), gate.origin("code")
    text, pages, files = gate.column("text"), pa.array(prose), pa.array(code)
    reasons = np.full(len(prose), None, object)
    reasons[prose] = judge_quality(text.filter(pages), gate.column("lang").filter(pages), gate.config.quality).reason.to_pylist()
    reasons[code] = judge_code(
        text.filter(files), gate.column("url").filter(files), gate.column("id").filter(files), gate.config.code
    ).to_pylist()
    gate.funnel.gate(gate.stage, pa.array(reasons, pa.string()), exempt=~(prose | code) | gate.exempted("quality"))


def _redaction(gate: _Gate) -> None:
    found = redact(gate.column("text"), gate.config.redact)
    gate.out.write_json("redaction.json", {kind: int(counts.sum()) for kind, counts in found.counts.items()})
    nothing = pa.nulls(len(found.texts), pa.string())
    gate.funnel.gate(gate.stage, nothing, texts=found.texts, removed="personal data")


def _heldout(gate: _Gate) -> None:
    """Domains that came with a held-out part of their own (exercises) keep that and are not drawn from."""
    table = gate.funnel.table
    given = np.asarray(pc.equal(table.column("split"), "valid").to_numpy(), bool)
    settled = pc.unique(table.column("domain").filter(pa.array(given)))
    eligible = ~np.asarray(pc.is_in(table.column("domain"), value_set=settled).to_numpy(), bool)
    heldout = given | choose_heldout(table.column("id"), table.column("domain"), eligible, gate.config.heldout)
    near = near_heldout(
        table.column("text"), heldout, gate.origin("exercise"), table.column("cluster").to_numpy(), gate.config.heldout
    )
    split = pa.array(np.where(heldout, "valid", "train").tolist(), pa.string())
    gate.funnel.table = table.set_column(table.schema.get_field_index("split"), DOCUMENT.field("split"), split)
    gate.drop(np.ones(len(near), bool), _where(near, "near a held-out document"), None)


def _where(failed: npt.NDArray[np.bool_], reason: str) -> npt.NDArray[np.object_]:
    """`reason` where it failed, else None."""
    return np.array([reason if bad else None for bad in failed.tolist()], object)


def _replaced(column: pa.ChunkedArray, rows: npt.NDArray[np.bool_], values: pa.Array) -> pa.Array:
    return pc.replace_with_mask(column.combine_chunks(), pa.array(rows), values.cast(column.type))


def _write_blocks(out: Store, part: pa.Table, verdict: BlockVerdict) -> None:
    """One row for each recurring block: its source, documents that had it, times it was removed, beginning of its text."""
    rows = np.flatnonzero(verdict.remove)
    _, first, removed = np.unique(verdict.keys[rows], return_index=True, return_counts=True)
    rows = rows[first]
    owner = np.repeat(np.arange(len(part)), list_lengths(part.column("blocks")))
    text = pc.list_flatten(part.column("blocks")).take(pa.array(rows))
    table = pa.table(
        {
            "source": part.column("source").take(pa.array(owner[rows])),
            "documents": pa.array(verdict.documents[rows]),
            "removed": pa.array(removed),
            "text": pc.utf8_slice_codeunits(text, 0, EXCERPT),
        }
    )
    out.write_table("blocks.parquet", table.sort_by([("source", "ascending"), ("documents", "descending"), ("text", "ascending")]))


def _demand(funnel: Funnel, *, came: int, config: CleanConfig) -> None:
    left = _from_pages(funnel.table.filter(pc.equal(funnel.table.column("split"), "train")))
    if left >= config.minimum_documents:
        return
    reasons = pc.value_counts(funnel.all_dropped().column("reason")).to_pylist()
    most = max(reasons, key=lambda r: int(r["counts"]), default=None)
    why = f"; {most['counts']} of them were dropped as '{most['values']}'" if most else ""
    raise DataError(
        f"only {left} training documents are left of {came} that came from pages{why}. A corpus needs "
        f"{config.minimum_documents}: "
        "add sources, or lower corpus.clean.minimum_documents"
    )


def _from_pages(table: pa.Table) -> int:
    """Documents that are pages of prose: code, exercises and parallel text alone are no corpus."""
    return int(pc.sum(pc.is_in(table.column("origin"), value_set=pa.array(PAGES))).as_py() or 0)


def _warn(table: pa.Table, policies: Mapping[str, SourcePolicy], progress: Progress) -> None:
    """Say what the rooms below will miss: a language that a source promised, a domain without held-out documents."""
    found: dict[str, set[str]] = {}
    for source, lang in zip(table.column("source").to_pylist(), table.column("lang").to_pylist(), strict=True):
        found.setdefault(source, set()).add(short_language(lang))
    for name, policy in sorted(policies.items()):
        for short, word in (("en", "English"), ("zh", "Chinese")):
            promised = short in {short_language(x) for x in policy.languages}
            if found.get(name, set()) - {"other", "code"} and promised and short not in found[name]:
                progress.log(f"warning: the source {name} has no {word} document after cleaning")
    for short, word in (("en", "English"), ("zh", "Chinese")):
        if not any(short in langs for langs in found.values()):
            progress.log(f"warning: the corpus has no {word} document: add a source with {word} pages")
    held = set(table.column("domain").filter(pc.equal(table.column("split"), "valid")).to_pylist())
    for domain in sorted(set(table.column("domain").to_pylist()) - held):
        progress.log(f"warning: {domain} has too few documents to hold any out")


def _write(funnel: Funnel, out: Store, config: CleanConfig) -> None:
    documents = funnel.table.select(DOCUMENT.names)
    for number, (start, stop) in enumerate(slices(documents.column("text"), config.shard_bytes)):
        out.write_table(f"documents-{number:05d}.parquet", documents.slice(start, stop - start).cast(DOCUMENT))
    dropped = funnel.all_dropped()
    for number, (start, stop) in enumerate(slices(dropped.column("text"), config.shard_bytes)):
        out.write_table(f"dropped-{number:05d}.parquet", dropped.slice(start, stop - start))
    out.write_json("ledger.json", funnel.ledger.to_json())
    out.write_json("mixture.json", mixture(documents))
    kept = _examples(documents, ["domain"], ["id", "source", "lang", "domain", "url", "text"], config.examples)
    lost = _examples(dropped, ["stage", "reason"], ["id", "source", "lang", "stage", "reason", "url", "text"], config.examples)
    out.write_json("examples.json", {"kept": kept, "dropped": lost})


def _examples(table: pa.Table, groups: list[str], columns: list[str], number: int) -> list[dict[str, str]]:
    """The `number` rows of each group whose ids have the smallest hashes, texts cut to EXCERPT characters."""
    labels = zip(*(table.column(name).to_pylist() for name in groups), strict=True)
    ranked = sorted(
        (label, record_id("example", name), row)
        for row, (label, name) in enumerate(zip(labels, table.column("id").to_pylist(), strict=True))
    )
    taken: dict[tuple[str, ...], list[int]] = {}
    for label, _, row in ranked:
        if len(taken.setdefault(label, [])) < number:
            taken[label].append(row)
    part = table.select(columns).take(pa.array([row for rows in taken.values() for row in rows], pa.int64()))
    text = pc.utf8_slice_codeunits(part.column("text"), 0, EXCERPT)
    result: list[dict[str, str]] = part.set_column(part.schema.get_field_index("text"), "text", text).to_pylist()
    return result
