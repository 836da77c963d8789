"""Extraction keeps the passages and drops what is around them, in both languages; no page crashes or vanishes."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.engine import Engine
from skyloom.core.ledger import KEPT, Ledger
from skyloom.core.progress import Progress
from skyloom.core.records import EXTRACTED, PAGE, record_id
from skyloom.core.store import Store
from skyloom.corpus.clean.config import CleanConfig
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.stage import extract, extract_html
from skyloom.corpus.quality.learned.config import LmConfig
from skyloom.corpus.sources.config import SourceConfig, SourcePolicy

EN = (
    "The keeper of the lighthouse climbs one hundred and ninety steps every evening, and he writes the weather into a book.",
    "He has done so for forty years; the books fill three shelves, and nobody but the wind has ever asked to read them.",
    "When the lamp was made electric, the office wanted to close the tower, but the fishermen wrote so many letters it stayed.",
)
ZH = (
    "守塔人每天傍晚都要爬上一百九十级台阶，把当天的天气写进一本厚厚的册子，这个习惯他已经保持了整整四十年。",
    "那些册子摆满了三个书架，除了海风以外，从来没有人要求翻开看一看，可是他仍然一笔一画地写，从不间断。",
    "灯换成电灯的时候，管理处本想关掉这座塔，渔民们写来许多封信，塔才保留了下来，一直用到今天。",
)


def site(paragraphs: tuple[str, ...], heading: str, extra: str = "") -> str:
    links = "".join(f'<li><a href="/{i}">{word}</a></li>' for i, word in enumerate("Home News Sport 首页 新闻 体育 论坛".split()))
    body = "".join(f"<p>{p}</p>" for p in paragraphs)
    return (
        f'<!doctype html><html><head><meta charset="utf-8"><title>{heading} - Harbour Daily</title>'
        f'<meta property="article:published_time" content="2023-06-30T08:00:00Z"><script>var x = "<p>no</p>";</script></head>'
        f'<body><nav><ul>{links}</ul></nav><div class="main"><div class="article-content"><h1>{heading}</h1>{body}{extra}</div>'
        f'<div class="sidebar"><h3>Related</h3><ul>{links}</ul></div></div>'
        f"<footer><p>Copyright © Harbour Daily. 版权所有 <a href='/c'>Contact us</a></p></footer></body></html>"
    )


@pytest.mark.parametrize(("paragraphs", "heading"), [(EN, "The last keeper"), (ZH, "最后的守塔人")])
def test_the_article_and_nothing_else(paragraphs: tuple[str, ...], heading: str) -> None:
    found = extract_html(site(paragraphs, heading).encode())
    assert found.blocks == (heading, *paragraphs)
    assert found.tags == ("h1", "p", "p", "p")
    assert (found.title, found.date, found.reason) == (heading, "2023-06-30", None)


@pytest.mark.parametrize(("paragraphs", "charset"), [(EN, "utf-16"), (ZH, "gbk"), (ZH, "utf-16"), (ZH, "gb18030")])
def test_bytes_and_text_give_the_same(paragraphs: tuple[str, ...], charset: str) -> None:
    html = site(paragraphs, "标题 Heading").replace("©", "(c)")
    assert extract_html(html.encode(charset)) == extract_html(html)


def test_listings_are_verbatim_and_follow_their_text() -> None:
    code = "def f(x):\n    return x <= 1 or\tf(x - 1)"
    listing = "<pre><span class='k'>def</span> f(x):\n    return x &lt;= 1 or\tf(x - 1)\n</pre>"
    for paragraphs in (EN, ZH):
        found = extract_html(site(paragraphs, "Code", listing + f"<p>{paragraphs[0]}</p>"))
        assert code in found.blocks
        assert found.tags[found.blocks.index(code)] == "pre"


def test_lists_and_tables_are_readable() -> None:
    en, zh = [f"{text} So it was." for text in EN], [f"{text}确实如此。" for text in ZH]  # the page's own text comes once
    extra = (
        f"<ol><li>{en[0]}<li>{zh[0]}</ol><ul><li>{en[1]}<li>{zh[1]}</ul>"
        f"<p>{en[2]}</p><table><tr><th>Year of the storm</th><td>一九八七年的秋天，风很大。</td></tr></table><p>{zh[2]}</p>"
    )
    found = extract_html(site(EN, "Lists", extra))
    assert f"1. {en[0]}" in found.blocks
    assert f"2. {zh[0]}" in found.blocks
    assert f"- {en[1]}" in found.blocks
    assert f"- {zh[1]}" in found.blocks
    assert "Year of the storm | 一九八七年的秋天，风很大。" in found.blocks
    assert found.tags[found.blocks.index(f"2. {zh[0]}")] == "li"


def test_line_breaks_split_paragraphs_only_when_doubled() -> None:
    en = [f"{text} So it was." for text in EN]
    found = extract_html(site((*EN, f"{en[0]}<br>{en[1]}<br><br>{en[2]}", *ZH), "Breaks"))
    assert found.blocks[4:-3] == (f"{en[0]}\n{en[1]}", en[2])
    assert extract_html(site((f"{ZH[0]}<hr>{ZH[1]}", ZH[2]), "分隔")).blocks[1:] == ZH


def test_headings_without_text_are_dropped() -> None:
    found = extract_html(site(EN, "Top", f"<h2>Kept 保留</h2><p>{ZH[0]}</p><h2>Disjoint 无文</h2>"))
    assert "Kept 保留" in found.blocks
    assert "Disjoint 无文" not in found.blocks


def test_comments_are_dropped_below_an_article() -> None:
    comments = "".join(
        f'<div class="comment"><p>{"I think so too, and so does my wife, who likes it. " * 3}</p></div>' for _ in "ab"
    )
    found = extract_html(site(EN * 3, "Talk", f'<div id="comments">{comments}</div>'))
    assert not [b for b in found.blocks if "my wife" in b]


HOSTILE = {
    "deep": (b"<div>" * 100_000, "empty"),
    "deep chinese": (("<div>文" * 250_000).encode(), "too many tags"),
    "attributes": (b"<p " + b" ".join(b"a%d=1" % i for i in range(200_000)) + b"></p>", "empty"),
    "one attribute": (b"<div class='" + b"nav " * 500_000 + b"'>x</div>", "no passages"),
    "breaks": (b"<br>" * 700_000, "empty"),
    "blocks": (b"<p>x" * 250_000, "too many tags"),
    "ends without beginnings": (b"<div>" * 390 + b"</p></li></td>" * 100_000, "empty"),
    "ends behind a table": (b"<ul><li>" + b"<div>" * 380 + b"<table><td>" + b"</li>" * 400_000, "empty"),
    "comments that never end": (b"<!--" * 200_000, "empty"),
    "scripts that never end": (b"<script>" * 200_000, "empty"),
    "drawings that never end": (b"<svg>" * 200_000, "empty"),
    "references": (b"&#0" * 400_000 + b"&amp" * 100_000, "no passages"),
    "quotes that never end": (b'<a href="' * 200_000, "empty"),
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_pages_end_with_a_reason(name: str) -> None:
    """Each of these takes a quadratic parser minutes; the suite's time limit would show it."""
    page, reason = HOSTILE[name]
    found = extract_html(page)
    assert (found.reason, found.blocks) == (reason, ())


