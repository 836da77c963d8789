"""A language model behind an OpenAI-compatible endpoint: one prompt, one answer.

Input: the endpoint's address, the name of a model, and a key if it wants one. Output: the text of an answer, or why there is none
that can be used. What may pass (429, 5xx, a lost connection, no answer in time) is asked again after 1, 2, 4, … seconds, or after
what `Retry-After` says. The key goes into one header and nowhere else; redirects are not followed, so it goes to no other server.
"""

from __future__ import annotations

import email.utils
import http.client
import json
import re
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from skyloom.core.errors import ConfigError, DataError, SkyloomError, StorageError
from skyloom.core.json_lines import json_object
from skyloom.core.progress import Progress
from skyloom.corpus.sources import HttpError, one_answer, origin

PASSING = (408, 429, 500, 502, 503, 504, 529)
NO_KEY = (401, 403)
LONGEST_BACKOFF = 60.0
"""Seconds between two tries, where the endpoint does not say."""
LONGEST_WAIT = 600.0
"""Seconds that an endpoint may ask to wait; for longer the command ends instead."""
LARGEST_ANSWER = 8_000_000
"""Bytes."""
NO_CHAT = "not an answer of a chat endpoint"
NO_TEXT = "no text in the answer"
CUT_OFF = "cut off at --max-tokens"
SHOWN = 200
"""Characters of an endpoint's own words that are shown."""
_PATH = "/chat/completions"


@dataclass(frozen=True)
class ChatSettings:
    """How a model is asked. `url`: as the user gave it; `timeout`: seconds for an answer; `retries`: tries after the first."""

    url: str
    model: str
    temperature: float
    max_tokens: int
    timeout: float
    retries: int


@dataclass(frozen=True)
class ChatAnswer:
    """An answer. `problem`: why its text cannot be used, "" if it can; `served`: the model that the endpoint says has answered;
    tokens as the endpoint counts them, 0 where it does not."""

    text: str
    problem: str = ""
    served: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0


class _PassingError(Exception):
    """Something that another try may mend. `wait`: seconds that the endpoint asks for; `reached`: whether it gave any answer."""

    def __init__(self, text: str, wait: float | None = None, *, reached: bool = True) -> None:
        super().__init__(text)
        self.wait, self.reached = wait, reached


