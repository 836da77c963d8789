"""Extraction by itself: files of pages in, one JSONL file of texts out (`skyloom corpus extract`).

Input: paths, patterns or URLs: JSON lines with `id` and `html` (optionally `charset`; plain or packed), web archives (WARC, WET),
Parquet with `html` or `text`, or folders of HTML files; "-" is the standard input, of any of these kinds. Output: one file, whole
or not at all, with a line for each page in the order of the input: `id`, `text`, `title`, `date`, `reason`. A page that cannot be
read (a line that is no JSON, a broken gzip member, a PDF) has its line too, with its reason, and is counted.

Each file, or range of a large one, is a task of one worker; the bytes do not depend on the number of workers, and the same command
goes on where an interrupted one stopped. Memory of a worker: a batch of 16 MB of pages and their text, or one page. The texts lie
once more beside the output until it is whole, and so does the standard input.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import zstandard

from skyloom import __version__
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.json_lines import json_object
from skyloom.core.progress import Progress
from skyloom.core.records import PageRow
from skyloom.core.store import Store
from skyloom.corpus.dedup import work_folder
from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.own_extractor import extractor_identity, extractor_version
from skyloom.corpus.extract.stage import BROKEN_PAGE, extract_pages, page_texts, read_pages
from skyloom.corpus.sources import READERS, About, File, file_parts, find, line_blocks

BATCH_BYTES = 16_000_000
STDIN = "-"
_KINDS = ("jsonl", "warc", "wet", "parquet", "html")
_ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".ndjson")
_COPY = 1 << 20


@dataclass(frozen=True)
class _Waiting:
    """A page that waits for its batch: `error` is why it cannot be read, or None."""

    id: Any
    body: bytes
    charset: str | None
    error: str | None
    html: bool = True


@dataclass
class Extracted:
    """What became of the pages: `pages` in all, `texts` with text, `characters` of text, `reasons` of the others with counts."""

    pages: int = 0
    texts: int = 0
    characters: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Part:
    """What a task extracts: files, or a range of one; `version` is that of one's own extractor where the command was started."""

    kind: str
    files: tuple[File, ...]
    config: ExtractConfig
    version: str


@dataclass(frozen=True)
class _Counts:
    pages: int
    texts: int
    characters: int
    reasons: dict[str, int]