def test_depth_beyond_the_limit_loses_no_text() -> None:
    found = extract_html(b"<div>" * 5000 + site(EN, "Deep").encode() + b"</div>" * 5000)
    assert found.reason is None or found.reason == "no passages"
    assert [b for b in found.blocks if b in EN] == list(found.blocks)[-3:] or not found.blocks


def test_reasons() -> None:
    assert extract_html(b"%PDF-1.7\n%\xe2\xe3").reason == "not HTML: PDF"
    assert extract_html(b"\x89PNG\r\n\x1a\n" + bytes(500)).reason == "not HTML: image"
    assert extract_html(bytes(4000)).reason == "not HTML: binary"
    assert extract_html(b"").reason == "empty"
    assert extract_html("<html><body></body></html>").reason == "empty"
    assert extract_html("<nav><a href='/'>Home</a> <a href='/b'>关于我们</a></nav>").reason == "no passages"
    assert extract_html(b"x" * 2000, config=ExtractConfig(max_page_mb=0.001)).reason == "too large"
    broken = site(EN, "Broken").encode() + b"\xff\xfe\xfa" * 500
    assert extract_html(broken, config=ExtractConfig(max_replaced=0.001)).reason == "charset"


FRAGMENTS = st.sampled_from(
    ["<p>", "</p>", "<div class='x'>", "</div>", "<td>", "<tr>", "<table>", "</table>", "<pre>", "</pre>", "<li>", "<ul>", "</ul>",
     "<br>", "<a href=\"x\">", "</a>", "<h2>", "</h2>", "<!--", "-->", "&amp;", "&#0;", "<", ">", "\"", "=", "<b id=\"", "<title>",
     "</title>", "<script>", "</script>", "<svg>", "<template>", "文字。", "word ", "🙂", "\x00", "\ud800", "\n", EN[0], ZH[0]]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAGMENTS, max_size=60).map("".join))
