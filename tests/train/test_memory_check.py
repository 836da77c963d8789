"""What cannot fit is refused before it is allocated; what trains here passes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.presets import preset
from skyloom.planner.layout import Layout
from skyloom.train import memory_check
from skyloom.train.config import TrainConfig
from skyloom.train.dryrun.simulate import dry_run
from skyloom.train.memory_check import check_memory, least_bytes, memory_here
from tests.train.toy import CONFIG, MODEL, train

GIB = 2**30
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="a card's memory is counted there, not this machine's")


def test_the_least_is_what_the_state_takes_and_more() -> None:
    model = preset("skywork-13b")
    config = TrainConfig(batch=1, context=4096)
    assert least_bytes(config, model) > 16 * model.parameters
    assert least_bytes(dataclasses.replace(config, precision="fp32"), model) > 16 * model.parameters
    recomputed = dataclasses.replace(config, layout=Layout(recompute="full"))
    assert 16 * model.parameters < least_bytes(recomputed, model) < least_bytes(config, model)
    shared = dataclasses.replace(config, batch=256, layout=Layout(data=256, micro_batch=1))
    spared = (12 * 255 / 256 + 2 - 4 / 256) * model.parameters  # optimiser, and gradients that are reduced block by block
    assert least_bytes(shared, model) == pytest.approx(least_bytes(config, model) - spared, rel=1e-9)


@pytest.mark.parametrize("layout", [Layout(data=8, micro_batch=1), Layout(data=8, micro_batch=1, recompute="full")])
def test_the_least_is_no_more_than_what_the_trainer_holds(layout: Layout) -> None:
    """One micro-batch: ZeRO's replicas keep their own part of the gradient only."""
    model = ModelConfig(vocabulary=8192, hidden=512, layers=6, heads=8, ffn=1376, context=128)
    config = TrainConfig(batch=8, context=64, layout=layout)
    (run,) = dry_run(config, model, [layout], progress=Progress.silent())
    assert least_bytes(config, model) < run.fullest.peak


def test_it_is_refused_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    limit.write_text(f"{GIB}\n")
    monkeypatch.setattr(memory_check, "CGROUP", limit)
    assert memory_here() == (GIB, "this machine")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_here() == (GIB / 4, "each of the 4 processes on this machine")
    check_memory(CONFIG, MODEL)
    with pytest.raises(ConfigError, match=r"134,\d+,\d+ parameters .*[\d.]+ GiB .*\b0\.2 GiB.*micro_batch"):
        check_memory(CONFIG, preset("small-134m"))
    wide = dataclasses.replace(MODEL, hidden=8192, ffn=8192, layers=8)
    with pytest.raises(ConfigError, match="at least"):
        train(Store(str(tmp_path / "run")), 3, model=wide)
    assert not (tmp_path / "run").exists()
    limit.write_text("max\n")
    assert memory_here()[0] > 0
