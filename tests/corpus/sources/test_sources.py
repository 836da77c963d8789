"""Sources are found, fingerprinted and read whole; what cannot be read is a row with a reason."""

from __future__ import annotations

import gzip
import json
import os
import random
import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.records import PAGE
from skyloom.core.store import Store
from skyloom.corpus.sources.config import SourceConfig, SourcePolicy, policies
from skyloom.corpus.sources.readers.rows import pair_of
from skyloom.corpus.sources.resolved import ResolvedSource, resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()


def find(config: SourceConfig, tmp_path: Path) -> ResolvedSource:
    return resolve([config], cache=tmp_path / "cache", samples=tmp_path / "samples", progress=QUIET)[0]


def read(config: SourceConfig, tmp_path: Path, workers: int = 0) -> list[dict[str, Any]]:
    out, engine = Store(tmp_path / f"out-{config.name}-{workers}"), Engine(workers)
    summary = fetch([find(config, tmp_path)], out, engine=engine, progress=QUIET)
    engine.close()
    tables = [out.read_table(n) for n in out.names("pages-")]
    assert all(t.schema == PAGE for t in tables)
    rows = [r for t in tables for r in t.to_pylist()]
    assert out.read_json("sources.json") == summary
    assert (summary[0]["pages"], summary[0]["bytes"]) == (len(rows), sum(len(r["body"]) for r in rows))
    assert len({r["id"] for r in rows}) == len(rows)
    return rows


def record(number: int, body: bytes, kind: str = "response", content: str = "text/html; charset=gbk", status: int = 200) -> bytes:
    """A WARC record, built by hand."""
    http = f"HTTP/1.1 {status} OK\r\nContent-Type: {content}\r\n\r\n".encode() + body if kind == "response" else body
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number:032d}>\r\nWARC-Date: 2023-06-30T12:00:00Z\r\n"
        f"WARC-Target-URI: http://example.org/{number}\r\nContent-Type: {'text/plain' if kind == 'conversion' else f'application/http; msgtype={kind}'}\r\n"
        f"Content-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


BODIES = [f"<html><p>Page {i} 第{i}页{'文' * 500}</p></html>".encode("gbk") for i in range(6)]


@pytest.mark.parametrize("form", ["members", "plain", "one stream", "zstd"])
def test_warc_in_every_packing(tmp_path: Path, form: str) -> None:
    records = [record(i, b) for i, b in enumerate(BODIES)]
    records.insert(1, record(90, b"GET /", kind="request"))
    records.insert(3, record(91, b"PNG", content="image/png"))
    records.insert(4, record(92, b"<p>moved</p>", status=301))
    plain = b"".join(records)
    data = {
        "members": b"".join(gzip.compress(r) for r in records),
        "plain": plain,
        "one stream": gzip.compress(plain),
        "zstd": zstandard.compress(plain),
    }[form]
    (tmp_path / "crawl.warc.gz").write_bytes(data)
    rows = read(SourceConfig(name="w", path=str(tmp_path / "crawl.warc.gz"), license="CC0-1.0"), tmp_path)
    assert [r["body"] for r in rows] == BODIES
    assert {(r["charset"], r["kind"], r["date"], r["license"], r["error"]) for r in rows} == {
        ("gbk", "html", "2023-06-30", "CC0-1.0", None)
    }
    assert rows[5]["url"] == "http://example.org/5"


