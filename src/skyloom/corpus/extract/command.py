"""Extraction by itself: files of pages in, one JSONL file of texts out (`skyloom corpus extract`).

Input: a path, pattern or URL: JSON lines with `id` and `html` (optionally `charset`; plain or packed), web archives, or a
folder of HTML files. Output: one file, whole or not at all, with a line for each page in the order of the input: `id`, `text`,
`title`, `date`, `reason`. A page that cannot be read (a line that is no JSON, a broken gzip member, a PDF) has its line too,
with its reason, and is counted. Memory: a batch of 16 MB of pages and their text, or one page.
"""

from __future__ import annotations

import contextlib
import gzip
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard

from skyloom.core.errors import ConfigError
from skyloom.core.json_lines import json_object
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.stage import extract_pages
from skyloom.corpus.sources import READERS, About, File, find, line_blocks

BATCH_BYTES = 16_000_000
_KINDS = ("warc", "html")
_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".ndjson")


@dataclass(frozen=True)
class _Waiting:
    """A page that waits for its batch: `error` is why it cannot be read, or None."""

    id: Any
    body: bytes
    charset: str | None
    error: str | None


@dataclass
class Extracted:
    """What became of the pages: `pages` in all, `texts` with text, `characters` of text, `reasons` of the others with counts."""

    pages: int = 0
    texts: int = 0
    characters: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def extract_files(paths: str | Sequence[str], out: str | Path, config: ExtractConfig, progress: Progress) -> Extracted:
    """Write the text of all pages at `paths`, one or several, in their order, to the file `out` (.jsonl, .jsonl.gz or .jsonl.zst;
    a path or an fsspec URL). Each path may be of its own kind.

    DataError if there is no page at a path, ConfigError if `out` is no name for JSON lines or a path holds
    none of these kinds, StorageError if a place cannot be read or written.
    """
    folder, _, name = str(out).rpartition("/")
    if not name.endswith(_ENDINGS):
        raise ConfigError(f"{out}: name the output {', '.join(_ENDINGS[:3])}, for it is written as JSON lines")
    found = _found([paths] if isinstance(paths, str) else paths, progress)
    about = About("pages", "web", None, int(config.max_page_mb * 1e6))
    total = Extracted()
    store = Store(folder or ("/" if str(out).startswith("/") else "."))
    with store.writing(name) as file, progress.task("extract", None, "pages") as bar, _packed(file, name) as lines:
        for batch in _batches(page for kind, files in found for page in _waiting(files, kind, about)):
            lines.write(_written(batch, config, total))
            bar.advance(len(batch))
            bar.note(f"{total.texts:,} with text")
    progress.log(f"extract: {total.texts:,} of {total.pages:,} pages have text, {total.characters / 1e6:.1f} M characters")
    for reason, count in total.reasons.most_common():
        progress.log(f"  {count:,} without: {reason}")
    return total


def _found(paths: Sequence[str], progress: Progress) -> list[tuple[str, list[File]]]:
    """Kind and files of each path. Single files are told apart by their names; where two have one name, by their paths."""
    found: list[tuple[str, list[File]]] = []
    for path in paths:
        kind, files, others = find("pages", "auto", path, code=False)
        if kind not in ("jsonl", *_KINDS):
            raise ConfigError(
                f"{path} holds {kind}; extract reads JSON lines with id and html, web archives (.warc) and HTML files"
            )
        if others:
            progress.log(f"{path}: {len(files):,} files are read as {kind}; {others:,} others are left")
        found.append((kind, files))
    names = Counter(file.name for _, files in found for file in files)
    return [
        (kind, [replace(f, name=_longer(path, f.name)) if names[f.name] > 1 else f for f in files])
        for path, (kind, files) in zip(paths, found, strict=True)
    ]


def _longer(path: str, name: str) -> str:
    return path if path.endswith(name) else f"{path.rstrip('/')}/{name}"


def _waiting(files: list[File], kind: str, about: About) -> Iterator[_Waiting]:
    for file in files:
        if kind == "jsonl":
            yield from _json_pages(file, about)
            continue
        for row in READERS[kind](file, about):
            if row["kind"] == "html":
                yield _Waiting(row["url"] if kind == "warc" else file.name, row["body"], row["charset"], row["error"])


def _json_pages(file: File, about: About) -> Iterator[_Waiting]:
    """A page for each line. One without an id has its place instead: the file's name and the line's offset."""
    for start, block, error in line_blocks(file, about):
        if error:
            yield _Waiting(f"{file.name}#{start}", b"", None, error)
            continue
        offset = start
        for line in block.splitlines(keepends=True):
            if line.strip():
                yield _json_page(line, f"{file.name}#{offset}")
            offset += len(line)


def _json_page(line: bytes, place: str) -> _Waiting:
    row = json_object(line)
    if isinstance(row, str):
        return _Waiting(place, b"", None, f"broken: {row}")
    page, name, charset = row.get("html"), row.get("id", place), row.get("charset")
    if not isinstance(page, str):
        return _Waiting(name, b"", None, "broken: no html")
    return _Waiting(name, page.encode("utf-8", "replace"), charset if isinstance(charset, str) else "utf-8", None)


def _batches(pages: Iterator[_Waiting]) -> Iterator[list[_Waiting]]:
    batch: list[_Waiting] = []
    size = 0
    for page in pages:
        if batch and (size + len(page.body) > BATCH_BYTES or len(batch) == 65_536):
            yield batch
            batch, size = [], 0
        batch.append(page)
        size += len(page.body)
    if batch:
        yield batch


def _written(batch: list[_Waiting], config: ExtractConfig, total: Extracted) -> bytes:
    """The lines of a batch; counts it."""
    found = extract_pages(
        pa.array([p.body for p in batch], pa.large_binary()), pa.array([p.charset for p in batch], pa.string()), config
    )
    columns = [found.column(n).to_pylist() for n in ("blocks", "title", "date", "reason")]
    lines = []
    for page, blocks, title, date, reason in zip(batch, *columns, strict=True):
        text, why = "\n\n".join(blocks), page.error or reason
        total.pages += 1
        total.texts += why is None
        total.characters += len(text)
        if why is not None:
            total.reasons[why] += 1
        row = {"id": page.id, "text": text, "title": title, "date": date or None, "reason": why}
        lines.append(json.dumps(row, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _packed(file: Any, name: str) -> Any:
    """A writer that packs as the name says, and leaves `file` open."""
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="")
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor().stream_writer(file, closefd=False)
    return contextlib.nullcontext(file)
