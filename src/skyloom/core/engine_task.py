"""What travels through an engine: a task goes out, a receipt of what it left comes back.

They have a file of their own so that the journal of receipts and every engine can import them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skyloom.core.store import FileRecord, Store


@dataclass(frozen=True)
class Done:
    """What a task leaves: the files it wrote and a JSON-able result (counts, ledgers; small, the engine keeps them all)."""

    files: tuple[FileRecord, ...] = ()
    result: Any = None


@dataclass(frozen=True)
class Task:
    """One unit of work: `key` names it in the output folder (`part-00003`), `payload` is what the function needs."""

    key: str
    payload: Any = None


TaskFunction = Callable[[Task, Store], Done]
