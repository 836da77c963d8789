"""Stopping a training run without losing a step: Ctrl-C or SIGTERM enters, a finished step and a checkpoint leave.

The first signal only asks: the loop finishes its step, writes a checkpoint and raises `Interrupted`. A second one ends
the process at once, as `kill -9` would, which costs the work since the last checkpoint and nothing else.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from skyloom.core.errors import SkyloomError
from skyloom.core.progress import Progress


class Interrupted(SkyloomError):  # noqa: N818 - it is a request that was met, not a fault
    """The user asked to stop; everything done so far is on disk, and the message says how to go on."""

    exit_code = 130


class NotFiniteError(SkyloomError):
    """The loss or its gradient is not a number: training cannot go on from here."""

    exit_code = 6


class StopRequest:
    """Within its block, SIGINT and SIGTERM set `asked` instead of ending the process (in the main thread only)."""

    def __init__(self, progress: Progress) -> None:
        self.asked = False
        self._progress = progress
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        signal.signal(number, signal.SIG_DFL)
        self._progress.log("stopping after this step; ask again to stop at once")
