"""Tasks of an engine and what they leave: `Task[P]` carries a typed payload, `Done[R]` brings back files and a typed result.

Input: payloads are frozen dataclasses or plain values that can be pickled. Output: a result is plain JSON (numbers, texts, lists,
TypedDicts) or a frozen dataclass, which stands in the receipts as a JSON object of its fields (see `Engine.map`).
They have a file of their own so that the journal of receipts and every engine can import them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from skyloom.core.store import FileRecord, Store

P = TypeVar("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Done(Generic[R]):
    """What a task leaves: the files it wrote and a result (counts, ledgers; small, the engine keeps them all) or None."""

    files: tuple[FileRecord, ...]
    result: R


@dataclass(frozen=True)
class Task(Generic[P]):
    """One unit of work: `key` names it in the output folder (`part-00003`), `payload` is what the function needs."""

    key: str
    payload: P


TaskFunction = Callable[[Task[P], Store], Done[R]]
