"""torchrun on several nodes and over deaths: two agents under a Slurm script, restarts after SIGKILL, and a lost process without them.

The "nodes" are agents on loopback, Slurm's commands are stand-ins that start a task for each node; the kills are real.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError
from skyloom.planner.layout import Layout
from skyloom.train.distributed.mesh import join
from skyloom.train.recover import HUNG, LostError, lost_processes
from tests.train.toy_ranks import main

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "recipes" / "slurm" / "train.sbatch"
STEPS, TWO = 40, '{"data": 2}'
SRUN = """#!/bin/bash
# A stand-in: the command once for each node, its options left out; the exit code of one that failed.
while [[ $1 == --* ]]; do shift; done
tasks=()
for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do SLURM_NODEID=$node "$@" & tasks+=($!); done
code=0
for task in "${tasks[@]}"; do wait "$task" || code=$?; done
exit $code
"""
SCONTROL = """#!/bin/bash
if [[ $1 == show ]]; then echo 127.0.0.1; echo 127.0.0.2; else echo "$@" >> "$ASKED"; fi
"""


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **more}


def workers(out: Path, killed: int, stop: int = 7) -> list[str]:
    return ["-m", "tests.train.toy_ranks", str(out), str(STEPS), TWO, str(stop), str(killed)]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    """The losses of one process."""
    out = tmp_path_factory.mktemp("single")
    main(str(out), STEPS, Layout())
    return losses(out)


def test_a_killed_worker_is_started_again_and_the_run_ends_alike(tmp_path: Path, single: list[float]) -> None:
    """torchrun --max-restarts 1, the leader killed with SIGKILL at step 7: all are started again and go on after step 6 or 7."""
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--max-restarts", "1", "--rdzv-backend", "c10d",
         "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1", *workers(out, killed=0)],
        cwd=ROOT, env=environment(TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1"), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "going on after step" in done.stderr
    assert losses(out) == pytest.approx(single, rel=1e-5, abs=1e-5)


def test_restarts_that_would_hang_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    with pytest.raises(ConfigError, match="set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"):
        join(Layout())


def test_a_lost_process_ends_the_others_with_a_sentence(tmp_path: Path) -> None:
    """Without torchrun nobody ends the leader when the other one is killed."""
    common = environment(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()), WORLD_SIZE="2")
    leader, other = (
        subprocess.Popen(
            [sys.executable, *workers(tmp_path / "out", killed=1)], cwd=ROOT, env={**common, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE, text=True,
        )
        for rank in "01"
    )  # fmt: skip
    _, said = leader.communicate(timeout=120)
    other.communicate(timeout=60)
    assert other.returncode == -signal.SIGKILL
    assert leader.returncode == HUNG, said
    assert "another process" in said and "Traceback" not in said


def test_only_broken_connections_are_told_as_lost_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LostError, match=r"Connection reset by peer.*last checkpoint"), lost_processes():
        raise RuntimeError("[gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:3511: Connection reset by peer.\nmore")
    with pytest.raises(RuntimeError, match="shapes"), lost_processes():
        raise RuntimeError("shapes cannot be multiplied")


def test_a_slurm_job_stops_before_its_limit_is_queued_again_and_goes_on(tmp_path: Path, single: list[float]) -> None:
    """Two agents of one worker each. The first job is sent USR1 after its first checkpoint, the second one ends the run."""
    subprocess.run(["bash", "-n", SCRIPT], check=True)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("python", f'#!/bin/bash\nexec {sys.executable} "$@"\n')):
        (tools / name).write_text(text)
        (tools / name).chmod((tools / name).stat().st_mode | stat.S_IXUSR)
    out, asked = tmp_path / "out", tmp_path / "asked"
    program = workers(out, killed=-1)[1:]
    env = environment(
        PATH=f"{tools}:{os.environ['PATH']}", ASKED=str(asked), TMPDIR=str(tmp_path), PROGRAM=program[0], PORT=str(free_port()),
        SLURM_JOB_ID="4711", SLURM_JOB_NODELIST="node[1-2]", SLURM_JOB_NUM_NODES="2",
    )  # fmt: skip

    def job() -> subprocess.Popen[str]:
        command = ["bash", str(SCRIPT), *program[1:]]
        return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    first = job()
    deadline = time.monotonic() + 200
    while not list(out.glob("checkpoints/*/state.json")):
        assert first.poll() is None and time.monotonic() < deadline, first.communicate()
        time.sleep(0.02)
    first.send_signal(signal.SIGUSR1)
    said, _ = first.communicate(timeout=120)
    assert first.returncode != 0 and asked.read_text() == "requeue 4711\n", said
    assert 0 < len(losses(out)) < STEPS, said
    second = job()
    said, _ = second.communicate(timeout=240)
    assert second.returncode == 0 and "going on after step" in said, said
    assert losses(out) == pytest.approx(single, rel=1e-5, abs=1e-5)
    assert not list(tmp_path.glob("skyloom-torchrun-*"))
