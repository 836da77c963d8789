"""Skyloom: an open laboratory for bilingual (English, Chinese) foundation models."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

__version__ = "0.1.0"

_KEPT = 4  # caches of so many states of the sources; a process may still run on the last one


def _kernel_cache() -> Path | None:
    """Where compiled kernels are kept: a folder named after the sources of all kernels and of the modules that they import.

    numba looks only at the file of the function that it loads, not at those that it calls, so that an edit of an inner kernel would
    leave outer ones compiled with the old one. Under another name nothing old is found. None if no folder can be written.
    """
    root = Path(__file__).parent
    sources = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*.py"))}
    kernels = {name for name, data in sources.items() if b"jit" in data or b"numba" in data}
    imported = {
        f"{match.decode().replace('.', '/')}.py"
        for name in kernels
        for match in re.findall(rb"^from skyloom\.([\w.]+) import", sources[name], re.MULTILINE)
    }
    digest = hashlib.blake2b(digest_size=8)
    for name in sorted((kernels | imported) & sources.keys()):
        digest.update(name.encode() + b"\0" + sources[name] + b"\0")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "skyloom")
    for place in (root / "__pycache__", home):
        folder = place / f"kernels-{digest.hexdigest()}"
        try:
            if not folder.is_dir():
                folder.mkdir(parents=True)
                for old in sorted(place.glob("kernels-*"), key=os.path.getmtime)[:-_KEPT]:
                    shutil.rmtree(old, ignore_errors=True)
            if os.access(folder, os.W_OK):
                return folder
        except OSError:
            continue
    return None


if "NUMBA_CACHE_DIR" not in os.environ and (_folder := _kernel_cache()) is not None:
    os.environ["NUMBA_CACHE_DIR"] = str(_folder)  # before numba is imported; worker processes inherit it
