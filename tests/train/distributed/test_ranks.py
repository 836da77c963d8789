"""A stage by several processes: the losses of one, checkpoints that any layout reads, signals and hangs that all notice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from skyloom.core.errors import IntegrityError
from skyloom.core.store import Store
from skyloom.planner.layout import Layout
from skyloom.train import checkpoint as disk
from skyloom.train.recover import HUNG
from tests.train.toy_ranks import BASE, main

ROOT = Path(__file__).parents[3]
STEPS = 16
PIPED = {"data": 2, "pipeline": 2, "micro_batch": 1}


def run_ranks(out: Path, layout: Mapping[str, object], stop: int = 0) -> list[tuple[int, str]]:
    """Exit code and messages of each process of the layout."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world = Layout(**{k: v for k, v in layout.items() if k != "optimizer"}).world  # type: ignore[arg-type]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(world)}
    program = [sys.executable, "-m", "tests.train.toy_ranks", str(out), str(STEPS), json.dumps(layout), str(stop)]
    running = [
        subprocess.Popen(
            program, cwd=ROOT, env={**common, "RANK": str(r), "LOCAL_RANK": str(r)}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        for r in range(world)
    ]  # fmt: skip
    said = [process.communicate(timeout=240)[1] for process in running]
    return [(process.returncode, text) for process, text in zip(running, said, strict=True)]


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stage by one process."""
    out = tmp_path_factory.mktemp("single")
    main(str(out), STEPS, Layout())
    return out


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stage by four processes (PP2 × DP2), ended by SIGTERM at one of them."""
    out = tmp_path_factory.mktemp("stopped")
    for code, said in run_ranks(out, PIPED, stop=9):
        assert code == 128 + signal.SIGTERM, said
    return out


def test_all_stop_where_one_is_asked_to(stopped: Path) -> None:
    (newest,) = [s for s in disk.steps(Store(stopped)) if s != 8]
    assert newest == 10, "the step in which the signal came is finished by all"
    state = disk.read_state(Store(stopped).child(disk.folder_of(newest)))
    assert [f["name"][:11] for f in state["files"]] == [f"shard-{r:05d}" for r in range(1, 5)]
    assert not [p for p in stopped.rglob("*") if p.suffix in (".distcp", ".pt", ".pkl", ".metadata")], "nothing is pickled"


@pytest.mark.parametrize("layout", [{}, {"tensor": 2}, {"data": 4}, {"data": 2, "zero": False}, PIPED], ids=str)
def test_any_layout_goes_on(layout: dict[str, object], stopped: Path, single: Path, tmp_path: Path) -> None:
    """Saved at PP2 × DP2, gone on with as one process, TP2, DP4, DP2 without ZeRO and the same: losses of one process."""
    out = tmp_path / "out"
    shutil.copytree(stopped, out)
    if layout:
        assert [code for code, _ in run_ranks(out, layout)] == [0] * Layout(**layout).world
    else:
        main(str(out), STEPS, Layout())
    np.testing.assert_allclose(losses(out), losses(single), rtol=1e-5, atol=1e-5)
    held = [[json.loads(line)["loss"] for line in (d / "heldout.jsonl").read_text().splitlines()] for d in (out, single)]
    np.testing.assert_allclose(*held, rtol=1e-5, atol=1e-5)
    ours, theirs = disk.read(Store(out).child("final")), disk.read(Store(single).child("final"))
    assert set(ours.weights) == set(theirs.weights) and set(ours.moments) == set(theirs.moments)
    for name, weight in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], weight, rtol=1e-3, atol=1e-5)


def test_muon_goes_on_under_another_layout(tmp_path: Path) -> None:
    """Stopped at PP2 × DP2, gone on with as TP2 and as one process: losses and moments of one undisturbed process."""
    stopped, single = tmp_path / "stopped", tmp_path / "single"
    for code, said in run_ranks(stopped, {**PIPED, "optimizer": "muon"}, stop=9):
        assert code == 128 + signal.SIGTERM, said
    main(str(single), STEPS, Layout(), optimizer="muon")
    theirs = disk.read(Store(single).child("final"))
    assert len(theirs.moments) < 2 * len(theirs.weights)
    for name, tensor in (("tensor", 2), ("one", 1)):
        out = tmp_path / name
        shutil.copytree(stopped, out)
        if tensor > 1:
            assert [code for code, _ in run_ranks(out, {"tensor": tensor, "optimizer": "muon"})] == [0, 0]
        else:
            main(str(out), STEPS, Layout(), optimizer="muon")
        np.testing.assert_allclose(losses(out), losses(single), rtol=1e-5, atol=1e-5)
        ours = disk.read(Store(out).child("final"))
        assert set(ours.moments) == set(theirs.moments)
        for key, moment in theirs.moments.items():
            torch.testing.assert_close(ours.moments[key], moment, rtol=1e-3, atol=1e-6)


def test_resume_on_the_same_layout_is_bit_equal(stopped: Path, tmp_path: Path) -> None:
    """All numbers are; the files of several processes are not, since safetensors writes their headers in no fixed order."""
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    shutil.copytree(stopped, resumed)
    for out in (whole, resumed):
        assert [code for code, _ in run_ranks(out, PIPED)] == [0] * 4
    for name in ("metrics.jsonl", "heldout.jsonl", "skips.jsonl", "alarms.jsonl", "scores.jsonl"):
        assert (whole / name).read_bytes() == (resumed / name).read_bytes()
    ours, theirs = (disk.read(Store(out).child("final")) for out in (whole, resumed))
    for a, b in ((ours.weights, theirs.weights), (ours.moments, theirs.moments)):
        assert set(a) == set(b) and all(torch.equal(a[n], b[n]) for n in a)


def test_a_hung_process_ends_all_with_their_stacks(tmp_path: Path) -> None:
    done = run_ranks(tmp_path, {"data": 2}, stop=-6)
    assert any(code == HUNG for code, _ in done) and all(code != 0 for code, _ in done)
    stacks = sorted(p.name for p in (tmp_path / "telemetry").glob("stacks-rank-*.txt"))
    assert stacks, done
    told = [(tmp_path / "telemetry" / name).read_text() for name in stacks]
    assert any("in measure" in text or "in batch" in text for text in told), "where each thread stood"


def test_a_damaged_part_is_noticed(stopped: Path, tmp_path: Path) -> None:
    out = Store(tmp_path / "out")
    shutil.copytree(stopped, out.root)
    folder = out.child(disk.folder_of(10))
    path = next(folder.path().glob("shard-00003*"))
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match=r"shard-00003.*checksum"):
        disk.read(folder)
    path.unlink()
    with pytest.raises(IntegrityError, match=r"shard-00003.* is missing"):
        disk.verify(folder, disk.read_state(folder))


def test_a_layout_that_other_processes_run_is_told(tmp_path: Path) -> None:
    from skyloom.core.errors import ConfigError
    from skyloom.train.distributed.mesh import join

    with pytest.raises(ConfigError, match=r"\b4 processes.*\b1\b"):
        join(replace(BASE, layout=Layout(data=4)).layout)
