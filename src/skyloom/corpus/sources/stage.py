"""The step `pages`: reads all sources and writes their pages as shards.

Input: the recipe's sources. Output: PAGE shards: bytes as they came, with what the source knows about them. `resolve` looks at
each source without reading it: it decides the kind, checks that something is there and takes a fingerprint, so that the step
below is done again when the input changed (see `readers.byte_streams.fingerprint`). `fetch` then reads all sources in parallel:
a package, some hundred small files, or a range of a large one at a time.

A page that a source cannot deliver whole (a broken gzip member, a line that is no JSON, a body beyond the limit, a PDF called
.html) becomes a row with an `error` and is counted, never dropped on the quiet. Memory per worker: one shard of 16 MB of
bodies and at most 65,536 rows, one page of at most the limit, and what the reader of the kind says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import DataError, SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.records import PAGE, PageRow
from skyloom.core.store import FileRecord, Store
from skyloom.corpus.sources.readers import (
    debian,
    delimited,
    epub,
    folders,
    hosts,
    hub,
    jsonl,
    latex,
    mediawiki,
    own_reader,
    pairs,
    tar,
)
from skyloom.corpus.sources.readers import parquet as parquet_files
from skyloom.corpus.sources.readers.byte_streams import BombError, File, Yield, split
from skyloom.corpus.sources.readers.rows import NO_TEXT, About, broken_row, sample
from skyloom.corpus.sources.readers.web_archives import warc
from skyloom.corpus.sources.record_keys import text_keys
from skyloom.corpus.sources.resolved import Parts, ResolvedSource

COPYRIGHTS = "copyright/packages.json"
"""The Debian packages that were read, with version and licence: `[{source, package, version, license, file}]`."""
SHARD_ROWS = 65_536
_NAMES_FREE = 4096  # bytes of address, licence, date and the rest that a page may have; more fills the shard as the body does
MOST_RANGES = 500_000  # whoever starts the tasks holds about a kilobyte of each; above 32 TB the ranges grow
RANGE_BYTES = 64_000_000  # a larger file is read in ranges of about this size, one task each


@dataclass(frozen=True)
class SourceParts:
    """What a task reads: some parts of the source of that number."""

    number: int
    source: ResolvedSource
    parts: Parts


@dataclass(frozen=True)
class FetchedPart:
    """The result: pages and bytes of bodies, pages that could not be read, and the reason of the first of them."""

    pages: int
    bytes: int
    broken: int
    error: str


class SourceRow(TypedDict):
    """A row of `sources.json`."""

    name: str
    kind: str
    origin: str
    pages: int
    bytes: int
    note: str


def fetch(sources: Sequence[ResolvedSource], out: Store, *, engine: Engine, progress: Progress) -> list[SourceRow]:
    """Write all pages as `pages-PPPPP-NNN.parquet` (part, shard) and `sources.json`; returns the latter's rows.

    DataError if a source has no page at all, or not one that could be read.
    """
    tasks: list[Task[SourceParts]] = []
    for number, source in enumerate(sources):
        for parts in _work(source):
            tasks.append(Task(f"{len(tasks):05d}", SourceParts(number, source, parts)))
    results = engine.map(_fetch_part, tasks, out, progress=progress, label="read sources", result=FetchedPart)
    rows: list[SourceRow] = []
    for number, source in enumerate(sources):
        mine = [r for task, r in zip(tasks, results, strict=True) if task.payload.number == number]
        pages = sum(r.pages for r in mine)
        if not pages:
            raise DataError(
                f"source '{source.config.name}' ({source.origin}) has no pages: check its path and kind '{source.kind}'"
            )
        broken = [r.error for r in mine if r.error]
        if sum(r.broken for r in mine) == pages:
            keys = text_keys(source) if source.kind == "parallel" or NO_TEXT in broken else []
            if keys:
                raise DataError(
                    f"source '{source.config.name}' ({source.origin}): none of its {pages:,} records has its text in "
                    f"{source.config.text_field or 'text, html or content'}; text stands in: {', '.join(keys)}. Name one of them "
                    "with --text-field, or as text_field in the recipe"
                )
            raise DataError(
                f"source '{source.config.name}' ({source.origin}): none of its {pages:,} pages could be read, the first "
                f"because: {broken[0]}; check its path and kind '{source.kind}'"
            )
        rows.append(
            {
                "name": source.config.name, "kind": source.kind, "origin": source.origin, "pages": pages,
                "bytes": sum(r.bytes for r in mine), "note": source.note,
            }
        )  # fmt: skip
        progress.log(f"{source.config.name}: {pages:,} pages, {rows[-1]['bytes'] / 1e6:.1f} MB ({source.kind})")
    _write_copyrights(sources, out)
    out.write_json("sources.json", rows)
    return rows


def copyright_place(package: str) -> str:
    """Where the step keeps the copyright file of a Debian package."""
    return f"copyright/{package}.txt"


def _write_copyrights(sources: Sequence[ResolvedSource], out: Store) -> None:
    """The copyright file of each Debian package and a list of them, so that what is published can carry its licences along."""
    rows = []
    for source in [s for s in sources if s.kind == "debian-docs"]:
        for package in source.parts:
            found = debian.copyright_of(package, source.config.max_ratio)
            if found:
                out.write_bytes(copyright_place(package.name), found)
            rows.append(
                {
                    "source": source.config.name, "package": package.name, "version": package.version,
                    "license": source.config.license or debian.license_of(package, found),
                    "file": copyright_place(package.name) if found else "",
                }
            )  # fmt: skip
    if rows:
        out.write_json(COPYRIGHTS, rows)


def _work(source: ResolvedSource) -> list[Parts]:
    """A source's parts in groups, one task each. With a limit on pages an archive is read on until it is reached, and of
    files that are a page each a spread sample is read."""
    parts, limit = source.parts, source.config.max_pages
    if limit and source.kind in _PAGES:
        wanted = sample([f.name for f in parts], limit)
        parts = tuple(f for f in parts if f.name in wanted)
    elif limit:
        return [parts]
    return file_parts(source.kind, parts)


def file_parts(kind: str, parts: Parts) -> list[Parts]:
    """What can be read by itself: ranges of files of kinds that have them, groups of files that are a page each, else files."""
    if kind in _PAGES:
        return _grouped(parts)
    if kind in _SPLIT and not isinstance(parts[0], hub.HubPart):
        size = max(RANGE_BYTES, sum(f.size for f in parts) // MOST_RANGES)
        ranged = [r for f in parts for r in (split(f, size) if _SPLIT[kind] in f.name.lower() else [f])]
        return [(r,) for r in ranged]
    return [(p,) for p in parts]


_PAGES = ("html", "samples", "text", "stdlib", "epub")
_SPLIT = {"jsonl": "", "parquet": "", "warc": ".gz", "wet": ".gz", "mediawiki": mediawiki.MULTISTREAM}
"""Kinds whose files can be read in ranges, and what a file's name must hold for it."""


