"""What a run costs: figures by their formulas, lines that survive a resume, and services that may fail without harm."""

from __future__ import annotations

import importlib.util
import json
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.train.watch import trackers
from skyloom.train.watch.monitor import score_line
from skyloom.train.watch.telemetry import Telemetry

MODEL = ModelConfig(vocabulary=1000, hidden=64, layers=3, heads=4, ffn=160, context=128)
FLOPS, CAUSAL = MODEL.flops_per_token(128), MODEL.flops_per_token(128, causal=True)


class Listener(Progress):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def log(self, text: str) -> None:
        self.said.append(text)


def record(step: int) -> dict[str, Any]:
    return {"stage": "stage1", "step": step, "tokens": step * 4096, "loss": 3.0 / step, "lr": 1e-3, "grad_norm": 1.0}


def heldout(step: int, name: str = "web_zh") -> dict[str, Any]:
    return {"step": step, "set": name, "loss": 2.5, "bits_per_byte": 1.2}


def lines(out: Store) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text("telemetry/speed.jsonl").splitlines()]


def test_a_line_has_the_figures_of_its_formulas(tmp_path: Path) -> None:
    out = Store(str(tmp_path))
    with Telemetry(out, 0, FLOPS, 1e12, causal_flops_per_token=CAUSAL, world=4, every=3) as telemetry:
        assert telemetry.note() == ""
        for step in range(1, 8):
            telemetry.step(record(step), 4096, 0.5, 0.05)
        assert telemetry.note().startswith("8,192 tokens/s, MFU ")
    found = lines(out)
    assert [row["step"] for row in found] == [3, 6]
    hidden, ffn, layers, vocabulary, sequence = 64, 160, 3, 1000, 128
    multiplied = layers * (4 * hidden**2 + 3 * hidden * ffn + 2 * hidden) + vocabulary * hidden + hidden
    scores = 12 * layers * hidden * sequence
    for row in found:
        assert row["tokens_per_s"] == pytest.approx(8192) and row["tokens_per_s_per_device"] == pytest.approx(2048)
        assert row["data_wait_share"] == pytest.approx(0.1) and row["seconds"] == pytest.approx(1.5)
        assert row["mfu"] == pytest.approx(8192 * (6 * multiplied + scores) / 4e12)
        assert row["mfu_causal"] == pytest.approx(8192 * (6 * multiplied + scores / 2) / 4e12)
        assert row["peak_flops"] == 1e12 and row["memory_bytes"] > 1e7


def test_without_a_peak_there_is_no_utilisation(tmp_path: Path) -> None:
    """On a processor: a peak measured on a busy machine would make the slower of two stages look the better used."""
    out = Store(str(tmp_path))
    with Telemetry(out, 0, FLOPS, None, causal_flops_per_token=CAUSAL, every=2) as telemetry:
        for step in range(1, 3):
            telemetry.step(record(step), 4096, 0.5, 0.05)
        assert telemetry.note().startswith("8,192 tokens/s, waiting ")
    (row,) = lines(out)
    assert (row["mfu"], row["mfu_causal"], row["peak_flops"]) == (None, None, None) and row["tokens_per_s"] == pytest.approx(8192)
    board = EventAccumulator(str(tmp_path / "telemetry" / "tensorboard"))
    board.Reload()
    assert "speed/mfu" not in board.Tags()["scalars"] and "speed/tokens_per_s" in board.Tags()["scalars"]