@pytest.mark.parametrize("broken", [0, 2, 5])
@pytest.mark.parametrize("damage", ["flip", "cut", "junk"])
def test_a_broken_member_is_one_row_and_the_rest_is_read(tmp_path: Path, broken: int, damage: str) -> None:
    packed = [gzip.compress(record(i, b)) for i, b in enumerate(BODIES)]
    whole = packed[broken]
    packed[broken] = {
        "flip": whole[:40] + bytes(b ^ 0x5A for b in whole[40:80]) + whole[80:],
        "cut": whole[: len(whole) // 2],
        "junk": b"\x1f\x8b\x08 not gzip at all" * 50,
    }[damage]
    (tmp_path / "crawl.warc.gz").write_bytes(b"".join(packed))
    rows = read(SourceConfig(name="w", kind="warc", path=str(tmp_path)), tmp_path)
    good = [r["body"] for r in rows if r["error"] is None]
    assert good == [b for i, b in enumerate(BODIES) if i != broken]
    bad = [r for r in rows if r["error"] is not None]
    assert len(bad) == 1
    assert bad[0]["error"].startswith("broken: ")


@pytest.mark.parametrize("damage", ["none", "flip", "cut"])
def test_a_large_page_does_not_hide_what_follows_it(tmp_path: Path, damage: str) -> None:
    """Not a broken member after it either; the large page itself may be broken too."""
    packed = [gzip.compress(record(i, b)) for i, b in enumerate(BODIES)]
    large = gzip.compress(record(9, random.Random(1).randbytes(2_500_000)))
    flipped = large[:900_000] + bytes(b ^ 0x5A for b in large[900_000:900_100]) + large[900_100:]
    packed.insert(2, {"none": large, "flip": flipped, "cut": large[: len(large) // 2]}[damage])
    packed[4] = packed[4][:40] + bytes(b ^ 0x5A for b in packed[4][40:80]) + packed[4][80:]
    (tmp_path / "crawl.warc.gz").write_bytes(b"".join(packed))
    rows = read(SourceConfig(name="w", kind="warc", path=str(tmp_path), max_body_mb=0.5), tmp_path)
    assert [r["body"] for r in rows if r["error"] is None] == [b for i, b in enumerate(BODIES) if i != 3]
    told = [r["error"].split(":")[0] for r in rows if r["error"] is not None]
    assert told == {"none": ["too large", "broken"], "flip": ["too large", "broken", "broken"], "cut": ["broken", "broken"]}[damage]


def test_a_record_that_is_cut_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.warc").write_bytes(record(0, BODIES[0]) + record(1, BODIES[1])[:-200])
    rows = read(SourceConfig(name="w", path=str(tmp_path / "a.warc")), tmp_path)
    assert [r["error"] for r in rows] == [None, "broken: the record is shorter than it says"]


def test_wet_is_text(tmp_path: Path) -> None:
    texts = ["Plain text of a page.", "一页的纯文本。"]
    data = b"".join(gzip.compress(record(i, t.encode(), kind="conversion")) for i, t in enumerate(texts))
    (tmp_path / "a.warc.wet.gz").write_bytes(data)
    rows = read(SourceConfig(name="w", path=str(tmp_path)), tmp_path)
    assert [(r["kind"], r["body"].decode()) for r in rows] == [("text", t) for t in texts]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_json_lines(tmp_path: Path, suffix: str) -> None:
    lines = ['{"text": "你好 world", "url": "u1", "date": "2020-01-01", "title": "T"}', "", "{broken", '{"no": 1}', "[1]",
             '{"html": "<p>页</p>", "license": "MIT"}']  # fmt: skip
    data = "\n".join(lines).encode()
    pack = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    (tmp_path / f"a.jsonl{suffix}").write_bytes(pack(data))
    rows = read(SourceConfig(name="j", path=str(tmp_path)), tmp_path)
    assert [(r["kind"], r["error"]) for r in rows] == [
        ("text", None), ("html", "broken: not JSON"), ("html", "broken: neither text nor html"),
        ("html", "broken: not a JSON object"), ("html", None),
    ]  # fmt: skip
    assert rows[0]["body"].decode() == "你好 world"
    assert (rows[0]["url"], rows[0]["date"], json.loads(rows[0]["meta"])["title"]) == ("u1", "2020-01-01", "T")
    assert rows[4]["license"] == "MIT"


def test_a_cut_gzip_of_json_lines_keeps_what_came_before(tmp_path: Path) -> None:
    data = gzip.compress(b"".join(json.dumps({"text": f"{i} {os.urandom(400).hex()} 文"}).encode() + b"\n" for i in range(200)))
    (tmp_path / "a.jsonl.gz").write_bytes(data[:-2000])
    rows = read(SourceConfig(name="j", kind="jsonl", path=str(tmp_path)), tmp_path)
    assert len(rows) > 100
    assert rows[-1]["error"].startswith("broken: ")
    assert all(r["error"] is None for r in rows[:-1])


def test_damaged_gzip_is_one_row_and_no_traceback(tmp_path: Path) -> None:
    lines = b"".join(json.dumps({"text": f"{i} 文 {random.Random(i).random()}"}).encode() + b"\n" for i in range(20_000))
    packed = gzip.compress(lines)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[:-4000] + bytes(b ^ 0x5A for b in packed[-4000:-3900]) + packed[-3900:])
    rows = read(SourceConfig(name="j", path=str(tmp_path)), tmp_path)
    assert len(rows) > 1000
    assert rows[0]["error"] is None
    assert rows[-1]["error"].startswith("broken: ")
    (tmp_path / "head.jsonl.gz").write_bytes(packed[:12] + bytes(b ^ 0x5A for b in packed[12:60]) + packed[60:])
    with pytest.raises(DataError, match=r"none of .*1 page"):
        read(SourceConfig(name="h", path=str(tmp_path / "head.jsonl.gz")), tmp_path)


def test_a_packed_page_is_unpacked(tmp_path: Path) -> None:
    texts = {"a.html.gz": "<html><p>一页 a page", "b.txt.gz": "一段 a paragraph", "c.html.zst": "<html><p>又一页 another"}
    for name, text in texts.items():
        data = text.encode()
        (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else zstandard.compress(data))
        (row,) = read(SourceConfig(name=name[0], path=str(tmp_path / name)), tmp_path)
        assert (row["body"].decode(), row["kind"], row["error"]) == (text, "text" if "txt" in name else "html", None)
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "bomb.html.gz").write_bytes(gzip.compress(b"<html>" + b"x" * 3_000_000))
    (tmp_path / "large" / "good.html").write_text("<html>好")
    config = SourceConfig(name="x", kind="text", category="code", path=str(tmp_path / "large"), max_body_mb=1.0)
    rows = read(config, tmp_path)
    assert [(r["error"], r["body"]) for r in rows if r["error"]] == [("too large: more than 1 MB", b"")]


def test_lone_surrogates_do_not_stop_the_reading(tmp_path: Path) -> None:
    records = [
        r'{"text": "好 \ud800 good", "url": "http://x/\ud800", "title": "\ud801", "date": "\ud802", "license": "\ud803"}',
        '{"text": "文 text"}',
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(records))
    rows = read(SourceConfig(name="j", path=str(tmp_path / "a.jsonl")), tmp_path)
    assert [r["body"].decode() for r in rows] == ["好 ? good", "文 text"]
    assert rows[0]["url"] == r"http://x/\ud800"
    assert json.loads(rows[0]["meta"])["title"] == r"\ud801"


def test_names_that_are_no_utf8_and_links_to_nothing(tmp_path: Path) -> None:
    folder = web(tmp_path / "web", 1)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.html")).write_text("<p>page 页")
    (folder / "gone.html").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.html")
    rows = read(SourceConfig(name="h", path=str(folder)), tmp_path)
    assert [r["body"].decode() for r in rows if r"\udcff.html" in r["url"]] == ["<p>page 页"]
    assert not any("gone" in r["url"] or "pipe" in r["url"] for r in rows)


def test_parquet_with_other_bytes_in_a_string_column(tmp_path: Path) -> None:
    bodies = ["中文的一页".encode("gbk"), b"plain"]
    data, offsets = pa.py_buffer(b"".join(bodies)), pa.py_buffer(struct.pack("<3i", 0, len(bodies[0]), sum(map(len, bodies))))
    column = pa.StringArray.from_buffers(2, offsets, data)
    pq.write_table(pa.table({"text": column, "url": ["http://x/一", None]}), tmp_path / "a.parquet")
    rows = read(SourceConfig(name="p", path=str(tmp_path)), tmp_path)
    assert [(r["body"], r["url"], r["error"]) for r in rows] == [
        (bodies[0], "http://x/一", None),
        (b"plain", "a.parquet#2", None),
    ]


def test_a_json_array_is_its_records(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "一"}, {"text": "two"}]')
    rows = read(SourceConfig(name="j", path=str(tmp_path)), tmp_path)
    assert [(r["body"].decode(), r["error"]) for r in rows] == [("一", None), ("two", None)]


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["一", None, "three"], "url": ["a", "b", "c"], "x": [1, 2, 3]}), tmp_path / "t.parquet")
    rows = read(SourceConfig(name="p", path=str(tmp_path), category="books"), tmp_path)
    assert [(r["body"].decode(), r["error"]) for r in rows] == [
        ("一", None), ("", "broken: neither text nor html"), ("three", None)
    ]  # fmt: skip
    pq.write_table(pa.table({"x": [1]}), tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"column.*'text'.*'html'"):
        read(SourceConfig(name="q", path=str(tmp_path)), tmp_path)


