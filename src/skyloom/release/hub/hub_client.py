"""The Hub through `huggingface_hub`: one object for the calls that a release needs, with our own errors.

Input: the environment (`HF_TOKEN`, or the token that `hf auth login` stored; `HF_ENDPOINT`). Output: an `HfApi` whose errors are
sentences with an exit code. The token is used in requests only: it is in no message, no log and no file of ours. Messages of the
library are not shown, because their URLs may carry a signature that gives access for a while.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import httpx2
import huggingface_hub
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from skyloom.core.errors import ConfigError, SkyloomError, StorageError

Kind = Literal["model", "dataset"]
PATIENCE = 120.0
"""Seconds without one byte after which a request has failed; the library itself would wait for ever."""
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*\Z", re.ASCII)
_LOGIN = "log in with `hf auth login`, or set HF_TOKEN"
_AGAIN = "run the command again: it goes on where it stopped"


def checked_name(name: str) -> str:
    """The name of a repository, `owner/name`. ConfigError if it is none."""
    if not _NAME.match(name) or ".." in name or "--" in name or name.endswith((".git", ".", "-")):
        raise ConfigError(f"{name!r} names no repository: give OWNER/NAME, of letters, digits and single . - _ (me/my-model)")
    return name


class Hub:
    """The API of a hub. `token`: only to take it out of what others say."""

    def __init__(self) -> None:
        self.token = huggingface_hub.get_token()
        self.api = huggingface_hub.HfApi(library_name="skyloom")

    @contextmanager
    def session(self) -> Iterator[Hub]:
        """All calls of one command: with a time limit, and without bars, logs and warnings of the library."""
        log, client = logging.getLogger("huggingface_hub"), huggingface_hub.get_session()
        level, before = log.level, client.timeout
        log.setLevel(logging.CRITICAL)
        client.timeout = httpx2.Timeout(PATIENCE)
        bars = not are_progress_bars_disabled()
        disable_progress_bars()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield self
        finally:
            log.setLevel(level)
            client.timeout = before
            if bars:
                enable_progress_bars()

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Calls of the API inside are told as a SkyloomError if they fail; `what` is done in them, in words ("push me/x")."""
        try:
            yield
        except SkyloomError:
            raise
        except (OSError, ValueError, RuntimeError, httpx2.HTTPError, AssertionError) as problem:
            told = self._told(problem, what)
            raise type(told)(self.scrubbed(str(told))) from None  # its cause would show the request's headers in a traceback

    def scrubbed(self, text: str) -> str:
        """A text without the token, should a server repeat it."""
        return text.replace(self.token, "***") if self.token else text

    def looked_up(self, name: str, kind: Kind, revision: str | None = None) -> Any:
        """What the hub says of a repository: `sha`, `private`, `siblings`."""
        with self.asking(f"look up {name}"):
            return self.api.repo_info(name, repo_type=kind, revision=revision, timeout=PATIENCE)

    def is_private(self, name: str, kind: Kind) -> bool | None:
        """Whether a repository is private; None if there is none that the token may see."""
        with self.asking(f"look up {name}"):
            try:
                return bool(self.api.repo_info(name, repo_type=kind, timeout=PATIENCE).private)
            except RepositoryNotFoundError as problem:
                if self.token and problem.response.status_code == 401:
                    raise
                return None

    def _told(self, problem: BaseException, what: str) -> SkyloomError:
        for cause in _chain(problem):
            if isinstance(cause, HfHubHTTPError):
                return _refused(cause, what)
            if isinstance(cause, (httpx2.TransportError, OfflineModeIsEnabled)):
                why = "offline mode is on (HF_HUB_OFFLINE)" if isinstance(cause, OfflineModeIsEnabled) else type(cause).__name__
                return StorageError(f"cannot {what}: the hub at {self.api.endpoint} cannot be reached ({why}); {_AGAIN}")
            if isinstance(cause, LocalTokenNotFoundError):
                return ConfigError(f"cannot {what}: no token is set; {_LOGIN}")
            if isinstance(cause, HFValidationError):
                return ConfigError(f"cannot {what}: {cause}")
        first = str(problem).strip().splitlines()
        return StorageError(f"cannot {what}: {first[0] if first else type(problem).__name__}; {_AGAIN}")


def _chain(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


def _refused(problem: HfHubHTTPError, what: str) -> SkyloomError:
    """The hub's answer, by its status, in a sentence that says what to do."""
    status = problem.response.status_code
    said = " ".join((problem.server_message or "").split())
    why = f"cannot {what}: the hub answers {status}{f' ({said[:300]})' if said else ''}"
    if status == 401:
        return ConfigError(f"{why}: the token is missing, wrong or too old; {_LOGIN}")
    if status == 403:
        return ConfigError(f"{why}: the token may not do this; give it the right to write to this repository")
    if status in (404, 410):
        return ConfigError(f"{why}: there is no such repository, revision or file, or the token may not see it")
    if status in (409, 412):
        return StorageError(f"{why}: somebody else changes the repository at the same time; {_AGAIN}")
    if status == 429:
        return StorageError(f"{why}: too many requests; wait some minutes, then {_AGAIN}")
    if status in (400, 413, 422):
        return ConfigError(f"{why}: it does not take these files")
    return StorageError(f"{why}; {_AGAIN}")
