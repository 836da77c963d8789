"""HTTP for shared services that may be hostile: one request at a time, with pauses, patience, exact ranges, and limits.

Input: an address and, if only a part is wanted, its range. Output: the bytes. Answers that may pass (429, 500, 502, 503, 504,
lost connections) are asked for again after 1, 2, 4, … seconds, or after what `Retry-After` says; all others are told. Memory:
one answer.

Everything that a server decides is bounded: the bytes of an answer with its headers, its time (`timeout`, and a second more for
each SLOWEST bytes that came, so that a byte now and then does not keep it open), the seconds of all requests together, and the
hosts: a redirect is followed only to a host that the user gave, so that no server can point it at this machine or its network.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from typing import IO, TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from skyloom.core.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PASSING = (429, 500, 502, 503, 504)
_LONGEST = 120.0  # seconds between two tries
_HEADERS = {"User-Agent": "skyloom (corpus fetch common-crawl)", "Accept-Encoding": "identity"}
_PORTS = {"http": 80, "https": 443}
_PIECE = 1 << 20
_HEAD = 1 << 18
"""Bytes of an answer that are not its body: headers, and how chunks are marked."""
SLOWEST = 10_000
"""Bytes per second below which an answer is given up, once `timeout` is over."""
LARGEST = 64_000_000
"""Bytes of an answer whose size is not known beforehand: a page of the index has about ten million."""

T = TypeVar("T")
Origin = tuple[str, str, int]
"""Scheme, host and port."""


def _clock() -> float:
    return time.monotonic()


class HttpError(Exception):
    """The server did not give what was asked for; the text says why. `passing`: it may, another time. `status`: of HTTP, or 0."""

    def __init__(self, text: str, *, passing: bool = False, status: int = 0) -> None:
        super().__init__(text)
        self.passing, self.status = passing, status


def crawl_name(name: str) -> None:
    """ConfigError for what is no name of a crawl."""
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name) or ".." in name:
        raise ConfigError(f"{name!r} is no crawl: write it as CC-MAIN-2023-23")


def origin(url: str) -> Origin | None:
    """Where an address leads; None if it is no address of a web server that can be asked as it is."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    if not parts.hostname or "@" in parts.netloc or not re.fullmatch(r"[!-~]+", url) or "\\" in url:
        return None
    return parts.scheme, parts.hostname, port


class CrawlClient:
    """Asks politely: at most one request every `pause` seconds, each tried `1 + retries` times, no more after `seconds`.

    `services`: the addresses that the user gave; only their hosts are ever asked. `stop`: where it is set, no pause is kept, and
    whoever set it asks for nothing more.
    """

    def __init__(
        self,
        pause: float,
        retries: int,
        timeout: float,
        backoff: float = 1.0,
        *,
        services: Iterable[str] = (),
        seconds: float = float("inf"),
        stop: threading.Event | None = None,
    ) -> None:
        self._pause, self._retries, self._timeout, self._backoff = pause, retries, timeout, backoff
        self._seconds, self._end = seconds, _clock() + seconds
        self._last = float("-inf")
        self._any = False
        self._stop = stop
        self._budget = _Budget(self._end)
        self._opener = _opener(self._budget, {place for place in map(origin, services) if place})

    def get(self, url: str, *, first: int = 0, length: int = 0, most: int = LARGEST, absent: bytes | None = None) -> bytes:
        """The bytes at an address, or `length` of them from `first` on; `absent` is the answer for 404 where that is one.

        HttpError for a final status, a wrong range, a redirect to another host, or more than `most` bytes; StorageError if the
        service cannot be reached at all, or the time for all requests is over.
        """
        headers = {"Range": f"bytes={first}-{first + length - 1}"} if length else {}
        try:
            return self.ask(
                url, lambda: headers, lambda answer: _ranged(answer, length) if length else _body(answer, most), length or most
            )
        except HttpError as problem:
            if problem.status == 404 and absent is not None:
                return absent
            raise

    def ask(
        self,
        url: str,
        headers: Callable[[], Mapping[str, str]],
        take: Callable[[http.client.HTTPResponse], T],
        most: int,
        *,
        moved: Callable[[], bool] = lambda: False,
    ) -> T:
        """What `take` makes of the answer at an address, of at most `most` bytes. `headers` is asked before each try. The tries are
        counted anew when `moved` says that the last one was of use, though it failed. Errors: as `get`, and those of `take`."""
        problem, attempt = HttpError("no answer"), 0
        while attempt <= self._retries:
            self._wait(self._last + self._pause - _clock())
            self._last = _clock()
            asked: str | None = None
            try:
                return self._asked(urllib.request.Request(url, headers={**_HEADERS, **headers()}), take, most)
            except urllib.error.HTTPError as refused:
                refused.close()
                self._any = True
                problem = HttpError(f"status {refused.code}", passing=refused.code in _PASSING, status=refused.code)
                if not problem.passing:
                    raise problem from refused
                asked = refused.headers.get("Retry-After")
            except (http.client.InvalidURL, ValueError) as wrong:
                raise HttpError("not an address that can be asked") from wrong
            except (OSError, http.client.HTTPException) as lost:
                problem = HttpError("connection lost", passing=True)
                problem.__cause__ = lost
            if moved():
                attempt = 0
            self._back_off(attempt, asked)
            attempt += 1
        if not self._any:
            cause = problem.__cause__ or problem
            raise StorageError(f"cannot reach {url.split('?')[0]}: {getattr(cause, 'reason', cause)}; run it again later")
        raise problem

    def _asked(self, request: urllib.request.Request, take: Callable[[http.client.HTTPResponse], T], most: int) -> T:
        timeout = max(0.001, min(self._timeout, self._end - _clock()))
        self._budget.begin(most + _HEAD, self._timeout)
        with self._opener.open(request, timeout=timeout) as answer:
            self._any = True
            return take(answer)

    def _wait(self, seconds: float) -> None:
        """Sleep, if the time for all requests is not over by then; StorageError if it is."""
        if _clock() + max(seconds, 0.0) >= self._end:
            raise StorageError(f"stopped after {self._seconds / 3600:g} hours, as was asked; run it again to go on")
        if seconds > 0 and self._stop is not None:
            self._stop.wait(seconds)
        elif seconds > 0:
            time.sleep(seconds)

    def _back_off(self, attempt: int, asked: str | None) -> None:
        if attempt < self._retries:
            wait = float(asked) if asked and re.fullmatch("[0-9]{1,6}", asked) else self._backoff * 2**attempt
            self._wait(min(wait, _LONGEST))


