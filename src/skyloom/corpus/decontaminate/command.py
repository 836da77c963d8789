"""The search for benchmark items in files of texts: `skyloom leak corpus TEXTS... --benchmark FILE...`.

Input: files of texts, or folders of them (JSON Lines, plain, .gz or .zst, or Parquet; also what `corpus extract` wrote of web
archives), and files of items. Output: a row for each place where a document holds an item (MATCHES), and counts for each benchmark.
Every row of the input is a document that was searched, or a rejected row with its file, number and reason.

What contaminates is what contaminates in a run (`item_index.py`). A run reads its corpus twice, because an n-gram that many
documents share counts less, and that is known only at the end. Here each file is read once: rows that hold anything of an item, a
few in a hundred, are set aside, and judged when all has been read.

Each file is a task of one worker. Memory of a worker: the index of the items (mapped, shared), 8 bytes for each of its n-grams, and
three times 16 MB of text, or three times the largest row. On disk: the rows that were set aside. With `out` they lie beside
it, and the same command goes on where an interrupted one stopped.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.json_files import Rows
from skyloom.core.json_lines import json_object
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.corpus.decontaminate.config import DecontaminationConfig
from skyloom.corpus.decontaminate.item_index import ItemIndex, build_index, glance_at, judge_contamination, merge_counts
from skyloom.corpus.decontaminate.item_sets import read_benchmarks
from skyloom.corpus.dedup import (
    INPUTS,
    Columns,
    RejectedRow,
    Rejects,
    first_lines,
    input_files,
    keep_rejected,
    not_inputs,
    read_rows,
    rejected_rows,
    row_batches,
    row_lines,
    work_folder,
    write_tables,
)
from skyloom.corpus.text import byte_sizes

MATCHES = pa.schema(
    [
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("document", pa.string()),
        ("file", pa.string()),
        ("row", pa.int64()),  # from 1
        ("start", pa.int64()),  # characters of the text (in NFC)
        ("stop", pa.int64()),
        ("share", pa.float64()),  # of the item's units that the document holds, 0 to 1
        ("match", pa.string()),  # "exact": the whole item, apart from case, punctuation, white space and width; else "near"
    ]
)
SHOWN = 20
"""Rejected rows that are named beside their counts."""
ITEMS_FOLDER = "items"
FORM = 2
"""Of the files that a search keeps for itself."""


class LeakCountRow(TypedDict):
    """What was found of a benchmark. `found`: items that any document holds, `share` of those searched; `exact`, `near`: places."""

    benchmark: str
    items: int
    searched: int
    found: int
    share: float | None
    exact: int
    near: int
    documents: int


@dataclass(frozen=True)
class CorpusSearch:
    """What to search: files or folders, benchmark files (FILE or NAME=FILE), and the fields that hold text and id."""

    texts: tuple[str, ...]
    benchmarks: tuple[str, ...]
    text_field: str = "text"
    id_field: str = "id"
    item_fields: tuple[str, ...] = ()

    @property
    def columns(self) -> Columns:
        return Columns(self.id_field, self.text_field, numbered=True)


@dataclass(frozen=True)
class CorpusLeaks:
    """What was found. `rejected`: rows by reason; `examples`: the first `SHOWN` of them; `matches`: how many places."""

    documents: int
    bytes: int
    rejected: dict[str, int]
    examples: list[RejectedRow]
    benchmarks: list[LeakCountRow]
    matches: int

    def rows(self) -> Rows:
        """The table of benchmarks for people."""
        return [
            {
                "benchmark": r["benchmark"],
                "items": r["items"],
                "searched": r["searched"],
                "found": r["found"],
                "share": None if r["share"] is None else f"{r['share']:.2%}",
                "exact": r["exact"],
                "near": r["near"],
                "documents": r["documents"],
            }
            for r in self.benchmarks
        ]


@dataclass(frozen=True)
class Looked:
    """Of one file: documents, bytes of text, rows that were set aside, the parts that hold them, and rejected rows by reason."""

    documents: int
    bytes: int
    parts: int
    rejected: dict[str, int]


Sink = Callable[[pa.Table], None]
"""What takes the matches, a table MATCHES at a time."""


def search_corpus(
    asked: CorpusSearch,
    out: Path | None,
    config: DecontaminationConfig,
    *,
    engine: Engine,
    progress: Progress,
    sink: Sink | None = None,
    items: pa.Table | None = None,
) -> CorpusLeaks:
    """Search all texts. The matches go to `out` (.jsonl, .jsonl.gz, .jsonl.zst or .parquet), which appears whole or not at all, and
    to `sink`, in the order of the texts; rejected rows to OUT.rejected.jsonl. `items`: a table ITEMS instead of benchmark files.

    DataError for texts or items that cannot be read, for a benchmark without items, and if no row has a text; ConfigError for names
    of files that will not do; StorageError if a place cannot be read or written.
    """
    if out is not None and not out.name.endswith(INPUTS):
        raise ConfigError(f"the output {str(out)!r} must end in {', '.join(INPUTS)}")
    files = [file for path in asked.texts for file in input_files(Path(path))]
    named = [Path(part) for given in asked.benchmarks for part in (given, given.partition("=")[2]) if part]
    not_inputs([out], [*files, *named])
    items = read_benchmarks(asked.benchmarks, asked.item_fields) if items is None else items
    index = build_index(items, config)
    told = [FORM, dataclasses.asdict(asked), dataclasses.asdict(config), items.to_pydict()]
    folder, finished = work_folder(out, "leak", told, files), out is None
    try:
        found = _search(asked, files, index, Store(folder, sync=False), config, engine, progress)
        if out is not None:
            write_tables(found.tables(), MATCHES, row_lines, out)
            keep_rejected(found.rejected_rows(), out)
        if sink is not None:
            for table in found.tables():
                sink(table)
        leaks, finished = found.leaks(index), True
        return leaks
    finally:
        if finished:  # else it stays beside `out`, so that the same command goes on from there
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True)
class _File:
    path: str
    columns: Columns


@dataclass(frozen=True)
class _Judged:
    parts: int
    config: DecontaminationConfig


def _search(
    asked: CorpusSearch,
    files: Sequence[Path],
    index: ItemIndex,
    work: Store,
    config: DecontaminationConfig,
    engine: Engine,
    progress: Progress,
) -> _Found:
    index.save(work.child(ITEMS_FOLDER))
    if index.unsearchable:
        progress.log(f"{len(index.unsearchable):,} of {len(index.sizes):,} items are too short or too common to be searched for")
    tasks = [Task(f"{k:05d}", _File(str(file), asked.columns)) for k, file in enumerate(files)]
    looked = engine.map(look_at_file, tasks, work, progress=progress, label="leak corpus, search", result=Looked)
    found = _Found(work, tuple(task.key for task in tasks), tuple(looked))
    if not found.documents:
        raise DataError(_nothing(asked, files, found.rejected))
    _keep_counts(work, "counts.arrow", merge_counts(_kept_counts(work, f"{key}-counts.arrow", index) for key in found.keys))
    judged = [Task(task.key, _Judged(one.parts, config)) for task, one in zip(tasks, looked, strict=True)]
    engine.map(judge_file, judged, work, progress=progress, label="leak corpus, judge")
    return found


@functools.lru_cache(maxsize=1)
def _loaded(root: str) -> ItemIndex:
    """The index of a search, made ready once in each process: a folder is named after what is searched for."""
    return ItemIndex.load(Store(root).child(ITEMS_FOLDER))


def look_at_file(task: Task[_File], work: Store) -> Done[Looked]:
    """Search one file: set aside the rows that hold anything of an item, and count the n-grams of its documents."""
    index, path = _loaded(work.root), Path(task.payload.path)
    work.prepare()
    rejects = Rejects(work.path(f"{task.key}-rejected.jsonl"))
    counts, records = np.zeros(len(index.grams), np.int64), list[FileRecord]()
    documents = size = 0
    try:
        for table in row_batches(read_rows(path, task.payload.columns, rejects)):
            seen = glance_at(table.column("text"), index)
            counts += seen.counts
            documents, size = documents + len(table), size + int(byte_sizes(table.column("text")).sum())
            if seen.suspects.any():
                rows = table.filter(pa.array(seen.suspects)).select(["id", "text", "row"])
                records.append(_keep(work, f"{task.key}-{len(records):05d}.arrow", rows))
    finally:
        rejects.close()
    parts = len(records)
    records += [
        _keep_counts(work, f"{task.key}-counts.arrow", counts),
        work.describe(f"{task.key}-rejected.jsonl"),
        work.write_text(f"{task.key}-file.txt", str(path)),
    ]
    return Done(tuple(records), Looked(documents, size, parts, dict(rejects.counts)))


def _keep(work: Store, name: str, table: pa.Table) -> FileRecord:
    """Write a table for the second half of this search: packed fast, because it is read once and then removed."""
    how = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with work.writing(name) as file:
        raw = pa.PythonFile(cast(IO[bytes], file), mode="w")
        with raw, pa.ipc.new_file(raw, table.schema, options=how) as writer:
            writer.write_table(table)
    return file.record(name)


def _kept(work: Store, name: str) -> pa.Table:
    with work.reading_arrow(name) as file:
        try:
            return pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()
        except pa.ArrowInvalid as problem:
            raise IntegrityError(f"{work.url(name)} is not what was written: {problem}") from problem


def _keep_counts(work: Store, name: str, counts: npt.NDArray[np.int64]) -> FileRecord:
    """Write the n-grams that stand in any document, and in how many: few of those of an index."""
    grams = np.flatnonzero(counts)
    return _keep(work, name, pa.table({"gram": grams, "documents": counts[grams]}))


def _kept_counts(work: Store, name: str, index: ItemIndex) -> npt.NDArray[np.int64]:
    """In how many documents each n-gram of the index stands, int64[grams]."""
    table, counts = _kept(work, name), np.zeros(len(index.grams), np.int64)
    counts[table.column("gram").to_numpy()] = table.column("documents").to_numpy()
    return counts


def judge_file(task: Task[_Judged], work: Store) -> Done[None]:
    """Judge what was set aside of one file, with the counts of all files."""
    index = _loaded(work.root)
    counts = _kept_counts(work, "counts.arrow", index)
    file, found = work.read_text(f"{task.key}-file.txt"), [MATCHES.empty_table()]
    for part in range(task.payload.parts):
        table = _kept(work, f"{task.key}-{part:05d}.arrow")
        found.append(matches_of(table, index, task.payload.config, counts, file))
    return Done((work.write_table(f"{task.key}-found.parquet", pa.concat_tables(found)),), None)


def matches_of(
    table: pa.Table, index: ItemIndex, config: DecontaminationConfig, counts: npt.NDArray[np.int64], file: str
) -> pa.Table:
    """Where documents hold items, a table MATCHES. `table`: `id`, `text` and `row` of documents; `counts`: as `judge_contamination`
    takes them, of all documents that are searched; `file`: where they are from."""
    table = table.combine_chunks()
    numbers = pa.array(np.arange(len(table))).cast(pa.string())
    spans = judge_contamination(numbers, table.column("text"), index, config, counts).spans
    rows = spans.column("document").cast(pa.int64())
    whole = pc.greater_equal(spans.column("share"), 1.0)
    columns = {name: spans.column(name) for name in ("benchmark", "item", "start", "stop", "share")}
    columns |= {"document": table.column("id").take(rows), "row": table.column("row").take(rows)}
    columns |= {"file": pa.array([file] * len(spans), pa.string()), "match": pc.if_else(whole, "exact", "near")}
    return pa.table({name: columns[name] for name in MATCHES.names}).cast(MATCHES)


def count_leaks(tables: Iterable[pa.Table], index: ItemIndex) -> list[LeakCountRow]:
    """What was found of each benchmark. `tables`: MATCHES, each of the documents of one file, in their order."""
    places: Counter[tuple[str, str]] = Counter()
    documents: Counter[str] = Counter()
    items = dict[str, set[str]]()
    for table in tables:
        last = dict[str, int]()
        for benchmark, item, row, match in zip(
            *(table.column(name).to_pylist() for name in ("benchmark", "item", "row", "match")), strict=True
        ):
            places[benchmark, match] += 1
            items.setdefault(benchmark, set()).add(item)
            documents[benchmark] += last.get(benchmark) != row
            last[benchmark] = row
    every = Counter(index.items.column("benchmark").to_pylist())
    lost = Counter(benchmark for benchmark, _ in index.unsearchable)
    return [
        {
            "benchmark": name,
            "items": count,
            "searched": count - lost[name],
            "found": len(items.get(name, ())),
            "share": len(items.get(name, ())) / (count - lost[name]) if count > lost[name] else None,
            "exact": places[name, "exact"],
            "near": places[name, "near"],
            "documents": documents[name],
        }
        for name, count in every.items()
    ]


@dataclass(frozen=True)
class _Found:
    """The finished work: its folder, the keys of the files in order, and what was seen of each."""

    work: Store
    keys: tuple[str, ...]
    looked: tuple[Looked, ...]

    @property
    def documents(self) -> int:
        return sum(one.documents for one in self.looked)

    @property
    def rejected(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for one in self.looked:
            total.update(one.rejected)
        return dict(sorted(total.items()))

    def tables(self) -> Iterator[pa.Table]:
        return (self.work.read_table(f"{key}-found.parquet") for key in self.keys)

    def rejected_rows(self) -> Iterator[RejectedRow]:
        return rejected_rows(self.work, self.keys)

    def leaks(self, index: ItemIndex) -> CorpusLeaks:
        rows = count_leaks(self.tables(), index)
        matches = sum(row["exact"] + row["near"] for row in rows)
        size, examples = sum(one.bytes for one in self.looked), list(itertools.islice(self.rejected_rows(), SHOWN))
        return CorpusLeaks(self.documents, size, self.rejected, examples, rows, matches)


def _nothing(asked: CorpusSearch, files: Sequence[Path], rejected: dict[str, int]) -> str:
    """Why there is nothing to search, with the fields that the first row has."""
    why = "".join(f"; {count:,} rows: {reason}" for reason, count in rejected.items())
    told = f"{', '.join(asked.texts)} has no document with text in the field {asked.text_field!r}{why}"
    for file in files:
        for name in _field_names(file):
            return f"{told}; the first row of {file} has {name} (--text-field names the field of the text)"
    return told


def _field_names(file: Path) -> Iterator[str]:
    """The fields of the first row of JSON lines that is an object, as one text."""
    if file.name.endswith(".parquet"):
        return
    for line in itertools.islice(first_lines(file), 20):
        row = json_object(line)
        if isinstance(row, dict):
            yield ", ".join(map(repr, row)) or "no field"
            return
