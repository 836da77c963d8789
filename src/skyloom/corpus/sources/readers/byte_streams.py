"""Input streams: files on a path, by a pattern or at any fsspec URL, unpacked within limits.

Input: a path (`pages`, `crawl/**/*.warc.gz`, `s3://bucket/wet/`, `memory://x`). Output: `File`s and open streams. Unpacking
counts: a stream that gives more than `ratio` times the bytes it took, beyond the first 16 MB, raises `BombError`, because data
that anyone wrote for readers never packs that well; 64 kB of zstd can unpack to gigabytes. Memory: the libraries' windows,
never a file.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import itertools
import lzma
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import fsspec
import zstandard

from skyloom.core.errors import DataError, StorageError
from skyloom.corpus.sources.redirects import web_options

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Entry = dict[str, str | int | float | bool | None]
"""What a file system says of a file, under names of its own."""

_WHOLE = 8 << 20  # bytes up to which a file is fingerprinted whole
_EDGE = 1 << 20
_MANY = 5_000  # files above which a fingerprint asks the file system instead of reading
_PIECE = 1 << 18
_ZSTD_PIECE = 1 << 11
_ZSTD_WINDOW = 1 << 27  # 128 MB, as the zstd program without --long; a frame may ask for 2 GB of memory
_XZ_MEMORY = 1 << 27  # for xz, whose header too may ask for gigabytes; `xz -9` needs half of it
_LOCAL = "file://"
_FREE = 16 << 20  # bytes that may come out at any ratio
MARK = b"\xef\xbb\xbf"
GZIP, ZSTD, BZIP2, XZ = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\x00"


class BombError(ValueError):
    """Packed data that unpacks to far more than its size; the text is the row's reason."""

    def __init__(self, ratio: float) -> None:
        super().__init__(f"decompression bomb: unpacks to more than {ratio:g} times its size")


BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError, BombError)
"""What reading a damaged, cut or hostile file raises."""


def reason_of(problem: Exception) -> str:
    """The reason of a row for what reading raised, without figures that differ from file to file."""
    if isinstance(problem, BombError):
        return str(problem)
    return f"broken: {str(problem).split(': ', 1)[-1] or type(problem).__name__}"


@dataclass(frozen=True, slots=True)
class File:
    """A file of a source, or the bytes from `start` to `end` (-1: its end) of it: `path` for fsspec, `name` below the source's
    folder, `size` of the whole file in bytes, `version` what the file system says of its content ("" if nothing)."""

    path: str
    name: str
    size: int
    start: int = 0
    end: int = -1
    version: str = ""


def listing(source: str, path: str) -> list[File]:
    """The files at a path, a pattern or a URL, in the order of their names. DataError if there is no such path."""
    text = str(Path(path).expanduser()) if "://" not in path else path
    try:
        filesystem, base = fsspec.core.url_to_fs(text, **web_options(text))
        found, root = _found(filesystem, base, path)
    except FileNotFoundError as problem:
        raise DataError(f"source '{source}': {path} does not exist") from problem
    except ImportError as problem:
        extra = "s3" if path.startswith(("s3:", "http:", "https:")) else ""
        hint = f"pip install 'skyloom[{extra}]'" if extra else "install the package that it names"
        raise StorageError(f"source '{source}': cannot open {path}: {problem}; {hint}") from problem
    except (ValueError, OSError) as problem:
        raise StorageError(f"source '{source}': cannot open {path}: {problem}") from problem
    return [
        File(filesystem.unstrip_protocol(p), _below(p, root), int(info.get("size") or 0), version=_version(info))
        for p, info in sorted(found.items())
        if info["type"] == "file" or (info.get("islink") and filesystem.isfile(p))  # no pipes, no links to nothing
    ]


def _found(filesystem: fsspec.AbstractFileSystem, base: str, path: str) -> tuple[dict[str, Entry], str]:
    """Entries by path, and the folder that names are relative to. A path that exists is no pattern, whatever it holds."""
    if filesystem.exists(base):
        info = filesystem.info(base)
        if info["type"] != "directory":
            return {base: info}, base.rstrip("/").rpartition("/")[0]
        return filesystem.find(base, detail=True), base
    if not any(c in path for c in "*?["):
        raise FileNotFoundError(path)
    found = {p: i for p, i in filesystem.glob(base, detail=True).items() if i["type"] != "directory"}
    if not found:
        raise FileNotFoundError(path)
    fixed = base[: min(base.find(c) for c in "*?[" if c in base)]
    return found, fixed.rpartition("/")[0]


