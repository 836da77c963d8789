"""Pages from web archives: WARC responses and WET text, gzip by member, zstd by record, or plain.

Input: an archive or a byte range of one. Output: PAGE rows. Archives from the wild have broken members, and a reader that stops
at the first one loses all that follow. We unpack member by member ourselves: zlib checks each one's CRC, a broken one becomes
one row with an error, and reading goes on at the next place that begins like a member. The same search lets several workers
share one archive: a member belongs to the range in which it begins. An archive compressed as one stream cannot be read that
way; it is given to fastwarc as it is. Memory: one member of at most the page limit.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from fastwarc.warc import ArchiveIterator, HeaderMap, WarcRecord, WarcRecordType

from skyloom.core.records import PageRow
from skyloom.corpus.notices import header_directives
from skyloom.corpus.sources.readers.byte_streams import BROKEN, BombError, File, Yield, open_file, read_some, reason_of, unpacked
from skyloom.corpus.sources.readers.rows import About, broken_row, page_row
from skyloom.corpus.sources.readers.web_archives.http import TooLargeError, decoded
from skyloom.corpus.sources.readers.web_archives.warc_records import BETWEEN, TidyRecords, is_usual

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MAGIC = b"\x1f\x8b\x08"
_CHUNK = 1 << 15  # a member may be a few bytes, and what is read beyond it is copied
_HEAD = 4096  # bytes of a member that are looked at, to see whether it is one
_FREE = 1 << 20
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)")
_HTML = ("text/html", "application/xhtml+xml")
CUT = "broken: the archive ends inside a gzip member"
_HEADERS = 1 << 20  # what a member may hold beside its body


def pages(file: File, about: About) -> Iterator[PageRow]:
    """PAGE rows of the HTML and text responses and resources (WARC) or conversions (WET) of an archive, in its order.

    Requests, metadata, redirects and images are no pages and are passed over.
    """
    with open_file(file) as raw:
        if _is_packed(raw, file):
            yield from _packed(raw, file, about)
        elif file.start == 0:  # plain, or zstd: read as a whole by whoever has the first range
            try:
                stream = _Ended(unpacked(raw, about.max_ratio, dictionary=_dictionary(raw)))
            except BROKEN as problem:
                yield broken_row(about, file.name, 0, reason_of(problem))
                return
            yield from _records(stream, file, about, 0)


def _is_packed(raw: BinaryIO, file: File) -> bool:
    """Whether a file holds gzip members, perhaps the first of them damaged. Leaves the stream at its beginning."""
    head = raw.read(5)
    raw.seek(0)
    if head.startswith(_MAGIC) or head == b"WARC/" or not file.name.lower().endswith(".gz"):
        return head.startswith(_MAGIC)
    packed = _next_member(raw, 0) < file.size
    raw.seek(0)
    return packed


def _packed(raw: BinaryIO, file: File, about: About) -> Iterator[PageRow]:
    """The records of the members that begin in a range, and the damage that follows the last of them: the next range looks for its
    first member and finds one behind the damage."""
    start: int | None = _next_member(raw, file.start) if file.start else 0
    end = file.end if file.end >= 0 else file.size
    total, seen = Yield(about.max_ratio), file.start
    while start is not None and (start < end or not _begins(raw, start)):
        begin, start = start, None
        for place, member, error in members(raw, about.max_body + _HEADERS, begin, ratio=about.max_ratio):
            if place >= end and _begins(raw, place):
                return
            total.take(raw.tell() - seen, file.size)
            total.give(len(member or b""))
            seen = raw.tell()
            if error or total.is_bomb():
                error = error or str(BombError(about.max_ratio))
                member = None if total.is_bomb() else member
                whole = list(_records(io.BytesIO(member), file, about, place)) if member else []
                yield from (r for r in whole if r["error"] is None)
                yield broken_row(about, file.name, place, error)
            elif member is None:  # more in one member than one page may have
                large = _Member(raw, place, about.max_ratio)
                yield from _records(large, file, about, place)
                start = large.skip()
                total.give(large.tell())
                break
            else:
                yield from _records(io.BytesIO(member), file, about, place)


def _begins(raw: BinaryIO, place: int) -> bool:
    """Whether a member with a WARC record begins at an offset, or the file ends there. Leaves the stream where it was."""
    before = raw.tell()
    raw.seek(place)
    head = raw.read(_HEAD)
    raw.seek(before)
    return not head or _is_member(head)


def _is_member(head: bytes) -> bool:
    try:
        return zlib.decompressobj(31).decompress(head, 5).startswith(b"WARC/")
    except zlib.error:
        return False


def members(raw: BinaryIO, limit: int, start: int = 0, *, ratio: float = 1e9) -> Iterator[tuple[int, bytes | None, str | None]]:
    """The gzip members of a file from an offset on: (offset, content, None), (offset, None, reason) for a broken one or a bomb,
    (offset, what came before the end, reason) for one that is cut, and, as the last, (offset, None, None) for one whose content
    exceeds `limit` bytes."""
    raw.seek(start)
    offset, buffer = start, raw.read(_CHUNK)
    while buffer:
        inflate, parts, size, used = zlib.decompressobj(31), [], 0, 0
        error: str | None = None
        data = buffer
        try:
            while not inflate.eof:
                part = inflate.decompress(data, limit + 1 - size)
                parts.append(part)
                size += len(part)
                used += len(data) - len(inflate.unconsumed_tail)
                data = inflate.unconsumed_tail
                if size > limit:
                    break
                if not inflate.eof and not data:
                    data = raw.read(_CHUNK)
                    if not data:
                        error = CUT
                        break
        except zlib.error as problem:
            error = f"broken: gzip member: {str(problem).split(': ', 1)[-1]}"
        if size > _FREE and size > ratio * used:
            error = str(BombError(ratio))
        elif size > limit:
            yield offset, None, None
            return
        if error is None:
            yield offset, b"".join(parts), None
            buffer = inflate.unused_data
            offset += used - len(buffer)
            buffer = buffer or raw.read(_CHUNK)
            continue
        yield offset, b"".join(parts) if error == CUT else None, error
        offset = _next_member(raw, offset + 1)
        raw.seek(offset)
        buffer = raw.read(_CHUNK)


class _Member(io.RawIOBase):
    """The content of one gzip member as a stream, for a member that is too large to be held."""

    def __init__(self, raw: BinaryIO, start: int, ratio: float) -> None:
        raw.seek(start)
        self._raw, self._start, self._inflate = raw, start, zlib.decompressobj(31)
        self._given, self._taken, self._ratio = 0, 0, ratio

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Bytes of content read so far; fastwarc asks once, and cannot bear a stream that does not know."""
        return self._given

    def readinto(self, target: WriteableBuffer) -> int:
        view = memoryview(target).cast("B")
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail
            if not data:
                data = self._raw.read(_CHUNK)
                self._taken += len(data)
            piece = self._inflate.decompress(data, len(view))
            if piece:
                view[: len(piece)] = piece
                self._given += len(piece)
                if self._given > _FREE and self._given > self._ratio * self._taken:
                    raise BombError(self._ratio)
                return len(piece)
            if not data and not self._inflate.eof:
                raise EOFError("the archive ends inside a gzip member")
        return 0

    def skip(self) -> int:
        """Read on to the member's end; the offset after it or, where it is broken, of the next member."""
        rest = bytearray(_CHUNK)
        try:
            while self.readinto(rest):
                pass
        except (EOFError, zlib.error, BombError):
            return _next_member(self._raw, self._start + 1)
        return self._raw.tell() - len(self._inflate.unused_data)


