"""Export of a corpus for other programs: `skyloom corpus export RECIPE OUT`.

Input: the shards of a finished corpus (`documents-*.parquet`). Output: files of about one size in folders by what the user names,
`OUT/en/web/train-00000.parquet`, and `manifest.json` with counts and SHA-256 of each. The folder of one group is a data set that
`datasets.load_dataset` and datatrove's readers take: columns or keys `id`, `text` and the others of a document; the split is the
first word of a file's name.

    parquet    one row for each document, Zstandard inside
    jsonl.zst  one JSON object in each line
    text       texts alone; between two of them stands a line with nothing but a form feed (U+000C), which no text keeps

A file is the part of a plan that follows from the corpus and the settings alone, so that the same command goes on where an
interrupted one stopped, and every engine and number of workers writes the same bytes. Each shard is read once: its documents
are written to `OUT/.export/` in the order of their groups, where every file finds its own without a look at those of others. So
OUT needs room for the corpus twice for a time (it is packed with Zstandard both times). `.export/` also says what is exported; the
manifest comes last. Nothing that is not of the same export is overwritten.

Memory of a worker: a shard of the corpus twice, then a few batches of documents.
"""

from __future__ import annotations

import hashlib
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.compute as pc

from skyloom import __version__
from skyloom.core.config import setting
from skyloom.core.engine import RECEIPTS, Done, Engine, Task
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, FileEntry
from skyloom.core.step import lease
from skyloom.core.store import FileRecord, Store, recorded
from skyloom.corpus.dedup import row_lines, stream, write_buckets, write_rows
from skyloom.corpus.text import byte_sizes, slices

FORMATS = {"parquet": ".parquet", "jsonl.zst": ".jsonl.zst", "text": ".txt"}
BY = {"language": "lang", "category": "category", "source": "source", "domain": "domain", "license": "license"}
"""What files can be put into folders by, and the column that says it."""
SPLITS = ("train", "valid")
MANIFEST, STARTED = "manifest.json", ".export"
FORM_FEED = "\f"
NONE = "none"
"""The folder of documents that have no such value."""
LONGEST_NAME = 200
"""Bytes of a folder's name."""
BATCH = 1024
"""Documents, at most, in one batch."""


@dataclass(frozen=True)
class ExportConfig:
    """What an export is like."""

    format: str = setting("parquet", doc="kind of the files", choices=tuple(FORMATS))
    by: tuple[str, ...] = setting(("language", "category"), doc="folders, from the outermost on", choices=tuple(BY))
    size: int = setting(500_000_000, doc="text in one file", unit="bytes", low=1)
    splits: tuple[str, ...] = setting(SPLITS, doc="training documents, held-out ones", choices=SPLITS)

    def __post_init__(self) -> None:
        for name, given in (("by", self.by), ("splits", self.splits)):
            if len(set(given)) < len(given):
                raise ConfigError(f"{name} names one thing twice: {', '.join(given)}")
        if not self.splits:
            raise ConfigError("splits is empty, so nothing would be exported")


class ManifestFile(FileEntry):
    """A file of an export: its record, the group and split of its documents, their number and the UTF-8 bytes of their texts."""

    group: dict[str, str]
    split: str
    documents: int
    text_bytes: int


@dataclass(frozen=True)
class ShardPiece:
    """Documents of one shard and group: the batches from `first` on in the file of the grouped shard."""

    grouped: str
    first: int
    batches: int
    documents: int
    bytes: int


@dataclass(frozen=True)
class ExportPart:
    """One file of the plan."""

    name: str
    group: tuple[str, ...]
    split: str
    pieces: tuple[ShardPiece, ...]


@dataclass(frozen=True)
class ShardSlice:
    """Of one shard: documents of a group (its values) and split, of at most a file's size; `first`, `batches`: where they lie."""

    group: list[str]
    split: str
    first: int
    batches: int
    documents: int
    bytes: int


@dataclass(frozen=True)
class MeasuredShard:
    """Of one shard: the slices of each group and split."""

    slices: list[ShardSlice]


@dataclass(frozen=True)
class Exported:
    """What was written: files with their counts. `there`: all of it stood there already."""

    files: list[ManifestFile]
    there: bool

    def __str__(self) -> str:
        documents, size = sum(f["documents"] for f in self.files), sum(f["text_bytes"] for f in self.files)
        there = ", already there" if self.there else ""
        return f"{documents:,} documents, {size / 1e6:,.1f} MB of text in {len(self.files):,} files{there}"


@dataclass(frozen=True)
class _Job:
    """`source`: the corpus for a shard, the folder of the grouped shards for a part."""

    source: Store
    config: ExportConfig
    part: ExportPart | str


