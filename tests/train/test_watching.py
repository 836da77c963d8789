"""What training says while it goes on: alarms, scores of released checkpoints, lines for those who watch, speed in the log."""

from __future__ import annotations

import dataclasses
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.train import recording
from skyloom.train.config import StageConfig
from skyloom.train.recover import Interrupted
from skyloom.train.watch import trackers
from skyloom.train.watch.journal import METRICS, SCORES, SKIPS, Journal
from skyloom.train.watch.live import ATTEMPT, JOURNAL, LIVE, Live
from tests.train.test_loop import Listener, content, lines
from tests.train.test_recover import CAREFUL, STAGE, poisoned
from tests.train.toy import CONFIG, ToyBatch, ToyLoader, train

STEPS = 90
OFTEN = StageConfig(name="stage1", schedule="constant", peak=1e-2, monitor_points=30, releases=3)
SELDOM = dataclasses.replace(CONFIG, checkpoint_seconds=600.0, log_every=20)
JOURNALS = ("alarms.jsonl", "heldout.jsonl", "metrics.jsonl", "scores.jsonl", "skips.jsonl", "telemetry/speed.jsonl")


@dataclasses.dataclass(frozen=True)
class Repeating(ToyLoader):
    """The same four samples over and over: they are learnt by heart, and the held-out losses rise."""

    stop: int = 0

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
        if self.stop and step == self.stop:
            signal.raise_signal(signal.SIGINT)
        return super().batch(0, rank=rank, world=world)


def followed(out: Store) -> dict[str, list[dict[str, Any]]]:
    """The lines of `live.jsonl` by journal, without their journal's name."""
    first, *rest = lines(out, LIVE)
    assert set(first) == {ATTEMPT}
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in JOURNALS}
    for record in rest:
        found[str(record.pop(JOURNAL))].append(record)
    return found


@pytest.fixture(scope="module")
def repeated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Listener]:
    out, listener = Store(str(tmp_path_factory.mktemp("repeated"))), Listener()
    train(out, STEPS, stage=OFTEN, config=SELDOM, loader=Repeating(STEPS), progress=listener)
    return out, listener


def test_data_that_repeats_raises_an_alarm(repeated: tuple[Store, Listener]) -> None:
    out, listener = repeated
    alarms = [a for a in lines(out, "alarms.jsonl") if a["kind"] == "repeats"]
    assert alarms and alarms[0]["set"] == "all" and alarms[0]["stage"] == "stage1"
    said = [text for text in listener.said if "alarm: " in text]
    assert len(said) == len(lines(out, "alarms.jsonl"))
    assert said[0].startswith("warning: stage1, step ") and "the data may repeat" in " ".join(said)
    board = EventAccumulator(str(out.path("telemetry/tensorboard")))
    board.Reload()
    assert [e.step for e in board.Scalars("alarm/repeats/all")] == [a["step"] for a in alarms]


@pytest.mark.parametrize("stop", [40, 75])
def test_a_run_that_goes_on_raises_the_same_alarms(stop: int, repeated: tuple[Store, Listener], tmp_path: Path) -> None:
    out = Store(str(tmp_path))
    with pytest.raises(Interrupted):
        train(out, STEPS, stage=OFTEN, config=SELDOM, loader=Repeating(STEPS, stop=stop))
    train(out, STEPS, stage=OFTEN, config=SELDOM, loader=Repeating(STEPS))
    assert content(out) == content(repeated[0])


def test_released_checkpoints_are_scored(repeated: tuple[Store, Listener]) -> None:
    out, _ = repeated
    found = lines(out, "scores.jsonl")
    assert [(s["step"], s["lang"]) for s in found] == [(step, lang) for step in (30, 60, 90) for lang in ("en", "zh")]
    assert list(found[0]) == ["stage", "step", "tokens", "benchmark", "lang", "items", "accuracy", "low", "high", "chance"]
    board = EventAccumulator(str(out.path("telemetry/tensorboard")))
    board.Reload()
    assert [(e.step, e.value) for e in board.Scalars("score/sums/zh")] == [(s["step"], s["accuracy"]) for s in found[1::2]]
    told = lines(out, "telemetry/scoring.jsonl")
    assert [(s["step"], s["kind"]) for s in told] == [(step, "sums") for step in (30, 60, 90)]
    assert all(s["share"] == pytest.approx(s["seconds"] / s["between_seconds"]) and s["seconds"] > 0 for s in told)


