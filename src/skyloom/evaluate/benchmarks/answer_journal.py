"""The journal of a benchmark evaluation: every answer of a model, appended as it comes, so that a killed evaluation goes on.

Input: answers by key; output: `answers.jsonl`, one JSON object a line. A key is a hash of the model's digest, its dtype and context
and of the tokens asked, so an answer is found again whatever the order of questions, and never taken for another model. Lines are
handed to the operating system every second of work and written to the disk (fsync) every half minute: a killed process loses at
most a second, a power cut half a minute. A last line that was cut is ignored, and cut away before the next is written.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from skyloom.core.errors import DataError, StorageError
from skyloom.core.json_lines import json_object

NAME = "answers.jsonl"
HAND_OVER_SECONDS, SYNC_SECONDS = 1.0, 30.0

Answer = dict[str, object]


class AnswerJournal:
    """Answers by key, on disk where there is a folder; see the module's docstring. Leaving the context writes the rest."""

    def __init__(self, folder: Path | None) -> None:
        """StorageError if the folder cannot be made or its journal cannot be read or written."""
        self.path = folder / NAME if folder is not None else None
        self._found: dict[str, Answer] = {}
        self._file: BinaryIO | None = None
        self._waiting: list[bytes] = []
        self._handed = self._synced = time.monotonic()
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._open(self.path)
            except OSError as problem:
                raise StorageError(f"cannot use {self.path}: {problem.strerror or problem}") from problem

    def _open(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        for number, line in enumerate(whole.split(b"\n")[:-1], 1):
            row = json_object(line)
            if isinstance(row, str) or not isinstance(row.get("key"), str):
                raise DataError(f"{path}, line {number}: not an answer; remove the file to begin anew")
            self._found[str(row.pop("key"))] = row
        self._file = open(path, "ab", buffering=0)
        if len(whole) < len(data):
            self._file.truncate(len(whole))

    def get(self, key: str) -> Answer | None:
        return self._found.get(key)

    def __len__(self) -> int:
        return len(self._found)

    def put(self, key: str, answer: Answer) -> None:
        """Keep an answer, unless it is known. StorageError if the disk is full."""
        if key in self._found:
            return
        self._found[key] = answer
        if self._file is None:
            return
        self._waiting.append(json.dumps({"key": key, **answer}, separators=(",", ":")).encode() + b"\n")
        if time.monotonic() - self._handed >= HAND_OVER_SECONDS:
            self.flush()

    def flush(self, *, sync: bool = False) -> None:
        """Hand over what waits; with `sync`, or every `SYNC_SECONDS`, wait until the disk has it."""
        if self._file is None:
            return
        try:
            data, self._waiting = b"".join(self._waiting), []
            while data:
                data = data[self._file.write(data) :]
            self._handed = time.monotonic()
            if sync or self._handed - self._synced >= SYNC_SECONDS:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as problem:
            raise StorageError(
                f"cannot write {self.path}: {problem.strerror or problem}; what was answered before is kept: make room and run the "
                "same command again to continue"
            ) from problem

    def __enter__(self) -> AnswerJournal:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if not isinstance(problem, StorageError):
                self.flush(sync=True)
        finally:
            if self._file is not None:
                self._file.close()


def answer_key(identity: str, kind: str, *tokens: Sequence[int], extra: Iterable[object] = ()) -> str:
    """The key of an answer: 128 bits of BLAKE2 over the model's identity, the kind of question, and its tokens."""
    digest = hashlib.blake2b(digest_size=16)
    parts = (identity, kind, *(",".join(map(str, row)) for row in tokens), *map(str, extra))
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()
