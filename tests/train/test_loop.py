"""Whole stages on a toy corpus: what they write, that they learn, that they survive being killed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import TELEMETRY, Store
from skyloom.train import checkpoint as disk
from skyloom.train.config import StageConfig
from skyloom.train.recover import Interrupted, NotFiniteError
from skyloom.train.watch.monitor import cut, sample
from tests.train.toy import CONFIG, DOMAINS, MODEL, ToyBatch, ToyLoader, ToySet, heldout, train

STEPS = 24
SECOND = StageConfig(name="stage2", schedule="constant", peak=6e-4, monitor_points=2, releases=1)


def content(out: Store) -> dict[str, str]:
    """Checksums of everything but telemetry."""
    return {n: hashlib.sha256(out.read_bytes(n)).hexdigest() for n in out.names() if not n.startswith(TELEMETRY)}


def lines(out: Store, name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.read_text(name).splitlines()]


class Listener(Progress):
    """Remembers what would have been shown."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def log(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Stage 1 without a disturbance."""
    out = Store(str(tmp_path_factory.mktemp("whole")))
    train(out, STEPS)
    return out


def test_what_a_stage_writes(whole: Store) -> None:
    names = [n for n in whole.names() if not n.startswith(f"{TELEMETRY}tensorboard")]
    assert names == [
        "alarms.jsonl",
        *(f"checkpoints/step-0000012/{n}" for n in ("model.safetensors", "optimizer.safetensors", "state.json")),
        *(f"final/{n}" for n in ("model.safetensors", "optimizer.safetensors", "state.json")),
        "heldout.jsonl", "metrics.jsonl", "plan.json", "scores.jsonl", "skips.jsonl", "telemetry/energy.json",
        "telemetry/live.jsonl", "telemetry/scoring.jsonl", "telemetry/speed.jsonl",
    ]  # fmt: skip
    metrics = lines(whole, "metrics.jsonl")
    assert [m["step"] for m in metrics] == list(range(1, STEPS + 1))
    assert metrics[-1]["tokens"] == STEPS * 4 * 32 and metrics[0]["shares"] == dict.fromkeys(DOMAINS, 0.5)
    assert list(metrics[0]) == ["stage", "step", "tokens", "loss", "lr", "grad_norm", "shares"]
    watched = lines(whole, "heldout.jsonl")
    assert [(w["step"], w["set"]) for w in watched] == [(s, d) for s in (0, 6, 12, 18, 24) for d in DOMAINS]
    for record in watched:
        assert record["low"] <= record["loss"] <= record["high"]
        ratio = record["scored_tokens"] / record["scored_bytes"] / np.log(2)
        assert record["bits_per_byte"] == pytest.approx(record["loss"] * ratio)
    speed = lines(whole, "telemetry/speed.jsonl")
    assert [s["step"] for s in speed] == [10, 20]
    figures = {
        "step",
        "tokens",
        "tokens_per_s",
        "tokens_per_s_per_device",
        "data_wait_share",
        "mfu",
        "mfu_causal",
        "peak_flops",
        "memory_bytes",
        "seconds",
    }
    assert figures <= set(speed[0])
    assert speed[0]["mfu"] is None and speed[0]["peak_flops"] is None  # a processor has no peak
    assert any(n.startswith("telemetry/tensorboard/events") for n in whole.names())


def test_it_learns_both_languages(tmp_path: Path) -> None:
    out = Store(str(tmp_path))
    train(out, 80, config=dataclasses.replace(CONFIG, checkpoint_seconds=60.0))
    losses = {(w["step"], w["set"]): w["loss"] for w in lines(out, "heldout.jsonl")}
    for domain in DOMAINS:
        assert losses[80, domain] < 0.6 * losses[0, domain]
    metrics = lines(out, "metrics.jsonl")
    assert metrics[-1]["loss"] < 0.6 * metrics[0]["loss"]


