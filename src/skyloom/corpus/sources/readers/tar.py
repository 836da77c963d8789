"""Files in tar archives: trees of source code, pages and texts that came as one file.

Input: an archive (plain, gzip, bzip2, xz or zstd). Output: a PAGE row for each regular file in it, in the archive's order.
Nothing is written to disk, so no name in an archive can lead anywhere; names are still made relative and kept inside, because
they become addresses. Links, devices and hidden files are passed over. An archive that is cut or broken gives what stands
before the damage, and a row that says so. Memory: one file of at most the page limit, and at most 1 MB of headers and names
before it, which may ask for gigabytes.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from tarfile import InvalidHeaderError, ReadError  # type: ignore[attr-defined]
from typing import BinaryIO, Self

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, opened, reason_of
from skyloom.corpus.sources.readers.rows import About, broken_row, page_row, pair_of

_HTML = (".html", ".htm", ".xhtml")
_TEXT = (".txt", ".md", ".rst", ".text")
_HEADERS = 1 << 20  # bytes of headers and names before one file
_GLOBALS = 100  # headers that an archive may set for all its files; tarfile copies and reads them again for each
_GLOBAL_BYTES = 1 << 14
_DIGITS = 256  # of a number, and of a file's name
_PIECE = 1 << 18
_NUMBER = re.compile(rb"\d+")
CUT = "broken: the archive ends inside a file"
LONG_HEADERS = "headers or names of more than 1 MB"


def pages(file: File, about: About) -> Iterator[PageRow]:
    """PAGE rows of the HTML and text files of an archive; in a source of code, of every file that is text."""
    code = about.category == "code"
    number = -1
    try:
        with opened(file, about.max_ratio) as stream:
            for number, member, content in members(stream, about.max_body):
                name = safe_name(member.name)
                suffix = PurePosixPath(name).suffix.lower()
                if not name or not (code or suffix in (*_HTML, *_TEXT)):
                    continue
                pair = pair_of(name)[1]
                yield page_row(
                    about,
                    url=f"tar://{about.source}/{file.name}/{name}",
                    place=str(number),  # a name may stand in an archive twice
                    body=content,
                    size=member.size,
                    kind="html" if suffix in _HTML and not code else "text",
                    error=None if member.size > about.max_body or len(content) == member.size else CUT,
                    meta={"file": file.name, "member": name} | ({"pair": pair} if pair else {}),
                )
    except (*BROKEN, tarfile.TarError) as problem:
        yield broken_row(about, file.name, number + 1, reason_of(problem))


def members(stream: BinaryIO, limit: int) -> Iterator[tuple[int, tarfile.TarInfo, bytes]]:
    """(number, header, content) of the regular files of a tar stream; a file beyond the limit has no content.

    Raises tarfile.TarError for what is no archive, or one whose end is missing, and one of BROKEN from the stream.
    """
    forward = _Forward(stream)
    number = -1
    try:
        with tarfile.TarFile(fileobj=forward, errorlevel=1, tarinfo=_Header) as archive:  # type: ignore[arg-type]  # all that it calls
            while member := archive.next():
                number += 1
                forward.left = None
                if member.isfile():
                    handle = archive.extractfile(member) if member.size <= limit else None
                    yield number, member, handle.read() if handle is not None else b""
                archive.members.clear()  # type: ignore[attr-defined]  # tarfile remembers every header, which for millions of files is gigabytes
                _check_globals(archive.pax_headers)
                forward.left = _HEADERS
    except BROKEN:
        raise
    except (ValueError, OverflowError, RecursionError, IndexError, KeyError, TypeError) as problem:
        raise ReadError("damaged header in the archive") from problem


def _check_globals(headers: Mapping[str, str]) -> None:
    """ReadError if the headers that are meant for all files, which tarfile keeps, are no longer a few words."""
    if headers and (len(headers) > _GLOBALS or sum(len(k) + len(v) for k, v in headers.items()) > _GLOBAL_BYTES):
        raise ReadError(LONG_HEADERS)


class _Forward:
    """A stream as tarfile needs it, read forwards only. `left` bytes may be read (None: any number): before a file stand its
    header, its long name and its extended headers, and each of them says how long it is."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._place, self._held = stream, 0, b""
        self.left: int | None = _HEADERS

    def tell(self) -> int:
        return self._place

    def seek(self, place: int) -> int:
        if place < self._place:
            raise ReadError("damaged header in the archive")
        while self._place < place and (some := self._stream.read(min(_PIECE, place - self._place))):
            self._place += len(some)
        return self._place

    def read(self, size: int) -> bytes:
        if size < 0:
            raise ReadError("damaged header in the archive")
        if self.left is not None:
            if size > self.left:
                raise ReadError(LONG_HEADERS)
            self.left -= size
        found, self._held = self._held[:size], self._held[size:]
        if len(found) < size:
            found += self._stream.read(size - len(found))
        self._place += len(found)
        return found

    def peek(self, size: int) -> bytes:
        """What `read` will give."""
        left, place = self.left, self._place
        self._held = self.read(size) + self._held
        self.left, self._place = left, place
        return self._held[:size]


class _Header(tarfile.TarInfo):
    """A header that is told where it is damaged: tarfile takes such a one within an archive for the archive's end."""

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except InvalidHeaderError as problem:
            raise ReadError("damaged header in the archive") from problem

    def _proc_pax(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        """Extended headers are checked first: tarfile, before Python 3.12.6, looks for their ends in quadratic time."""
        if isinstance(forward := archive.fileobj, _Forward):
            check_records(forward.peek(self.size + -self.size % tarfile.BLOCKSIZE))
        found: tarfile.TarInfo = super()._proc_pax(archive)  # type: ignore[misc]  # what no annotations tell of
        return found


def check_records(data: bytes) -> None:
    """ReadError if extended headers are not one record `LENGTH KEY=VALUE\\n` after the other, or hold a number without end."""
    place = 0
    while place < len(data) and data[place]:
        space = data.find(b" ", place, place + 9)
        size = int(data[place:space]) if space > 0 and data[place:space].isdigit() else 0
        end = place + size
        if space < 0 or end <= space + 1 or end > len(data) or data[end - 1] != 10 or data.find(b"=", space + 2, end) < 0:
            raise ReadError("damaged header in the archive")
        place = end
    if any(m.end() - m.start() > _DIGITS for m in _NUMBER.finditer(data)):
        raise ReadError("damaged header in the archive")


def safe_name(name: str) -> str:
    """A member's name without root, drive and `..`; "" for a hidden file or one that is named nothing else."""
    parts = [p for p in PurePosixPath(name.replace("\\", "/")).parts if p not in ("/", "..", ".")]
    return "" if any(p.startswith(".") for p in parts) else "/".join(parts)