def _grouped(parts: Parts) -> list[Parts]:
    """Files that are a page each, some hundred to a task, fewer where they are large."""
    groups: list[list[Any]] = []
    size = 0
    for part in parts:
        if not groups or len(groups[-1]) >= folders.FILES_A_TASK or size + part.size > RANGE_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(part)
        size += part.size
    return [tuple(g) for g in groups]


Pages = Iterator["pa.Table | PageRow"]
READERS: dict[str, Callable[[Any, About], Pages]] = {
    "csv": delimited.pages, "epub": epub.pages, "html": folders.html, "hub": hub.pages, "jsonl": jsonl.pages,
    "latex": latex.pages, "mediawiki": mediawiki.pages, "parallel": pairs.pages,
    "parquet": parquet_files.pages, "samples": folders.samples, "stdlib": folders.stdlib, "tar": tar.pages,
    "text": folders.text, "warc": warc.pages, "wet": warc.pages,
}  # fmt: skip
_OWN_CATEGORY = {"epub": "books", "latex": "papers", "mediawiki": "encyclopedia", "parallel": "parallel", "stdlib": "code"}


def _fetch_part(task: Task[SourceParts], out: Store) -> Done[FetchedPart]:
    """Read some parts of a source and write them in shards of at most `shard_mb` of bodies (or one page)."""
    source, parts = task.payload.source, task.payload.parts
    shards = _Shards(task.key, out, int(source.config.shard_mb * 1e6))
    for found in _pages(source, parts):
        limit = source.config.max_pages - shards.pages if source.config.max_pages else -1
        if isinstance(found, pa.Table):
            shards.table(found if limit < 0 else found.slice(0, limit))
        else:
            shards.row(found)
        if shards.pages == source.config.max_pages:
            break
    shards.write()
    return Done(tuple(shards.files), FetchedPart(shards.pages, shards.bytes, shards.broken, shards.first))


