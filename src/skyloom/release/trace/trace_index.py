"""The index of a corpus for traces: suffix arrays over units of text in parts, mapped into memory.

Input: the training documents. Output: a folder of parts and `index.json`, which is written last. A part holds as many documents as
its arrays have room for in the memory that was given, so a larger corpus makes more parts and needs no more memory. Of each part:

    part-NNNNN.units.npy       int32: the number of each unit of each document in order, 0 after a document
    part-NNNNN.order.npy       int32: positions of all suffixes that do not begin with 0, in lexicographic order
    part-NNNNN.starts.npy      int32: where the suffixes of each first unit begin in the order
    part-NNNNN.words.npy       uint64: hashes of the distinct units, sorted; part-NNNNN.numbers.npy int32: their numbers
    part-NNNNN.bounds.npy      int32: where each document begins in the units, and the end
    part-NNNNN.documents.arrow id, source, url, license, lang of each document, and where its text lies
    part-NNNNN.texts.zst       the texts in zstd frames of about 64 KB
    part-NNNNN.json            sizes, checksums, and where in the corpus the next part begins

Units are compared as `core.units` hashes them: in NFC and lower case, without punctuation and space. The arrays are those of
infini-gram (J. Liu et al., Infini-gram: Scaling Unbounded n-gram Language Models to a Trillion Tokens, COLM 2024), which has them
over tokens; units do not depend on a tokenizer, and make a length mean the same in both languages (ADR 0029).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.core.kernels import Hashes, Int, Ints, Ints32, kernel
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store, recorded
from skyloom.core.units import hash_units, utf8_buffers
from skyloom.release.trace.suffixes import MOST, bucket_starts, sort_suffixes
from skyloom.release.trace.traced_corpus import TracedCorpus

INDEX, LOCK, VERSION = "index.json", "lock", 1
MEMORY = 1_000_000_000
UNIT_BYTES = 14
"""Bytes of memory for each unit of a part: two arrays, buckets of the sort's second level, the distinct units."""
_LEAST_MEMORY = 14_000_000
_ARRAYS = ("units", "order", "starts", "words", "numbers", "bounds")
_FRAME = 1 << 16
_ABOUT = ("id", "source", "url", "license", "lang")
_DOCUMENTS = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in _ABOUT),
        pa.field("frame", pa.int64(), nullable=False),  # where the frame begins in the file of texts
        pa.field("packed", pa.int64(), nullable=False),  # its bytes there
        pa.field("first", pa.int64(), nullable=False),  # where the text begins in the unpacked frame
        pa.field("last", pa.int64(), nullable=False),  # where it ends
    ]
)


@dataclass(frozen=True)
class IndexPart:
    """One part of an index; its arrays are mapped when they are first used. `bytes`: of text as UTF-8."""

    folder: Store
    name: str
    documents: int
    units: int
    bytes: int
    files: tuple[FileRecord, ...]

    def array(self, name: str) -> npt.NDArray[Any]:
        """An array of the part, mapped. IntegrityError if it cannot be read."""
        path = self.folder.path(f"{self.name}.{name}.npy")
        try:
            return cast(npt.NDArray[Any], np.load(path, mmap_mode="r", allow_pickle=False))
        except (OSError, ValueError) as problem:
            raise IntegrityError(f"{path} cannot be read: {problem}; remove the index, it is then made again") from problem

    @cached_property
    def units_array(self) -> Ints32:
        return self.array("units")

    @cached_property
    def order(self) -> Ints32:
        return self.array("order")

    @cached_property
    def starts(self) -> Ints32:
        return self.array("starts")

    @cached_property
    def bounds(self) -> Ints32:
        return self.array("bounds")

    @cached_property
    def _words(self) -> tuple[Hashes, Ints32]:
        return self.array("words"), self.array("numbers")

    @cached_property
    def _about(self) -> pa.Table:
        path = self.folder.path(f"{self.name}.documents.arrow")
        try:
            return pa.ipc.open_file(pa.memory_map(os.fspath(path))).read_all()
        except (OSError, pa.ArrowInvalid) as problem:
            raise IntegrityError(f"{path} cannot be read: {problem}; remove the index, it is then made again") from problem

    def numbered(self, hashes: Hashes) -> Ints32:
        """The numbers of units by their hashes, int32; -1 for units that the part has not (0 ends a document)."""
        words, numbers = self._words
        if not len(words):
            return np.full(len(hashes), -1, np.int32)
        places = np.minimum(np.searchsorted(words, hashes), len(words) - 1)
        return np.where(words[places] == hashes, numbers[places], -1).astype(np.int32)

    def document(self, row: int) -> tuple[dict[str, str | None], str]:
        """What is known of a document, and its text. IntegrityError if the text cannot be read."""
        about = self._about.slice(row, 1).to_pylist()[0]
        path = self.folder.path(f"{self.name}.texts.zst")
        try:
            with open(path, "rb") as file:
                file.seek(about["frame"])
                frame = zstandard.ZstdDecompressor().decompress(file.read(about["packed"]))
            text = frame[about["first"] : about["last"]].decode("utf-8")
        except (OSError, zstandard.ZstdError, UnicodeDecodeError) as problem:
            raise IntegrityError(f"{path} is damaged: {problem}; remove the index, it is then made again") from problem
        return {name: about[name] for name in _ABOUT}, text


