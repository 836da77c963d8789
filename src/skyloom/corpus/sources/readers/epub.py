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
from xml.etree import ElementTree

from selectolax.lexbor import LexborHTMLParser, LexborNode

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, BombError, File, open_file, reason_of
from skyloom.corpus.sources.readers.rows import About, page_row, pair_of
from skyloom.corpus.text import charset

_FREE = 1 << 20
_PIECE = 1 << 18
_FILES = 50_000
_PACKED_TIMES = 20  # a book's file holds pictures too: it may be this many times the page limit
_SKIPPED = frozenset(("script", "style", "head", "nav", "img", "svg", "rt", "rp", "noscript", "template", "audio", "video"))
_BLOCKS = frozenset(
    "address article aside blockquote body center dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr li main ol p "
    "pre section table tbody td tfoot th thead tr ul".split()
)


_NO_ZIP = (zipfile.BadZipFile, ElementTree.ParseError, KeyError, ValueError, RuntimeError, NotImplementedError)
"""What Python's zip and XML readers raise on damaged, encrypted or unusual files."""


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
    except _BookError as problem:
        error = str(problem)
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
    container = _xml(left.read(book, "META-INF/container.xml"))
    package = next((e.get("full-path", "") for e in container.iter() if _tag(e) == "rootfile"), "")
    if package not in names:
        raise _BookError("broken: not an EPUB: its package file is missing")
    opf = _xml(left.read(book, package))
    items = {e.get("id", ""): e for e in opf.iter() if _tag(e) == "item"}
    order = [items[i] for e in opf.iter() if _tag(e) == "itemref" and (i := e.get("idref", "")) in items]
    chapters = [_path(package, e.get("href", "")) for e in order if "nav" not in (e.get("properties") or "").split()]
    if "META-INF/encryption.xml" in names and (_encrypted(left.read(book, "META-INF/encryption.xml")) & set(chapters)):
        raise _BookError("encrypted book")
    texts = [chapter_text(left.read(book, c)) for c in dict.fromkeys(chapters) if c in names]
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
    """Unpacks members until the book is larger than a page may be. The zip's own word on sizes is not taken."""

    def __init__(self, about: About) -> None:
        self._about, self._size = about, 0

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
        return b"".join(parts)


def _xml(data: bytes) -> ElementTree.Element:
    if b"<!ENTITY" in data:
        raise _BookError("broken: not an EPUB that we read: it declares entities of its own")
    return ElementTree.fromstring(data)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _first(opf: ElementTree.Element, name: str) -> str:
    return next((" ".join((e.text or "").split()) for e in opf.iter() if _tag(e) == name and (e.text or "").strip()), "")


def _path(package: str, href: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href.partition("#")[0])))


def _encrypted(data: bytes) -> set[str]:
    return {unquote(e.get("URI", "")) for e in _xml(data).iter() if _tag(e) == "CipherReference"}


def chapter_text(data: bytes) -> str:
    """The text of an XHTML file: its blocks separated by empty lines, list items with a dash, <pre> verbatim."""
    root = LexborHTMLParser(charset.decode(data).text).body
    out: list[str] = []
    if root is not None:
        _walk(root, out)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]*\n[ \t]*", "\n", "".join(out))).strip() if out else ""


def _walk(root: LexborNode, out: list[str]) -> None:
    """Write the text below a node, without recursion: hostile books nest deeper than Python does."""
    stack: list[tuple[LexborNode | None, str]] = [(root, "")]
    while stack:
        node, after = stack.pop()
        if node is None:
            out.append(after)
            continue
        name = node.tag or ""
        if name == "-text":
            out.append(re.sub(r"\s+", " ", node.text_content or ""))
        elif name == "br":
            out.append("\n")
        elif name == "pre":
            out.append(f"\n\n{node.text()}\n\n")
        elif name not in _SKIPPED and not name.startswith(("_", "-", "!")):
            if name in _BLOCKS:
                gap = "\n" if name in ("li", "tr", "dt", "dd") else " | " if name in ("td", "th") else "\n\n"
                out.append("\n- " if name == "li" else "" if name in ("td", "th") else gap)
                stack.append((None, gap))
            child = node.last_child
            while child is not None:
                stack.append((child, ""))
                child = child.prev