class _Shards:
    """Collects rows and tables in their order and writes them as shards; keeps the counts."""

    def __init__(self, key: str, out: Store, limit: int) -> None:
        self.files: list[FileRecord] = []
        self.pages = self.bytes = self.broken = 0
        self.first = ""
        self._key, self._out, self._limit = key, out, limit
        self._rows: list[PageRow] = []
        self._tables: list[pa.Table] = []
        self._size = self._count = 0

    def row(self, row: PageRow) -> None:
        size = len(row["body"])
        texts = (row["url"], row["meta"], row["license"] or "", row["date"] or "")
        names = 0 if sum(map(len, texts)) < _NAMES_FREE // 4 else max(sum(len(t.encode()) for t in texts) - _NAMES_FREE, 0)
        self._room(size + names)
        self._rows.append(row)
        self._add(1, size, names, [row["error"]] if row["error"] else [])

    def table(self, table: pa.Table) -> None:
        """A table's rows, cut where a shard is full."""
        bodies = np.cumsum(pc.binary_length(table.column("body")).to_numpy())
        names = np.zeros(table.num_rows, np.int64)
        for name in ("url", "meta", "license", "date"):
            names += pc.fill_null(pc.binary_length(table.column(name)), 0).to_numpy()
        sizes = bodies + np.cumsum(np.maximum(names - _NAMES_FREE, 0))
        start = 0
        while start < table.num_rows:
            before, bytes_before = (int(sizes[start - 1]), int(bodies[start - 1])) if start else (0, 0)
            fits = int(np.searchsorted(sizes, before + self._limit - self._size, side="right"))
            end = min(fits, start + SHARD_ROWS - self._count, table.num_rows)
            if end <= start:  # less than nothing fits after a page that is larger than a shard
                if self._count:
                    self.write()
                    continue
                end = start + 1
            self._flush_rows()
            part = table.slice(start, end - start)
            self._tables.append(part)
            size = int(bodies[end - 1]) - bytes_before
            self._add(end - start, size, int(sizes[end - 1]) - before - size, part.column("error").drop_null().to_pylist())
            start = end

    def _room(self, size: int) -> None:
        if self._count and (self._size + size > self._limit or self._count >= SHARD_ROWS):
            self.write()

    def _add(self, rows: int, size: int, names: int, errors: list[str]) -> None:
        self._size, self._count = self._size + size + names, self._count + rows
        self.pages, self.bytes = self.pages + rows, self.bytes + size
        if errors:
            self.broken, self.first = self.broken + len(errors), self.first or errors[0]

    def _flush_rows(self) -> None:
        if self._rows:
            self._tables.append(pa.Table.from_pylist(self._rows, schema=PAGE))
            self._rows = []

    def write(self) -> None:
        """Write what is collected, if anything is."""
        self._flush_rows()
        if self._count:
            name = f"pages-{self._key}-{len(self.files):03d}.parquet"
            table = pa.concat_tables(self._tables).combine_chunks()
            self.files.append(self._out.write_table(name, table, row_group=_row_group(table.num_rows, self._size)))
        self._tables, self._size, self._count = [], 0, 0


def _row_group(rows: int, size: int) -> int:
    """Rows of a group: 256 pages, or of small records as many as make some megabytes."""
    return max(256, min(rows, rows * 4_000_000 // max(size, 1)))


def _pages(source: ResolvedSource, parts: Parts) -> Pages:
    config = source.config
    auto = config.category == "auto" or source.kind == "parallel"  # aligned text is nothing else, whatever the default says
    about = About(
        config.name,
        _OWN_CATEGORY.get(source.kind, "web") if auto else config.category,
        config.license or None,
        int(config.max_body_mb * 1e6),
        config.max_ratio,
        config.text_field,
        hosts.load(config.hosts) if auto and source.kind not in _OWN_CATEGORY else None,
    )
    if source.kind == "debian-docs":
        yield from _guarded(debian.pages(parts, about, config.languages, config.max_pages), "packages", 0, about)
        return
    if source.kind == "own":
        for part in parts:
            yield from _guarded(own_reader.pages(part, about, config, source.version), part.name, 0, about)
        return
    for part in parts:
        name, size = (part.name, part.size) if isinstance(part, File) else (f"{source.kind} data set", 0)
        yield from _guarded(READERS[source.kind](part, about), name, size, about)


def _guarded(found: Pages, file: str, size: int, about: About) -> Pages:
    """What a reader gives, until it gives more than the ratio limit of a file of `size` bytes (0: not known), or fails.

    Readers tell what is wrong with their input. Should one meet bytes that nobody thought of, the file ends there with a row that
    says so, and the build goes on: no source may end it. Too little memory is a matter of the machine and is not caught.
    """
    total = Yield(about.max_ratio)
    total.take(size, size)
    try:
        for pages in found:
            total.give(pc.sum(pc.binary_length(pages["body"])).as_py() or 0 if isinstance(pages, pa.Table) else len(pages["body"]))
            if size:
                total.check()
            yield pages
    except (SkyloomError, MemoryError):
        raise
    except BombError as problem:
        yield broken_row(about, file, "limit", str(problem))
    except Exception as problem:
        yield broken_row(about, file, "reader", f"broken: cannot be read ({type(problem).__name__})")
