"""Token shards in Megatron's indexed format: sequences of ids in, `<name>.bin` and `<name>.idx` out, and back.

`.bin` holds the ids of all sequences one after the other, little endian. `.idx` holds: the magic `MMIDIDX\\0\\0`, version 1
(uint64), the code of the id type (uint8: 8 = uint16, 4 = int32), the number of sequences (uint64) and of document bounds
(uint64), the length of each sequence (int32), the byte offset of each in `.bin` (int64) and the document bounds as
indices of sequences (int64). One document is one sequence here. Megatron-LM and its relatives read these files as they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skyloom.core.errors import IntegrityError
from skyloom.core.store import FileRecord, Store

MAGIC = b"MMIDIDX\x00\x00"
_HEADER = struct.Struct("<9sQBQQ")
_CODES: dict[int, type[Any]] = {8: np.uint16, 4: np.int32}
_LARGEST_UINT16 = 65_500
"""Megatron uses uint16 below this vocabulary size."""


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    """The id type of the format: uint16 if every id fits, else int32."""
    return np.dtype("<u2" if vocab_size < _LARGEST_UINT16 else "<i4")


@dataclass(frozen=True)
class Indexed:
    """A token shard. `tokens`: memory map, uint16 or int32 [total]; `offsets`: int64[sequences + 1], in tokens."""

    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, sequence: int) -> npt.NDArray[Any]:
        """Ids of a sequence (a view)."""
        return self.tokens[self.offsets[sequence] : self.offsets[sequence + 1]]


def write_index(store: Store, name: str, sizes: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> FileRecord:
    """Write `<name>.idx` for a `.bin` whose sequences have these lengths in tokens."""
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
    data = store.read_bytes(f"{name}.idx")
    if len(data) < _HEADER.size or data[:9] != MAGIC:
        raise IntegrityError(f"{store.url(name)}.idx is not an index of token sequences; pack the tokens again")
    _, version, code, sequences, bounds = _HEADER.unpack_from(data)
    if version != 1 or code not in _CODES or len(data) != _HEADER.size + 12 * sequences + 8 * bounds:
        raise IntegrityError(f"{store.url(name)}.idx is damaged or of another version; pack the tokens again")
    sizes = np.frombuffer(data, "<i4", sequences, _HEADER.size)
    offsets = np.zeros(sequences + 1, np.int64)
    np.cumsum(sizes, out=offsets[1:])
    path, dtype = store.path(f"{name}.bin"), np.dtype(_CODES[code]).newbyteorder("<")
    size = path.stat().st_size if path.exists() else -1
    if size != offsets[-1] * dtype.itemsize:
        raise IntegrityError(f"{path} has {size:,} bytes, its index says {offsets[-1] * dtype.itemsize:,}; pack the tokens again")
    # A plain view of the map: slicing a np.memmap costs more than copying a sample's tokens.
    tokens = np.memmap(path, dtype, "r").view(np.ndarray) if size else np.zeros(0, dtype)
    return Indexed(tokens, offsets)
