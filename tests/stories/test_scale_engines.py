"""The corpus of the sample pages by every engine: on Ray with a worker killed, and in the rounds of a Slurm array."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from skyloom.core.engine import Engine, Shard, ShardsMissingError
from skyloom.core.progress import Progress
from skyloom.run.run import Run
from tests.stories.program import TINY, contents

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
ROUNDS = 20  # more than the corpus has maps


def build(work: Path, engine: Engine) -> dict[str, str]:
    Run.open(TINY, work=work, engine=engine, progress=Progress.silent()).resolve().run("corpus")
    return contents(work)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> dict[str, str]:
    return build(tmp_path_factory.mktemp("local"), Engine())


def test_ray_with_a_killed_worker_writes_the_local_bytes(tmp_path, local):
    pytest.importorskip("ray")
    from skyloom.core.engine_ray import RayEngine

    over, killed = threading.Event(), []

    def kill_one() -> None:
        """The first worker that has begun a task once the second step is under way."""
        while not over.wait(0.05) and not killed:
            if not list(tmp_path.glob("extract-*")):
                continue
            for process in psutil.Process().children(recursive=True):
                if process.name().startswith("ray::_run"):
                    killed.append(process.pid)
                    os.kill(process.pid, signal.SIGKILL)
                    break

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        written = build(tmp_path, RayEngine(2))
    finally:
        over.set()
        killer.join()
    assert killed, "no worker was there to be killed"
    assert written == local


def test_an_array_submitted_until_it_is_done_writes_the_local_bytes(tmp_path, local):
    for _ in range(ROUNDS):
        finished = 0
        for number in (2, 1):
            try:
                build(tmp_path, Engine(shard=Shard(number, 2)))
                finished += 1
            except ShardsMissingError as waiting:
                assert waiting.exit_code == 0
        if finished == 2:
            break
    assert contents(tmp_path) == local
    assert not list(tmp_path.rglob("shuffle"))
