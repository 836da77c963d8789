"""Lookup tables over all Unicode code points, made once on a machine and cached.

Input: a function that makes a table from the character data of Python and Arrow, a million steps that take a tenth of a second.
Output: a function that reads its table from the folder of the compiled kernels, and makes it where it is not there. The
folder's name changes with the sources (core/kernels.py), the file's with the versions of the character data.
"""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import cache

S = TypeVar("S", bound=np.generic)


def made_once(make: Callable[[], npt.NDArray[S]]) -> Callable[[], npt.NDArray[S]]:
    """`make`, whose table is kept: in the process, and as a file where the folder of the kernels can be written."""

    @functools.cache
    def table() -> npt.NDArray[S]:
        folder = cache()
        if folder is None:
            return make()
        versions = (platform.python_version(), unicodedata.unidata_version, np.__version__, pa.__version__)
        path = Path(folder, f"{make.__module__}.{make.__qualname__}-{'-'.join(versions)}.npy")
        with contextlib.suppress(OSError, ValueError, EOFError):  # not there, or not whole: it is made again
            return np.asarray(np.load(path, allow_pickle=False))
        made = make()
        with contextlib.suppress(OSError):  # a folder that cannot be written costs time, nothing else
            part = path.with_suffix(f".{os.getpid()}.part")
            with open(part, "wb") as file:
                np.save(file, made, allow_pickle=False)
            part.replace(path)
        return made

    return table
