"""Bad batches, rollbacks, signals and hung processes: what is skipped, what is recorded, and that a resumed run does the same."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from skyloom.core.errors import ConfigError, IntegrityError, StorageError
from skyloom.core.store import TELEMETRY, Store
from skyloom.train import checkpoint as disk
from skyloom.train.config import RecoverConfig, StageConfig, TrainConfig
from skyloom.train.recover import (
    HUNG,
    Interrupted,
    LostError,
    NotFiniteError,
    Rollback,
    left_out,
    lost_processes,
    next_rollback,
    read_rollbacks,
    stragglers,
    verdict,
    waiting,
)
from skyloom.train.step.learner import SingleLearner
from skyloom.train.step.machine import probe
from tests.train.toy import CONFIG, ToyLoader, train

STEPS = 24
STAGE = StageConfig(name="stage1", peak=3e-3, warmup_steps=2, monitor_points=2, releases=2)
GENTLE = RecoverConfig(skips=2, back=2, rollbacks=2, window=8)
CAREFUL = dataclasses.replace(CONFIG, recover=GENTLE)


def content(out: Store) -> dict[str, str]:
    return {n: hashlib.sha256(out.read_bytes(n)).hexdigest() for n in out.names() if not n.startswith(TELEMETRY)}


def rows(out: Store, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.read_text(name).splitlines()]


@contextmanager
def poisoned(monkeypatch: pytest.MonkeyPatch, bad: Callable[[int], float | None]) -> Iterator[list[int]]:
    """Measured losses of steps (from 1) are replaced where `bad` gives one; yields the steps that were measured."""
    real, seen = SingleLearner.measure, list[int]()

    def measure(self: SingleLearner, tokens: Tensor, step: int) -> tuple[float, float]:
        loss, norm = real(self, tokens, step)
        seen.append(step)
        said = bad(step) if step else None  # 0 is the rehearsal
        return (loss, norm) if said is None else (said, norm)

    with monkeypatch.context() as patch:
        patch.setattr(SingleLearner, "measure", measure)
        yield seen


def test_a_bad_batch_is_skipped_and_its_documents_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, clean = Store(str(tmp_path / "out")), Store(str(tmp_path / "clean"))
    with poisoned(monkeypatch, lambda step: float("nan") if step == 5 else None):
        train(out, STEPS, stage=STAGE, config=CAREFUL)
    train(clean, STEPS, stage=STAGE, config=CAREFUL)
    (skipped,) = rows(out, "skips.jsonl")
    assert (skipped["step"], skipped["stage_step"], skipped["loss"]) == (5, 4, None) and "nan" in str(skipped["reason"])
    assert skipped["documents"] == {
        "web_en": ["document-4-0", "document-4-2"], "web_zh": ["document-4-1", "document-4-3"],
    }  # fmt: skip
    ours, theirs = rows(out, "metrics.jsonl"), rows(clean, "metrics.jsonl")
    assert [m["step"] for m in ours] == [s for s in range(1, STEPS + 1) if s != 5]
    assert ours[:4] == theirs[:4] and ours[4]["loss"] != theirs[5]["loss"], "the update was left out, so what follows differs"
    assert disk.read_state(out.child("final"))["updates"] == STEPS - 1


def test_bad_batches_in_a_row_send_training_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bad batches at steps 10 and 11: back to before step 8, and steps 8 to 11 are left out."""
    out = Store(str(tmp_path / "out"))
    with poisoned(monkeypatch, lambda step: float("inf") if step in (10, 11) else None) as measured:
        train(out, STEPS, stage=STAGE, config=CAREFUL)
    assert [(r.first, r.last) for r in read_rollbacks(out)] == [(7, 10)]
    skips = rows(out, "skips.jsonl")
    assert [s["step"] for s in skips] == [8, 9, 10, 11]
    assert all(str(s["reason"]).startswith("left out: ") and s["documents"] for s in skips)
    assert measured.count(8) == 1 and measured.count(7) >= 1 and measured.count(12) == 1
    assert [m["step"] for m in rows(out, "metrics.jsonl")] == [*range(1, 8), *range(12, STEPS + 1)]


