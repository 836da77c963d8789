"""A contender in a process of its own: it takes orders and gives answers, each one line of JSON.

The process runs a script of the bench by its path, so that an interpreter without skyloom (`--peers`) can run it too. Its first
answer is {"version": text} or {"not_installed": module}; it ends when its input ends. `-P` keeps the script's folder off
`sys.path`, because a file there may have the name of a standard module (`code.py`).
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.answers import NotMeasuredError

ENDING_SECONDS = 60


class Worker:
    """The process of `python -P script name`. `missing` names what is not installed ("": nothing), `version` says what is."""

    def __init__(self, script: Path, name: str, python: str, environment: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.command = [python, "-P", str(script), name]
        pipe, env = subprocess.PIPE, {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=env)
        first = self.answer()
        self.missing: str = first.get("not_installed", "")
        self.version: str = first.get("version", "")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.process.communicate(timeout=ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()

    def tell(self, order: Any) -> None:
        """Give an order that is not answered."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """The next answer. NotMeasuredError if the process has ended."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise NotMeasuredError(f"the process of {self.name} ended; run `{shlex.join(self.command)}` to see why")
        return dict(json.loads(line))

    def ask(self, order: Any) -> dict[str, Any]:
        """Give an order and wait for its answer."""
        self.tell(order)
        return self.answer()
