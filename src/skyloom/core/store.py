"""Atomic file storage on a local path or any fsspec URL: a file appears whole or not at all.

A `Store` is a folder. What is written through it becomes visible under its final name only when it is complete:
locally by writing aside, fsync and rename; on an object store by one PUT. A reader therefore never sees half a file,
and `kill -9` leaves at most a stray `.tmp-*` file that the next run removes. Checksums are SHA-256, taken while
writing, so that a manifest costs no second read.

On an object store a file is held in memory until it is sent (a shard, at most some hundred MB), nothing is read back to
be checked (the service keeps checksums of its own; we compare sizes, from one listing), and listings are never cached,
because other machines write to the same folder. Endpoint and credentials are those of fsspec and of the AWS tools
(`AWS_ENDPOINT_URL`, `FSSPEC_S3_ENDPOINT_URL`, profiles); docs/scale.md has the commands.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, BinaryIO, cast

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.errors import IntegrityError, StorageError
from skyloom.core.json_lines import json_lines
from skyloom.core.records import FileEntry

TEMPORARY = ".tmp-"
TELEMETRY = "telemetry/"
"""Files below this prefix (timings, host names) are kept but are no part of a step's content hash."""

_BUCKETS = ("s3://", "s3a://", "gs://", "gcs://", "abfs://", "az://")
_CLIENT_ERRORS = ("botocore.", "aiobotocore.", "aiohttp.", "google.", "azure.", "gcsfs.")
"""Modules whose exceptions say that a service cannot be used; they are no OSErrors."""


@dataclass(frozen=True)
class FileRecord:
    """A file as we wrote it: name relative to its store, size in bytes, SHA-256 in hex."""

    name: str
    size: int
    sha256: str


_SHA256 = re.compile("[0-9a-f]{64}")


