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
from pathlib import Path

import pytest

from tests.stories.interruption import STOPS, Program, interruptions, torchrun, wait_until
from tests.stories.program import TINY, command

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "closed"}


def end_well(tmp_path: Path, count: int) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    for one in interruptions(count, tmp_path, seed):
        print(f"{one.verb}: {one.number.name} after {one.after:.3f} s, ended {one.took:.1f} s later")
        assert not one.fault, one.fault


@pytest.mark.xdist_group("interrupt")
def test_signals_at_random_moments(tmp_path: Path) -> None:
    end_well(tmp_path, 6)


@pytest.mark.slow
@pytest.mark.xdist_group("interrupt")
def test_signals_at_many_random_moments(tmp_path: Path) -> None:
    end_well(tmp_path, 40)


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
    work = tmp_path / "work"
    train = command("train", TINY, "--work", work, "--set", "train.layout.data=2")
    program = Program(torchrun(*train[2:]), OMP_NUM_THREADS="1")
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
