"""Peak memory of a run and of all processes that it starts (sampled), and facts of the machine."""

from __future__ import annotations

import contextlib
import platform
import subprocess
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import psutil
from packaging.requirements import Requirement

from skyloom.core.json_files import InstalledPackage, MachineFacts
from skyloom.run.doctor import usable_cores

SAMPLE_SECONDS = 0.5


class PeakMemory:
    """`bytes`: the largest sum of resident sizes seen so far. Shared pages count once for each process that maps them."""

    def __init__(self) -> None:
        self.bytes = 0

    def look(self) -> None:
        me = psutil.Process()
        total = 0
        for process in [me, *me.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):  # a worker that has just ended
                total += process.memory_info().rss
        self.bytes = max(self.bytes, total)


@contextlib.contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Watch memory while the block runs."""
    peak, stop = PeakMemory(), threading.Event()

    def watch() -> None:
        while not stop.wait(SAMPLE_SECONDS):
            peak.look()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        peak.look()
        stop.set()
        thread.join()


def machine() -> MachineFacts:
    """What the run page says of the machine: processor architecture, cores, memory in bytes, system; no host name."""
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cores": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def commit() -> str:
    """The git commit of the program, with "-dirty" where files were changed since; "" if it does not lie in a git checkout."""
    place = Path(__file__).resolve().parent
    command = ["git", "-C", str(place), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        if subprocess.run(
            ["git", "-C", str(place), "ls-files", "--error-unmatch", __file__], capture_output=True, check=False
        ).returncode:
            return ""  # installed somewhere inside another repository
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def packages() -> list[InstalledPackage]:
    """All installed packages that the program needs, directly or through others, without those of its extras; by name."""
    found: dict[str, InstalledPackage] = {}
    waiting = ["skyloom"]
    while waiting:
        name = waiting.pop()
        try:
            one = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another platform or Python
            continue
        normal = one.metadata["Name"].lower().replace("_", "-")
        if normal in found:
            continue
        stated = one.metadata.get_all("License-Expression") or []
        found[normal] = {"name": one.metadata["Name"], "version": one.version, "license": stated[0] if stated else ""}
        for line in one.requires or []:
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
                waiting.append(wanted.name)
    return [found[name] for name in sorted(found)]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape the results."""
    names = ("skyloom", "torch", "numpy", "numba", "pyarrow", "sentencepiece", "tokenizers", "transformers", "selectolax", "jieba")
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in names}}