class ChatEndpoint:
    """Asks one prompt at a time."""

    def __init__(self, settings: ChatSettings, key: str, key_env: str, progress: Progress) -> None:
        """`key`: "" for none; `key_env`: the name of its variable, for messages. ConfigError for what is no address."""
        self._settings, self._key, self._key_env, self._progress = settings, key, key_env, progress
        if origin(settings.url) is None:
            raise ConfigError(
                "--endpoint takes an address such as http://localhost:8000/v1, in ASCII and without a name or password in it"
            )
        base, mark, query = settings.url.partition("?")
        self.place = base.rstrip("/").removesuffix(_PATH)
        """The address without what follows "?": a key may stand there."""
        said = [pair.partition("=")[2] or pair for pair in query.split("&")]
        secrets = {key, *said, *(urllib.parse.unquote_plus(part) for part in said)}
        self._secrets = sorted((one for one in secrets if len(one) > 3), key=len, reverse=True)
        self._url = f"{self.place}{_PATH}{mark}{query}"
        self._reached = False

    def ask(self, prompt: str) -> ChatAnswer:
        """The answer. ConfigError for a refused key, model or setting; DataError if the endpoint is there, but does not answer
        in all tries; StorageError if it cannot be reached."""
        problem = _PassingError("no answer")
        for attempt in range(self._settings.retries + 1):
            try:
                return _answer(self._sent(prompt))
            except _PassingError as passing:
                problem = passing
            self._reached |= problem.reached
            if attempt < self._settings.retries:
                self._wait(attempt, problem)
        tries = f"{self._settings.retries + 1} tries"
        if not self._reached:
            raise StorageError(f"cannot reach {self.place} in {tries}: {problem}; run the same command again to continue")
        raise DataError(f"{self.place} gave no answer in {tries}: {problem}; run the same command again later to continue")

    def _sent(self, prompt: str) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "skyloom (leak reference)"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        body = {
            "model": self._settings.model, "messages": [{"role": "user", "content": prompt}],
            "temperature": self._settings.temperature, "max_tokens": self._settings.max_tokens,
        }  # fmt: skip
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers, method="POST")
        try:
            found = one_answer(request, self._settings.timeout, LARGEST_ANSWER)
        except urllib.error.HTTPError as refused:
            with refused:
                raise self._refused(refused) from refused
        except HttpError as problem:
            raise ConfigError(f"{self.place}: {problem}; give the address of a chat endpoint itself") from problem
        except (OSError, http.client.HTTPException) as lost:
            raise self._lost(lost) from lost
        except ValueError as wrong:  # a host that the resolver cannot even ask for
            raise ConfigError(f"{self.place} is no address that can be asked") from wrong
        self._reached = True
        return found

    def _refused(self, refused: urllib.error.HTTPError) -> _PassingError | SkyloomError:
        """What a status that is no success means."""
        status = f"{refused.code} {http.client.responses.get(refused.code, '')}".strip()
        if refused.code in NO_KEY:
            if not self._key:
                return ConfigError(
                    f"{self.place} wants a key ({status}): put it into an environment variable and give --key-env NAME"
                )
            return ConfigError(f"{self.place} does not accept the key in {self._key_env} for '{self._settings.model}' ({status})")
        words = f"{status}{self._words(refused)}"
        if refused.code in PASSING:
            return _PassingError(words, _asked_wait(refused.headers.get("Retry-After")))
        if 300 <= refused.code < 400:
            return ConfigError(f"{self.place} sends us to another address ({status}); give the address that answers itself")
        return ConfigError(f"{self.place} refuses the request for '{self._settings.model}': {words}")

    def _words(self, refused: urllib.error.HTTPError) -> str:
        """What an endpoint says beside its status, in one line, without the key and what stands in the address behind "?"."""
        try:
            data = refused.read(100_000)
        except (OSError, HttpError, http.client.HTTPException):
            return ""
        row = json_object(data)
        told = row.get("error", row.get("message", row.get("detail"))) if isinstance(row, dict) else data.decode("utf-8", "replace")
        told = told.get("message") if isinstance(told, dict) else told
        if not isinstance(told, str):
            return ""
        text = told
        for secret in self._secrets:
            text = text.replace(secret, "…")
        text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return f" ({text[:SHOWN]})" if text else ""

    def _lost(self, lost: Exception) -> _PassingError | SkyloomError:
        sent = not isinstance(lost, urllib.error.URLError)  # urllib wraps only what fails before the request is sent
        why = lost.reason if isinstance(lost, urllib.error.URLError) else lost
        if isinstance(why, TimeoutError):
            return _PassingError(f"nothing came in {self._settings.timeout:g} s (--timeout)", reached=sent)
        if isinstance(why, (ConnectionRefusedError, socket.gaierror, ssl.SSLError)) and not self._reached:
            said = why.strerror if isinstance(why, OSError) and why.strerror else str(why)
            return StorageError(f"cannot reach {self.place}: {said}")
        return _PassingError("the connection was lost", reached=sent)

    def _wait(self, attempt: int, problem: _PassingError) -> None:
        wait = min(2.0**attempt, LONGEST_BACKOFF) if problem.wait is None else problem.wait
        if wait > LONGEST_WAIT:
            raise DataError(
                f"{self.place} asks to wait {wait:,.0f} s: {problem}; run the same command again after that to continue"
            ) from problem
        self._progress.log(f"{self.place}: {problem}; asked again in {wait:g} s")
        _sleep(wait)


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _asked_wait(header: str | None) -> float | None:
    """Seconds of a Retry-After, a number or a date; None if it is neither."""
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,6})?", text):
        return float(text)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _answer(data: bytes) -> ChatAnswer:
    """The answer in a body, whatever stands there."""
    row = json_object(data)
    choices = row.get("choices") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return ChatAnswer("", NO_CHAT)
    message = choices[0].get("message")
    text = message.get("content") if isinstance(message, dict) else None
    served, usage = row.get("model"), row.get("usage")
    counted = usage if isinstance(usage, dict) else {}
    problem = CUT_OFF if choices[0].get("finish_reason") == "length" else "" if isinstance(text, str) and text.strip() else NO_TEXT
    return ChatAnswer(
        text if isinstance(text, str) else "",
        problem,
        served[:SHOWN].encode("utf-8", "replace").decode() if isinstance(served, str) else "",
        _count(counted, "prompt_tokens"),
        _count(counted, "completion_tokens"),
    )


def _count(usage: Mapping[str, object], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0
