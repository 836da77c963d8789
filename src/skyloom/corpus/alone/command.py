"""Stages by themselves on files: `skyloom corpus language|quality|redact TEXTS -o OUT`.

Input: files of rows, or folders of them (JSON lines, plain, .gz or .zst, or Parquet). Output: a file with what the stage says of
each row, in their order, as JSON lines or Parquet by OUT's suffix; with `texts` the rows that stay, as `id` and `text`. Rows
without a text are counted by reason and written to OUT.rejected.jsonl with their place; none is lost silently. Rows without an id
are named after their place.

Each file is a task of one worker; the same command goes on where an interrupted one stopped. An output appears whole or not at all.
Memory of a worker: three times 16 MB of text, or three times the largest row.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from skyloom import __version__
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.corpus.alone.verdicts import RowStage
from skyloom.corpus.dedup import (
    INPUTS,
    Columns,
    Rejects,
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

TEXTS = pa.schema([("id", pa.string()), ("text", pa.large_string())])


@dataclass(frozen=True)
class FilesReport:
    """What became of the rows: `documents` that were judged, `kept` of them; `said`: counts of what was said; `rejected`: rows by
    reason."""

    documents: int
    kept: int
    said: dict[str, int]
    rejected: dict[str, int]

    def __str__(self) -> str:
        said = ", ".join(f"{count:,} {what}" for what, count in sorted(self.said.items(), key=lambda pair: (-pair[1], pair[0])))
        lost = "".join(f"; {count:,} rows rejected: {reason}" for reason, count in sorted(self.rejected.items()))
        return f"{self.documents:,} documents, {self.kept:,} kept: {said or 'nothing found'}{lost}"


@dataclass(frozen=True)
class _File:
    path: str
    columns: Columns
    stage: RowStage
    texts: bool


@dataclass(frozen=True)
class _Judged:
    """Of one file: the parts that hold what was said, and counts."""

    parts: int
    documents: int
    kept: int
    said: dict[str, int]
    rejected: dict[str, int]


def judge_files(
    paths: Sequence[str | Path],
    out: str | Path,
    stage: RowStage,
    *,
    engine: Engine,
    progress: Progress,
    columns: Columns | None = None,
    texts: str | Path | None = None,
) -> FilesReport:
    """Judge the rows of all files and write what the stage says to `out`, see the module's docstring. `columns`: the columns of id
    and text; `texts`: a file for the rows that stay.

    DataError if a path is not there, is damaged or has no text; ConfigError for an output of another kind; StorageError if a place
    cannot be used.
    """
    columns = dataclasses.replace(columns or Columns(), numbered=True)
    target, beside = Path(out), Path(texts) if texts is not None else None
    for file in (target, beside):
        if file is not None and not file.name.endswith(INPUTS):
            raise ConfigError(f"the output {str(file)!r} must end in {', '.join(INPUTS)}")
    if beside is not None and beside.absolute() == target.absolute():
        raise ConfigError(f"the output and the file of texts are both {target}")
    files = [file for path in paths for file in input_files(Path(path))]
    not_inputs((target, beside), files)
    told = [
        __version__,
        str(target.absolute()),
        stage.verb,
        dataclasses.asdict(stage) if dataclasses.is_dataclass(stage) else "",
        dataclasses.asdict(columns),
        bool(texts),
    ]
    folder = work_folder(target, stage.verb, told, files)
    work = Store(folder, sync=False)
    tasks = [Task(f"{k:05d}", _File(str(file), columns, stage, texts is not None)) for k, file in enumerate(files)]
    found = engine.map(judge_rows, tasks, work, progress=progress, label=stage.verb, result=_Judged)
    report = FilesReport(
        sum(one.documents for one in found),
        sum(one.kept for one in found),
        _sum(one.said for one in found),
        _sum(one.rejected for one in found),
    )
    if not report.documents:
        why = "".join(f"; {count:,} rows: {reason}" for reason, count in report.rejected.items())
        keep_rejected(rejected_rows(work, [task.key for task in tasks]), target)
        shutil.rmtree(folder, ignore_errors=True)
        raise DataError(f"{', '.join(map(str, paths))} has no document with text in the column {columns.text!r}{why}")
    parts = [(task.key, part) for task, one in zip(tasks, found, strict=True) for part in range(one.parts)]
    write_tables((work.read_table(f"{key}-{part:05d}.parquet") for key, part in parts), stage.schema, row_lines, target)
    if beside is not None:
        write_tables((work.read_table(f"{key}-texts-{part:05d}.parquet") for key, part in parts), TEXTS, row_lines, beside)
    keep_rejected(rejected_rows(work, [task.key for task in tasks]), target)
    shutil.rmtree(folder, ignore_errors=True)
    return report


def _sum(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))


def judge_rows(task: Task[_File], work: Store) -> Done[_Judged]:
    """Judge the rows of one file."""
    given, path = task.payload, Path(task.payload.path)
    work.prepare()
    rejects = Rejects(work.path(f"{task.key}-rejected.jsonl"))
    records, said = list[FileRecord](), Counter[str]()
    documents = kept = parts = 0
    try:
        for table in row_batches(read_rows(path, given.columns, rejects)):
            found = given.stage.say(table)
            records.append(work.write_table(f"{task.key}-{parts:05d}.parquet", found.table))
            if given.texts:
                staying = table.select(TEXTS.names).filter(pa.array(found.keep))
                records.append(work.write_table(f"{task.key}-texts-{parts:05d}.parquet", staying.cast(TEXTS)))
            documents, kept, parts = documents + len(table), kept + int(found.keep.sum()), parts + 1
            said.update(found.counts)
    finally:
        rejects.close()
    records += [work.describe(f"{task.key}-rejected.jsonl"), work.write_text(f"{task.key}-file.txt", str(path))]
    return Done(tuple(records), _Judged(parts, documents, kept, dict(said), dict(rejects.counts)))