def web(folder: Path, pages: int = 4) -> Path:
    for lang, word in (("en", "page"), ("zh", "页面")):
        for i in range(pages):
            path = folder / "site" / lang / f"a{i}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"<!doctype html><p>{word} {i}</p>")
    (folder / "style.css").write_text("p {}")
    return folder


def test_html_folders_pair_their_languages(tmp_path: Path) -> None:
    rows = read(SourceConfig(name="h", path=str(web(tmp_path / "web"))), tmp_path)
    assert len(rows) == 8
    pairs = [json.loads(r["meta"])["pair"] for r in rows]
    assert pairs[:4] == pairs[4:] == [f"site/a{i}.html" for i in range(4)]
    some = read(SourceConfig(name="few", path=str(tmp_path / "web"), max_pages=4), tmp_path)
    assert len({json.loads(r["meta"])["pair"] for r in some}) == 2


def test_any_number_of_workers_writes_the_same_bytes(tmp_path: Path) -> None:
    config = SourceConfig(name="py", kind="stdlib", category="code", max_pages=900)
    assert read(config, tmp_path, 0) == read(config, tmp_path, 2)
    one, two = (Store(tmp_path / f"out-py-{w}") for w in (0, 2))
    assert [one.describe(n) for n in one.names("pages")] == [two.describe(n) for n in two.names("pages")]


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("/usr/share/libreoffice/help/en-US/text/a.html", "/usr/share/libreoffice/help/zh-CN/text/a.html"),
        ("/usr/share/debian-reference/ch01.en.html", "/usr/share/debian-reference/ch01.zh-cn.html"),
        ("/usr/share/doc/maint-guide/html/x.en.html", "/usr/share/doc/maint-guide-zh-cn/html/x.zh-cn.html"),
        ("/usr/share/doc/debian/FAQ/x.en.html", "/usr/share/doc/debian/FAQ/zh-cn/x.zh-cn.html"),
        ("site/en/x.html", "site/zh/x.html"),
    ],
)
def test_pairs(english: str, chinese: str) -> None:
    assert pair_of(english)[0] == "en"
    assert pair_of(chinese)[0] == "zh-Hans"
    assert pair_of(english)[1] == pair_of(chinese)[1] != ""


