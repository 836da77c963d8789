"""AdamW with masters against a float64 numpy implementation; the calendar's values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.train.config import StageConfig, TrainConfig
from skyloom.train.rate_schedule import Calendar, evenly, learning_rate
from skyloom.train.step.optim import MasterOptimizer, to_precision
from tests.train.toy import CONFIG, MODEL


def made(precision: str, config: TrainConfig = CONFIG) -> MasterOptimizer:
    model = initialise(Decoder(MODEL), 1)
    weights = {n: p.detach().clone() for n, p in model.named_parameters()}
    return MasterOptimizer(to_precision(model, precision), weights, config)


def test_updates_equal_numpy_in_float64() -> None:
    """Three updates with clipping; matrices decay, gains do not."""
    config = TrainConfig(weight_decay=0.3, clip=1.0)
    optimiser = made("fp32", config)
    stream = np.random.default_rng(0)
    expected = {n: w.double().numpy().copy() for n, w in optimiser.weights().items()}
    mean = {n: np.zeros_like(w) for n, w in expected.items()}
    square = {n: np.zeros_like(w) for n, w in expected.items()}
    for update, rate in enumerate((1e-2, 5e-3, 2e-2), 1):
        gradients = {n: stream.normal(size=w.shape).astype(np.float32) for n, w in expected.items()}
        for name, parameter in optimiser.parameters.items():
            parameter.grad = torch.from_numpy(gradients[name].copy())
        norm = optimiser.step(rate)
        assert norm == pytest.approx(math.sqrt(sum((g.astype(float) ** 2).sum() for g in gradients.values())), rel=1e-5)
        for name, weight in expected.items():
            gradient = gradients[name] / norm
            mean[name] = 0.9 * mean[name] + 0.1 * gradient
            square[name] = 0.95 * square[name] + 0.05 * gradient**2
            if weight.ndim == 2:
                weight *= 1 - rate * 0.3
            weight -= rate * (mean[name] / (1 - 0.9**update)) / (np.sqrt(square[name] / (1 - 0.95**update)) + 1e-8)
    for name, weight in optimiser.weights().items():
        np.testing.assert_allclose(weight.numpy(), expected[name], rtol=2e-4, atol=1e-6)
    for name in expected:
        np.testing.assert_allclose(optimiser.moments()[f"{name}.mean"].numpy(), mean[name], rtol=1e-4, atol=1e-7)


def test_only_matrices_decay() -> None:
    optimiser = made("bf16", TrainConfig(weight_decay=0.5))
    before = {n: w.clone() for n, w in optimiser.weights().items()}
    for parameter in optimiser.parameters.values():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step(0.1)
    for name, weight in optimiser.weights().items():
        factor = 0.95 if before[name].dim() == 2 else 1.0
        torch.testing.assert_close(weight, before[name] * factor, msg=name)


def test_masters_keep_what_bf16_loses() -> None:
    """A thousand steps too small for bf16 add up in the master and reach the model's weight."""
    optimiser = made("bf16", TrainConfig(weight_decay=0.0))
    name = "blocks.0.ffn.gate.weight"
    parameter = optimiser.parameters[name]
    assert parameter.dtype == torch.bfloat16 and optimiser.weights()[name].dtype == torch.float32
    assert optimiser.parameters["embedding.weight"].dtype == torch.float32
    start = parameter.detach().float().clone()
    for _ in range(200):
        parameter.grad = torch.ones_like(parameter)
        optimiser.step(1e-5)
    torch.testing.assert_close(optimiser.weights()[name], start - 200e-5, rtol=0, atol=2e-4)
    assert torch.equal(parameter, optimiser.weights()[name].bfloat16())


def gradients(optimiser: MasterOptimizer, update: int) -> dict[str, torch.Tensor]:
    stream = torch.Generator().manual_seed(update)
    return {n: torch.randn(p.shape, generator=stream).to(p.dtype) for n, p in optimiser.parameters.items()}


@pytest.mark.parametrize("part", [1, 3_000, 1 << 26])
@pytest.mark.parametrize("clip", [0.5, 1e9])
def test_updates_in_parts_are_one_update_of_torch(monkeypatch: pytest.MonkeyPatch, part: int, clip: float) -> None:
    """Each weight by itself, some together, all at once: as torch's AdamW over the fp32 masters does it in one step."""
    monkeypatch.setattr("skyloom.train.step.optim.PART", part)
    config = TrainConfig(clip=clip, weight_decay=0.3)
    optimiser = made("bf16", config)
    masters = {n: w.clone().requires_grad_() for n, w in optimiser.weights().items()}
    groups = [
        {"params": [m for m in masters.values() if m.dim() >= 2], "weight_decay": 0.3},
        {"params": [m for m in masters.values() if m.dim() < 2], "weight_decay": 0.0},
    ]
    adam = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
    for update in range(3):
        for name, gradient in gradients(optimiser, update).items():
            optimiser.parameters[name].grad = gradient.clone()
            masters[name].grad = gradient.float()
        norm = float(torch.nn.utils.clip_grad_norm_(masters.values(), clip))
        for group in adam.param_groups:
            group["lr"] = 0.01 / (1 + update)
        adam.step()
        assert optimiser.step(0.01 / (1 + update)) == pytest.approx(norm, rel=1e-6)
        assert all(p.grad is None for p in (*optimiser.parameters.values(), *optimiser.masters.values()))
    assert optimiser.updates == 3
    for name, weight in optimiser.weights().items():
        torch.testing.assert_close(weight, masters[name].detach(), rtol=1e-6, atol=1e-7, msg=name)
        state = adam.state[masters[name]]
        torch.testing.assert_close(optimiser.moments()[f"{name}.mean"], state["exp_avg"], rtol=1e-5, atol=1e-8)
        torch.testing.assert_close(optimiser.moments()[f"{name}.square"], state["exp_avg_sq"], rtol=1e-5, atol=1e-8)
        assert torch.equal(optimiser.parameters[name], weight.to(optimiser.parameters[name].dtype))


