"""The compiled pass reads any bytes within bounds, cuts text as a plain reading of the page does, and describes what it says."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.column import REASONS, extract_column, page_part
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.judge import ensemble
from skyloom.corpus.extract.judge.ensemble import COLUMNS, EARLY, FIRST, LANES, SETTLED, model, odds
from skyloom.corpus.extract.stage import extract_html, extract_pages
from skyloom.corpus.extract.tag_tables import NAMES, TAGS, bits, fnv, tables
from skyloom.corpus.text import charset

EN = "The keeper of the lighthouse climbs one hundred and ninety steps every evening, and writes the weather into a book."
ZH = "守塔人每天傍晚都要爬上一百九十级台阶，把当天的天气写进一本厚厚的册子，这个习惯他已经保持了整整四十年。"


def body(inner: str) -> str:
    """A page whose text is surely kept: long passages around what is tested."""
    before, after = ("".join(f"<p>{EN} {n}</p><p>{ZH}{n}</p>" for n in numbers) for numbers in (range(3), range(3, 6)))
    return f"<html><head><title>Towers 灯塔</title></head><body><article>{before}{inner}{after}</article></body></html>"


def blocks(inner: str) -> list[str]:
    """What comes out between the passages around it."""
    found = list(extract_html(body(inner)).blocks)
    return found[6:-6]


@pytest.mark.parametrize(("inner", "text"), [
    (f"<p>{EN}&nbsp;caf&eacute; &lt;b&gt; &#20013;&#x6587; AT&T &nosuchthing; &notthis &copy 2021 &amp;lt;</p>",
     f"{EN} café <b> 中文 AT&T &nosuchthing; ¬this © 2021 &lt;"),
    (f"<p>{EN}\n   \t spaced<b>bold</b> <i>it</i>alic \u3000{ZH}\u200b</p>", f"{EN} spacedbold italic {ZH}"),
    (f"<p>{EN} a < b and c<d <!-- gone --> <!-->shown {ZH}</p>", None),
    (f"<p>{EN} $$E = mc^2$$ 与 $x_1$ {ZH}</p>", f"{EN} $$E = mc^2$$ 与 $x_1$ {ZH}"),
    (f'<p>{EN} <math alttext="\\frac{{a}}{{b}}"><mi>a</mi></math> {ZH}</p>', f"{EN} $\\frac{{a}}{{b}}$ {ZH}"),
    (f'<p>{EN} <span class="katex"><span class="katex-mathml"><math><semantics><mi>x</mi><annotation '
     f'encoding="application/x-tex">x &lt; 1</annotation></semantics></math></span><span class="katex-html"><span>x</span>&lt;1'
     f"</span></span> {ZH}</p>", f"{EN} $x < 1$ {ZH}"),
    (f'<p>{EN} <script type="math/tex; mode=display">\\sum_i a_i</script> {ZH}</p>', f"{EN} $$\\sum_i a_i$$ {ZH}"),
    (f'<p>{EN} <img class="latex" alt="\\alpha"> {ZH}</p>', f"{EN} $\\alpha$ {ZH}"),
    (f'<p>{EN}<script>var a = "</p><p>no";</script><style>p {{ }}</style><svg><text>no</text></svg> {ZH}</p>', f"{EN} {ZH}"),
    (f"<p>{EN}\x00{ZH}</p>", f"{EN}\ufffd{ZH}"),
])  # fmt: skip
def test_text_is_read_as_a_browser_shows_it(inner: str, text: str | None) -> None:
    found = blocks(inner)
    assert len(found) == 1
    if text is not None:
        assert found == [text]
    else:
        assert found[0].startswith(f"{EN} a < b and c") and "gone" not in found[0] and ZH in found[0]


def test_blocks_end_where_tags_say_so_or_imply_it() -> None:
    assert blocks(f"<p>{EN}<p>{ZH}<div>{EN} 7</div>{ZH}7") == [EN, ZH, f"{EN} 7", f"{ZH}7"]
    assert blocks(f"<ul><li>{EN}<li>{ZH}</ul>") == [f"- {EN}", f"- {ZH}"]
    assert blocks(f"<ol start=9><li>{EN}<li><p>{ZH}</p></ol>") == [f"9. {EN}", f"10. {ZH}"]
    assert blocks(f"<dl><dt>{EN}<dd>{ZH}</dl>") == [EN, ZH]
    assert blocks(f"<p>{EN}<br>{ZH}<br><br>{EN} 7</p>") == [f"{EN}\n{ZH}", f"{EN} 7"]


def test_tables_are_rows_and_listings_verbatim() -> None:
    rows = "".join(f"<tr><td>Tower {n}<td>灯塔之高度{n}<td>{n} m" for n in range(3))
    found = blocks(f"<table>{rows}</table>")
    assert found == [f"Tower {n} | 灯塔之高度{n} | {n} m" for n in range(3)]
    code = "def f(x):\n\n    if x < 1:\n        return '灯'"
    assert code in blocks(f"<p>{EN}</p><pre>\n{html.escape(code)}\n\n</pre><p>{ZH}</p>")
    assert "a\nb" in blocks(f"<p>{EN}</p><pre><div class=line>a</div><div class=line>b</div></pre><p>{ZH}</p>")


@pytest.mark.parametrize(("head", "date"), [
    ('<meta property="article:published_time" content="2023-06-30T08:00:00Z">', "2023-06-30"),
    ('<meta name="last-modified" content="2024-01-01"><meta name="pubdate" content="2023/6/3">', "2023-06-03"),
    ('<script type="application/ld+json">{"@type": "Article", "datePublished": "2021-12-05"}</script>', "2021-12-05"),
    ('<time datetime="2020-02-29">Saturday</time>', "2020-02-29"),
    ("<div class='info'>来源：新华 发布时间：2019年3月4日 10:00</div>", "2019-03-04"),
    ("<meta name=date content='2023-13-45'>", ""), ("", ""),
])  # fmt: skip
def test_dates(head: str, date: str) -> None:
    assert extract_html(head + body("")).date == date


@pytest.mark.parametrize(("title", "part"), [
    ("Night bus returns - Morning Ledger", "Night bus returns"), ("夜班车恢复_晨报网", "夜班车恢复"), ("A | B", "A | B"), ("", ""),
    ("一夜之间 | 新闻 | 网", "一夜之间"), ("No site here", "No site here"),
])  # fmt: skip
def test_titles_lose_the_site(title: str, part: str) -> None:
    assert page_part(title) == part


def test_headings_lose_their_marks() -> None:
    inner = f"<h2>Lamps 灯<a class=headerlink href=#l>¶</a></h2><p>{EN}</p><h2>History [edit]</h2><p>{ZH}</p>"
    assert blocks(inner) == ["Lamps 灯", EN, "History", ZH]


def test_comments_are_the_callers_choice() -> None:
    said = "".join(
        f'<div class="comment"><p>I think so too, and so does my wife {n}, who likes lighthouses a lot. {EN}</p></div>'
        for n in range(6)
    )
    page = body("").replace("</article>", f"</article><section id=comments>{said}</section>").encode()
    assert not [b for b in extract_html(page).blocks if "my wife" in b]
    with_them = extract_html(page, config=ExtractConfig(comments=True))
    assert set(extract_html(page).blocks) <= set(with_them.blocks)


def test_amp_and_mobile_pages() -> None:
    page = f"<!doctype html><html ⚡ lang=zh><head><title>灯塔</title><style amp-custom>a{{}}</style></head><body><amp-sidebar><ul><li><a href=/>首页</a></ul></amp-sidebar><amp-img src=x></amp-img><article><h1>灯塔</h1><div placeholder></div>{''.join(f'<p>{ZH}{n}</p>' for n in range(5))}</article></body></html>"
    assert extract_html(page).blocks[-5:] == tuple(f"{ZH}{n}" for n in range(5))


def test_a_column_gives_what_single_pages_give() -> None:
    pages = [
        body("").encode(),
        body("").encode("gb18030", "ignore"),
        b"",
        b"%PDF-1.4",
        body(f"<p>{ZH}</p>").encode("utf-16"),
        b"<p>x",
        None,
    ]
    declared = [None, "gbk", None, None, "utf-8", None, None]
    found = extract_pages(pa.array(pages, pa.binary()), pa.array(declared), ExtractConfig()).to_pylist()
    for row, page, charset_named in zip(found, pages, declared, strict=True):
        one = extract_html(page or b"", declared=charset_named)
        assert (tuple(row["blocks"]), tuple(row["tags"]), row["title"], row["date"], row["reason"]) == (
            one.blocks, one.tags, one.title, one.date, one.reason)  # fmt: skip
    assert extract_column(pa.array([], pa.binary())).num_rows == 0
    sliced = pa.chunked_array([pa.array(pages[:2], pa.binary()), pa.array(pages[2:], pa.binary())])
    assert extract_column(sliced.slice(1, 4)).to_pylist() == extract_column(pa.array(pages[1:5], pa.binary())).to_pylist()


def test_results_do_not_depend_on_the_pages_before() -> None:
    page, other = body(f"<p>{ZH}</p>").encode(), (body("") * 40).encode()
    alone = extract_column(pa.array([page])).to_pylist()[0]
    assert extract_column(pa.array([other, page, other, page] * 3)).to_pylist()[1::2] == [alone] * 6


def test_inspection_agrees_with_python() -> None:
    texts = ["plain", "文字 text", "\U0001f3ee" * 9, "é" * 40, "x" * 31 + "é" + "y" * 50, "\ud7ff\ue000"]
    good = [t.encode() for t in texts]
    bad = [g[:-1] + b"\xff" for g in good] + [
        b"\xc0\x80aaa",
        b"\xed\xa0\x80aa",
        b"\xf4\x90\x80\x80",
        b"aaaa\xe4\xb8",
        b"\x1b$B aaaa",
    ]
    column = pa.array(good + bad, pa.binary())
    states = charset.inspect_column(column)
    assert states.tolist() == [charset.PLAIN] * len(good) + [charset.VOTE] * len(bad)


@given(st.binary(max_size=200))
def test_inspection_takes_only_utf8_for_plain(data: bytes) -> None:
    if charset.inspect_column(pa.array([data], pa.binary()))[0] == charset.PLAIN:
        data.decode("utf-8")


def test_words_in_names_are_found_wherever_they_stand() -> None:
    from skyloom.core.kernels import entry
    from skyloom.corpus.extract.scan import match

    @entry
    def named(data, table):  # type: ignore[no-untyped-def]
        return match(data, 0, len(data), table.name_class, table.name_next, table.name_bits, True)

    def groups(name: str) -> set[str]:
        found = int(named(np.frombuffer(name.encode(), np.uint8), tables()))
        return {g for g in NAMES if found & bits(g)}

    assert groups("ad") == groups("left-ad x") - {"side"} == {"ad"}
    assert groups("shadow") == set() and "ad" not in groups("header-grid")
    assert {"article", "content"} <= groups("Article_Content") and {"body"} <= groups("entry")
    for group, words in NAMES.items():
        for word in words.split():
            assert group in groups(word.strip("|")), word


MODEL_FILE = json.loads(Path(ensemble.__file__).with_name("model.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "columns"), [("first", FIRST), ("second", len(COLUMNS))])
def test_every_node_of_the_model_is_on_the_way_from_a_root_to_a_leaf(name: str, columns: int) -> None:
    trees = getattr(model(), name)
    features, children = trees.split >> 16, trees.split & 0xFFFF
    assert len(trees.roots) > 20 and len(trees.roots) % LANES == 0 and EARLY % LANES == 0
    assert features.max() < columns
    nodes = np.arange(len(children))
    leaves = children == nodes
    assert (children[~leaves] > nodes[~leaves]).all() and np.isinf(trees.limit[leaves]).all() and (trees.value[~leaves] == 0).all()
    reached = np.concatenate([trees.roots, children[~leaves], children[~leaves] + 1])
    assert sorted(reached.tolist()) == nodes.tolist()


@pytest.mark.parametrize(("name", "data"), [("first", MODEL_FILE), ("second", MODEL_FILE["second"])])
def test_the_log_odds_are_the_sum_of_one_leaf_of_each_tree_of_the_file(name: str, data: dict[str, Any]) -> None:
    from skyloom.core.kernels import entry

    @entry
    def summed(line, trees):  # type: ignore[no-untyped-def]
        return odds(line, trees)

    number = {column: n for n, column in enumerate(COLUMNS)}
    limits: dict[int, list[float]] = {}
    for tree in data["trees"]:
        for feature, limit in zip(tree["feature"], tree["limit"], strict=True):
            limits.setdefault(number[data["features"][feature]], []).append(limit)
    draw, settled, trees = np.random.default_rng(1), 0, getattr(model(), name)
    louder = trees._replace(value=4 * trees.value)  # so that many are settled early
    for turn in range(200):
        factor = np.float32(4 if turn % 2 else 1)
        line = np.zeros(len(COLUMNS), np.float32)
        for column, known in limits.items():  # on the limits, and on both sides of them
            line[column] = np.float32(draw.choice(known)) + np.float32(draw.choice([0, 0, 0.01, -0.01, 5, -5]))
        total = np.float32(0)
        for t, tree in enumerate(data["trees"]):
            if t == EARLY and abs(total) > SETTLED:
                settled += 1
                break
            at = 0 if tree["feature"] else -1
            while at >= 0:
                value, limit = line[number[data["features"][tree["feature"][at]]]], np.float32(tree["limit"][at])
                at = tree["low"][at] if value <= limit else tree["high"][at]
            total += factor * np.float32(tree["value"][-1 - at])
        assert summed(line, louder if turn % 2 else trees) == total
    assert 0 < settled < 200


def test_constants() -> None:
    assert len(set(TAGS)) == len(TAGS) < 256 and len(set(COLUMNS)) == len(COLUMNS)
    assert fnv("div") != fnv("dl") and pg.BLOCK_COLUMNS == pg.INLINE_TO + 1
    assert REASONS[0] is None and len(set(REASONS)) == len(REASONS)


FRAGMENTS = st.sampled_from(
    ["<p>", "</p>", "<div class='nav x'>", "</div>", "<td>", "<tr>", "<table>", "</table>", "<pre>", "</pre>", "<li>", "<ol start=5>",
     "<br>", '<a href="x">', "</a>", "<h2>", "</h2>", "<!--", "-->", "&amp;", "&#0;", "<", ">", '"', "=", '<b id="', "<title>", "</",
     "</title>", "<script>", "</script>", "<svg>", "<math>", "<img class=latex alt='", "文字。", "word ", "🙂", "\x00", "\n", EN, ZH]
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAGMENTS, max_size=50).map("".join))
def test_what_comes_out_stood_on_the_page(page: str) -> None:
    """Without its white space and marks, every passage is a part of the page's decoded characters."""
    found = extract_html(page)
    assert (found.reason is None) == bool(found.blocks) and len(found.blocks) == len(found.tags)
    letters = re.sub(r"\W|\d", "", html.unescape(page.replace("\x00", "\ufffd")))
    for block in found.blocks:
        assert block.strip()
        for word in re.findall(r"[^\W\d]+", block):
            assert set(word) <= set(letters)


