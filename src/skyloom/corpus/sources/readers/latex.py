"""Papers from their LaTeX sources: one text for each, with its formulas as they were written.

Input: what arXiv gives: a bulk `.tar` of papers, a paper's own `.tar.gz`, a `.gz` of a single file, or a `.tex`. Output: a PAGE
row for each paper: the main file with what it includes, without preamble, comments, references and pictures, in paragraphs.
Inline and displayed formulas stay LaTeX (`$…$`, `\\begin{align}…`). Papers that came as PDF only are rows that say so. Nothing
is compiled or written to disk; files are joined only within their own archive, each once. Memory: one paper, whose sources
together are at most the page limit.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import BinaryIO

from pylatexenc.latexwalker import LatexWalkerParseError  # type: ignore[import-untyped]

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, open_file, reason_of, unpacked
from skyloom.corpus.sources.readers.markup.latex_text import joined, plain_text
from skyloom.corpus.sources.readers.markup.work import TookTooLongError, Work
from skyloom.corpus.sources.readers.rows import About, broken_row, page_row, pair_of
from skyloom.corpus.sources.readers.tar import members, safe_name
from skyloom.corpus.text import charset

_TEX = (".tex", ".ltx", ".latex")
_PAPER = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+\d{7})(v\d+)?")
_DATED = re.compile(r"(\d\d)(\d\d)")


def pages(file: File, about: About) -> Iterator[PageRow]:
    """PAGE rows of the papers of a file, in its order."""
    with open_file(file) as raw:
        head = raw.read(262)
        raw.seek(0)
        try:
            if head[257:262] == b"ustar":
                yield from _bulk(raw, file, about)
            else:
                yield _paper(unpacked(raw, about.max_ratio), file.name, file, about)
        except (*BROKEN, tarfile.TarError) as problem:
            yield broken_row(about, file.name, 0, reason_of(problem))


def _bulk(raw: BinaryIO, file: File, about: About) -> Iterator[PageRow]:
    """An archive of papers, each packed by itself; an archive whose members are .tex files is one paper."""
    own: dict[str, bytes] = {}
    size = 0
    for number, member, content in members(raw, about.max_body):
        name = safe_name(member.name)
        if member.size > about.max_body:
            yield page_row(about, url=_url(name, file), place=str(number), body=b"", size=member.size, kind="text")
        elif name.endswith(".gz"):
            yield _paper(unpacked(io.BytesIO(content), about.max_ratio), name, file, about, str(number))
        elif name.endswith(".pdf"):
            yield page_row(about, url=_url(name, file), place=str(number), body=content, kind="text", meta={"member": name})
        elif name.endswith(_TEX):
            size += len(name) + len(content) - (len(name) + len(own[name]) if name in own else 0)
            own[name] = content
            if size > about.max_body:
                yield broken_row(about, file.name, name, about.too_large)
                return
    if own:
        yield _row(own, file.name, file, about, "")


def _paper(stream: BinaryIO, name: str, file: File, about: About, place: str = "") -> PageRow:
    """The row of one packed paper: a tar of its files, or the one file."""
    try:
        data = stream.read(about.max_body + 1)
        if len(data) > about.max_body:
            return page_row(about, url=_url(name, file), place=place, body=b"", kind="text", error=about.too_large)
        if data[257:262] != b"ustar":
            files = {PurePosixPath(name).stem + ".tex": data}
        else:
            found = members(io.BytesIO(data), about.max_body)
            files = {n: content for _, member, content in found if (n := safe_name(member.name)).endswith(_TEX)}
    except (*BROKEN, tarfile.TarError) as problem:
        return page_row(about, url=_url(name, file), place=place, body=b"", kind="text", error=reason_of(problem))
    return _row(files, name, file, about, place)


def _row(files: Mapping[str, bytes], name: str, file: File, about: About, place: str) -> PageRow:
    url, error, title, body = _url(name, file), None, "", b""
    if len(files) == 1 and (first := next(iter(files.values()))).startswith(b"%PDF"):
        return page_row(about, url=url, place=place, body=first, kind="text", meta={"file": file.name, "member": name})
    try:
        work = Work(sum(len(n) + len(content) for n, content in files.items()))
        source = joined({n: charset.decode(content).text for n, content in files.items()}, work)
        title, text = plain_text(source, work)
        body = "\n\n".join(t for t in (title, text) if t).encode("utf-8", "replace")
        error = None if text else "broken: no LaTeX document"
    except TookTooLongError as problem:
        error = str(problem)
    except (LatexWalkerParseError, RecursionError, IndexError, ValueError) as problem:
        error = f"broken: LaTeX that cannot be parsed ({type(problem).__name__})"
    pair = pair_of(file.name)[1]
    meta = {"file": file.name, "member": name} | ({"title": title} if title else {}) | ({"pair": pair} if pair else {})
    return page_row(
        about, url=url, body=body if error is None else b"", kind="text", place=place, date=_date(name), charset="utf-8",
        error=error, meta=meta,
    )  # fmt: skip


def _url(name: str, file: File) -> str:
    paper = _PAPER.fullmatch(re.sub(r"(\.tar)?(\.gz|\.pdf|\.tex)?$", "", PurePosixPath(name).name))
    return (
        f"https://arxiv.org/abs/{paper[0]}" if paper else f"latex://{file.name}/{name}" if name != file.name else f"latex://{name}"
    )


def _date(name: str) -> str | None:
    """The month that an arXiv number names, as far as it is known."""
    paper = _PAPER.fullmatch(re.sub(r"(\.tar)?(\.gz)?$", "", PurePosixPath(name).name))
    found = _DATED.search(paper[0]) if paper else None
    if found is None or not 1 <= int(found[2]) <= 12:
        return None
    year = int(found[1])
    return f"{2000 + year if year < 91 else 1900 + year}-{found[2]}-01"
