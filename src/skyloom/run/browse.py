"""Looks into a corpus: which documents were kept, and which were dropped, where and why.

Input: the folders of the steps `extract` and `corpus`. Output: rows for a table. Dropped documents are those
of all stages: extraction and language (whole pages, in the extracted shards) and the cleaning (`dropped-*.parquet`, the first 600
characters). Shards are read one after the other until enough rows match, so a large corpus is looked into as fast as a small.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.json_files import Rows
from skyloom.core.store import Store
from skyloom.corpus.clean import EXCERPT

_EXTRACTED = ["id", "source", "lang", "url", "reason", "blocks"]


@dataclass(frozen=True)
class Wanted:
    """What to show; an empty string wants all. `lang` "zh" is either script, `reason` and `text` match a part of it."""

    stage: str = ""
    reason: str = ""
    source: str = ""
    lang: str = ""
    domain: str = ""
    text: str = ""

    def mask(self, table: pa.Table) -> pa.ChunkedArray:
        """bool[rows]: the rows that are wanted."""
        mask = pa.chunked_array([pa.array([True] * len(table), pa.bool_())])
        for name in ("stage", "source", "domain"):
            if getattr(self, name):
                mask = pc.and_(mask, pc.equal(table.column(name), getattr(self, name)))
        for name in ("reason", "text"):
            if getattr(self, name):
                mask = pc.and_(mask, pc.match_substring(table.column(name), getattr(self, name), ignore_case=True))
        if self.lang:
            mask = pc.and_(mask, pc.starts_with(table.column("lang"), self.lang))
        return mask


def kept(corpus: Store, wanted: Wanted, limit: int) -> Rows:
    """The first `limit` documents of the corpus that are wanted: id, domain, split, source, lang, url and how the text begins."""
    columns = ["id", "domain", "split", "source", "lang", "url", "text"]
    return _first((corpus.read_table(name, columns) for name in corpus.names("documents-")), wanted, limit)


def dropped(extracted: Store, corpus: Store, wanted: Wanted, limit: int) -> Rows:
    """The first `limit` documents and pages that were dropped and are wanted: stage, reason, source, lang, url, how it begins."""

    def tables() -> Iterator[pa.Table]:
        for name in corpus.names("dropped-"):
            yield corpus.read_table(name)
        for name in extracted.names("extracted-"):
            yield _refused(extracted.read_table(name, _EXTRACTED))

    return _first(tables(), wanted, limit)


def reasons(rows: Sequence[tuple[str, str, str, str, int, int]]) -> Rows:
    """The `counts` of a ledger as documents and bytes by stage, reason and language, the dropped ones only."""
    sums: dict[tuple[str, str, str], list[int]] = {}
    for stage, _, lang, reason, documents, size in rows:
        if reason and documents:
            cell = sums.setdefault((stage, reason, lang), [0, 0])
            cell[0] += documents
            cell[1] += size
    return [{"stage": s, "reason": r, "lang": lang or None, "documents": n, "bytes": b} for (s, r, lang), (n, b) in sums.items()]


def _refused(table: pa.Table) -> pa.Table:
    """Pages that extraction or the language filter dropped, in the columns of the dropped."""
    rows = table.filter(pc.is_valid(table.column("reason")))
    language = pc.starts_with(rows.column("reason"), "language: ")
    columns = {name: rows.column(name) for name in ("id", "source", "lang", "url", "reason")}
    columns["stage"] = pc.if_else(language, "language", "extract")
    columns["domain"] = pa.array([""] * len(rows), pa.string())
    columns["text"] = pc.binary_join(rows.column("blocks"), "\n\n")
    return pa.table(columns)


def _first(tables: Iterator[pa.Table], wanted: Wanted, limit: int) -> Rows:
    found: Rows = []
    for table in tables:
        part = table.filter(wanted.mask(table)).slice(0, limit - len(found))
        text = pc.utf8_slice_codeunits(part.column("text"), 0, EXCERPT)
        found += part.set_column(part.schema.get_field_index("text"), "text", text).to_pylist()
        if len(found) >= limit:
            break
    return found
