"""Serves a `Dashboard` over HTTP. Standard library only; nothing can be changed through it.

`/` is the page, `/news?since=CURSOR` what changed, as JSON; both take `lang=en` or `lang=zh`, else the browser's language
decides.

Every program and every web page on the machine can send it requests, so none is trusted. A request must name this server in its
Host header: another name means that a web site has pointed its own name here (DNS rebinding) to read the dashboard. A request
is at most LARGEST bytes and comes within REQUEST_SECONDS, an answer is taken within ANSWER_SECONDS, and at most MOST
connections are held: for a new one the one that has waited longest for its browser is ended. All answers carry the page's
content security policy.
"""

from __future__ import annotations

import io
import ipaddress
import json
import re
import socket
import sys
import threading
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import SplitResult, parse_qs, urlsplit

from skyloom.core.errors import ConfigError, SkyloomError
from skyloom.report.dashboard import Dashboard
from skyloom.report.labels import LANGUAGES
from skyloom.report.waiting import Waiting

MOST = 64
"""Connections, and so threads, that are held at once."""
REQUEST_SECONDS = 10.0
ANSWER_SECONDS = 60.0
LARGEST = 1 << 16
"""Bytes of a request's line and headers."""
_TURN_SECONDS = 5.0  # a new connection waits so long for the thread of one that was ended for it

_END = re.compile(rb"\n\r?\n")
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\[\]:/@?#\\\s]+)(?::[0-9]{0,5})?")
_Address = tuple[str, int] | str


class Server(ThreadingHTTPServer):
    """Serves a dashboard at `url`. ConfigError if the address cannot be had; port 0 takes a free one.

    `names`: host names by which browsers may ask for it, beside `localhost`, `host` and the addresses of this machine.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, dashboard: Dashboard, host: str, port: int, names: Iterable[str] = ()) -> None:
        self.dashboard = dashboard
        self.waiting = Waiting()
        self._free = threading.Semaphore(MOST)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, UnicodeError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise ConfigError(
                f"{host} port {port} cannot be opened ({why}): give another --port (0 takes a free one) or --host"
            ) from problem
        own = {"localhost", host, *names}
        if not is_loopback(str(self.server_address[0])):
            own |= {socket.gethostname(), self.server_name}
        self._names = {name.lower().rstrip(".") for name in own}

    def knows(self, host: str, local: str) -> bool:
        """Is a Host header's text (with a port or without) a name of this server? `local`: address at which the request came in."""
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].lower().rstrip(".").strip("[]")
        return name in self._names or is_loopback(name) or (_address(name) is not None and _address(name) == _address(local))

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: _Address) -> None:
        """A thread for the connection. If none is free, another connection is ended; if all are busy, this one."""
        assert isinstance(request, socket.socket)
        if not self._free.acquire(blocking=False):
            self.waiting.end_oldest()
            if not self._free.acquire(timeout=_TURN_SECONDS):
                self.shutdown_request(request)
                return
        self.waiting.add(request, REQUEST_SECONDS)
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: socket.socket | tuple[bytes, socket.socket], client_address: _Address) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        assert isinstance(request, socket.socket)
        self.waiting.remove(request)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Called about twice a second."""
        self.waiting.end_late()

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: _Address) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a browser that went away is no fault
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = str(host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    connection: socket.socket
    default_request_version = "HTTP/1.0"  # answers of HTTP/0.9 have no headers, so no policy either

    def handle(self) -> None:
        head = self._head()
        if not head:
            return
        self.rfile.close()
        self.rfile = io.BytesIO(head)
        super().handle()

    def _head(self) -> bytes:
        """The request's line and headers; nothing if they did not come whole."""
        head = bytearray()
        while not _END.search(head, max(0, len(head) - 4096 - 3)):
            if len(head) >= LARGEST:
                self.requestline, self.request_version, self.command = "", "HTTP/1.0", ""
                self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return b""
            got = self.connection.recv(4096)
            if not got:
                return b""
            head += got
        return bytes(head)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        try:
            asked = urlsplit(self.path)
            query = {key: values[-1] for key, values in parse_qs(asked.query).items()}
        except ValueError:
            self._answer(HTTPStatus.BAD_REQUEST, "text/plain", "this is no address\n")
            return
        if not self._for_us(asked):
            words = (
                "this is no name of this server: ask for it as localhost or by its address, or start it with --allow-host NAME\n"
            )
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", words)
            return
        lang = query.get("lang") or preferred(self.headers.get("Accept-Language", ""))
        if asked.path not in ("/", "/news") or lang not in LANGUAGES:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "there are / and /news, with lang=en or lang=zh\n")
            return
        self._dashboard(asked.path, query.get("since", ""), lang)

    def _for_us(self, asked: SplitResult) -> bool:
        """Does the request name this server, once, in its Host header, and nowhere another?"""
        hosts = self.headers.get_all("Host", [])
        local = str(self.connection.getsockname()[0])
        if asked.netloc and (asked.scheme != "http" or not self.server.knows(asked.netloc, local)):
            return False
        return len(hosts) == 1 and self.server.knows(hosts[0].strip(), local)

    def _dashboard(self, path: str, since: str, lang: str) -> None:
        self.server.waiting.remove(self.connection)
        try:
            if path == "/":
                answer = HTTPStatus.OK, "text/html", self.server.dashboard.page(lang)
            else:
                news = self.server.dashboard.news(since, lang)
                answer = HTTPStatus.OK, "application/json", json.dumps(news, ensure_ascii=False)
        except SkyloomError as problem:
            answer = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", f"{problem}\n"
        except Exception:  # our own mistake: the browser is told too
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", "the dashboard failed; its terminal says how\n")
            raise
        self._answer(*answer)

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        self.server.waiting.add(self.connection, ANSWER_SECONDS)
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Content-Security-Policy", f"{self.server.dashboard.policy}; frame-ancestors 'none'"),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The answer to what is no GET or HEAD of HTTP."""
        self._answer(HTTPStatus(code), "text/plain", f"{message or HTTPStatus(code).phrase}\n")

    def version_string(self) -> str:
        """What the header Server says: no versions."""
        return "Skyloom"

    def log_message(self, format: str, *args: object) -> None:
        """A poll every two seconds is not worth a line."""


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a text is; of an IPv4 address in IPv6 form, that."""
    try:
        found = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_loopback(name: str) -> bool:
    """Is a text an address of the machine itself?"""
    found = _address(name)
    return found is not None and found.is_loopback


def preferred(header: str) -> str:
    """The language of LANGUAGES that a browser asks for first in Accept-Language; English if none."""
    wishes = []
    for place, part in enumerate(header.split(",")):
        name, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            weight = 0.0
        wishes.append((-weight, place, name.lower()[:2]))
    return next((name for _, _, name in sorted(wishes) if name in LANGUAGES), "en")
