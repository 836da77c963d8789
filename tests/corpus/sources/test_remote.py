"""The same files give the same pages from a folder, a pattern, a web server, memory and an S3 store."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tests.corpus.sources.server import Site, record, serve

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.resolved import ResolvedSource, resolve
from skyloom.corpus.sources.stage import fetch

QUIET = Progress.silent()
WARC = b"".join(gzip.compress(record(f"http://x/{i}", f"<p>第{i}页 page".encode())) for i in range(5))
LINES = "".join(json.dumps({"text": f"第{i}行 line"}, ensure_ascii=False) + "\n" for i in range(50)).encode()
FILES = {
    "crawl/a.warc.gz": WARC,
    "crawl/b.jsonl": LINES,
    "crawl/中/c.jsonl.gz": gzip.compress(LINES),
    "crawl/.hidden/d.jsonl": LINES,
}


def find(tmp_path: Path, path: str, kind: str) -> ResolvedSource:
    return resolve([SourceConfig(name="s", path=path, kind=kind)], cache=tmp_path, samples=tmp_path, progress=QUIET)[0]


def read(tmp_path: Path, path: str, kind: str) -> list[dict[str, Any]]:
    out = Store(tmp_path / "pages")
    out.remove("")
    fetch([find(tmp_path, path, kind)], out, engine=Engine(0), progress=QUIET)
    return [r for n in out.names("pages-") for r in out.read_table(n).to_pylist()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "data"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    """An S3 server of this machine, with FILES in a bucket."""
    moto = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "x", "secret": "x"}
    fsspec.config.conf["s3"] = options
    store = fsspec.filesystem("s3", **options)
    store.mkdir("bucket")
    for name, data in FILES.items():
        store.pipe(f"bucket/{name}", data)
    yield "s3://bucket"
    fsspec.config.conf.pop("s3")
    server.stop()


def test_an_s3_store(tmp_path: Path, folder: Path, s3: str) -> None:
    assert read(tmp_path, f"{s3}/crawl", "jsonl") == read(tmp_path, str(folder / "crawl"), "jsonl")
    assert read(tmp_path, f"{s3}/crawl/*.warc.gz", "auto") == read(tmp_path, str(folder / "crawl/a.warc.gz"), "warc")
    with pytest.raises(DataError, match="does not exist"):
        find(tmp_path, f"{s3}/nothing", "auto")


def test_memory(tmp_path: Path, folder: Path) -> None:
    store = fsspec.filesystem("memory")
    for name, data in FILES.items():
        store.pipe(f"/box/{name}", data)
    assert read(tmp_path, "memory://box/crawl", "jsonl") == read(tmp_path, str(folder / "crawl"), "jsonl")
    store.rm("/box", recursive=True)


def test_a_web_server(tmp_path: Path, folder: Path) -> None:
    pytest.importorskip("aiohttp")
    with serve(Site(files={f"/{name}": data for name, data in FILES.items()})) as site:
        assert read(tmp_path, f"{site.url}/crawl/a.warc.gz", "auto") == read(tmp_path, str(folder / "crawl/a.warc.gz"), "auto")
        assert read(tmp_path, f"{site.url}/crawl/b.jsonl", "auto") == read(tmp_path, str(folder / "crawl/b.jsonl"), "auto")
        with pytest.raises((DataError, StorageError), match=r"nothing\.jsonl"):
            find(tmp_path, f"{site.url}/crawl/nothing.jsonl", "auto")


def test_patterns(tmp_path: Path, folder: Path) -> None:
    found = find(tmp_path, f"{folder}/**/*.jsonl*", "auto")
    assert [f.name for f in found.parts] == ["crawl/b.jsonl", "crawl/中/c.jsonl.gz"]
    assert len(read(tmp_path, f"{folder}/crawl/[ab].jsonl", "auto")) == 50
    odd = folder / "odd[1].jsonl"
    odd.write_bytes(LINES)
    assert len(read(tmp_path, str(odd), "auto")) == 50
    with pytest.raises(DataError, match="does not exist"):
        find(tmp_path, f"{folder}/*.nothing", "auto")


def test_an_unknown_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot open"):
        find(tmp_path, "nosuch://bucket/x", "auto")


def test_identity_follows_the_store(tmp_path: Path, s3: str) -> None:
    first = find(tmp_path, f"{s3}/crawl/b.jsonl", "auto").identity
    assert find(tmp_path, f"{s3}/crawl/b.jsonl", "auto").identity == first
    store = fsspec.filesystem("s3", **fsspec.config.conf["s3"])
    store.pipe("bucket/crawl/b.jsonl", LINES.replace("第".encode(), "弟".encode()))
    store.invalidate_cache()
    assert find(tmp_path, f"{s3}/crawl/b.jsonl", "auto").identity != first
    store.pipe("bucket/crawl/b.jsonl", LINES)
    store.invalidate_cache()
