"""Addresses against lists of hosts and URLs.

Input: a column of URLs and the lists of the recipe. Output: for each the reason why its page leaves, or null. A host stands for
itself and for all hosts below it; an entry with a path for all addresses that begin with it, up to a boundary ("a.org/ads" is not
"a.org/adsl"). Compared are host and path without the scheme, port, user and "www."; hosts in lower case and in their ASCII form, so
that 「例子.中国」 and xn--fsqu00a.xn--fiqs8s are one host, and paths with their %-escapes undone. A page without a host (a file of
one's own) is on no list.

Memory: the entries, about 150 bytes each, in every worker.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from skyloom.core.errors import ConfigError, DataError
from skyloom.corpus.lists.config import ListsConfig
from skyloom.corpus.text import Texts

BLOCKED_HOST, BLOCKED_URL, NOT_ALLOWED = "blocked host", "blocked URL", "not on the allow-list"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"[a-z0-9_.:-]+")
Address: TypeAlias = tuple[str, str]
"""A host, and the path with the query."""


class UrlList:
    """A list of hosts and of beginnings of URLs. ConfigError for an entry that is no address."""

    def __init__(self, entries: Iterable[str]) -> None:
        self.hosts: set[str] = set()
        self.paths: dict[str, list[str]] = {}
        for entry in entries:
            host, path = _address(entry if _SCHEME.match(entry) else f"http://{entry}")
            if not host:
                raise ConfigError(f"{entry!r} is no host and no URL")
            if path in ("", "/"):
                self.hosts.add(host)
            else:
                self.paths.setdefault(host, []).append(path)

    def holds(self, host: str, path: str) -> str:
        """What of the list holds an address: "host", "URL", or "" for nothing."""
        if not host:
            return ""
        labels = host.split(".")
        above = [".".join(labels[k:]) for k in range(len(labels))]
        if any(name in self.hosts for name in above):
            return "host"
        return "URL" if any(_begins(path, start) for name in above for start in self.paths.get(name, ())) else ""


def _begins(path: str, start: str) -> bool:
    return path.startswith(start) and (start.endswith("/") or path[len(start) : len(start) + 1] in ("", "/", "?", "#", "&"))


def judge_urls(urls: Texts, config: ListsConfig) -> pa.Array:
    """Why each page leaves, string[rows] or null."""
    block, allow = _lists(config.block, config.block_files), _lists(config.allow, config.allow_files)
    limited = bool(config.allow or config.allow_files)
    known: dict[str, str | None] = {}
    for url in urls.to_pylist():
        if url not in known:
            host, path = _address(url)
            found = block.holds(host, path)
            known[url] = {"host": BLOCKED_HOST, "URL": BLOCKED_URL}.get(found)
            if known[url] is None and limited and not allow.holds(host, path):
                known[url] = NOT_ALLOWED
    return pa.array([known[url] for url in urls.to_pylist()], pa.string())


def list_identity(config: ListsConfig) -> Mapping[str, list[str]]:
    """What the lists say, as plain values: a file counts by what it holds, not by where it lies. ConfigError for what is no
    address, DataError for a file that cannot be read."""
    _lists(config.block, config.block_files), _lists(config.allow, config.allow_files)
    return {
        "block": list(config.block),
        "block_files": [_digest(path) for path in config.block_files],
        "allow": list(config.allow),
        "allow_files": [_digest(path) for path in config.allow_files],
    } | ({"robots": list(config.robots)} if config.robots else {})


def _digest(path: str) -> str:
    return hashlib.sha256("\n".join(_lines(path)).encode("utf-8")).hexdigest()


@functools.lru_cache(maxsize=4)
def _lists(entries: tuple[str, ...], files: tuple[str, ...]) -> UrlList:
    return UrlList([*entries, *(line for path in files for line in _lines(path))])


def _lines(path: str) -> Iterator[str]:
    """The entries of a file. DataError if it cannot be read."""
    try:
        data = Path(path).read_bytes()
        text = (gzip.decompress(data) if path.endswith(".gz") else data).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as problem:
        raise DataError(f"corpus.clean.lists: cannot read {path}: {getattr(problem, 'strerror', None) or problem}") from problem
    for line in text.splitlines():
        entry = line.split("#", 1)[0].strip()
        if entry:
            yield entry


def _address(url: str) -> Address:
    """Host and path of a URL as they are compared, "" for what is none."""
    try:
        parts = urllib.parse.urlsplit(url.strip())
        host = (parts.hostname or "").strip(".")
        if host.startswith("www.") and "." in host[4:]:  # www.de is a host of its own
            host = host[4:]
    except ValueError:
        return "", ""
    if not host or any(c.isspace() for c in host):
        return "", ""
    if not host.isascii():
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return "", ""
    if not _HOST.fullmatch(host):
        return "", ""
    path = urllib.parse.unquote(parts.path)
    return host, f"{path}?{parts.query}" if parts.query else path
