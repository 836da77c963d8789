"""However a command is ended, no process of it is left, and the exit code and one sentence say what happened.

Interruptions come at random moments; the seed is printed. Tests wait for up to a minute: how long an end takes is a bar.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.stories.program import TINY, command, environment

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

WAIT = 60
MARK = "SKYLOOM_TEST_PROGRAM"
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "closed"}


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


def interrupt(arguments: list[str], number: signal.Signals, seconds: float) -> None:
    """Send the signal so long after the program has begun to listen, and see how it ends."""
    program = Program(arguments)
    wait_until(lambda: program.listens() or program.process.poll() is not None)
    time.sleep(seconds)
    program.process.send_signal(number)
    code, errors = program.ended()
    assert "Traceback" not in errors, errors
    if code == 0:  # it was done
        return
    assert code == 128 + number, (code, errors)
    assert sum(line.startswith("skyloom: ") for line in errors.splitlines()) == 1, errors


def moments(count: int) -> Iterator[tuple[random.Random, signal.Signals]]:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    for place in range(count):
        yield dice, STOPS[place % 3]


def build_and_run(tmp_path: Path, count: int) -> None:
    for place, (dice, number) in enumerate(moments(count)):
        verb = [("corpus", "build"), ("run",)][place // 3 % 2]
        work = tmp_path / f"work-{place // 6}"  # it goes on where the ones before were stopped, so that later steps are met too
        seconds = dice.uniform(0, 12)
        print(f"{' '.join(verb)}: {number.name} after {seconds:.3f} s")
        interrupt(command(*verb, TINY, "--work", work, "--workers", "2"), number, seconds)


@pytest.mark.xdist_group("interrupt")
def test_signals_at_random_moments(tmp_path: Path) -> None:
    build_and_run(tmp_path, 6)


@pytest.mark.slow
@pytest.mark.xdist_group("interrupt")
def test_signals_at_many_random_moments(tmp_path: Path) -> None:
    build_and_run(tmp_path, 40)


REGULAR = '''
import re, sys
from pathlib import Path
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.cli import ending

def search(task, out):
    """A regular expression that does not end, and never lets another thread of Python run."""
    Path(out.root, f"begun-{task.key}").write_text("x")
    re.match(r"(a|a)+b|（(啊|啊)+）", "a" * 60)
    return Done((), None)

if __name__ == "__main__":
    ending.listen()
    tasks = [Task(f"{k}", None) for k in range(2)]
    Engine(2).map(search, tasks, Store(sys.argv[1]), progress=Progress.silent(), label="x")
'''


@pytest.mark.parametrize("number", [*STOPS, signal.SIGKILL])
def test_workers_inside_a_regular_expression_end_too(tmp_path: Path, number: signal.Signals) -> None:
    script, out = tmp_path / "program.py", tmp_path / "out"
    script.write_text(REGULAR, encoding="utf-8")
    out.mkdir()
    program = Program([sys.executable, str(script), str(out)])
    wait_until(lambda: len(list(out.glob("begun-*"))) == 2)
    program.process.send_signal(number)
    code, errors = program.ended()
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    assert number == signal.SIGKILL or WORDS[number] in errors


@pytest.mark.slow
def test_an_error_ends_the_program_on_a_busy_machine(tmp_path: Path) -> None:
    """Twenty times, beside a busy loop on every core: workers are idle, busy or just starting when the build fails."""
    page = tmp_path / "页.html"
    page.write_bytes(b"")
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        for place in range(20):
            build = command("corpus", "build", TINY, "--source", page, "--work", tmp_path / f"w{place}", "--workers", "2")
            code, errors = Program(build).ended()
            assert code == 3, errors
            assert "Traceback" not in errors
    finally:
        for one in busy:
            one.kill()
            one.wait()


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    """Under nohup a closed terminal ends nothing."""
    program = Program(["nohup", *command("recipe", "keys", "train")])
    wait_until(lambda: program.listens() or program.process.poll() is not None)
    program.process.send_signal(signal.SIGHUP)
    code, errors = program.ended()
    assert code == 0, errors


@pytest.mark.xdist_group("interrupt")
def test_ranks_end_with_their_torchrun(tmp_path: Path) -> None:
    """torchrun itself is killed, which tells its ranks nothing."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0"]
    torchrun += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    work = tmp_path / "work"
    arguments = ["-m", *command("train", TINY, "--work", work, "--set", "train.layout.data=2")[2:]]
    program = Program([*torchrun, *arguments], OMP_NUM_THREADS="1")
    until = time.monotonic() + 300
    while not list(work.glob("stage1-*/telemetry/live.jsonl")):
        assert program.process.poll() is None, program.process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    assert len(program.processes()) >= 3
    program.process.kill()
    program.ended()
    state = [json.loads(p.read_text())["stage_step"] for p in work.glob("stage1-*/checkpoints/*/state.json")]
    assert all(step > 0 for step in state)
