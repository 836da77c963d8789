"""Cross-entropy fused with the output projection, in chunks: the logits never exist as a whole. Report 2.2.

Input: features, the output matrix and targets; output: the mean of `nll.token_losses` over the logits. Beside a vocabulary of
65,536 the logits are the largest thing of a training step: for one sequence of 4,096 tokens 0.5 GiB in bf16, 1 GiB in fp32 and as
much again for their gradient. So rows are taken in chunks, and each chunk's gradients are computed while its logits are at hand:
three matrix products in all, as without chunks, and nothing of a row's width is kept. The backward pass only multiplies by the
gradient that arrives. The price: the matrix's gradient is added up over chunks, in fp32.

Compiled, a chunk is two passes over its logits, one for the logarithm of the sum and one for the gradient, where autograd's
cross-entropy makes more of them; and on a CPU a chunk stays in the cache. Beside torch's own compiled cross-entropy the two take
up to an eighth off loss and output matrix there (2,048 tokens; vocabulary of 8,192), although they are mostly matrix products.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

BUDGET = 2 << 30
"""Bytes that logits may take at a time."""
CACHED, FAST_ROWS, PIECES = 96 << 20, 512, 8
"""On a CPU, for speed: the most bytes of logits of a chunk, the most rows, and the most chunks, of which each is compiled."""


def linear_loss(features: Tensor, matrix: Tensor, targets: Tensor, budget: int = BUDGET) -> Tensor:
    """Mean nats of int64[...] `targets`, fp32 scalar, for `features` [..., hidden] and the output `matrix` [vocabulary, hidden].

    Both in one dtype. Equal to `token_losses(features @ matrix.T, targets).mean()`, its gradients too, but for rounding. `budget`:
    bytes that logits may take at a time, with their gradient and what is in between; at least one row is taken.
    """
    rows, row = targets.numel(), matrix.shape[0] * (8 + 2 * matrix.element_size())
    chunks = math.ceil(rows * row / budget)
    if matrix.device.type == "cpu":
        chunks = max(chunks, _fast_chunks(rows, row, matrix.shape[1]))
    mean: Tensor = _LinearLoss.apply(  # type: ignore[no-untyped-call]
        features.flatten(0, -2), matrix, targets.flatten(), math.ceil(rows / max(chunks, 1))
    )
    return mean


def _fast_chunks(rows: int, row: int, hidden: int) -> int:
    """Into how many chunks `rows` are cut on a CPU where their logits, `row` bytes each, are to stay in the cache.

    One where a chunk would have less than twice `hidden` rows: adding up the matrix's gradient over chunks then costs more than the
    cache gives. Measured at 2,048 rows on two threads, as times the speed of torch's compiled cross-entropy: width 128 and 8,192
    words, 4 chunks 1.14, one 1.05; width 256 and 16,384 words, 4 chunks 1.06, one 1.02, 8 .92; 65,536 words, one 1.04, 8 .96.
    """
    for size in (min(FAST_ROWS, CACHED // row), CACHED // row):
        if size >= 2 * hidden and (chunks := math.ceil(rows / size)) <= PIECES:
            return chunks
    return 1


class LossContext(Protocol):
    """What the forward pass keeps for the backward pass."""

    dtype: torch.dtype

    @property
    def needs_input_grad(self) -> tuple[bool, ...]: ...
    @property
    def saved_tensors(self) -> tuple[Tensor, ...]: ...
    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _LinearLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: LossContext, features: Tensor, matrix: Tensor, targets: Tensor, size: int) -> Tensor:
        tokens = torch.arange(len(matrix), device=matrix.device)
        losses, by_features = [], []
        by_matrix: Tensor | None = None
        for start in range(0, len(targets), size):
            rows, wished = features[start : start + size], targets[start : start + size, None]
            logits = rows @ matrix.T
            own = logits.gather(-1, wished).float()
            wide = logits.float()
            total = wide.logsumexp(-1, keepdim=True)
            losses.append(total - own)
            if any(ctx.needs_input_grad):
                shares = wide.sub_(total).exp_().add_(tokens == wished, alpha=-1).mul_(1 / len(targets)).to(matrix.dtype)
                by_features.append(shares @ matrix)
                part = shares.T @ rows
                by_matrix = part if by_matrix is None else by_matrix.float().add_(part)
        if by_matrix is not None:
            ctx.save_for_backward(torch.cat(by_features), by_matrix)
            ctx.dtype = matrix.dtype
        return torch.cat(losses).mean()

    @staticmethod
    def backward(ctx: LossContext, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        by_features, by_matrix = ctx.saved_tensors
        (above,) = gradients
        # In fp32, because a micro-batch's share of a step, say a third, must not be rounded to bf16 itself.
        return (by_features.float() * above).to(ctx.dtype), (by_matrix.float() * above).to(ctx.dtype), None, None
