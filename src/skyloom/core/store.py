"""Files that appear whole or not at all, on a local path or any fsspec URL.

A `Store` is a folder. What is written through it becomes visible under its final name only when it is complete:
locally by writing aside, fsync and rename; on an object store by one PUT. A reader therefore never sees half a file,
and `kill -9` leaves at most a stray `.tmp-*` file that the next run removes. Checksums are SHA-256, taken while
writing, so that a manifest costs no second read.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.errors import IntegrityError, StorageError

TEMPORARY = ".tmp-"
TELEMETRY = "telemetry/"
"""Files below this prefix (timings, host names) are kept but are no part of a step's content hash."""


@dataclass(frozen=True)
class FileRecord:
    """A file as we wrote it: name relative to its store, size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class _HashingWriter:
    """Forwards writes and hashes them; enough of a file for pyarrow, zstandard and json."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._digest = hashlib.sha256()
        self._size = 0
        self.closed = False
        self.mode = "wb"

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        self._raw.write(view)
        return len(view)

    def flush(self) -> None:
        self._raw.flush()

    def tell(self) -> int:
        return self._size

    def close(self) -> None:
        self.closed = True

    def readable(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def record(self, name: str) -> FileRecord:
        return FileRecord(name, self._size, self._digest.hexdigest())


def _is_local(root: str) -> bool:
    return "://" not in root or root.startswith("file://")


class Store:
    """A folder on a local path or an fsspec URL (`s3://bucket/run`, `memory://x`); see the module's docstring."""

    def __init__(self, root: str | Path) -> None:
        text = str(root)
        self.local = _is_local(text)
        if self.local:
            self.root = os.path.abspath(text.removeprefix("file://"))
        else:
            self.root = text.rstrip("/")
            try:
                self._fs, self._base = fsspec.core.url_to_fs(self.root)
            except (ImportError, ValueError) as problem:
                raise StorageError(f"cannot open {self.root}: {problem}") from problem

    def __repr__(self) -> str:
        return f"Store({self.root!r})"

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return (Store, (self.root,))

    def child(self, name: str) -> Store:
        """The store of a folder inside this one."""
        return Store(f"{self.root}/{name}")

    def path(self, name: str = "") -> Path:
        """A real path, for memory maps and libraries that need one. StorageError on a remote store."""
        if not self.local:
            raise StorageError(f"{self.root} is remote, but this step needs a local folder (set --work to a local path)")
        return Path(self.root, name)

    def url(self, name: str) -> str:
        """The full path or URL of a file, as people would type it."""
        return f"{self.root}/{name}" if name else self.root

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[_HashingWriter]:
        """A binary file that appears under `name` when the block ends without an error, and never otherwise."""
        _check_name(name)
        if self.local:
            final = Path(self.root, name)
            aside = final.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:12]}-{final.name}")
            try:
                final.parent.mkdir(parents=True, exist_ok=True)
                raw = open(aside, "wb")
            except OSError as problem:
                raise StorageError(f"cannot write {final}: {problem.strerror or problem}") from problem
            try:
                with raw:
                    writer = _HashingWriter(raw)
                    yield writer
                    raw.flush()
                    os.fsync(raw.fileno())
                os.replace(aside, final)
                _fsync_folder(final.parent)
            except OSError as problem:
                raise StorageError(f"cannot write {final}: {problem.strerror or problem}") from problem
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(aside)
            return
        import io

        buffer = io.BytesIO()
        yield _HashingWriter(cast(BinaryIO, buffer))
        with _storage_errors(self.url(name)):
            self._fs.pipe_file(f"{self._base}/{name}", buffer.getvalue())

    def write_bytes(self, name: str, data: bytes) -> FileRecord:
        with self.writing(name) as file:
            file.write(data)
        return file.record(name)

    def write_text(self, name: str, text: str) -> FileRecord:
        return self.write_bytes(name, text.encode("utf-8"))

    def write_json(self, name: str, value: Any) -> FileRecord:
        """JSON with sorted keys and a final newline, so that equal values are equal bytes."""
        return self.write_text(name, json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n")

    def write_table(self, name: str, table: pa.Table, *, row_group: int = 4096) -> FileRecord:
        """A Parquet shard (zstd). Equal tables give equal bytes for one pyarrow version."""
        with self.writing(name) as file:
            pq.write_table(table, pa.PythonFile(cast(IO[bytes], file), mode="w"), compression="zstd", row_group_size=row_group)
        return file.record(name)

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """An open binary file. StorageError if it is not there or cannot be read."""
        with _storage_errors(self.url(name)):
            handle = open(Path(self.root, name), "rb") if self.local else self._fs.open(f"{self._base}/{name}", "rb")
        with handle:
            yield cast(BinaryIO, handle)

    def read_bytes(self, name: str) -> bytes:
        with self.reading(name) as file:
            return file.read()

    def read_text(self, name: str) -> str:
        return self.read_bytes(name).decode("utf-8")

    def read_json(self, name: str) -> Any:
        return json.loads(self.read_bytes(name))

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        with self.reading(name) as file:
            try:
                return pq.ParquetFile(file).read(columns=columns)
            except pa.ArrowInvalid as problem:
                raise IntegrityError(f"{self.url(name)} is not a whole Parquet file: {problem}") from problem

    def exists(self, name: str) -> bool:
        if self.local:
            return Path(self.root, name).exists()
        return bool(self._fs.exists(f"{self._base}/{name}"))

    def names(self, prefix: str = "") -> list[str]:
        """Names of all files below this store that begin with `prefix`, sorted; temporary files are not listed."""
        if self.local:
            # os.walk passes over a folder that another process removes while we list; Path.rglob raises.
            found = [
                Path(folder, name).relative_to(self.root).as_posix() for folder, _, names in os.walk(self.root) for name in names
            ]
        else:
            with _storage_errors(self.root):
                found = [f[len(self._base) :].lstrip("/") for f in self._fs.find(self._base)] if self._fs.exists(self._base) else []
        return sorted(n for n in found if n.startswith(prefix) and not PurePosixPath(n).name.startswith(TEMPORARY))

    def describe(self, name: str) -> FileRecord:
        """Size and SHA-256 of a file, read again."""
        digest, size = hashlib.sha256(), 0
        with self.reading(name) as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
                size += len(chunk)
        return FileRecord(name, size, digest.hexdigest())

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it; nothing happens if it is not there."""
        if self.local:
            target = Path(self.root, name)
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)
        elif self._fs.exists(f"{self._base}/{name}".rstrip("/")):
            self._fs.rm(f"{self._base}/{name}".rstrip("/"), recursive=True)

    def sweep(self) -> None:
        """Remove what a killed writer left behind. Call it only while holding the folder's lease."""
        if self.local and Path(self.root).is_dir():
            for stray in Path(self.root).rglob(f"{TEMPORARY}*"):
                stray.unlink(missing_ok=True)


def _check_name(name: str) -> None:
    if not name or name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise StorageError(f"bad file name {name!r}: it must be relative and stay inside the store")


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _storage_errors(place: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as problem:
        raise StorageError(f"{place} does not exist") from problem
    except OSError as problem:
        raise StorageError(f"cannot use {place}: {problem.strerror or problem}") from problem
