"""Commands that are stopped by a signal at a random moment, and what is wrong with the way they end.

Input: a seed and a folder. Output: for each interruption the command, the signal, when it was sent, how long the command took to end
and what was wrong: a process that is left, an exit code that is not the documented one, no sentence or more than one, a traceback.
Three commands take turns in a work folder that goes on where it was stopped, so that later steps are met too: the corpus, the
whole small recipe, and its training in two processes below torchrun. The tests and the bar use it; it needs Linux (`/proc`).
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.stories.program import TINY, command, environment

WAIT = 60
MARK = "SKYLOOM_TEST_PROGRAM"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Program:
    """A program whose processes are known by a variable of their environment, also when their parents are gone."""

    def __init__(self, arguments: list[str], **more: str) -> None:
        self.mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
            env={**environment(), MARK: self.mark, **more},
        )  # fmt: skip

    def processes(self) -> list[psutil.Process]:
        return [p for p in psutil.process_iter() if self._is_ours(p)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == self.mark
        except psutil.Error:
            return False

    def listens(self) -> bool:
        """Whether it has taken over the signals. Before, Python itself is still starting."""
        try:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return False
        caught = int(next(line for line in status.splitlines() if line.startswith("SigCgt")).split()[1], 16)
        return bool(caught >> (signal.SIGTERM - 1) & 1)

    def ended(self) -> tuple[int, str]:
        """Exit code and errors, when no process of it is left."""
        try:
            _, errors = self.process.communicate(timeout=WAIT)
            until = time.monotonic() + WAIT
            while (left := self.processes()) and time.monotonic() < until:
                time.sleep(0.05)
            assert not left, [p.cmdline() for p in left]
        finally:
            self.kill()
        return self.process.returncode, errors

    def kill(self) -> None:
        for process in self.processes():
            process.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + WAIT
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.01)


@dataclass(frozen=True)
class Interruption:
    """One command that was stopped. `after`: seconds until the signal; `took`: seconds from it to the end of all processes."""

    verb: str
    number: signal.Signals
    after: float
    took: float
    fault: str


def interruptions(count: int, folder: Path, seed: int) -> Iterator[Interruption]:
    """Stop commands `count` times; a new work folder after every ninth."""
    dice = random.Random(seed)
    for place in range(count):
        work = folder / f"work-{place // 9}"
        verb = ("corpus build", "run", "train")[place % 3]
        number = STOPS[(place + place // 3) % 3]
        after = dice.uniform(0, 25 if verb == "train" else 12)
        arguments = command(*verb.split(), TINY, "--work", work, "--workers", "2")
        if verb == "train":
            arguments = torchrun(*arguments[2:], "--set", "train.layout.data=2")
        yield interrupt(verb, arguments, number, after)


def interrupt(verb: str, arguments: list[str], number: signal.Signals, after: float) -> Interruption:
    """Send the signal so many seconds after the program has begun to listen, and see how it ends."""
    program = Program(arguments, OMP_NUM_THREADS="1")
    try:
        wait_until(lambda: program.listens() or program.process.poll() is not None)
        time.sleep(after)
        program.process.send_signal(number)
        sent = time.monotonic()
        code, errors = program.ended()
        fault = wrong(verb, code, errors, number)
    except (AssertionError, subprocess.TimeoutExpired) as problem:
        program.kill()
        fault = f"it did not end: {problem}"
    return Interruption(verb, number, after, time.monotonic() - sent, fault)


def wrong(verb: str, code: int, errors: str, number: signal.Signals) -> str:
    """What is wrong with an end after that signal; "" if nothing. torchrun has its own codes and shows its own tracebacks."""
    if code == 0 or verb == "train":
        return ""
    if code != 128 + number:
        return f"exit code {code}: {errors}"
    if "Traceback" in errors:
        return errors
    sentences = sum(line.startswith("skyloom: ") for line in errors.splitlines())
    return "" if sentences == 1 else f"{sentences} sentences: {errors}"


def torchrun(*arguments: str) -> list[str]:
    """`skyloom ARGUMENTS` in two processes."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    return [*launch, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", "-m", *arguments]