def one_answer(request: urllib.request.Request, timeout: float, most: int = LARGEST) -> bytes:
    """The body of the answer to one request of any kind, to a service that the user named; for callers who repeat it themselves.

    urllib's HTTPError for a status that is no success (its body is bounded too); OSError or HTTPException if there is no whole
    answer in time; HttpError for more than `most` bytes or a redirect, which is never followed: a key must go to no other host.
    """
    budget = _Budget(float("inf"))
    budget.begin(most + _HEAD, timeout)
    with _opener(budget, set()).open(request, timeout=timeout) as answer:
        return _body(answer, most)


def _body(answer: http.client.HTTPResponse, most: int) -> bytes:
    """The body. HttpError if it is larger than `most`, IncompleteRead if the connection was lost before its end."""
    parts: list[bytes] = []
    size = 0
    while size <= most and (got := answer.read(min(_PIECE, most + 1 - size))):
        parts.append(got)
        size += len(got)
    if size > most:
        raise HttpError("answer is too large")
    data = b"".join(parts)
    if answer.length:
        raise http.client.IncompleteRead(data, answer.length)
    return data


def _ranged(answer: http.client.HTTPResponse, length: int) -> bytes:
    """The body, which must be the range that was asked for: a server that knows none would send a gigabyte."""
    if answer.status != 206:
        raise HttpError("server gives no ranges")
    try:
        data = _body(answer, length)
    except HttpError as problem:
        raise HttpError("server gives another range") from problem
    if len(data) < length:
        if answer.chunked or answer.length == 0:  # it came whole, and another try would give the same
            raise HttpError("server gives another range")
        raise http.client.IncompleteRead(data, length - len(data))
    return data


class _Budget:
    """What one answer, with its redirects, may still take. `end`: by the clock, of all answers."""

    def __init__(self, end: float) -> None:
        self._end = end
        self.begin(0, 0.0)

    def begin(self, most: int, seconds: float) -> None:
        self._most, self._seconds, self._size, self._start = most, seconds, 0, _clock()

    def take(self, size: int) -> None:
        """HttpError for too many bytes, TimeoutError for too few in their time."""
        self._size += size
        if self._size > self._most:
            raise HttpError("answer is too large")
        if _clock() > min(self._start + self._seconds + self._size / SLOWEST, self._end):
            raise TimeoutError("the answer comes too slowly")


class _Metered(io.RawIOBase):
    """A connection's bytes, on a budget."""

    def __init__(self, raw: io.RawIOBase, budget: _Budget) -> None:
        self._raw, self._budget = raw, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        size = self._raw.readinto(buffer)
        self._budget.take(size or 0)
        return size

    def close(self) -> None:
        self._raw.close()
        super().close()


def _opener(budget: _Budget, hosts: set[Origin]) -> urllib.request.OpenerDirector:
    """Opens addresses of web servers, by the proxies of the environment; answers are read on the budget."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, debuglevel: int = 0, method: str | None = None, url: str | None = None) -> None:
            super().__init__(sock, debuglevel, method, url)
            self.fp = io.BufferedReader(_Metered(self.fp.detach(), budget))

    class Plain(http.client.HTTPConnection):
        response_class = Answer

    class Secure(http.client.HTTPSConnection):
        response_class = Answer

    class OpenPlain(urllib.request.HTTPHandler):
        def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Plain, req)

    class OpenSecure(urllib.request.HTTPSHandler):
        def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
            return self.do_open(Secure, req)

    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        OpenPlain(),
        OpenSecure(),
        urllib.request.HTTPDefaultErrorHandler(),
        _Redirects(hosts),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the hosts that the user gave, at most ten."""

    def __init__(self, hosts: set[Origin]) -> None:
        self._hosts = hosts | {("https", host, 443) for scheme, host, port in hosts if (scheme, port) == ("http", 80)}

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if origin(newurl) not in self._hosts:
            raise HttpError("redirected to another host")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
