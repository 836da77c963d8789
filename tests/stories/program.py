"""Runs the program as a user does: a subprocess in a temporary folder, with its output and its work folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TINY = ROOT / "recipes" / "tiny.toml"


def skyloom(*arguments: str | Path, timeout: float = 600) -> subprocess.CompletedProcess[str]:
    """Run `skyloom ARGUMENTS` to its end. Output and errors are text; the exit code is the caller's to judge."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=timeout, check=False, env=environment())


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start `skyloom ARGUMENTS` in a process group of its own."""
    return subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )


def command(*arguments: str | Path) -> list[str]:
    """The small recipe trains in fp32 on a processor that would emulate bf16, at a hundredth of the speed."""
    precision = ["--set", "train.precision=fp32"] if TINY in arguments and not _has_bf16() else []
    return [sys.executable, "-m", "skyloom.cli", *map(str, arguments), *precision]


def _has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; where the kernel does not say, it is taken to."""
    facts = Path("/proc/cpuinfo")
    flags = facts.read_text() if facts.exists() else "avx512_bf16"
    return "avx512_bf16" in flags or "bf16" in flags.split()


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}


def contents(work: Path) -> dict[str, str]:
    """Content hash of each finished step of a work folder, by the step's folder; timings are no part of it."""
    return {p.parent.name: json.loads(p.read_text())["content"] for p in sorted(work.glob("*/_step.json"))}


def step_folder(work: Path, name: str) -> Path:
    """The one folder of a step in a work folder."""
    (folder,) = [p for p in work.glob(f"{name}-*") if p.is_dir()]
    return folder


def read(path: Path) -> Any:
    return json.loads(path.read_text())
