"""The dashboard's server among strangers: other names, odd requests, slow connections; no tracebacks, bounded threads and time."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from skyloom.core.store import Store
from skyloom.report import serve
from skyloom.report.dashboard import PARTS, Dashboard
from skyloom.report.serve import ANSWER_SECONDS, LARGEST, MOST, REQUEST_SECONDS, Server
from skyloom.report.waiting import Waiting


@dataclass
class Served:
    """A running server whose time the test sets."""

    server: Server
    now: list[float] = field(default_factory=lambda: [0.0])

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def ask(self, request: str) -> tuple[int, dict[str, str], str]:
        """Status, headers and body; {port} in the request is the server's."""
        with self.connect() as connection:
            connection.sendall(request.replace("{port}", str(self.port)).encode("utf-8"))
            with contextlib.suppress(OSError):  # it may have answered and closed already
                connection.shutdown(socket.SHUT_WR)
            return answer(connection)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], str]:
    data = b""
    while got := connection.recv(1 << 16):
        data += got
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body.decode("utf-8")


def until(true: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@contextlib.contextmanager
def running(folder: Path, host: str = "127.0.0.1", names: tuple[str, ...] = ()) -> Iterator[Served]:
    board = Dashboard("演示 demo", {name: Store(folder / name) for name in ("stage1", "stage2")})
    with Server(board, host, 0, names) as server:
        found = Served(server)
        server.waiting = Waiting(lambda: found.now[0])
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Served]:
    with running(tmp_path) as found:
        yield found
        assert found.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200, "it must go on after whatever came"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.:{port}", "127.0.0.1", "127.0.0.1:{port}", "127.8.8.8:1", "[::1]:8642"])
def test_its_own_names_are_answered(served: Served, host: str) -> None:
    assert served.ask(f"GET /?lang=en HTTP/1.1\r\nHost: {host}\r\n\r\n")[0] == 200
    assert served.ask(f"GET http://{host}/news?lang=zh HTTP/1.1\r\nHost: {host}\r\n\r\n")[0] == 200


