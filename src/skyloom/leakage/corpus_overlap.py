"""Corpus overlap: how many of the audited exercises stand in the training text.

Input: the exercise splits and the training documents; output: for each split, how many items were found and how.
Loss gaps (report 5.2) say what a model learned; this says what it was shown, and needs no model. Two looks:

- *whole*: the item's canonical question (`meta.canonical`, which spells the family and its numbers one way) is the
  canonical question of a training document. For exercises this is what leakage means.
- *share*: the mean share of the item's 13-grams of units that some training document has. Exercises of one family share
  their template's wording, so this is far from 0 for clean items too; read it against the reference split, whose items
  nobody trained on.

Canaries are planted when tokens are packed, after the corpus: here they must not be found whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.overlap import N, Reference
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.leakage.audit_items import Items

WORDS = (
    "whole: items whose canonical question is that of a training document; "
    f"share: mean share of an item's {N}-grams of units found in training documents, to be read against the reference split, "
    "because exercises of one family share wording; canaries are planted after the corpus and must not be found whole"
)


class OverlapRow(TypedDict):
    """`whole` counts items, `share` is a mean in 0..1."""

    split: str
    items: int
    whole: int
    share: float | None


class CorpusOverlap(TypedDict):
    """`documents`: training documents looked through."""

    rows: list[OverlapRow]
    documents: int
    words: str


def corpus_overlap(splits: Mapping[str, Items], corpus: Store, progress: Progress) -> CorpusOverlap:
    """How much of each split stands in the training documents.

    Memory: 8 bytes for each distinct 13-gram of one shard and of the items.
    """
    columns = {name: pa.array(items.texts, pa.large_string()) for name, items in splits.items()}
    wanted = Reference(pa.chunked_array(list(columns.values())))
    seen = np.zeros(len(wanted.grams), bool)
    canonical: set[str] = set()
    documents = 0
    names = [n for n in corpus.names("documents-") if n.endswith(".parquet")]
    with progress.task("exercises in the corpus", len(names), "shards") as bar:
        for name in names:
            table = corpus.read_table(name, ["text", "split", "category", "meta"])
            table = table.filter(pc.equal(table["split"], "train"))
            seen |= np.isin(wanted.grams, Reference(table["text"]).grams)
            canonical.update(_canonical(table.filter(pc.equal(table["category"], "stem"))["meta"]))
            documents += table.num_rows
            bar.advance()
    wanted.grams = wanted.grams[seen]
    rows: list[OverlapRow] = [
        {
            "split": name,
            "items": len(items),
            "whole": sum(c in canonical for c in items.canonical),
            "share": round(float(wanted.share(columns[name]).mean()), 6) if len(items) else None,
        }
        for name, items in splits.items()
    ]
    return {"rows": rows, "documents": documents, "words": WORDS}


def _canonical(column: pa.ChunkedArray) -> set[str]:
    """The canonical questions in a column of `meta`; documents of other makers have none."""
    found = (json.loads(value).get("canonical") for value in column.to_pylist())
    return {c for c in found if c}