def recorded(entry: FileEntry) -> FileRecord:
    """The record that a JSON file holds. KeyError, TypeError or ValueError if it is none, or of a file outside its store."""
    name, size, digest = entry["name"], entry["size"], entry["sha256"]
    if len(entry) != 3 or type(size) is not int or size < 0 or not _SHA256.fullmatch(digest) or not is_inside(name):
        raise ValueError("a file's record is none")
    return FileRecord(name, size, digest)


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

    def __init__(self, root: str | Path, *, sync: bool = True) -> None:
        """`sync`: wait until each file is on the disk. Without it a power cut may spoil files (their checksums show it), nothing
        else may: for what a step writes for itself and removes again, where waiting costs more than the work."""
        text = str(root)
        self.sync = sync
        self.local = _is_local(text)
        if self.local:
            self.root = os.path.abspath(text.removeprefix("file://"))
            return
        self.root = text.rstrip("/")
        options = {"use_listings_cache": False} if text.startswith(_BUCKETS) else {}
        try:
            self._fs, self._base = fsspec.core.url_to_fs(self.root, **options)
        except ImportError as problem:
            scheme = text.partition("://")[0]
            hint = "; install it with: pip install 'skyloom[s3]'" if scheme in ("s3", "s3a") else ""
            raise StorageError(f"cannot open {self.root}: {problem}{hint}") from problem
        except ValueError as problem:
            raise StorageError(f"cannot open {self.root}: {problem}") from problem

    def __repr__(self) -> str:
        return f"Store({self.root!r})"

    def __reduce__(self) -> tuple[Callable[[str, bool], Store], tuple[str, bool]]:
        return (_reopened, (self.root, self.sync))

    def child(self, name: str, *, sync: bool | None = None) -> Store:
        """The store of a folder inside this one, with the same `sync` unless told."""
        return Store(f"{self.root}/{name}", sync=self.sync if sync is None else sync)

    def prepare(self) -> None:
        """Make the folder, or see that the bucket is there. StorageError says what is wrong before any work is done."""
        if self.local:
            try:
                Path(self.root).mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                why = problem.strerror
                raise StorageError(f"cannot make the work folder {self.root}: {why}; give another with --work") from problem
        elif self.root.startswith(_BUCKETS):
            bucket = self._base.partition("/")[0]
            with _storage_errors(self.root):
                try:
                    self._fs.find(f"{self._base}/{TEMPORARY}probe")  # `exists` would say no to an unreachable server too
                except FileNotFoundError as problem:
                    raise StorageError(
                        f"the bucket {bucket} of {self.root} does not exist or is not yours to see: "
                        f"make it (aws s3 mb s3://{bucket}), or look at the credentials and at AWS_ENDPOINT_URL"
                    ) from problem

    def path(self, name: str = "") -> Path:
        """A real path, for memory maps and libraries that need one. StorageError on a remote store."""
        if not self.local:
            raise StorageError(
                f"{self.root} is remote, but this step maps files into memory and needs a local folder: copy the finished "
                "steps to one and give it with --work (docs/scale.md has the command)"
            )
        return Path(self.root, name)

    def scratch(self, name: str) -> Path:
        """A local folder for what may be lost (downloads): inside a local store, for a remote one in the user's cache."""
        if self.local:
            return Path(self.root, name)
        cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
        return Path(cache, "skyloom", hashlib.sha256(self.root.encode()).hexdigest()[:16], name)

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
                    if self.sync:
                        os.fsync(raw.fileno())
                os.replace(aside, final)
                if self.sync:
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
        if self.local:
            with self.reading(name) as file:
                return file.read()
        with _storage_errors(self.url(name)):
            return bytes(self._fs.cat_file(f"{self._base}/{name}"))

    def read_text(self, name: str) -> str:
        return self.read_bytes(name).decode("utf-8")

    def read_json(self, name: str) -> Any:
        """The value of a JSON file. StorageError if it cannot be read, ValueError if it is not JSON, or nested without end."""
        try:
            return json.loads(self.read_bytes(name))
        except RecursionError as problem:
            raise ValueError(f"{self.url(name)}: nested too deeply") from problem

    def read_json_lines(self, name: str) -> Iterator[Any]:
        """The values of a file of JSON lines; see `json_lines`."""
        return json_lines(self.read_bytes(name), self.url(name))

    @contextlib.contextmanager
    def reading_arrow(self, name: str) -> Iterator[pa.NativeFile]:
        """An open file for Arrow's readers: a local one is read by Arrow itself, and no thread of Arrow ever holds a Python object.

        A thread of Arrow that lets go of a Python file while the interpreter ends aborts the process (`PyGILState_Ensure` then ends
        the thread inside a destructor). A remote file is a Python file; read it with `use_threads=False` (`self.local`).
        """
        if not self.local:
            with self.reading(name) as remote, pa.PythonFile(cast(IO[bytes], remote), mode="r") as file:
                yield file
            return
        with _storage_errors(self.url(name)):
            native = pa.OSFile(os.fspath(Path(self.root, name)), "r")
        with native as file:
            yield file

    def read_table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        with self.reading_arrow(name) as file:
            try:
                return pq.ParquetFile(file).read(columns=columns, use_threads=self.local)
            except pa.ArrowInvalid as problem:
                raise IntegrityError(f"{self.url(name)} is not a whole Parquet file: {problem}") from problem

    def read_rows(self, name: str, rows: Sequence[int], columns: list[str] | None = None) -> pa.Table:
        """Rows of a Parquet shard by their ascending numbers; only the row groups that hold them are read."""
        with self.reading_arrow(name) as file:
            try:
                shard, found, first = pq.ParquetFile(file), [], 0
                for group in range(shard.num_row_groups):
                    stop = first + shard.metadata.row_group(group).num_rows
                    inside = rows[bisect_left(rows, first) : bisect_left(rows, stop)]
                    if inside:
                        table = shard.read_row_group(group, columns=columns, use_threads=self.local)
                        found.append(table.take(pa.array([row - first for row in inside])))
                    first = stop
            except pa.ArrowInvalid as problem:
                raise IntegrityError(f"{self.url(name)} is not a whole Parquet file: {problem}") from problem
            if rows and rows[-1] >= first:
                raise IntegrityError(f"{self.url(name)} has {first:,} rows, row {rows[-1]:,} was expected in it")
            return (
                pa.concat_tables(found) if found else shard.schema_arrow.empty_table().select(columns or shard.schema_arrow.names)
            )

    def exists(self, name: str) -> bool:
        if self.local:
            return Path(self.root, name).exists()
        with _storage_errors(self.url(name)):
            return bool(self._fs.exists(f"{self._base}/{name}"))

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Bytes of each file whose name begins with `prefix`, by name in order. One listing of the prefix's folder, no read."""
        folder = prefix.rpartition("/")[0]
        found = _local_sizes(self.root, folder) if self.local else self._remote_sizes(folder)
        return {n: found[n] for n in sorted(found) if n.startswith(prefix) and not _is_temporary(n)}

    def _remote_sizes(self, folder: str) -> dict[str, int]:
        with _storage_errors(self.root), contextlib.suppress(FileNotFoundError):
            listed = self._fs.find(f"{self._base}/{folder}".rstrip("/"), detail=True)
            return {str(f)[len(self._base) :].lstrip("/"): int(about["size"] or 0) for f, about in listed.items()}
        return {}

    def names(self, prefix: str = "") -> list[str]:
        """Names of all files below this store that begin with `prefix`, sorted; temporary files are not listed."""
        return list(self.sizes(prefix))

    def describe(self, name: str) -> FileRecord:
        """Size and SHA-256 of a file, read again."""
        digest, size = hashlib.sha256(), 0
        with self.reading(name) as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
                size += len(chunk)
        return FileRecord(name, size, digest.hexdigest())

    def differing(self, records: Sequence[FileRecord], *, full: bool = True, threads: int = 1) -> list[str]:
        """Names of the recorded files that are missing or are not as recorded, in the order of `records`.

        `full` reads every file and compares its SHA-256, on `threads` threads; without it, and always on a remote store,
        sizes are compared, from one listing.
        """
        there = self.sizes()
        doubtful = {r.name for r in records if there.get(r.name) != r.size}
        if full and self.local:
            rest = [r for r in records if r.name not in doubtful]
            with ThreadPoolExecutor(max(threads, 1)) as pool:
                same = pool.map(lambda record: self.describe(record.name) == record, rest)
                doubtful |= {record.name for record, equal in zip(rest, same, strict=True) if not equal}
        return [r.name for r in records if r.name in doubtful]

    def remove(self, name: str) -> None:
        """Remove a file or a folder with all that is in it; nothing happens if it is not there."""
        if self.local:
            target = Path(self.root, name)
            if target.is_dir():
                shutil.rmtree(target, onerror=_unless_missing)
            else:
                target.unlink(missing_ok=True)
            return
        with _storage_errors(self.url(name)):
            if self._fs.exists(f"{self._base}/{name}".rstrip("/")):
                self._fs.rm(f"{self._base}/{name}".rstrip("/"), recursive=True)

    def sweep(self) -> None:
        """Remove what a killed writer left behind. Call it only while holding the folder's lease."""
        if self.local and Path(self.root).is_dir():
            for stray in Path(self.root).rglob(f"{TEMPORARY}*"):
                stray.unlink(missing_ok=True)


