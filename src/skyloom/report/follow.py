"""Reads the journals of a training stage while it runs, for the dashboard.

`telemetry/live.jsonl` is read from where the last look ended, so a look costs what is new; another attempt (its first line
says which) is read from the beginning. A stage without that file (on an object store, say) is read from its journals, which are
written whole at each checkpoint. Steps and rates are kept as at most 2,048 means of neighbours, so that neither memory nor
a picture grows with the length of a run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from skyloom.core.errors import DataError
from skyloom.core.json_files import PlanFile
from skyloom.core.step import MANIFEST
from skyloom.core.store import Store
from skyloom.train.watch import ALARMS, HELDOUT, JOURNAL, LIVE, METRICS, SCORES, SKIPS, SPEED

MOST = 1024
CHUNK = 1 << 24
"""Bytes that are read at once; a line is shorter."""
KEPT_SKIPS = 100
JOURNALS = (METRICS, SPEED, HELDOUT, ALARMS, SKIPS, SCORES)
REMOTE_SECONDS = 15.0
"""Between two looks at journals that are not on this machine's disks."""

_STEP = ("step", "tokens", "loss", "lr")
_RATES = ("step", "tokens", "tokens_per_s", "data_wait_share", "mfu", "peak_flops", "memory_bytes")
Figures = dict[str, float]
Record = dict[str, Any]
"""A line of any journal, as it was parsed; `release.files` has a type for those of each."""


class Thinned:
    """Rows of figures: MOST to 2 · MOST of them at most, each the mean of equally many neighbours."""

    def __init__(self) -> None:
        self._rows: list[Figures] = []
        self._waiting: list[Figures] = []
        self._width = 1

    def add(self, row: Figures) -> None:
        self._waiting.append(row)
        if len(self._waiting) < self._width:
            return
        self._rows.append(_mean(self._waiting))
        self._waiting = []
        if len(self._rows) == 2 * MOST:
            self._rows = [_mean(self._rows[k : k + 2]) for k in range(0, 2 * MOST, 2)]
            self._width *= 2

    def rows(self) -> list[Figures]:
        return [*self._rows, *([_mean(self._waiting)] if self._waiting else [])]


def _rate(record: Record, key: str) -> float:
    """A figure of a line of speed; NaN where it has none, as an MFU on processors."""
    value = record.get(key, record["step"] if key == "tokens" else None)
    return math.nan if value is None else float(value)


def _mean(rows: list[Figures]) -> Figures:
    return {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]} if len(rows) > 1 else rows[0]


class Following:
    """One stage. `read` takes in what is new."""

    def __init__(self, stage: str, folder: Store) -> None:
        self.stage, self.folder = stage, folder
        self._attempt, self._place = b"", 0
        self._sizes: dict[str, tuple[int, int]] = {}
        self._asked = float("-inf")
        self._clear()

    def _clear(self) -> None:
        self.plan: PlanFile = {}
        self.last: Record = {}
        self.rates: Record = {}
        self.skipped = 0
        self._steps, self._speed = Thinned(), Thinned()
        self._kept: dict[str, list[Record]] = {HELDOUT: [], ALARMS: [], SCORES: [], SKIPS: []}

    @property
    def begun(self) -> bool:
        return bool(self.last or self._kept[HELDOUT] or self.skipped)

    @property
    def done(self) -> bool:
        return self.folder.exists(MANIFEST)

    def age(self) -> float | None:
        """Seconds since the last line; None where only journals are read."""
        if not self.folder.local or not self.folder.exists(LIVE):
            return None
        return max(0.0, time.time() - self.folder.path(LIVE).stat().st_mtime)

    def rows(self, journal: str) -> list[Any]:
        """The lines of a journal, each with its stage; of steps and rates the means of neighbours."""
        found = {METRICS: self._steps, SPEED: self._speed}
        lines: Sequence[Record] = found[journal].rows() if journal in found else self._kept[journal]
        return [{"stage": self.stage, **line} for line in lines]

    def read(self) -> set[str]:
        """Take in what is new. Returns the journals that changed. DataError for a line that is none of its journal."""
        changed = set()
        before = self._attempt, self._sizes
        for journal, record in self._new():
            changed.add(journal)
            try:
                self._take(journal, record)
            except (KeyError, TypeError, AttributeError) as problem:
                raise DataError(f"{self.folder.root}: a line of {journal} has not its figures ({problem!r})") from problem
        if (self._attempt, self._sizes) != before:  # what another attempt undid is gone, even where nothing new came
            changed |= set(JOURNALS)
        if self.begun and not self.plan and self.folder.exists("plan.json"):
            self.plan = self.folder.read_json("plan.json")
        return changed

    def _take(self, journal: str, record: Record) -> None:
        if journal == METRICS:
            self.last = record
            self._steps.add({key: record[key] for key in _STEP})
        elif journal == SPEED:
            self.rates = record
            self._speed.add({key: _rate(record, key) for key in _RATES})
        elif journal == SKIPS:
            self.skipped += 1
            slim = {**record, "documents": sum(len(ids) for ids in record["documents"].values())}
            self._kept[SKIPS] = [*self._kept[SKIPS][-KEPT_SKIPS + 1 :], slim]
        elif journal in self._kept:
            self._kept[journal].append(record)

    def _new(self) -> Iterator[tuple[str, Record]]:
        if self.folder.local and self.folder.exists(LIVE):
            yield from self._live()
        elif self.folder.local or time.monotonic() - self._asked >= REMOTE_SECONDS:
            self._asked = time.monotonic()
            yield from self._journals()

    def _live(self) -> Iterator[tuple[str, Record]]:
        with self.folder.path(LIVE).open("rb") as file:
            attempt = file.readline()
            if attempt != self._attempt:
                self._clear()
                self._attempt, self._place = attempt, len(attempt)
            file.seek(self._place)
            while whole := _lines(file.read(CHUNK)):
                self._place += len(whole)
                file.seek(self._place)
                for record in _parsed(whole.splitlines(), self.folder.url(LIVE)):
                    yield str(record.pop(JOURNAL, "")), record

    def _journals(self) -> Iterator[tuple[str, Record]]:
        names = [name for name in JOURNALS if self.folder.exists(name)]
        if self.folder.local:
            stats = {name: self.folder.path(name).stat() for name in names}
            sizes = {name: (stat.st_size, stat.st_mtime_ns) for name, stat in stats.items()}
        else:
            sizes = {name: (size, 0) for name, size in self.folder.sizes().items() if name in names}
        if sizes == self._sizes:
            return
        self._clear()
        self._sizes = sizes
        for name in names:
            for record in _parsed(self.folder.read_bytes(name).splitlines(), self.folder.url(name)):
                yield name, record


def _lines(data: bytes) -> bytes:
    """All but a line that is still being written."""
    return data[: data.rfind(b"\n") + 1]


def _parsed(lines: Iterable[bytes], place: str) -> Iterator[Record]:
    for line in lines:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{place}: a line is not JSON ({problem})") from problem
        if not isinstance(record, dict):
            raise DataError(f"{place}: a line is not a JSON object")
        yield record
