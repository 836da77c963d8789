"""Receipts of a map, for resuming: which tasks are done, with the checksums of the files that each wrote.

Tasks that are done enter, batches of receipts leave as `receipts/<label>/<random>.jsonl`, a line for each task. One file for
each task would make 10^5 files of 10^5 tasks, two syncs each on a disk and one PUT each on an object store; a batch is
written when a second has passed since the last one or when it is full, so a killed run repeats at most what was done in its
last second. Small batches are merged now and then, which keeps the number of files near one in a thousand seconds' tasks.

Many processes may write to one journal (`--shard i/n`): every batch has a name of its own, a line may be there twice, and
what is read is the union. Receipts are no part of a step's content. Memory: one receipt per task, about a kilobyte.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, is_dataclass
from typing import Generic, TypeVar

from skyloom.core.config import build, plain
from skyloom.core.engine_task import Done
from skyloom.core.errors import ConfigError, StorageError
from skyloom.core.store import FileRecord, Store, recorded

RECEIPTS = "receipts"
_SECONDS = 1.0
_FULL = 1000  # receipts in a batch
_MERGE = 32  # batches of ours that become one
R = TypeVar("R")


@dataclass(frozen=True)
class Receipt(Generic[R]):
    """What a finished task left."""

    files: tuple[FileRecord, ...]
    result: R


def slug(label: str) -> str:
    """The name of a map's folder: its label in lower case, with dashes."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


class ReceiptJournal(Generic[R]):
    """Receipts of the map `label` that writes to `out`. `kind`: the class of results that are dataclasses."""

    def __init__(self, out: Store, label: str, kind: type[R] | None = None) -> None:
        self._kind = kind
        self._out = out
        self._folder = f"{RECEIPTS}/{slug(label)}"
        self._seen: set[str] = set()
        self._receipts: dict[str, Receipt[R]] = {}
        self._waiting: list[str] = []
        self._written: list[tuple[str, list[str]]] = []  # our small batches: name and lines
        self._last = time.monotonic()

    def read(self) -> None:
        """Take in the batches that were written since the last call, by whomever. Lines that are damaged do not count."""
        again = True
        while again:
            again = False
            for name in self._out.names(f"{self._folder}/"):
                if name in self._seen or not name.endswith(".jsonl"):
                    continue
                try:
                    lines = self._out.read_bytes(name).split(b"\n")
                except StorageError:
                    if self._out.exists(name):
                        raise
                    again = True  # its owner has just merged it into another, which we have not listed
                    continue
                self._seen.add(name)
                self._receipts.update(filter(None, (_parsed(line, self._kind) for line in lines)))

    def whole(self, keys: Iterable[str], *, full: bool, threads: int = 1) -> dict[str, R]:
        """Results of those tasks whose receipts are there and whose files are as recorded (see `Store.differing`)."""
        mine = {key: self._receipts[key] for key in keys if key in self._receipts}
        records = [record for receipt in mine.values() for record in receipt.files]
        bad = set(self._out.differing(records, full=full, threads=threads)) if records else set()
        return {key: r.result for key, r in mine.items() if not any(f.name in bad for f in r.files)}

    def add(self, key: str, done: Done[R]) -> None:
        """Note a finished task; `flush` or a later `tick` writes it down."""
        if is_dataclass(done.result) and not (self._kind and isinstance(done.result, self._kind)):
            raise TypeError(f"{self._folder}: results of {type(done.result).__name__} need a map that is told so (result=…)")
        line = {"task": key, "files": [asdict(f) for f in done.files], "result": plain(done.result)}
        self._waiting.append(json.dumps(line, ensure_ascii=False, sort_keys=True))
        self._receipts[key] = Receipt(done.files, done.result)

    def tick(self) -> None:
        """Write what waits if it is time."""
        if len(self._waiting) >= _FULL or (self._waiting and time.monotonic() - self._last >= _SECONDS):
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if not self._waiting:
            return
        self._written.append((self._write(self._waiting), self._waiting))
        self._waiting, self._last = [], time.monotonic()
        if len(self._written) >= _MERGE:
            self._write([line for _, lines in self._written for line in lines])
            for name, _ in self._written:  # only now: a kill in between leaves lines twice, never none
                self._out.remove(name)
            self._written = []

    def _write(self, lines: list[str]) -> str:
        name = f"{self._folder}/{uuid.uuid4().hex}.jsonl"
        self._seen.add(name)
        self._out.write_text(name, "\n".join(lines) + "\n")
        return name


def records(out: Store) -> dict[str, FileRecord]:
    """Every file that the receipts of a step name, with its checksum; files named twice with different ones are left out."""
    found: dict[str, FileRecord] = {}
    torn: set[str] = set()
    for name in out.names(f"{RECEIPTS}/"):
        for line in out.read_bytes(name).split(b"\n"):
            parsed = _files(line)
            for record in parsed[1] if parsed else ():
                if found.setdefault(record.name, record) != record:
                    torn.add(record.name)
    return {name: record for name, record in found.items() if name not in torn}


def _files(line: bytes) -> tuple[str, tuple[FileRecord, ...]] | None:
    """The task of a line and the files that it left; None if the line is damaged."""
    try:
        value = json.loads(line)
        return str(value["task"]), tuple(recorded(f) for f in value["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _parsed(line: bytes, kind: type[R] | None) -> tuple[str, Receipt[R]] | None:
    found = _files(line)
    if found is None:
        return None
    try:
        result = json.loads(line)["result"]
        return found[0], Receipt(found[1], build(kind, result, origin="receipts", key=found[0]) if kind else result)
    except (KeyError, ConfigError):
        return None
