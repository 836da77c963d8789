"""Rows of plain values, as the stages and the files of results give them, as Arrow tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa


def arrow_table(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """A table with a column for each key of any row, in the order in which they come; what a row lacks is null."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
