"""Encyclopedias from MediaWiki dumps: articles as text, with the pages that they cite.

Input: a dump (`pages-articles.xml`, `.bz2`, `.gz`, `.zst`) or a byte range of a multistream one. Output: a PAGE row for each
article: its text with headings, lists and tables readable and formulas kept (`$…$`). Redirects and other namespaces are passed
over. The external addresses that an article cites stand in its `meta` as `cites`: they are what the quality classifier learns
from ("would this page be a reference in an encyclopedia?"). Chinese articles write words of both scripts
(`-{zh-hans:软件;zh-hant:軟體}-`); the simplified one is kept. Memory: one article.
"""

from __future__ import annotations

import bz2
import re
from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, BZIP2, File, Readable, Yield, open_file, reason_of, unpacked
from skyloom.corpus.sources.readers.markup.wikitext import plain_text
from skyloom.corpus.sources.readers.markup.work import TookTooLongError
from skyloom.corpus.sources.readers.rows import About, broken_row, page_row
from skyloom.corpus.sources.readers.xml import BadXmlError, Elements

_WANTED = frozenset(("base", "page", "title", "ns", "id", "redirect", "timestamp", "text", "revision", "contributor", "model"))
_STREAM = re.compile(rb"BZh[1-9]1AY&SY")
_ROOT = re.compile(rb"<mediawiki[^<>]*>|</mediawiki>")
_ROOT_END = len(b"</mediawiki>")
_CHUNK = 1 << 15  # a stream may be a few bytes, and what is read beyond it is read again
_BASE = 1 << 18
MULTISTREAM = "multistream"
"""What the name of a dump of many streams holds."""
_CITES = 200  # addresses of one article


def pages(file: File, about: About) -> Iterator[PageRow]:
    """PAGE rows of the articles of a dump, in its order.

    They are told apart by where they stand (`stream.number`): a dump that was put together badly holds one article twice.
    """
    with open_file(file) as raw:
        if _in_streams(raw, file):
            yield from _multistream(raw, file, about)
        elif file.start == 0:  # no ranges, whatever it is called: the first one is all
            yield from _articles(Elements(_WANTED, about.max_body), unpacked(raw, about.max_ratio), file, about)


def _in_streams(raw: BinaryIO, file: File) -> bool:
    """Whether a file is a range, or called a dump of many streams, and packed by bzip2, perhaps with a damaged beginning."""
    if file.start == 0 and file.end < 0 and MULTISTREAM not in file.name.lower():
        return False
    magic = raw.read(4)
    raw.seek(0)
    return (magic.startswith(BZIP2) and magic[3:].isdigit()) or file.name.lower().endswith(".bz2")


def _multistream(raw: BinaryIO, file: File, about: About) -> Iterator[PageRow]:
    """Articles of the bzip2 streams that begin in a range. Each holds whole <page> elements, so each is XML with a root of ours;
    only the first has the root's beginning and only the last its end.

    A stream follows the one before it. Where none begins there is damage: it belongs to the range whose stream ends there, since
    the next range looks for its first stream and finds one behind the damage."""
    end = file.end if file.end >= 0 else file.size
    base = _base(raw)
    total = Yield(about.max_ratio)
    offset = _next_stream(raw, file.start) if file.start else 0
    while offset < end or (offset < file.size and not _begins(raw, offset)):
        stream = _OneStream(raw, offset, file.size, total)
        elements = Elements(_WANTED, about.max_body)
        elements.feed(b"<root>")
        yield from _articles(elements, stream, file, about, base, offset)
        offset = stream.end if stream.end > offset else _next_stream(raw, offset + 1)


def _base(raw: BinaryIO) -> str:
    """The site's address, which only the dump's first stream holds."""
    raw.seek(0)
    try:
        head = bz2.BZ2Decompressor().decompress(raw.read(_BASE), 1 << 16)
    except OSError:
        return ""  # the range that reads the first stream tells that it is broken
    found = re.search(rb"<base>([^<]*)</base>", head)
    return found[1].decode("utf-8", "replace") if found else ""


