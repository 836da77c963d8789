"""Resolve the sources of a recipe: find their files, decide their kind, and take a fingerprint of the input.

Nothing is read here but names, sizes and times, so that a changed input gives the step `pages` another name (see
`readers.byte_streams.fingerprint`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import record_id
from skyloom.corpus.own_function import identity_of
from skyloom.corpus.sources.config import OWN_GROUP, SourceConfig
from skyloom.corpus.sources.file_kinds import find
from skyloom.corpus.sources.readers import debian, hosts, hub
from skyloom.corpus.sources.readers.byte_streams import File, fingerprint, listing
from skyloom.corpus.sources.readers.folders import standard_library

SAMPLES_LICENSE = "Apache-2.0"
Parts = tuple[Any, ...]
"""Units of work of a source: of each kind of source its own (files, ranges of files, shards of a data set, packages)."""


@dataclass(frozen=True)
class ResolvedSource:
    """A source that is there. `parts` are its units of work, `identity` changes when its content does.

    `kind` is never "auto"; `note` says what a reader of the report should know (for example a fallback to the samples).
    `version` is that of a function of one's own, which each task compares with what it finds.
    """

    config: SourceConfig
    kind: str
    origin: str
    parts: Parts
    identity: str
    note: str = ""
    version: str = ""


def resolve(configs: Sequence[SourceConfig], *, cache: Path, samples: Path, progress: Progress) -> tuple[ResolvedSource, ...]:
    """Find each source. `cache` keeps downloads between runs, `samples` is the folder of pages that come with the program.

    ConfigError for two sources of one name, DataError for a source without files.
    """
    if not configs:
        raise ConfigError("the recipe names no sources: add a [[corpus.sources]] table")
    names = [c.name for c in configs]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two sources are named '{name}': give each its own name")
    return tuple(_resolve(c, cache, samples, progress) for c in configs)


def _resolve(config: SourceConfig, cache: Path, samples: Path, progress: Progress) -> ResolvedSource:
    if config.kind == "stdlib":
        return ResolvedSource(config, "stdlib", *standard_library(config.name))
    if config.kind == "own":
        return _own(config)
    if config.kind == "hub":
        parts, identity = hub.find(config.name, config.path, config.subset, config.split)
        return ResolvedSource(config, "hub", hub.shown(config.path), parts, identity + _hosts_identity(config))
    if config.kind == "samples":
        ours = config if config.path else _licensed(config)
        return _files(ours, "samples", str(Path(config.path) if config.path else samples / "web"), progress)
    if config.kind == "debian-docs":
        found, problem = debian.find(config.packages or debian.PACKAGES, cache, progress)
        if found:
            identity = " ".join(f"{p.name}={p.version}:{p.sha256[:16]}" for p in found)
            # Pages that name another language are not read at all, so here the languages shape what is fetched.
            identity += f" languages {','.join(sorted(config.languages))}"
            return ResolvedSource(config, "debian-docs", "Debian packages, by apt", tuple(found), identity, problem)
        note = f"no Debian packages ({problem}); using the sample pages that come with Skyloom"
        progress.log(f"warning: {config.name}: {note}")
        return replace(_files(_licensed(config), "samples", str(samples / "web"), progress), note=note)
    return _files(config, config.kind, config.path, progress)


def _own(config: SourceConfig) -> ResolvedSource:
    """A source of one's own: a part for each file at its path, or one where it has none."""
    version = identity_of(config.use, config.version, "source", OWN_GROUP)
    files = listing(config.name, config.path) if config.path else []
    if config.path and not files:
        raise DataError(f"source '{config.name}': no files at {config.path}")
    told = json.dumps([config.use, version, config.settings], ensure_ascii=False, sort_keys=True)
    identity = f"{told} {fingerprint(files)}" + _hosts_identity(config)
    return ResolvedSource(config, "own", config.use, tuple(files) or (File("", config.name, 0),), identity, version=version)


def _licensed(config: SourceConfig) -> SourceConfig:
    """The sample pages that come with the program are ours, so their licence is known where the recipe gives none."""
    return replace(config, license=config.license or SAMPLES_LICENSE)


def _files(config: SourceConfig, kind: str, path: str, progress: Progress) -> ResolvedSource:
    kind, files, others = find(config.name, kind, path, code=config.category == "code", text_field=config.text_field)
    if others and kind != "samples":
        progress.log(f"{config.name}: {len(files):,} files are read as {kind}; {others:,} that are not, by their names, are left")
    # The origin is published in the corpus card, which need not tell the folders of somebody's machine.
    origin = path if "://" in path else Path(path).name
    return ResolvedSource(config, kind, origin, tuple(files), fingerprint(files) + _hosts_identity(config))


def _hosts_identity(config: SourceConfig) -> str:
    """What the table of hosts adds to a source's identity. ConfigError if the user's table cannot be used."""
    if config.category != "auto":
        return ""
    table = hosts.load(config.hosts).table
    return f" hosts {record_id(*(f'{k}={v}' for k, v in sorted(table.items())))}"
