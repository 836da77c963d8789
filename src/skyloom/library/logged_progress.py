"""Progress of library calls as records of the logger "skyloom". Nothing is written to a terminal.

Input: what the stages tell of themselves. Output: log records: INFO for steps and bars (a bar gives a line every five seconds),
WARNING for what a user should know, such as rows that were left out. The logger has a handler that does nothing, so a program that
sets up no logging sees nothing. `logging.basicConfig(level="INFO")` shows all of it.
"""

from __future__ import annotations

import logging

from skyloom.core.progress import Level, Progress

LOGGER = logging.getLogger("skyloom")
LOGGER.addHandler(logging.NullHandler())
_LEVELS: dict[Level, int] = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class LoggedProgress(Progress):
    """A `Progress` whose lines are log records. The figures of a bar are in the record's attribute `facts`."""

    def __init__(self) -> None:
        super().__init__(form="text")

    def line(self, level: Level, text: str, **facts: str | float | None) -> None:
        LOGGER.log(_LEVELS[level], "%s", text, extra={"facts": facts})