FUZZ = """
import random, sys
import pyarrow as pa
sys.path.insert(0, {folder!r})
from tests.corpus.extract.test_walk import body, EN, ZH
from skyloom.corpus.extract.column import extract_column
draw = random.Random(2023)
pieces = ["<p>", "</p>", "<div class='nav'", ">", "</div>", "<td>", "<tr>", "<table>", "</table>", "<pre>", "</pre>", "<li>", "<ol start=99999999999>",
  "<br>", "<a href=", "'", '"', "</a>", "<h2>", "</h2>", "<!--", "--", "&amp", "&#x", "&#99999999999;", "<", "=", "<title>", "</", "/", "<script", "</script>",
  "<svg>", "</svg", "<math alttext='", "<annotation encoding=tex>", "</math>", "<img class=latex alt='", "<time datetime=2020-", "<meta name=pubdate content=2",
  "文", "。", "word ", chr(0), chr(0x1f642), "\\n", EN, ZH, "2023年6月", "style='display:none'", "<span class=katex-html>", "</span>", "&", "\\xa0", "\\xad"]
pages = []
for _ in range(400):
    page = "".join(draw.choices(pieces, k=draw.randint(1, 120))).encode()
    cut = draw.randint(0, len(page))
    pages += [page, page[:cut], page[cut:]]
whole = body("").encode()
for _ in range(100):
    data = bytearray(whole)
    for _ in range(draw.randint(1, 30)):
        data[draw.randrange(len(data))] = draw.randrange(256)
    pages.append(bytes(data[:draw.randint(1, len(data))]))
pages += [draw.randbytes(draw.randint(0, 300)) for _ in range(200)]
pages += [b"<p>x" * 300, b"<div>" * 1000, b"<" * 500, b"&" * 500, b"<table><tr>" * 200, b"<pre>" + b"<br>" * 500]
rows = [len(extract_column(pa.array([p], pa.binary()))) for p in pages[:50]]
found = extract_column(pa.array(pages, pa.binary()))
assert found.num_rows == len(pages)
found.validate(full=True)
print("done", found.num_rows)
"""


@pytest.mark.slow
def test_hostile_bytes_stay_within_bounds(tmp_path: Path) -> None:
    """The same kernels with numba's bounds checks, in a process of its own: an index out of bounds raises
    there. Slow, because all kernels are compiled anew."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_OPT": "1"}
    script = FUZZ.format(folder=str(Path(__file__).parents[3]))
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("done")
