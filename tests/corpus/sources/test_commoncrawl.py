"""A part of a crawl is fetched whole, politely and once, from a server that fails now and then."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.corpus.sources.server import Site, record, serve

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources import commoncrawl_http
from skyloom.corpus.sources.commoncrawl import CrawlConfig, fetch_common_crawl
from skyloom.corpus.sources.commoncrawl_http import CrawlClient
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()
CRAWL = "CC-MAIN-2023-23"
ARCHIVE = "crawl-data/CC-MAIN-2023-23/segments/1/warc/a.warc.gz"


def site(pages: int = 10) -> Site:
    """Two domains with pages in two languages and some that must not be taken."""
    archive, index = b"", []
    for i in range(pages):
        for host, lang, word in (
            ("en.example.org", "eng", "page"),
            ("zh.example.com", "zho,eng", "页面"),
            ("zh.example.com", "jpn", "ページ"),
        ):
            url = f"http://{host}/{lang[:3]}/{i}"
            member = gzip.compress(record(url, f"<html><p>{word} {i}</p></html>".encode()))
            index.append({
                "urlkey": "x", "timestamp": "20230601000000", "url": url, "mime": "text/html", "mime-detected": "text/html",
                "status": "200", "digest": "D", "length": str(len(member)), "offset": str(len(archive)), "filename": ARCHIVE,
                "languages": lang, "encoding": "UTF-8",
            })  # fmt: skip
            archive += member
    index.append({**index[0], "url": "http://en.example.org/moved", "status": "301"})
    index.append({**index[0], "url": "http://en.example.org/a.pdf", "mime-detected": "application/pdf"})
    index.append({**index[0], "url": "http://en.example.org/huge", "length": "99000000"})
    return Site(files={f"/{ARCHIVE}": archive}, index={CRAWL: index}, page_size=7)


def config(found: Site, **more: Any) -> CrawlConfig:
    table = {"crawl": CRAWL, "domains": ["example.org", "example.com"], "pages": 8, "pages_a_file": 3, "pause_s": 0, "retries": 3}
    return build(CrawlConfig, {**table, "index_url": found.url, "data_url": found.url, **more}, origin="test")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(commoncrawl_http.time, "sleep", waits.append)
    return waits


def bodies(folder: Path, tmp_path: Path) -> list[str]:
    source = SourceConfig(name="cc", path=str(folder / "*.warc.gz"))
    out = Store(tmp_path / "pages")
    out.remove("")
    fetch(resolve([source], cache=tmp_path, samples=tmp_path, progress=QUIET), out, engine=Engine(0), progress=QUIET)
    return [b.decode() for n in out.names("pages-") for b in out.read_table(n).column("body").to_pylist()]


def test_pages_of_both_languages_are_fetched_and_read(tmp_path: Path) -> None:
    with serve(site()) as found:
        summary = fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)
    assert summary["failed"] == {}
    assert (summary["pages"], summary["files"]) == (8, 3)
    texts = bodies(tmp_path / "cc", tmp_path)
    assert len(set(texts)) == 8
    assert sum("page" in t for t in texts) == sum("页面" in t for t in texts) == 4
    assert not any("ページ" in t for t in texts)
    assert json.loads((tmp_path / "cc" / "fetched.json").read_text()) == summary


def test_a_second_call_asks_for_nothing(tmp_path: Path) -> None:
    with serve(site()) as found:
        first = fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)
        before = {p: p.read_bytes() for p in (tmp_path / "cc").rglob("*") if p.is_file()}
        found.asked.clear()
        assert fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET) == first
        assert found.asked == []
    assert {p: p.read_bytes() for p in (tmp_path / "cc").rglob("*") if p.is_file()} == before


def test_a_fetch_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """The second file cannot be had; later only it and what follows are fetched, and the bytes are those of an easy fetch."""
    with serve(site()) as found:
        fetch_common_crawl(config(found), Store(tmp_path / "easy"), progress=QUIET)
        found.hits.clear()
        plan = (tmp_path / "easy" / "plan.jsonl").read_text().splitlines()
        client_get, asked = CrawlClient.get, []

        def get(self: CrawlClient, url: str, **more: Any) -> bytes:
            if more.get("length"):
                asked.append(more["first"])
                if len(asked) == 5:
                    found.refuse[f"/{ARCHIVE}"] = [503] * 4
            return client_get(self, url, **more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(CrawlClient, "get", get)
            with pytest.raises(StorageError, match=r"\b503\b.*again"):
                fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)
        assert [p.name for p in sorted((tmp_path / "cc").glob("*.warc.gz"))] == ["warc-00000.warc.gz"]
        found.asked.clear()
        fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)
        assert len(found.asked) == len(plan) - 3
    for name in ("plan.jsonl", "fetched.json", *(f"warc-0000{i}.warc.gz" for i in range(3))):
        assert (tmp_path / "cc" / name).read_bytes() == (tmp_path / "easy" / name).read_bytes()


def test_errors_that_pass_are_waited_for(tmp_path: Path, no_waiting: list[float]) -> None:
    with serve(site()) as found:
        found.refuse = {f"/{CRAWL}-index": [503, "lost", 429], f"/{ARCHIVE}": [500, 502, 504]}
        assert fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)["pages"] == 8
    assert sum(w == 2.0 for w in no_waiting) >= 1  # after a lost connection, the second try


def test_records_that_cannot_be_had_are_counted(tmp_path: Path) -> None:
    found = site()
    index = found.index[CRAWL]
    chinese = [r for r in index if r["languages"] == "zho,eng"]
    chinese[0]["offset"] = str(int(chinese[0]["offset"]) + 3)
    chinese[1]["length"] = str(int(chinese[1]["length"]) - 5)
    chinese[2]["filename"] = "crawl-data/gone.warc.gz"
    with serve(found):
        summary = fetch_common_crawl(config(found, pages=20, domains=["example.com"]), Store(tmp_path / "cc"), progress=QUIET)
    assert summary["failed"] == {"record is damaged": 1, "record is not whole": 1, "status 404": 1}
    assert summary["pages"] == 7
    assert len(bodies(tmp_path / "cc", tmp_path)) == 7


def test_any_language_and_a_part_of_a_site(tmp_path: Path) -> None:
    with serve(site()) as found:
        more = {"languages": [], "domains": ["zh.example.com/jpn/"], "pages": 3}
        fetch_common_crawl(config(found, **more), Store(tmp_path / "cc"), progress=QUIET)
        assert all("ページ" in t for t in bodies(tmp_path / "cc", tmp_path))
        assert any("matchType=prefix" in a for a in found.asked)


@pytest.mark.parametrize(
    ("more", "error", "message"),
    [
        ({"domains": ["nothing.example.net"]}, DataError, "has no pages"),
        ({"crawl": "CC-MAIN-1999-99"}, DataError, "crawl.*domains"),
        ({"languages": ["deu"]}, DataError, "no pages in deu"),
        ({"domains": ["http://example.org"]}, ConfigError, "is no domain"),
        ({"domains": []}, ConfigError, "one domain"),
        ({"crawl": "a/b"}, ConfigError, "is no crawl"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, more: dict[str, Any], error: type[Exception], message: str) -> None:
    with serve(site()) as found, pytest.raises(error, match=message):
        fetch_common_crawl(config(found, **more), Store(tmp_path / "cc"), progress=QUIET)


def test_servers_without_ranges_and_servers_that_are_away(tmp_path: Path) -> None:
    with serve(site()) as found:
        found.ranges = False
        with pytest.raises(DataError, match="no ranges"):
            fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)
        assert not list((tmp_path / "cc").glob("*.warc.gz"))
        found.refuse[f"/{CRAWL}-index"] = [403]
        with pytest.raises(StorageError, match=r"refuses.*\b403\b"):
            fetch_common_crawl(config(found), Store(tmp_path / "b"), progress=QUIET)
    with pytest.raises(StorageError, match="cannot reach"):
        fetch_common_crawl(config(found), Store(tmp_path / "c"), progress=QUIET)


def test_one_folder_is_one_fetch(tmp_path: Path) -> None:
    with serve(site()) as found:
        fetch_common_crawl(config(found), Store(tmp_path / "cc"), progress=QUIET)
        with pytest.raises(ConfigError, match=r"another fetch.*\bpages\b"):
            fetch_common_crawl(config(found, pages=9), Store(tmp_path / "cc"), progress=QUIET)
        fetch_common_crawl(config(found, pause_s=0.0, retries=1), Store(tmp_path / "cc"), progress=QUIET)
