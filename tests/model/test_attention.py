"""Attention written out equals torch's fused kernel, in values and gradients, and is what a compiled step on a CPU runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from skyloom.model import attention
from skyloom.model.attention import LONGEST, attend
from skyloom.model.decoder import inside

Inputs = tuple[Tensor, Tensor, Tensor]
Way = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
LENGTHS = (1, 5, 128, 129, 300, 513)
"""Below, at and above one block of queries, and with a last block that is shorter than the others."""


def inputs(length: int, heads: int = 4, keys: int = 4, dtype: torch.dtype = torch.float32) -> Inputs:
    stream = torch.Generator().manual_seed(length)
    shapes = [(2, number, length, 8) for number in (heads, keys, keys)]
    query, key, value = (torch.randn(shape, generator=stream).to(dtype).requires_grad_() for shape in shapes)
    return query, key, value


def documents(length: int) -> Tensor:
    """Packed sequences: documents of 1 token and of many, other ones in each row."""
    starts = torch.rand(2, length, generator=torch.Generator().manual_seed(7)) < 0.1
    return inside(starts.cumsum(1))


def fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    grouped = key.shape[1] != query.shape[1]
    return F.scaled_dot_product_attention(query, key, value, mask, 0.0, mask is None, enable_gqa=grouped)


def compiled(backend: str) -> Way:
    """`attend` as it runs in a compiled step; "aot_eager" takes the same way without a C++ compiler."""
    torch.compiler.reset()
    return torch.compile(attend, dynamic=False, fullgraph=True, backend=backend)


def run(way: Way, given: Inputs, mask: Tensor | None) -> list[Tensor]:
    """What attention gives, and the gradients of queries, keys and values for a fixed gradient from above."""
    result = way(*given, mask)
    above = torch.randn(result.shape, generator=torch.Generator().manual_seed(1)).to(result.dtype)
    return [result.detach(), *torch.autograd.grad(result, given, above)]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("keys", "masked"), [(4, False), (4, True), (2, False), (1, True)])
def test_written_out_equals_fused(length: int, keys: int, masked: bool) -> None:
    given = inputs(length, keys=keys)
    mask = documents(length) if masked else None
    for ours, theirs in zip(run(compiled("aot_eager"), given, mask), run(fused, given, mask), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_compiled_it_is_as_exact_as_the_fused_kernel(dtype: torch.dtype) -> None:
    """Both are compared with float64; in bf16 neither may be the less exact by more than a half."""
    given = inputs(300, keys=2, dtype=dtype)
    mask = documents(300)
    exact = run(fused, tuple(x.detach().double().requires_grad_() for x in given), mask)  # type: ignore[arg-type]
    for ours, theirs, truth in zip(run(compiled("inductor"), given, mask), run(fused, given, mask), exact, strict=True):
        allowed = 1.5 * float((theirs - truth).abs().max()) + 1e-6
        assert float((ours - truth).abs().max()) <= allowed


def test_compiled_for_a_cpu_the_fused_kernel_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Tensor:
        raise AssertionError("the fused kernel was called")

    monkeypatch.setattr(attention.F, "scaled_dot_product_attention", refuse)
    assert compiled("eager")(*inputs(8), None).shape == (2, 4, 8, 8)
    with pytest.raises(AssertionError, match="fused"):
        attend(*inputs(8), None)


def test_long_sequences_and_dropout_keep_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """It keeps no probabilities, and draws what it drops by itself."""

    def refuse(*_: object) -> Tensor:
        raise AssertionError("written out")

    monkeypatch.setattr(attention._Written, "apply", refuse)
    torch.compiler.reset()
    dropping = torch.compile(lambda q, k, v: attend(q, k, v, None, 0.5), backend="eager")
    assert dropping(*inputs(8)).shape == (2, 4, 8, 8)
    assert compiled("eager")(*inputs(LONGEST + 1, heads=1, keys=1), None).shape == (2, 1, LONGEST + 1, 8)


def test_uncompiled_nothing_is_written_out() -> None:
    given = inputs(200, keys=2)
    assert torch.equal(attend(*given, None), fused(*given, None))


@pytest.mark.parametrize(("window", "masked"), [(1, False), (40, False), (40, True), (300, True)])
def test_a_window_is_a_mask(window: int, masked: bool) -> None:
    """Fused and written out, across blocks of queries, within documents; as wide as the sequence it changes nothing."""
    given = inputs(300, keys=2)
    mask = documents(300) if masked else torch.ones(300, 300, dtype=torch.bool).tril()[None, None]
    places = torch.arange(300)
    near = mask & (places[:, None] - places < window)

    def seen(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        return attend(query, key, value, mask, 0.0, window)

    torch.compiler.reset()
    wished = run(fused, given, near)
    for way in (seen, torch.compile(seen, dynamic=False, fullgraph=True, backend="aot_eager")):
        for ours, theirs in zip(run(way, given, mask if masked else None), wished, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
