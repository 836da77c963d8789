"""Readers' work per page is bounded, and text is never taken for the path of a file."""

from __future__ import annotations

import io
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import polib
import pytest
from mwparserfromhell.parser.tokenizer import Tokenizer
from tests.planted import hostile, hostile_records

from skyloom.corpus.sources.readers import epub, folders, latex, pairs
from skyloom.corpus.sources.readers.byte_streams import File, listing
from skyloom.corpus.sources.readers.markup import latex_text, wikitext
from skyloom.corpus.sources.readers.markup.work import FREE_STEPS, STEPS_PER_CHARACTER, TOO_LONG, TookTooLongError, Work
from skyloom.corpus.sources.readers.markup.xhtml import chapter_text
from skyloom.corpus.sources.readers.rows import About
from skyloom.corpus.sources.readers.xml import BadXmlError, Elements

ABOUT = About("s", "web", None, 10**7)


def test_work_is_counted_up_to_a_limit() -> None:
    work = Work(10)
    work.spend(FREE_STEPS)
    work.allow(5)
    work.spend(15 * STEPS_PER_CHARACTER)
    assert work.steps == work.limit == FREE_STEPS + 15 * STEPS_PER_CHARACTER
    with pytest.raises(TookTooLongError, match=TOO_LONG):
        work.look(1)
    assert work.steps == work.limit


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """All counts of work that begin in a test."""
    found: list[Work] = []
    begin = Work.__init__

    def remembered(self: Work, size: int = 0) -> None:
        begin(self, size)
        found.append(self)

    monkeypatch.setattr(Work, "__init__", remembered)
    return found


@pytest.mark.parametrize("family", hostile.families())
def test_twice_the_size_is_at_most_some_more_than_twice_the_work(family: str, counted: list[Work], tmp_path: Path) -> None:
    steps = []
    for size in (12_000, 24_000):
        counted.clear()
        rows = hostile.read(family, size, tmp_path)
        steps.append(sum(w.steps for w in counted))
        assert rows or family.startswith("po")
        assert 0 < steps[-1] <= 2 * (FREE_STEPS + STEPS_PER_CHARACTER * 3 * size)
    assert steps[1] <= 2.3 * steps[0], (steps, hostile.steps_of(rows))


def lines_run(call: Callable[[], object]) -> int:
    """How many lines of the readers a call runs: of Python, so that scans of compiled libraries are not seen (the bench sees them)."""
    count, before = 0, sys.gettrace()

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        nonlocal count
        count += event == "line"
        return trace if "/corpus/sources/" in frame.f_code.co_filename else None

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("family", hostile_records.families())
def test_records_of_twice_the_size_are_read_in_about_twice_the_lines(family: str, tmp_path: Path) -> None:
    hostile_records.read(family, 100, tmp_path)  # what is remembered from here on
    counts = [lines_run(lambda size=size: hostile_records.read(family, size, tmp_path)) for size in (12_000, 24_000)]  # type: ignore[misc]
    assert 0 < counts[1] <= 2.3 * counts[0], counts


@pytest.mark.parametrize("what", ["digits", "records"])
def test_headers_that_tarfile_searches_again_and_again_are_not_given_to_it(what: str, tmp_path: Path) -> None:
    (row,) = hostile_records.read(f"tar {what}", 30_000, tmp_path)
    assert isinstance(row, dict)
    assert (row["error"], row["url"]) == ("broken: damaged header in the archive", "a.tar#0")
    (row,) = hostile_records.read("tar values", 30_000, tmp_path)
    assert isinstance(row, dict)
    assert row["error"] is None


def test_a_page_that_takes_too_long_keeps_its_name_and_the_next_is_read(tmp_path: Path) -> None:
    bad, good = hostile.read("mediawiki [[文|" + hostile.WIKI_ENDS[1], 40_000, tmp_path)
    assert isinstance(bad, dict)
    assert isinstance(good, dict)
    assert (bad["error"], bad["body"], bad["url"], json.loads(bad["meta"])["title"]) == (TOO_LONG, b"", "a.xml#坏 Bad", "坏 Bad")
    assert (good["error"], good["body"].decode()) == (None, "好 Good\n\n后面 after")