@dataclass(frozen=True)
class TraceIndex:
    """An index that is whole: its parts. `corpus`: SHA-256 of the files that it was made from, by name."""

    folder: Store
    parts: tuple[IndexPart, ...]
    corpus: dict[str, str]

    @property
    def documents(self) -> int:
        return sum(part.documents for part in self.parts)

    @property
    def units(self) -> int:
        return sum(part.units for part in self.parts)

    @property
    def text_bytes(self) -> int:
        return sum(part.bytes for part in self.parts)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(record.size for part in self.parts for record in part.files)

    @classmethod
    def open(cls, folder: str | Path, *, verify: bool = False) -> TraceIndex:
        """The index in a folder. `verify`: compare all checksums, else only sizes. StorageError if there is none, IntegrityError if
        it is not whole, or of another version."""
        store = Store(folder)
        try:
            table = store.read_json(INDEX)
            if table["version"] != VERSION:
                raise IntegrityError(f"{store.url(INDEX)} is of another version; remove the folder, the index is then made again")
            parts, corpus = tuple(_part(store, entry) for entry in table["parts"]), dict(table["corpus"])
        except (ValueError, KeyError, TypeError) as problem:
            raise IntegrityError(
                f"{store.url(INDEX)} is damaged ({problem!r}); remove it, the index is then made again"
            ) from problem
        records = [record for part in parts for record in part.files]
        if wrong := store.differing(records, full=verify):
            raise IntegrityError(
                f"{store.root}: {', '.join(wrong[:3])} differ from {INDEX}; remove the index, it is then made again"
            )
        return cls(store, parts, corpus)


def index_folder(corpus: TracedCorpus) -> str:
    """Where the index of a corpus lies unless another place is named: beside it."""
    return f"{corpus.folder.root}.trace"


def index_of(
    corpus: TracedCorpus, folder: str | Path, *, memory: int = MEMORY, verify: bool = False, progress: Progress
) -> TraceIndex:
    """The index of a corpus in `folder`; it is built first where it is not there, or was made from other files."""
    if Store(folder).exists(INDEX):
        found = TraceIndex.open(folder, verify=verify)
        if found.corpus == corpus.files:
            return found
        progress.log(f"the corpus in {corpus.folder.root} is not that of the index in {folder}: it is made again")
    return build_index(corpus, folder, memory=memory, progress=progress)