def export_corpus(
    corpus: Store,
    out: Store,
    config: ExportConfig,
    *,
    content: str,
    name: str,
    leases: Store,
    engine: Engine,
    progress: Progress,
) -> Exported:
    """Write the documents of `corpus` to `out`, see the module's docstring. `content`: what identifies the corpus (its step's);
    `name`: of its recipe, for the manifest; `leases`: the run's work folder, where exports to one place wait for each
    other; a shard run waits there for the others before it removes the receipts.

    DataError for a corpus without documents; ConfigError if `out` holds another export or other files; StorageError if a place
    cannot be used.
    """
    place = f"export-{hashlib.sha256(out.root.encode()).hexdigest()[:16]}"
    with lease(leases, place, "export", engine.shard, progress) as held:
        found = _export(corpus, out, config, content, name, engine, progress)
        for left in (RECEIPTS, STARTED):  # they only led up to the manifest
            engine.discard(out, left)
        held.alone()
        engine.clear()
    return found


def _export(
    corpus: Store, out: Store, config: ExportConfig, content: str, name: str, engine: Engine, progress: Progress
) -> Exported:
    shards = [n for n in corpus.names("documents-") if n.endswith(".parquet")]
    said = {"corpus": content, "name": name, **asdict(config), "by": list(config.by), "splits": list(config.splits)}
    there = _there(out, said)
    if there is not None:
        return Exported(there, True)
    if engine.shard is None:
        out.sweep()
    work = out.child(STARTED)
    work.write_json("started.json", said)
    measured = engine.map(
        group, [Task(s, _Job(corpus, config, s)) for s in shards], work, progress=progress, label="group", result=MeasuredShard
    )
    parts = planned(shards, measured, config)
    if not parts:
        raise DataError(f"{corpus.root} has no document of the splits {', '.join(config.splits)}")
    names = Counter(part.name.casefold() for part in parts)
    if twice := sorted(part.name for part in parts if names[part.name.casefold()] > 1):
        raise ConfigError(f"values that differ only in large and small letters would share a file: {', '.join(twice[:4])}")
    tasks = [Task(part.name, _Job(work, config, part)) for part in parts]
    records = engine.map(write_part, tasks, out, progress=progress, label="export", result=FileRecord)
    files = [_entry(part, record, config) for part, record in zip(parts, records, strict=True)]
    told = {"skyloom": __version__, "columns": _columns(config).names, "totals": _totals(files), "files": files}
    out.write_json(MANIFEST, {**said, **told})
    return Exported(files, False)


def _there(out: Store, said: dict[str, object]) -> list[ManifestFile] | None:
    """The files of the same export if all stand there; None if it is still to be made. ConfigError for what is something else."""
    other = f"{out.root} holds another export or other files; name an empty folder"
    try:
        names = set(out.names())  # once, and before anything is asked of one of them: another shard run may be beginning
    except StorageError:
        return None
    try:
        if MANIFEST in names:
            manifest = out.read_json(MANIFEST)
            if {key: manifest.get(key) for key in said} != said:
                raise ConfigError(other)
            files: list[ManifestFile] = manifest["files"]
            wrong = out.differing([recorded({"name": f["name"], "size": f["size"], "sha256": f["sha256"]}) for f in files])
            if not wrong:
                return files
            out.child(STARTED).write_json("started.json", said)
            for name in [*wrong, MANIFEST]:
                out.remove(name)
        elif names and (f"{STARTED}/started.json" not in names or out.read_json(f"{STARTED}/started.json") != said):
            raise ConfigError(other)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise ConfigError(other) from problem
    return None


def group(task: Task[_Job], work: Store) -> Done[MeasuredShard]:
    """Write the documents of one shard in the order of their groups, cut to slices of at most a file's size; where each lies."""
    job, shard = task.payload, task.key
    columns = _columns(job.config)
    table = job.source.read_table(shard, list(dict.fromkeys([*columns.names, "split", *(BY[b] for b in job.config.by)])))
    found: list[ShardSlice] = []
    batches: list[list[int]] = []
    for key, rows in _groups(table, job.config).items():
        texts = table.column("text").take(pa.array(rows))
        sizes = byte_sizes(texts)
        for start, stop in slices(texts, job.config.size):
            parts = [rows[k : min(k + BATCH, stop)] for k in range(start, stop, BATCH)]
            size = int(sizes[start:stop].sum())
            found.append(ShardSlice(list(key[:-1]), key[-1], len(batches), len(parts), stop - start, size))
            batches += parts
    table = table.select(columns.names).cast(_wide(columns))
    record = write_buckets(work, _grouped(shard), table.schema, (table.take(pa.array(rows)) for rows in batches))
    return Done((record,), MeasuredShard(found))


def _grouped(shard: str) -> str:
    """The name of the file with the documents of a shard in the order of their groups."""
    return f"grouped/{shard}.arrow"


def _wide(columns: pa.Schema) -> pa.Schema:
    """The columns as they lie in the grouped files: texts as long strings, which are packed there."""
    return pa.schema([pa.field(f.name, pa.large_string() if f.name == "text" else f.type, f.nullable) for f in columns])


