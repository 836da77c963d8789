"""The reader of JSON lines, plain or compressed, of any length: ten million short documents or one of 200 MB.

Input: a file or a byte range of one. Output: PAGE tables, one for a few megabytes of lines. Lines are read in blocks; a block
whose lines are all JSON objects of the usual shape is parsed by Arrow in one go, any other line by line, so that one odd line
costs a block's speed and never a record. UTF-16 and a file that is one JSON array are read as such lines. A line beyond the
limit is passed over without being held. A plain file can be read in ranges: a line belongs to the range in which it begins.
Records are told apart by the offset of their line (in the unpacked file). Memory: some 10 blocks, or one line of at most twice
the page limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from skyloom.core.json_lines import json_object
from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import (
    BROKEN,
    MARK,
    AsUtf8,
    File,
    Readable,
    is_packed,
    open_file,
    read_some,
    reason_of,
    unpacked,
    utf16_of,
)
from skyloom.corpus.sources.readers.json_arrays import ArrayLines
from skyloom.corpus.sources.readers.page_columns import fields, page_table
from skyloom.corpus.sources.readers.rows import NO_TEXT, About, broken_row, page_row

BLOCK = 4 << 20
_EXTRA = 1 << 16
_HEAD = 4096  # bytes by which UTF-16 and an array are told


def pages(file: File, about: About) -> Iterator[pa.Table | PageRow]:
    """PAGE tables and, for what is no record of the usual shape, PAGE rows, in the order of the lines."""
    ids: dict[str, pa.DataType] = {}
    for start, block, error in line_blocks(file, about):
        if error:
            yield broken_row(about, file.name, start, error)
        else:
            table = _table(block, start, file, about, ids)
            if table is None:
                yield from _line_by_line(block, start, file, about)
            elif table.num_rows:
                yield table


def line_blocks(file: File, about: About) -> Iterator[tuple[int, bytes, str]]:
    """(offset, whole lines, "") of a file or a range of it, and (offset, b"", reason) for what cannot be read."""
    limit = 2 * about.max_body + _EXTRA  # escapes may double a body
    with open_file(file) as raw:
        if file.start == 0 and file.end < 0:
            yield from _blocks(_dressed(unpacked(raw, about.max_ratio)), 0, None, limit, about)
        elif not is_packed(raw) and not _is_dressed(raw):
            yield from _blocks(raw, file.start, file.end if file.end >= 0 else None, limit, about)
        elif file.start == 0:  # packed files, UTF-16 and arrays have no ranges, whatever they are called: the first one is all
            yield from _blocks(_dressed(unpacked(raw, about.max_ratio)), 0, None, limit, about)


def _is_dressed(raw: BinaryIO) -> bool:
    """Whether a plain file is UTF-16, or one JSON array. Leaves the stream at its beginning."""
    head = raw.read(_HEAD)
    raw.seek(0)
    return bool(utf16_of(head)) or head.removeprefix(MARK).lstrip()[:1] == b"["


def _dressed(stream: BinaryIO) -> Readable:
    """The lines of a stream: of UTF-16 as UTF-8, of a JSON array its elements, one on a line."""
    head = b""
    while len(head) < _HEAD and (data := _some(stream, _HEAD - len(head))):
        head += data
    charset = utf16_of(head)
    found: Readable = AsUtf8(stream, charset, head) if charset else _Joined(head, stream)
    if charset:
        head = found.read(_HEAD)
        found = _Joined(head, found)
    return ArrayLines(found) if head.removeprefix(MARK).lstrip()[:1] == b"[" else found


def _some(stream: BinaryIO, size: int) -> bytes:
    """Up to `size` bytes; b"" at the end and at damage, which the next to read meets again."""
    try:
        return read_some(stream, size)
    except BROKEN:
        return b""


class _Joined:
    """A stream whose beginning was read."""

    def __init__(self, head: bytes, rest: Readable) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int) -> bytes:
        if self._head:
            found, self._head = self._head[:size], self._head[size:]
            return found
        return read_some(self._rest, size)


def _blocks(stream: Readable, start: int, end: int | None, limit: int, about: About) -> Iterator[tuple[int, bytes, str]]:
    offset, rest = start, _Rest()
    skipping = start > 0
    if skipping:  # a line that begins at `start` follows a line end; any other belongs to the range before
        offset = cast(BinaryIO, stream).seek(start - 1)
    problem: Exception | None = None
    while problem is None:
        data, problem = _filled(stream)
        if not data:
            break
        if skipping:
            found = data.find(b"\n") + 1
            offset += found or len(data)
            if end is not None and offset >= end:
                return
            if not found:
                continue
            data, skipping = data[found:], False
        read = offset + rest.size
        last = data.find(b"\n", max(end - 1 - read, 0)) + 1 if end is not None and read + len(data) >= end else 0
        cut = last or data.rfind(b"\n") + 1
        if cut:
            block = rest.with_(data[:cut])
            yield offset, block, ""
            offset += len(block)
        if last:
            return
        rest.add(data[cut:])
        if rest.size > limit:
            yield offset, b"", about.too_large
            offset, skipping = offset + rest.size, True
            rest.with_(b"")
    if problem is not None:
        yield offset, b"", reason_of(problem)  # what stands before it on its line is lost with it
    elif rest.size:
        yield offset, rest.with_(b""), ""


class _Rest:
    """The beginning of a line of many blocks, joined once: `size` bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self.size += len(data)

    def with_(self, data: bytes) -> bytes:
        """All that was added and what follows it; nothing is left."""
        found = b"".join([*self._parts, data])
        self._parts, self.size = [], 0
        return found


