"""Elastic restart: a worker is killed, torchrun starts all again, and the run ends as if nothing had happened.

Two stages on the arithmetic corpus of the tests by two gloo processes under torchrun (c10d, one restart allowed): one undisturbed,
and one for each rank that is killed with SIGKILL in its eighth step. Output: the largest difference of a loss, over all
steps; on the same layout it is zero to the last bit.

    python -m bench.train.elastic                       the table
    python -m bench.train.elastic --json difference     the largest difference, nats
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.answers import NotMeasuredError, answer, offer

ROOT = Path(__file__).resolve().parents[2]
STEPS, KILLED_AT, NOBODY = 40, 7, -1


def losses(folder: Path, killed: int) -> list[float]:
    """Losses of all steps of a run in which the rank `killed` dies once. NotMeasuredError if the run does not end."""
    launched = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc-per-node",
        "2",
        "--max-restarts",
        "1",
        "--rdzv-backend",
        "c10d",
    ]
    meeting = ["--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    program = ["-m", "tests.train.toy_ranks", str(folder), str(STEPS), '{"data": 2}', str(KILLED_AT), str(killed)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    done = subprocess.run([*launched, *meeting, *program], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    restarted = "going on after step" in done.stderr  # torchrun names whom it saw end first, which may be the one left behind
    if done.returncode or restarted != (killed != NOBODY):
        raise NotMeasuredError(f"the run in which rank {killed} is killed left with {done.returncode}: {done.stderr[-400:]}")
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def differences() -> dict[int, float]:
    """Largest difference of a loss from the undisturbed run's, by the rank that was killed."""
    with tempfile.TemporaryDirectory() as place:
        calm = losses(Path(place, "calm"), NOBODY)
        wild = {rank: losses(Path(place, f"killed-{rank}"), rank) for rank in (0, 1)}
    if any(len(run) != STEPS for run in (calm, *wild.values())):
        raise NotMeasuredError("a run has not all of its steps")
    return {rank: max(abs(a - b) for a, b in zip(calm, run, strict=True)) for rank, run in wild.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    offer(parser, ["difference"])
    found = parser.parse_args().json

    def tables() -> None:
        print(f"{STEPS} steps, 2 processes, largest difference of a loss from an undisturbed run's, nats")
        for rank, value in differences().items():
            print(f"rank {rank} killed in step {KILLED_AT + 1}: {value:g}")

    return answer(found, lambda _: max(differences().values()), tables)


if __name__ == "__main__":
    sys.exit(main())