def extract_files(
    paths: str | Sequence[str], out: str | Path, config: ExtractConfig, progress: Progress, engine: Engine | None = None
) -> Extracted:
    """Write the text of all pages at `paths`, one or several, in their order, to the file `out` (.jsonl, .jsonl.gz or .jsonl.zst;
    a path or an fsspec URL), or as JSON lines to the standard output ("-"), when all are done. Each path may be of its own kind;
    `engine`: the workers, else this process works alone.

    DataError if there is no page at a path, ConfigError if `out` is no name for JSON lines or a path holds
    none of these kinds, StorageError if a place cannot be read or written.
    """
    paths = [paths] if isinstance(paths, str) else list(paths)
    piped = str(out) == STDIN
    folder, _, name = str(out).rpartition("/")
    if not piped and not name.endswith(_ENDINGS):
        raise ConfigError(f"{out}: name the output {', '.join(_ENDINGS[:3])}, for it is written as JSON lines")
    store = Store(folder or ("/" if str(out).startswith("/") else "."))
    version = extractor_version(config)
    own = [extractor_identity(config)] if config.use else []  # nothing without one, so that the work folder keeps its name
    with contextlib.ExitStack() as stack:
        spool = work_folder(None, "extract", "", []) if piped or STDIN in paths else None  # of what comes and goes once
        if spool is not None:
            stack.callback(shutil.rmtree, spool, ignore_errors=True)
        found = _found(paths, spool, progress)
        told = [__version__, asdict(config), *own, [(f.path, f.name, f.size, f.version) for _, files in found for f in files]]
        # what came by the standard input comes once, so nothing of it can go on later
        work = Store(work_folder(None if spool or not store.local else store.path(name), "extract", told, []), sync=False)
        parts = [_Part(kind, files, config, version) for kind, all_files in found for files in file_parts(kind, tuple(all_files))]
        tasks = [Task(f"{number:05d}", part) for number, part in enumerate(parts)]
        if spool is not None or not store.local:
            stack.callback(shutil.rmtree, work.root, ignore_errors=True)
        alone = engine is None or len(tasks) == 1  # for one task no process is started
        told_of = (Engine(0) if alone or engine is None else engine).map(
            _extract_part, tasks, work, progress=progress, label="extract", result=_Counts
        )
        if piped:
            _join(tasks, work, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with store.writing(name) as file, _packed(file, name) as lines:
                _join(tasks, work, lines)
        shutil.rmtree(work.root, ignore_errors=True)
    total = Extracted()
    for one in told_of:
        total.pages, total.texts, total.characters = (
            total.pages + one.pages,
            total.texts + one.texts,
            total.characters + one.characters,
        )
        total.reasons.update(one.reasons)
    progress.log(f"extract: {total.texts:,} of {total.pages:,} pages have text, {total.characters / 1e6:.1f} M characters")
    for reason, count in total.reasons.most_common():
        progress.log(f"  {count:,} without: {reason}")
    return total


def _join(tasks: Sequence[Task[_Part]], work: Store, out: Any) -> None:
    """Copy the lines of all tasks, in their order."""
    for task in tasks:
        with work.reading(f"{task.key}.jsonl") as part_file:
            while data := part_file.read(_COPY):
                out.write(data)


def _extract_part(task: Task[_Part], work: Store) -> Done[_Counts]:
    """The lines of some pages, in a file of their own."""
    part, total, name = task.payload, Extracted(), f"{task.key}.jsonl"
    about = About("pages", "web", None, int(part.config.max_page_mb * 1e6))
    with work.writing(name) as file:
        for batch in _batches(_waiting(part.files, part.kind, about)):
            file.write(_written(batch, part, total))
    return Done((file.record(name),), _Counts(total.pages, total.texts, total.characters, dict(sorted(total.reasons.items()))))


def _found(paths: Sequence[str], spool: Path | None, progress: Progress) -> list[tuple[str, list[File]]]:
    """Kind and files of each path. Single files are told apart by their names; where two have one name, by their paths."""
    if paths.count(STDIN) > 1:
        raise ConfigError("the standard input is named twice; it can be read once")
    found: list[tuple[str, list[File]]] = []
    for path in paths:
        here = _spooled(spool) if path == STDIN and spool is not None else path
        kind, files, others = find("pages", "auto", here, code=False)
        if kind not in _KINDS:
            raise ConfigError(
                f"{'the standard input' if path == STDIN else path} holds {kind}; extract reads JSON lines with id and html, "
                "web archives (.warc, .wet), Parquet and HTML files"
            )
        if others:
            progress.log(f"{path}: {len(files):,} files are read as {kind}; {others:,} others are left")
        found.append((kind, files))
    names = Counter(file.name for _, files in found for file in files)
    return [
        (kind, [replace(f, name=_longer(path, f.name)) if names[f.name] > 1 else f for f in files])
        for path, (kind, files) in zip(paths, found, strict=True)
    ]


def _spooled(spool: Path) -> str:
    """The standard input as a file. DataError if nothing comes. A packed archive is known by the name's ending."""
    source: BinaryIO = sys.stdin.buffer
    head = source.read(_COPY)
    if not head:
        raise DataError("nothing came by the standard input")
    file = spool / ("stdin.gz" if head.startswith(b"\x1f\x8b") else "stdin")
    with Store(spool).writing(file.name) as target:
        while head:
            target.write(head)
            head = source.read(_COPY)
    return str(file)


def _longer(path: str, name: str) -> str:
    return path if path.endswith(name) else f"{path.rstrip('/')}/{name}"


def _waiting(files: Sequence[File], kind: str, about: About) -> Iterator[_Waiting]:
    for file in files:
        if kind == "jsonl":
            yield from _json_pages(file, about)
            continue
        for found in READERS[kind](file, about):
            for row in found.to_pylist() if isinstance(found, pa.Table) else [found]:
                if row["kind"] == "html" or kind != "warc":
                    yield _Waiting(_name(row, file, kind), row["body"], row["charset"], row["error"], row["kind"] == "html")


def _name(row: PageRow, file: File, kind: str) -> str:
    """A file's name, the id of a record that has one, else its address or place."""
    if kind == "html":
        return file.name
    return str(json.loads(row["meta"]).get("id") or row["url"]) if kind == "parquet" else row["url"]


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
        return _Waiting(name, b"", None, BROKEN_PAGE)
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


def _written(batch: list[_Waiting], part: _Part, total: Extracted) -> bytes:
    """The lines of a batch; counts it."""
    kinds = pa.array(["html" if page.html else "text" for page in batch])
    bodies, charsets = pa.array([p.body for p in batch], pa.large_binary()), pa.array([p.charset for p in batch], pa.string())
    if all(page.html for page in batch) and not part.config.use:
        found = extract_pages(bodies, charsets, part.config)
    else:
        table = pa.table(
            {"body": bodies.cast(pa.binary()), "charset": charsets, "kind": kinds, "error": pa.nulls(len(batch), pa.string())}
        )
        found = read_pages(table, part.config, part.version)
    lines = []
    for page, text, title, date, reason in zip(batch, *(column.to_pylist() for column in page_texts(found).columns), strict=True):
        why = page.error or reason
        total.pages += 1
        total.texts += why is None
        total.characters += len(text)
        if why is not None:
            total.reasons[why] += 1
        row = {"id": page.id, "text": text, "title": title, "date": date, "reason": why}
        lines.append(json.dumps(row, ensure_ascii=False))
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def _packed(file: Any, name: str) -> Any:
    """A writer that packs as the name says, and leaves `file` open."""
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=file, mode="wb", mtime=0, filename="")
    if name.endswith(".zst"):
        return zstandard.ZstdCompressor().stream_writer(file, closefd=False)
    return contextlib.nullcontext(file)
