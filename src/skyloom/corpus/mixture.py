"""What the corpus is made of: a table by language and category, as the report's Table 1.

What enters are the documents' columns; what leaves is the content of `mixture.json`. The report gives shares of tokens of
its own tokenizer; ours come before any tokenizer, so shares are of units, which one language's spelling does not inflate
(a Chinese character has three bytes, an English letter one). Only the training part is counted in the rows.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.units import count_units
from skyloom.corpus.columns import byte_sizes, slices

LANGUAGES = {"zh-Hans": "zh", "zh-Hant": "zh"}
"""Both scripts of Chinese are one row of the table."""


def mixture(documents: pa.Table) -> dict[str, Any]:
    """`{"rows": [{language, category, documents, bytes, units, share}], "valid": {domain: {documents, bytes}}}`.

    `documents` has the columns text, lang, category, domain and split. `share` is of units, in 0..1, and sums to 1.
    """
    texts = documents.column("text")
    units = [u for start, stop in slices(texts) for u in count_units(texts.slice(start, stop - start)).tolist()]
    language = pa.array([LANGUAGES.get(lang, lang) for lang in documents.column("lang").to_pylist()], pa.string())
    table = documents.select(["category", "domain", "split"]).append_column("language", language)
    table = table.append_column("bytes", pa.array(byte_sizes(texts))).append_column("units", pa.array(units, pa.int64()))
    train = table.filter(pc.equal(table.column("split"), "train"))
    total = sum(train.column("units").to_pylist()) or 1
    rows = [
        {
            "language": row["language"],
            "category": row["category"],
            "documents": row["bytes_count"],
            "bytes": row["bytes_sum"],
            "units": row["units_sum"],
            "share": row["units_sum"] / total,
        }
        for row in _grouped(train, ["language", "category"], [("bytes", "count"), ("bytes", "sum"), ("units", "sum")])
    ]
    valid = table.filter(pc.equal(table.column("split"), "valid"))
    held = _grouped(valid, ["domain"], [("bytes", "count"), ("bytes", "sum")])
    return {"rows": rows, "valid": {row["domain"]: {"documents": row["bytes_count"], "bytes": row["bytes_sum"]} for row in held}}


def _grouped(table: pa.Table, keys: list[str], sums: list[tuple[str, str]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.group_by(keys).aggregate(sums).sort_by([(k, "ascending") for k in keys]).to_pylist()
    return rows
