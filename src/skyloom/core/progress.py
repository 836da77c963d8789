"""Progress bars with rates and remaining time, on a terminal and in a log file alike.

On a terminal one rich bar per task; elsewhere (a log, CI) one line every few seconds, so that a long step is never
silent. Lines of a log are never wrapped, and begin with time and level. Packages take a `Progress` and never print.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

Level = Literal["info", "warning", "error"]
Form = Literal["auto", "text", "json"]
LEVELS: tuple[Level, ...] = ("info", "warning", "error")
WARNING = "warning: "


class ProgressTask:
    """One running bar: `advance` moves it, `resume` moves it over what an earlier run did, `note` sets the text behind it."""

    def __init__(self, label: str, total: float | None, unit: str) -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = 0.0
        self.before = 0.0
        self.text = ""
        self.started = time.monotonic()

    def advance(self, amount: float = 1) -> None:
        self.done += amount

    def resume(self, amount: float = 1) -> None:
        """Move over work that was there already: it is done, but it took no time now and says nothing of the rate."""
        self.before += amount
        self.advance(amount)

    def note(self, text: str) -> None:
        self.text = text

    def rate(self) -> float:
        return (self.done - self.before) / max(time.monotonic() - self.started, 1e-9)

    def line(self) -> str:
        total = f"/{self.total:,.0f}" if self.total else ""
        left = (self.total - self.done) / self.rate() if self.total and self.rate() > 0 else 0.0
        remaining = f", {left:.0f} s left" if left else ""
        return (
            f"{self.label}: {self.done:,.0f}{total} {self.unit}, {self.rate():,.1f} {self.unit}/s{remaining} {self.text}".rstrip()
        )


class _RichTask(ProgressTask):
    def __init__(self, bars: RichProgress, label: str, total: float | None, unit: str) -> None:
        super().__init__(label, total, unit)
        self._bars = bars
        self._id = bars.add_task(label, total=total, rate="", text="")

    def advance(self, amount: float = 1) -> None:
        super().advance(amount)
        rate = self.rate()
        shown = f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
        self._bars.update(self._id, completed=self.done, rate=f"{shown} {self.unit}/s", text=self.text)

    def resume(self, amount: float = 1) -> None:
        super().resume(amount)
        self._bars.reset(self._id, completed=int(self.done))  # else the remaining time would count the jump as speed


class _LogTask(ProgressTask):
    def __init__(self, progress: Progress, label: str, total: float | None, unit: str) -> None:
        super().__init__(label, total, unit)
        self._progress, self._last = progress, time.monotonic()

    def advance(self, amount: float = 1) -> None:
        super().advance(amount)
        if time.monotonic() - self._last >= self._progress.interval:
            self._last = time.monotonic()
            rate = round(self.rate(), 3)
            self._progress.line(
                "info", self.line(), task=self.label, done=self.done, total=self.total, unit=self.unit, rate=rate, note=self.text
            )


class Progress:
    """Makes tasks. `Progress.silent()` is for tests and library use.

    `quiet`: nothing at all is shown. `least`: "warning" leaves out what is only information, bars too. `form`: "bars" on a
    terminal and lines elsewhere ("auto"), else lines in any case: "text", a line with time (UTC) and level, or "json", an object
    with `time`, `level` and `message` in each line (of a task also `task done total unit rate note`).
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        quiet: bool = False,
        interval: float = 5.0,
        least: Level = "info",
        form: Form = "auto",
    ) -> None:
        self.console = console or Console(file=sys.stderr)
        self.quiet = quiet
        self.interval = interval
        self.least = least
        self.form: Form = form if form != "auto" or self.console.is_terminal else "text"

    @classmethod
    def silent(cls) -> Progress:
        return cls(quiet=True)

    def log(self, text: str) -> None:
        """A line for the person who watches. One that begins with "warning: " has that level."""
        if text.startswith(WARNING):
            self.line("warning", text.removeprefix(WARNING))
        else:
            self.line("info", text)

    def line(self, level: Level, text: str, **facts: str | float | None) -> None:
        """A line of that level; `facts` are further keys of its object in the form "json"."""
        if self.quiet or LEVELS.index(level) < LEVELS.index(self.least):
            return
        if self.form == "auto":
            self.console.print(text if level == "info" else f"{level}: {text}", highlight=False, markup=False)
        else:
            self.console.file.write(log_lines(level, text, as_json=self.form == "json", **facts))
            self.console.file.flush()

    @contextmanager
    def task(self, label: str, total: float | None = None, unit: str = "shards") -> Iterator[ProgressTask]:
        """A bar for `total` units of work; its rate and remaining time are shown while the block runs."""
        if self.quiet or self.least != "info":
            yield ProgressTask(label, total, unit)
        elif self.form == "auto":
            columns = (
                TextColumn("  {task.description}"), BarColumn(bar_width=24), TaskProgressColumn(), MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"), TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[text]}"),
            )  # fmt: skip
            with RichProgress(*columns, console=self.console, transient=True) as bars:
                yield _RichTask(bars, label, total, unit)
        else:
            yield _LogTask(self, label, total, unit)


def log_lines(level: Level, text: str, *, as_json: bool, **facts: str | float | None) -> str:
    """A message as lines of a log, each with time (UTC, to the second) and level; as JSON one object in one line."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if as_json:
        row = {"time": now, "level": level, "message": text, **facts}
        return json.dumps(row, ensure_ascii=False) + "\n"
    return "".join(f"{now} {level:<7} {part}\n" for part in text.splitlines() or [""])
