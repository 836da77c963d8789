"""Serves a `Dashboard` over HTTP. Standard library only; nothing can be changed through it.

`/` is the page, `/news?since=CURSOR` what changed, as JSON; both take `lang=en` or `lang=zh`, else the browser's language decides.
"""

from __future__ import annotations

import json
import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from skyloom.core.errors import ConfigError, SkyloomError
from skyloom.report.dashboard import Dashboard
from skyloom.report.labels import LANGUAGES


class Server(ThreadingHTTPServer):
    """Serves a dashboard at `url`. ConfigError if the address cannot be had; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, dashboard: Dashboard, host: str, port: int) -> None:
        self.dashboard = dashboard
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, UnicodeError) as problem:
            why = getattr(problem, "strerror", None) or problem
            raise ConfigError(
                f"{host} port {port} cannot be opened ({why}): give another --port (0 takes a free one) or --host"
            ) from problem

    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: tuple[str, int] | str) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a browser that went away is no fault
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        host, port = self.server_address[:2]
        name = str(host)
        return f"http://{f'[{name}]' if ':' in name else name}:{port}/"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(asked.query).items()}
        lang = query.get("lang") or preferred(self.headers.get("Accept-Language", ""))
        if asked.path not in ("/", "/news") or lang not in LANGUAGES:
            self._answer(HTTPStatus.NOT_FOUND, "text/plain", "there are / and /news, with lang=en or lang=zh\n")
            return
        try:
            if asked.path == "/":
                self._answer(HTTPStatus.OK, "text/html", self.server.dashboard.page(lang))
            else:
                news = self.server.dashboard.news(query.get("since", ""), lang)
                self._answer(HTTPStatus.OK, "application/json", json.dumps(news, ensure_ascii=False))
        except SkyloomError as problem:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", f"{problem}\n")

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode("utf-8")
        self.send_response(status)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """A poll every two seconds is not worth a line."""


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
