"""The composition of the corpus: a table by language and category, as the report's Table 1.

Input: the documents' columns, shard by shard. Output: the content of `mixture.json`. The report gives shares of tokens of its
own tokenizer; ours come before any tokenizer, so shares are of units, which one language's spelling does not inflate (a Chinese
character has three bytes, an English letter one); the shares by tokens follow in data/mixture.py. Only the training part is
counted in the rows.

Memory: a row for each language, category and domain, whatever the corpus' size; units are counted in slices of 32 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.units import count_units
from skyloom.corpus.clean.phase_results import MixtureCount
from skyloom.corpus.text import byte_sizes, slices

LANGUAGES = {"zh-Hans": "zh", "zh-Hant": "zh"}
"""Both scripts of Chinese are one row of the table."""
COUNTS = pa.schema(
    [
        *((name, pa.string()) for name in ("split", "language", "category", "domain")),
        *((name, pa.int64()) for name in ("documents", "bytes", "units")),
    ]
)
_KEYS, _SUMS = COUNTS.names[:4], COUNTS.names[4:]


class SplitCounts(TypedDict):
    """Documents and bytes of a domain's held-out part."""

    documents: int
    bytes: int


class MixtureJson(TypedDict):
    """`mixture.json`."""

    rows: list[MixtureCount]
    valid: dict[str, SplitCounts]


def mixture(documents: pa.Table) -> MixtureJson:
    """`mixture_json` of a whole table of documents."""
    return mixture_json(count_mixture(documents))


def count_mixture(documents: pa.Table) -> pa.Table:
    """Documents, bytes and units of a shard by split, language, category and domain, a table COUNTS in the order of these.

    `documents` has the columns text, lang, category, domain and split.
    """
    texts = documents.column("text")
    units = [np.zeros(0, np.int64), *(count_units(texts.slice(start, stop - start)) for start, stop in slices(texts))]
    language = pc.dictionary_encode(documents.column("lang").combine_chunks())
    names = pa.array([LANGUAGES.get(name, name) for name in language.dictionary.to_pylist()], pa.string())
    columns = {name: documents.column(name).cast(pa.string()) for name in ("split", "category", "domain")}
    columns |= {"language": names.take(language.indices), "documents": pa.array(np.ones(len(texts), np.int64))}
    columns |= {"bytes": pa.array(byte_sizes(texts)), "units": pa.array(np.concatenate(units))}
    return merge_mixtures([pa.table([columns[name] for name in COUNTS.names], COUNTS)])


def merge_mixtures(parts: Iterable[pa.Table]) -> pa.Table:
    """The sum of the counts of shards, a table COUNTS; of whichever shards in whichever order."""
    joined = pa.concat_tables([COUNTS.empty_table(), *parts])
    summed = joined.group_by(_KEYS).aggregate([(name, "sum") for name in _SUMS])
    return summed.rename_columns([*_KEYS, *_SUMS]).select(COUNTS.names).sort_by([(name, "ascending") for name in _KEYS])


def mixture_json(counts: pa.Table) -> MixtureJson:
    """`{"rows": [{language, category, documents, bytes, units, share}], "valid": {domain: {documents, bytes}}}` of a table COUNTS.

    `share` is of units, in 0..1, and sums to 1 over the training part.
    """
    train = _summed(counts, "train", ["language", "category"])
    total = sum(row["units"] for row in train) or 1
    rows: list[MixtureCount] = [{**row, "share": row["units"] / total} for row in train]
    held = _summed(counts, "valid", ["domain"])
    return {"rows": rows, "valid": {row["domain"]: {"documents": row["documents"], "bytes": row["bytes"]} for row in held}}


def _summed(counts: pa.Table, split: str, keys: list[str]) -> list[MixtureCount]:
    part = counts.filter(pc.equal(counts.column("split"), split)).group_by(keys).aggregate([(name, "sum") for name in _SUMS])
    rows: list[MixtureCount] = part.rename_columns([*keys, *_SUMS]).sort_by([(k, "ascending") for k in keys]).to_pylist()
    return rows