def test_lines_behind_the_checkpoint_are_dropped_and_curves_are_in_tensorboard(tmp_path: Path) -> None:
    out = Store(str(tmp_path))
    with Telemetry(out, 0, FLOPS, 1e12, every=2) as telemetry:
        for step in range(1, 9):
            telemetry.step(record(step), 10, 0.1, 0.0)
    time.sleep(1.1)  # TensorBoard orders its files by their second, and those of one second by chance
    with Telemetry(out, 4, FLOPS, 1e12, every=2) as telemetry:
        for step in range(5, 7):
            telemetry.step(record(step), 10, 0.1, 0.0)
        telemetry.heldout(heldout(6))
        telemetry.score(score_line("stage1", 6, 24576, {"benchmark": "exercises", "lang": "zh-Hans", "accuracy": 0.25}))
        telemetry.alarm({"kind": "repeats", "set": "web_zh", "step": 6})
    assert [row["step"] for row in lines(out)] == [2, 4, 6]
    board = EventAccumulator(str(tmp_path / "telemetry" / "tensorboard"))
    board.Reload()
    assert [e.step for e in board.Scalars("train/loss")] == [1, 2, 3, 4, 5, 6]
    for name, value in (("heldout_loss/web_zh", 2.5), ("score/exercises/zh-Hans", 0.25), ("alarm/repeats/web_zh", 1.0)):
        assert [(e.step, e.value) for e in board.Scalars(name)] == [(6, pytest.approx(value))]
    assert len(board.Scalars("speed/mfu")) == 3


