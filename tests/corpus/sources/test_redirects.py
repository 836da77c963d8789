"""A source read over HTTP: its server may send the reader on, but not into this machine or its network."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.corpus.sources.server import Site, serve

from skyloom.core.engine import Engine
from skyloom.core.errors import SkyloomError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.sources.config import SourceConfig
from skyloom.corpus.sources.redirects import is_inside, web_options
from skyloom.corpus.sources.resolved import resolve
from skyloom.corpus.sources.stage import fetch

pytest.importorskip("aiohttp")
QUIET = Progress.silent()
LINES = '{"text": "秘密 secret"}\n{"text": "第二行 second"}\n'.encode()


@contextlib.contextmanager
def sending_on(target: str) -> Iterator[str]:
    """A server that sends everyone elsewhere, but `/there`, which it has."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            there = self.path == "/there.jsonl"
            self.send_response(200 if there else 302)
            self.send_header("Content-Length" if there else "Location", str(len(LINES)) if there else target)
            self.end_headers()
            if there and self.command == "GET":
                self.wfile.write(LINES)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def read(url: str, out: Path) -> list[str]:
    found = resolve([SourceConfig(name="s", kind="jsonl", path=url)], cache=out, samples=out, progress=QUIET)
    store = Store(out / "pages")
    fetch(found, store, engine=Engine(0), progress=QUIET)
    return [b.decode() for n in store.names("pages-") for b in store.read_table(n).column("body").to_pylist()]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433"])
@pytest.mark.parametrize("chain", ["", "simplecache::"])
def test_a_redirect_into_the_machine_is_refused(tmp_path: Path, host: str, chain: str) -> None:
    with serve(Site(files={"/秘密.jsonl": LINES})) as inside:
        port = inside.url.rpartition(":")[2]
        with (
            sending_on(f"http://{host}:{port}/%E7%A7%98%E5%AF%86.jsonl") as url,
            pytest.raises(SkyloomError, match="leads to" if not chain else "leads to|does not exist"),
        ):
            read(f"{chain}{url}/a.jsonl", tmp_path)
        assert inside.asked == []
        assert len(read(f"{inside.url}/秘密.jsonl", tmp_path)) == 2, "what the user names is read"


@pytest.mark.parametrize("target", ["http://[/", "http://127.0.0.1:99999/", "http://host.invalid/"])
def test_a_redirect_to_nowhere_is_told(tmp_path: Path, target: str) -> None:
    with sending_on(target) as url, pytest.raises(StorageError, match="leads to"):
        read(f"{url}/a.jsonl", tmp_path)


def test_a_redirect_within_the_server_is_followed(tmp_path: Path) -> None:
    with sending_on("/there.jsonl") as url:
        assert read(f"{url}/a.jsonl", tmp_path) == ["秘密 secret", "第二行 second"]


def test_what_is_inside() -> None:
    for address in ("127.0.0.1", "127.9.9.9", "10.1.2.3", "172.31.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.1.1"):
        assert is_inside(address) and is_inside(f"::ffff:{address}")
    assert all(map(is_inside, ("::1", "::", "fe80::1%eth0", "fd00::1", "2002:7f00:1::")))
    assert not any(
        map(is_inside, ("8.8.8.8", "172.32.0.1", "198.18.0.7", "2001:4860:4860::8888", "::ffff:8.8.8.8", "2002:808:808::"))
    )
    assert web_options("/a") == web_options("s3://a/http://b") == {} and "get_client" in web_options("https://a")
    assert list(web_options("zip://*::simplecache::https://a/b.zip")) == ["https"]
