"""`kill -9` at random moments, again and again: the final bytes equal those of an undisturbed run."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.stories.program import TINY, contents, read, skyloom, start, step_folder

KILLS = 10
SHORT = (
    "--set",
    "stages.stage1.data.tokens=50_000",
    "--set",
    "stages.stage2.data.tokens=40_000",
)  # each kill costs a part of a run
STEPS = ("extract", "corpus", "tokenizer", "tokens", "stage1", "stage2", "evaluate", "leakage", "release")


def without_times(found: dict[str, str]) -> dict[str, str]:
    """The steps but those that say how long the run took: the run page, and the release, which holds the page and the hours."""
    return {folder: content for folder, content in found.items() if not folder.startswith(("report-", "release-"))}


def released(work: Path) -> dict[str, str]:
    """Checksums of the files of the release that say nothing of the run's times."""
    lines = (step_folder(work, "release") / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    timed = ("README.md", "report.html", "run/run.json", "transparency.md", "transparency.json", "sbom.spdx.json")
    return {n: s for n, s in sums.items() if n not in timed and "/telemetry/" not in n}


@pytest.mark.xdist_group("kill")
def test_killed_ten_times_ends_in_the_same_bytes(tmp_path):
    calm, wild = tmp_path / "calm", tmp_path / "wild"
    began = time.monotonic()
    undisturbed = skyloom("run", TINY, "--work", calm, *SHORT)
    assert undisturbed.returncode == 0, undisturbed.stderr
    span = time.monotonic() - began
    dice = random.Random(20231030)
    killed = attempts = 0
    while killed < KILLS:
        attempts += 1
        assert attempts < 60, "the run ends before it can be killed"
        process = start("run", TINY, "--work", wild, *SHORT)
        try:
            process.wait(timeout=dice.uniform(0.15, 0.55) * span)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
        if process.returncode == 0:
            # Finished early: take away everything from a random step on, so that there is something left to kill.
            for name in STEPS[dice.randrange(len(STEPS)) :]:
                shutil.rmtree(step_folder(wild, name))
    final = skyloom("run", TINY, "--work", wild, *SHORT)
    assert final.returncode == 0, final.stderr
    assert without_times(contents(wild)) == without_times(contents(calm))
    assert released(wild) == released(calm)
    for stage in ("stage1", "stage2"):
        for name in ("metrics.jsonl", "heldout.jsonl"):
            assert (step_folder(wild, stage) / name).read_bytes() == (step_folder(calm, stage) / name).read_bytes()
    assert not list(wild.rglob(".tmp-*"))


@pytest.mark.xdist_group("kill")
def test_interrupt_saves_and_the_same_command_goes_on(tmp_path):
    process = start("train", TINY, "--work", tmp_path)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("stage1-*/checkpoints/*/state.json")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode in (0, 130), errors
    assert "Traceback" not in errors
    done = skyloom("train", TINY, "--work", tmp_path)
    assert done.returncode == 0, done.stderr
    assert read(step_folder(tmp_path, "stage2") / "_step.json")["content"]
