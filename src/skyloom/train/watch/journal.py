"""A file of JSON lines that agrees with the checkpoints: records enter, a whole file leaves at each checkpoint.

The lines are kept in memory and written as a whole file, so that no half line is ever seen. A checkpoint holds the
journal's seal (how many lines, and their SHA-256); a run that goes on from the checkpoint drops the lines behind it and
writes the same ones again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from skyloom.core.errors import IntegrityError
from skyloom.core.store import TELEMETRY, Store

METRICS, HELDOUT, SKIPS, SCORES = "metrics.jsonl", "heldout.jsonl", "skips.jsonl", "scores.jsonl"
SPEED = f"{TELEMETRY}speed.jsonl"
"""Rates; no part of a run's content."""


class Journal:
    """Lines of one file, in order."""

    def __init__(self, lines: list[str] | None = None) -> None:
        self._lines = lines or []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, record: Mapping[str, Any]) -> None:
        self._lines.append(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n")

    def lines(self) -> Sequence[str]:
        """As they stand in the file, each with its newline."""
        return self._lines

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines]

    def write(self, out: Store, name: str) -> None:
        out.write_text(name, "".join(self._lines))

    def seal(self) -> dict[str, Any]:
        return {"lines": len(self._lines), "sha256": hashlib.sha256("".join(self._lines).encode()).hexdigest()}

    @classmethod
    def restore(cls, out: Store, name: str, seal: Mapping[str, Any]) -> Journal:
        """The sealed lines of a file that may have more. IntegrityError if it has fewer or others."""
        try:
            text = out.read_text(name) if out.exists(name) else ""
        except UnicodeDecodeError as problem:
            raise IntegrityError(f"{out.url(name)} is not text any more: {problem}") from problem
        # At newlines only: `splitlines` also cuts at U+2028 and the like, which stand in a JSON string as they are.
        journal = cls([f"{line}\n" for line in text.split("\n")[:-1]][: seal["lines"]])
        if journal.seal() != dict(seal):
            raise IntegrityError(f"{out.url(name)} does not hold the lines that its checkpoint sealed")
        return journal
