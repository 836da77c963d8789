"""Candidate documents: one table per shard from extracted pages, parallel text and generated exercises.

Input: the shards of three stores (extracted pages, parallel text, generated exercises). Output: for each shard, a table of the
schema CANDIDATE. Left out are pages whose extraction set a reason, which are in that step's ledger, and aligned text, which
comes by way of the parallel step.

Text is brought to NFC here, once, so that every later stage may take it for granted. Memory: one shard, twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.records import DOCUMENT, domain_of
from skyloom.core.store import Store
from skyloom.corpus.text import list_lengths, lists

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

_ENTERING = ("exercises-train.parquet", "exercises-valid.parquet")
"""Test, ref, canary and heldback items never enter the corpus."""


@dataclass(frozen=True)
class CandidateShard:
    """A file that holds candidates; `kind` is "page", "parallel" or "exercise"."""

    store: Store
    name: str
    kind: str


def shards(extracted: Store, parallel: Store, exercises: Store) -> list[CandidateShard]:
    """All files of candidates in the order in which their documents stand in the corpus."""
    found = [CandidateShard(extracted, n, "page") for n in extracted.names("extracted-")]
    found += [CandidateShard(parallel, n, "parallel") for n in parallel.names("parallel-") if n.endswith(".parquet")]
    return found + [CandidateShard(exercises, n, "exercise") for n in exercises.names("exercises-") if n in _ENTERING]


def read(shard: CandidateShard) -> pa.Table:
    """The candidates of one file, with the schema CANDIDATE."""
    table = shard.store.read_table(shard.name)
    if shard.kind == "page":
        ours = pc.and_(pc.is_null(table.column("reason")), pc.not_equal(table.column("kind"), "parallel"))
        return _pages(table.filter(ours))
    return documents(table, shard.kind)


def joined(blocks: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """The text of each row of a list<string> column: its blocks with an empty line between them."""
    return pc.binary_join(blocks, pa.scalar("\n\n", pa.large_string()))


def origin_is(table: pa.Table, *names: str) -> npt.NDArray[np.bool_]:
    """bool[rows]: candidates that came as one of `names`."""
    return np.asarray(pc.is_in(table.column("origin"), value_set=pa.array(names)).to_numpy(zero_copy_only=False), bool)


def _pages(pages: pa.Table) -> pa.Table:
    blocks = pages.column("blocks")
    blocks = lists(pc.utf8_normalize(pc.list_flatten(blocks), form="NFC"), list_lengths(blocks))
    langs, categories = pages.column("lang").to_pylist(), pages.column("category").to_pylist()
    columns = {name: pages.column(name) for name in ("id", "lang", "source", "category", "url", "date", "license", "meta")}
    columns["text"] = joined(blocks)
    columns["domain"] = pa.array([domain_of(c, lang) for c, lang in zip(categories, langs, strict=True)], pa.string())
    columns["split"] = pa.array(["train"] * len(pages), pa.string())
    columns["origin"] = pages.column("kind")
    columns["blocks"], columns["tags"] = blocks, pages.column("tags").cast(CANDIDATE.field("tags").type)
    return pa.table([columns[name] for name in CANDIDATE.names], schema=CANDIDATE)


def documents(table: pa.Table, origin: str) -> pa.Table:
    """Documents as candidates without blocks."""
    columns = {name: table.column(name) for name in DOCUMENT.names}
    columns["text"] = columns["text"].cast(pa.large_string())
    columns["origin"] = pa.array([origin] * len(table), pa.string())
    for name in ("blocks", "tags"):
        columns[name] = pa.array([[]] * len(table), CANDIDATE.field(name).type)
    return pa.table([columns[name] for name in CANDIDATE.names], schema=CANDIDATE)
