"""Near-duplicate removal for JSONL and Parquet files: `skyloom corpus dedup DOCS -o OUT`.

Input: a file, or a folder of files, with an `id` and a `text` in each row: JSONL (plain, .gz, .zst) or Parquet. Output: a file
with `id`, `cluster` (the id of the document that is kept for it), `keep` and `jaccard` for each row that could be read, in
their order, as JSONL (plain, .gz, .zst) or Parquet by OUT's suffix. Rows that could not be read, have no id or no text, or
repeat an id are counted by reason and written to `OUT.rejected.jsonl` with their place; none is lost silently. With `texts` the
documents that stay are written, too, as `id` and `text`; lines and runs of units that an earlier document has can be cut from
them (`repeats.py`), and what is empty then is left out and counted.

Whole blocks of JSONL are read by Arrow's parser; a block that it refuses is read line by line, so that one bad row costs a
second look at its neighbours and nothing else.

Memory: the limit that is given. Documents are copied into shards of 16 MB beside OUT first, and beside the text
of one shard only 16 bytes for each document are held to find repeated ids.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.corpus.dedup.budget import MemoryPlan
from skyloom.corpus.dedup.command_rows import Rejects, read_rows
from skyloom.corpus.dedup.config import DedupConfig, RepeatsConfig
from skyloom.corpus.dedup.repeats import find_repeats, read_repeats, without_repeats
from skyloom.corpus.dedup.shards import near_duplicates_of
from skyloom.corpus.dedup.sketch import CLUSTERS, Columns
from skyloom.corpus.text import byte_sizes, string_hashes

SHARD_BYTES = 16 << 20
SHARD_ROWS = 100_000
INPUTS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
TEXTS = pa.schema([("id", pa.string()), ("text", pa.large_string())])
REPEATED = "an id that came before"


@dataclass(frozen=True)
class Cut:
    """What was cut from the documents that stay: `bytes` from `changed` documents, of which `empty` have nothing left."""

    bytes: int
    changed: int
    empty: int


@dataclass(frozen=True)
class Report:
    """What became of the rows: `documents` = `kept` + removed; `rejected`: rows that are in none of them, by reason."""

    documents: int
    kept: int
    rejected: dict[str, int]
    plan: MemoryPlan | None
    cut: Cut | None = None

    @property
    def removed(self) -> int:
        return self.documents - self.kept

    def __str__(self) -> str:
        lost = "".join(f"; {count:,} rows rejected: {reason}" for reason, count in sorted(self.rejected.items()))
        cut = ""
        if self.cut is not None and self.cut.bytes:
            cut = f"; {self.cut.bytes / 1e6:,.1f} MB of repeated text cut from {self.cut.changed:,} of them"
            cut += f", {self.cut.empty:,} left out as empty" if self.cut.empty else ""
        return f"{self.documents:,} documents, {self.kept:,} kept, {self.removed:,} near-duplicates{cut}{lost}"


def memory_size(text: str, what: str = "memory") -> int:
    """Bytes of "4GB", "512MB", "1.5GiB" or a plain number. ConfigError, which names `what` it is of, for anything else."""
    units = {
        "": 1,
        "b": 1,
        "kb": 10**3,
        "mb": 10**6,
        "gb": 10**9,
        "tb": 10**12,
        "kib": 2**10,
        "mib": 2**20,
        "gib": 2**30,
        "tib": 2**40,
    }
    found = text.strip().lower().replace(" ", "")
    number = found.rstrip("bikmgt")
    try:
        size = float(number) * units[found[len(number) :]]
    except (KeyError, ValueError):
        raise ConfigError(f"{what} is {text!r}; write it as 4GB, 512MB or 1.5GiB") from None
    if not 0 < size < 2**62:
        raise ConfigError(f"{what} is {text!r}; it must be more than nothing")
    return int(size)


def dedup_files(
    paths: str | Path | Sequence[str | Path],
    out: str | Path,
    config: DedupConfig,
    *,
    memory: int,
    engine: Engine,
    progress: Progress,
    columns: Columns | None = None,
    texts: str | Path | None = None,
    repeats: RepeatsConfig | None = None,
) -> Report:
    """Find the near-duplicates among the rows of one path or several and write the verdicts to `out`, see the module's docstring.

    `memory`: bytes; `columns`: the names of the columns to read if they are not `id` and `text`; with a `quality` the best
    of each cluster stays; `texts`: a file for the documents that stay, without what `repeats` says. DataError if a path is not
    there, is none of these kinds or is damaged; ConfigError if an output is none of them or the memory does not do. An output
    appears whole or not at all.
    """
    columns = columns or Columns()
    given = [paths] if isinstance(paths, str | Path) else paths
    files, target = [file for path in given for file in input_files(Path(path))], Path(out)
    _kind(target.name, ConfigError, "the output")
    if texts is not None:
        _kind(Path(texts).name, ConfigError, "the file of texts")
        if Path(texts).absolute() == target.absolute():
            raise ConfigError(f"the output and the file of texts are both {target}")
    elif repeats is not None and repeats.wanted:
        raise ConfigError("repeated lines or runs are cut from the texts: name a file for these, too")
    not_inputs([target, None if texts is None else Path(texts)], files)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix=".skyloom-dedup-", dir=target.parent)
    except OSError as problem:
        raise StorageError(f"cannot write {target}: {problem.strerror or problem}") from problem
    try:
        work, rejects = Store(folder), Rejects(Path(folder, "rejected.jsonl"))
        try:
            names = _once(work, _shards(files, work, columns, rejects, progress), rejects)
        finally:
            rejects.close()
        if not names:
            why = "".join(f"; {count:,} rows: {reason}" for reason, count in rejects.counts.items())
            raise DataError(f"{', '.join(map(str, given))} has no document with {columns.id!r} and {columns.text!r}{why}")
        inner = Columns("id", "text", "quality" if columns.quality else None)
        done = near_duplicates_of(
            work.child("documents"), names, inner, work.child("found"), config, memory=memory, engine=engine, progress=progress
        )
        cut = None
        if texts is not None:
            staying = _staying(work, names, list(done.names))
            asked = repeats or RepeatsConfig()
            cut = _texts(staying, Path(texts), asked, memory=memory, engine=engine, progress=progress)
        write_tables((work.child("found").read_table(name) for name in done.names), CLUSTERS, _verdicts, target)
        beside = target.with_name(f"{target.name}.rejected.jsonl")
        if rejects.counts:
            os.replace(rejects.path, beside)
        else:
            beside.unlink(missing_ok=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Report(done.documents, done.documents - done.removed, dict(rejects.counts), done.plan, cut)


def _kind(name: str, error: type[ConfigError | DataError], what: str) -> str:
    for suffix in INPUTS:
        if name.endswith(suffix):
            return suffix
    raise error(f"{what} {name!r} must end in {', '.join(INPUTS)}")


def input_files(path: Path) -> list[Path]:
    """The files of rows at a path: itself, or those of a folder in order. DataError if there is none."""
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.is_file() and f.name.endswith(INPUTS) and not f.name.startswith(".tmp-"))
        if not files:
            raise DataError(f"{path} holds no file that ends in {', '.join(INPUTS)}")
        return files
    if not path.exists():
        raise DataError(f"{path} does not exist")
    _kind(path.name, DataError, "the input")
    return [path]


def not_inputs(outputs: Sequence[Path | None], files: Sequence[Path]) -> None:
    """ConfigError if an output is one of the files that are read."""
    given = {file.resolve() for file in files}
    for file in outputs:
        if file is not None and file.resolve() in given:
            raise ConfigError(f"{file} is one of the inputs; give another file")


def _shards(files: list[Path], work: Store, columns: Columns, rejects: Rejects, progress: Progress) -> list[str]:
    """Copy the rows that can be used into shards of bounded size; their names in `documents/`."""
    names: list[str] = []
    waiting: list[pa.Table] = []
    size = rows = 0

    def flush() -> None:
        nonlocal size, rows
        if waiting:
            names.append(f"{len(names):06d}.parquet")
            work.child("documents").write_table(names[-1], pa.concat_tables(waiting), row_group=SHARD_ROWS)
            waiting.clear()
            size = rows = 0

    with progress.task("near-duplicates: reading", None, "rows") as bar:
        for file in files:
            for part in read_rows(file, columns, rejects):
                for piece in _pieces(part):
                    waiting.append(piece)
                    size, rows = size + piece.nbytes, rows + len(piece)
                    if size >= SHARD_BYTES or rows >= SHARD_ROWS:
                        flush()
                bar.advance(len(part))
    flush()
    return names


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    """A table in pieces of at most about a shard's bytes (or a single row)."""
    ends = np.cumsum(np.asarray(pc.binary_length(table.column("text")).to_numpy(), np.int64)) if len(table) else np.zeros(0)
    start = 0
    while start < len(table):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + SHARD_BYTES, side="right")), start + 1)
        stop = min(stop, start + SHARD_ROWS)
        yield table.slice(start, stop - start)
        start = stop


