"""Records from Parquet files, a few row groups at a time.

Input: a file or a byte range of one. Output: PAGE tables. A range takes the row groups whose first column begins in it, so
ranges share a large file and read no group twice. Rows are read in batches of about 32 MB by the groups' mean size; a single
cell cannot be read in part, so the largest cell is what memory depends on. What a group unpacks to is reckoned from the headers
of its pages before it is decoded (`parquet_pages`): a group that cannot be right is a row with its reason, and a file that gives
more than the ratio limit ends there. Memory: 4 batches of at most 64 MB, a page and a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BombError, File, Yield, open_file
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.page_columns import fields, page_table
from skyloom.corpus.sources.readers.parquet_pages import BadPageError, LargePageError, RowGroup, chunk_sizes, groups
from skyloom.corpus.sources.readers.rows import About, broken_row

T = TypeVar("T")

_BATCH_BYTES = 32 << 20
_BATCH_ROWS = 65_536
_DECODED = 64 << 20  # bytes that a batch may decode to where a dictionary repeats large values
_FOOTER = 16 << 20  # bytes of the file's summary, which in memory takes some thirty times as much
_ROW = 16  # bytes that a row counts as beside its values: millions of nulls are packed into nothing
_TROUBLE = (pa.ArrowException, OSError, ValueError, OverflowError, IndexError, KeyError, TypeError)
"""What the library raises on damaged files, some of it from the conversion to Python's types."""


def pages(file: File, about: About) -> Iterator[pa.Table | PageRow]:
    """PAGE tables of a file's rows, in their order; a row with a reason for a group that cannot be read, or a file without a
    column of text."""
    with open_file(file) as raw:
        try:
            found = groups(_summary(raw, file))
            table = pq.ParquetFile(raw)
            columns = _columns(table, about)
        except _TROUBLE as problem:
            if file.start == 0:  # of all ranges of a file the first tells what holds for all
                yield broken_row(about, file.name, 0, _reason(problem))
            return
        yield from _groups(table, found, raw, columns, file, about)


class _NoTextError(ValueError):
    """A file cannot be read as records; the text is the row's reason."""


def _summary(raw: BinaryIO, file: File) -> bytes:
    """The file's summary, which stands at its end."""
    raw.seek(max(file.size - 8, 0))
    tail = raw.read(8)
    size = int.from_bytes(tail[:4], "little")
    if tail[4:] != b"PAR1" or size + 12 > file.size:
        raise _NoTextError("broken: no whole Parquet file" if tail[4:] != b"PARE" else "broken: an encrypted Parquet file")
    if size > _FOOTER:
        raise _NoTextError(f"too large: a summary of more than {_FOOTER >> 20} MB")
    raw.seek(file.size - 8 - size)
    found = raw.read(size)
    raw.seek(0)
    return found


def _columns(table: pq.ParquetFile, about: About) -> dict[str, int]:
    """The number of each column that is read, by name: columns of single values whose names a record may have."""
    schema = table.schema
    paths = [schema.column(i).path for i in range(len(schema))]
    tops = [path.partition(".")[0] for path in paths]
    found = {p: i for i, p in enumerate(paths) if p in fields(about) and schema.column(i).max_repetition_level == 0}
    if not {"html", "text", "content", about.text_field} & set(found):
        known = ", ".join(list(dict.fromkeys(tops))[:20])
        told = "broken: no column 'text' or 'html' of single values; set text_field (of --source: --text-field) to one of: "
        raise _NoTextError(f"{told}{known}"[:500])
    if twice := [name for name in found if tops.count(name.partition(".")[0]) > 1]:
        raise _NoTextError(f"broken: several columns are named '{twice[0]}'")
    return found


def _groups(
    table: pq.ParquetFile, found: Sequence[RowGroup], raw: BinaryIO, columns: dict[str, int], file: File, about: About
) -> Iterator[pa.Table | PageRow]:
    number, total = 0, Yield(about.max_ratio)
    for place, group in enumerate(found):
        at, number = number, number + group.rows
        if not _begins_in(group, file):
            continue
        start = at
        try:
            size = _batch_rows(table, group, raw, columns, total, file)
            for batch in table.iter_batches(batch_size=size, row_groups=[place], columns=list(columns), use_threads=False):
                total.give(batch.nbytes + _ROW * batch.num_rows)
                total.check()
                yield from _rows(batch, at, file, about)
                at += batch.num_rows
        except BombError as problem:
            yield broken_row(about, file.name, f"{start + 1}.{place}", str(problem))
            return
        except LargePageError:
            yield broken_row(about, file.name, f"{start + 1}.{place}", about.too_large)
        except _TROUBLE as problem:
            yield broken_row(about, file.name, f"{start + 1}.{place}", _reason(problem))


def _reason(problem: Exception) -> str:
    if isinstance(problem, _NoTextError):
        return str(problem)
    if isinstance(problem, (pa.ArrowException, OSError, BadPageError)):
        return f"broken: {(str(problem).splitlines() or ['Parquet'])[0]}"
    return f"broken: not a whole Parquet file ({type(problem).__name__})"


def _batch_rows(table: pq.ParquetFile, group: RowGroup, raw: BinaryIO, columns: dict[str, int], total: Yield, file: File) -> int:
    """Rows of a batch. BombError, before anything is decoded, if the group's pages unpack to more than the ratio limit."""
    packed, unpacked, widest = 0, _ROW * group.rows, 0
    for i in columns.values():
        if i >= len(group.columns) or group.columns[i].values != group.rows:
            raise BadPageError("a column with another number of rows than its group")
        sizes = chunk_sizes(raw, group.columns[i], table.schema.column(i), file.size)
        packed, unpacked, widest = packed + sizes.packed, unpacked + sizes.unpacked, widest + sizes.widest
    total.take(packed, file.size)
    total.check(unpacked)
    size = min(_BATCH_ROWS, int(_BATCH_BYTES * group.rows / max(group.bytes, 1)), _DECODED // max(widest, 1))
    return max(1, size)


def _begins_in(group: RowGroup, file: File) -> bool:
    start = max(group.start, 0)  # below nothing: the first range tells the damage
    return file.start <= start and (file.end < 0 or start < file.end)


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
    try:
        found = pa.RecordBatch.from_pydict(columns).to_pylist()
    except (OverflowError, ValueError):  # dates that Python cannot hold
        found = pa.RecordBatch.from_pydict({n: c for n, c in columns.items() if not pa.types.is_temporal(c.type)}).to_pylist()
    for i, row in enumerate(found):
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
