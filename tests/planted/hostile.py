"""Hostile families: sources that grow by one repeated piece, for which a reader's work may not grow faster than they do.

Input: a family's name and a size. Output: the bytes of a file of about that size. The test counts steps, the bench seconds.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers import epub, latex, mediawiki, pairs
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.readers.rows import About

Reader = Callable[[File, About], Iterator["pa.Table | PageRow"]]

TEX = (
    r"\begin{figure}", r"\begin{figure}\end{figure*}", r"\def\a", r"\def\a{", r"\title[", r"\title[a]", r"\input{缺失absent}", r"\frac{",
    r"\begin{a}", r"\end{a}", r"\begin", r"\verb|", r"\begin{verbatim}", r"\textbf{文}", "( ", "a-文", "a  b ", " ", "\n \n", "$", r"\cite[", "x{y} ",
)  # fmt: skip
WIKI = (
    "{|\n", "{| a=b\n| 文\n", "{|\n|-\n|a||b", "{{a|[[b|", "{{a ", "{{{a|", "[[文|", "[[file: ", "<b>", '<b a="x ', '<ref name="', "<nowiki>", "<li>",
    "<!-- ", "[http://a b ", "http://a.b:", "=\n", "==a=", "==a{{b=\n", "&#1", "-{a|", "-{zh:", "'''a''文", "\n;a:b", "| {{a|\n{|\n",
)  # fmt: skip
WIKI_ENDS = ("", '}}}]]\n|}</b></ref></nowiki>">-->')
CHAPTERS = (
    "<p a='{i}' 文{i}='1' b{i}", "<div>", "<div><p>", "<b c{i}><p>", "<html a{i}='1'>", "<pre> \t</pre>", " ", "<!--", "<script>", "<svg>", "&#9", "</div>", "<a x='",
    "<", "<![CDATA[", "<nav><table><td>", "<li>文",
)  # fmt: skip
PO = ('"x文"\n', "# 注 note\n", "#. x\n", '#~ "x"\n', '"X-a\\n"\n', 'msgid "a"\nmsgstr "文"\n')
TMX = (
    ("<seg x='", "文y"),
    ("<seg", " a{i}='文'"),
    ("", "<tu><tuv><seg>文</seg></tuv></tu>"),
    ("", "<!-- x"),
    ("", "<seg>"),
    ("", "<![CDATA[文"),
)


def families() -> list[str]:
    """The names of all families: a reader and what is repeated."""
    return [
        *(f"latex {unit}" for unit in TEX), *(f"mediawiki {unit}{end}" for unit in WIKI for end in WIKI_ENDS),
        *(f"epub {unit}" for unit in CHAPTERS), *(f"po {unit}" for unit in PO), *(f"tmx {start}{unit}" for start, unit in TMX),
        "latex members",
    ]  # fmt: skip


def source(family: str, size: int) -> tuple[str, bytes, Reader]:
    """The name and bytes of a file of a family, `size` bytes of what is repeated, and its reader."""
    kind, _, what = family.partition(" ")
    if family == "latex members":
        return "a.tar", _members(size // 40), latex.pages
    if kind == "latex":
        return "a.tex", (r"\documentclass{a}\begin{document}" + _repeated(what, size)).encode(), latex.pages
    if kind == "mediawiki":
        end = next(e for e in reversed(WIKI_ENDS) if what.endswith(e))
        return "a.xml", _dump(_repeated(what.removesuffix(end), size) + end), mediawiki.pages
    if kind == "epub":
        return "a.epub", book_of("<html><body>" + _repeated(what, size)), epub.pages
    if kind == "po":
        return "a.po", ('msgid ""\nmsgstr ""\n' + _repeated(what, size)).encode(), pairs.pages
    start, unit = next((s, u) for s, u in TMX if s + u == what)
    return "a.tmx", ("<tmx><body><tu><tuv>" + start + _repeated(unit, size)).encode(), pairs.pages


def read(family: str, size: int, folder: Path) -> Sequence[pa.Table | PageRow]:
    """The rows of a file of a family."""
    name, data, reader = source(family, size)
    path = folder / name
    path.write_bytes(data)
    return list(reader(File(str(path), name, len(data)), About("s", "web", None, 16_000_000)))


def _repeated(unit: str, size: int) -> str:
    count = size // len(unit.encode())
    return "".join(unit.replace("{i}", str(i)) for i in range(count)) if "{i}" in unit else unit * count


def _dump(text: str) -> bytes:
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    after = "<page><title>好 Good</title><ns>0</ns><id>2</id><revision><text>后面 after</text></revision></page>"
    return f"<mediawiki><page><title>坏 Bad</title><ns>0</ns><id>1</id><revision><text>{text}</text></revision></page>{after}</mediawiki>".encode()


def book_of(chapter: str, more: Mapping[str, bytes] | None = None) -> bytes:
    """An EPUB of one chapter, with further files in its zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as book:
        book.writestr("META-INF/container.xml", '<container><rootfiles><rootfile full-path="p.opf"/></rootfiles></container>')
        book.writestr(
            "p.opf", '<package><manifest><item id="a" href="a.xhtml"/></manifest><spine><itemref idref="a"/></spine></package>'
        )
        book.writestr("a.xhtml", chapter)
        for name, data in (more or {}).items():
            book.writestr(name, data)
    return out.getvalue()


def _members(count: int) -> bytes:
    """An archive of many files, and a paper that includes as many that are not there, and many of the same name."""
    out = io.BytesIO()
    main = r"\documentclass{a}\begin{document}文 text" + "".join(rf"\input{{no/{i}}}\input{{x}}" for i in range(count))
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in [("main.tex", main), *((f"{i}/x.tex", "字") for i in range(count))]:
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def steps_of(rows: Sequence[pa.Table | PageRow]) -> str:
    """The reasons of some rows, for messages."""
    return json.dumps([r["error"] if isinstance(r, dict) else r.num_rows for r in rows][:3])
