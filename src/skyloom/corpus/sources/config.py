"""Settings of a source of pages, and what the corpus may do with its pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.core.records import CATEGORIES
from skyloom.corpus.own_function import check_settings
from skyloom.corpus.sources.file_kinds import FILE_KINDS

KINDS = ("auto", "debian-docs", "samples", "stdlib", "hub", "own", *FILE_KINDS)
OWN_GROUP = "skyloom.sources"
"""The group of entry points under which packages register sources."""

EXEMPTIONS = ("near-duplicates", "templates", "quality")


@dataclass(frozen=True)
class SourcePolicy:
    """What the corpus may do with a source's pages: `languages` to keep, and stages it is `exempt` from."""

    languages: tuple[str, ...] = ("en", "zh-Hans")
    exempt: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceConfig:
    """One source of pages, a `[[corpus.sources]]` table of the recipe."""

    name: str = setting(doc="name of the source, used in the ledger and in every record")
    kind: str = setting("auto", doc="what the source is; auto looks at the files", choices=KINDS)
    path: str = setting("", doc="file, folder, pattern or fsspec URL; for hub: owner/name, owner/name@revision or a folder")
    category: str = setting(
        "web", doc="row of the mixture that the documents belong to; auto: by kind and host", choices=("auto", *CATEGORIES)
    )
    hosts: str = setting("", doc="TOML file of host suffixes by category, laid over Skyloom's own where category is auto")
    subset: str = setting("", doc="subset (configuration) of a hub data set")
    split: str = setting("train", doc="split of a hub data set")
    text_field: str = setting("", doc="column or key that holds the text, where it is not text, html or content")
    license: str = setting("", doc="licence of the texts (SPDX identifier), where the source does not say it for each")
    languages: tuple[str, ...] = setting(("en", "zh-Hans"), doc="languages to keep", choices=("en", "zh-Hans", "zh-Hant", "other"))
    exempt: tuple[str, ...] = setting((), doc="stages that this source skips", choices=EXEMPTIONS)
    packages: tuple[str, ...] = setting((), doc="Debian packages for debian-docs; empty: the usual documentation packages")
    max_pages: int = setting(
        0, doc="read only so many pages (of archives the first, else a spread sample), 0 for all", unit="pages", low=0
    )
    max_body_mb: float = setting(16.0, doc="quarantine larger pages unread", unit="MB", low=0.001, high=700)
    shard_mb: float = setting(
        8.0, doc="page bodies in one shard: what a worker has in memory, several times over", unit="MB", low=0.001, high=700
    )
    max_ratio: float = setting(300.0, doc="quarantine what unpacks to more than this", unit="times its size", low=2)
    use: str = setting(
        "",
        doc='for own: the function that reads, "package.module:function", or an entry point of the group skyloom.sources',
        later=True,
    )
    version: str = setting("", doc="for own: its version [the function's, its module's or its package's]", later=True)
    settings: dict[str, Any] = setting(factory=dict, doc="for own: what the function is told, as a dict", identity=False)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a source needs a name")
        if not self.path and self.kind not in ("debian-docs", "samples", "stdlib", "own"):
            raise ConfigError(f"source '{self.name}': set 'path' to a file, a folder or a URL")
        if (self.kind == "own") != bool(self.use):
            raise ConfigError(f'source \'{self.name}\': kind = "own" and use = "package.module:function" go together')
        if self.kind != "own" and (self.version or self.settings):
            name = "version" if self.version else "settings"
            raise ConfigError(
                f"source '{self.name}': {name} is that of a function of one's own: it goes with kind = \"own\" and use"
            )
        check_settings(self.use, self.settings)

    @property
    def policy(self) -> SourcePolicy:
        return SourcePolicy(self.languages, self.exempt)


def policies(configs: Sequence[SourceConfig]) -> dict[str, SourcePolicy]:
    """The policy of each source by its name, as extraction and cleaning take it."""
    return {c.name: c.policy for c in configs}
