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
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import BinaryIO

from pylatexenc import latex2text, macrospec  # type: ignore[import-untyped]
from pylatexenc.latexwalker import (  # type: ignore[import-untyped]
    LatexMacroNode,
    LatexWalker,
    LatexWalkerParseError,
    get_default_latex_context_db,
)

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, open_file, reason_of, unpacked
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
    for number, member, content in members(raw, about.max_body):
        name = safe_name(member.name)
        if member.size > about.max_body:
            yield page_row(about, url=_url(name, file), place=str(number), body=b"", size=member.size, kind="text")
        elif name.endswith(".gz"):
            yield _paper(unpacked(io.BytesIO(content), about.max_ratio), name, file, about, str(number))
        elif name.endswith(".pdf"):
            yield page_row(about, url=_url(name, file), place=str(number), body=content, kind="text", meta={"member": name})
        elif name.endswith(_TEX):
            own[name] = content
            if sum(map(len, own.values())) > about.max_body:
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
        source = joined({n: charset.decode(content).text for n, content in files.items()})
        title, text = plain_text(source)
        body = "\n\n".join(t for t in (title, text) if t).encode("utf-8", "replace")
        error = None if text else "broken: no LaTeX document"
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


_COMMENT = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*\n?")
_INPUT = re.compile(r"\\(?:input|include|subfile)\s*\{([^{}]+)\}|\\input\s+([^\s{}\\]+)")
_BEGIN, _END = re.compile(r"\\begin\s*\{document\}"), re.compile(r"\\end\s*\{document\}")


def joined(files: Mapping[str, str]) -> str:
    """The main file with the files that it includes in their places, each once and without comments. Names lead nowhere
    outside `files`."""
    files = {n: _COMMENT.sub(r"\1", text.replace("\r\n", "\n")) for n, text in files.items()}
    starts = [n for n, text in files.items() if "\\documentclass" in text or "\\documentstyle" in text]
    whole = [n for n in starts if _BEGIN.search(files[n])]
    main = max(whole or starts or files, key=lambda n: (len(files[n]), n), default=None)
    if main is None:
        return ""
    used = {main}

    def put(match: re.Match[str]) -> str:
        name = (match[1] or match[2]).strip().removeprefix("./")
        found = next((n for n in (name, f"{name}.tex", *_ends(name, files)) if n in files and n not in used), None)
        if found is None:
            return ""
        used.add(found)
        return _INPUT.sub(put, files[found])

    return _INPUT.sub(put, files[main])


def _ends(name: str, files: Mapping[str, str]) -> list[str]:
    """Files whose path ends with a name: papers include by paths relative to a folder that an archive may wrap."""
    return sorted(n for n in files if n.endswith((f"/{name}", f"/{name}.tex")))


_TITLE = re.compile(r"\\title\s*(?:\[[^\]]*\]\s*)?(?=\{)")
_LEFT_OUT = re.compile(
    r"\\begin\s*\{(thebibliography|tikzpicture|figure\*?|comment|CCSXML|filecontents\*?)\}.*?\\end\s*\{\1\}"
    r"|\\(?:bibliography|bibliographystyle)\s*\{[^{}]*\}|\\[egx]?def\s*\\[A-Za-z@]+[^{}\n]*\{[^{}]*\}",
    re.DOTALL,
)


def plain_text(source: str) -> tuple[str, str]:
    """(title, text) of a LaTeX document, paragraphs separated by empty lines, formulas verbatim."""
    begin = _BEGIN.search(source)
    end = _END.search(source, begin.end()) if begin else None
    body = source[begin.end() if begin else 0 : end.start() if end else len(source)]
    titled = _TITLE.search(source)
    title = " ".join(_converted(_group(source, titled.end())).split()) if titled else ""
    if begin is None and "\\" not in body:
        return title, ""  # no LaTeX at all
    text = _converted(_LEFT_OUT.sub("", body))
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in text.split("\n")]
    return title, re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _group(source: str, start: int) -> str:
    """The content of the braces that open at `start`."""
    depth = 0
    for place in range(start, min(len(source), start + 2000)):
        depth += (source[place] == "{") - (source[place] == "}")
        if depth == 0:
            return source[start + 1 : place]
    return ""


def _converted(source: str) -> str:
    nodes = LatexWalker(source, latex_context=_READS, tolerant_parsing=True).get_latex_nodes()[0]
    return str(_WRITES.nodelist_to_text(nodes))


def _argument(place: int, form: str) -> Callable[[LatexMacroNode, latex2text.LatexNodes2Text], str]:
    """A replacement that writes one argument of a macro in a form; pylatexenc's own keeps what is not an argument."""
    return lambda node, l2tobj: form % l2tobj.nodelist_to_text([node.nodeargd.argnlist[place]]).strip()


def _contexts() -> tuple[macrospec.LatexContextDb, latex2text.LatexNodes2Text]:
    """What pylatexenc's parser and writer shall do otherwise: headings as paragraphs; marks that point elsewhere, dates of today
    and definitions left out."""
    headings = ("chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph")
    silent = {
        "maketitle": "", "today": "", "author": "[{", "date": "{", "title": "[{", "thanks": "{", "label": "{", "ref": "{",
        "eqref": "{", "pageref": "{", "autoref": "{", "cref": "{", "Cref": "{", "cite": "[[{", "citep": "[[{", "citet": "[[{",
        "citealp": "[[{", "footnote": "[{", "footnotetext": "[{", "includegraphics": "[[{", "newcommand": "*{[[{",
        "renewcommand": "*{[[{", "providecommand": "*{[[{", "DeclareMathOperator": "*{{", "vspace": "*{",
        "hspace": "*{", "thispagestyle": "{", "pagestyle": "{", "setlength": "{{", "bibitem": "[{", "tableofcontents": "",
        "usepackage": "[{", "affiliation": "{", "email": "{", "address": "{", "keywords": "{", "setcounter": "{{",
    }  # fmt: skip
    reads = get_default_latex_context_db()
    spec = [macrospec.std_macro(name, form) for name, form in silent.items()]
    spec += [macrospec.std_macro(name, "*[{") for name in headings]
    spec += [macrospec.std_macro(name, "{") for name in ("caption", "enquote")]
    reads.add_context_category("skyloom", macros=spec, prepend=True)
    writes = latex2text.get_default_latex_context_db()
    texts = [latex2text.MacroTextSpec(name, "") for name in silent]
    texts += [latex2text.MacroTextSpec(name, _argument(2, "\n\n%s\n\n")) for name in headings]
    texts += [latex2text.MacroTextSpec("caption", _argument(0, "\n\n%s\n\n"))]
    texts += [latex2text.MacroTextSpec("enquote", _argument(0, "“%s”"))]
    writes.add_context_category("skyloom", macros=texts, prepend=True)
    return reads, latex2text.LatexNodes2Text(writes, math_mode="verbatim", keep_comments=False, strict_latex_spaces=False)


_READS, _WRITES = _contexts()
