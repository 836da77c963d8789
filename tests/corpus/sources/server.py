"""A small web server for tests: files with ranges, an index as Common Crawl's, and errors on request."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Site:
    """What the server serves: `files` by path, `index` records by crawl, `page_size` records to an index page.

    `refuse` gives, for a path (without its query), the statuses of the next answers; "lost" closes the connection. Of files:
    `break_off` after so many bytes of the next answers, then `refuse_after`; `changes`: the answer that breaks off is the last of
    the old file; `lengths`: so many bytes more than there are are promised; `headers`: more of them.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    index: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    page_size: int = 2
    ranges: bool = True
    refuse: dict[str, list[Any]] = field(default_factory=dict)
    break_off: dict[str, list[int]] = field(default_factory=dict)
    refuse_after: dict[str, list[Any]] = field(default_factory=dict)
    changes: set[str] = field(default_factory=set)
    lengths: dict[str, int] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    ranges_asked: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    url: str = ""


@contextlib.contextmanager
def serve(site: Site) -> Iterator[Site]:
    """Run a server for the site; its address is `site.url`."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path)
            site.asked.append(self.path)
            site.hits[path] += 1
            waiting = site.refuse.get(path)
            if waiting:
                status = waiting.pop(0)
                if status == "lost":
                    self.connection.close()
                    return
                self.answer(status, b"slow down", {"Retry-After": "0"})
            elif path.endswith("-index"):
                self.index(path.strip("/").removesuffix("-index"), parse_qs(parts.query))
            elif path in site.files:
                self.file(site.files[path], path)
            else:
                self.answer(404, b"nothing here")

        def index(self, crawl: str, ask: dict[str, list[str]]) -> None:
            domain = ask["url"][0].removeprefix("*.")
            found = [r for r in site.index.get(crawl, []) if domain in r["url"]]
            if not found:
                self.answer(404, json.dumps({"message": f"No Captures found for: {domain}"}).encode())
            elif "showNumPages" in ask:
                self.answer(200, json.dumps({"pages": -(-len(found) // site.page_size), "pageSize": 5, "blocks": 1}).encode())
            else:
                page = int(ask["page"][0]) * site.page_size
                self.answer(200, "".join(json.dumps(r) + "\n" for r in found[page : page + site.page_size]).encode())

        def file(self, data: bytes, path: str) -> None:
            asked, version = self.headers.get("Range"), f'"{hash(data)}"' if path not in site.changes else f'"{site.hits[path]}"'
            if asked:
                site.ranges_asked.append(asked)
            more = {"ETag": version, **site.headers.get(path, {}), **({"Accept-Ranges": "bytes"} if site.ranges else {})}
            if not asked or not site.ranges or self.headers.get("If-Range", version) != version:
                status, body = 200, data
            else:
                first, _, last = asked.removeprefix("bytes=").partition("-")
                start, end = int(first), min(int(last) + 1 if last else len(data), len(data))
                if start >= len(data):
                    self.answer(416, b"")
                    return
                more["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
                status, body = 206, data[start:end]
            size = len(body) + site.lengths.get(path, 0)
            if site.break_off.get(path):
                body = body[: site.break_off[path].pop(0)]
                site.refuse.update({path: site.refuse_after.pop(path)} if path in site.refuse_after else {})
            self.answer(status, body, {**more, "Content-Length": str(size)})

        def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


def record(url: str, body: bytes, content: str = "text/html; charset=utf-8", headers: str = "") -> bytes:
    """A WARC response record, built by hand."""
    http = f"HTTP/1.1 200 OK\r\nContent-Type: {content}\r\n{headers}\r\n".encode() + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{abs(hash(url)):032d}>\r\nWARC-Date: 2023-06-30T12:00:00Z\r\n"
        f"WARC-Target-URI: {url}\r\nContent-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"