class _Ended:
    """A stream of records that remembers its last bytes: fastwarc takes an end inside a record's head for the end."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._tail = stream, b""

    def read(self, size: int = -1) -> bytes:
        data = read_some(self._stream, size if size > 0 else _CHUNK)
        self._tail = (self._tail + data)[-4:] if len(data) < 4 else data[-4:]
        return data

    def tell(self) -> int:
        return self._stream.tell()

    @property
    def is_cut(self) -> bool:
        """Whether what was read does not end with the empty line that ends a record."""
        return not self._tail.endswith((b"\n\r\n", b"\n\n"))


def _next_member(raw: BinaryIO, start: int) -> int:
    """The first offset from `start` on where a gzip member that unpacks to a WARC record begins, or the file's end."""
    raw.seek(start)
    offset, window, place = start, raw.read(_CHUNK), 0
    while window:
        found = window.find(_MAGIC, place)
        if found >= 0 and (len(window) - found >= _HEAD or not (more := raw.read(_CHUNK))):
            if _is_member(window[found : found + _HEAD]):
                return offset + found
            place = found + 1
            continue
        if found < 0:
            found, more = max(len(window) - 2, 0), raw.read(_CHUNK)
            if not more:
                return offset + len(window)
        offset, window, place = offset + found, window[found:] + more, 0
    return offset