def test_going_back_does_not_depend_on_which_checkpoints_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    contents = []
    for seconds in (0.0, 600.0):  # a checkpoint at each step; none, so that the stage begins again
        out = Store(str(tmp_path / str(seconds)))
        config = dataclasses.replace(CAREFUL, checkpoint_seconds=seconds)
        with poisoned(monkeypatch, lambda step: 99.0 if step in (10, 11) else None):
            train(out, STEPS, stage=STAGE, config=config)
        contents.append(content(out))
    assert contents[0] == contents[1]


@pytest.mark.parametrize("moment", [9, 13])
def test_a_run_stopped_around_a_rollback_ends_alike(moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = Store(str(tmp_path / "whole")), Store(str(tmp_path / "out"))

    def bad(step: int) -> float | None:
        return float("nan") if step in (10, 11) else None

    with poisoned(monkeypatch, bad):
        train(whole, STEPS, stage=STAGE, config=CAREFUL)
    real = ToyLoader.batch

    def batch(self: ToyLoader, number: int, **which: int) -> object:
        if number == moment and not os.environ.pop("STOPPED", ""):
            signal.raise_signal(signal.SIGTERM)
            monkeypatch.setattr(ToyLoader, "batch", real)
        return real(self, number, **which)

    monkeypatch.setattr(ToyLoader, "batch", batch)
    with poisoned(monkeypatch, bad):
        with pytest.raises(Interrupted) as stopped:
            train(out, STEPS, stage=STAGE, config=CAREFUL)
        assert stopped.value.exit_code == 128 + signal.SIGTERM
        train(out, STEPS, stage=STAGE, config=CAREFUL)
    assert content(out) == content(whole)


def test_a_stop_in_the_last_step_lets_no_other_stage_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, out = Store(str(tmp_path / "whole")), Store(str(tmp_path / "out"))
    train(whole, 4, stage=STAGE)
    real = disk.Saver.save

    def save(self: disk.Saver, folder: Store, *rest: Any) -> None:
        if folder.root.endswith(disk.FINAL):
            signal.raise_signal(signal.SIGTERM)
        real(self, folder, *rest)

    monkeypatch.setattr(disk.Saver, "save", save)
    with pytest.raises(Interrupted, match="is trained") as stopped:
        train(out, 4, stage=STAGE)
    assert stopped.value.exit_code == 128 + signal.SIGTERM
    train(out, 4, stage=STAGE)
    assert content(out) == content(whole)


def test_a_run_that_stays_bad_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Store(str(tmp_path))
    with (
        poisoned(monkeypatch, lambda step: float("nan") if step >= 6 else None),
        pytest.raises(NotFiniteError, match=r"\b2 times\b.*lower.*peak") as given_up,
    ):
        train(out, STEPS, stage=STAGE, config=CAREFUL)
    assert given_up.value.exit_code == 6
    assert [(r.first, r.last) for r in read_rollbacks(out)] == [(3, 6), (3, 8)]


def test_what_is_a_spike() -> None:
    config, stream = RecoverConfig(window=64), np.random.default_rng(1)
    steady = (3.0 + 0.05 * stream.standard_normal(64)).tolist()
    assert verdict(config, 3.3, 1.0, steady) == "", "many deviations, but a small rise"
    assert "median of the last 64 steps" in verdict(config, 4.5, 1.0, steady)
    assert verdict(config, 4.5, 1.0, steady[:31]) == "", "too little is known yet"
    assert verdict(dataclasses.replace(config, spike_deviations=0.0), 99.0, 1.0, steady) == ""
    wild = (3.0 + 0.6 * stream.standard_normal(64)).tolist()
    assert verdict(config, 4.5, 1.0, wild) == "", "a rise, but few deviations"
    for loss, norm in ((float("nan"), 1.0), (2.0, float("inf"))):
        assert "norm" in verdict(config, loss, norm, [])


def test_healthy_training_is_hardly_suspected() -> None:
    """Falling curves with noise, 20,000 steps, seed 7: normal noise gives no spike, heavy-tailed noise (t with 5) a few in 10,000."""
    stream, config = np.random.default_rng(7), RecoverConfig()
    trend = 2 + 7 * np.arange(1, 20_001) ** -0.3
    for noise, most in ((stream.standard_normal(20_000), 0), (stream.standard_t(5, 20_000), 10)):
        losses = (trend + 0.1 * noise).tolist()
        assert sum(verdict(config, losses[s], 1.0, losses[max(0, s - 64) : s]) != "" for s in range(20_000)) <= most


def test_each_rollback_reaches_further() -> None:
    config = RecoverConfig(back=10, rollbacks=3)
    done: list[Rollback] = []
    for expected in (90, 80, 60):
        done.append(next_rollback(config, [100, 101], "bad", done))
        assert (done[-1].first, done[-1].last) == (expected, 101)
    with pytest.raises(NotFiniteError, match=r"\b3 times\b"):
        next_rollback(config, [100], "bad", done)
    assert set(left_out(done)) == set(range(60, 102))
    assert next_rollback(config, [4], "bad", []).first == 0


def test_a_damaged_list_of_rollbacks(tmp_path: Path) -> None:
    out = Store(str(tmp_path))
    out.write_json("rollbacks.json", [{"first": 1}])
    with pytest.raises(IntegrityError, match="list of rollbacks"):
        train(out, 3, stage=STAGE)


def test_slow_replicas_are_named() -> None:
    assert stragglers([(0, 1.0), (1, 1.1), (2, 2.0), (3, 0.9)], 1.5) == [(2, 2.0)]
    assert stragglers([(0, 1.0), (1, 3.0)], 1.5) == [(1, 3.0)]
    assert stragglers([(0, 5.0)], 1.5) == []


def test_ranks_that_wait_for_data_are_named_only_where_it_costs_a_part_of_the_step() -> None:
    assert waiting([(0.001, 1.0), (0.003, 1.0)], 1.5) == []
    # A step lasts as long for all: the others stand still in its first collective while one reads.
    assert waiting([(0.01, 2.0), (1.01, 2.0), (0.01, 2.0)], 1.4) == [(1, 1.0)]
    assert waiting([(5.0, 6.0)], 1.5) == [] and waiting([(5.0, 6.0), (5.0, 6.0)], 1.5) == []


GLOO = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4242"


@pytest.mark.parametrize(
    "problem",
    [
        RuntimeError(GLOO),
        dist.DistBackendError("remote process exited"),
        dist.DistNetworkError("对端已断开"),
        dist.DistStoreError("gone"),
    ],
)
def test_a_lost_process_is_told_only_where_there_are_others(problem: RuntimeError, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise problem

    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(type(problem)) as alone:
        lost_processes()(fail)()
    assert alone.value is problem
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(LostError, match="another process") as lost:
        lost_processes()(fail)()
    assert lost.value.exit_code == HUNG and lost.value.__cause__ is problem


def test_another_error_is_no_lost_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    problem = RuntimeError("the shapes of a residual connection differ: [4, 8] and [4, 9]")
    with pytest.raises(RuntimeError) as raised, lost_processes():
        raise problem
    assert raised.value is problem


def test_a_task_of_its_own_takes_time_on_any_device() -> None:
    assert probe(torch.device("cpu"), size=64, times=1) > 0


def test_a_hung_process_leaves_its_stacks(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from skyloom.train.recover import Watchdog\n"
        "def waits_for_ever(): time.sleep(60)\n"
        "with Watchdog(0.3, Path(sys.argv[1])) as dog:\n"
        "    for _ in range(5): time.sleep(0.1); dog.beat()\n"
        "    print('alive', flush=True); waits_for_ever()\n"
    )
    stacks = tmp_path / "telemetry" / "stacks.txt"
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program, str(stacks)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (HUNG, "alive\n") and time.monotonic() - started < 50
    assert "waits_for_ever" in stacks.read_text() and str(stacks) in done.stderr


def test_a_full_disk_ends_the_run_and_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, whole, real = Store(str(tmp_path / "out")), Store(str(tmp_path / "whole")), Store.write_bytes

    def write_bytes(self: Store, name: str, data: bytes) -> object:
        if name.endswith(disk.MOMENTS) and "step-0000009" in self.root:
            raise StorageError(f"{self.root}: No space left on device")
        return real(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write_bytes", write_bytes)
        with pytest.raises(StorageError, match="No space left"):
            train(out, STEPS, stage=STAGE)
    assert not out.exists("checkpoints/step-0000009/state.json") and out.exists("checkpoints/step-0000008/state.json")
    train(out, STEPS, stage=STAGE)
    train(whole, STEPS, stage=STAGE)
    assert content(out) == content(whole)


def test_what_is_kept_while_a_run_goes_on() -> None:
    have: set[int] = set()
    for step in range(10, 2000, 10):
        have = disk.retained(have | {step}, 32)
        assert {step, step - 10} & set(range(1, 2000)) <= have and len(have) <= 4
        if step > 100:
            assert any(step - 100 <= kept <= step - 32 for kept in have), "one is old enough to go back to"


def test_gradients_of_micro_batches_add_up(tmp_path: Path) -> None:
    losses = []
    for micro in (0, 1):
        out = Store(str(tmp_path / str(micro)))
        layout = dataclasses.replace(CONFIG.layout, micro_batch=micro)
        train(out, 8, stage=STAGE, config=dataclasses.replace(CONFIG, precision="fp32", layout=layout, checkpoint_seconds=600.0))
        losses.append([m["loss"] for m in rows(out, "metrics.jsonl")])
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_dropout_is_drawn_by_the_step(tmp_path: Path) -> None:
    """A stopped run of a model with dropout ends like a whole one; another seed draws otherwise."""
    from tests.train.toy import MODEL

    model = dataclasses.replace(MODEL, block="gpt", dropout=0.2)
    contents = []
    for name, seed, stop in (("whole", 1, None), ("stopped", 1, 5), ("other", 2, None)):
        out = Store(str(tmp_path / name))
        config = dataclasses.replace(CONFIG, seed=seed)
        if stop is not None:
            with pytest.raises(Interrupted):
                train(out, 12, stage=STAGE, config=config, model=model, loader=StoppingLoader(12, at=stop))
        torch.manual_seed(len(contents))
        train(out, 12, stage=STAGE, config=config, model=model)
        contents.append(content(out))
    assert contents[0] == contents[1] != contents[2]


@dataclasses.dataclass(frozen=True)
class StoppingLoader(ToyLoader):
    at: int = -1

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> object:
        if step == self.at:
            signal.raise_signal(signal.SIGINT)
        return super().batch(step, rank=rank, world=world)


def test_attention_can_stay_inside_documents(tmp_path: Path) -> None:
    """With one document a row nothing changes; the loss differs once rows hold several."""
    losses = {}
    for masked in (False, True):
        config = dataclasses.replace(CONFIG, mask_documents=masked, precision="fp32", checkpoint_seconds=600.0)
        for name, loader in (("one", ToyLoader(3)), ("several", PackedLoader(3))):
            out = Store(str(tmp_path / f"{name}-{masked}"))
            train(out, 3, stage=dataclasses.replace(STAGE, warmup_steps=1), config=config, loader=loader)
            losses[name, masked] = [m["loss"] for m in rows(out, "metrics.jsonl")]
    np.testing.assert_allclose(losses["one", False], losses["one", True], rtol=1e-5)
    assert losses["several", False] != losses["several", True]


class PackedLoader(ToyLoader):
    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> object:
        batch = super().batch(step, rank=rank, world=world)
        batch.tokens[:, 16] = 0  # BOS of a second document
        return batch


def test_a_layout_that_cannot_work_is_told(tmp_path: Path) -> None:
    def run(**layout: object) -> None:
        train(Store(str(tmp_path)), 3, stage=STAGE, config=TrainConfig(**{**vars(CONFIG), "layout": type(CONFIG.layout)(**layout)}))

    with pytest.raises(ConfigError, match=r"\b4 sequences.*\b3 replicas"):
        run(data=3)
    with pytest.raises(ConfigError, match="micro-batches of 3"):
        run(micro_batch=3)
    with pytest.raises(ConfigError, match=r"tensor = 3\b.*heads"):
        run(tensor=3)
