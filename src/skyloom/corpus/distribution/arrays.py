"""Storage of dataclasses of arrays as npz files, without pickle: sketches, counts and vector spaces.

Input: one of the dataclasses of distribution filtering, all of whose fields are numpy arrays or integers. Output: an npz file
whose bytes depend on the values only, and the same dataclass back. Steps that count shards on many machines hand their parts on
in these files. Memory: the arrays once more while they are packed.
"""

from __future__ import annotations

import dataclasses
import io
import zipfile
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from skyloom.core.errors import DataError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def pack(value: DataclassInstance) -> bytes:
    """The npz of a dataclass' fields."""
    fields = dataclasses.fields(value)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {f.name: np.asarray(getattr(value, f.name)) for f in fields}
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def unpack(kind: type[T], data: bytes, *, origin: str) -> T:
    """What `pack` packed, as a `kind`. DataError, which names `origin` (the file), if it is damaged or something else."""
    fields = dataclasses.fields(kind)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            found = {f.name: arrays[f.name] for f in fields}
    except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as problem:
        raise DataError(f"{origin}: not a saved {kind.__name__} ({problem}); remove it and run its step again") from problem
    return kind(**{name: array if array.ndim else int(array) for name, array in found.items()})
