"""The toolbox of compiled kernels (numba): the decorators, UTF-8 decoding, hash finalizers, and the folder of compiled code.

This is the only module that imports numba. A kernel is a function over NumPy arrays that numba compiles on its first call and keeps
on disk; it works on the bytes of whole Arrow columns, because loops over characters reach 1 MB/s in Python and hundreds compiled.

Written hashes identify finished steps, so the functions here must not change. Some modules hash in a way of their own, on purpose;
they say so where they do it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba import carray  # type: ignore[attr-defined]
from numba.core import types
from numba.core.codegen import get_host_cpu_features
from numba.extending import intrinsic

__all__ = [
    "FNV_PRIME", "FNV_START", "GOLDEN", "Bool", "Bools", "Bytes", "Floats", "Floats32", "Hashes", "Int", "Ints", "Ints32", "cache",
    "carray", "decode", "entry", "find_byte", "fnv", "fnv_point", "inlined", "inner", "intrinsic", "kernel", "mix", "mix_column",
    "read_only", "types",
]  # fmt: skip

Function = TypeVar("Function", bound=Callable[..., object])
Scalar = TypeVar("Scalar", bound=np.generic)

Int = int | np.int64
"""A whole number in compiled code: from Python an `int`, from an array a NumPy scalar."""
Bool = bool | np.bool_
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Ints32 = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

FNV_START, FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""FNV-1a: the first state, and the factor of each step."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: an odd factor that spreads small numbers over 64 bits."""
_BARE: dict[str, bool | str] = {"cache": True, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
_KEPT = 4  # caches of so many states of the sources; a process may still run with the last one
_ROOT = Path(__file__).parent.parent
_SHIPPED = _ROOT / "compiled"
SHIPPED_CPU = "x86-64-v3"
"""The processor that kernels in a wheel are compiled for: those with AVX2, FMA and BMI2 (x86-64-v3 of the System V ABI)."""
SHIPPED_NEEDS = ("avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")


@functools.cache
def cache() -> Path | None:
    """The folder of the compiled kernels: NUMBA_CACHE_DIR where the user has set it, else one named after the kernels' sources.

    numba compares only the file of the function that it loads, not the files of functions that it calls or of constants that it
    uses. So the folder's name is a digest of every module that imports this one and of all modules that those import; after an edit
    nothing old is found. None if no folder can be written: then kernels are compiled anew in each process.
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return Path(chosen)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "skyloom")
    digest = _digest(_ROOT)
    for place in (_ROOT / "__pycache__", home):
        folder = place / f"kernels-{digest}"
        try:
            if not folder.is_dir():
                _make(folder)
                for old in sorted(place.glob("kernels-*"), key=os.path.getmtime)[:-_KEPT]:
                    shutil.rmtree(old, ignore_errors=True)
            if os.access(folder, os.W_OK):
                return folder
        except OSError:
            continue
    return None


def _make(folder: Path) -> None:
    """Make the folder, with the compiled kernels that came with the package in it. Of two processes at once one wins."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    shipped = _shipped()
    if shipped is None:
        folder.mkdir(exist_ok=True)
        return
    with tempfile.TemporaryDirectory(dir=folder.parent) as held:
        copied = shutil.copytree(shipped, Path(held, folder.name))
        with contextlib.suppress(OSError):  # it is there, because another process was faster
            copied.rename(folder)


@functools.cache
def _digest(root: Path) -> str:
    """A digest of the sources of all modules below `root` that import this module, and of what they import, directly or not."""
    sources = {".".join(path.relative_to(root).with_suffix("").parts): path.read_bytes() for path in sorted(root.rglob("*.py"))}
    found = re.compile(rb"^\s*from skyloom(?:\.([\w.]+))? import (\([^)]*\)|[^\n]*)", re.MULTILINE)
    imported: dict[str, set[str]] = {}
    for name, source in sources.items():
        imported[name] = set()
        for match in found.finditer(source):
            package = (match[1] or b"").decode()
            inside = {f"{package}.{part}".removeprefix(".") for part in re.findall(r"\w+", match[2].decode())}
            imported[name] |= {
                m for other in {package, *inside} for m in (other, f"{other}.__init__".removeprefix(".")) if m in sources
            }
    reached: set[str] = set()
    waiting = {name for name, others in imported.items() if "core.kernels" in others}
    while waiting:
        reached |= waiting
        waiting = {other for name in waiting for other in imported[name]} - reached
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted(reached):
        digest.update(name.encode() + b"\0" + sources[name] + b"\0")
    return digest.hexdigest()


def _shipped() -> Path | None:
    """The folder of compiled kernels that a wheel for one platform brings, if it was made from these sources for such a machine."""
    told = _SHIPPED / "target.json"
    if not told.is_file():
        return None
    target = json.loads(told.read_text("utf-8"))
    fits = target["digest"] == _digest(_ROOT) and target["python"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    fits = fits and target["numba"] == numba.__version__ and target["machine"] == platform.machine()
    return _SHIPPED / "kernels" if fits and _features().issuperset(target["needs"]) else None


@functools.cache
def _features() -> frozenset[str]:
    """What this processor can do, in LLVM's names: `avx2`, `fma`."""
    told = str(get_host_cpu_features())  # type: ignore[no-untyped-call]
    return frozenset(one[1:] for one in told.split(",") if one.startswith("+"))


class KernelLocator:
    """Where numba keeps what it compiles of this package: below `cache()`, by module, so that the folder may be copied.

    numba's own locators name folders after the place of the sources and compare the time of the file; here the digest of all
    sources is compared instead.
    """

    def __init__(self, module: str, line: int) -> None:
        self.module, self.line = module, line

    @classmethod
    def from_function(cls, function: Callable[..., object], file: str) -> KernelLocator | None:
        """The locator of a function of this package; None for all others, which numba's own locators take."""
        path = Path(file)
        if cache() is None or not path.is_relative_to(_ROOT):
            return None
        return cls(".".join(path.relative_to(_ROOT).with_suffix("").parts), function.__code__.co_firstlineno)

    def ensure_cache_path(self) -> None:
        Path(self.get_cache_path()).mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        return str(Path(cache() or "", self.module))

    def get_source_stamp(self) -> str:
        return _digest(_ROOT)

    def get_disambiguator(self) -> str:
        return str(self.line)


_LOCATORS = ("UserProvidedCacheLocator", "InTreeCacheLocator", "UserWideCacheLocator", "IPythonCacheLocator", "ZipCacheLocator")
if cache() is not None:
    own = f"{__name__}.{KernelLocator.__name__}"
    numba.config.CACHE_LOCATOR_CLASSES = ",".join((own, *_LOCATORS))  # type: ignore[attr-defined]
if _shipped() is not None and not os.environ.get("NUMBA_CPU_NAME"):
    # What a wheel brings is found only by a program that compiles for the same processor as it was compiled for.
    numba.config.CPU_NAME, numba.config.CPU_FEATURES = SHIPPED_CPU, ""  # type: ignore[attr-defined]


def _compiled(function: Function, **options: bool | str) -> Function:
    """What numba makes of a function. For its callers, and for their types, it is the same function."""
    return numba.njit(**options)(function)  # type: ignore[call-overload,no-any-return]


def kernel(function: Function) -> Function:
    """Compile a function; others may call it from Python and from kernels. It holds no interpreter lock and checks no bounds."""
    return _compiled(function, cache=True, nogil=True, boundscheck=False)


def inlined(function: Function) -> Function:
    """Compile a function into each kernel that calls it: for a few instructions in an inner loop."""
    return _compiled(function, cache=True, nogil=True, boundscheck=False, inline="always")


def inner(function: Function) -> Function:
    """Compile a function for kernels only: it cannot be called from Python and cannot make arrays.

    Division by zero gives inf or nan. In return it compiles in a third of the time and runs five times faster where many arrays are
    handed on, because nobody counts references to them. NUMBA_BOUNDSCHECK=1 checks all bounds.
    """
    return _compiled(function, **_BARE, no_cpython_wrapper=True, _nrt=False)


def entry(function: Function) -> Function:
    """Compile a function that Python calls and that calls `inner` ones, with the same rule for division."""
    return _compiled(function, **_BARE)


_memchr: Any = types.ExternalFunction("memchr", types.uintp(types.uintp, types.int32, types.uintp))


@inner
def find_byte(data: Bytes, i: Int, stop: Int, byte: Int) -> Int:
    """The place of the first such byte in data[i:stop], or `stop`; i may not be beyond `stop`.

    The C library's `memchr` looks at many bytes at once: over the text and the scripts of pages it is four times as fast as a loop.
    """
    start = np.uintp(data.ctypes.data)
    found = _memchr(start + np.uintp(i), np.int32(byte), np.uintp(stop - i))
    return np.int64(found - start) if found else np.int64(stop)


@kernel
def decode(data: Bytes, i: Int) -> tuple[Int, Int]:
    """Code point at byte i of valid UTF-8, and its length in bytes."""
    b = data[i]
    if b < 0x80:
        return np.int64(b), 1
    if b < 0xE0:
        return (np.int64(b & 0x1F) << 6) | np.int64(data[i + 1] & 0x3F), 2
    if b < 0xF0:
        high = (np.int64(b & 0x0F) << 12) | (np.int64(data[i + 1] & 0x3F) << 6)
        return high | np.int64(data[i + 2] & 0x3F), 3
    high = (np.int64(b & 0x07) << 18) | (np.int64(data[i + 1] & 0x3F) << 12)
    return high | (np.int64(data[i + 2] & 0x3F) << 6) | np.int64(data[i + 3] & 0x3F), 4


@inlined
def mix(value: np.uint64) -> np.uint64:
    """The finalizer of SplitMix64: spreads a 64-bit value over all bits."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


def mix_column(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """`mix` of each value, uint64[values], in NumPy."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def read_only(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """A view that cannot be written to. Arrow's buffers can be or not; with one type for both a kernel is compiled once."""
    view = array.view()
    view.flags.writeable = False
    return view


@kernel
def fnv(state: np.uint64, byte: Int | np.uint8 | np.uint32) -> np.uint64:
    """FNV-1a, one byte (or one code point) further."""
    return (state ^ np.uint64(byte)) * FNV_PRIME


@kernel
def fnv_point(state: np.uint64, point: Int) -> np.uint64:
    """FNV-1a over the UTF-8 bytes of a code point."""
    if point < 0x80:
        return fnv(state, point)
    if point < 0x800:
        return fnv(fnv(state, 0xC0 | (point >> 6)), 0x80 | (point & 0x3F))
    if point < 0x10000:
        state = fnv(state, 0xE0 | (point >> 12))
    else:
        state = fnv(fnv(state, 0xF0 | (point >> 18)), 0x80 | ((point >> 12) & 0x3F))
    return fnv(fnv(state, 0x80 | ((point >> 6) & 0x3F)), 0x80 | (point & 0x3F))
