"""What a caller may give as texts, as one Arrow column with an id for each row.

Input: a list of strings, an Arrow column or table, or a column of another library that has Arrow's C interface (pandas, polars).
Output: `GivenTexts`. A row that is None (null) stays a row: the judges of the library give null for it, so that the answer has as
many rows as the input. Nothing is copied but Python strings; memory: the column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import ConfigError, DataError
from skyloom.corpus.text import slices
from skyloom.tokenizer.pieces import without_surrogates

Rows: TypeAlias = Iterable[str | None] | pa.Array | pa.ChunkedArray | pa.Table
"""Texts by row: a list of strings, an Arrow column of strings, or an Arrow table with a column of texts."""

BATCH = 16 << 20
"""Bytes of text that a judge is given at once, as on the command line."""


@dataclass(frozen=True)
class GivenTexts:
    """`ids`: string[rows], without nulls. `texts`: large_string[rows], null where there is none."""

    ids: pa.Array
    texts: pa.ChunkedArray

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """bool[rows]: which rows have a text."""
        return np.asarray(self.texts.is_valid().to_numpy(), bool).reshape(len(self.texts))

    def judged(self, judge: Callable[[pa.Table], pa.Table], schema: pa.Schema) -> pa.Table:
        """What `judge` says of the rows with a text, a table of `schema` with a row for each row: the others have only their id.

        `judge` gets a table with `id` and `text` of at most `BATCH` bytes, or one row, and gives one with a row for each.
        """
        rows = np.flatnonzero(self.present)
        table = pa.table({"id": self.ids, "text": self.texts}).take(pa.array(rows)) if len(rows) < len(self) else self.table()
        parts = [judge(table.slice(start, stop - start)) for start, stop in slices(table.column("text"), BATCH)]
        found = pa.concat_tables([schema.empty_table(), *parts])
        if len(rows) == len(self):
            return found
        place = np.full(len(self), -1, np.int64)
        place[rows] = np.arange(len(rows))
        spread = found.take(pa.array(place, mask=place < 0))
        return spread.set_column(0, schema.field(0), self.ids)

    def table(self) -> pa.Table:
        """The rows as a table with `id` and `text`."""
        return pa.table({"id": self.ids, "text": self.texts})


def given_texts(rows: Rows, columns: tuple[str, str] = ("id", "text")) -> GivenTexts:
    """The texts of a caller. `columns`: the names of the columns of ids and texts, if `rows` is a table.

    Rows without an id are named after their number, from 0. DataError for rows that are no text, for a table without the column of
    texts, and for an id that stands twice.
    """
    if isinstance(rows, pa.RecordBatch):
        rows = pa.Table.from_batches([rows])
    if not isinstance(rows, pa.Table):
        texts = text_column(rows)
        return GivenTexts(_numbers(len(texts)), texts)
    name, text = columns
    if text not in rows.column_names:
        raise DataError(f"the table has no column {text!r}; it has {', '.join(rows.column_names) or 'none'}")
    ids = _ids(rows.column(name), name) if name in rows.column_names else _numbers(len(rows))
    return GivenTexts(ids, text_column(rows.column(text)))


def text_column(rows: object) -> pa.ChunkedArray:
    """Strings as one column large_string[rows] with nulls; a lone surrogate, which is no character, becomes U+FFFD.

    DataError that names the first row that is no text.
    """
    if isinstance(rows, str | bytes | Path):
        raise ConfigError(f"texts are given as a list or an Arrow column, not as one {type(rows).__name__}")
    if isinstance(rows, pa.Array | pa.ChunkedArray):
        column = rows if isinstance(rows, pa.ChunkedArray) else pa.chunked_array([rows])
    elif hasattr(rows, "__arrow_c_stream__"):
        column = pa.chunked_array(rows)
    elif hasattr(rows, "__arrow_c_array__"):
        column = pa.chunked_array([pa.array(rows)])
    else:
        return _strings(rows)
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    textual = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    if not any(test(kind) for test in textual):
        raise DataError(f"the column holds {column.type}, not text")
    return column.cast(pa.large_string())


def _strings(rows: object) -> pa.ChunkedArray:
    if not isinstance(rows, Iterable):
        raise DataError(f"texts are given as a list or an Arrow column, not as {type(rows).__name__}")
    texts = list(rows)
    for number, text in enumerate(texts):
        if text is not None and not isinstance(text, str):
            raise DataError(f"row {number} is {type(text).__name__}, not text")
    try:
        return pa.chunked_array([pa.array(texts, pa.large_string())])
    except UnicodeEncodeError:
        return pa.chunked_array([pa.array([t and without_surrogates(t) for t in texts], pa.large_string())])


def one_text(text: str) -> GivenTexts:
    """A single text."""
    return given_texts([text])


def _numbers(count: int) -> pa.Array:
    return pa.array(np.arange(count)).cast(pa.string())


def _ids(column: pa.ChunkedArray, name: str) -> pa.Array:
    if not (pa.types.is_integer(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DataError(f"{name!r} must hold text or whole numbers, not {column.type}")
    ids = pc.coalesce(column.cast(pa.string()), _numbers(len(column)))
    whole = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    counts = pc.value_counts(whole)
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise DataError(f"the id {twice.field('values')[0].as_py()!r} stands more than once; give each row an id of its own")
    return whole