def _once(work: Store, names: list[str], rejects: Rejects) -> list[str]:
    """Take rows whose id came before out of the shards; the names of those that still have rows."""
    documents = work.child("documents")
    hashes = [string_hashes(documents.read_table(name, ["id"]).column("id")) for name in names]
    flat = np.sort(np.concatenate([np.zeros(0, np.uint64), *hashes]))
    suspects = np.unique(flat[1:][flat[1:] == flat[:-1]])
    del flat
    left, seen = [], set[str]()
    for name, mine in zip(names, hashes, strict=True):
        rows = np.flatnonzero(np.isin(mine, suspects))
        keep = np.ones(len(mine), bool)
        if len(rows):
            table = documents.read_table(name)
            for row, value in zip(rows.tolist(), table.column("id").take(pa.array(rows)).to_pylist(), strict=True):
                if value in seen:
                    keep[row] = False
                    rejects.add(table.column("file")[row].as_py(), table.column("row")[row].as_py(), REPEATED)
                seen.add(value)
            if not keep.all():
                documents.write_table(name, table.filter(pa.array(keep)), row_group=SHARD_ROWS)
        if keep.any():
            left.append(name)
    return left


def _staying(work: Store, names: list[str], found: list[str]) -> Store:
    """The shards without the near-duplicates, under their names in a folder of their own, with `id` and `text`."""
    out = work.child("staying")
    for name, verdicts in zip(names, found, strict=True):
        table = work.read_table(f"documents/{name}", ["id", "text"])
        keep = work.read_table(f"found/{verdicts}", ["keep"]).column("keep")
        out.write_table(name, table.filter(keep), row_group=SHARD_ROWS)
    return out