def test_pairs_of_other_paths() -> None:
    assert pair_of("/a/ch01.ja.html") == ("other", "")
    assert pair_of("/a/ch01.zh-tw.html")[0] == "zh-Hant"
    assert pair_of("/a/token/entry.html") == ("", "")
    assert pair_of("/a/one.en.html")[1] != pair_of("/a/two.en.html")[1]


def test_large_pages_are_not_read(tmp_path: Path) -> None:
    folder = web(tmp_path / "web", 1)
    (folder / "big.html").write_text("<p>" + "大" * 2000)
    (folder / "big.jsonl").write_text(json.dumps({"text": "x" * 3000}) + "\n" + json.dumps({"text": "小 small"}))
    for name, path in (("h", folder), ("j", folder / "big.jsonl")):
        rows = read(SourceConfig(name=name, path=str(path), max_body_mb=0.002), tmp_path)
        large = [r for r in rows if r["error"]]
        assert [(r["error"], r["body"]) for r in large] == [("too large: more than 0.002 MB", b"")]


def test_a_source_of_which_nothing_can_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "坏.jsonl").write_text("{broken\n{also broken\n")
    with pytest.raises(DataError, match=r"坏\.jsonl.*none of .*2 pages"):
        read(SourceConfig(name="j", kind="jsonl", path=str(tmp_path / "坏.jsonl")), tmp_path)