def _local_sizes(root: str, folder: str) -> dict[str, int]:
    # os.walk passes over a folder that another process removes while we list; Path.rglob raises.
    found = {}
    for place, _, names in os.walk(os.path.join(root, folder)):
        inside = os.path.relpath(place, root)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                size = Path(place, name).stat().st_size
                found[name if inside == "." else f"{inside.replace(os.sep, '/')}/{name}"] = size
    return found


def _unless_missing(_function: object, _path: object, problem: tuple[type[BaseException], BaseException, object]) -> None:
    """Another process may remove the same folder at the same time."""
    if not isinstance(problem[1], FileNotFoundError):
        raise problem[1]


def _is_temporary(name: str) -> bool:
    return PurePosixPath(name).name.startswith(TEMPORARY)


def is_inside(name: str) -> bool:
    """Whether a name is relative and stays inside a store."""
    return bool(name) and not name.startswith("/") and "\0" not in name and not {"", ".", ".."} & set(name.split("/"))


def _check_name(name: str) -> None:
    if not is_inside(name):
        raise StorageError(f"bad file name {name!r}: it must be relative and stay inside the store")


def _reopened(root: str, sync: bool) -> Store:
    return Store(root, sync=sync)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _storage_errors(place: str) -> Iterator[None]:
    """Tell the errors of files and of services in a sentence."""
    try:
        yield
    except FileNotFoundError as problem:
        if "bucket" in str(problem):
            raise StorageError(f"{place}: its bucket does not exist; make it, or look at AWS_ENDPOINT_URL") from problem
        raise StorageError(f"{place} does not exist") from problem
    except OSError as problem:
        raise StorageError(f"cannot use {place}: {problem.strerror or problem}") from problem
    except Exception as problem:
        if type(problem).__module__.startswith(_CLIENT_ERRORS):
            raise StorageError(f"cannot use {place}: {problem}; look at the credentials and the endpoint URL") from problem
        raise