@pytest.mark.parametrize(
    "lines",
    [
        "Host: evil.example:{port}\r\n", "Host: 天工.example\r\n", "Host: localhost.evil.example\r\n", "Host: 192.168.1.7\r\n", "",
        "Host: \r\n", "Host: evil.example@localhost\r\n", "Host: [\r\n", "Host: [::1\r\n", "Host: localhost:²\r\n", "Host: 2130706434\r\n",
        "Host: localhost\r\nHost: evil.example\r\n", "Host: localhost, evil.example\r\n",
    ],
)  # fmt: skip
def test_another_name_is_refused(served: Served, lines: str) -> None:
    """A web site whose name was pointed here must not read the dashboard."""
    for path in ("/", "/news", "/nothing"):
        status, headers, body = served.ask(f"GET {path} HTTP/1.1\r\n{lines}\r\n")
        assert status == 403 and "--allow-host" in body and "演示" not in body
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert served.ask("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 403
    assert served.ask(f"HEAD / HTTP/1.0\r\n{lines}\r\n")[0] == 403


def test_names_that_the_user_gave(tmp_path: Path) -> None:
    with running(tmp_path, "0.0.0.0", ("Node-7.cluster.example",)) as found:
        for host in ("node-7.cluster.example", f"NODE-7.cluster.example:{found.port}", "127.0.0.1", socket.gethostname()):
            assert found.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")[0] == 200, host
        for host in ("cluster.example", "evil.example", "8.8.8.8"):
            assert found.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")[0] == 403, host
        assert found.server.knows("192.168.7.7:1", "192.168.7.7") and not found.server.knows("192.168.7.7:1", "192.168.7.8")
        assert found.server.knows("192.168.7.7", "::ffff:192.168.7.7")


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        ("GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        ("GET http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
        ("GET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 404}),
        ("GET http://localhost:x/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {403}),
        ("GET http://\u2100.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", {400, 403}),
        ("GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        ("GET /页面 HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        ("GET /?lang=%ff%ed%a0%80 HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Language: 中文;q=²,zh;q=nan,en;q=1e999\r\n\r\n", {200}),
        ("GET / HTTP/²\r\nHost: localhost\r\n\r\n", {400}),
        ("GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", {505}),
        ("GET /\r\n\r\n", {403}),
        ("FETCH /\r\n\r\n", {400}),
        ("取 / HTTP/1.1\r\nHost: localhost\r\n\r\n", {501}),
        ("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", {501}),
        ("GET / HTTP/1.1\r\n" + "a: b\r\n" * 200 + "\r\n", {431}),
        pytest.param("GET /" + "x" * (LARGEST - 5), {431}, id="long"),
    ],
)
def test_odd_requests_are_answered(served: Served, request_: str, statuses: set[int]) -> None:
    status, headers, body = served.ask(request_)
    assert status in statuses
    assert headers["Server"] == "Skyloom" and headers["X-Frame-Options"] == "DENY"
    if status != 200:
        assert headers["Content-Type"].startswith("text/plain") and body.endswith("\n")


@pytest.mark.parametrize(
    "revision", [pytest.param("9" * 5000, id="5,000 digits"), "²", "٣", "三", "-1", "1e9", "0x1", " 1", "9" * 15]
)
def test_any_cursor_is_answered(served: Served, revision: str) -> None:
    token = served.server.dashboard.news("", "en")["cursor"].partition(".")[0]
    quoted = revision.encode().hex("%")
    status, _, body = served.ask(f"GET /news?since={token}.%{quoted} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert status == 200 and set(json.loads(body)["parts"]) == (set() if revision == "9" * 15 else set(PARTS))


@pytest.mark.parametrize("path", ["/?lang=en", "/?lang=zh", "/news?since=", "/nothing"])
def test_head_is_get_without_the_body(served: Served, path: str) -> None:
    status, headers, body = served.ask(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert int(headers["Content-Length"]) == len(body.encode())
    short = served.ask(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert short[0] == status and short[2] == "" and {**short[1], "Date": ""} == {**headers, "Date": ""}


def test_the_policy_comes_with_the_answer(served: Served) -> None:
    _, headers, page = served.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'") and policy.endswith("frame-ancestors 'none'")
    assert f'content="{policy.removesuffix("; frame-ancestors " + chr(39) + "none" + chr(39))}"' in page, "the same as in the page"
    assert not any(word in str(headers) for word in ("Python", "BaseHTTP"))


def test_many_slow_connections_hold_few_threads(served: Served) -> None:
    before = threading.active_count()
    slow = []
    for number in range(5 * MOST):
        connection = served.connect()
        connection.sendall((f"GET /{number} HTTP/1.1\r\n", "", "\r\n")[number % 3].encode())
        slow.append(connection)
    assert served.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == 200, "a browser gets its page all the same"
    assert threading.active_count() <= before + MOST
    until(lambda: len(served.server.waiting) <= MOST)
    for connection in slow:
        connection.close()
    until(lambda: len(served.server.waiting) == 0)


def test_a_request_has_its_time_however_it_drips(served: Served) -> None:
    with served.connect() as connection:
        for byte in b"GET / HTTP/1.1\r\n":
            connection.sendall(bytes([byte]))
        until(lambda: len(served.server.waiting) == 1)
        served.now[0] = REQUEST_SECONDS - 1
        connection.sendall(b"Host: localhost\r\n")
        served.now[0] = REQUEST_SECONDS
        assert connection.recv(1) == b""


def test_an_answer_that_is_not_taken_is_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.server.dashboard, "page", lambda lang: "页" * 20_000_000)
    with served.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(4) == b"HTTP"
        served.now[0] = ANSWER_SECONDS
        until(lambda: len(served.server.waiting) == 0)
        with contextlib.suppress(ConnectionError):
            assert sum(len(got) for got in iter(lambda: connection.recv(1 << 20), b"")) < 60_000_000
    monkeypatch.undo()


def test_our_own_mistake_is_told_to_both_sides(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path) as found:
        found.server.dashboard.news = lambda *_: 1 / 0  # type: ignore[assignment,method-assign,return-value]
        status, _, body = found.ask("GET /news HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert status == 500 and "terminal" in body
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["[1]", "1", "null", '{"step": 1}', '{"journal": "skips.jsonl", "documents": 3}', "[" * 100_000])
def test_a_journal_line_of_another_kind_is_told(served: Served, tmp_path: Path, line: str) -> None:
    (tmp_path / "stage1" / "telemetry").mkdir(parents=True)
    (tmp_path / "stage1" / "telemetry" / "live.jsonl").write_text('{"attempt": "a"}\n' + line + "\n")
    _, _, body = served.ask("GET /news?lang=zh HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert ("无法读取" in json.loads(body)["said"]) is (line != '{"step": 1}')


def test_a_lone_surrogate_in_a_name_is_no_error(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served.server.dashboard, "page", lambda lang: "页\ud800面")
    assert served.ask("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")[2] == "页?面"
    monkeypatch.undo()


def test_the_limits_are_those_of_the_docs() -> None:
    text = (Path(__file__).parents[2] / "docs" / "9-report.md").read_text(encoding="utf-8")
    assert f"{serve.MOST} connections" in text and f"{serve.REQUEST_SECONDS:.0f} seconds" in text
