"""WARC records put right: names in lower case, line feeds alone, and a Content-Length that is not the record's length.

Input: the bytes of an archive, unpacked. Output: the same records as the standard writes them, for a reader that takes nothing
else. A record's length is believed if a record, or the end, follows it; else the record goes to where the next one begins. What
stands between records and is none is counted. Each byte is looked at a fixed number of times. Memory: one record of at most
`limit` bytes; larger ones pass as they are.
"""

from __future__ import annotations

import re
from typing import BinaryIO

from skyloom.corpus.sources.readers.byte_streams import Readable, read_some

BETWEEN = "broken: bytes that are no WARC record"
_PIECE = 1 << 16
_HEAD = 1 << 20  # bytes of a record's head
_USUAL = re.compile(
    rb"WARC/1\.[01]\r\n(?:[A-Z][A-Za-z-]*: [^\r\n]*\r\n)*?Content-Length: (\d{1,15})\r\n(?:[A-Z][A-Za-z-]*: [^\r\n]*\r\n)*\r\n"
)
_HEAD_END = re.compile(rb"\n\r?\n")
_BEGIN = re.compile(rb"WARC/\d", re.IGNORECASE)
_NEXT = re.compile(rb"\n\r?\n(?=(?:\r?\n){0,8}WARC/\d\.\d+[ \t]*\r?\n)", re.IGNORECASE)
_AFTER = re.compile(rb"\r\n\r\n|(?:\r?\n){1,8}(?:WARC/\d|\Z)|\Z", re.IGNORECASE)
_OVERLAP = 64
_NAMES = {
    name.lower().encode(): name.encode()
    for name in (
        "WARC-Type WARC-Record-ID WARC-Date WARC-Target-URI WARC-IP-Address WARC-Payload-Digest WARC-Block-Digest "
        "WARC-Concurrent-To WARC-Refers-To WARC-Truncated WARC-Warcinfo-ID WARC-Identified-Payload-Type WARC-Profile WARC-Filename "
        "WARC-Segment-Number Content-Type"
    ).split()
}


def is_usual(member: bytes) -> bool:
    """Whether these bytes are one record (or more) as the standard writes it, the first with the length that it says."""
    head = _USUAL.match(member, 0, _HEAD)
    if head is None:
        return False
    end = head.end() + int(head[1])
    return member[end : end + 4] == b"\r\n\r\n" and (len(member) == end + 4 or member.startswith(b"WARC/", end + 4))