def test_parts_hold_every_weight_once_and_few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skyloom.train.step.optim.PART", 3_000)
    optimiser = made("bf16")
    parts = optimiser._parts
    assert [name for part in parts for name in part] == list(optimiser.parameters) and len(parts) > 2
    for part in parts:
        assert len(part) == 1 or sum(optimiser.parameters[name].numel() for name in part) <= 3_000


def test_collected_micro_batches_are_their_sum() -> None:
    """Collected gradients are added in fp32; without `collect` a single one gives the same update."""
    both, once = made("bf16"), made("bf16")
    for optimiser, micro in ((both, (1, 2)), (once, (1,))):
        for number in micro:
            for name, gradient in gradients(optimiser, number).items():
                weight = optimiser.parameters[name]
                weight.grad = gradient if weight.grad is None else weight.grad + gradient
            if len(micro) > 1:
                optimiser.collect()
    first, second = gradients(both, 1), gradients(both, 2)
    expected = math.sqrt(sum(float((first[n].float() + second[n].float()).double().square().sum()) for n in first))
    assert both.norm() == pytest.approx(expected, rel=1e-5)
    collected = made("bf16")
    for name, gradient in gradients(collected, 1).items():
        collected.parameters[name].grad = gradient
    collected.collect()
    assert collected.step(0.01) == once.step(0.01)
    assert all(torch.equal(w, collected.weights()[n]) for n, w in once.weights().items())


def test_a_gradient_that_is_no_number_changes_nothing() -> None:
    optimiser = made("bf16")
    before = {n: w.clone() for n, w in optimiser.weights().items()}
    for parameter in optimiser.parameters.values():
        parameter.grad = torch.full_like(parameter, float("nan"))
    assert math.isnan(optimiser.step(0.1))
    assert all(torch.equal(w, before[n]) for n, w in optimiser.weights().items())


def test_a_restart_forgets_moments_and_updates() -> None:
    optimiser, fresh = made("bf16"), made("bf16")
    for name, gradient in gradients(optimiser, 1).items():
        optimiser.parameters[name].grad = gradient
    optimiser.step(0.01)
    optimiser.restart()
    fresh.restart()
    assert optimiser.updates == 0
    assert all(torch.equal(moment, fresh.moments()[name]) for name, moment in optimiser.moments().items())


def test_weights_of_another_model_are_refused() -> None:
    with pytest.raises(IntegrityError, match=r"weights.*model.*differ"):
        MasterOptimizer(Decoder(MODEL), {"x": torch.zeros(1)}, CONFIG)


def test_cosine_of_the_report() -> None:
    stage = StageConfig(name="stage1", warmup_steps=2000)
    steps = 2000 + 43_945
    assert learning_rate(stage, 0, steps) == pytest.approx(6e-4 / 2000)
    assert learning_rate(stage, 1999, steps) == pytest.approx(6e-4)
    assert learning_rate(stage, 2000 + 43_945 // 2, steps) == pytest.approx(3.3e-4, rel=1e-3)
    assert learning_rate(stage, steps - 1, steps) == pytest.approx(6e-5)
    rates = [learning_rate(stage, s, steps) for s in range(0, steps, 97)]
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    constant = StageConfig(name="stage2", schedule="constant", peak=6e-5)
    assert {learning_rate(constant, s, 50) for s in range(50)} == {6e-5}


@given(points=st.integers(1, 30), steps=st.integers(1, 5000))
def test_points_are_even(points: int, steps: int) -> None:
    found = evenly(points, steps)
    assert found[-1] == steps and found[0] >= 1 and len(found) == min(points, steps)
    gaps = np.diff([0, *found])
    assert gaps.min() >= 1 and (points > steps or gaps.max() - gaps.min() <= 1)


def test_calendar_counts_across_stages_and_refuses_nonsense() -> None:
    stage = StageConfig(name="stage2", schedule="constant", monitor_points=3, releases=2)
    calendar = Calendar(stage, steps=30, first_step=100, first_tokens=6400, tokens_per_step=64)
    assert (calendar.monitored, calendar.released) == ([10, 20, 30], [15, 30])
    assert (calendar.total_step(30), calendar.total_tokens(30)) == (130, 6400 + 30 * 64)
    assert Calendar(stage, 30, 0, 0, 64).monitored[0] == 0
    with pytest.raises(ConfigError, match="no steps"):
        Calendar(stage, 0, 0, 0, 64)
    with pytest.raises(ConfigError, match="shorten warmup_steps"):
        Calendar(StageConfig(name="stage1", warmup_steps=30), 30, 0, 0, 64)
    with pytest.raises(ConfigError, match="positive"):
        StageConfig(name="stage1", peak=0.0)


@pytest.mark.parametrize("wrong", [{"beta1": 1.0}, {"beta2": 1.0}, {"clip": 0.0}])
def test_an_optimiser_that_cannot_learn_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"train.{next(iter(wrong))}"):
        TrainConfig(**wrong)  # type: ignore[arg-type]
