"""`skyloom doctor`: what this machine has, what is missing, and how to fix it.

Nothing is changed and nothing is fetched. A finding is `ok`, `missing` (a part of the run cannot work) or `note` (it
runs, but slower or with less).
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class MachineFinding:
    """`state` is "ok", "note" or "missing"; `mend` says what to do about the last two."""

    name: str
    state: str
    found: str
    mend: str = ""


def examine(work: Path) -> list[MachineFinding]:
    """All findings for a run whose work folder would be `work`."""
    return [_python(), _cores(), _memory(), _disk(work), _writable(work), _torch(), _compiler(), _apt(), _browser()]


def _python() -> MachineFinding:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return MachineFinding("Python", "ok" if good else "missing", version, "" if good else "install Python 3.11 or newer")


def usable_cores() -> int:
    """Cores that this process may use: what the scheduler grants, not what the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cores() -> MachineFinding:
    count = usable_cores()
    return MachineFinding(
        "cores", "ok" if count > 1 else "note", str(count), "" if count > 1 else "the demo takes about twice as long on one core"
    )


def _memory() -> MachineFinding:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    good = total >= 4
    return MachineFinding(
        "memory", "ok" if good else "note", f"{total:.1f} GiB", "" if good else "the demo wants about 3 GiB; close other programs"
    )


def _disk(work: Path) -> MachineFinding:
    place = next(p for p in [work.absolute(), *work.absolute().parents] if p.exists())
    free = shutil.disk_usage(place).free / 2**30
    good = free >= 2
    return MachineFinding(
        "disk",
        "ok" if good else "missing",
        f"{free:.1f} GiB free at {place}",
        "" if good else "the demo wants 2 GiB; give --work elsewhere",
    )


def _writable(work: Path) -> MachineFinding:
    place = next(p for p in [work.absolute(), *work.absolute().parents] if p.exists())
    good = os.access(place, os.W_OK)
    return MachineFinding(
        "work folder", "ok" if good else "missing", str(work), "" if good else f"{place} is not writable; give --work elsewhere"
    )


def _torch() -> MachineFinding:
    if importlib.util.find_spec("torch") is None:
        return MachineFinding("torch", "missing", "not installed", "python -m pip install . -c constraints.txt")
    import torch

    card = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return MachineFinding("torch", "ok", f"{torch.__version__}, {card}")


def _compiler() -> MachineFinding:
    found = next((c for c in (os.environ.get("CXX", ""), "g++", "clang++") if c and shutil.which(c)), None)
    slow = "training runs uncompiled, about half as fast"
    if not found:
        return MachineFinding("C++ compiler", "note", "none", f"{slow}; install g++ (Debian: apt install g++)")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        mend = f"{slow}; install Python's headers (Debian: apt install python3-dev)"
        return MachineFinding("C++ compiler", "note", f"{found}, without Python.h", mend)
    return MachineFinding("C++ compiler", "ok", found)


def _apt() -> MachineFinding:
    good = all(shutil.which(c) for c in ("apt-get", "apt-cache", "dpkg-deb"))
    mend = "the demo uses its own sample pages instead of documentation packages; or give --source PATH"
    return MachineFinding("apt", "ok" if good else "note", "apt-get" if good else "none", "" if good else mend)


def _browser() -> MachineFinding:
    found = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
    mend = "only the browser test of the run page needs it (Debian: apt install chromium)"
    return MachineFinding("browser", "ok" if found else "note", found or "none", "" if found else mend)