def test_text_and_code(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "a.txt").write_text("第一段\n\nsecond")
    (tmp_path / "t" / "b.py").write_text("x = 1  # 注")
    assert [r["kind"] for r in read(SourceConfig(name="t", path=str(tmp_path / "t")), tmp_path)] == ["text"]
    code = SourceConfig(name="c", kind="text", category="code", path=str(tmp_path / "t"))
    assert [r["kind"] for r in read(code, tmp_path)] == ["code", "code"]


def test_standard_library(tmp_path: Path) -> None:
    rows = read(SourceConfig(name="py", kind="stdlib", category="code", max_pages=30), tmp_path)
    assert len(rows) == 30
    assert all(r["kind"] == "code" and r["license"] == "PSF-2.0" and len(r["body"]) >= 200 for r in rows)


def test_identity_follows_names_and_contents(tmp_path: Path) -> None:
    config = SourceConfig(name="h", path=str(web(tmp_path / "web")))
    first = find(config, tmp_path).identity
    assert find(config, tmp_path).identity == first
    page = tmp_path / "web" / "site" / "zh" / "a0.html"
    old = page.read_text()
    page.write_text(old.replace("0", "9"))
    second = find(config, tmp_path).identity
    page.write_text(old)
    page.rename(page.with_name("b0.html"))
    third = find(config, tmp_path).identity
    assert len({first, second, third}) == 3


def test_a_remote_path(tmp_path: Path) -> None:
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe_file("/bucket/a.jsonl.gz", gzip.compress('{"text": "远方 far"}\n'.encode()))
    rows = read(SourceConfig(name="m", path="memory://bucket"), tmp_path)
    assert [r["body"].decode() for r in rows] == ["远方 far"]


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'gone'.*does not exist"):
        find(SourceConfig(name="gone", path=str(tmp_path / "nowhere")), tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="'none': no"):
        find(SourceConfig(name="none", path=str(tmp_path / "empty")), tmp_path)
    (tmp_path / "empty" / "a.html").write_text("")
    with pytest.raises(DataError, match=r"'void'.*empty"):
        find(SourceConfig(name="void", path=str(tmp_path / "empty")), tmp_path)
    with pytest.raises(ConfigError, match=r"two .*'x'"):
        resolve([SourceConfig(name="x", kind="stdlib")] * 2, cache=tmp_path, samples=tmp_path, progress=QUIET)
    with pytest.raises(ConfigError, match="no sources"):
        resolve([], cache=tmp_path, samples=tmp_path, progress=QUIET)
    with pytest.raises(ConfigError, match="set 'path'"):
        SourceConfig(name="x")
    with pytest.raises(StorageError, match="cannot open"):
        find(SourceConfig(name="s", path="nosuchprotocol://x"), tmp_path)


def test_policies() -> None:
    config = SourceConfig(name="d", kind="stdlib", languages=("en",), exempt=("quality",))
    assert policies([config]) == {"d": SourcePolicy(("en",), ("quality",))}
