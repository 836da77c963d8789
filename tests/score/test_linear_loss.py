"""The loss without wide logits equals the mean of `token_losses` over logits, gradients included, and stays in its budget."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score import linear_loss as module
from skyloom.score.linear_loss import linear_loss
from skyloom.score.nll import token_losses
from skyloom.train.step.machine import batch_loss
from skyloom.train.step.optim import to_precision

VOCABULARY, HIDDEN, ROW = 97, 16, 97 * (8 + 2 * 4)
"""ROW: bytes that `linear_loss` counts for one row in fp32."""


def given(dtype: torch.dtype = torch.float32, rows: tuple[int, int] = (3, 11)) -> tuple[Tensor, Tensor, Tensor]:
    stream = torch.Generator().manual_seed(3)
    features = torch.randn(*rows, HIDDEN, generator=stream).to(dtype).requires_grad_()
    matrix = torch.randn(VOCABULARY, HIDDEN, generator=stream).to(dtype).requires_grad_()
    return features, matrix, torch.randint(VOCABULARY, rows, generator=stream)


def plain(features: Tensor, matrix: Tensor, targets: Tensor) -> Tensor:
    return token_losses(features @ matrix.T, targets).mean()


def run(loss: Callable[..., Tensor], inputs: tuple[Tensor, Tensor, Tensor], share: float = 1.0) -> list[Tensor]:
    value = loss(*inputs)
    return [value.detach(), *torch.autograd.grad(value * share, inputs[:2])]


@pytest.mark.parametrize("budget", [1, 5 * ROW, 10**9])
@pytest.mark.parametrize("rows", [(3, 11), (1, 1), (2, 12)])
def test_it_is_the_mean_of_the_token_losses(rows: tuple[int, int], budget: int) -> None:
    """Chunks of one row, of five with a shorter last one, and all rows at once."""
    inputs = given(rows=rows)
    ours = run(lambda *i: linear_loss(*i, budget), inputs, 1 / 3)
    for mine, theirs in zip(ours, run(plain, inputs, 1 / 3), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
        assert mine.dtype == theirs.dtype


@pytest.mark.parametrize("budget", [1, 10**9])
def test_in_bf16_it_is_as_exact_as_logits_are(budget: int) -> None:
    """Against float64 of the same rounded inputs. A third of a step is no number in bf16, and must not be rounded to one."""
    inputs = given(torch.bfloat16, rows=(4, 32))
    exact = run(plain, tuple(x.detach().double().requires_grad_() if x.is_floating_point() else x for x in inputs), 1 / 3)  # type: ignore[arg-type]
    ours, theirs = run(lambda *i: linear_loss(*i, budget), inputs, 1 / 3), run(plain, inputs, 1 / 3)
    assert abs(float(ours[0] - exact[0])) < 4e-3
    for mine, other, truth in zip(ours[1:], theirs[1:], exact[1:], strict=True):
        assert float((mine - truth).norm() / truth.norm()) <= 1.2 * float((other - truth).norm() / truth.norm())
        assert abs(float((mine.double() * truth).sum() / truth.square().sum()) - 1) < 1e-3, "no bias of scale"


class Largest(TorchDispatchMode):
    """The most elements of any result within it."""

    numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, Tensor):
                self.numbers = max(self.numbers, tensor.numel())
        return result


def test_nothing_as_wide_as_all_logits_is_made() -> None:
    inputs = given(rows=(8, 64))
    with Largest() as seen:
        run(lambda *i: linear_loss(*i, 128 * ROW), inputs)
    assert seen.numbers == 128 * VOCABULARY < 512 * VOCABULARY
    with Largest() as seen:
        run(plain, inputs)
    assert seen.numbers == 512 * VOCABULARY, "or the test sees nothing"


class Chunks(TorchDispatchMode):
    """How many chunks of logits are taken within it: each has one logarithm of a sum."""

    taken = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.taken += function is torch.ops.aten.logsumexp.default
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("rows", "cached", "fast_rows", "chunks"),
    [
        (250, 100, 80, 4),  # as small as is fast
        (512, 100, 80, 7),
        (512, 100, 50, 6),  # more than `PIECES`: as small as the cache asks for
        (900, 100, 80, 1),  # that too more than `PIECES`
        (60, 100, 80, 1),
        (100, 2 * HIDDEN - 1, 80, 1),  # too narrow for the matrix
        (100, 2 * HIDDEN, 80, 4),
        (100, 100, 2 * HIDDEN - 1, 1),  # too narrow where it is fast, not where the cache ends
        (200, 100, 2 * HIDDEN - 1, 2),
    ],
)
def test_a_cpu_takes_chunks_that_its_cache_holds(
    rows: int, cached: int, fast_rows: int, chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CACHED", cached * ROW)
    monkeypatch.setattr(module, "FAST_ROWS", fast_rows)
    with Chunks() as seen:
        run(linear_loss, given(rows=(1, rows)))
    assert seen.taken == chunks


def test_without_gradients_only_the_loss_is_computed() -> None:
    features, matrix, targets = given()
    with torch.no_grad():
        assert linear_loss(features, matrix, targets).item() == pytest.approx(plain(features, matrix, targets).item(), rel=1e-6)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_compiled_it_is_the_same() -> None:
    torch.compiler.reset()
    inputs = given(rows=(4, 10))
    compiled = torch.compile(lambda *i: linear_loss(*i, 15 * ROW), dynamic=False, fullgraph=True)
    for mine, theirs in zip(run(compiled, inputs, 1 / 3), run(plain, inputs, 1 / 3), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("options", [{}, {"tied": True}, {"block": "gpt"}])
def test_a_models_loss_is_that_of_its_logits(options: dict[str, Any], precision: str) -> None:
    """A tied matrix stays in fp32, where the embedding's gradient and the head's add up."""
    model = to_precision(initialise(Decoder(ModelConfig(50, 16, 2, 2, 32, context=8, **options)), 1), precision)
    tokens = torch.randint(50, (3, 9), generator=torch.Generator().manual_seed(1))

    def gradients(loss: Tensor) -> dict[str, Tensor]:
        loss.backward()  # type: ignore[no-untyped-call]
        found = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
        model.zero_grad(set_to_none=True)
        return found

    ours, theirs = batch_loss(model, tokens), plain_loss(model, tokens)
    torch.testing.assert_close(ours, theirs, rtol=1e-6 if precision == "fp32" else 1e-3, atol=0)
    mine, other = gradients(ours), gradients(theirs)
    assert mine.keys() == other.keys() == dict(model.named_parameters()).keys()
    bound = 1e-5 if precision == "fp32" else 2e-2
    whole = math.sqrt(sum(float(gradient.norm()) ** 2 for gradient in other.values()))
    for name, gradient in mine.items():
        assert gradient.dtype == other[name].dtype
        assert float((gradient - other[name]).norm()) <= bound * float(other[name].norm()) + 1e-6 * whole, name


def plain_loss(model: Decoder, tokens: Tensor) -> Tensor:
    return token_losses(model(tokens[:, :-1]), tokens[:, 1:]).mean()
