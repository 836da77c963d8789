"""Settings of the lists of hosts and URLs."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError


@dataclass(frozen=True)
class ListsConfig:
    """Pages by their address, and by what they ask of robots.

    An entry is a host ("example.org", with all hosts below it) or the beginning of a URL ("example.org/ads/"); a file has one in
    each line, and "#" begins a comment.
    """

    block: tuple[str, ...] = setting((), doc="hosts and URLs whose pages leave")
    block_files: tuple[str, ...] = setting((), doc="files of such hosts and URLs, plain or .gz")
    allow: tuple[str, ...] = setting((), doc="hosts and URLs whose pages alone stay")
    allow_files: tuple[str, ...] = setting((), doc="files of such hosts and URLs, plain or .gz")
    robots: tuple[str, ...] = setting(
        (), doc="robots directives whose pages leave: noai, noindex, …; for one agent: gptbot:noindex", later=True
    )

    def __post_init__(self) -> None:
        from skyloom.corpus.notices import DIRECTIVES

        for name in self.robots:
            if name.rpartition(":")[2] not in DIRECTIVES or name != name.lower():
                raise ConfigError(f"robots: {name!r} is no directive; known are {', '.join(DIRECTIVES)}")

    @property
    def wanted(self) -> bool:
        """Whether there is any list."""
        return bool(self.block or self.block_files or self.allow or self.allow_files or self.robots)