def test_any_text_gives_an_extraction(html: str) -> None:
    found = extract_html(html)
    assert len(found.blocks) == len(found.tags)
    assert all(block.strip() for block in found.blocks)
    assert (found.reason is None) == bool(found.blocks)
    "".join(found.blocks).encode("utf-8")
    assert found == extract_html(html)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_an_extraction(data: bytes) -> None:
    reason = extract_html(data).reason
    assert reason in (None, "empty", "no passages", "charset") or reason.startswith("not HTML: ")


def row(
    body: bytes, *, kind: str = "html", error: str | None = None, category: str = "web", source: str = "s"
) -> dict[str, object]:
    return {
        "id": record_id(body, kind), "source": source, "category": category, "kind": kind, "url": f"u/2024/05/06/{len(body)}",
        "date": None, "license": "Apache-2.0", "charset": None, "body": body, "error": error, "meta": json.dumps({"pair": "p"}),
    }  # fmt: skip


def shards(folder: Path) -> Store:
    store = Store(folder)
    german = site(("Der Wärter steigt jeden Abend die Treppe hinauf und schreibt das Wetter in ein dickes Buch. " * 3,) * 3, "Turm")
    store.write_table("pages-00000-000.parquet", pa.Table.from_pylist(
        [row(site(EN, "One").encode()), row(site(ZH, "一").encode("gb18030")), row(b""), row(german.encode()),
         row(b"", error="broken: gzip member: crc"), row(b"<p>x" * 250_000)], schema=PAGE))  # fmt: skip
    code = b"\n\nimport os\n\n\ndef f():\n    return os.sep  # \xe8\xb7\xaf\n\n"
    store.write_table("pages-00001-000.parquet", pa.Table.from_pylist(
        [row(code, kind="code", category="code", source="c"),
         row("第一段文字。\r\n\r\n第二段文字，比较长。".encode(), kind="text")], schema=PAGE))  # fmt: skip
    return store


POLICIES = {"s": SourcePolicy(("en", "zh-Hans")), "c": SourcePolicy()}


def test_shards_keep_a_row_for_every_page_and_balance(tmp_path: Path) -> None:
    pages, out = shards(tmp_path / "pages"), Store(tmp_path / "out")
    ledger = extract(pages, out, ExtractConfig(), POLICIES, engine=Engine(), progress=Progress.silent())
    ledger.check()
    assert Ledger.from_json(out.read_json("ledger.json")).to_json() == ledger.to_json()
    first, second = (out.read_table(n) for n in out.names("extracted-"))
    assert first.schema == EXTRACTED
    assert first.column("id").to_pylist() == pages.read_table("pages-00000-000.parquet").column("id").to_pylist()
    assert first.column("reason").to_pylist() == [
        None,
        None,
        "empty",
        "language: other",
        "broken: gzip member: crc",
        "too many tags",
    ]
    assert first.column("lang").to_pylist()[:2] == ["en", "zh-Hans"]
    assert first.column("date").to_pylist()[0] == "2023-06-30"
    rows = second.to_pylist()
    assert rows[0]["blocks"] == ["import os\n\n\ndef f():\n    return os.sep  # 路"]
    assert (rows[0]["lang"], rows[0]["tags"], rows[0]["date"]) == ("code", ["pre"], "2024-05-06")
    assert rows[1]["blocks"] == ["第一段文字。", "第二段文字，比较长。"]

    assert ledger.stages() == ["source", "extract", "language"]
    assert ledger.totals("source")["broken: gzip member: crc"][0] == 1
    assert ledger.totals("source")[KEPT][0] == 7
    assert ledger.totals("extract")[KEPT][0] == sum(e.documents for e in ledger.entries() if e.stage == "language") == 5
    kept = [r for r in first.to_pylist() + rows if r["reason"] is None]
    assert ledger.totals("language")[KEPT] == (len(kept), sum(len(b.encode()) for r in kept for b in r["blocks"]))


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    pages = shards(tmp_path / "pages")
    written = []
    for workers in (0, 2):
        out, engine = Store(tmp_path / f"out{workers}"), Engine(workers)
        extract(pages, out, ExtractConfig(), POLICIES, engine=engine, progress=Progress.silent())
        engine.close()
        written.append([out.describe(n) for n in out.names() if not n.startswith("receipts/")])
    assert written[0] == written[1]