def test_speed_is_told_every_so_many_steps(repeated: tuple[Store, Listener]) -> None:
    said = [text for text in repeated[1].said if "tokens/s" in text]
    assert [text.split(":")[0] for text in said] == [f"stage1, step {step}" for step in (20, 40, 60, 80)]
    assert all("waiting" in text and " GB" in text and "loss" in text for text in said)
    assert not any("MFU" in text for text in repeated[1].said), "a processor has no peak that a share of it could be of"


def test_live_lines_are_those_of_the_journals(repeated: tuple[Store, Listener]) -> None:
    out, _ = repeated
    assert followed(out) == {name: lines(out, name) for name in JOURNALS}


def test_lines_are_there_before_any_checkpoint(tmp_path: Path) -> None:
    """At each step the file already tells of the step before."""
    out, told = Store(str(tmp_path)), list[int]()

    class Looking(ToyLoader):
        def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
            if out.exists(LIVE):
                told.append(len(followed(out)["metrics.jsonl"]))
                assert not out.exists("metrics.jsonl")
            return super().batch(step, rank=rank, world=world)

    train(out, 6, stage=dataclasses.replace(STAGE, releases=1), config=SELDOM, loader=Looking(6))
    assert told == [0, 1, 2, 3, 4, 5]


def test_what_was_undone_is_not_in_the_live_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither steps behind the checkpoint that an interrupted run goes on from, nor those before a rollback."""
    out = Store(str(tmp_path))
    config = dataclasses.replace(CAREFUL, checkpoint_seconds=600.0)
    with poisoned(monkeypatch, lambda step: float("inf") if step in (15, 16) else None):
        train(out, 24, stage=STAGE, config=config)
    found = followed(out)
    assert [s["step"] for s in found["skips.jsonl"]] == [13, 14, 15, 16] == [s["step"] for s in lines(out, "skips.jsonl")]
    assert found["metrics.jsonl"] == lines(out, "metrics.jsonl")
    attempts = {lines(out, LIVE)[0][ATTEMPT]}
    train(out, 24, stage=STAGE, config=config)  # finished: nothing is written
    assert attempts == {lines(out, LIVE)[0][ATTEMPT]}


def test_a_live_file_that_cannot_be_written_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    known = Journal(['{"step": 1, "名": "天"}\n'])
    live = Live(Store(str(tmp_path)), {METRICS: known}, listener)
    live.add(SKIPS, {"step": 2, "reason": "坏"})
    (begun, first, second) = (json.loads(line) for line in (tmp_path / LIVE).read_text("utf-8").splitlines())
    assert first == {"journal": "metrics.jsonl", "step": 1, "名": "天"} and len(begun[ATTEMPT]) == 32
    assert second == {"journal": "skips.jsonl", "step": 2, "reason": "坏"}

    class Full:
        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(live, "_file", Full())
    for step in (3, 4):
        live.add(SCORES, {"step": step})
    live.close()
    assert sum("dashboards stand still" in text for text in listener.said) == 1
    silent = Live(Store("memory://nowhere"), {}, Progress.silent())
    silent.add(METRICS, {"step": 1})
    silent.close()


def test_a_tracker_that_is_not_installed_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers.SERVICES, "wandb", ("no_such_package_here", trackers.Wandb))
    with pytest.raises(ConfigError, match=r"wandb\b.*not installed"):
        train(Store(str(tmp_path / "out")), 3, config=dataclasses.replace(CONFIG, trackers=("wandb",)))
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_or_read_beside_the_run_does_not_end_it(tmp_path: Path) -> None:
    """A `live.jsonl` that the disk refuses from the start, and rates of an earlier attempt that are damaged."""
    (tmp_path / "telemetry" / "live.jsonl").mkdir(parents=True)
    (tmp_path / "telemetry" / "speed.jsonl").write_text('{"step": 1')
    out, listener = Store(str(tmp_path)), Listener()
    train(out, 4, config=dataclasses.replace(CONFIG, log_every=2), progress=listener)
    said = " ".join(listener.said)
    assert (
        said.count("live.jsonl cannot be written (") == 1 and "dashboards stand still" in said and "speed.jsonl is damaged" in said
    )
    assert [row["step"] for row in lines(out, "telemetry/speed.jsonl")] == [2, 4]


@pytest.mark.parametrize(("precision", "emulated", "told"), [("bf16", True, 1), ("bf16", False, 0), ("fp32", True, 0)])
def test_who_trains_in_emulated_bf16_is_told(tmp_path, monkeypatch, precision, emulated, told):
    monkeypatch.setattr(recording, "emulates_bf16", lambda: emulated)
    listener = Listener()
    train(Store(str(tmp_path)), 4, config=dataclasses.replace(CONFIG, precision=precision), progress=listener)
    assert sum("--set train.precision=fp32" in line for line in listener.said) == told
