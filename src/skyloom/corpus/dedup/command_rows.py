"""Rows of JSONL and Parquet files as tables of bounded size, with every row that cannot be used named.

Input: a file. Output: tables (id, text, quality if asked for, and the file and row they came from) and a log of rejected rows
with a reason each. Ids that are whole numbers are written as text; where the columns are `numbered`, rows without an id are named
after their place.

Memory: one block of 8 MB of JSONL, or one batch of 4,096 rows of Parquet, three times.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
import pyarrow.parquet as pq
import zstandard

from skyloom.core.errors import DataError, StorageError
from skyloom.core.json_lines import json_object
from skyloom.corpus.dedup.sketch import Columns

BLOCK = 8 << 20
BATCH = 4096
LARGEST_BLOCK = 2**31 - 2  # Arrow counts the bytes of a block in 32 bits; a block is longer only if one line is
NO_ID, NO_TEXT, NOT_UNICODE, NO_QUALITY = (
    "no id (text or a whole number)",
    "no text",
    "not valid Unicode",
    "a quality that is no number",
)


class Rejects:
    """Rows that are left out, written to `path` as they come (JSON lines: file, row from 1, reason) and counted by reason."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self._file = open(path, "w", encoding="utf-8")

    def add(self, file: str, row: int, reason: str) -> None:
        self.counts[reason] += 1
        self._file.write(json.dumps({"file": file, "row": row, "reason": reason}, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


def schema(columns: Columns) -> pa.Schema:
    """The columns of the tables that `read_rows` gives."""
    quality = [pa.field("quality", pa.float64())] if columns.quality else []
    return pa.schema(
        [pa.field("id", pa.string()), pa.field("text", pa.large_string()), *quality, ("file", pa.string()), ("row", pa.int64())]
    )


def read_rows(path: Path, columns: Columns, rejects: Rejects) -> Iterator[pa.Table]:
    """The usable rows of a file in their order; the others are added to `rejects`. DataError if the file is damaged."""
    try:
        if path.name.endswith(".parquet"):
            yield from _parquet(path, columns, rejects)
        else:
            yield from _jsonl(path, columns, rejects)
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as problem:
        raise DataError(f"{path} is damaged or cut off ({problem}); fetch or pack it again") from problem
    except pa.ArrowInvalid as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem
    except OSError as problem:
        raise StorageError(f"cannot read {path}: {problem.strerror or problem}") from problem


def first_lines(path: Path) -> Iterator[bytes]:
    """The lines of the first block of JSON lines, or none if it cannot be read."""
    try:
        yield from next(_blocks(path), b"").split(b"\n")
    except (EOFError, zlib.error, OSError, zstandard.ZstdError):
        return


def _parquet(path: Path, columns: Columns, rejects: Rejects) -> Iterator[pa.Table]:
    file = pq.ParquetFile(path)
    there = [n for n in columns.names if not (columns.numbered and n == columns.id and n not in file.schema_arrow.names)]
    for name in there:
        if name not in file.schema_arrow.names:
            raise DataError(f"{path} has no column {name!r}; it has {', '.join(file.schema_arrow.names) or 'none'}")
    first = 1
    for batch in file.iter_batches(BATCH, columns=there):
        table = pa.Table.from_batches([batch]).select(there)
        if columns.id not in there:
            table = table.append_column(columns.id, pa.nulls(len(table), pa.string()))
        kinds = {name: table.column(name).type for name in columns.names}
        if not (_textual(kinds[columns.id]) or pa.types.is_integer(kinds[columns.id])) or not _textual(kinds[columns.text]):
            raise DataError(f"{path}: {columns.id!r} must hold text or whole numbers and {columns.text!r} text, not {kinds}")
        yield _usable(table, columns, path, np.arange(first, first + len(table)), rejects)
        first += len(table)


def _textual(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _jsonl(path: Path, columns: Columns, rejects: Rejects) -> Iterator[pa.Table]:
    first = 1
    for block in _blocks(path):
        count = block.count(b"\n") + (not block.endswith(b"\n"))
        table = _fast(block, columns, count)
        if table is not None:
            yield _usable(table, columns, path, np.arange(first, first + count), rejects)
        else:
            yield _slowly(block, columns, path, first, rejects)
        first += count


def _blocks(path: Path) -> Iterator[bytes]:
    """Blocks of whole lines."""
    rest: list[bytes] = []
    for data in _unpacked(path):
        cut = data.rfind(b"\n") + 1
        if cut:
            yield b"".join([*rest, data[:cut]])
            rest = []
        rest.append(data[cut:])
    last = b"".join(rest)
    if last:
        yield last


def _unpacked(path: Path) -> Iterator[bytes]:
    """The bytes of a file in blocks. Raises for a packed file that is damaged or ends before its end."""
    with open(path, "rb") as raw:
        if path.name.endswith(".zst"):
            yield from _zstandard(raw)
            return
        file: IO[bytes] | gzip.GzipFile = gzip.GzipFile(fileobj=raw) if path.name.endswith(".gz") else raw
        while data := file.read(BLOCK):
            yield data


def _zstandard(raw: IO[bytes]) -> Iterator[bytes]:
    """The frames of a Zstandard file. The library's own reader does not notice a file that was cut off."""
    frame = zstandard.ZstdDecompressor().decompressobj()
    waiting, size, open_frame = [], 0, False
    while packed := raw.read(4096):  # small pieces, because one can unpack to thousands of times its size
        while packed:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            data = frame.decompress(packed)
            packed, open_frame = frame.unused_data if frame.eof else b"", not frame.eof
            waiting.append(data)
            size += len(data)
            if size >= BLOCK:
                yield b"".join(waiting)
                waiting, size = [], 0
    if open_frame:
        raise EOFError("the last frame has no end")
    if waiting:
        yield b"".join(waiting)


def _fast(block: bytes, columns: Columns, count: int) -> pa.Table | None:
    """The block by Arrow's parser; None if any line is not what it should be, or the block too long for it."""
    if len(block) > LARGEST_BLOCK:
        return None
    fields = [pa.field(columns.id, pa.string()), pa.field(columns.text, pa.large_string())]
    if columns.quality:
        fields.append(pa.field(columns.quality, pa.float64()))
    options = pj.ParseOptions(explicit_schema=pa.schema(fields), unexpected_field_behavior="ignore")
    try:
        table = pj.read_json(
            pa.BufferReader(block), parse_options=options, read_options=pj.ReadOptions(use_threads=False, block_size=len(block) + 1)
        )
        table.validate(full=True)  # the parser lets bytes pass that are not UTF-8
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return table.select(columns.names) if len(table) == count else None


InputRow = dict[str, str | int | float | None]
"""A row of the input: id, text, and quality, file and number."""


def _slowly(block: bytes, columns: Columns, path: Path, first: int, rejects: Rejects) -> pa.Table:
    """The block line by line; blank lines are no rows."""
    rows: list[InputRow] = []
    lines = block.split(b"\n")
    for number, line in enumerate(lines[:-1] if not lines[-1] else lines, start=first):
        if not line.strip():
            continue
        found = _row(line, columns, f"{path.name}:{number}")
        if isinstance(found, str):
            rejects.add(path.name, number, found)
        else:
            rows.append({**found, "file": path.name, "row": number})
    return pa.Table.from_pylist(rows, schema=schema(columns))


def _row(line: bytes, columns: Columns, place: str) -> InputRow | str:
    """The row of a line, or why it has none. `place`: its name where it needs none of its own."""
    try:
        value = json_object(line.decode("utf-8"))
    except UnicodeDecodeError:
        return NOT_UNICODE
    if isinstance(value, str):
        return value
    name, text = value.get(columns.id), value.get(columns.text)
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name:
        if not columns.numbered:
            return NO_ID
        name = place
    if not isinstance(text, str) or not text.strip():
        return NO_TEXT
    try:
        name.encode("utf-8")
        text.encode("utf-8")
    except UnicodeEncodeError:
        return NOT_UNICODE
    row: InputRow = {"id": name, "text": text}
    if columns.quality:
        quality = value.get(columns.quality)
        if quality is not None and (isinstance(quality, bool) or not isinstance(quality, (int, float))):
            return NO_QUALITY
        row["quality"] = None if quality is None else float(quality)
    return row


def _usable(table: pa.Table, columns: Columns, path: Path, numbers: npt.NDArray[np.int64] | range, rejects: Rejects) -> pa.Table:
    """The rows with an id and a text, under our names."""
    ids = pc.fill_null(table.column(columns.id).cast(pa.string()), "")
    texts = pc.fill_null(table.column(columns.text).cast(pa.large_string()), "")
    if columns.numbered:
        places = pc.binary_join_element_wise(f"{path.name}:", pa.array(np.asarray(numbers)).cast(pa.string()), "")
        ids = pc.if_else(pc.equal(ids, ""), places, ids)
    named = np.asarray(pc.greater(pc.binary_length(ids), 0).to_numpy(), bool)
    filled = np.asarray(pc.greater(pc.binary_length(pc.utf8_trim_whitespace(texts)), 0).to_numpy(), bool)
    for row in np.flatnonzero(~(named & filled)).tolist():
        rejects.add(path.name, int(numbers[row]), NO_TEXT if named[row] else NO_ID)
    values = {"id": ids, "text": texts}
    if columns.quality:
        values["quality"] = table.column(columns.quality).cast(pa.float64())
    values["file"], values["row"] = pa.array([path.name] * len(table), pa.string()), pa.array(numbers)
    whole = pa.table(values, schema=schema(columns))
    return whole.filter(pa.array(named & filled))
