"""Meshes are made once while the processes stay together, and anew when they meet again."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
from torch import Tensor

from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout
from skyloom.train.checkpoint import Saver
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import mesh
from skyloom.train.distributed.parallel_learner import share_of_many
from skyloom.train.step.learner import Learner
from tests.train.toy import train


def test_a_later_stage_takes_the_mesh_that_is_there() -> None:
    first = mesh.join(Layout())
    assert mesh.join(Layout(micro_batch=2)).mesh is first.mesh
    mesh.leave()
    again = mesh.join(Layout())
    assert again.mesh is not first.mesh and again.replica == 0
    mesh.leave()


def test_a_stage_does_not_keep_the_learner_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many processes' learners are cycles; until they are collected, masters and moments lie in memory twice."""
    made: list[weakref.ref[Tensor]] = []

    def make(config: TrainConfig, model: ModelConfig, compiled: bool, bos_id: int) -> Learner:
        assert not any(before() is not None for before in made)
        learner = share_of_many(config, model, compiled, bos_id)
        made.append(weakref.ref(next(iter(learner.masters.values()))))
        return learner

    monkeypatch.setattr(Saver, "save", lambda *given: None)  # one process writes no shards of DTensors
    gc.disable()
    try:
        for name in ("one", "two"):
            train(Store(str(tmp_path / name)), 3, make=make)
    finally:
        gc.enable()
        mesh.leave()
    assert len(made) == 2
