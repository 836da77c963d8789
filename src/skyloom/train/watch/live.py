"""`telemetry/live.jsonl`: the lines of all journals, appended as they come, for dashboards that follow a run.

Journals are files that appear whole, with each checkpoint, and may be minutes behind. `telemetry/live.jsonl` has the same lines
in the order in which they came, each with the name of its journal; a reader that remembers its place in the file reads only
what is new. Each attempt writes the file anew from the journals that it goes on with, so nothing in it was undone by a resume or
a rollback, and begins it with a line that names the attempt: a reader that knows another one begins anew too.

It is no part of a run's content, and a run does not end because it cannot be written: that is said once. A remote folder has
no such file, since an object store takes only whole objects; there the journals are all there is.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import TextIO

from skyloom.core.errors import StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import TELEMETRY, Store
from skyloom.train.watch.journal import Journal, Line

LIVE = f"{TELEMETRY}live.jsonl"
JOURNAL, ATTEMPT = "journal", "attempt"


class Live:
    """Appends lines to `telemetry/live.jsonl`. `journals`: what the attempt goes on with."""

    def __init__(self, out: Store, journals: Mapping[str, Journal], progress: Progress) -> None:
        self._progress = progress
        self._file: TextIO | None = None
        if not out.local:
            return
        known = (f"{_begun(name)}, {line[1:]}" for name, journal in journals.items() for line in journal.lines())
        try:
            out.write_text(LIVE, json.dumps({ATTEMPT: uuid.uuid4().hex}) + "\n" + "".join(known))
            self._file = out.path(LIVE).open("a", encoding="utf-8")
        except (OSError, StorageError) as problem:
            self._tell(problem)

    def add(self, journal: str, record: Line) -> None:
        """A line that was just added to the journal of that name."""
        if self._file is None:
            return
        try:
            self._file.write(f"{_begun(journal)}, {json.dumps(record, ensure_ascii=False)[1:]}\n")
            self._file.flush()
        except OSError as problem:
            self._tell(problem)
            self.close()

    def _tell(self, problem: Exception) -> None:
        why = getattr(problem, "strerror", None) or problem
        self._progress.log(f"warning: {LIVE} cannot be written ({why}); the run goes on, dashboards stand still")

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as problem:  # what was not written before is not written now either
                self._progress.log(f"warning: {LIVE}: {problem.strerror or problem}")


def _begun(journal: str) -> str:
    return f"{{{json.dumps(JOURNAL)}: {json.dumps(journal)}"
