"""Megatron's indexed format of token shards: writing and reading `<name>.bin` and `<name>.idx`.

`.bin` holds the ids of all sequences one after the other, little endian. `.idx` holds: the magic `MMIDIDX\\0\\0`, version 1
(uint64), the code of the id type (uint8: 8 = uint16, 4 = int32), the number of sequences (uint64) and of document bounds
(uint64), the length of each sequence (int32), the byte offset of each in `.bin` (int64) and the document bounds as
indices of sequences (int64). One document is one sequence here. Megatron-LM and its relatives read these files as they are.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.store import FileRecord, Store

MAGIC = b"MMIDIDX\x00\x00"
Ids: TypeAlias = npt.NDArray[np.uint16 | np.int32]
_HEADER = struct.Struct("<9sQBQQ")
_CODES: dict[int, type[np.uint16] | type[np.int32]] = {8: np.uint16, 4: np.int32}
LONGEST = 2**31 - 1
"""Tokens of the longest sequence: the format's lengths are int32."""
_LARGEST_UINT16 = 65_500
"""Megatron uses uint16 below this vocabulary size."""


def dtype_for(vocab_size: int) -> np.dtype[np.uint16 | np.int32]:
    """The id type of the format: uint16 if every id fits, else int32."""
    if vocab_size < _LARGEST_UINT16:
        return np.dtype("<u2")
    return np.dtype("<i4")


@dataclass(frozen=True)
class Indexed:
    """A token shard, mapped into memory: what is not looked at is not read, whatever the size of the shard.

    `tokens`: uint16 or int32 [total]; `sizes`: int32[sequences], in tokens; `starts`: int64[sequences], in bytes; all read-only,
    the last two not aligned (the format's header has 34 bytes), so `take` and `searchsorted` would copy them whole.
    """

    tokens: Ids
    sizes: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]
    mapped: mmap.mmap | None

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, sequence: int) -> Ids:
        """Ids of a sequence (a view)."""
        start = int(self.starts[sequence]) // self.tokens.itemsize
        return self.tokens[start : start + int(self.sizes[sequence])]

    def sequence_at(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Which sequence each place of `tokens` lies in, int64 like `places`. By halves, which reads few pages of the index."""
        low, high = np.zeros_like(places), np.full_like(places, len(self))
        wanted = places * self.tokens.itemsize
        while (high - low > 1).any():
            middle = (low + high) // 2
            before = self.starts[middle] <= wanted
            low, high = np.where(before, middle, low), np.where(before, high, middle)
        return low

    def read_at_random(self) -> None:
        """Tell the system that windows are read here and there: it then reads no more than they hold."""
        if self.mapped is not None and hasattr(mmap, "MADV_RANDOM"):
            self.mapped.madvise(mmap.MADV_RANDOM)

    def fetch(self, start: int, stop: int) -> None:
        """Ask the system to read tokens start … stop - 1, and return at once."""
        if self.mapped is not None and hasattr(mmap, "MADV_WILLNEED"):
            first = start * self.tokens.itemsize // mmap.PAGESIZE * mmap.PAGESIZE
            self.mapped.madvise(mmap.MADV_WILLNEED, first, min(stop * self.tokens.itemsize, len(self.mapped)) - first)


def write_index(store: Store, name: str, sizes: npt.NDArray[np.int64], dtype: np.dtype[np.uint16 | np.int32]) -> FileRecord:
    """Write `<name>.idx` for a `.bin` whose sequences have these lengths in tokens.

    DataError if one is longer than the format can say; the byte offsets have 64 bits, so a shard may be of any size.
    """
    sizes = np.asarray(sizes, np.int64)  # 32 bits would not hold the offsets
    longest = int(sizes.max(initial=0))
    if longest > LONGEST:
        raise DataError(
            f"{store.url(name)}: sequence {int(sizes.argmax()):,} has {longest:,} tokens, and Megatron's index holds at most "
            f"{LONGEST:,} for one sequence; split this document"
        )
    code = next(c for c, kind in _CODES.items() if np.dtype(kind) == dtype.newbyteorder("="))
    pointers = np.zeros(len(sizes), np.int64)
    np.cumsum(sizes[:-1] * dtype.itemsize, out=pointers[1:])
    with store.writing(f"{name}.idx") as file:
        file.write(_HEADER.pack(MAGIC, 1, code, len(sizes), len(sizes) + 1))
        file.write(sizes.astype("<i4"))
        file.write(pointers.astype("<i8"))
        file.write(np.arange(len(sizes) + 1, dtype="<i8"))
    return file.record(f"{name}.idx")


def open_indexed(store: Store, name: str) -> Indexed:
    """Open `<name>.bin/.idx`. IntegrityError if they are not this format or do not fit together."""
    with store.reading(f"{name}.idx") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or header[:9] != MAGIC:
        raise IntegrityError(f"{store.url(name)}.idx is not an index of token sequences; pack the tokens again")
    _, version, code, sequences, bounds = _HEADER.unpack(header)
    index, _ = _map(store, f"{name}.idx")
    if version != 1 or code not in _CODES or len(index) != _HEADER.size + 12 * sequences + 8 * bounds:
        raise IntegrityError(f"{store.url(name)}.idx is damaged or of another version; pack the tokens again")
    sizes = index[_HEADER.size :][: 4 * sequences].view("<i4")
    starts = index[_HEADER.size + 4 * sequences :][: 8 * sequences].view("<i8")
    path, dtype = store.path(f"{name}.bin"), np.dtype(_CODES[code]).newbyteorder("<")
    size = path.stat().st_size if path.exists() else -1
    expected = int(starts[-1]) + int(sizes[-1]) * dtype.itemsize if sequences else 0
    if size != expected:
        raise IntegrityError(f"{path} has {size:,} bytes, its index says {expected:,}; pack the tokens again")
    data, mapped = _map(store, f"{name}.bin")
    return Indexed(data.view(dtype), sizes, starts, mapped)


def _map(store: Store, name: str) -> tuple[npt.NDArray[np.uint8], mmap.mmap | None]:
    """The bytes of a file, mapped read-only: a plain array, since slicing a np.memmap costs more than copying a sample's tokens."""
    with store.reading(name) as file:
        if not store.path(name).stat().st_size:
            return np.zeros(0, np.uint8), None
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint8), mapped
