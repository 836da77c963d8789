"""Hostile and broken input ends in a row with its reason or a clear error; what is good beside it is read."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import random
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.corpus.sources.server import record

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.records import PAGE
from skyloom.core.store import Store
from skyloom.corpus.sources import stage as sources
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.file_kinds import FILE_KINDS
from skyloom.corpus.sources.readers import byte_streams
from skyloom.corpus.sources.readers.byte_streams import BombError, File, split
from skyloom.corpus.sources.readers.hosts import load
from skyloom.corpus.sources.readers.rows import About, not_text
from skyloom.corpus.sources.readers.web_archives import http as sources_http
from skyloom.corpus.sources.readers.web_archives import warc as sources_warc
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()
BOMB = "decompression bomb: unpacks to more than 300 times its size"
ZEROS = bytes(80_000_000)


def read(out: Path, **config: Any) -> list[dict[str, Any]]:
    source = SourceConfig(**{"name": "s", **config})
    found = resolve([source], cache=out / "cache", samples=out / "samples", progress=QUIET)
    store = Store(out / "pages")
    store.remove("")
    fetch(found, store, engine=Engine(0), progress=QUIET)
    rows = [r for n in store.names("pages-") for r in store.read_table(n).to_pylist()]
    assert len({r["id"] for r in rows}) == len(rows)
    return rows


PACKS = {"gz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress}


@pytest.mark.parametrize("suffix", PACKS)
def test_a_bomb_among_files(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"bomb.html.{suffix}").write_bytes(PACKS[suffix](ZEROS))
    (tmp_path / "in" / f"good.html.{suffix}").write_bytes(PACKS[suffix]("<p>好 good".encode()))
    rows = read(tmp_path / "out", path=str(tmp_path / "in"), kind="html", max_body_mb=100.0)
    assert [(r["error"], r["body"].decode()) for r in rows] == [(BOMB, ""), (None, "<p>好 good")]
    rows = read(tmp_path / "out", path=str(tmp_path / "in"), kind="html", max_body_mb=1.0)
    assert [r["error"] for r in rows] == ["too large: more than 1 MB", None]


@pytest.mark.parametrize("suffix", PACKS)
@pytest.mark.parametrize("line", [b"x", b'{"text": "again and again, \xe5\x8f\x88"}\n'])
def test_a_bomb_of_json_lines_keeps_what_comes_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, line: bytes
) -> None:
    monkeypatch.setattr(byte_streams, "_FREE", 1_000_000)
    good = b'{"text": "\xe4\xb8\x80 one"}\n'
    (tmp_path / f"a.jsonl.{suffix}").write_bytes(PACKS[suffix](good + line * (4_000_000 // len(line))))
    rows = read(tmp_path / "out", path=str(tmp_path / f"a.jsonl.{suffix}"), max_ratio=50.0, max_body_mb=0.1)
    assert rows[0]["body"].decode() == "一 one"
    assert rows[-1]["error"] == BOMB.replace("300", "50")
    assert {r["error"] for r in rows[1:-1]} <= {None, "too large: more than 0.1 MB"}


def test_a_bomb_in_a_web_archive(tmp_path: Path) -> None:
    pages = [record(f"http://x/{i}", f"<p>第{i}页 page</p>".encode()) for i in range(3)]
    members = [gzip.compress(p) for p in pages]
    bomb = gzip.compress(record("http://x/bomb", ZEROS))
    (tmp_path / "a.warc.gz").write_bytes(members[0] + bomb + members[1] + bomb + members[2])
    for limit in (1.0, 16.0, 200.0):
        rows = read(tmp_path / f"o{limit}", path=str(tmp_path / "a.warc.gz"), max_body_mb=limit)
        assert [r["error"] for r in rows] == [None, BOMB, None, BOMB, None]
        assert [r["body"].decode() for r in rows if not r["error"]] == [f"<p>第{i}页 page</p>" for i in range(3)]


ENCODINGS = {
    "gzip": gzip.compress, "deflate": zlib.compress, "br": lambda d: brotli.compress(d, quality=5), "zstd": zstandard.compress,
    "gzip, br": lambda d: brotli.compress(gzip.compress(d), quality=5), "identity": bytes,
}  # fmt: skip
HTML = "<html><p>一页 a page".encode() + bytes(str(list(range(500))), "ascii")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("chunked", [False, True])
def test_encoded_bodies(tmp_path: Path, encoding: str, chunked: bool) -> None:
    body = ENCODINGS[encoding](HTML)
    headers = f"Content-Encoding: {encoding}\r\n"
    if chunked:
        body = b"%x\r\n%s\r\n%x;ext\r\n%s\r\n0\r\n\r\n" % (10, body[:10], len(body) - 10, body[10:])
        headers += "Transfer-Encoding: chunked\r\n"
    records = [record("http://x/1", body, headers=headers), record("http://x/2", HTML, headers=headers)]
    (tmp_path / "a.warc.gz").write_bytes(b"".join(gzip.compress(r) for r in records))
    rows = read(tmp_path / "o", path=str(tmp_path / "a.warc.gz"))
    assert [(r["error"], r["body"]) for r in rows] == [(None, HTML), (None, HTML)]  # the second is not what its headers say


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_encoded_bombs_and_cuts(encoding: str) -> None:
    packed = ENCODINGS[encoding](ZEROS)
    with pytest.raises(BombError):
        sources_http.decoded(packed, encoding, "", 100_000_000, 300)
    with pytest.raises((sources_http.TooLargeError, BombError)):
        sources_http.decoded(packed, encoding, "", 1_000, 300)
    with pytest.raises(sources_http.TooLargeError):
        sources_http.decoded(ENCODINGS[encoding](HTML), encoding, "", 1_000, 300)
    cut = ENCODINGS[encoding](HTML)[:-9]
    if encoding == "zstd":  # a frame that is cut in its only block gives nothing
        with pytest.raises((ValueError, EOFError)):
            sources_http.decoded(cut, encoding, "", 100_000, 300)
    else:
        assert HTML.startswith(sources_http.decoded(cut, encoding, "", 100_000, 300))


@given(
    st.binary(max_size=60),
    st.sampled_from(["gzip", "deflate", "br", "zstd", "", "x, gzip", ",,"]),
    st.sampled_from(["", "chunked"]),
)
def test_any_body_is_decoded_or_told(body: bytes, content: str, transfer: str) -> None:
    try:
        assert len(sources_http.decoded(body, content, transfer, 1000, 300)) <= 1000
    except (*byte_streams.BROKEN, ValueError) as problem:
        assert byte_streams.reason_of(problem)


@pytest.mark.parametrize("form", ["members", "plain", "zstd", "one stream"])
def test_a_web_archive_cut_in_half(tmp_path: Path, form: str) -> None:
    pages = [record(f"http://x/{i}", f"<p>第{i}页 {random.Random(i).randbytes(3000).hex()}".encode()) for i in range(40)]
    data = {
        "members": b"".join(map(gzip.compress, pages)), "plain": b"".join(pages),
        "zstd": b"".join(zstandard.compress(p) for p in pages), "one stream": gzip.compress(b"".join(pages)),
    }[form]  # fmt: skip
    (tmp_path / "a.warc.gz").write_bytes(data[: len(data) // 2 + 100])
    rows = read(tmp_path / "o", path=str(tmp_path / "a.warc.gz"), kind="warc")
    assert rows[-1]["error"].startswith("broken: ")
    assert [r["url"] for r in rows[:-1]] == [f"http://x/{i}" for i in range(len(rows) - 1)]
    assert len(rows) >= 15
    assert all(r["error"] is None for r in rows[:-1])


@pytest.mark.parametrize("damage", [None, 3, 7])
def test_ranges_of_an_archive_share_its_members(tmp_path: Path, damage: int | None) -> None:
    packed = [
        gzip.compress(record(f"http://x/{i}", f"<p>第{i}页 {random.Random(i).randbytes(400).hex()}".encode())) for i in range(12)
    ]
    if damage is not None:
        packed[damage] = packed[damage][:50] + b"\xff" * 40 + packed[damage][90:]
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(packed))
    file, about = File(str(path), "a.warc.gz", path.stat().st_size), About("s", "web", None, 10**6)
    whole = list(sources_warc.pages(file, about))
    assert len(whole) == 12
    assert sum(r["error"] is not None for r in whole) == (damage is not None)
    for size in (1, 300, 999, 10**9):
        rows = [r for part in split(file, size) for r in sources_warc.pages(part, about)]
        assert [r for r in rows if not r["error"]] == [r for r in whole if not r["error"]]
        assert len(rows) == 12 or damage is not None


def test_zstd_archives_with_a_dictionary(tmp_path: Path) -> None:
    pages = [
        record(f"http://x/{i}", f"<html><body><p>第{i}页 a page of the site</p></body></html>".encode() * 3) for i in range(300)
    ]
    trained = zstandard.train_dictionary(4096, pages)
    plain = trained.as_bytes()
    packer = zstandard.ZstdCompressor(dict_data=trained)
    for stored in (plain, zstandard.compress(plain)):
        head = (0x184D2A5D).to_bytes(4, "little") + len(stored).to_bytes(4, "little") + stored
        (tmp_path / "a.warc.zst").write_bytes(head + b"".join(packer.compress(p) for p in pages))
        rows = read(tmp_path / "o", path=str(tmp_path / "a.warc.zst"), kind="warc")
        assert [r["url"] for r in rows] == [f"http://x/{i}" for i in range(300)]
        assert {r["error"] for r in rows} == {None}


@pytest.mark.parametrize("kind", ["html", "jsonl", "warc", "tar", "mediawiki"])
def test_a_document_of_200_mb_is_told_and_not_held(tmp_path: Path, kind: str) -> None:
    size = 200_000_000
    path = tmp_path / "in" / {"html": "a.html", "jsonl": "a.jsonl", "warc": "a.warc", "tar": "a.tar", "mediawiki": "a.xml"}[kind]
    path.parent.mkdir()
    small = "<p>小 small</p>".encode()
    with path.open("wb") as file:
        if kind == "html":
            file.truncate(size)
        elif kind == "jsonl":
            file.write(b'{"text": "' + b"x" * size + '"}\n{"text": "<p>小 small</p>"}\n'.encode())
        elif kind == "warc":
            head, _, tail = record("http://x/", b"~" * 100).partition(b"~" * 100)
            http = len(record("http://x/", b"~" * 100).split(b"\r\n\r\n", 1)[1]) - 4
            file.write(head.replace(b"Content-Length: %d" % http, b"Content-Length: %d" % (http - 100 + size)))
            file.seek(size, io.SEEK_CUR)
            file.write(tail + record("http://x/small", small))
        elif kind == "tar":
            import tarfile

            with tarfile.open(fileobj=file, mode="w") as archive:
                for name, length in (("a.html", size), ("b.html", len(small))):
                    info = tarfile.TarInfo(name)
                    info.size = length
                    file.write(info.tobuf())
                    file.write(small) if length < size else file.seek(size, io.SEEK_CUR)
                    file.seek(-length % 512, io.SEEK_CUR)
                archive.offset = file.tell()
        else:
            page = b"<page><title>T</title><ns>0</ns><id>%d</id><revision><model>wikitext</model><text>%s</text></revision></page>"
            file.write(b"<mediawiki>" + page % (1, b"x" * size) + page % (2, "小 small".encode()) + b"</mediawiki>")
    if kind == "html":
        (tmp_path / "in" / "b.html").write_bytes(small)
    tracemalloc.start()
    rows = read(tmp_path / "out", path=str(tmp_path / "in"), kind=kind)
    assert tracemalloc.get_traced_memory()[1] < 150_000_000
    tracemalloc.stop()
    assert [r["error"] for r in rows] == ["too large: more than 16 MB", None]
    assert rows[0]["body"] == b""
    assert "小 small" in rows[1]["body"].decode()


BODIES = {
    "PDF": b"%PDF-1.7\n...", "PNG": b"\x89PNG\r\n\x1a\n", "null bytes": bytes(3000), "ZIP": b"PK\x03\x04", "Office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "media": b"RIFF\x00\x00\x00\x00WEBPVP8 ", "JPEG": b"\xff\xd8\xff\xe0\x00\x10JFIF",
}  # fmt: skip


@pytest.mark.parametrize("what", BODIES)
def test_what_is_called_html_and_is_not(tmp_path: Path, what: str) -> None:
    body = BODIES[what]
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "a.html").write_bytes(body)
    (tmp_path / "w" / "b.html").write_text("<p>真的 really")
    (tmp_path / "a.warc.gz").write_bytes(
        gzip.compress(record("http://x/a", body)) + gzip.compress(record("http://x/b", "<p>真的".encode()))
    )
    for path in (tmp_path / "w", tmp_path / "a.warc.gz"):
        rows = read(tmp_path / "o", path=str(path), kind="auto" if path.suffix else "html")
        assert [r["error"] for r in rows] == [f"not text: {what}", None]
        assert rows[0]["body"] == b""
        assert json.loads(rows[0]["meta"])["size"] == len(body)


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=200),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "gb18030"]),
)
def test_text_in_any_charset_is_text(text: str, charset: str) -> None:
    if not text.lstrip(" \t\r\n\ufeff").startswith(("%", "{", "B", "G", "P", "R", "w", "S", "O", "I", "f", "7")):
        assert not_text(text.encode(charset)) in ("", "media") and ("ftyp" in text or not_text(text.encode(charset)) == "")


@pytest.mark.parametrize(
    "text", ["<html><p>Plain English text, and more of it.</p></html>", "<html><p>中文的一页</p><a href=x>链接</a></html>"]
)
def test_utf_16_without_a_mark_is_text(text: str) -> None:
    assert not_text(b"BZh91AY&SY") == "bzip2"
    assert not_text(text.encode("utf-16-le")) == not_text(text.encode("utf-16-be")) == ""


def test_rows_without_text_missing_and_empty_files(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text('{"text": null}\n{"url": "u"}\n{"text": ""}\n{"text": "好 good"}\n')
    (folder / "empty.jsonl").write_bytes(b"")
    (folder / "empty.jsonl.gz").write_bytes(gzip.compress(b""))
    rows = read(tmp_path / "o", path=str(folder))
    assert [(r["error"], r["body"].decode()) for r in rows] == [
        ("broken: neither text nor html", ""), ("broken: neither text nor html", ""), (None, ""), (None, "好 good")
    ]  # fmt: skip
    found = resolve([SourceConfig(name="s", path=str(folder))], cache=tmp_path, samples=tmp_path, progress=QUIET)
    (folder / "a.jsonl").unlink()
    out = Store(tmp_path / "gone")
    with pytest.raises(StorageError, match="is gone"):
        fetch(found, out, engine=Engine(0), progress=QUIET)
    assert not out.exists("sources.json")


def test_bad_utf8_is_kept_for_the_vote_on_charsets(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("好\xff".encode("latin-1", "replace") + b"\xff\xfe good")
    (tmp_path / "b.jsonl").write_bytes(b'{"text": "\xff\xfe"}\n{"text": "\xe5\xa5\xbd"}\n')
    assert read(tmp_path / "o", path=str(tmp_path / "a.txt"))[0]["error"] is None
    assert [r["error"] for r in read(tmp_path / "o", path=str(tmp_path / "b.jsonl"))] == ["broken: not JSON", None]


def test_small_records_make_shards_of_bounded_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SHARD_ROWS", 1000)
    monkeypatch.setattr(sources, "RANGE_BYTES", 60_000)
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"text": f"第{i}行" + "x" * (i % 90 if i % 500 else 30_000)}) + "\n" for i in range(5000))
    )
    config = SourceConfig(name="s", path=str(tmp_path / "a.jsonl"), shard_mb=0.02)
    found = resolve([config], cache=tmp_path, samples=tmp_path, progress=QUIET)
    out = Store(tmp_path / "pages")
    (summary,) = fetch(found, out, engine=Engine(0), progress=QUIET)
    tables = [out.read_table(n) for n in out.names("pages-")]
    assert all(t.schema == PAGE for t in tables)
    sizes = [(t.num_rows, sum(len(b) for b in t.column("body").to_pylist())) for t in tables]
    assert all(rows <= 1000 and (size <= 20_000 or rows == 1) for rows, size in sizes)
    assert sum(rows for rows, _ in sizes) == summary["pages"] == 5000
    assert [b.decode()[: len(f"第{i}行")] for i, b in enumerate(b for t in tables for b in t.column("body").to_pylist())] == [
        f"第{i}行" for i in range(5000)
    ]


@pytest.mark.parametrize("usual", [True, False])
def test_long_addresses_and_notes_make_shards_of_bounded_size(tmp_path: Path, usual: bool) -> None:
    """They fill a shard as bodies do: a column of all of them must stay below 2 GiB. `usual`: records that are read as a table."""
    records: list[dict[str, Any]] = [
        {"text": f"第{i}页 page", "url": "https://例.cn/" + "a" * (i % 7 * 3000), "title": "题" * (i % 5 * 1000)}
        for i in range(200)
    ]
    records[50] = {"text": "一 one", "url": "u" * 400_000}
    if not usual:
        records = [{**record, "license": ["x"]} for record in records]  # no string: read line by line
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    config = SourceConfig(name="s", path=str(tmp_path / "a.jsonl"), shard_mb=0.05)
    out = Store(tmp_path / "pages")
    fetch(resolve([config], cache=tmp_path, samples=tmp_path, progress=QUIET), out, engine=Engine(0), progress=QUIET)
    rows = [out.read_table(name).to_pylist() for name in out.names("pages-")]
    free = 4096  # characters beside its body that a page may have
    names = [sum(max(sum(len(r[n] or "") for n in ("url", "date", "license", "meta")) - free, 0) for r in part) for part in rows]
    assert len(rows) > 20 and all(size <= 50_000 or len(part) == 1 for part, size in zip(rows, names, strict=True))
    assert [r["body"].decode() for part in rows for r in part] == [r["text"] for r in records]


def test_a_limit_on_pages_holds_for_tables(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": f"第{i}行"}) + "\n" for i in range(100)))
    assert len(read(tmp_path / "o", path=str(tmp_path / "a.jsonl"), max_pages=37)) == 37


def test_hosts_and_categories(tmp_path: Path) -> None:
    own = load()
    cases = {"https://zh.wikipedia.org/wiki/茶": "encyclopedia", "http://www.zhihu.com:80/q": "social", "arxiv.org/abs/1": "papers",
             "https://notarxiv.org/": "web", "http://[bad": "web", "": "web", "文": "web", "https://WWW.GUTENBERG.ORG./x": "books"}  # fmt: skip
    assert {u: own.category(u, "web") for u in cases} == cases
    mine = tmp_path / "hosts.toml"
    mine.write_text('social = ["arxiv.org"]\nbooks = [".Example.COM"]\n')
    assert load(str(mine)).category("http://a.example.com/", "web") == "books"
    assert load(str(mine)).category("http://arxiv.org/", "web") == "social"
    (tmp_path / "a.warc.gz").write_bytes(
        b"".join(gzip.compress(record(u, "<p>茶 tea".encode())) for u in ("http://a.example.com/", "http://b.example.org/"))
    )
    config = {"path": str(tmp_path / "a.warc.gz"), "category": "auto", "hosts": str(mine)}
    assert [r["category"] for r in read(tmp_path / "o", **config)] == ["books", "web"]
    for bad, message in (
        ('books = "x"', "list"),
        ('nothing = ["x.org"]', "unknown category"),
        ('web = ["x.org"]\nbooks = ["x.org"]', "both"),
    ):
        mine.write_text(bad)
        with pytest.raises(ConfigError, match=message):
            resolve([SourceConfig(name="s", **config)], cache=tmp_path, samples=tmp_path, progress=QUIET)


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=300), st.sampled_from(FILE_KINDS), st.booleans())
def test_any_bytes_as_any_kind(tmp_path_factory: pytest.TempPathFactory, data: bytes, kind: str, pack: bool) -> None:
    """Rows or a DataError, whatever a file holds."""
    folder = tmp_path_factory.mktemp("any")
    name = {"parallel": "a.po", "latex": "a.tex"}.get(kind, f"a.{kind}")
    (folder / name).write_bytes((gzip.compress(data) if pack else data) or b"x")
    try:
        rows = read(folder / "o", path=str(folder / name), kind=kind)
    except DataError:
        return
    assert rows
