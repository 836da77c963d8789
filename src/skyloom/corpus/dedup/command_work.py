"""Work on files of rows one file at a time: what the commands that search or judge rows by themselves have in common.

Input: files that `read_rows` reads. Output: batches of their rows for a judge, a folder for what is done so far (beside the output,
under a name that stands for this work, so that the same command goes on where an interrupted one stopped), and the rows that could
not be used, beside the output as `OUT.rejected.jsonl`.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import pyarrow as pa

from skyloom.core.errors import StorageError
from skyloom.core.store import Store

BATCH_BYTES = 16 << 20


class RejectedRow(TypedDict):
    """A row that could not be used, by file and number from 1."""

    file: str
    row: int
    reason: str


def row_batches(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Tables of about `BATCH_BYTES` of text, or of one block of the reader."""
    waiting, size = list[pa.Table](), 0
    for table in tables:
        if not len(table):
            continue
        waiting.append(table)
        size += table.nbytes
        if size >= BATCH_BYTES:
            yield pa.concat_tables(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def work_folder(out: Path | None, verb: str, told: object, files: Sequence[Path]) -> Path:
    """A folder for the work of `verb`: beside `out`, under a name that stands for all it follows from (`told`, and the files by
    size and time), or without `out` somewhere for temporary files. StorageError if a place cannot be used."""
    try:
        if out is None:
            return Path(tempfile.mkdtemp(prefix=f"skyloom-{verb}-"))
        named = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        material = json.dumps([told, named], ensure_ascii=False).encode("utf-8", "replace")
        folder = out.parent / f".skyloom-{verb}-{hashlib.sha256(material).hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
    except OSError as problem:
        raise StorageError(f"cannot write {out or tempfile.gettempdir()}: {problem.strerror or problem}") from problem


def rejected_rows(work: Store, keys: Sequence[str]) -> Iterator[RejectedRow]:
    """The rejected rows of all files, from KEY-rejected.jsonl, with the paths that stand in KEY-file.txt."""
    for key in keys:
        file = work.read_text(f"{key}-file.txt")
        with open(work.path(f"{key}-rejected.jsonl"), encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield {"file": file, "row": row["row"], "reason": row["reason"]}


def keep_rejected(rows: Iterator[RejectedRow], out: Path) -> None:
    """Write the rejected rows to OUT.rejected.jsonl, or remove the file of an earlier command if there are none."""
    beside, first = out.with_name(f"{out.name}.rejected.jsonl"), next(rows, None)
    if first is None:
        beside.unlink(missing_ok=True)
        return
    with Store(out.parent).writing(beside.name) as file:
        for row in (first, *rows):
            file.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8"))
