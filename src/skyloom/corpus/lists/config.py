"""Settings of the lists of hosts and URLs."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ListsConfig:
    """Pages by their address. An entry is a host ("example.org", with all hosts below it) or the beginning of a URL
    ("example.org/ads/"); a file has one in each line, and "#" begins a comment."""

    block: tuple[str, ...] = setting((), doc="hosts and URLs whose pages leave")
    block_files: tuple[str, ...] = setting((), doc="files of such hosts and URLs, plain or .gz")
    allow: tuple[str, ...] = setting((), doc="hosts and URLs whose pages alone stay")
    allow_files: tuple[str, ...] = setting((), doc="files of such hosts and URLs, plain or .gz")

    @property
    def wanted(self) -> bool:
        """Whether there is any list."""
        return bool(self.block or self.block_files or self.allow or self.allow_files)
