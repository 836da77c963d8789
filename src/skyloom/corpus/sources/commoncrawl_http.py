"""HTTP for shared services: one request at a time, with pauses, patience and exact ranges.

Input: an address and, if only a part is wanted, its range. Output: the bytes. Answers that may pass (429, 500, 502, 503, 504,
lost connections) are asked for again after 1, 2, 4, … seconds, or after what `Retry-After` says; all others are told. Memory:
one answer.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request

from skyloom.core.errors import StorageError

_PASSING = (429, 500, 502, 503, 504)
_LONGEST = 120.0  # seconds between two tries
_AGENT = "skyloom (corpus fetch common-crawl)"


class HttpError(Exception):
    """The server did not give what was asked for; the text says why. `passing`: it may, another time."""

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing


class CrawlClient:
    """Asks politely: at most one request every `pause` seconds, each tried `1 + retries` times."""

    def __init__(self, pause: float, retries: int, timeout: float, backoff: float = 1.0) -> None:
        self._pause, self._retries, self._timeout, self._backoff = pause, retries, timeout, backoff
        self._last = 0.0
        self._any = False

    def get(self, url: str, *, first: int = 0, length: int = 0, absent: bytes | None = None) -> bytes:
        """The bytes at an address, or `length` of them from `first` on; `absent` is the answer for 404 where that is one.

        HttpError for a final status or a wrong range; StorageError if the service cannot be reached at all.
        """
        headers = {"User-Agent": _AGENT, "Accept-Encoding": "identity"}
        if length:
            headers["Range"] = f"bytes={first}-{first + length - 1}"
        problem = HttpError("no answer")
        for attempt in range(self._retries + 1):
            self._wait()
            try:
                with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=self._timeout) as answer:
                    self._any = True
                    return _checked(answer, length)
            except urllib.error.HTTPError as refused:
                self._any = True
                if refused.code == 404 and absent is not None:
                    return absent
                problem = HttpError(f"status {refused.code}", passing=refused.code in _PASSING)
                if not problem.passing:
                    raise problem from refused
                self._back_off(attempt, refused.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as lost:
                problem = HttpError("connection lost", passing=True)
                problem.__cause__ = lost
                self._back_off(attempt, None)
        if not self._any:
            cause = problem.__cause__ or problem
            raise StorageError(f"cannot reach {url.split('?')[0]}: {getattr(cause, 'reason', cause)}; run it again later")
        raise problem

    def _wait(self) -> None:
        left = self._last + self._pause - time.monotonic()
        if left > 0:
            time.sleep(left)
        self._last = time.monotonic()

    def _back_off(self, attempt: int, asked: str | None) -> None:
        if attempt < self._retries:
            wait = float(asked) if asked and asked.isdigit() else self._backoff * 2**attempt
            time.sleep(min(wait, _LONGEST))


def _checked(answer: http.client.HTTPResponse, length: int) -> bytes:
    """The body, which for a range must be the range: a server that knows none would send a gigabyte."""
    if not length:
        return answer.read()
    if answer.status != 206:
        raise HttpError("server gives no ranges")
    data = answer.read(length + 1)
    if len(data) != length:
        raise http.client.IncompleteRead(data, max(length - len(data), 1))
    return data