def build_index(
    corpus: TracedCorpus, folder: str | Path, *, memory: int = MEMORY, part_units: int | None = None, progress: Progress
) -> TraceIndex:
    """Build the index of a corpus. A build that was interrupted goes on after the last part that it finished.

    `memory`: bytes for the arrays of one part; the program and a batch of documents need about 0.4 GB beside them. `part_units`:
    the size of a part in units instead. ConfigError if the memory is too small, also for a long document; DataError or
    IntegrityError for a corpus that cannot be read; StorageError if the folder cannot be written.
    """
    if part_units is None:
        if memory < _LEAST_MEMORY:
            raise ConfigError(f"an index needs at least {_LEAST_MEMORY / 1e6:.0f} MB of memory, {memory / 1e6:.3g} MB were given")
        part_units = min(memory // UNIT_BYTES, MOST - 1)
    out = Store(folder)
    with _locked(out, progress):
        if out.exists(INDEX) and TraceIndex.open(folder).corpus == corpus.files:  # another process was faster
            return TraceIndex.open(folder)
        out.remove(INDEX)
        out.sweep()
        corpus.check()
        wish = {"version": VERSION, "corpus": corpus.files, "part_units": part_units}
        done = _finished(out, wish)
        for name in out.names("part-"):
            if name[:10] not in {part["name"] for part in done}:
                out.remove(name)
        with progress.task("trace index", len(corpus.files), "shards") as bar:
            file, row = done[-1]["next"] if done else (0, 0)
            bar.resume(file)
            with _Builder(out, part_units, len(done), wish) as builder:
                for number, after, table in corpus.batches(file, row):
                    bar.advance(number - bar.done)
                    done += builder.take(table, number, after - table.num_rows)
                if builder.documents or not done:
                    done.append(builder.close((len(corpus.files), 0)))
            bar.advance(len(corpus.files) - bar.done)
        if not sum(part["documents"] for part in done):
            raise DataError(f"{corpus.folder.root} has no training documents")
        out.write_json(INDEX, {**wish, "parts": done})
    return TraceIndex.open(folder)


def _part(store: Store, entry: Any) -> IndexPart:
    files = tuple(recorded(file) for file in entry["files"])
    return IndexPart(store, str(entry["name"]), int(entry["documents"]), int(entry["units"]), int(entry["bytes"]), files)


def _finished(out: Store, wish: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts that an earlier build of the same index finished, from the first on."""
    done: list[dict[str, Any]] = []
    while out.exists(f"{_name(len(done))}.json"):
        try:
            entry = out.read_json(f"{_name(len(done))}.json")
            whole = entry.pop("of") == wish and not out.differing(_part(out, entry).files)
        except (ValueError, KeyError, TypeError):
            whole = False
        if not whole:
            break
        done.append(entry)
    return done


def _name(number: int) -> str:
    return f"part-{number:05d}"


@contextlib.contextmanager
def _locked(out: Store, progress: Progress) -> Iterator[None]:
    """Hold the folder for ourselves; the kernel lets go of it if we die."""
    path = out.path(LOCK)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as problem:
        said = f"cannot write the index to {out.root}: {problem.strerror}; name another folder with --index"
        raise StorageError(said) from problem
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.log(f"another process builds the index in {out.root}; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


class _Builder:
    """The part that is being filled: texts and notes of documents go to files at once, units stay in memory."""

    def __init__(self, out: Store, part_units: int, number: int, wish: dict[str, Any]) -> None:
        self._out, self._number, self._wish = out, number, wish
        self._units: Ints32 = np.empty(part_units, np.int32)
        self._begin()

    def __enter__(self) -> _Builder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._files is not None:  # a part that was begun and not closed: its files do not appear
            self._files.__exit__(kind or InterruptedError, error or InterruptedError(), trace)

    def _begin(self) -> None:
        self.documents = self._used = self._filled = self._bytes = 0
        self._keys, self._values = np.zeros(1 << 12, np.uint64), np.zeros(1 << 12, np.int32)
        self._bounds: list[npt.NDArray[np.int64]] = []
        self._files: contextlib.ExitStack | None = None

    def take(self, table: pa.Table, file: int, first: int) -> list[dict[str, Any]]:
        """Take a batch, whose rows begin at row `first` of a file of the corpus; the parts that became full. ConfigError for a
        document that is longer than a part."""
        done, at, held = [], 0, pc.is_valid(table["text"]).to_numpy(zero_copy_only=False)
        units = hash_units(table["text"])
        ends = np.cumsum(np.where(held, units.counts + 1, 0))
        while at < table.num_rows:
            before = int(ends[at - 1]) if at else 0
            stop = int(np.searchsorted(ends, before + len(self._units) - self._filled, side="right"))
            crowded = len(self._keys) * 12 > max(len(self._units) * UNIT_BYTES // 4, 1 << 20)
            if self.documents and (crowded or stop == at):
                done.append(self.close((file, first + at)))
                continue
            if stop == at:
                needed = UNIT_BYTES * int(ends[at] - before)
                raise ConfigError(
                    f"the document {table['id'][at].as_py()} has {units.counts[at]:,} units; its index needs at least "
                    f"{needed / 1e6:.0f} MB: --memory {needed / 1e9 + 0.001:.3f}GB"
                )
            rows = held[at:stop]
            counts = units.counts[at:stop][rows]
            self._add(
                table.slice(at, stop - at).filter(pa.array(rows)), units.hashes[units.offsets[at] : units.offsets[stop]], counts
            )
            at = stop
        return done

    def _add(self, table: pa.Table, hashes: Hashes, counts: Ints) -> None:
        if self._files is None:
            self._open()
        numbers, at = np.empty(len(hashes), np.int32), 0
        while at < len(hashes):
            at, self._used = _number(hashes, at, self._keys, self._values, self._used, numbers)
            if at < len(hashes):
                self._keys, self._values = _grown(self._keys, self._values)
        bounds = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=bounds[1:])
        _lay(numbers, bounds, self._units[self._filled :])
        self._bounds.append(self._filled + bounds[:-1] + np.arange(len(counts)))
        self._filled += len(hashes) + len(counts)
        self.documents += len(counts)
        self._write_texts(table)

    def _open(self) -> None:
        self._files = contextlib.ExitStack()
        name = _name(self._number)
        self._texts = self._files.enter_context(self._out.writing(f"{name}.texts.zst"))
        self._notes = self._files.enter_context(self._out.writing(f"{name}.documents.arrow"))
        sink = pa.PythonFile(cast(IO[bytes], self._notes), mode="w")
        self._table = self._files.enter_context(pa.ipc.new_file(sink, _DOCUMENTS))

    def _write_texts(self, table: pa.Table) -> None:
        data, offsets = utf8_buffers(table["text"])
        ends = offsets[1:] - offsets[0]
        places = np.zeros((4, len(ends)), np.int64)
        row = 0
        while row < len(ends):
            start = offsets[row] - offsets[0]
            stop = min(int(np.searchsorted(ends, start + _FRAME)) + 1, len(ends))
            frame = zstandard.ZstdCompressor(level=3).compress(data[offsets[row] : offsets[stop]].tobytes())
            places[0, row:stop], places[1, row:stop] = self._texts.tell(), len(frame)
            places[2, row:stop], places[3, row:stop] = offsets[row:stop] - offsets[row], offsets[row + 1 : stop + 1] - offsets[row]
            self._texts.write(frame)
            row = stop
        if len(ends):
            self._bytes += int(ends[-1])
            columns = [table[name].combine_chunks().cast(pa.string()) for name in _ABOUT]
            self._table.write_batch(pa.RecordBatch.from_arrays([*columns, *map(pa.array, places)], schema=_DOCUMENTS))

    def close(self, following: tuple[int, int]) -> dict[str, Any]:
        """Sort and write the part, and begin the next. `following`: file and row of the corpus at which that begins."""
        if self._files is None:
            self._open()
        assert self._files is not None
        self._files.close()
        name = _name(self._number)
        records = [self._texts.record(f"{name}.texts.zst"), self._notes.record(f"{name}.documents.arrow")]
        units = self._units[: self._filled]
        starts = bucket_starts(units, self._used + 1)
        filled = self._values > 0
        words, numbers = self._keys[filled], self._values[filled]
        del self._keys, self._values, filled
        by_hash = np.argsort(words)
        bounds = np.concatenate([*self._bounds, np.array([self._filled], np.int64)]).astype(np.int32)
        arrays: dict[str, npt.NDArray[Any]] = {
            "starts": starts,
            "words": words[by_hash],
            "numbers": numbers[by_hash],
            "bounds": bounds,
        }
        records += [self._write(f"{name}.{key}.npy", array) for key, array in arrays.items()]
        order = sort_suffixes(units, self._used + 1) if self._filled else np.zeros(0, np.int32)
        records.append(self._write(f"{name}.order.npy", order[self.documents :]))
        records.append(self._write(f"{name}.units.npy", units))
        sizes = {"documents": self.documents, "units": self._filled - self.documents, "bytes": self._bytes}
        entry: dict[str, Any] = {"name": name, **sizes, "files": [asdict(r) for r in records], "next": list(following)}
        self._out.write_json(f"{name}.json", {**entry, "of": self._wish})
        self._number += 1
        self._begin()
        return entry

    def _write(self, name: str, array: npt.NDArray[Any]) -> FileRecord:
        with self._out.writing(name) as file:
            np.save(cast(IO[bytes], file), array, allow_pickle=False)
        return file.record(name)


@kernel
def _number(hashes: Hashes, start: Int, keys: Hashes, values: Ints32, used: Int, out: Ints32) -> tuple[int, int]:
    """Number the units from `start` on by a table of open addresses; where it stopped because the table is half full, and the units
    in the table."""
    mask = np.uint64(len(keys) - 1)
    for i in range(start, len(hashes)):
        if used * 2 >= len(keys):
            return int(i), int(used)
        slot = hashes[i] & mask
        while values[slot] != 0 and keys[slot] != hashes[i]:
            slot = (slot + np.uint64(1)) & mask
        if values[slot] == 0:
            used += 1
            keys[slot], values[slot] = hashes[i], used
        out[i] = values[slot]
    return len(hashes), int(used)


def _grown(keys: Hashes, values: Ints32) -> tuple[Hashes, Ints32]:
    wider, moved = np.zeros(len(keys) * 2, np.uint64), np.zeros(len(keys) * 2, np.int32)
    _move(keys, values, wider, moved)
    return wider, moved


@kernel
def _move(keys: Hashes, values: Ints32, wider: Hashes, moved: Ints32) -> None:
    mask = np.uint64(len(wider) - 1)
    for i in range(len(keys)):
        if values[i] != 0:
            slot = keys[i] & mask
            while moved[slot] != 0:
                slot = (slot + np.uint64(1)) & mask
            wider[slot], moved[slot] = keys[i], values[i]


@kernel
def _lay(numbers: Ints32, offsets: Ints, out: Ints32) -> None:
    """The units of each row, and 0 after it."""
    at = 0
    for row in range(len(offsets) - 1):
        for i in range(offsets[row], offsets[row + 1]):
            out[at] = numbers[i]
            at += 1
        out[at] = 0
        at += 1
