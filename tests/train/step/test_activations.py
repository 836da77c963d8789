"""Recomputing activations in one process: nothing but the memory changes."""

from __future__ import annotations

import shutil

import pytest
import torch

from skyloom.model.config import ModelConfig
from skyloom.model.init import first_weight
from skyloom.planner.layout import Layout
from skyloom.train.config import TrainConfig
from skyloom.train.step.learner import SingleLearner

MODEL = ModelConfig(vocabulary=61, hidden=32, layers=2, heads=2, ffn=96, context=32)


def learner(what: str, compiled: bool = False) -> SingleLearner:
    config = TrainConfig(batch=4, context=32, precision="fp32", threads=1, layout=Layout(recompute=what, micro_batch=2))
    made = SingleLearner(config, MODEL, compiled=compiled, bos_id=0)
    made.begin(lambda name: first_weight(name, tuple(made.optimiser.weights()[name].shape), MODEL, 1))
    return made


def steps_of(what: str, compiled: bool = False) -> list[tuple[float, float]]:
    """Losses and norms of three steps."""
    made, steps = learner(what, compiled), []
    for step in range(3):
        tokens = torch.randint(61, (4, 33), generator=torch.Generator().manual_seed(step))
        steps.append(made.measure(tokens, step))
        made.apply(1e-2)
    return steps


def kept(what: str) -> int:
    """Numbers that a forward pass keeps for its backward pass, the weights among them."""
    total = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal total
        total += tensor.numel()
        return tensor

    made = learner(what)
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        made.model.features(torch.zeros(4, 32, dtype=torch.int64))
    return total


@pytest.mark.parametrize("what", ["selective", "full"])
def test_it_changes_no_loss_and_no_gradient(what: str) -> None:
    assert steps_of(what) == steps_of("none")
    assert list(learner(what).state()) == list(learner("none").state()), "weights keep their names"


def test_it_keeps_less() -> None:
    none, selective, full = kept("none"), kept("selective"), kept("full")
    assert full < selective < none


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_it_compiles_with_the_whole_step() -> None:
    for (loss, norm), (expected, other) in zip(steps_of("full", True), steps_of("none"), strict=True):
        assert loss == pytest.approx(expected, rel=1e-5) and norm == pytest.approx(other, rel=1e-4)
