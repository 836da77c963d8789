"""Side outputs of the clean stage: examples for the run page, and warnings about what is missing.

Input: tables of kept or dropped documents, one shard at a time. Output: small tables that can be merged over shards. Examples
are chosen by the hash of their ids, so that a shard's choice is a part of the whole corpus' choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import DataError
from skyloom.core.ledger import KEPT, Ledger
from skyloom.core.progress import Progress
from skyloom.core.records import record_id
from skyloom.core.store import Store
from skyloom.corpus.clean.funnel import EXCERPT
from skyloom.corpus.clean.phase_results import FoundCounts
from skyloom.corpus.quality import short_language
from skyloom.corpus.sources import SourcePolicy

Rows = list[dict[str, str]]

KEPT_GROUPS, KEPT_COLUMNS = ("domain",), ("id", "source", "lang", "domain", "url", "text")
LOST_GROUPS, LOST_COLUMNS = ("stage", "reason"), ("id", "source", "lang", "stage", "reason", "url", "text")


def examples(table: pa.Table, groups: tuple[str, ...], columns: tuple[str, ...], number: int) -> Rows:
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
    result: Rows = part.set_column(part.schema.get_field_index("text"), "text", text).to_pylist()
    return result


def merged_examples(parts: Iterable[Rows], groups: tuple[str, ...], number: int) -> Rows:
    """The examples of all shards together: again the `number` of each group with the smallest hashes."""
    ranked = sorted(
        ((tuple(row[name] for name in groups), record_id("example", row["id"]), row) for rows in parts for row in rows),
        key=lambda entry: entry[:2],
    )
    counts: dict[tuple[str, ...], int] = {}
    chosen = []
    for label, _, row in ranked:
        counts[label] = counts.get(label, 0) + 1
        if counts[label] <= number:
            chosen.append(row)
    return chosen


def demand(ledger: Ledger, *, came: int, left: int, minimum: int) -> None:
    """DataError if fewer than `minimum` training documents are `left` of the `came` that came from pages."""
    if left >= minimum:
        return
    reasons: dict[str, int] = {}
    for stage in ledger.stages():
        for reason, (documents, _) in ledger.totals(stage).items():
            if reason != KEPT:
                reasons[reason] = reasons.get(reason, 0) + documents
    most = max(reasons, key=lambda reason: reasons[reason], default="")
    why = f"; {reasons[most]} documents were dropped as '{most}'" if reasons.get(most) else ""
    raise DataError(
        f"only {left} training documents are left of {came} that came from pages{why}. A corpus needs {minimum}: "
        "add sources, or lower corpus.clean.minimum_documents"
    )


def found(documents: pa.Table) -> FoundCounts:
    """Of a shard: languages by source, all domains, and the domains with held-out documents."""
    langs: dict[str, set[str]] = {}
    for source, lang in zip(documents.column("source").to_pylist(), documents.column("lang").to_pylist(), strict=True):
        langs.setdefault(source, set()).add(lang)
    valid = documents.filter(pc.equal(documents.column("split"), "valid"))
    return FoundCounts(
        languages={source: sorted(names) for source, names in sorted(langs.items())},
        domains=sorted(pc.unique(documents.column("domain")).to_pylist()),
        held=sorted(pc.unique(valid.column("domain")).to_pylist()),
    )


def warn(parts: Sequence[FoundCounts], policies: Mapping[str, SourcePolicy], progress: Progress) -> None:
    """Say what later stages will miss, from what was `found` in all shards: a language that a source promised, a domain
    without held-out documents."""
    short: dict[str, set[str]] = {}
    domains: set[str] = set()
    held: set[str] = set()
    for part in parts:
        domains.update(part.domains)
        held.update(part.held)
        for source, langs in part.languages.items():
            short.setdefault(source, set()).update("code" if lang == "code" else short_language(lang) for lang in langs)
    for name, policy in sorted(policies.items()):
        for code, word in (("en", "English"), ("zh", "Chinese")):
            promised = code in {short_language(x) for x in policy.languages}
            if short.get(name, set()) - {"other", "code"} and promised and code not in short[name]:
                progress.log(f"warning: the source {name} has no {word} document after cleaning")
    for code, word in (("en", "English"), ("zh", "Chinese")):
        if not any(code in langs for langs in short.values()):
            progress.log(f"warning: the corpus has no {word} document: add a source with {word} pages")
    for domain in sorted(domains - held):
        progress.log(f"warning: {domain} has too few documents to hold any out")


def write_blocks(out: Store, parts: Sequence[pa.Table]) -> None:
    """`blocks.parquet`: a row for each recurring block with its source, documents that had it, times it was cut, how it begins."""
    table = pa.concat_tables(parts)
    counts = table.group_by(["key", "source"], use_threads=False).aggregate(
        [("documents", "max"), ("removed", "sum"), ("text", "min")]
    )
    names = {"source": "source", "documents": "documents_max", "removed": "removed_sum", "text": "text_min"}
    table = pa.table({name: counts.column(column) for name, column in names.items()})
    out.write_table("blocks.parquet", table.sort_by([("source", "ascending"), ("documents", "descending"), ("text", "ascending")]))
