"""Muon: singular values by SVD, torch's own Muon, checkpoints, a change of the optimizer between stages, refusals."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch

from skyloom.core.config import build, plain
from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.store import Store
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.train import checkpoint as disk
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.step.learner import split_state
from skyloom.train.step.muon import orthogonalise, scale_of, takes_muon
from skyloom.train.step.optim import MasterOptimizer, to_precision
from tests.train.toy import CONFIG, MODEL, train

MUON = dataclasses.replace(CONFIG, optimizer="muon")
STAGE = StageConfig(name="stage1", schedule="constant", peak=3e-3, monitor_points=2, releases=2)


def losses(out: Store) -> list[float]:
    return [json.loads(line)["loss"] for line in out.read_bytes("metrics.jsonl").decode().splitlines()]


@pytest.mark.parametrize("shape", [(32, 32), (24, 96), (96, 24), (1, 7)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e4])
def test_singular_vectors_stay_and_singular_values_end_near_one(shape: tuple[int, int], scale: float) -> None:
    matrix = scale * torch.randn(shape, generator=torch.Generator().manual_seed(3))
    found = orthogonalise(matrix)
    left, before, right = torch.linalg.svd(matrix.double(), full_matrices=False)
    inner = left.T @ found.double() @ right.T
    assert torch.allclose(inner, torch.diag(inner.diagonal()), atol=1e-4), "the singular vectors are the matrix's own"
    large = before > 0.02 * before.norm()
    assert large.any() and ((inner.diagonal()[large] > 0.65) & (inner.diagonal() < 1.25)[large]).all()


def test_a_matrix_of_zeros_stays_one() -> None:
    assert torch.equal(orthogonalise(torch.zeros(4, 6)), torch.zeros(4, 6))


def test_rates_follow_the_shape_as_the_papers_say() -> None:
    assert scale_of((4096, 1024), "match-rms-adamw") == scale_of((1024, 4096), "match-rms-adamw") == pytest.approx(0.2 * 64)
    assert scale_of((4096, 1024), "original") == 2 and scale_of((1024, 4096), "original") == 1


def made(config: TrainConfig) -> MasterOptimizer:
    model = initialise(Decoder(MODEL), 1)
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    return MasterOptimizer(to_precision(model, config.precision), weights, config)


@pytest.mark.parametrize("scale", ["match-rms-adamw", "original"])
def test_updates_are_those_of_torch_s_muon_and_adamw(scale: str) -> None:
    """bf16 iterations in both. The matrices' rate is twice the other weights'."""
    config = TrainConfig(optimizer="muon", muon_scale=scale, muon_rate=2.0, weight_decay=0.3, clip=1e9, precision="bf16")
    ours = made(config)
    masters = {n: w.clone().requires_grad_() for n, w in ours.weights().items()}
    matrices = [m for n, m in masters.items() if takes_muon(n, m)]
    assert 0 < len(matrices) < len(masters) and not any(takes_muon(n, masters[n]) for n in ("embedding.weight", "head.weight"))
    muon = torch.optim.Muon(matrices, weight_decay=0.3, momentum=0.95, adjust_lr_fn=scale.replace("-", "_"))
    others = [m for n, m in masters.items() if not takes_muon(n, m)]
    adam = torch.optim.AdamW(
        [
            {"params": [m for m in others if m.dim() >= 2], "weight_decay": 0.3},
            {"params": [m for m in others if m.dim() < 2], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95), eps=1e-8,
    )  # fmt: skip
    for update in range(3):
        stream = torch.Generator().manual_seed(update)
        for name, parameter in ours.parameters.items():
            parameter.grad = torch.randn(parameter.shape, generator=stream).to(parameter.dtype)
            masters[name].grad = parameter.grad.float()
        for optimiser, rate in ((muon, 0.02), (adam, 0.01)):
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
        ours.step(0.01)
    for name, weight in ours.weights().items():
        torch.testing.assert_close(
            weight, masters[name].detach(), rtol=1e-5, atol=2e-3 if takes_muon(name, weight) else 1e-6, msg=name
        )
    squares = {name.removesuffix(".square") for name in ours.moments() if name.endswith(".square")}
    assert squares == {n for n, w in masters.items() if not takes_muon(n, w)}, "Muon keeps one moment"


def test_states_without_a_mean_are_refused() -> None:
    one = torch.ones(1)
    assert split_state({"w": one, "w.mean": one})[1] == {"w.mean": one}
    with pytest.raises(IntegrityError, match="belong together"):
        split_state({"w": one})
    with pytest.raises(IntegrityError, match="belong together"):
        split_state({"w": one, "w.mean": one, "v.square": one})


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    """Learnt on English and Chinese sums; the second half is trained from the checkpoint of the first."""
    whole, resumed = Store(str(tmp_path / "whole")), Store(str(tmp_path / "resumed"))
    train(whole, 12, config=MUON, stage=STAGE)
    train(resumed, 12, config=MUON, stage=STAGE)
    resumed.remove(disk.FINAL)
    for step in disk.steps(resumed):
        if step > 6:
            resumed.remove(disk.folder_of(step))
    assert disk.steps(resumed)
    train(resumed, 12, config=MUON, stage=STAGE)
    ours, theirs = (disk.read(out.child(disk.FINAL)) for out in (resumed, whole))
    assert losses(resumed) == losses(whole) and losses(whole)[-1] < losses(whole)[0]
    for a, b in ((ours.weights, theirs.weights), (ours.moments, theirs.moments)):
        assert set(a) == set(b) and all(torch.equal(a[name], b[name]) for name in a)
    assert not any(name.startswith("blocks.") and name.endswith("up.weight.square") for name in ours.moments)


@pytest.mark.parametrize(("first", "second"), [("adamw", "muon"), ("muon", "adamw")])
def test_a_stage_that_changes_the_optimizer_begins_with_moments_of_zero(tmp_path: Path, first: str, second: str) -> None:
    before, after, alone = (Store(str(tmp_path / name)) for name in ("before", "after", "alone"))
    one, two = (dataclasses.replace(CONFIG, optimizer=name) for name in (first, second))
    train(before, 6, config=one, stage=STAGE)
    later = dataclasses.replace(STAGE, name="stage2")
    train(after, 4, config=two, stage=later, start=before)
    state = disk.read_state(after.child(disk.FINAL))
    assert (state["step"], state["updates"]) == (10, 4), "steps go on, updates begin again"
    train(alone, 4, config=one, stage=later, start=before)
    assert losses(after)[0] == losses(alone)[0] and losses(after)[1:] != losses(alone)[1:], "the weights are taken over"
    assert disk.read_state(alone.child(disk.FINAL))["updates"] == 10


def test_unknown_settings_are_refused_and_old_runs_keep_their_identity() -> None:
    for table, said in (
        ({"optimizer": "sgd"}, "adamw"),
        ({"optimizer": "muon", "muon_scale": "none"}, "match-rms-adamw"),
        ({"optimizer": "muon", "muon_steps": 5}, "unknown key"),
        ({"optimizer": "muon", "muon_momentum": 1.0}, "below 1"),
        ({"optimizer": "muon", "muon_rate": 0.0}, "positive"),
    ):
        with pytest.raises(ConfigError, match=said):
            build(TrainConfig, table, origin="r.toml", key="train")
    assert "optimizer" not in plain(TrainConfig(), identity_only=True)
    assert plain(TrainConfig(optimizer="muon"), identity_only=True)["optimizer"] == "muon"