def _filled(stream: Readable) -> tuple[bytes, Exception | None]:
    """The next BLOCK bytes, or what there is before the end or the damage, and what reading raised at the damage."""
    parts, size = [], 0
    try:
        while size < BLOCK and (data := read_some(stream, BLOCK - size)):
            parts.append(data)
            size += len(data)
    except BROKEN as problem:
        return b"".join(parts), problem
    return b"".join(parts), None


def _table(block: bytes, start: int, file: File, about: About, usual: dict[str, pa.DataType]) -> pa.Table | None:
    """The PAGE rows of a block, or None if it must be read line by line. `usual` remembers the types that fitted."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.append(0, ends[:-1] + 1)
    raw = np.frombuffer(block, np.uint8)
    lasts = ends - 1
    lasts = lasts - ((lasts > starts) & (raw[np.maximum(lasts, 0)] == 13))
    # Arrow's parser takes objects as they follow each other; only if each line is one object do rows and lines agree.
    if (lasts <= starts).any() or (raw[starts] != 123).any() or (raw[lasts] != 125).any() or not _is_utf8(block):
        return None
    table = _parsed(block, about, usual)
    if table is None or table.num_rows != len(starts):
        return None
    columns = {n: table.column(n) for n in table.column_names}
    return page_table(about, file.name, columns, [f"{file.name}#{start + s}" for s in starts.tolist()])


def _parsed(block: bytes, about: About, usual: dict[str, pa.DataType]) -> pa.Table | None:
    """The block's known fields, where ids may be numbers. None if some record has other types."""
    for id_type in (usual.get("id", pa.string()), pa.string(), pa.int64()):
        schema = pa.schema([(k, id_type if k == "id" else pa.string()) for k in fields(about)])
        options = pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
        try:
            table = pj.read_json(
                pa.BufferReader(block), pj.ReadOptions(use_threads=False, block_size=max(len(block), 1 << 16)), options
            )
        except pa.ArrowInvalid:
            continue
        usual["id"] = id_type
        return table
    return None


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _line_by_line(block: bytes, start: int, file: File, about: About) -> Iterator[PageRow]:
    offset = start
    for line in _lines(block):
        if line.strip():
            yield _json_row(line, offset, file, about)
        offset += len(line)


def _lines(block: bytes) -> list[bytes]:
    parts = block.split(b"\n")
    return [p + b"\n" for p in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _json_row(line: bytes, offset: int, file: File, about: About) -> PageRow:
    record = json_object(line.removeprefix(MARK))
    if isinstance(record, str):
        return broken_row(about, file.name, offset, f"broken: {record}", line[: about.max_body])
    return record_row(record, offset, file.name, about)


def record_row(record: Mapping[str, Any], place: int | str, file: str, about: About) -> PageRow:
    """A row from a record with `text` or `html` and, if it likes, `url`, `date`, `license`, `title`, `id` and `pair`."""
    keys = ("html", about.text_field, "text", "content") if about.text_field else ("html", "text", "content")
    content = next((record[k] for k in keys if isinstance(record.get(k), (str, bytes))), None)
    where = f"{file}#{place}"
    url, date, license_name = (record.get(k) for k in ("url", "date", "license"))
    about_it = {k: str(record[k]) for k in ("id", "title", "pair") if isinstance(record.get(k), (str, int))}
    return page_row(
        about,
        url=url if isinstance(url, str) and url else where,
        body=content.encode("utf-8", "replace") if isinstance(content, str) else content or b"",
        kind="html" if content is None or isinstance(record.get("html"), (str, bytes)) else "text",
        place=where,
        date=str(date) if date else None,
        charset="utf-8" if isinstance(content, str) else None,
        license=license_name if isinstance(license_name, str) and license_name else None,
        error=NO_TEXT if content is None else None,
        meta={"file": file} | about_it,
    )