class _OneStream:
    """The content of one bzip2 stream of a file of `size` bytes, without the dump's own root element; `end` is the offset after
    it. `total` limits what all streams of a range give."""

    def __init__(self, raw: BinaryIO, offset: int, size: int, total: Yield) -> None:
        raw.seek(offset)
        self._raw, self._at, self.end = raw, offset, -1
        self._size, self._total, self._counted = size, total, offset
        self._inflate = bz2.BZ2Decompressor()
        self._held = b""  # the last bytes, which may be the beginning of the root's end
        self._closed = False

    def read(self, size: int) -> bytes:
        while not self._inflate.eof:
            found = _ROOT.sub(b"", self._held + self._more(size))
            self._held = found[-_ROOT_END:]
            if len(found) > _ROOT_END:
                return found[:-_ROOT_END]
        if self._closed:
            return b""
        self._closed, self.end = True, self._at - len(self._inflate.unused_data)
        return self._held + b"</root>"

    def _more(self, size: int) -> bytes:
        data = self._raw.read(_CHUNK) if self._inflate.needs_input else b""
        if self._inflate.needs_input and not data:
            raise EOFError("the dump ends inside a stream")
        self._at += len(data)
        found = self._inflate.decompress(data, size)
        taken = self._at - len(self._inflate.unused_data)
        self._total.take(taken - self._counted, self._size)
        self._counted = taken
        self._total.give(len(found))
        self._total.check()
        return found


def _begins(raw: BinaryIO, offset: int) -> bool:
    """Whether a bzip2 stream begins at an offset."""
    raw.seek(offset)
    return _STREAM.match(raw.read(10)) is not None


def _next_stream(raw: BinaryIO, start: int) -> int:
    """The first offset from `start` on where a bzip2 stream begins, or the file's end."""
    raw.seek(start)
    offset, window = start, raw.read(_CHUNK)
    while window:
        if match := _STREAM.search(window):
            return offset + match.start()
        more = raw.read(_CHUNK)
        if not more:
            break
        offset += max(len(window) - 9, 0)
        window = window[-9:] + more
    return offset + len(window)


def _articles(elements: Elements, stream: Readable, file: File, about: About, base: str = "", first: int = 0) -> Iterator[PageRow]:
    page, number = _Page(), 0
    try:
        for name, attributes, text, size in elements.read(stream):
            if name == "base":
                base = text
            elif name == "page":
                if page.is_article:
                    yield page.row(base, file, about, f"{first}.{number}")
                page, number = _Page(), number + 1
            else:
                page.take(name, attributes, text, size)
    except (*BROKEN, BadXmlError) as problem:
        yield broken_row(about, file.name, f"{first}.{page.id or 'page'}", reason_of(problem))


class _Page:
    """One <page> as it comes; a page of several revisions counts with its last one."""

    def __init__(self) -> None:
        self.title = self.id = self.date = self.text = ""
        self.size, self.space, self.redirects, self.model = 0, "", False, "wikitext"

    def take(self, name: str, attributes: dict[str, str], text: str, size: int) -> None:
        if name == "title":
            self.title = text
        elif name == "ns":
            self.space = text.strip()
        elif name == "id":
            self.id = self.id or text.strip()  # the page's own comes before those of revision and contributor
        elif name == "redirect":
            self.redirects = True
        elif name == "timestamp":
            self.date = text[:10]
        elif name == "model":
            self.model = text
        elif name == "text":
            self.text, self.size = text, size

    @property
    def is_article(self) -> bool:
        return self.space == "0" and not self.redirects and self.model == "wikitext"

    def row(self, base: str, file: File, about: About, place: str) -> PageRow:
        site = base.rpartition("/")[0]
        url = f"{site}/{self.title.replace(' ', '_')}" if site else f"{file.name}#{self.title}"
        cites, lost = list[str](), Counter[str]()
        body, error = b"", None
        if self.size <= about.max_body:
            try:
                text, cites = plain_text(self.text, lost=lost)
                body = f"{self.title}\n\n{text}".encode("utf-8", "replace") if text else b""
                error = None if body else "broken: an article without text"
            except TookTooLongError as problem:
                error = str(problem)
            except RecursionError:
                error = "broken: wikitext nested too deep"
        return page_row(
            about, url=url, body=body, size=None if body or error else self.size, kind="text", place=place, error=error,
            date=self.date or None, charset="utf-8", meta={"file": file.name, "title": self.title, "cites": cites[:_CITES], **lost},
        )  # fmt: skip
