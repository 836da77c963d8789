"""Books from EPUB files: the chapters in reading order, as one text.

Input: an EPUB (a zip of XHTML). Output: its PAGE row: title, then all spine items in the order of the spine, block by block,
without the navigation, pictures and markup. A book is not a web page: nothing in it is boilerplate to be found out, so its text
does not pass the extraction for web pages. Encrypted books, and files that are no EPUB, are rows that say so. Nothing is
written to disk; sizes are checked while unpacking, not as the zip claims them. Memory: one book of at most the page limit, and
its file.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator
from urllib.parse import unquote

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, BombError, File, open_file, reason_of
from skyloom.corpus.sources.readers.markup.work import TookTooLongError, Work
from skyloom.corpus.sources.readers.markup.xhtml import chapter_text
from skyloom.corpus.sources.readers.rows import About, page_row, pair_of
from skyloom.corpus.sources.readers.xml import BadXmlError, Elements

_FREE = 1 << 20
_PIECE = 1 << 18
_FILES = 50_000
_PACKED_TIMES = 20  # a book's file holds pictures too: it may be this many times the page limit
_NO_ZIP = (zipfile.BadZipFile, KeyError, ValueError, RuntimeError, NotImplementedError)
"""What Python's zip reader and our XML reader raise on damaged, encrypted or unusual files."""


_Element = tuple[str, dict[str, str], str]


class _BookError(ValueError):
    """The file is no EPUB that we can read; the text is the row's reason."""


def pages(file: File, about: About) -> Iterator[PageRow]:
    """The PAGE row of a book."""
    body, found, error = b"", _Facts("", "", ""), None
    try:
        if file.size > _PACKED_TIMES * about.max_body:
            raise _BookError(about.too_large)
        with open_file(file) as raw:
            data = raw.read()
        if data.count(b"PK\x01\x02") > _FILES:  # a name for each is held, in many times the bytes that it takes in the file
            raise _BookError("too large: a book of more than 50,000 files")
        with zipfile.ZipFile(io.BytesIO(data)) as book:
            found, text = _read(book, about)
        body = text.encode("utf-8", "replace")
        error = None if body else "broken: a book without text"
    except (_BookError, TookTooLongError) as problem:
        error = str(problem)
    except BadXmlError as problem:
        error = f"broken: not an EPUB that we read: {problem}"
    except (*BROKEN, *_NO_ZIP) as problem:
        error = reason_of(problem) if isinstance(problem, BROKEN) else f"broken: not a whole EPUB ({type(problem).__name__})"
    pair = pair_of(file.name)[1]
    meta = {"file": file.name} | ({"title": found.title} if found.title else {}) | ({"pair": pair} if pair else {})
    yield page_row(
        about, url=f"epub://{about.source}/{file.name}", body=body, kind="text", date=found.date or None,
        license=found.rights or None, charset="utf-8", error=error, meta=meta,
    )  # fmt: skip


class _Facts:
    def __init__(self, title: str, date: str, rights: str) -> None:
        self.title, self.date, self.rights = title, date, rights


def _read(book: zipfile.ZipFile, about: About) -> tuple[_Facts, str]:
    names = set(book.namelist())
    left = _Budget(about)
    if "META-INF/container.xml" not in names:
        raise _BookError("broken: not an EPUB: no META-INF/container.xml")
    container = _elements(left.read(book, "META-INF/container.xml"), "rootfile")
    package = next((about_it.get("full-path", "") for _, about_it, _ in container), "")
    if package not in names:
        raise _BookError("broken: not an EPUB: its package file is missing")
    opf = _elements(left.read(book, package), "item", "itemref", "title", "date", "rights")
    items = {about_it.get("id", ""): about_it for name, about_it, _ in opf if name == "item"}
    order = [items[i] for name, about_it, _ in opf if name == "itemref" and (i := about_it.get("idref", "")) in items]
    chapters = [_path(package, i.get("href", ""), left.work) for i in order if "nav" not in i.get("properties", "").split()]
    if "META-INF/encryption.xml" in names and (_encrypted(left.read(book, "META-INF/encryption.xml")) & set(chapters)):
        raise _BookError("encrypted book")
    texts = [chapter_text(left.read(book, c), left.work) for c in dict.fromkeys(chapters) if c in names]
    title = _first(opf, "title")
    parts = [t for t in texts if t]
    if title and parts and not parts[0].startswith(title):
        parts.insert(0, title)
    text = "\n\n".join(parts) if any(texts) else ""
    date = re.match(r"\d{4}(-\d\d(-\d\d)?)?", _first(opf, "date"))
    rights = _first(opf, "rights")
    free = rights if re.search(r"\bCC0|\bCC[ -]BY|public domain", rights, re.IGNORECASE) else ""
    return _Facts(title, date[0] if date else "", free), text


class _Budget:
    """Unpacks members until the book is larger than a page may be. The zip's own word on sizes is not taken. `work` is what the
    book's text may cost."""

    def __init__(self, about: About) -> None:
        self._about, self._size = about, 0
        self.work = Work()

    def read(self, book: zipfile.ZipFile, name: str) -> bytes:
        packed = max(book.getinfo(name).compress_size, 1)
        parts, size = [], 0
        try:
            with book.open(name) as stream:
                while part := stream.read(_PIECE):
                    parts.append(part)
                    size += len(part)
                    if size > _FREE and size > self._about.max_ratio * packed:
                        raise BombError(self._about.max_ratio)
                    if self._size + size > 4 * self._about.max_body:  # markup may be most of a chapter
                        raise _BookError(self._about.too_large)
        except zlib.error as problem:
            raise _BookError("broken: a damaged file in the book") from problem
        self._size += size
        self.work.allow(size)
        return b"".join(parts)


def _elements(data: bytes, *names: str) -> list[_Element]:
    """(name, attributes, text) of the elements of these names, in the order of their ends."""
    found = Elements(frozenset(names), len(data)).read(io.BytesIO(data))
    return [(name, attributes, text) for name, attributes, text, _ in found]


def _first(opf: list[_Element], name: str) -> str:
    return next((" ".join(text.split()) for n, _, text in opf if n == name and text.strip()), "")


def _path(package: str, href: str, work: Work) -> str:
    work.look(len(package) + len(href))
    return posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href.partition("#")[0])))


def _encrypted(data: bytes) -> set[str]:
    return {unquote(about_it.get("URI", "")) for _, about_it, _ in _elements(data, "CipherReference")}