@pytest.mark.data
@pytest.mark.skipif("SKYLOOM_BENCH_DATA" not in os.environ, reason="SKYLOOM_BENCH_DATA names no folder with marked pages")
@pytest.mark.parametrize(("name", "least"), [("daniel.zh", 0.90), ("l3s_gn1.en", 0.92)])
def test_marked_pages(name: str, least: float) -> None:
    """Mean F1 over 4-grams of units against text that people marked, on collections that no weight was fitted to."""
    import gzip
    from collections import Counter

    from skyloom.core.units import units

    def grams(text: str) -> Counter[tuple[str, ...]]:
        found = units(text, fold=False)
        return Counter(zip(*(found[i:] for i in range(4)), strict=False))

    scores = []
    with gzip.open(Path(os.environ["SKYLOOM_BENCH_DATA"], "html_gold", f"{name}.jsonl.gz"), "rt", encoding="utf-8") as file:
        for line in list(file)[:40]:
            page = json.loads(line)
            got, gold = grams(extract_html(page["html"]).text), grams(page["gold_text"])
            common = (got & gold).total()
            scores.append(2 * common / max(got.total() + gold.total(), 1))
    assert sum(scores) / len(scores) >= least


@pytest.mark.parametrize("paragraphs", [EN, ZH])
def test_a_page_that_is_too_large_only_as_utf8_is_too_large(paragraphs: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Places in a page's text are int32, and a page in another charset may become three times as long."""
    page = site(paragraphs, "灯塔 Tower").replace("©", "")
    packed, size = page.encode("gbk"), len(page.encode())
    assert len(packed) < size
    whole = extract_html(page)
    monkeypatch.setattr(pg, "LARGEST", size)
    assert extract_html(packed) == extract_html(page) == whole and whole.reason is None
    monkeypatch.setattr(pg, "LARGEST", size - 1)
    assert extract_html(packed).reason == extract_html(page).reason == "too large"


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
def test_a_text_file_has_the_same_limit(charset: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n\n".join(ZH)
    pages = Store(tmp_path / "pages")
    rows = [row("守塔人 keeper".encode(), kind="text"), row(text.encode(charset), kind="text")]
    pages.write_table("pages-00000-000.parquet", pa.Table.from_pylist(rows, schema=PAGE))
    for limit, reason in ((len(text.encode()), None), (len(text.encode()) - 1, "too large")):
        monkeypatch.setattr(pg, "LARGEST", limit)
        out = Store(tmp_path / f"out-{limit}")
        extract(pages, out, ExtractConfig(), POLICIES, engine=Engine(), progress=Progress.silent()).check()
        small, large = out.read_table("extracted-00000-000.parquet").to_pylist()
        assert large["reason"] == reason and bool(large["blocks"]) == (reason is None)
        assert small["reason"] != "too large"


def test_the_limits_keep_a_page_and_a_shard_below_two_gib() -> None:
    edge = 2**31
    assert len(pg.make(pg.LARGEST, 1).text) < edge <= len(pg.make(pg.LARGEST + 1, 1).text)
    highest = {f.name: f.metadata["high"] for c in (ExtractConfig, SourceConfig, CleanConfig) for f in dataclasses.fields(c)}
    for name in ("max_page_mb", "max_body_mb", "shard_mb"):  # three bytes of UTF-8 for a byte at most
        assert 3 * highest[name] * 1_000_000 < edge
    assert 2 * highest["max_body_mb"] * 1_000_000 + (1 << 24) < edge  # a line of JSON, whose escapes double a body
    assert 3 * highest["shard_bytes"] < edge  # the text, and an exercise's parts again in its `meta`
    assert {f.name: f.metadata["high"] for f in dataclasses.fields(LmConfig)}["train_mb"] * 1_000_000 < edge  # a token has a byte
