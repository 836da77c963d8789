"""A hostile index and a hostile store of records: everything ends in pages, counted reasons or one sentence, within bounds."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.corpus.sources.server import Site, record, serve

from skyloom.core.config import build
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources import commoncrawl_http
from skyloom.corpus.sources.commoncrawl import CrawlConfig, CrawlSummary, fetch_common_crawl
from skyloom.corpus.sources.commoncrawl_http import LARGEST, SLOWEST, CrawlClient, HttpError, _Budget, _Metered, origin
from skyloom.corpus.sources.commoncrawl_index import LINES, PAGES, page_count, read_records

QUIET = Progress.silent()
CRAWL = "CC-MAIN-2023-23"
ARCHIVE = "crawl-data/a.warc.gz"
DEEP = "[" * 50_000 + "]" * 50_000


def site(pages: int = 6, name: str = ARCHIVE) -> Site:
    """A site with English and Chinese pages."""
    archive, index = b"", []
    for i in range(pages):
        lang, word = (("eng", "page"), ("zho", "页面"))[i % 2]
        member = gzip.compress(record(f"http://example.org/{lang}/{i}", f"<p>{word} {i}</p>".encode()))
        place = {"offset": str(len(archive)), "length": str(len(member)), "filename": name}
        index.append({"url": f"http://example.org/{lang}/{i}", "status": "200", "languages": lang, **place})
        archive += member
    return Site(files={f"/{name}": archive}, index={CRAWL: index}, page_size=100)


def config(index: str, data: str = "", **more: Any) -> CrawlConfig:
    table = {
        "crawl": CRAWL,
        "domains": ["example.org"],
        "pages": 100,
        "pages_a_file": 4,
        "pause_s": 0,
        "retries": 1,
        "timeout_s": 600,
    }
    return build(CrawlConfig, {**table, "index_url": index, "data_url": data or index, **more}, origin="test")


def fetched(found: Site, out: Path, **more: Any) -> CrawlSummary:
    return fetch_common_crawl(config(found.url, **more), Store(out), progress=QUIET)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(commoncrawl_http.time, "sleep", waits.append)
    return waits


@contextlib.contextmanager
def sending(*parts: bytes, endless: bytes = b"") -> Iterator[tuple[str, list[int]]]:
    """A server that gives everyone the same bytes, the last of them for ever; its address, and the bytes that it sent to each."""
    sent: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def run() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                sent.append(0)
                with connection, contextlib.suppress(OSError):
                    connection.recv(1 << 16)
                    for part in itertools.chain(parts, itertools.repeat(endless) if endless else ()):
                        connection.sendall(part)
                        sent[-1] += len(part)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", sent
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(60)


def line(**changed: Any) -> bytes:
    good = {"url": "http://例子.cn/页", "filename": ARCHIVE, "offset": "0", "length": "7", "status": "200"}
    return json.dumps({k: v for k, v in {**good, **changed}.items() if v is not ...}).encode()


BAD_PLACE = ["²", "٣", "三", "9" * 6000, "-1", "+1", "1.0", "1e3", "inf", "nan", " 1", "1_0", "0x1"]
BAD_LINES = {
    "index line not JSON": [
        DEEP[:60_000].encode(), b"{", b"\xff\xfe", b"Internal error", b'{"offset": ' + b"9" * 6000 + b"}", b'"\xed\xa0\x80"',
        "{\"url\": \"页".encode(), "页面".encode("gb18030"), b'{"a":' * 5_000,
    ],
    "index line not a record": [
        b"1", b"null", b'"text"', b"[]", b"1e999", line(url=...), line(filename=""), line(offset=None), line(length=[]), line(url={}),
        line(offset=True), line(length=float("inf")), line(length=1.5), line(url="http://a/\ud800"), line(filename="页\udfff"),
        line(status=["200"]), line(languages={"eng": 1}), line(digest="\ud800"), b'{"url": ' + DEEP[:100].encode() + DEEP[-100:].encode() + b"}",
    ],
    "index record without a place": [line(offset=b) for b in BAD_PLACE] + [line(length=b) for b in (*BAD_PLACE, "0", 0, -1)],
    "index record without a file name": [
        line(filename=b) for b in ("a\r\nHost: b", "a\x00b", "..", "../a", "a/../b", "a/./b", "x" * 1025, "\x7f")
    ],
    "index line too long": [line(url="x" * 70_000), b" " * 70_000, DEEP.encode()],
}  # fmt: skip


@pytest.mark.parametrize("reason", BAD_LINES)
def test_lines_that_are_no_records_are_counted(reason: str) -> None:
    good = [line(), line(offset=3, length=10**14, languages=None), line(filename="数据/页 1.warc.gz"), b"", line(offset="007")]
    for bad in BAD_LINES[reason]:
        records, refused = read_records(b"\n".join([*good, bad, *good]))
        assert len(records) == 8 and refused == {reason: 1}, bad[:80]
        assert all(isinstance(value, str) for found in records for value in found.values())


def test_no_answer_has_more_lines_than_a_page_of_the_index() -> None:
    records, refused = read_records(b"1\n" * (LINES + 5) + line())
    assert records == [] and refused == {"index line not a record": LINES, "beyond the lines of an index page": 6}


@pytest.mark.parametrize(
    "answer",
    [
        b'{"pages": 1e999}', b'{"pages": -1}', b'{"pages": true}', b'{"pages": 2.5}', b'{"pages": "3"}', b'{"pages": NaN}', b"{}", b"[]",
        b'{"pages": ' + b"9" * 6000 + b"}", b"\xff", b"", DEEP.encode(), b'{"pages": null}', "{\"页\": 1}".encode(), b'"\\ud800"', b"Infinity",
    ],
)  # fmt: skip
def test_a_page_count_that_is_none(answer: bytes) -> None:
    with pytest.raises(DataError, match="does not say how many pages"):
        page_count(answer, "例子.cn")


def test_a_page_count_that_cannot_be() -> None:
    assert page_count(b"3", "a") == page_count(b'{"pages": 3, "blocks": 9}', "a") == 3
    for count in (PAGES + 1, 10**12, 10**4000):
        with pytest.raises(DataError, match=r"more than 100,000 pages for 例子\.cn"):
            page_count(json.dumps({"pages": count}).encode(), "例子.cn")


def test_what_is_good_of_a_bad_index_is_fetched(tmp_path: Path) -> None:
    found = site()
    good = list(found.index[CRAWL])
    url = {"url": "http://example.org/x"}
    found.index[CRAWL] += [
        {**good[0], **url, "offset": "²"},
        {**good[0], **url, "length": "9" * 6000},
        {**good[0], "filename": 7, "url": {"example.org": 1}},
    ]
    found.index[CRAWL] += [{**good[0], "url": "http://example.org/\ud800页"}]
    with serve(found):
        summary = fetched(found, tmp_path / "cc")
        assert summary["pages"] == 6
        assert summary["failed"] == {"index line not a record": 2, "index record without a place": 2}
        found.asked.clear()
        assert fetched(found, tmp_path / "cc") == summary and found.asked == [], "also of a second call"
        found.index[CRAWL] = [{**good[0], "offset": "三"}]
        with pytest.raises(DataError, match="1 index record without a place"):
            fetched(found, tmp_path / "other")


@pytest.mark.parametrize(
    "name", ["crawl data/页 面.warc.gz", "a%20b?c#d.warc.gz", "http://127.0.0.1:1/x", "@evil.example/a", "a;b&c=d"]
)
def test_any_file_name_is_asked_for_as_it_is(tmp_path: Path, name: str) -> None:
    with serve(site(name=name)) as found:
        assert fetched(found, tmp_path / "cc")["pages"] == 6


def test_a_record_beyond_the_file_does_not_stop_the_others(tmp_path: Path) -> None:
    found = site()
    found.index[CRAWL][1]["length"] = "5000"
    found.index[CRAWL][5]["length"] = "5000"
    found.index[CRAWL][3]["offset"] = "9" * 15
    with serve(found):
        summary = fetched(found, tmp_path / "cc")
    assert summary["pages"] == 3 and sum(summary["failed"].values()) == 3


REDIRECTS = [
    "http://{other}/x", "http://localhost:{port}/x", "http://127.0.0.2:{port}/x", "//{other}/x", "http://{other}@127.0.0.1:{port}/x", "http://[/",
    "https://127.0.0.1:{port}/x", "http://127.0.0.1:22/", "file:///etc/passwd", "ftp://{other}/x", "http://10.0.0.1/", "http://[::1]:{port}/",
    "http://169.254.169.254/latest", "http://例子.cn/", "http://127.0.0.1:{port}:80/", "http://127.0.0.1:99999/", "gopher://a", "\\\\{other}\\x",
]  # fmt: skip


@pytest.mark.parametrize("target", REDIRECTS)
def test_redirects_to_other_hosts_are_refused(tmp_path: Path, target: str) -> None:
    with serve(site()) as other, serve(site()) as found:
        ports = [s.url.rpartition(":")[2] for s in (other, found)]
        location = target.replace("{other}", f"127.0.0.1:{ports[0]}").replace("{port}", ports[1])
        with sending(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()) as (url, sent):
            with pytest.raises(StorageError, match=r"refuses: (redirected to another host|not an address|status 302)"):
                fetch_common_crawl(config(url), Store(tmp_path / "a"), progress=QUIET)
            with pytest.raises(DataError, match=r"none of the 6 pages.*6 (redirected to another host|not an address|status 302)"):
                fetch_common_crawl(config(found.url, url), Store(tmp_path / "b"), progress=QUIET)
            assert len(sent) == 7, "asked once each"
        assert other.asked == [] and len(found.asked) == 2


def test_redirects_to_what_the_user_gave_are_followed(tmp_path: Path) -> None:
    with serve(site()) as found, sending(f"HTTP/1.1 302 Found\r\nLocation: {found.url}/{ARCHIVE}\r\n\r\n".encode()) as (url, _):
        assert fetch_common_crawl(config(found.url, url), Store(tmp_path / "a"), progress=QUIET)["pages"] == 6
    with sending(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n") as (url, sent), pytest.raises(HttpError, match="302"):
        CrawlClient(0, 0, 600, services=[url]).get(url + "/")
    assert 2 <= len(sent) <= 11, "but not for ever"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("parts", "endless"),
    [
        ([b"HTTP/1.1 200 OK\r\n\r\n"], b"0" * 65_536),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"], b"0" * 65_536),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"], b"0" * 65_536),
        ([b"HTTP/1.1 200 OK\r\n"], b"a: b\r\n" * 1000),
        ([b"HTTP/1.1 200 OK\r\n"], b"a" * 65_536),
        ([], b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
        ([], b"x" * 65_536),
        ([CHUNKED], b"10000\r\n" + b"0" * 65_536 + b"\r\n"),
        ([CHUNKED, b"-5\r\n"], b"0" * 65_536),
        ([CHUNKED, b"fffffffffffffff\r\n"], b"0" * 65_536),
        ([CHUNKED, b"0\r\n"], b"a: b\r\n" * 1000),
        ([b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"], b"0" * 65_536),
    ],
)
def test_no_answer_is_read_for_ever(parts: list[bytes], endless: bytes) -> None:
    with sending(*parts, endless=endless) as (url, sent):
        client = CrawlClient(0, 1, 600, services=[url])
        for more in ({"most": 100_000}, {"length": 100_000}):
            with pytest.raises((HttpError, StorageError)):
                client.get(url + "/", **more)
    assert max(sent) < 40_000_000, "what the system's buffers take, and no more"


def test_the_index_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert LARGEST <= 100_000_000
    monkeypatch.setattr(commoncrawl_http.CrawlClient.get, "__kwdefaults__", {**CrawlClient.get.__kwdefaults__, "most": 100_000})
    with sending(b"HTTP/1.1 200 OK\r\n\r\n", endless=b" " * 65_536) as (url, _), pytest.raises(StorageError, match="too large"):
        fetch_common_crawl(config(url), Store(tmp_path / "cc"), progress=QUIET)


class Dripping(io.RawIOBase):
    """A byte at a time."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        buffer[:1] = b"x"
        return 1