def test_bf16_follows_fp32(whole: Store, tmp_path: Path) -> None:
    wide = Store(str(tmp_path))
    train(wide, STEPS, config=dataclasses.replace(CONFIG, precision="fp32", checkpoint_seconds=60.0))
    a, b = ([m["loss"] for m in lines(s, "metrics.jsonl")] for s in (whole, wide))
    np.testing.assert_allclose(a, b, rtol=0.02)
    assert a != b


def test_the_same_again_and_again(whole: Store, tmp_path: Path) -> None:
    """A second run gives the same bytes; a finished one is left as it is; a rare checkpoint changes nothing."""
    out = Store(str(tmp_path))
    train(out, STEPS, config=dataclasses.replace(CONFIG, checkpoint_seconds=600.0))
    assert content(out) == content(whole)
    train(out, STEPS)
    assert content(out) == content(whole)


def interrupted_at(step: int, out: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until SIGINT arrives during `step`."""
    real = ToyLoader.batch

    seen: list[int] = []

    def batch(self: ToyLoader, number: int, **rows: int) -> ToyBatch:
        seen.append(number)
        if number == step and len(seen) > 1:  # the first is the rehearsal
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, number, **rows)

    with monkeypatch.context() as patch:
        patch.setattr(ToyLoader, "batch", batch)
        with pytest.raises(Interrupted, match=rf"after step {step + 1} of {STEPS}\b.*again") as stopped:
            train(out, STEPS, config=dataclasses.replace(CONFIG, checkpoint_seconds=600.0))
    assert stopped.value.exit_code == 130


@pytest.mark.parametrize("step", [0, 5, 12, 22])
def test_an_interrupted_run_goes_on_bit_for_bit(step: int, whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, handler = Store(str(tmp_path)), signal.getsignal(signal.SIGINT)
    interrupted_at(step, out, monkeypatch)
    assert signal.getsignal(signal.SIGINT) is handler
    listener = Listener()
    train(out, STEPS, progress=listener)
    assert any(f"going on after step {step + 1}" in text for text in listener.said)
    assert content(out) == content(whole)


def reached(out: Store, step: int) -> bool:
    """Whether a checkpoint of `step` or later is begun; looked at while another process writes and removes them."""
    folder = out.path(disk.FOLDER)
    return folder.is_dir() and any(int(p.name.removeprefix("step-")) >= step for p in folder.iterdir())


def test_killed_at_random_moments(whole: Store, tmp_path: Path) -> None:
    """SIGKILL twice, with a checkpoint at every step so that the kill often falls into its writing."""
    out, draw = Store(str(tmp_path)), random.Random(11)
    program = [sys.executable, str(Path(__file__).with_name("toy.py")), out.root, str(STEPS)]
    for after in (draw.randint(1, 6), draw.randint(8, 16)):
        process = subprocess.Popen(program, stderr=subprocess.DEVNULL)
        while process.poll() is None and not reached(out, after):
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not out.exists("final/state.json")
    out.sweep()  # as `run_steps` does
    train(out, STEPS)
    assert content(out) == content(whole)


@pytest.mark.parametrize("victim", ["model.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_passed_over(victim: str, whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Store(str(tmp_path))
    interrupted_at(16, out, monkeypatch)
    assert disk.steps(out) == [12, 17]
    path = out.path(f"checkpoints/step-0000017/{victim}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(bytes(data))
    listener = Listener()
    train(out, STEPS, progress=listener)
    assert any("step-0000017 cannot be used" in text for text in listener.said)
    assert any("going on after step 12" in text for text in listener.said)
    assert content(out) == content(whole)


def test_a_changed_number_in_a_state_is_noticed(whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Store(str(tmp_path))
    interrupted_at(16, out, monkeypatch)
    name = "checkpoints/step-0000017/state.json"
    out.write_text(name, out.read_text(name).replace('"stage_step": 17', '"stage_step": 16'))
    train(out, STEPS)
    assert content(out) == content(whole)


def test_lost_lines_of_a_journal_are_noticed(whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint whose metrics are gone is not whole: the steps are done again rather than left out of the curves."""
    out = Store(str(tmp_path))
    interrupted_at(16, out, monkeypatch)
    out.write_text("metrics.jsonl", "".join(out.read_text("metrics.jsonl").splitlines(keepends=True)[:14]))
    train(out, STEPS)
    assert content(out) == content(whole)


def test_a_journal_that_is_no_text_is_noticed(whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, listener = Store(str(tmp_path)), Listener()
    interrupted_at(16, out, monkeypatch)
    out.write_bytes("metrics.jsonl", b"\xff" + out.read_bytes("metrics.jsonl"))
    train(out, STEPS, progress=listener)
    assert any("not text" in text for text in listener.said)
    assert content(out) == content(whole)


def test_a_damaged_end_is_done_again(whole: Store, tmp_path: Path) -> None:
    shutil.copytree(whole.root, tmp_path / "copy")
    out, listener = Store(str(tmp_path / "copy")), Listener()
    out.remove("final/optimizer.safetensors")
    train(out, STEPS, progress=listener)
    assert any("final checkpoint" in text and "cannot" in text for text in listener.said)
    assert content(out) == content(whole)


def test_stage_two_goes_on_from_stage_one(whole: Store, tmp_path: Path) -> None:
    """Two stages at one rate equal one long stage: weights, moments and the count of updates carry over."""
    constant = StageConfig(name="stage1", schedule="constant", peak=1e-3, monitor_points=1, releases=1)
    first, second, long = (Store(str(tmp_path / n)) for n in ("first", "second", "long"))
    relaxed = dataclasses.replace(CONFIG, checkpoint_seconds=600.0)

    class Later(ToyLoader):
        def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
            return super().batch(step + 6, rank=rank, world=world)

    train(first, 6, stage=constant, config=relaxed)
    train(second, 5, stage=dataclasses.replace(constant, name="stage2"), start=first, loader=Later(5), config=relaxed)
    train(long, 11, stage=constant, config=relaxed)
    a, b = disk.read(second.child("final")), disk.read(long.child("final"))
    for ours, theirs in ((a.weights, b.weights), (a.moments, b.moments)):
        assert all(torch.equal(ours[n], theirs[n]) for n in theirs) and set(ours) == set(theirs)
    metrics = lines(second, "metrics.jsonl")
    assert [m["step"] for m in metrics] == [7, 8, 9, 10, 11]
    assert (metrics[0]["stage"], metrics[-1]["tokens"]) == ("stage2", 11 * 4 * 32)
    assert [(w["step"], w["set"]) for w in lines(second, "heldout.jsonl")] == [(11, d) for d in DOMAINS]


def test_a_held_out_loss_that_is_no_number_names_the_set(tmp_path: Path) -> None:
    """The last step may break the weights; its own loss is still a number, the next look at the held-out sets is not."""
    steep = dataclasses.replace(SECOND, peak=1e38)
    with pytest.raises(NotFiniteError, match=r"stage2, step 1: .*web_en.*\b(nan|inf)\b.*lower"):
        train(Store(str(tmp_path)), 1, stage=steep)


def test_a_single_held_out_document_has_no_interval(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.train.toy.heldout", lambda: {"web_zh": ToySet(("a",), ("二加二等于四。",))})
    out = Store(str(tmp_path))
    train(out, 2, stage=SECOND)
    assert [(w["low"], w["high"]) for w in lines(out, "heldout.jsonl")] == [(None, None)] * 3


def test_another_thread_count_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, listener = Store(str(tmp_path)), Listener()
    interrupted_at(21, out, monkeypatch)
    train(out, STEPS, config=dataclasses.replace(CONFIG, threads=2), progress=listener)
    assert any("threads 1" in text and " 2" in text for text in listener.said)


def test_settings_that_do_not_fit_are_told(whole: Store, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"other.*settings"):
        train(whole, STEPS, config=dataclasses.replace(CONFIG, weight_decay=0.2))
    with pytest.raises(IntegrityError, match=r"stream.*别的数据流"):
        train(whole, STEPS, loader=ToyLoader(STEPS, seed=6))
    with pytest.raises(ConfigError, match="at most 32 tokens"):
        train(Store(str(tmp_path / "a")), 3, config=dataclasses.replace(CONFIG, context=64))
    with pytest.raises(ConfigError, match="training needs int64"):
        train(Store(str(tmp_path / "b")), 3, loader=ToyLoader(3, batch_size=2))
    with pytest.raises(IntegrityError, match="not a whole checkpoint"):
        train(Store(str(tmp_path / "c")), 3, start=Store(str(tmp_path / "nothing")))


def test_the_next_batch_is_asked_for_before_it_is_needed(tmp_path: Path) -> None:
    calls: list[tuple[str, int]] = []

    class Noting(ToyLoader):
        def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
            calls.append(("batch", step))
            return super().batch(step, rank=rank, world=world)

        def prefetch(self, step: int, *, rank: int = 0, world: int = 1) -> None:
            calls.append(("prefetch", step))

    train(Store(str(tmp_path)), 3, stage=SECOND, loader=Noting(3))
    rehearsal = [("batch", 0), ("prefetch", 1)]
    assert calls == [*rehearsal, *rehearsal, ("batch", 1), ("prefetch", 2), ("batch", 2)]


def test_no_compiler_means_eager_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyloom.train.step.machine._compile_problem", lambda: "no g++")
    listener = Listener()
    train(Store(str(tmp_path / "a")), 2, stage=SECOND, config=dataclasses.replace(CONFIG, compile="auto"), progress=listener)
    assert any("compile" in text and "(no g++)" in text for text in listener.said)
    assert disk.read_state(Store(str(tmp_path / "a" / "final")))["compiled"] is False
    with pytest.raises(ConfigError, match="install g"):
        train(Store(str(tmp_path / "b")), 2, stage=SECOND, config=dataclasses.replace(CONFIG, compile="on"))


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_compiled_training_follows_eager(tmp_path: Path) -> None:
    shallow = dataclasses.replace(MODEL, layers=1)
    losses = []
    for wish in ("on", "off"):
        out = Store(str(tmp_path / wish))
        train(out, 6, stage=SECOND, model=shallow, config=dataclasses.replace(CONFIG, compile=wish, checkpoint_seconds=600.0))
        assert disk.read_state(out.child("final"))["compiled"] is (wish == "on")
        losses.append([m["loss"] for m in lines(out, "metrics.jsonl")])
    np.testing.assert_allclose(*losses, rtol=0.01)


def test_sampled_texts_are_bounded_and_steady() -> None:
    texts = ("云" * 50, "short", "😀" * 40, " " * 9, "x" * 100)
    item = ToySet(("c", "a", "b", "d", "e"), texts)
    assert sample(item, 10_000, 30) == ["short", "😀" * 7, "云" * 10, "x" * 30]
    assert sample(item, 40, 30) == ["short", "😀" * 7]
    assert sample(item, 1, 30) == ["short"]
    assert cut("天空", 4) == "天" and cut("天空", 6) == "天空"


def test_held_out_sets_without_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener, empty = Listener(), ToySet((), ())
    monkeypatch.setattr("tests.train.toy.heldout", lambda: {"code": empty, **heldout()})
    train(Store(str(tmp_path / "a")), 2, stage=SECOND, progress=listener)
    assert any("held-out set code" in text and "no documents" in text for text in listener.said)
    monkeypatch.setattr("tests.train.toy.heldout", lambda: {"code": empty})
    with pytest.raises(DataError, match="no held-out set"):
        train(Store(str(tmp_path / "b")), 2, stage=SECOND)