class TidyRecords:
    """A stream of records put right. `strays`: how many stretches between records were no record."""

    def __init__(self, stream: Readable | BinaryIO, limit: int) -> None:
        self._stream, self._limit = stream, limit + _HEAD
        self._held, self._place, self._out = bytearray(), 0, b""
        self._whole = 0  # bytes of a large record that pass as they are
        self._ended = False
        self.strays = self._given = 0

    def read(self, size: int = -1) -> bytes:
        wanted = size if size > 0 else _PIECE
        while not self._out:
            self._out = self._passed() if self._whole else self._record()
            if not self._out:
                return b""
        data, self._out = self._out[:wanted], self._out[wanted:]
        self._given += len(data)
        return data

    def tell(self) -> int:
        """Bytes given so far."""
        return self._given

    def _fill(self, size: int) -> bool:
        """Hold `size` bytes from the place on; whether there are so many."""
        if self._place > _PIECE:
            del self._held[: self._place]
            self._place = 0
        while len(self._held) - self._place < size and not self._ended:
            data = read_some(self._stream, max(_PIECE, size - len(self._held) + self._place))
            self._ended = not data
            self._held += data
        return len(self._held) - self._place >= size

    def _passed(self) -> bytes:
        self._fill(min(self._whole, _PIECE))
        data = bytes(self._held[self._place : self._place + min(self._whole, _PIECE)])
        self._place += len(data)
        self._whole = self._whole - len(data) if data else 0
        return data or (self._record() if not self._ended else b"")

    def _record(self) -> bytes:
        """The next record as the standard writes it; b"" at the end."""
        self._blank()
        if not self._fill(1):
            return b""
        if not self._begins():
            self.strays += 1
            self._seek_record()
            return self._record() if self._fill(1) else b""
        end = self._head_end()
        if end < 0:  # a head that does not end: the reader tells
            data = bytes(self._held[self._place :])
            self._place, self._whole = len(self._held), 1 << 60
            return data
        head, length = self._head(bytes(self._held[self._place : end]))
        self._place = end
        if length is not None and length > self._limit:
            self._whole = length
            return head + b"Content-Length: %d\r\n\r\n" % length
        body = self._body(length)
        said = length if length is not None and length > len(body) and self._ended and self._place == len(self._held) else len(body)
        tail = b"\r\n\r\n" if said == len(body) else b""
        return b"%sContent-Length: %d\r\n\r\n%s%s" % (head, said, body, tail)

    def _blank(self) -> None:
        while self._fill(1) and self._held[self._place] in b"\r\n":
            self._place += 1

    def _begins(self) -> bool:
        self._fill(8)
        return _BEGIN.match(self._held, self._place) is not None

    def _seek_record(self) -> None:
        """To the next record, or the end."""
        while self._fill(_OVERLAP + 1) or len(self._held) > self._place:
            if found := _NEXT.search(self._held, self._place):
                self._place = found.end()
                return
            if self._ended:
                self._place = len(self._held)
                return
            self._fill(_PIECE + _OVERLAP)
            if not _NEXT.search(self._held, self._place):
                self._place = max(self._place, len(self._held) - _OVERLAP)

    def _head_end(self) -> int:
        size = 4096
        while True:
            more = self._fill(size)
            if found := _HEAD_END.search(self._held, self._place, self._place + size):
                return found.end()
            if not more or size >= _HEAD:
                return -1
            size *= 4

    def _head(self, raw: bytes) -> tuple[bytes, int | None]:
        """A head with the usual names and line ends, without its length, and the length that it says."""
        lines = raw.replace(b"\r\n", b"\n").strip(b"\n").split(b"\n")
        length: int | None = None
        out = [lines[0].strip().upper()]
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            if line[:1] in (b" ", b"\t") or not colon:  # goes on with the line before
                out[-1] += b" " + line.strip()
                continue
            key = name.strip().lower()
            if key == b"content-length":
                length = int(value) if value.strip().isdigit() and len(value) < 20 else None
                continue
            out.append(_NAMES.get(key, name.strip()) + b": " + value.strip())
        return b"\r\n".join(out) + b"\r\n", length

    def _body(self, length: int | None) -> bytes:
        """The record's content, to where it ends by its length or, where nothing begins there, by the next record."""
        if length is not None:
            there = self._fill(length + 24)
            end = self._place + length
            if there or len(self._held) >= end:
                split = end > self._place and self._held[end - 1 : end + 1] == b"\r\n"
                if not split and _AFTER.match(self._held, end, end + 24 if there else len(self._held)):
                    return self._take(end)
            elif not _NEXT.search(self._held, self._place):
                return self._take(len(self._held))  # cut
        at, searched = -1, self._place
        while at < 0:
            found = _NEXT.search(self._held, searched)
            if found is not None:
                at = found.start()
                if at > self._place and self._held[at - 1] == 13:
                    at -= 1
            elif self._ended:
                return self._take(len(self._held)).rstrip(b"\r\n")
            elif len(self._held) - self._place > self._limit:
                return self._take(len(self._held) - _OVERLAP)
            else:
                before = self._place
                searched = max(len(self._held) - _OVERLAP, self._place)
                self._fill(len(self._held) - self._place + _PIECE)
                searched -= before - self._place
        return self._take(at)

    def _take(self, end: int) -> bytes:
        data = bytes(self._held[self._place : end])
        self._place = end
        return data