def test_a_byte_now_and_then_does_not_keep_an_answer_open(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count(0.0, 1.0)
    monkeypatch.setattr(commoncrawl_http, "_clock", lambda: next(now))
    budget = _Budget(float("inf"))
    budget.begin(10**9, 60.0)
    with pytest.raises(TimeoutError):
        _Metered(Dripping(), budget).readall()
    assert next(now) < 70
    budget.begin(10**9, 60.0)
    for _ in range(1000):
        budget.take(2 * SLOWEST)  # fast enough, however long it takes
    budget = _Budget(end=next(now) + 30)
    budget.begin(10**9, 60.0)
    with pytest.raises(TimeoutError):
        _Metered(Dripping(), budget).readall()


def test_all_requests_together_have_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(site()) as found:
        fetched(found, tmp_path / "easy")
        with monkeypatch.context() as patch:
            now = [0.0]
            asked = commoncrawl_http.CrawlClient._asked
            patch.setattr(commoncrawl_http, "_clock", lambda: now[0])

            def slow(self: CrawlClient, *rest: Any) -> bytes:
                answer = asked(self, *rest)
                now[0] += 600  # after the answer: real sockets wait as long as is left
                return answer

            patch.setattr(commoncrawl_http.CrawlClient, "_asked", slow)
            for _ in range(2):
                with pytest.raises(StorageError, match=r"stopped after 0\.5 hours.*run it again to go on"):
                    fetched(found, tmp_path / "cc", hours=0.5, pages_a_file=1)
            assert fetched(found, tmp_path / "cc", hours=0.5, pages_a_file=1)["pages"] == 6
        with monkeypatch.context() as patch, sending(b"HTTP/1.1 503 Busy\r\n\r\n") as (url, _):
            now = [0.0]
            patch.setattr(commoncrawl_http, "_clock", lambda: now[0])
            patch.setattr(commoncrawl_http.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
            with pytest.raises(StorageError, match="stopped after"):
                fetch_common_crawl(config(url, hours=0.1, retries=20), Store(tmp_path / "waiting"), progress=QUIET)
        assert now[0] < 360, "a pause does not reach beyond it"


@pytest.mark.parametrize("asked", ["²", "9" * 5000, "-1", "1e9", "inf", "nan", "三", "Wed, 21 Oct 2099 07:28:00 GMT", "100000"])
def test_the_pause_that_a_server_asks_for_is_bounded(asked: str, no_waiting: list[float]) -> None:
    answer = f"HTTP/1.1 503 Busy\r\nRetry-After: {asked}\r\n\r\n"
    with sending(answer.encode("utf-8")) as (url, sent), pytest.raises(HttpError, match="503"):
        CrawlClient(0, 3, 600).get(url + "/")
    assert len(sent) == 4 and len(no_waiting) == 3 and all(0 < wait <= 120 for wait in no_waiting)


def test_records_that_unpack_to_too_much(tmp_path: Path) -> None:
    found = site(2)
    bomb = gzip.compress(b"WARC/1.0\r\n" + b"0" * 40_000_000)
    large = gzip.compress(record("http://example.org/large", "".join(f"页面 {i * i} page " for i in range(100_000)).encode()))
    joined = gzip.compress(b"WARC/1.0\r\n") * 2
    nothing = gzip.compress(b"")
    padded = zlib.compressobj(0, zlib.DEFLATED, 31)
    stored = padded.compress(b"WARC/1.0\r\n" + b"x" * 300_000) + padded.flush()
    for name, member in enumerate((bomb, large, joined, nothing, stored, stored[:-1], stored + b"\0" * 70_000, large[:-9])):
        found.files[f"/{name}"] = member
        found.index[CRAWL].append(
            {
                **found.index[CRAWL][0],
                "url": f"http://example.org/{name}",
                "offset": "0",
                "length": str(len(member)),
                "filename": str(name),
            }
        )
    with serve(found):
        summary = fetched(found, tmp_path / "cc")
    assert summary["pages"] == 4 and summary["failed"] == {"record is a decompression bomb": 1, "record is not whole": 5}


@pytest.mark.parametrize(
    "more",
    [
        {"index_url": "file:///etc"}, {"index_url": "ftp://a/"}, {"data_url": "http://"}, {"data_url": "http://[/"}, {"index_url": "http://a b/"},
        {"index_url": "http://例子.cn/"}, {"data_url": "http://a:99999/"}, {"data_url": "http://u:p@a/"}, {"index_url": "http://a/?x=1"},
        {"crawl": "CC?a=b"}, {"crawl": "CC MAIN"}, {"crawl": "抓取"}, {"crawl": "a\r\nb"}, {"crawl": "CC.."}, {"crawl": "\udcff"},
        {"domains": ["exa\udcffmple.org"]}, {"domains": ["a\x00b"]}, {"domains": ["例 子.cn"]}, {"hours": float("nan")}, {"hours": 0},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_asked_with(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        config("http://a", **more)
    assert origin("http://Example.org:80/x") == ("http", "example.org", 80) and origin("https://a") == ("https", "a", 443)


def test_a_chinese_domain_is_asked_for(tmp_path: Path) -> None:
    found = site()
    for entry in found.index[CRAWL]:
        entry["url"] = entry["url"].replace("example.org", "例子.中国")
    with serve(found):
        assert fetched(found, tmp_path / "cc", domains=["例子.中国"])["pages"] == 6