def _texts(store: Store, target: Path, config: RepeatsConfig, *, memory: int, engine: Engine, progress: Progress) -> Cut:
    """Write the documents of all shards to one file, without what repeats, whole or not at all."""
    names, found = store.names(), store.child("repeats")
    find_repeats(store, names, Columns(), found, config, memory=memory, engine=engine, progress=progress)
    size = count = empty = 0

    def parts() -> Iterator[pa.Table]:
        nonlocal size, count, empty
        for shard, name in enumerate(names):
            table = store.read_table(name)
            if config.wanted:
                left, changed = without_repeats(table.column("text"), read_repeats(found, shard, config))
                blank = changed & (byte_sizes(left) == 0)
                size += int(byte_sizes(table.column("text")).sum() - byte_sizes(left).sum())
                count, empty = count + int(changed.sum()), empty + int(blank.sum())
                table = pa.table({"id": table.column("id"), "text": left}).filter(pa.array(~blank))
            yield table.cast(TEXTS)

    target.parent.mkdir(parents=True, exist_ok=True)
    write_tables(parts(), TEXTS, row_lines, target)
    return Cut(size, count, empty)


def write_tables(tables: Iterator[pa.Table], schema: pa.Schema, lines: Callable[[pa.Table], bytes], target: Path) -> None:
    """All tables in one file, whole or not at all: Parquet, or the `lines` of each. ConfigError for another suffix."""
    write_rows(Store(target.parent), target.name, tables, schema, lines)


def write_rows(
    place: Store, name: str, tables: Iterator[pa.Table], schema: pa.Schema, lines: Callable[[pa.Table], bytes]
) -> FileRecord:
    """As `write_tables`, to a file of a store; its record."""
    suffix = _kind(name, ConfigError, "the output")
    with place.writing(name) as file:
        if suffix == ".parquet":
            with pq.ParquetWriter(pa.PythonFile(file, mode="w"), schema, compression="zstd") as writer:
                for table in tables:
                    writer.write_table(table)
        else:
            for data in _compressed((lines(table) for table in tables), suffix):
                file.write(data)
    return file.record(name)


def _verdicts(table: pa.Table) -> bytes:
    ids, clusters = table.column("id").to_pylist(), table.column("cluster").to_pylist()
    keep, jaccard = table.column("keep").to_pylist(), table.column("jaccard").to_pylist()
    rows = zip(ids, clusters, keep, jaccard, strict=True)
    dump = json.dumps
    lines = (
        f'{{"id": {dump(i, ensure_ascii=False)}, "cluster": {dump(c, ensure_ascii=False)}, "keep": {"true" if k else "false"}, '
        f'"jaccard": {j:.4f}}}\n'
        for i, c, k, j in rows
    )
    return "".join(lines).encode("utf-8")


def row_lines(table: pa.Table) -> bytes:
    """The rows of a table as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table.to_pylist()).encode("utf-8")


def _compressed(parts: Iterator[bytes], suffix: str) -> Iterator[bytes]:
    if suffix == ".jsonl":
        yield from parts
        return
    if suffix == ".jsonl.gz":
        import zlib

        packer: Any = zlib.compressobj(6, zlib.DEFLATED, 31)
    else:
        import zstandard

        packer = zstandard.ZstdCompressor().compressobj()
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()