def _groups(table: pa.Table, config: ExportConfig) -> dict[tuple[str, ...], list[int]]:
    """Rows by group and split, for the splits that are wanted, in the order in which they are met."""
    columns = [pc.fill_null(table.column(BY[name]).cast(pa.string()), "").to_pylist() for name in config.by]
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(*columns, table.column("split").to_pylist(), strict=True)):
        if key[-1] in config.splits:
            found[key].append(row)
    return found


def planned(shards: Sequence[str], measured: Sequence[MeasuredShard], config: ExportConfig) -> list[ExportPart]:
    """The files: the slices of a group in the order of the shards, as many in one file as its size allows, or one larger one."""
    files: dict[tuple[str, ...], list[list[ShardPiece]]] = {}
    for shard, found in zip(shards, measured, strict=True):
        for one in found.slices:
            row = files.setdefault((*one.group, one.split), [[]])
            if row[-1] and sum(piece.bytes for piece in row[-1]) + one.bytes > config.size:
                row.append([])
            row[-1].append(ShardPiece(_grouped(shard), one.first, one.batches, one.documents, one.bytes))
    return [
        ExportPart(f"{folder_of(key[:-1])}{key[-1]}-{number:05d}{FORMATS[config.format]}", key[:-1], key[-1], tuple(pieces))
        for key, parts in sorted(files.items())
        for number, pieces in enumerate(parts)
    ]


def folder_of(group: Sequence[str]) -> str:
    """The folder of a group, "" for none: each value as one name that every file system takes. From it the value can be told again,
    but for very long ones, which are shortened; the manifest has all values whole."""
    return "".join(f"{_folder_name(value)}/" for value in group)


def _folder_name(value: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_.+" else urllib.parse.quote(c, safe="") for c in value)
    if safe.startswith(".") or safe.casefold() in (NONE, RECEIPTS, MANIFEST):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if len(safe.encode()) > LONGEST_NAME:
        safe = f"{safe[:40]}-{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    return safe or NONE


def write_part(task: Task[_Job], out: Store) -> Done[FileRecord]:
    """Write one file of the plan."""
    job, part = task.payload, task.payload.part
    if isinstance(part, str):
        raise TypeError("a shard is no part")
    if job.config.format == "text":
        record = _write_texts(_tables(job, part), out, part.name)
    else:
        record = write_rows(out, part.name, _tables(job, part), _columns(job.config), row_lines)
    return Done((record,), record)


def _columns(config: ExportConfig) -> pa.Schema:
    return pa.schema([DOCUMENT.field("text")]) if config.format == "text" else DOCUMENT


def _tables(job: _Job, part: ExportPart) -> Iterator[pa.Table]:
    """The documents of a file, `BATCH` at a time or more, with the columns that are written."""
    columns = _columns(job.config)
    waiting: list[pa.Table] = []
    for piece in part.pieces:
        for batch in range(piece.first, piece.first + piece.batches):
            waiting += stream(job.source, [piece.grouped], batch)
            if sum(map(len, waiting)) >= BATCH:
                yield pa.concat_tables(waiting).cast(columns)
                waiting = []
    if waiting:
        yield pa.concat_tables(waiting).cast(columns)


def _write_texts(tables: Iterator[pa.Table], out: Store, name: str) -> FileRecord:
    first = True
    with out.writing(name) as file:
        for table in tables:
            for text in table.column("text").to_pylist():
                between = "" if first else f"\n{FORM_FEED}\n"
                file.write(f"{between}{text.replace(FORM_FEED, ' ')}".encode())
                first = False
    return file.record(name)


def _entry(part: ExportPart, record: FileRecord, config: ExportConfig) -> ManifestFile:
    return {
        "name": record.name,
        "size": record.size,
        "sha256": record.sha256,
        "group": dict(zip(config.by, part.group, strict=True)),
        "split": part.split,
        "documents": sum(piece.documents for piece in part.pieces),
        "text_bytes": sum(piece.bytes for piece in part.pieces),
    }


def _totals(files: Sequence[ManifestFile]) -> list[dict[str, object]]:
    """Files, documents and bytes of each group and split."""
    totals: dict[tuple[str, ...], list[int]] = {}
    groups: dict[tuple[str, ...], tuple[dict[str, str], str]] = {}
    for one in files:
        key = (*one["group"].values(), one["split"])
        groups[key] = one["group"], one["split"]
        cell = totals.setdefault(key, [0, 0, 0])
        for place, count in enumerate((1, one["documents"], one["text_bytes"])):
            cell[place] += count
    return [
        {"group": groups[key][0], "split": groups[key][1], "files": n, "documents": documents, "text_bytes": size}
        for key, (n, documents, size) in totals.items()
    ]