def _below(path: str, root: str) -> str:
    name = (path.removeprefix(root.rstrip("/") + "/") if root else path) or PurePosixPath(path).name
    return name.encode("utf-8", "backslashreplace").decode("utf-8")  # names need not be UTF-8, the addresses made of them must


def _version(info: Entry) -> str:
    return str(next((info[k] for k in ("ETag", "etag", "checksum", "mtime", "LastModified", "last_modified") if info.get(k)), ""))


def fingerprint(files: Sequence[File]) -> str:
    """A digest that changes when the files do.

    Local files give their names, sizes and contents (above 8 MB: size, beginning, middle and end). Of more than 5,000 files,
    and of files on an object store, it takes what the file system says (time of change, ETag) and reads nothing.
    """
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.name}\0{file.size}\0".encode("utf-8", "surrogatepass"))
        if file.version and (len(files) > _MANY or not file.path.startswith(("file:", "/", "local:"))):
            digest.update(file.version.encode())
            continue
        with open_file(file) as raw:
            if file.size <= _WHOLE:
                digest.update(raw.read())
            else:
                for start in (0, file.size // 2, file.size - _EDGE):
                    raw.seek(start)
                    digest.update(raw.read(_EDGE))
    return digest.hexdigest()


def split(file: File, size: int) -> list[File]:
    """A file as ranges of about `size` bytes, one if it is not twice that large."""
    count = max(1, file.size // size)
    bounds = [file.size * i // count for i in range(count)] + [-1]
    return [File(file.path, file.name, file.size, a, b, file.version) for a, b in itertools.pairwise(bounds)]


def open_file(file: File) -> BinaryIO:
    """The file's bytes as they lie. StorageError if it cannot be opened."""
    try:
        if file.path.startswith(_LOCAL):  # not by fsspec, which takes a "::" in a name for two addresses
            return open(file.path.removeprefix(_LOCAL), "rb")
        return cast(BinaryIO, fsspec.open(file.path, "rb", **web_options(file.path)).open())
    except FileNotFoundError as problem:
        raise StorageError(f"{file.path} is gone; it was there when the run began") from problem
    except OSError as problem:
        raise StorageError(f"cannot read {file.path}: {problem.strerror or problem}") from problem


def is_packed(raw: BinaryIO) -> bool:
    """Whether a seekable stream begins like packed data; leaves it at its beginning."""
    magic = raw.read(6)
    raw.seek(0)
    return magic.startswith((GZIP, ZSTD)) or magic == XZ or (magic.startswith(BZIP2) and magic[3:4].isdigit())


def opened(file: File, ratio: float) -> BinaryIO:
    """The file's bytes, unpacked where they begin like gzip, zstd, bzip2 or xz; reading raises one of BROKEN."""
    return unpacked(open_file(file), ratio)


def unpacked(raw: BinaryIO, ratio: float, *, dictionary: bytes = b"") -> BinaryIO:
    """A seekable stream's bytes, unpacked as its first bytes say. Closing the result closes `raw`."""
    magic = raw.read(6)
    raw.seek(0)
    inner: Unpacking
    if magic.startswith(GZIP):
        inner = gzip.GzipFile(fileobj=raw)
    elif magic.startswith(ZSTD) or dictionary:
        inner = ZstdStream(raw, dictionary)
    elif magic.startswith(BZIP2) and magic[3:4].isdigit():
        inner = _Streams(raw, bz2.BZ2Decompressor)
    elif magic == XZ:
        inner = _Streams(raw, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY))
    else:
        return raw
    return io.BufferedReader(_Counted(inner, raw, ratio), 1 << 18)


def utf16_of(head: bytes) -> str:
    """The charset of a text in UTF-16 by its mark, or by the zero bytes beside its first two ASCII characters; else ""."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") and head[:4] != b"\xff\xfe\x00\x00":
        return "utf-16"
    if len(head) >= 4 and head[1] == head[3] == 0 and head[0] and head[2]:
        return "utf-16-le"
    return "utf-16-be" if len(head) >= 4 and head[0] == head[2] == 0 and head[1] and head[3] else ""


class AsUtf8:
    """A stream of UTF-16 as UTF-8, without its mark; what is no character is U+FFFD."""

    def __init__(self, stream: Readable, charset: str, head: bytes = b"") -> None:
        self._stream, self._head = stream, head
        self._decode = codecs.getincrementaldecoder(charset)("replace").decode
        self._out, self._ended = b"", False

    def read(self, size: int = -1) -> bytes:
        while not self._out and not self._ended:
            data, self._head = self._head or read_some(self._stream, _PIECE), b""
            self._ended = not data
            self._out = self._decode(data, self._ended).removeprefix("\ufeff").encode("utf-8", "replace")
        size = size if size >= 0 else len(self._out)
        found, self._out = self._out[:size], self._out[size:]
        return found


def read_some(stream: Readable, size: int) -> bytes:
    """Up to `size` bytes, b"" at the end. Unlike `read`, it never loses what stands before damage that it meets."""
    some = getattr(stream, "read1", stream.read)  # files of object stores have no read1, and no damage of their own
    return bytes(some(size))


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes: ...


class Unpacking(Protocol):
    """A stream that unpacks: `read1` gives what stands before damage before it tells the damage."""

    def read1(self, size: int, /) -> bytes: ...


class ZstdStream:
    """The content of zstd frames one after the other. Unlike the library's reader it tells an end inside a frame.

    The library cannot bound what one piece unpacks to, so pieces are small: 2 kB give at most 64 MB.
    """

    def __init__(self, raw: BinaryIO, dictionary: bytes = b"") -> None:
        known = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        self._raw, self._unpacker = raw, zstandard.ZstdDecompressor(dict_data=known, max_window_size=_ZSTD_WINDOW)
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input, self._output, self._place = b"", b"", 0

    def read1(self, size: int) -> bytes:
        while self._place >= len(self._output):
            self._input = self._input or self._raw.read(_ZSTD_PIECE)
            if not self._input:
                if self._frame is not None:
                    raise EOFError("the file ends inside a zstd frame")
                return b""
            if self._frame is None:
                self._frame = self._unpacker.decompressobj()
            self._output, self._place = self._frame.decompress(self._input), 0
            self._input = b""
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        piece = self._output[self._place : self._place + size]
        self._place += len(piece)
        return piece


class _Streams:
    """The content of xz or bzip2 streams one after the other, with the padding that may stand between them, in bounded memory.
    What stands behind a stream and is none is told; bz2's own reader takes it for the end."""

    def __init__(self, raw: BinaryIO, new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> None:
        self._raw, self._new, self._unpacker, self._input, self._first = raw, new, new(), b"", True

    def read1(self, size: int) -> bytes:
        while True:
            if self._unpacker.eof:
                self._input, self._unpacker, self._first = self._unpacker.unused_data, self._new(), True
            if self._first:
                self._input = self._input.lstrip(b"\x00")
            data = self._input or (self._raw.read(_PIECE) if self._unpacker.needs_input else b"")
            if not data and self._unpacker.needs_input:
                if not self._first:
                    raise EOFError("the file ends inside a packed stream")
                return b""
            self._input = b""
            if self._first and not (data := data.lstrip(b"\x00")):
                continue
            self._first = False
            if piece := self._unpacker.decompress(data, size):
                return piece


class Yield:
    """How much a packed file gave, and of how many of its bytes: what `ratio` limits."""

    def __init__(self, ratio: float) -> None:
        self._ratio, self._given, self._taken = ratio, 0, 0

    def take(self, packed: int, size: int) -> None:
        """Count bytes of the file as read, of `size` at most: a file may name the same ones again and again."""
        self._taken = min(self._taken + packed, size)

    def give(self, unpacked: int) -> None:
        """Count bytes as given."""
        self._given += unpacked

    def is_bomb(self, more: int = 0) -> bool:
        """Whether what was given, with `more`, is beyond the first 16 MB and beyond the ratio."""
        return self._given + more > max(_FREE, self._ratio * self._taken)

    def check(self, more: int = 0) -> None:
        """BombError if it is."""
        if self.is_bomb(more):
            raise BombError(self._ratio)


class _Counted(io.RawIOBase):
    """An unpacking stream that stops once it gave more than `ratio` times what it took."""

    def __init__(self, inner: Unpacking, raw: BinaryIO, ratio: float) -> None:
        self._inner, self._raw, self._ratio = inner, raw, ratio
        self._given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, target: WriteableBuffer) -> int:
        view = memoryview(target).cast("B")
        if self._given > _FREE and self._given > self._ratio * self._raw.tell():
            raise BombError(self._ratio)
        # read1: what comes before damage is given before the damage is told
        data = self._inner.read1(min(len(view), _PIECE))
        view[: len(data)] = data
        self._given += len(data)
        return len(data)

    def tell(self) -> int:
        """Bytes given so far; fastwarc asks once, and cannot bear a stream that does not know."""
        return self._given

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()
