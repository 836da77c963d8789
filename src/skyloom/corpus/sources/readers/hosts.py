"""Categories of pages by host, as rows of the report's Table 1, for well-known sites.

Input: a URL. Output: a category of `core.records.CATEGORIES`. The table is a small file of our own (`hosts.toml`), one list of
host suffixes per category; the longest suffix that fits wins, so `wikisource.org` can be books though `wikimedia.org` is an
encyclopedia. A user's file of the same form is laid over it.
"""

from __future__ import annotations

import functools
import importlib.resources
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from skyloom.core.config import read_toml
from skyloom.core.errors import ConfigError
from skyloom.core.records import CATEGORIES

_LONGEST = 254


@dataclass(frozen=True)
class Hosts:
    """Host suffixes (`zhihu.com`, without a leading point) and their categories."""

    table: Mapping[str, str]

    def category(self, url: str, default: str) -> str:
        """The category of the longest suffix of the URL's host, or the default. Never raises on any string."""
        try:
            host = (urlsplit(url if "://" in url else f"//{url}").hostname or "").rstrip(".")
        except ValueError:  # brackets that hold no address
            return default
        host = host[-_LONGEST:]  # no host is longer, and each suffix is looked up
        while host:
            found = self.table.get(host)
            if found:
                return found
            host = host.partition(".")[2]
        return default


def load(path: str = "") -> Hosts:
    """The table that comes with Skyloom, with the user's file laid over it. ConfigError if that one cannot be used."""
    table = dict(_own())
    if path:
        table |= _parsed(read_toml(path), path)
    return Hosts(table)


@functools.cache
def _own() -> dict[str, str]:
    text = importlib.resources.files("skyloom.corpus.sources.readers").joinpath("hosts.toml").read_text("utf-8")
    return _parsed(tomllib.loads(text), "hosts.toml")


def _parsed(raw: Mapping[str, object], origin: str) -> dict[str, str]:
    table: dict[str, str] = {}
    for category, hosts in raw.items():
        if category not in CATEGORIES:
            raise ConfigError(f"{origin}: unknown category '{category}'; valid: {', '.join(CATEGORIES)}")
        if not isinstance(hosts, list) or not all(isinstance(h, str) and h.strip(". ") for h in hosts):
            raise ConfigError(f"{origin}: '{category}' must be a list of hosts, for example [\"example.org\"]")
        for host in hosts:
            name = host.strip(". ").lower()
            if table.setdefault(name, category) != category:
                raise ConfigError(f"{origin}: '{name}' is both {table[name]} and {category}: leave it in one list")
    return table