def test_arguments_that_are_read_again_at_each_depth(tmp_path: Path) -> None:
    source = r"\documentclass{a}\begin{document}" + r"\frac{" * 40 + "深 deep"
    (tmp_path / "深.tex").write_text(source)
    (row,) = latex.pages(File(str(tmp_path / "深.tex"), "深.tex", len(source)), ABOUT)
    assert (row["error"], row["url"]) == (TOO_LONG, "latex://深.tex")


PATHS = ("{secret}", "{secret}\n", "file://{secret}", "/proc/self/environ", "/etc/hostname")


@pytest.mark.parametrize("content", PATHS)
def test_a_catalogue_that_is_a_path_names_no_file(tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.po").write_text('msgid "a secret"\nmsgstr "秘密"\n')
    for secret in (tmp_path / "secret.po", "secret.po"):
        data = content.format(secret=secret).encode()
        (tmp_path / "a.po").write_bytes(data)
        rows = list(pairs.pages(File(str(tmp_path / "a.po"), "a.po", len(data)), ABOUT))
        assert [(r["error"], r["body"]) for r in rows] == [("broken: not a .po file", b"")]


def test_no_parser_opens_a_file_that_its_content_names(tmp_path: Path) -> None:
    (tmp_path / "secret.tex").write_text("秘密 secret")
    path = str(tmp_path / "secret.tex")
    for text in (path, rf"\input{{{path}}}", f"{{{{{path}}}}}", f"[[file:{path}]]"):
        shown = [
            latex_text.plain_text(latex_text.joined({"m.tex": r"\documentclass{a}\begin{document}" + text}))[1],
            wikitext.plain_text(text)[0], chapter_text(text.encode()),
        ]  # fmt: skip
        assert not any("秘密" in s for s in shown)


def test_a_file_name_is_no_address(tmp_path: Path) -> None:
    name = "a::memory:b.txt"
    (tmp_path / name).write_text("正文 text")
    (file,) = listing("s", str(tmp_path))
    assert [r["body"].decode() for r in folders.text(file, ABOUT)] == ["正文 text"]


CATALOGUE = r"""# head
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"

#. note
#, fuzzy
msgid "a"
msgstr "一"
#| msgid "old"
msgctxt "c"
msgid "Hello "
"world \"q\" \\"
"nnn"
msgstr ""
"你好"
"世界"
msgid "one"
msgid_plural "ones"
msgstr[0] "一个"
"的"
msgstr[1] "多"
#~ msgid "obsolete"
#~ "x"
#~ msgstr "旧"
msgid "last"
msgstr "最后"
"""


def test_a_catalogue_gives_what_polib_gives(tmp_path: Path) -> None:
    (tmp_path / "a.po").write_text(CATALOGUE)
    rows = list(pairs.pages(File(str(tmp_path / "a.po"), "a.po", 1), ABOUT))
    known = [e for e in polib.pofile(CATALOGUE) if not e.obsolete and not e.fuzzy]
    assert [p for r in rows if not r["error"] for p in pairs.pairs_of(r["body"])] == [
        (e.msgid, e.msgstr or e.msgstr_plural[0]) for e in known
    ]
    assert [r["error"] for r in rows if r["error"]] == [pairs.UNTRANSLATED]


MARKS = (
    "{{", "}}", "[[", "]]", "{|\n", "\n|}", "\n|-\n", "\n| ", "||", "a", "b 中", "|", "=", "\n==", "==\n", "<ref>", "</ref>", "<br>", "<li>", "<b>",
    "</b>", "<nowiki>", "</nowiki>", "<!--", "-->", "&amp;", "&#", "http://x", "[http://a ", "]", "\n* ", ":", "'''", "\n", '<a b="', '"', "{{{", "}}}",
)  # fmt: skip


def test_the_counting_tokenizer_gives_the_tokens_of_the_original() -> None:
    draw = random.Random(1)
    for _ in range(300):
        text = "".join(draw.choice(MARKS) for _ in range(draw.randint(1, 40)))
        ours = wikitext._CountingTokenizer(Work(10**6)).tokenize(text, skip_style_tags=True)
        assert repr(ours) == repr(Tokenizer().tokenize(text, skip_style_tags=True)), text


def test_a_number_of_thousands_of_digits_is_text() -> None:
    number = "&#" + "9" * 5_000 + ";"
    assert wikitext.plain_text(f"数 number {number}")[0] == f"数 number {number}"
    assert chapter_text(f"<p>数 number &#{'9' * 5_000}; &#x{'f' * 5_000};</p>".encode()) == "数 number \ufffd \ufffd"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<!DOCTYPE a [<!ATTLIST a b CDATA "c">]><r/>', "XML that declares attributes of its own"),
        ('<!DOCTYPE a [<!ENTITY a "文">]><r/>'.encode("utf-16"), "XML that declares entities of its own"),
        (b"<a>" * 20_000, "XML nested too deep"),
        (b"<r><a x='" + b"y" * 3_000_000, "XML with a tag or comment of more than 1 MB"),
    ],
    ids=["attributes", "entities", "depth", "a tag"],
)
def test_xml_that_is_refused(data: bytes, reason: str) -> None:
    elements = Elements(frozenset(("a",)), 10**6)
    with pytest.raises(BadXmlError, match=reason):
        list(elements.read(io.BytesIO(data)))


