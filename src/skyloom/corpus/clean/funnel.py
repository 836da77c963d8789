"""The funnel: one filter after another over candidate documents; every dropped one is written down with stage and reason.

Input: a table of candidate documents. Output: the table that passed, the ledger, and a table of the dropped. A filter is told
what the judges said (a reason for each row, or null) and does the counting: documents and UTF-8 bytes by stage, source,
language and reason. Bytes that a filter takes out of documents that stay (recurring blocks, personal data) are posted with no
documents. A funnel sees one shard; ledgers add up over shards, and `check_chain` then proves that each stage balances, and that
each received exactly what the one before it kept.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import IntegrityError
from skyloom.core.ledger import KEPT, Ledger
from skyloom.corpus.text import byte_sizes

EXEMPT = "exempt from this stage"
"""A ledger line with no documents and no bytes: all that this source and language kept here was kept unjudged."""

EXCERPT = 600
"""Characters of a dropped document's text that are kept for inspection."""

DROPPED = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("id", "source", "lang", "domain", "stage", "reason", "url", "text")]
)


def _blank_where(marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.object_]:
    """An empty label where marked, else None."""
    return np.array(["" if mark else None for mark in marked.tolist()], object)


def check_chain(ledger: Ledger) -> None:
    """IntegrityError unless every stage balances and every stage received what the one before it kept."""
    ledger.check()
    for former, latter in itertools.pairwise(ledger.stages()):
        kept = {k[1:3]: v for k, v in ledger.counts.items() if k[0] == former and k[3] == KEPT and v != [0, 0]}
        came = {k[1:]: v for k, v in ledger.intake.items() if k[0] == latter}
        if kept != came:
            raise IntegrityError(f"the stage {latter} did not receive what the stage {former} kept")


@dataclass
class Funnel:
    """`table`: what has passed so far; it has at least the columns id, text, lang, source, domain and url."""

    table: pa.Table
    ledger: Ledger = field(default_factory=Ledger)
    dropped: list[pa.Table] = field(default_factory=list)

    def filter(
        self,
        stage: str,
        reasons: pa.Array,
        *,
        exempt: npt.NDArray[np.bool_] | None = None,
        texts: pa.Array | pa.ChunkedArray | None = None,
        removed: str = "",
    ) -> None:
        """Drop the rows with a reason, but for those of `exempt` (bool[rows]).

        `texts`: the rows' texts as this stage leaves them, where it changes them; the difference in bytes is posted
        under the reason `removed`. Dropped rows are remembered with the text they came with.
        """
        before = byte_sizes(self.table.column("text"))
        after = before if texts is None else byte_sizes(texts)
        labels = np.array(pc.fill_null(reasons, KEPT).to_pylist(), object)
        if exempt is not None:
            labels[exempt] = KEPT
        ones = np.ones(len(labels), np.int64)
        for source, lang, _, documents, size in self._sums(labels, ones, before, split=False):
            self.ledger.enter(stage, source, lang, documents, size)
        for source, lang, reason, documents, size in self._sums(labels, ones, after):
            self.ledger.post(stage, source, lang, reason, documents, size)
        if texts is not None:
            cut = np.where(before != after, removed, KEPT)
            for source, lang, reason, _, size in self._sums(cut, ones, before - after):
                if reason:
                    self.ledger.post(stage, source, lang, reason, 0, size)
        if exempt is not None:
            for source, lang, _, _, _ in self._sums(_blank_where(exempt), ones, ones, split=False):
                self.ledger.post(stage, source, lang, EXEMPT, 0, 0)
        keep = labels == KEPT
        self._remember(stage, labels, ~keep)
        if texts is not None:
            self.table = self.table.set_column(self.table.schema.get_field_index("text"), "text", texts)
        self.table = self.table.filter(pa.array(keep.astype(bool)))

    def join(self, stage: str, table: pa.Table, reason: str) -> None:
        """Add the documents of `table` to those that `stage` kept; the line `reason` says how many, as negative figures."""
        sizes = byte_sizes(table.column("text"))
        for source, lang, size in zip(*(table.column(n).to_pylist() for n in ("source", "lang")), sizes.tolist(), strict=True):
            self.ledger.post(stage, source, lang, KEPT, 1, size)
            self.ledger.post(stage, source, lang, reason, -1, -size)
        self.table = pa.concat_tables([self.table, table.select(self.table.column_names).cast(self.table.schema)])

    def all_dropped(self) -> pa.Table:
        """All dropped documents in the order of the filters, with the schema DROPPED."""
        return pa.concat_tables([DROPPED.empty_table(), *self.dropped])

    def _sums(
        self, labels: npt.NDArray[np.object_], documents: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], *, split: bool = True
    ) -> list[tuple[str, str, str, int, int]]:
        """Sums by (source, lang, label), sorted; rows labelled None are left out; without `split` labels are not told apart."""
        table = self.table.select(["source", "lang"])
        for name, values in (
            ("label", pa.array(labels, pa.string())),
            ("documents", pa.array(documents)),
            ("sizes", pa.array(sizes)),
        ):
            table = table.append_column(name, values)
        table = table.filter(pc.is_valid(table.column("label")))
        keys = ["source", "lang", "label"] if split else ["source", "lang"]
        sums = table.group_by(keys).aggregate([("documents", "sum"), ("sizes", "sum")]).to_pylist()
        return sorted((r["source"], r["lang"], r.get("label", ""), r["documents_sum"], r["sizes_sum"]) for r in sums)

    def _remember(self, stage: str, labels: npt.NDArray[np.object_], gone: npt.NDArray[np.bool_]) -> None:
        rows = self.table.filter(pa.array(gone.astype(bool)))
        columns = {name: rows.column(name).cast(pa.string()) for name in ("id", "source", "lang", "domain", "url")}
        columns["stage"] = pa.array([stage] * len(rows), pa.string())
        columns["reason"] = pa.array(labels[gone].tolist(), pa.string())
        columns["text"] = pc.utf8_slice_codeunits(rows.column("text"), 0, EXCERPT).cast(pa.string())
        self.dropped.append(pa.table([columns[name] for name in DROPPED.names], schema=DROPPED))
