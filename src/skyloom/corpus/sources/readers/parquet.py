"""Records from Parquet files, a few row groups at a time.

Input: a file or a byte range of one. Output: PAGE tables. A range takes the row groups whose first column begins in it, so
ranges share a large file and read no group twice. Rows are read in batches of about 32 MB by the groups' mean size; a single
cell cannot be read in part, so the largest cell is what memory depends on. Memory: 4 batches and a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.errors import DataError
from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import File, open_file
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.page_columns import fields, page_table
from skyloom.corpus.sources.readers.rows import About, broken_row

T = TypeVar("T")

_BATCH_BYTES = 32 << 20
_BATCH_ROWS = 65_536


def pages(file: File, about: About) -> Iterator[pa.Table | PageRow]:
    """PAGE tables of a file's rows, in their order. DataError if it has no column with text."""
    number = 0
    with open_file(file) as raw:
        try:
            table = pq.ParquetFile(raw)
            columns = [c for c in fields(about) if c in table.schema_arrow.names]
            if not {"html", "text", "content", about.text_field} & set(columns):
                known = ", ".join(table.schema_arrow.names[:20])
                raise DataError(
                    f"source '{about.source}': {file.path} has no column 'text' or 'html'; set text_field to one of: {known}"
                )
            for group in range(table.num_row_groups):
                meta = table.metadata.row_group(group)
                if not _begins_in(meta, file):
                    number += meta.num_rows
                    continue
                size = max(1, min(_BATCH_ROWS, int(_BATCH_BYTES * meta.num_rows / max(meta.total_byte_size, 1))))
                for batch in table.iter_batches(batch_size=size, row_groups=[group], columns=columns, use_threads=False):
                    yield from _rows(batch, number, file, about)
                    number += batch.num_rows
        except (pa.ArrowException, OSError) as problem:
            yield broken_row(about, file.name, number + 1, f"broken: {str(problem).splitlines()[0]}")


def _begins_in(group: pq.RowGroupMetaData, file: File) -> bool:
    column = group.column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    return bool(file.start <= start and (file.end < 0 or start < file.end))


def _rows(batch: pa.RecordBatch, before: int, file: File, about: About) -> Iterator[pa.Table | PageRow]:
    """The rows of a batch by column; where a writer put other bytes into a string column, or bytes into a text column, row by
    row: such a text is bytes whose charset is decided like that of any page."""
    kinds = {f.name: f.type for f in batch.schema}
    texts = {"html", "text", "content", about.text_field}
    plain = all(not pa.types.is_binary(t) and not pa.types.is_large_binary(t) for k, t in kinds.items() if k in texts)
    if plain:
        columns = dict(zip(batch.schema.names, batch.columns, strict=True))
        try:
            batch.validate(full=True)  # UTF-8, above all
            places = [f"{file.name}#{before + i + 1}" for i in range(batch.num_rows)]
            yield page_table(about, file.name, columns, places)
            return
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass  # bytes that are no UTF-8, or a type that is no string
    strings = {k for k, t in kinds.items() if pa.types.is_string(t) or pa.types.is_large_string(t)}
    columns = {n: c.cast(pa.large_binary()) if n in strings else c for n, c in zip(batch.schema.names, batch.columns, strict=True)}
    for i, row in enumerate(pa.RecordBatch.from_pydict(columns).to_pylist()):
        record = {k: _decoded(v) if k in strings and k not in texts else v for k, v in row.items()}
        yield record_row({k: _text(v) if k in strings else v for k, v in record.items()}, before + i + 1, file.name, about)


def _decoded(value: T) -> T | str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _text(value: T) -> T | str:
    """Bytes of a string column as text where they are UTF-8."""
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value