def test_spaces_before_a_title_are_looked_at_once() -> None:
    assert wikitext.plain_text("[[" + " " * 200_000 + "x]] 文")[0] == "x 文"


@pytest.mark.parametrize("macro", ["section", "caption", "enquote", "chapter"])
def test_a_macro_at_the_end_of_the_text_has_no_argument(macro: str) -> None:
    _, text = latex_text.plain_text(f"中文 text \\{macro}")
    assert text.split()[:2] == ["中文", "text"]


def test_a_book_of_too_many_files_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "书 book.epub"
    path.write_bytes(hostile.book_of("<p>中文 text", {f"图/{i}.png": b"" for i in range(50_000)}))
    file = File(str(path), path.name, path.stat().st_size)
    (row,) = epub.pages(file, ABOUT)
    assert (row["error"], row["body"], row["url"]) == ("too large: a book of more than 50,000 files", b"", "epub://s/书 book.epub")
    path.write_bytes(hostile.book_of("<p>中文 text", {f"图/{i}.png": b"" for i in range(5)}))
    for most, error in ((8, None), (7, "too large: a book of more than 50,000 files")):  # three files make a book
        monkeypatch.setattr(epub, "_FILES", most)
        (row,) = epub.pages(file, ABOUT)
        assert (row["error"], row["body"].decode()) == (error, "" if error else "中文 text")


def test_a_book_whose_file_is_far_beyond_the_limit_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.epub"
    for size, error in ((19_000, None), (20_000, "too large: more than 0.001 MB")):
        path.write_bytes(hostile.book_of("<p>中文 text", {"图.png": bytes(size)}))
        (row,) = epub.pages(File(str(path), "a.epub", path.stat().st_size), About("s", "web", None, 1_000))
        assert (row["error"], row["body"].decode()) == (error, "" if error else "中文 text")


def test_of_the_variants_of_a_unit_few_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    chosen = pairs._chosen
    monkeypatch.setattr(pairs, "_chosen", lambda variants: held.append(len(variants)) or chosen(variants))
    variant = '<tuv xml:lang="{}"><seg>{}</seg></tuv>'
    others = [variant.format(lang, f"mot {i}") for i in range(3_000) for lang in ("fr", "de")]
    units = (
        [variant.format("en-GB", "Good tea"), *others, variant.format("ZH-cn", "好茶"), variant.format("en", "no")],
        [*others, variant.format("zh", "打开"), variant.format("zh", "不"), *others, variant.format("en", "Open")],
        [variant.format("", "Two sides"), variant.format("", "两边"), *[variant.format("", "x")] * 3_000],
    )
    text = "<tmx><body>" + "".join(f"<tu>{''.join(unit)}</tu>" for unit in units) + "</body></tmx>"
    (tmp_path / "a.tmx").write_text(text)
    (row,) = pairs.pages(File(str(tmp_path / "a.tmx"), "a.tmx", len(text)), ABOUT)
    assert pairs.pairs_of(row["body"]) == [("Good tea", "好茶"), ("Open", "打开"), ("Two sides", "两边")]
    assert max(held) <= 4
