"""What pages say of their own use: directives are recorded and drop by setting, and a licence is never taken from a page about licences."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.records import PAGE
from skyloom.core.store import Store
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.stage import extract
from skyloom.corpus.lists import ListsConfig, list_identity
from skyloom.corpus.notices import header_directives, judge_robots, noticed, page_directives, page_license
from skyloom.corpus.sources.readers.byte_streams import File
from skyloom.corpus.sources.readers.rows import About
from skyloom.corpus.sources.readers.web_archives.warc import pages

BY = "https://creativecommons.org/licenses/by/4.0/"
SA = "http://creativecommons.org/licenses/by-sa/3.0/cn/deed.zh"
ND = "//creativecommons.org/licenses/by-nc-nd/2.5/"
EN = "<p>The keeper of the lighthouse climbs one hundred and ninety steps every evening, and writes the weather into a book.</p>"
ZH = "<p>守塔人每天傍晚都要爬上一百九十级台阶，把当天的天气写进一本厚厚的册子，这个习惯他已经保持了整整四十年。</p>"


def body(inner: str, head: str = "") -> str:
    return f"<html><head><title>t</title>{head}</head><body><article>{EN}{ZH}{inner}{EN}</article></body></html>"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (["noindex, nofollow"], ["nofollow", "noindex"]),
        (["NoAI", "noimageai"], ["noai", "noimageai"]),
        (["none"], ["nofollow", "noindex"]),
        (["googlebot: noindex, nosnippet"], ["googlebot:noindex", "googlebot:nosnippet"]),
        (["noarchive, GPTBot: noindex"], ["gptbot:noindex", "noarchive"]),
        (["unavailable_after: 25 Jun 2010 15:00:00 PST"], []),
        (["all", "index, follow, max-image-preview:large"], []),
        (["", "x" * 100_000], []),
    ],
)
def test_headers(values: list[str], said: list[str]) -> None:
    assert header_directives(values) == said


def test_reservations_of_mining() -> None:
    assert header_directives([], ["1"]) == ["tdm-reservation"] and header_directives([], ["0"]) == []
    assert page_directives('<meta name="tdm-reservation" content="1">') == ["tdm-reservation"]


@pytest.mark.parametrize(
    ("markup", "said"),
    [
        ('<meta name="robots" content="noai, noimageai">', ["noai", "noimageai"]),
        ("<META content='NOINDEX,FOLLOW' NAME=ROBOTS>", ["noindex"]),
        ('<meta name="robots" content="index, follow, max-snippet:-1">', []),
        ('<meta name="ccbot" content="nofollow"><meta name="Google-Extended" content="none">', ["ccbot:nofollow", "google-extended:nofollow", "google-extended:noindex"]),
        ("<p>write &lt;meta name=&quot;robots&quot; content=&quot;noindex&quot;&gt;</p>", []),
        ('<meta name="description" content="robots noindex">', []),
    ],
)  # fmt: skip
def test_meta_elements(markup: str, said: list[str]) -> None:
    assert page_directives(markup.lower()) == said


def data(text: str) -> str:
    return body("", f'<script type="application/ld+json">{text.replace("BY", BY)}</script>')


STATED = [
    ("link in the head", body("", f'<link rel="license" href="{BY}">'), "CC-BY-4.0"),
    ("two rels", body("", f'<link rel="copyright license" href="{BY}deed.en">'), "CC-BY-4.0"),
    ("meta", body("", f'<meta name="dcterms.license" content="{BY}">'), "CC-BY-4.0"),
    ("rights", body("", '<meta name="DC.rights" content="http://creativecommons.org/publicdomain/zero/1.0/">'), "CC0-1.0"),
    ("json-ld", data('{"@context":"x","@type":"Article","license":"BY"}'), "CC-BY-4.0"),
    ("json-ld graph", data('{"@graph":[{"@type":["WebPage"],"license":{"@id":"BY"}}]}'), "CC-BY-4.0"),
    ("rel", body(f'<p>Some rights reserved: <a rel="license" href="{ND}">CC</a></p>'), "CC-BY-NC-ND-2.5"),
    ("rel without quotes", body(f"<p><a href={SA} rel=license>知识共享</a></p>"), "CC-BY-SA-3.0-CN"),
    ("itemprop", body(f'<span itemprop="license" content="{BY}">CC</span>'), "CC-BY-4.0"),
    ("order of 1.0", body('<a rel="license" href="http://creativecommons.org/licenses/by-nd-nc/1.0/">CC</a>'), "CC-BY-NC-ND-1.0"),
    ("port and legalcode", body('<a rel="license" href="http://creativecommons.org/licenses/by/3.0/de/legalcode">CC</a>'), "CC-BY-3.0-DE"),
    ("deed of a language", body('<a rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/deed.zh-hans">CC</a>'), "CC-BY-SA-4.0"),
    ("public domain mark", body('<a rel="license" href="https://creativecommons.org/publicdomain/mark/1.0/">PD</a>'), "CC-PDM-1.0"),
    ("another licence", body('<a rel="license" href="https://www.gnu.org/licenses/fdl-1.3.html">GFDL</a>'), "GFDL-1.3-or-later"),
    ("sentence", body(f'<p>This work is licensed under a <a href="{BY}">Creative Commons Attribution</a> License.</p>'), "CC-BY-4.0"),
    ("except", body(f'<p>Except where otherwise noted, content on this site is licensed under <a href="{BY}">CC BY</a>.</p>'), "CC-BY-4.0"),
    ("plain address", body(f"<p>This article is available under {BY}</p>"), "CC-BY-4.0"),
    ("中文句子", body(f'<p>本作品采用<a href="{SA}">知识共享署名-相同方式共享 3.0 中国大陆许可协议</a>进行许可。</p>'), "CC-BY-SA-3.0-CN"),
    ("中文博客", body(f'<div><strong>版权声明：</strong>本博客所有文章除特别声明外，均采用 <a href="{BY}">BY 4.0</a> 许可协议。转载请注明出处！</div>'), "CC-BY-4.0"),
    ("繁體", body(f'<p>除非另有註明，本網站內容採用<a href="{BY}">創用CC 姓名標示</a>授權條款釋出。</p>'), "CC-BY-4.0"),
    ("footer", body("") + f'<footer><a href="{BY}"><img src="https://i.creativecommons.org/l/by/4.0/88x31.png"></a></footer>', "CC-BY-4.0"),
    ("notice by its class", body("") + f'<div class="site-copyright"><p>© 2020 守塔人 <a href="{BY}">CC</a></p></div>', "CC-BY-4.0"),
    ("text and images", body(f'<p>All text and images on this site are licensed under <a href="{BY}">CC BY</a>.</p>'), "CC-BY-4.0"),
    ("head beside a list", body(f'<p><a href="{SA}">a</a> <a href="{ND}">b</a></p>', f'<link rel="license" href="{BY}">'), "CC-BY-4.0"),
]  # fmt: skip


@pytest.mark.parametrize(("page", "said"), [case[1:] for case in STATED], ids=[case[0] for case in STATED])
def test_licences_that_are_stated(page: str, said: str) -> None:
    assert page_license(page.lower()) == said


GUARDS = [
    ("nothing", body("")),
    ("an article about one licence", body(f'<p>The <a href="{BY}">Attribution licence</a> allows anyone to share and adapt a work.</p>')),
    ("文章谈许可", body(f'<p>知识共享署名许可（<a href="{BY}">CC BY</a>）是六种许可中最宽松的一种，允许他人分享和改编作品。</p>')),
    ("another work", body(f'<p>Wikipedia moved to <a href="{BY}">CC BY-SA</a> in 2009, after a vote of its editors.</p>')),
    ("另一作品", body(f'<p>维基百科的条目自2009年起以<a href="{SA}">知识共享</a>授权发布。</p>')),
    ("several licences", body(f'<p>This work may be under <a href="{BY}">BY</a> or <a href="{SA}">BY-SA</a>.</p>')),
    ("a chooser of rels", body(f'<a rel="license" href="{BY}">BY</a><a rel="license" href="{ND}">BY-NC-ND</a>')),
    ("an example sentence", body(f'<p>You can write: “This work is licensed under <a href="{BY}">CC BY 4.0</a>.”</p>')),
    ("例句", body(f'<p>你可以写上“本作品采用<a href="{BY}">知识共享署名 4.0</a>许可”。</p>')),
    ("quoted", body(f'<blockquote>This work is licensed under <a href="{BY}">CC BY 4.0</a>.</blockquote>')),
    ("code", body(f"<pre>This work is licensed under {BY}</pre>")),
    ("escaped markup", body(f"<p>Put &lt;a rel=&quot;license&quot; href=&quot;{BY}&quot;&gt; into your page.</p>")),
    ("a picture's", body(f'<figure><img src="a.jpg"><figcaption>A. Keeper, <a rel="license" href="{BY}">CC BY</a></figcaption></figure>')),
    ("photo credit", body(f'<p>Photo: A. Keeper, licensed under <a href="{BY}">CC BY</a></p>')),
    ("图片来源", body(f'<p>图片来自网络，本图片采用<a href="{BY}">CC BY</a>许可。</p>')),
    ("icons in the footer", body("") + f'<footer><p>Icons by Freepik, <a href="{BY}">CC 3.0 BY</a></p></footer>'),
    ("map data in the footer", body("") + f'<footer>Map data © OpenStreetMap <a rel="license" href="{SA}">CC-BY-SA</a></footer>'),
    ("主题在页脚", body("") + f'<footer>主题由某人设计 <a href="{BY}">CC BY</a></footer>'),
    ("a reader's comment", body("") + f'<div class="comment-body"><p>This text is licensed under <a href="{BY}">CC BY</a>, see?</p></div>'),
    ("comment of markup", body(f'<!-- <a rel="license" href="{BY}">CC</a> -->')),
    ("script", body(f'<script>var x = \'<a rel="license" href="{BY}">\'</script>')),
    ("json-ld of a picture", data('{"@type":"ImageObject","license":"BY"}')),
    ("json-ld inside of a work", data('{"@type":"Article","image":{"@type":"ImageObject","license":"BY"}}')),
    ("json-ld of a data set", data('[{"@type":"Dataset","license":"BY"}]')),
    ("broken json-ld", data('{"@type":"Article","license":"BY"')),
    ("negated", body(f'<p>This site is not licensed under <a href="{BY}">CC BY</a>; all rights reserved.</p>')),
    ("不采用", body(f'<p>本站不采用<a href="{BY}">知识共享</a>许可协议，保留所有权利。</p>')),
    ("no version", body('<a rel="license" href="https://creativecommons.org/licenses/by/">CC</a>')),
    ("no licence of that name", body('<a rel="license" href="https://creativecommons.org/licenses/nd-sa/4.0/">CC</a>')),
    ("a rel without an address", body('<a rel="license" href="/license.html">licence</a>')),
    ("all rights reserved", body(f'<p>All content on this site is © 2024 Foo, all rights reserved. Photos are licensed under <a href="{BY}">CC BY</a>.</p>')),
    ("版权所有", body(f'<p>本站文章版权所有，未经许可不得转载；图片采用<a rel="license" href="{BY}">CC BY</a>许可。</p>')),
    ("photos beside texts", body(f'<p>Our articles are free to read. Photos are licensed under <a href="{BY}">CC BY</a>.</p>')),
    ("rights of photos", body("", f'<meta name="copyright" content="All rights reserved. Photos: {BY}">')),
    ("a script in a text area", body(f'<textarea><script type="application/ld+json">{{"@type":"WebPage","license":"{BY}"}}</script></textarea>')),
    ("a script in a comment", body(f'<!-- <script type="application/ld+json">{{"@type":"WebPage","license":"{BY}"}}</script> -->')),
    ("json-ld of a book in review", data('{"@graph":[{"@type":"Review"},{"@type":"Book","license":"BY"}]}')),
    ("a link inside of a figure", body(f'<figure><img src=a.jpg><link rel="license" href="{BY}"></figure>')),
    ("a picture's card", body(f'<div class="card"><img><div class="card-footer">A. Keeper <a href="{BY}">CC BY</a></div></div>')),
    ("a photo's licence", body(f'<div class="photo-license"><a rel=license href="{BY}">CC BY</a></div>')),
    ("a forum's quotation", body(f'<div class="quotecontent">This article is licensed under <a href="{BY}">CC BY</a>.</div>')),
    ("签名档", body(f'<div class="signature">本文采用<a href="{BY}">知识共享</a>许可协议。</div>')),
    ("a comment's element", body(f'<shreddit-comment><p>This text is licensed under <a href="{BY}">CC BY</a>.</p></shreddit-comment>')),
    ("weather data in the footer", body("") + f'<footer>Weather data by Open-Meteo, <a href="{BY}">CC BY 4.0</a></footer>'),
    ("数据在页脚", body("") + f'<footer>天气数据来自某网站 <a href="{BY}">CC BY 4.0</a></footer>'),
    ("a book in review", body(f'<p>This book is available under <a href="{BY}">CC BY</a>; we review it below.</p>')),
    ("a program's licence", body('<a rel="license" href="https://opensource.org/licenses/MIT">MIT</a>')),
    ("scripts without end", body("<script " * 300_000 + f'<a rel="license" href="{BY}">CC</a>')),
    ("data without end", f"{BY}<script application/ld+json>" * 100_000),
    ("many marks", body(f'<p>This work is not licensed under <a rel=license href="{BY}">CC</a></p>' * 20_000)),
    ("nested without end", "<div class=x>" * 20_000 + f'<a href="{BY}">' + "<a rel=license " * 20_000),
]  # fmt: skip


@pytest.mark.parametrize("page", [case[1] for case in GUARDS], ids=[case[0] for case in GUARDS])
def test_pages_that_state_no_licence(page: str) -> None:
    assert page_license(page.lower()) == ""


def test_the_deed_itself_writes_about_it() -> None:
    page = body(f'<p>This work is licensed under <a rel="license" href="{BY}">CC BY</a></p>').lower()
    assert page_license(page, f"{BY}deed.zh-hans") == "" and page_license(page, "https://example.org/") == "CC-BY-4.0"


def row(name: str, html: str | bytes, **more: object) -> dict[str, object]:
    data = html.encode() if isinstance(html, str) else html
    return {
        "id": name, "source": "s", "category": "web", "kind": "html", "url": f"https://example.org/{name}", "date": None, "license": None,
        "charset": None, "body": data, "error": None, "meta": '{"file":  "as it came"}', **more,
    }  # fmt: skip


def test_columns_of_a_shard() -> None:
    stated = f'<p>本作品采用<a href="{BY}">知识共享</a>许可协议。</p>'
    head = '<meta name="robots" content="noai">'
    rows = [
        row("plain", body("")),
        row("both", body(stated, head)),
        row("gbk", body(stated).encode("gb18030")),
        row("utf-16", ("\ufeff" + body(stated)).encode("utf-16-le")),
        row("given", body(stated), license="CC0-1.0"),
        row("text", body(stated, head), kind="text"),
        row("broken", body(stated, head), error="broken"),
        row("header", body("", head), meta='{"robots": ["noindex"]}'),
    ]
    table = pa.Table.from_pylist(rows, schema=PAGE)
    assert noticed(table, False)[0].to_pylist() == [None, None, None, None, "CC0-1.0", None, None, None]
    licenses, metas = noticed(table, True)
    assert licenses.to_pylist() == [None, "CC-BY-4.0", "CC-BY-4.0", "CC-BY-4.0", "CC0-1.0", None, None, None]
    assert [m for n, m in enumerate(metas.to_pylist()) if n not in (1, 7)] == ['{"file":  "as it came"}'] * 6
    assert json.loads(metas[1].as_py())["robots"] == ["noai"] and json.loads(metas[7].as_py())["robots"] == ["noai", "noindex"]
    judged = judge_robots(metas, ("noindex", "noai")).to_pylist()
    assert judged == [None, "robots: noai", None, None, None, None, None, "robots: noindex"]
    assert judge_robots(metas, ()).null_count == len(rows)


def test_extraction_records_both_and_changes_nothing_else(tmp_path: Path) -> None:
    head = f'<meta name="robots" content="noai"><link rel="license" href="{BY}">'
    rows = [row("plain", body("")), row("notices", body("", head)), row("given", body(""), license="MIT", meta='{"b":1, "a":2}')]
    Store(tmp_path / "pages").write_table("pages-0.parquet", pa.Table.from_pylist(rows, schema=PAGE))
    config = ExtractConfig(page_licenses=True)
    extract(Store(tmp_path / "pages"), Store(tmp_path / "out"), config, {}, engine=Engine(0), progress=Progress.silent())
    found = Store(tmp_path / "out").read_table("extracted-0.parquet").to_pylist()
    assert [(r["license"], r["meta"]) for r in found] == [
        (None, '{"file":  "as it came"}'), ("CC-BY-4.0", '{"file": "as it came", "robots": ["noai"]}'), ("MIT", '{"b":1, "a":2}'),
    ]  # fmt: skip
    assert found[0]["blocks"] == found[1]["blocks"]


def test_headers_of_archives(tmp_path: Path) -> None:
    records = []
    for number, headers in enumerate(
        ("", "x-robots-tag: noai\r\nX-Robots-Tag: ccbot: noindex\r\nTDM-Reservation: 1\r\n", "X-Robots-Tag: all\r\n")
    ):
        http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}\r\n<p>页面</p>".encode()
        head = (
            f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Target-URI: http://a.cn/{number}\r\n"
        )
        head += f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
        records.append(gzip.compress(head.encode() + http + b"\r\n\r\n"))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(records))
    found = [r["meta"] for r in pages(File(str(path), "a.warc.gz", path.stat().st_size), About("s", "web", None, 1 << 20))]
    assert found[0] == found[2] == '{"file": "a.warc.gz"}'
    assert json.loads(found[1])["robots"] == ["ccbot:noindex", "noai", "tdm-reservation"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ('<!-- <meta name="robots" content="noindex"> -->', None),
        ("<meta name=gptbot content=noindex>", ["gptbot:noindex"]),
        ('<meta name="slurp" content="noindex"><meta name="yandex" content="noarchive">', ["slurp:noindex", "yandex:noarchive"]),
        ('<meta name="googlebot-news" content="nosnippet">', ["googlebot-news:nosnippet"]),
    ],
)
def test_directives_of_a_shard(head: str, said: list[str] | None) -> None:
    _, metas = noticed(pa.Table.from_pylist([row("页", body("", head))], schema=PAGE), False)
    assert json.loads(metas[0].as_py()).get("robots") == said


def test_settings() -> None:
    assert not ListsConfig().wanted and "robots" not in list_identity(ListsConfig(block=("a.org",)))
    config = build(ListsConfig, {"robots": ["noai", "gptbot:noindex"]}, origin="test")
    assert config.wanted and list_identity(config)["robots"] == ["noai", "gptbot:noindex"]
    for wrong in ("noindx", "NoAI", "index"):
        with pytest.raises(ConfigError, match="no directive"):
            build(ListsConfig, {"robots": [wrong]}, origin="test")