class Service:
    """A tracker that fails, hangs or works, as a test says; `calls` is what it got."""

    def __init__(self, fail: set[int] | None = None, refuse: int = 0, hang: threading.Event | None = None) -> None:
        self.calls: list[tuple[dict[str, float], int]] = []
        self.opened: list[str] = []
        self.closed = 0
        self.id = ""
        self._fail, self._refuse, self._hang = fail or set(), refuse, hang

    def __call__(self, id: str, name: str, folder: Path, settings: Mapping[str, Any]) -> Service:
        self.opened.append(id)
        if len(self.opened) <= self._refuse:
            raise ConnectionError("没有网络\nno route to host")
        self.id = id or "run-1"
        return self

    def add(self, figures: Mapping[str, float], step: int) -> None:
        if self._hang is not None:
            self._hang.wait(30)
        if step in self._fail:
            raise ConnectionError("no route to host")
        self.calls.append((dict(figures), step))

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Put a service in the place of W&B."""

    def put(service: Service) -> Service:
        monkeypatch.setitem(trackers.SERVICES, "wandb", ("json", service))
        return service

    return put


def run(out: Store, listener: Listener, first: int = 0) -> None:
    with Telemetry(out, first, FLOPS, 1e12, every=5, trackers=("wandb",), progress=listener) as telemetry:
        for step in range(first + 1, first + 6):
            telemetry.step(record(step), 10, 0.1, 0.0)
        telemetry.heldout(heldout(first + 5))


def test_a_service_gets_all_figures_and_a_later_attempt_goes_on_with_its_run(install: Any, tmp_path: Path) -> None:
    out, listener, service = Store(str(tmp_path)), Listener(), install(Service())
    run(out, listener)
    run(out, listener, first=5)
    assert service.opened == ["", "run-1"] and service.closed == 2 and listener.said == []
    assert [step for figures, step in service.calls if "train/loss" in figures] == list(range(1, 11))
    assert any("speed/mfu" in figures for figures, _ in service.calls)
    assert any("heldout_bits_per_byte/web_zh" in figures for figures, _ in service.calls)
    told = out.read_json("telemetry/trackers.json")["wandb"]
    assert told == {"id": "run-1", "sent": 7, "lost": 0, "problem": ""}


@pytest.mark.parametrize("broken", [b"{", "坏了".encode("utf-16"), b"[" * 100_000, b"[3]", b'{"wandb": 3}'], ids=range(5))
def test_damaged_telemetry_of_an_earlier_attempt_is_told_and_begins_anew(broken: bytes, install: Any, tmp_path: Path) -> None:
    out, listener, service = Store(str(tmp_path)), Listener(), install(Service())
    out.write_bytes("telemetry/trackers.json", broken)
    out.write_bytes("telemetry/speed.jsonl", broken)
    run(out, listener)
    assert service.opened == [""] and [row["step"] for row in lines(out)] == [5]
    assert [line.split(" is damaged")[0] for line in listener.said] == [
        out.url(f"telemetry/{n}") for n in ("speed.jsonl", "trackers.json")
    ]


def test_what_a_service_does_not_take_is_told_once_and_counted(install: Any, tmp_path: Path) -> None:
    out, listener, service = Store(str(tmp_path)), Listener(), install(Service(fail={2, 4}))
    run(out, listener)
    assert len(service.calls) == 5 and lines(out)
    assert sum("this is said once" in text for text in listener.said) == 1
    assert any("2 of 7" in text and "not sent" in text and "ConnectionError: no route to host" in text for text in listener.said)
    assert out.read_json("telemetry/trackers.json")["wandb"]["lost"] == 2


def test_a_service_that_is_not_there_is_not_asked_at_every_step(install: Any, tmp_path: Path) -> None:
    out, listener, service = Store(str(tmp_path)), Listener(), install(Service(refuse=99))
    run(out, listener)
    assert service.opened == [""] and len(listener.said) == 2
    assert "没有网络" in listener.said[0] and "7 of 7" in listener.said[1]


def test_a_service_that_hangs_delays_only_the_end(install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "PATIENCE", 0.2)
    free = threading.Event()
    out, listener = Store(str(tmp_path)), Listener()
    install(Service(hang=free))
    run(out, listener)
    free.set()
    assert any("(it does not answer)" in text for text in listener.said) and lines(out)


def test_a_full_queue_loses_figures_and_says_so(install: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "WAITING", 2)
    monkeypatch.setattr(trackers, "PATIENCE", 0.2)
    free = threading.Event()
    out, listener = Store(str(tmp_path)), Listener()
    install(Service(hang=free))
    run(out, listener)
    free.set()
    assert any("it is too slow" in text for text in listener.said)
    assert out.read_json("telemetry/trackers.json")["wandb"]["lost"] >= 4


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_package_that_is_not_there_is_named_with_its_extra(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trackers.SERVICES, name, ("no_such_package_here", trackers.Wandb))
    with pytest.raises(ConfigError, match=rf"{name}\b.*not installed.*pip install 'skyloom\[{name}\]'"):
        Telemetry(Store(str(tmp_path)), 0, FLOPS, 1e12, trackers=(name,))


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed (the extra mlflow)")
def test_mlflow_itself_takes_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "实验")
    out, listener = Store(str(tmp_path / "run")), Listener()
    for first in (0, 5):
        settings = {"train": {"seed": 1, "many": {f"key{n}": n for n in range(120)}}}
        with Telemetry(out, first, FLOPS, 1e12, every=5, trackers=("mlflow",), progress=listener, settings=settings) as telemetry:
            for step in range(first + 1, first + 6):
                telemetry.step(record(step), 10, 0.1, 0.0)
    assert listener.said == []
    client = MlflowClient()
    experiment = client.get_experiment_by_name("实验")
    (found,) = client.search_runs([experiment.experiment_id])
    assert sorted(m.step for m in client.get_metric_history(found.info.run_id, "train/loss")) == list(range(1, 11))
    assert found.info.status == "FINISHED" and found.data.params["train.seed"] == "1" and len(found.data.params) == 121


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed (the extra wandb)")
def test_wandb_itself_takes_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    out, listener = Store(str(tmp_path)), Listener()
    run(out, listener)
    run(out, listener, first=5)
    assert listener.said == []
    files = list((tmp_path / "telemetry" / "wandb").glob("offline-run-*/*.wandb"))
    assert files and all(f.stat().st_size for f in files)
    assert len({f.stem for f in files}) == 1  # both attempts are one run


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed (the extra wandb)")
def test_wandb_without_a_key_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    out, listener = Store(str(tmp_path / "run")), Listener()
    run(out, listener)
    assert "no API key" in listener.said[0] and len(lines(out)) == 1
