"""Pages from web archives: WARC responses and WET text, gzip by member or plain.

What enters is an archive, what leaves are PAGE rows. Archives from the wild have broken members, and a reader that stops at
the first one loses all that follow. We unpack member by member ourselves: zlib checks each one's CRC, a broken one becomes
one row with an error, and reading goes on at the next place that begins like a member. An archive compressed as one stream
cannot be read that way; it is given to fastwarc as it is.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from skyloom.corpus.sources_files import About, File, open_file, opened, page_row

_MAGIC = b"\x1f\x8b\x08"
_CHUNK = 1 << 18
_HTML = ("text/html", "application/xhtml+xml")
_HEADERS = 1 << 20  # what a member may hold beside its body


def pages(file: File, about: About) -> Iterator[dict[str, Any]]:
    """PAGE rows of the HTML and text responses (WARC) or conversions (WET) of an archive, in its order.

    Requests, metadata, redirects and images are no pages and are passed over.
    """
    with open_file(file) as raw:
        packed = raw.read(3) == _MAGIC
        raw.seek(0)
        if not packed:
            with opened(file) as stream:  # plain, or zstd as a whole
                yield from _records(stream, file, about, 0)
            return
        start: int | None = 0
        while start is not None:
            begin, start = start, None
            for place, member, error in members(raw, about.max_body + _HEADERS, begin):
                if error:
                    yield _broken(about, file, place, error)
                elif member is None:  # more in one member than one page may have
                    large = _Member(raw, place)
                    yield from _records(large, file, about, place)
                    start = large.skip()
                    break
                else:
                    yield from _records(io.BytesIO(member), file, about, place)


def members(raw: BinaryIO, limit: int, start: int = 0) -> Iterator[tuple[int, bytes | None, str | None]]:
    """The gzip members of a file from an offset on: (offset, content, None), (offset, None, reason) for a broken one, and, as
    the last, (offset, None, None) for one whose content exceeds `limit` bytes."""
    raw.seek(start)
    offset, buffer = start, raw.read(_CHUNK)
    while buffer:
        inflate, parts, size, used = zlib.decompressobj(31), [], 0, 0
        error: str | None = None
        data = buffer
        try:
            while not inflate.eof:
                part = inflate.decompress(data)
                size += len(part)
                if size > limit:
                    yield offset, None, None
                    return
                parts.append(part)
                if not inflate.eof:
                    used += len(data)
                    data = raw.read(_CHUNK)
                    if not data:
                        error = "broken: the archive ends inside a gzip member"
                        break
        except zlib.error as problem:
            error = f"broken: gzip member: {str(problem).split(': ', 1)[-1]}"
        if error is None:
            yield offset, b"".join(parts), None
            buffer = inflate.unused_data
            offset += used + len(data) - len(buffer)
            buffer = buffer or raw.read(_CHUNK)
            continue
        yield offset, None, error
        offset = _next_member(raw, offset + 1)
        raw.seek(offset)
        buffer = raw.read(_CHUNK)


class _Member(io.RawIOBase):
    """The content of one gzip member as a stream, for a member that is too large to be held."""

    def __init__(self, raw: BinaryIO, start: int) -> None:
        raw.seek(start)
        self._raw, self._start, self._inflate = raw, start, zlib.decompressobj(31)
        self._given = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Bytes of content read so far; fastwarc asks once, and cannot bear a stream that does not know."""
        return self._given

    def readinto(self, target: Any) -> int:
        while not self._inflate.eof:
            data = self._inflate.unconsumed_tail or self._raw.read(_CHUNK)
            piece = self._inflate.decompress(data, len(target))
            if piece:
                target[: len(piece)] = piece
                self._given += len(piece)
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
        except (EOFError, zlib.error):
            return _next_member(self._raw, self._start + 1)
        return self._raw.tell() - len(self._inflate.unused_data)


def _next_member(raw: BinaryIO, start: int) -> int:
    """The first offset from `start` on where a gzip member that unpacks to a WARC record begins, or the file's end."""
    raw.seek(start)
    offset, window = start, raw.read(_CHUNK)
    while window:
        found = window.find(_MAGIC)
        if found < 0:
            more = raw.read(_CHUNK)
            if not more:
                return offset + len(window)
            offset += max(len(window) - 2, 0)
            window = window[-2:] + more
            continue
        if len(window) - found < 4096:
            window += raw.read(_CHUNK)
        try:
            if zlib.decompressobj(31).decompress(window[found : found + 4096], 5).startswith(b"WARC/"):
                return offset + found
        except zlib.error:
            pass
        offset, window = offset + found + 1, window[found + 1 :] or raw.read(_CHUNK)
    return offset


def _records(stream: Any, file: File, about: About, place: int) -> Iterator[dict[str, Any]]:
    number, seen = 0, False
    try:
        for record in ArchiveIterator(stream, parse_http=True):
            number, seen = number + 1, True
            row = _page(record, file, about, f"{place}.{number}")
            if row is not None:
                yield row
    except (OSError, EOFError, ValueError, zlib.error) as problem:
        yield _broken(about, file, place, f"broken: {problem}")
        return
    if not seen:
        yield _broken(about, file, place, "broken: no WARC record")


def _page(record: WarcRecord, file: File, about: About, place: str) -> dict[str, Any] | None:
    charset: str | None
    if record.record_type == WarcRecordType.conversion:
        kind, charset = "text", "utf-8"
    elif record.record_type == WarcRecordType.response and record.is_http and record.http_headers is not None:
        content = (record.http_content_type or "").lower()
        if record.http_headers.status_code not in (200, None) or (content and content not in (*_HTML, "text/plain")):
            return None
        kind, charset = "text" if content == "text/plain" else "html", record.http_charset
    else:
        return None
    declared = record.content_length
    body = record.reader.read(about.max_body + 1)
    error: str | None = None if len(body) >= min(declared, about.max_body + 1) else "broken: the record is shorter than it says"
    if len(body) > about.max_body:
        body, error = b"", f"too large: more than {about.max_body / 1e6:.1f} MB"
    elif kind != "text" and body.startswith(_MAGIC):
        body, error = _unzipped(body, about.max_body)
    date = record.record_date.date().isoformat() if record.record_date is not None else None
    url = record.headers.get("WARC-Target-URI") or f"{file.name}#{place}"
    return page_row(
        about, url=url, body=body, kind=kind, place=place, date=date, charset=charset, error=error, meta={"file": file.name}
    )


def _unzipped(body: bytes, limit: int) -> tuple[bytes, str | None]:
    """A body that was stored with its Content-Encoding."""
    inflate = zlib.decompressobj(31)
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as problem:
        return b"", f"broken: {problem}"
    return (b"", f"too large: more than {limit / 1e6:.1f} MB") if len(plain) > limit else (plain, None)


def _broken(about: About, file: File, place: int, error: str) -> dict[str, Any]:
    name = f"{file.name}#{place}"
    return page_row(about, url=name, place=name, body=b"", error=error, meta={"file": file.name})
