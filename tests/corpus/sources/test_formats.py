"""Archives, parallel text, encyclopedias, papers, books and hub data sets become pages, whole and in their order."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources import stage as sources
from skyloom.corpus.sources.config import KINDS, SourceConfig
from skyloom.corpus.sources.readers import latex as sources_latex
from skyloom.corpus.sources.readers import mediawiki as sources_wiki
from skyloom.corpus.sources.readers.byte_streams import File, split
from skyloom.corpus.sources.readers.markup.wikitext import plain_text
from skyloom.corpus.sources.readers.markup.xhtml import chapter_text
from skyloom.corpus.sources.readers.pairs import OTHER, UNTRANSLATED, pairs_of
from skyloom.corpus.sources.readers.rows import About
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()


def read(out: Path, **config: Any) -> list[dict[str, Any]]:
    """The rows of a source that is the only one."""
    source = SourceConfig(**{"name": "s", **config})
    found = resolve([source], cache=out / "cache", samples=out / "samples", progress=QUIET)
    store = Store(out / "pages")
    store.remove("")
    fetch(found, store, engine=Engine(0), progress=QUIET)
    rows = [r for n in store.names("pages-") for r in store.read_table(n).to_pylist()]
    assert len({r["id"] for r in rows}) == len(rows)
    return rows


def text(row: dict[str, Any]) -> str:
    return str(row["body"].decode())


def tar_of(files: list[tuple[str, bytes]], mode: str = "w") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


TREE = [
    ("repo/main.py", b"print('hello')\n"), ("repo/文档.md", "# 说明\n\n一段".encode()), ("repo/.git/config", b"[core]"),
    ("repo/logo.png", b"\x89PNG\r\n\x1a\n" + bytes(50)), ("repo/main.py", b"print('again')\n"), ("repo/index.html", b"<p>page"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "mode"), [("tar", "w"), ("tar.gz", "w:gz"), ("tgz", "w:gz"), ("tar.xz", "w:xz"), ("tar.bz2", "w:bz2")]
)
def test_a_tar_of_code(tmp_path: Path, suffix: str, mode: str) -> None:
    path = tmp_path / f"repo.{suffix}"
    path.write_bytes(tar_of(TREE, mode))
    rows = read(tmp_path / "o", path=str(path), category="code")
    assert [(r["kind"], r["error"]) for r in rows] == [
        ("code", None), ("code", None), ("code", "not text: PNG"), ("code", None), ("code", None)
    ]  # fmt: skip
    assert [text(r) for r in rows if not r["error"]] == ["print('hello')\n", "# 说明\n\n一段", "print('again')\n", "<p>page"]
    pages = read(tmp_path / "p", path=str(path))
    assert [(r["kind"], text(r)) for r in pages] == [("text", "# 说明\n\n一段"), ("html", "<p>page")]


def test_names_in_a_tar_lead_nowhere(tmp_path: Path) -> None:
    names = ["/etc/evil.txt", "../../up.txt", "a/../../b.txt", "C:\\win\\c.txt", "好/文.txt"]
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = 4
            archive.addfile(info, io.BytesIO(b"text"))
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            info = tarfile.TarInfo("link.txt")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(data.getvalue())
    before = sorted(p.name for p in tmp_path.rglob("*"))
    rows = read(tmp_path / "out", path=str(tmp_path / "in" / "a.tar"), kind="tar")
    assert [json.loads(r["meta"])["member"] for r in rows] == ["etc/evil.txt", "up.txt", "a/b.txt", "C:/win/c.txt", "好/文.txt"]
    assert sorted(p.name for p in tmp_path.rglob("*") if "out" not in p.parts) == before


@pytest.mark.parametrize("damage", ["cut", "flip", "cut inside", "large"])
def test_a_damaged_tar_gives_what_stands_before(tmp_path: Path, damage: str) -> None:
    files = [(f"{i}.txt", f"第{i}个文件 file {i} ".encode() * 400) for i in range(20)]
    files.insert(5, ("big.txt", b"x" * 900_000)) if damage == "large" else None
    data = tar_of(files)
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "flip":
        header = data.index(b"10.txt")
        data = data[:header] + b"\xff" * 512 + data[header + 512 :]
    elif damage == "cut inside":
        data = gzip.compress(data)[:-300]
    (tmp_path / "a.tar").write_bytes(data)
    rows = read(tmp_path / "o", path=str(tmp_path / "a.tar"), kind="tar", max_body_mb=0.5)
    told = [r["error"] for r in rows if r["error"]]
    assert len(told) == 1
    good = [text(r) for r in rows if not r["error"]]
    wanted = [d.decode() for n, d in files if n != "big.txt"]
    if damage == "large":
        assert good == wanted
        assert told == ["too large: more than 0.5 MB"]
    else:
        assert 2 <= len(good) <= 20
        assert good[:2] == wanted[:2]
        assert all(t.startswith("broken: ") for t in told)


EN = ["Open the file menu.", "The disk has 4 GB.", 'Tab\tinside and "quotes"']
ZH = ["打开文件菜单。", "磁盘有 4 GB。", "里面有制表符和“引号”"]


def tmx() -> str:
    units = "".join(
        f'<tu><tuv xml:lang="zh-CN"><seg>{z}</seg></tuv><tuv xml:lang="en-US"><seg>{e}<ph x="1">&lt;b&gt;</ph></seg></tuv>'
        f'<tuv xml:lang="fr"><seg>fr</seg></tuv></tu>'
        for e, z in zip(EN, ZH, strict=True)
    )
    return f'<?xml version="1.0"?><tmx version="1.4"><header/><body>{units}<tu><tuv xml:lang="en"><seg>alone</seg></tuv></tu></body></tmx>'


def po() -> str:
    quoted = [(json.dumps(e, ensure_ascii=False), json.dumps(z, ensure_ascii=False)) for e, z in zip(EN, ZH, strict=True)]
    entries = "".join(f"\nmsgid {e}\nmsgstr {z}\n" for e, z in quoted)
    return (
        'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n' + entries
        + '\n#, fuzzy\nmsgid "alone"\nmsgstr "单独"\n\n#~ msgid "old"\n#~ msgstr "旧"\n'
    )  # fmt: skip


def jsonl() -> str:
    lines = [json.dumps({"en": e, "zh": z, "id": "x"}, ensure_ascii=False) for e, z in zip(EN, ZH, strict=True)]
    return "\n".join([*lines, json.dumps({"en": "alone", "zh": ""}), ""])


def tsv(header: str = "") -> str:
    rows = [f"{e}\t{z}".replace("\tinside", " inside") for e, z in zip(EN, ZH, strict=True)]
    return "\n".join([*([header] if header else []), *rows, "alone\t", ""])


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.tmx", tmx()), ("zh_CN.po", po()), ("a.jsonl", jsonl()), ("a.tsv", tsv()), ("b.tsv", tsv("en\tzh"))],
)
@pytest.mark.parametrize("pack", [False, True])
def test_aligned_text(tmp_path: Path, name: str, content: str, pack: bool) -> None:
    path = tmp_path / (name + (".gz" if pack else ""))
    path.write_bytes(gzip.compress(content.encode()) if pack else content.encode())
    rows = read(tmp_path / "o", path=str(path), category="auto")
    good = [r for r in rows if not r["error"]]
    assert [(r["kind"], r["category"], json.loads(r["meta"])["pairs"]) for r in good] == [("parallel", "parallel", 3)]
    assert pairs_of(good[0]["body"]) == [(" ".join(e.split()), z) for e, z in zip(EN, ZH, strict=True)]
    assert [r["error"] for r in rows if r["error"]] == [UNTRANSLATED]


def test_chinese_may_stand_first_and_other_languages_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("你好世界\tHello world\nBonjour\tHello\n中文\t也是中文\nHello\t你好\n")
    rows = read(tmp_path / "o", path=str(tmp_path / "a.tsv"))
    assert {r["category"] for r in rows} == {"parallel"}
    assert [p for r in rows if not r["error"] for p in pairs_of(r["body"])] == [("Hello world", "你好世界"), ("Hello", "你好")]
    assert [(r["error"], text(r)) for r in rows if r["error"]] == [
        (OTHER, '["Bonjour", "Hello"]'), (OTHER, '["中文", "也是中文"]')
    ]  # fmt: skip


def test_many_pairs_are_some_documents_and_none_is_lost(tmp_path: Path) -> None:
    lines = [
        json.dumps({"en": f"Line number {i}", "zh": f"第{i}行", "license": "MIT" if i < 100 else "CC0-1.0"}) for i in range(300)
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    rows = read(tmp_path / "o", path=str(tmp_path / "a.jsonl"))
    assert [p for r in rows for p in pairs_of(r["body"])] == [(f"Line number {i}", f"第{i}行") for i in range(300)]
    assert [json.loads(r["meta"])["pairs"] for r in rows] == [64, 36, 64, 64, 64, 8]
    assert [r["license"] for r in rows] == ["MIT"] * 2 + ["CC0-1.0"] * 4


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.tmx", tmx().encode()[:-40], "broken: not whole XML"),
        ("a.tmx", tmx().replace("<header/>", "</oops>").encode(), "broken: not XML"),
        ("a.tmx", b'<!DOCTYPE tmx [<!ENTITY a "aaaa">]>' + tmx().encode()[21:], "broken: XML that declares entities of its own"),
        ("a.po", b'msgid "x\nmsgstr oops', "broken: not a .po file"),
        ("a.jsonl.gz", gzip.compress(jsonl().encode() * 50, mtime=0)[:-12], "broken: Compressed file ended"),
    ],
)
def test_damaged_parallel_text_is_told(tmp_path: Path, name: str, data: bytes, reason: str) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / name).write_bytes(data)
    (tmp_path / "d" / "good.tsv").write_text("Hello\t你好\n")
    rows = read(tmp_path / "o", path=str(tmp_path / "d"), kind="parallel")
    assert next(r["error"] for r in rows if r["error"] and r["error"] != UNTRANSLATED).startswith(reason)
    assert pairs_of(rows[-1]["body"]) == [("Hello", "你好")]


PAGES = [
    (0, "北京", "'''北京'''（[[英语|英文]]：Beijing）是[[中国]]的首都。<ref>{{cite web|url=https://a.example/p|title=T}}</ref>"
     "人口-{zh-hans:软件;zh-hant:軟體}-多，<math>E=mc^2</math>。\n\n== 历史 ==\n[[File:A.jpg|thumb|图]]\n* 一\n* 二 [http://b.example/ 站]\n"
     "{| class=\"w\"\n! 年 !! 人\n|-\n| 1949 || 多\n|}\n{{Infobox|x=y}}\n== 参考文献 ==\n* [http://c.example/ 书]\n[[Category:城市]]"),
    (0, "Tea", "'''Tea''' is a [[drink]] &amp; more.\n\n== History ==\nOld.\n=== Deep ===\nDeeper.\n== See also ==\n* [[Coffee]]\n== After ==\nEnd."),
    (0, "Tee", "#REDIRECT [[Tea]]"), (1, "Talk:Tea", "chatter"),
    (0, "Long", "word " * 100_000),
]  # fmt: skip


def dump(pages: list[tuple[int, str, str]], number: int = 0) -> str:
    def one(i: int, space: int, title: str, body: str) -> str:
        redirect = '<redirect title="Tea" />' if body.startswith("#") else ""
        body = body.replace("&", "&amp;").replace("<", "&lt;")
        return (
            f"<page><title>{title}</title><ns>{space}</ns><id>{i}</id>{redirect}<revision><id>9{i}</id><timestamp>2023-06-01T00:00:00Z"
            f"</timestamp><contributor><username>x</username><id>5</id></contributor><model>wikitext</model>"
            f'<text xml:space="preserve">{body}</text></revision></page>\n'
        )

    return "".join(one(number + i, *p) for i, p in enumerate(pages))


HEAD = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="zh"><siteinfo><base>https://zh.wikipedia.org/wiki/X</base></siteinfo>\n'


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
def test_an_encyclopedia(tmp_path: Path, pack: Any) -> None:
    (tmp_path / "zhwiki-pages-articles.xml.bz2").write_bytes(pack((HEAD + dump(PAGES) + "</mediawiki>").encode()))
    rows = read(tmp_path / "o", path=str(tmp_path / "zhwiki-pages-articles.xml.bz2"), category="auto", max_body_mb=0.1)
    assert [(r["error"], r["category"], r["url"], r["date"]) for r in rows] == [
        (None, "encyclopedia", "https://zh.wikipedia.org/wiki/北京", "2023-06-01"),
        (None, "encyclopedia", "https://zh.wikipedia.org/wiki/Tea", "2023-06-01"),
        ("too large: more than 0.1 MB", "encyclopedia", "https://zh.wikipedia.org/wiki/Long", "2023-06-01"),
    ]
    assert (
        text(rows[0])
        == "北京\n\n北京（英文：Beijing）是中国的首都。人口软件多，$E=mc^2$。\n\n历史\n\n- 一\n- 二 站\n\n年 | 人\n1949 | 多"
    )
    assert text(rows[1]) == "Tea\n\nTea is a drink & more.\n\nHistory\n\nOld.\n\nDeep\n\nDeeper.\n\nAfter\n\nEnd."
    assert json.loads(rows[0]["meta"])["cites"] == ["https://a.example/p", "http://b.example/", "http://c.example/"]


def test_ranges_of_a_multistream_dump_share_its_articles(tmp_path: Path) -> None:
    many = [[(0, f"题{s}-{i}", f"第{i}篇 article {s} {i} " + "文" * 200) for i in range(7)] for s in range(6)]
    streams = [HEAD, *(dump(pages, 100 * s) for s, pages in enumerate(many)), "</mediawiki>"]
    path = tmp_path / "a-multistream.xml.bz2"
    path.write_bytes(b"".join(bz2.compress(s.encode()) for s in streams))
    file, about = File(str(path), path.name, path.stat().st_size), About("s", "encyclopedia", None, 10**6)
    titles = [t for pages in many for _, t, _ in pages]
    whole = list(sources_wiki.pages(file, about))
    assert [json.loads(r["meta"])["title"] for r in whole] == titles
    for size in (1, 200, 700, 10**9):
        rows = [r for part in split(file, size) for r in sources_wiki.pages(part, about)]
        assert [(r["error"], json.loads(r["meta"])["title"], r["body"]) for r in rows] == [
            (None, json.loads(r["meta"])["title"], r["body"]) for r in whole
        ]


def test_a_dump_that_is_cut_gives_what_stands_before(tmp_path: Path) -> None:
    whole = (HEAD + dump(PAGES[:2] * 30) + "</mediawiki>").encode()
    for name, data in (
        ("a.xml", whole[: len(whole) // 2]),
        ("b.xml.bz2", bz2.compress(whole)[:-20]),
        ("c.xml", whole.replace(b"</revision>", b"</x>", 1)),
    ):
        (tmp_path / name).write_bytes(data)
        file = File(str(tmp_path / name), name, len(data))
        rows = list(sources_wiki.pages(file, About("s", "encyclopedia", None, 10**6)))
        assert rows[-1]["error"].startswith("broken: ")
        assert all(r["error"] is None for r in rows[:-1])


@settings(deadline=None, max_examples=60)
@given(st.text(st.sampled_from("ab 中文'[]{}|=\n*<>/!-&;:rf"), max_size=80))
def test_any_wikitext_has_a_text(wikitext: str) -> None:
    found, cites = plain_text(wikitext)
    assert isinstance(found, str)
    assert all(c.startswith("http") for c in cites)


MAIN = r"""\documentclass{article}
\newcommand{\R}{\mathbb{R}}
\title{On Tea 论茶}
\author{A. Name}
\begin{document}
\maketitle
\begin{abstract}We show $x \in \R$.\end{abstract}
\section{Intro} % a secret comment
\input{sec/one}
Costs 50\% more~\cite{foo}. M\"uller.
\begin{equation} E = mc^2 \end{equation}
中文段落，公式 $a+b$。
\begin{figure}\includegraphics{a.png}\caption{Gone}\end{figure}
\begin{thebibliography}{9}\bibitem{foo} Foo.\end{thebibliography}
\end{document}
trailing"""


def test_papers_of_a_bulk_archive(tmp_path: Path) -> None:
    paper = tar_of(
        [
            ("main.tex", MAIN.encode()),
            ("sec/one.tex", "First part 第一部分.\n\\input{main}\\input{../../etc}".encode()),
            ("a.png", b"\x89PNG"),
        ],
        "w:gz",
    )
    single = gzip.compress(r"\documentclass{a}\begin{document}单个 single $\pi$\end{document}".encode("gbk"))
    bulk = tar_of([
        ("2301/2301.00001.gz", paper), ("2301/2301.00002.gz", single), ("2301/2301.00003.pdf", b"%PDF-1.5 ..."),
        ("2301/2301.00004.gz", paper[:80]), ("2301/hep-th9901001.gz", gzip.compress(b"%PDF-1.2")), ("2301/2301.00005.gz", gzip.compress(b"withdrawn")),
    ])  # fmt: skip
    (tmp_path / "arXiv_src_2301_001.tar").write_bytes(bulk)
    rows = read(tmp_path / "o", kind="latex", path=str(tmp_path), category="auto")
    assert [(r["url"].rpartition("/")[2], r["error"]) for r in rows] == [
        ("2301.00001", None), ("2301.00002", None), ("2301.00003", "not text: PDF"),
        ("2301.00004", "broken: Compressed file ended before the end-of-stream marker was reached"),
        ("hep-th9901001", "not text: PDF"), ("2301.00005", "broken: no LaTeX document"),
    ]  # fmt: skip
    found = text(rows[0])
    assert found.startswith("On Tea 论茶\n\nWe show $x \\in \\R$.\n\nIntro\n\nFirst part 第一部分.")
    for kept in ("50% more", "Müller", r"\begin{equation} E = mc^2 \end{equation}", "公式 $a+b$"):
        assert kept in found
    for gone in ("secret", "A. Name", "Foo", "Gone", "trailing", "newcommand", "cite", "20" + "26"):
        assert gone not in found
    assert (text(rows[1]), rows[0]["date"], rows[0]["category"]) == ("单个 single $\\pi$", "2023-01-01", "papers")


def test_papers_that_are_files(tmp_path: Path) -> None:
    (tmp_path / "a.tex").write_text(MAIN)
    (tmp_path / "b.tar.gz").write_bytes(tar_of([("x/m.tex", MAIN.encode()), ("x/sec/one.tex", b"ONE")], "w:gz"))
    rows = read(tmp_path / "o", kind="latex", path=str(tmp_path))
    assert [r["error"] for r in rows] == [None, None]
    assert "ONE" in text(rows[1])
    assert read(tmp_path / "p", path=str(tmp_path / "a.tex"))[0]["body"] == rows[0]["body"]


@settings(deadline=None, max_examples=60)
@given(st.text(st.sampled_from("ab 中$\\{}[]%&\n~^_"), max_size=60))
def test_any_latex_is_text_or_told(source: str) -> None:
    file = File("memory://x", "x.tex", 1)
    row = sources_latex._row(
        {"x.tex": rf"\documentclass{{a}}\begin{{document}}{source}\end{{document}}".encode()},
        "x.tex",
        file,
        About("s", "web", None, 10**6),
        "",
    )
    assert row["error"] is None or row["error"].startswith("broken: ")


def epub(chapters: list[str], *, order: list[int] | None = None, more: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    order = list(range(len(chapters))) if order is None else order
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:x"><rootfiles><rootfile full-path="OEBPS/p.opf"/></rootfiles></container>',
        )
        items = "".join(f'<item id="c{i}" href="text/c%20{i}.xhtml"/>' for i in range(len(chapters)))
        book.writestr(
            "OEBPS/p.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>红茶 Tea</dc:title>'
            "<dc:date>1999-05</dc:date><dc:rights>CC-BY-4.0</dc:rights></metadata><manifest>"
            f'<item id="nav" href="nav.xhtml" properties="nav"/>{items}</manifest><spine><itemref idref="nav"/>'
            + "".join(f'<itemref idref="c{i}"/>' for i in order) + "</spine></package>",
        )  # fmt: skip
        book.writestr("OEBPS/nav.xhtml", "<html><body><nav>目录 Contents</nav></body></html>")
        for i, chapter in enumerate(chapters):
            book.writestr(f"OEBPS/text/c {i}.xhtml", chapter)
        for name, data in (more or {}).items():
            book.writestr(name, data)
    return out.getvalue()


CHAPTERS = ["<html><body><h1>第二章</h1><p>下雨了。<br/>It rained.</p></body></html>",
            "<html><body><h1>One</h1><p>a <em>b</em>c</p><ul><li>x</li><li>y</li></ul><pre>  k = 1\n  v</pre><script>no</script></body></html>"]  # fmt: skip


def test_a_book_in_the_order_of_its_spine(tmp_path: Path) -> None:
    (tmp_path / "tea.epub").write_bytes(epub(CHAPTERS, order=[1, 0]))
    (row,) = read(tmp_path / "o", path=str(tmp_path / "tea.epub"), category="auto")
    assert text(row) == "红茶 Tea\n\nOne\n\na bc\n\n- x\n\n- y\n\nk = 1\nv\n\n第二章\n\n下雨了。\nIt rained."
    assert (row["kind"], row["category"], row["date"], row["license"], row["error"]) == (
        "text",
        "books",
        "1999-05",
        "CC-BY-4.0",
        None,
    )


def test_books_that_cannot_be_read(tmp_path: Path) -> None:
    secret = b'<encryption><CipherReference URI="OEBPS/text/c%200.xhtml"/></encryption>'
    whole = epub(CHAPTERS)
    books = {
        "cut.epub": whole[: len(whole) // 2], "none.epub": b"no zip at all", "empty.epub": epub([]),
        "locked.epub": epub(CHAPTERS, more={"META-INF/encryption.xml": secret}),
        "bomb.epub": epub([CHAPTERS[0], "<p>" + "a" * 30_000_000]), "big.epub": epub(["<p>大 big" + "".join(map(str, range(900_000)))]),
        "good.epub": whole,
    }  # fmt: skip
    for name, data in books.items():
        (tmp_path / name).write_bytes(data)
    rows = {r["url"].rpartition("/")[2]: r["error"] for r in read(tmp_path / "o", path=str(tmp_path), kind="epub", max_body_mb=5.0)}
    assert rows == {
        "bomb.epub": "decompression bomb: unpacks to more than 300 times its size", "big.epub": "too large: more than 5 MB",
        "cut.epub": "broken: not a whole EPUB (BadZipFile)", "none.epub": "broken: not a whole EPUB (BadZipFile)",
        "empty.epub": "broken: a book without text", "locked.epub": "encrypted book", "good.epub": None,
    }  # fmt: skip


@given(st.text(st.sampled_from('ab 中<>/pdivlbr&;"=\n'), max_size=80))
def test_any_chapter_has_a_text(html: str) -> None:
    assert not re.search(r"\n{3}", chapter_text(html.encode()))


def test_a_chapter_nested_deep() -> None:
    assert "底 bottom" in chapter_text(b"<div>" * 20_000 + "底 bottom".encode())


def test_a_local_data_set_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    folder = tmp_path / "set"
    folder.mkdir()
    for split_name in ("train", "test"):
        for part in range(2):
            lines = [json.dumps({"body": f"{split_name} {part} 第{i}行", "id": i}, ensure_ascii=False) for i in range(5)]
            (folder / f"{split_name}-{part}.jsonl").write_text("\n".join(lines))
    rows = read(tmp_path / "o", kind="hub", path=str(folder), split="test", text_field="body")
    assert sorted(text(r) for r in rows) == [f"test {p} 第{i}行" for p in range(2) for i in range(5)]
    assert all(str(tmp_path) not in r["url"] + r["meta"] for r in rows)
    with pytest.raises(DataError, match="text_field"):
        read(tmp_path / "o", kind="hub", path=str(folder))
    with pytest.raises(ConfigError, match="valid"):
        read(tmp_path / "o", kind="hub", path=str(folder), split="valid")
    with pytest.raises(DataError, match="no data set"):
        read(tmp_path / "o", kind="hub", path=str(tmp_path / "nothing"))


def test_every_kind_has_a_reader() -> None:
    assert set(KINDS) == {*sources.READERS, "auto", "debian-docs", "own"}
