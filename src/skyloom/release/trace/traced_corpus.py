"""The training documents that a trace looks through: those of a release, of a corpus step, or of a run's newest of these.

Input: a folder. Output: its files of documents with their checksums, and the documents in batches of some megabytes as Arrow
tables. A release has JSON lines in zstd shards (`SHA256SUMS` lists them), a corpus step Parquet shards (`_step.json` lists them).
Held-out documents are passed over, because no model was trained on them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json
import pyarrow.parquet as pq

from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.records import DOCUMENT
from skyloom.core.step import MANIFEST, read_manifest
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.corpus_shards import FIELDS, read_shard

COLUMNS = ("id", "text", "source", "url", "license", "lang")
BATCH_BYTES = 4_000_000
"""Bytes of JSON or of text of a batch; one document may be longer."""
_RELEASED = pa.schema([DOCUMENT.field(name) for name in FIELDS])
_SHARDS = "corpus/train-"


@dataclass(frozen=True)
class TracedCorpus:
    """`folder`: of the release or the corpus step. `files`: SHA-256 by name, in the order in which they are read."""

    folder: Store
    files: dict[str, str]

    def check(self) -> None:
        """That the files are those of the list. IntegrityError names one that is missing or differs; StorageError if unreadable."""
        for name, digest in self.files.items():
            if self.folder.describe(name).sha256 != digest:
                raise IntegrityError(f"{self.folder.url(name)} is not the file that was listed: its checksum differs")

    def batches(self, file: int = 0, row: int = 0) -> Iterator[tuple[int, int, pa.Table]]:
        """(file, row after it, table) for batches of training documents, from a row of a file on. Columns: `COLUMNS`.

        DataError for a line that is no document, IntegrityError for a file that is not whole.
        """
        for number in range(file, len(self.files)):
            name = list(self.files)[number]
            read = _json_tables if name.startswith(_SHARDS) else _parquet_tables
            done = 0
            for table in read(self.folder, name):
                skipped = max(row - done, 0) if number == file else 0
                done += table.num_rows
                if skipped < table.num_rows:
                    yield number, done, table.slice(skipped)


def open_corpus(folder: str | Path) -> TracedCorpus:
    """The training documents of a release, of a corpus step, or of a run (its newest release, else its newest corpus).

    DataError if the folder is none of these, or if it has no documents.
    """
    place = Path(folder)
    if not (place / sums.SUMS).is_file() and not (place / MANIFEST).is_file():
        place = _newest(place)
    store = Store(place)
    if store.exists(sums.SUMS):
        files = {name: digest for name, digest in sums.read(store).items() if name.startswith(_SHARDS)}
    else:
        listed = read_manifest(store)["files"]
        files = {f["name"]: f["sha256"] for f in listed if f["name"].startswith("documents-") and f["name"].endswith(".parquet")}
    if not files:
        raise DataError(f"{place} lists no shards of training documents: give a release, a corpus step, or the folder of a run")
    return TracedCorpus(store, dict(sorted(files.items())))


def _newest(run: Path) -> Path:
    for pattern, mark in (("release-*", sums.SUMS), ("corpus-*", MANIFEST)):
        found = [path.parent for path in run.glob(f"{pattern}/{mark}")]
        if found:
            return max(found, key=lambda path: ((path / mark).stat().st_mtime_ns, path.name))
    raise DataError(
        f"{run} is neither a release (it has no {sums.SUMS}) nor a finished corpus step (no {MANIFEST}), and no folder in it is one"
    )


def _json_tables(store: Store, name: str) -> Iterator[pa.Table]:
    lines: list[bytes] = []
    size = first = 0
    for line in read_shard(store, name):
        lines.append(line)
        size += len(line)
        if size >= BATCH_BYTES:
            yield _parsed(lines, f"{store.url(name)}, lines {first + 1} to {first + len(lines)}")
            first += len(lines)
            lines, size = [], 0
    if lines:
        yield _parsed(lines, f"{store.url(name)}, lines {first + 1} to {first + len(lines)}")


def _parsed(lines: list[bytes], where: str) -> pa.Table:
    block = b"\n".join(lines)
    options = pa.json.ParseOptions(explicit_schema=_RELEASED, unexpected_field_behavior="error")
    whole = pa.json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    try:
        table = pa.json.read_json(io.BytesIO(block), read_options=whole, parse_options=options)
    except pa.ArrowInvalid as problem:
        raise DataError(f"{where}: not documents of a release: {problem}") from problem
    if table.num_rows != len(lines) or any(table[column].null_count for column in ("id", "text", "source")):
        raise DataError(f"{where}: not documents of a release: a line is empty, or a document has no id, text or source")
    return table.select(COLUMNS)


def _parquet_tables(store: Store, name: str) -> Iterator[pa.Table]:
    with store.reading_arrow(name) as file:
        try:
            shard = pq.ParquetFile(file)
            for batch in shard.iter_batches(512, columns=[*COLUMNS, "split"], use_threads=False):
                table = pa.Table.from_batches([batch])
                # Rows are counted as they lie in the file: held-out ones are kept here, and emptied of their text.
                held = pc.not_equal(table["split"], "train")
                text = pc.if_else(held, pa.scalar(None, pa.string()), table["text"])
                yield table.set_column(table.schema.get_field_index("text"), "text", text).select(COLUMNS)
        except pa.ArrowInvalid as problem:
            raise IntegrityError(f"{store.url(name)} is not a whole Parquet file: {problem}") from problem
