"""Settings of a filter of one's own, a `[[corpus.filters]]` table of the recipe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.corpus.own_function import check_settings

ORIGINS = ("html", "text", "code", "parallel", "exercise")
_NAME = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class FilterConfig:
    """Which function judges the documents, where it stands among the filters, and what it is told."""

    use: str = setting(doc='the function, "package.module:function", or the name of an entry point of the group skyloom.filters')
    after: str = setting("quality", doc="the built-in filter that it comes after; several after one stand in the recipe's order")
    name: str = setting("", doc="its name in the ledger [that of the function or of the entry point]")
    version: str = setting("", doc="its version, which names the results [the function's, its module's or its package's]")
    gives: str = setting(
        "",
        doc="what it gives for each document: a reason to drop it (null: it stays), or its new text (null: unchanged, empty: "
        "dropped) [as the function says, else reasons]",
        choices=("", "reasons", "texts"),
    )
    origins: tuple[str, ...] = setting(("html", "text"), doc="documents that it judges, by what they came as", choices=ORIGINS)
    settings: dict[str, Any] = setting(factory=dict, doc="what the function is told, as a dict")
    traceback: bool = setting(False, doc="print the traceback where the function fails", identity=False)

    def __post_init__(self) -> None:
        if not self.use or self.use.startswith(":") or self.use.endswith(":"):
            raise ConfigError(f"use is {self.use!r}; write it as package.module:function, or as the name of an entry point")
        if self.name and not _NAME.fullmatch(self.name):
            raise ConfigError(f"name is {self.name!r}; it is at most 64 letters, digits, '.', '_' and '-'")
        check_settings(self.use, self.settings)
        if not self.origins:
            raise ConfigError(f"origins is empty, so {self.use} would judge nothing")

    @property
    def called(self) -> str:
        """The filter's name in the ledger and in messages."""
        return self.name or self.use.rpartition(":")[2].rpartition(".")[2]