def _dictionary(raw: BinaryIO) -> bytes:
    """The dictionary of a .warc.zst: the content of a skippable frame at its very beginning, itself plain or packed."""
    head = raw.read(8)
    found = b""
    if len(head) == 8 and struct.unpack("<I", head[:4])[0] == 0x184D2A5D:
        found = raw.read(min(struct.unpack("<I", head[4:])[0], 1 << 24))
        if found.startswith(b"\x28\xb5\x2f\xfd"):
            found = unpacked(io.BytesIO(found), 1e9).read(1 << 24)
    raw.seek(0)
    return found


def _records(stream: Any, file: File, about: About, place: int) -> Iterator[PageRow]:
    number, seen, error = 0, False, None
    usual = isinstance(stream, io.BytesIO) and is_usual(stream.getvalue())
    source: Any = stream if usual or isinstance(stream, _Member) else TidyRecords(stream, about.max_body)
    try:
        for record in ArchiveIterator(source, parse_http=True):
            number, seen = number + 1, True
            row = _page(record, file, about, f"{place}.{number}")
            error = row["error"] if row is not None else None
            if row is not None:
                yield row
    except (*BROKEN, ValueError) as problem:
        yield broken_row(about, file.name, f"{place}.{number + 1}", reason_of(problem))
        return
    if isinstance(source, TidyRecords) and source.strays and seen:
        number += 1
        yield broken_row(about, file.name, f"{place}.{number}", BETWEEN)
    if not seen:
        yield broken_row(about, file.name, place, "broken: no WARC record")
    elif isinstance(stream, _Ended) and stream.is_cut and error is None:
        yield broken_row(about, file.name, f"{place}.{number + 1}", "broken: the archive ends inside a record")


def _page(record: WarcRecord, file: File, about: About, place: str) -> PageRow | None:
    charset: str | None
    content_encoding = transfer = ""
    robots: list[str] = []
    if record.record_type == WarcRecordType.conversion:
        kind, charset = "text", "utf-8"
    elif record.record_type == WarcRecordType.response and record.is_http and record.http_headers is not None:
        content = (record.http_content_type or "").lower()
        if record.http_headers.status_code not in (200, None) or (content and content not in (*_HTML, "text/plain")):
            return None
        kind, charset = "text" if content == "text/plain" else "html", record.http_charset
        content_encoding = record.http_headers.get("Content-Encoding") or ""
        transfer = record.http_headers.get("Transfer-Encoding") or ""
        robots = _robots(record.http_headers)
    elif record.record_type == WarcRecordType.resource:  # a file as it is, without HTTP
        content, _, rest = (record.headers.get("Content-Type") or "").lower().partition(";")
        if content.strip() not in (*_HTML, "text/plain"):
            return None
        said = _CHARSET.search(rest)
        kind, charset = "text" if content.strip() == "text/plain" else "html", said[1] if said else None
    else:
        return None
    declared = record.content_length
    body = record.reader.read(about.max_body + 1)
    error: str | None = None if len(body) >= min(declared, about.max_body + 1) else "broken: the record is shorter than it says"
    if len(body) > about.max_body:
        body, error = b"", about.too_large
    elif error is None and record.record_type == WarcRecordType.response:
        body, error = _decoded(body, content_encoding, transfer, about)
    date = record.record_date.date().isoformat() if record.record_date is not None else None
    url = record.headers.get("WARC-Target-URI") or f"{file.name}#{place}"
    meta: dict[str, str | int | list[str]] = {"file": file.name}
    if robots:
        meta["robots"] = robots
    return page_row(about, url=url, body=body, kind=kind, place=place, date=date, charset=charset, error=error, meta=meta)


def _robots(headers: HeaderMap) -> list[str]:
    """What the server asks of robots."""
    told: dict[str, list[str]] = {"x-robots-tag": [], "tdm-reservation": []}
    for name, value in headers.items():
        if (known := told.get(name.lower())) is not None:
            known.append(value)
    return header_directives(*told.values()) if any(told.values()) else []


def _decoded(body: bytes, content: str, transfer: str, about: About) -> tuple[bytes, str | None]:
    """The body as a browser would read it, and the reason why it has none."""
    try:
        return decoded(body, content, transfer, about.max_body, about.max_ratio), None
    except TooLargeError:
        return b"", about.too_large
    except (*BROKEN, ValueError) as problem:
        return b"", reason_of(problem)
