"""Where pages come from, and the step that writes them down as shards.

What enters are the recipe's sources, what leaves are PAGE shards: bytes as they came, with what the source knows about
them. `resolve` looks at each source without reading it: it decides the kind, checks that something is there and takes a
fingerprint, so that the step below is done again when the input changed (of files above 8 MB their edges and middle are
looked at, see `sources_files.fingerprint`). `fetch` then reads all sources in parallel, a package or a file at a time.

A page that a source cannot deliver whole (a broken gzip member, a line that is no JSON, a body beyond the limit) becomes
a row with an `error` and is counted, never dropped on the quiet.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyloom.core.config import setting
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import CATEGORIES, PAGE
from skyloom.core.store import FileRecord, Store
from skyloom.corpus import sources_debian, sources_files, sources_warc

KINDS = ("auto", "debian-docs", "samples", "warc", "wet", "html", "jsonl", "parquet", "text", "stdlib")
EXEMPTIONS = ("near-duplicates", "templates", "quality")
SHARD_BYTES = 16_000_000  # of bodies; small enough that two workers finish together on a small corpus


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
    path: str = setting("", doc="file, folder or fsspec URL (not for debian-docs, samples and stdlib)")
    category: str = setting("web", doc="row of the mixture that the documents belong to", choices=CATEGORIES)
    license: str = setting("", doc="licence of the texts (SPDX identifier), where the source does not say it for each")
    languages: tuple[str, ...] = setting(("en", "zh-Hans"), doc="languages to keep", choices=("en", "zh-Hans", "zh-Hant", "other"))
    exempt: tuple[str, ...] = setting((), doc="stages that this source skips", choices=EXEMPTIONS)
    packages: tuple[str, ...] = setting((), doc="Debian packages for debian-docs; empty: the usual documentation packages")
    max_pages: int = setting(
        0, doc="read only so many pages (of archives the first, else a spread sample), 0 for all", unit="pages", low=0
    )
    max_body_mb: float = setting(16.0, doc="quarantine larger pages unread", unit="MB", low=0.001, high=1000)

    def __post_init__(self) -> None:
        if not self.name:
            raise ConfigError("a source needs a name")
        if not self.path and self.kind not in ("debian-docs", "samples", "stdlib"):
            raise ConfigError(f"source '{self.name}': set 'path' to a file, a folder or a URL")

    @property
    def policy(self) -> SourcePolicy:
        return SourcePolicy(self.languages, self.exempt)


@dataclass(frozen=True)
class ResolvedSource:
    """A source that is there. `parts` are its units of work, `identity` changes when its content does.

    `kind` is never "auto"; `note` says what a reader of the report should know (for example a fallback to the samples).
    """

    config: SourceConfig
    kind: str
    origin: str
    parts: tuple[Any, ...]
    identity: str
    note: str = ""


def policies(configs: Sequence[SourceConfig]) -> dict[str, SourcePolicy]:
    """The policy of each source by its name, as extraction and cleaning take it."""
    return {c.name: c.policy for c in configs}


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
        return ResolvedSource(config, "stdlib", *sources_files.standard_library(config.name))
    if config.kind == "samples":
        return _files(config, "samples", str(Path(config.path) if config.path else samples / "web"), progress)
    if config.kind == "debian-docs":
        found, problem = sources_debian.find(config.packages or sources_debian.PACKAGES, cache, progress)
        if found:
            identity = " ".join(f"{p.name}={p.version}:{p.sha256[:16]}" for p in found)
            # Pages that name another language are not read at all, so here the languages shape what is fetched.
            identity += f" languages {','.join(sorted(config.languages))}"
            return ResolvedSource(config, "debian-docs", "Debian packages, by apt", tuple(found), identity, problem)
        note = f"no Debian packages ({problem}); using the sample pages that come with Skyloom"
        progress.log(f"{config.name}: {note}")
        return replace(_files(config, "samples", str(samples / "web"), progress), note=note)
    return _files(config, config.kind, config.path, progress)


def _files(config: SourceConfig, kind: str, path: str, progress: Progress) -> ResolvedSource:
    kind, files, others = sources_files.find(config.name, kind, path, code=config.category == "code")
    if others and kind != "samples":
        progress.log(f"{config.name}: {len(files):,} files are read as {kind}; {others:,} that are not, by their names, are left")
    # The origin is published in the corpus card, which need not tell the folders of somebody's machine.
    origin = path if "://" in path else Path(path).name
    return ResolvedSource(config, kind, origin, tuple(files), sources_files.fingerprint(files))


def fetch(sources: Sequence[ResolvedSource], out: Store, *, engine: Engine, progress: Progress) -> list[dict[str, Any]]:
    """Write all pages as `pages-PPPPP-NNN.parquet` (part, shard) and `sources.json`; returns the latter's rows.

    DataError if a source has no page at all, or not one that could be read.
    """
    tasks: list[Task] = []
    for number, source in enumerate(sources):
        for parts in _work(source):
            tasks.append(Task(f"{len(tasks):05d}", (number, source, parts)))
    results = engine.map(_fetch_part, tasks, out, progress=progress, label="read sources")
    rows = []
    for number, source in enumerate(sources):
        mine = [r for task, r in zip(tasks, results, strict=True) if task.payload[0] == number]
        pages = sum(r["pages"] for r in mine)
        if not pages:
            raise DataError(
                f"source '{source.config.name}' ({source.origin}) has no pages: check its path and kind '{source.kind}'"
            )
        broken = [r["error"] for r in mine if r["error"]]
        if sum(r["broken"] for r in mine) == pages:
            raise DataError(
                f"source '{source.config.name}' ({source.origin}): none of its {pages:,} pages could be read, the first "
                f"because: {broken[0]}; check its path and kind '{source.kind}'"
            )
        rows.append(
            {
                "name": source.config.name, "kind": source.kind, "origin": source.origin, "pages": pages,
                "bytes": sum(r["bytes"] for r in mine), "note": source.note,
            }
        )  # fmt: skip
        progress.log(f"{source.config.name}: {pages:,} pages, {rows[-1]['bytes'] / 1e6:.1f} MB ({source.kind})")
    out.write_json("sources.json", rows)
    return rows


def _work(source: ResolvedSource) -> list[tuple[Any, ...]]:
    """A source's parts in groups, one task each. With a limit on pages an archive is read on until it is reached, and of
    files that are a page each a spread sample is read."""
    parts, limit = source.parts, source.config.max_pages
    if source.kind in ("html", "samples", "text", "stdlib"):
        if limit:
            wanted = sources_files.sample([f.name for f in parts], limit)
            parts = tuple(f for f in parts if f.name in wanted)
        size = sources_files.FILES_A_TASK
        return [parts[i : i + size] for i in range(0, len(parts), size)]
    return [parts] if limit else [(p,) for p in parts]


def _fetch_part(task: Task, out: Store) -> Done:
    """Read some parts of a source and write them in shards of at most `SHARD_BYTES` of bodies (or one page)."""
    _, source, parts = task.payload
    files: list[FileRecord] = []
    rows: list[dict[str, Any]] = []
    size = pages = total = broken = 0
    first = ""

    def write() -> None:
        nonlocal size
        table = pa.Table.from_pylist(rows, schema=PAGE)
        files.append(out.write_table(f"pages-{task.key}-{len(files):03d}.parquet", table, row_group=256))
        rows.clear()
        size = 0

    for row in _pages(source, parts):
        if rows and size + len(row["body"]) > SHARD_BYTES:
            write()
        rows.append(row)
        size += len(row["body"])
        pages, total = pages + 1, total + len(row["body"])
        if row["error"]:
            broken, first = broken + 1, first or row["error"]
        if pages == source.config.max_pages:
            break
    if rows:
        write()
    return Done(tuple(files), {"pages": pages, "bytes": total, "broken": broken, "error": first})


def _pages(source: ResolvedSource, parts: tuple[Any, ...]) -> Iterator[dict[str, Any]]:
    config = source.config
    about = sources_files.About(config.name, config.category, config.license or None, int(config.max_body_mb * 1e6))
    if source.kind == "debian-docs":
        return sources_debian.pages(parts, about, config.languages, config.max_pages)
    if source.kind in ("warc", "wet"):
        return itertools.chain.from_iterable(sources_warc.pages(file, about) for file in parts)
    return itertools.chain.from_iterable(sources_files.pages(source.kind, file, about) for file in parts)
