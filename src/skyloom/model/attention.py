"""Causal multi-head attention: torch's fused kernel, and one written out for compiled code on CPUs. Report 3.4.

On accelerators, and wherever code runs uncompiled, this is torch's fused kernel. Compiled for a CPU it is written out as matrix
products, because there the fused kernel multiplies small tiles of bf16 several times slower than they do. Queries are cut into
up to four blocks, each of which looks only at the keys up to its end, so that 5/8 of the scores are computed instead of all. One
core of an AMD EPYC, 2,048 tokens, forward and backward, in ms: 8 heads of 32 over 256 tokens 28 → 9, 8 heads of 64 over 512
tokens 73 → 21. The probabilities are kept for the backward pass, which grows with the square of the sequence: beyond `LONGEST`
tokens the fused kernel, which keeps none, is taken again.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

LONGEST = 1024
"""Tokens of the longest sequence whose probabilities are kept."""
BLOCKS, SMALLEST = 4, 128
"""Blocks of queries, and the fewest queries of one: more blocks compute less and take longer to compile."""


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float = 0.0, window: int = 0) -> Tensor:
    """softmax(query · keyᵀ / √head_dim) · value over [batch, heads, sequence, head_dim], each position looking back only.

    Keys and values may have fewer heads, which then serve several queries each. `mask`: bool[batch, 1, sequence, sequence], True
    where a position may look, itself causal. `window`: a position sees so many, itself and those before it; 0: all. What lies
    outside of a mask or window is computed and left out.
    """
    grouped = key.shape[1] != query.shape[1]
    length = query.shape[-2]
    if 0 < window < length:
        places = torch.arange(length, device=query.device)
        near = nearby(places, places, window)
        mask = near if mask is None else mask & near
    if not torch.compiler.is_compiling() or query.device.type != "cpu" or length > LONGEST or dropout:
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, mask is None, enable_gqa=grouped)
    if grouped:
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], 1) for x in (key, value))
    if mask is None:
        places = torch.arange(length, device=query.device)
        mask = places[:, None] >= places
    result: Tensor = _Written.apply(query, key, value, mask)  # type: ignore[no-untyped-call]
    return result


def nearby(positions: Tensor, places: Tensor, window: int) -> Tensor:
    """bool[..., S, T]: which `places` int64[..., T] are seen from `positions` int64[..., S]: not ahead, less than `window` off."""
    back = positions[..., :, None] - places[..., None, :]
    return (back >= 0) & (back < window)


class AttentionContext(Protocol):
    """What the forward pass keeps for the backward pass."""

    @property
    def saved_tensors(self) -> tuple[Tensor, ...]: ...
    def save_for_backward(self, *tensors: Tensor) -> None: ...


class _Written(torch.autograd.Function):
    """Scores and softmax in fp32, products in the type of the queries, as in the fused kernel.

    The backward pass is written out too: what autograd makes of keys that are cut in several ways is slow.
    """

    @staticmethod
    def forward(ctx: AttentionContext, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        gathered, kept = [], []
        for start, stop in _rows(query):
            scores = (query[..., start:stop, :] @ key[..., :stop, :].transpose(-1, -2)).float() / math.sqrt(query.shape[-1])
            shares = scores.masked_fill(~mask[..., start:stop, :stop], float("-inf")).softmax(-1).to(value.dtype)
            gathered.append(shares @ value[..., :stop, :])
            kept.append(shares)
        ctx.save_for_backward(query, key, value, *kept)
        return torch.cat(gathered, -2)

    @staticmethod
    def backward(ctx: AttentionContext, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value, *kept = ctx.saved_tensors
        (above,) = gradients
        by_query, by_key, by_value = [], [], []
        for (start, stop), shares in zip(_rows(query), kept, strict=True):
            own = above[..., start:stop, :]
            by_value.append(shares.transpose(-1, -2) @ own)
            by_shares, wide = (own @ value[..., :stop, :].transpose(-1, -2)).float(), shares.float()
            by_scores = wide * (by_shares - (wide * by_shares).sum(-1, keepdim=True)) / math.sqrt(query.shape[-1])
            by_scores = by_scores.to(query.dtype)
            by_query.append(by_scores @ key[..., :stop, :])
            by_key.append(by_scores.transpose(-1, -2) @ query[..., start:stop, :])
        return torch.cat(by_query, -2), _sum_of_prefixes(by_key, query), _sum_of_prefixes(by_value, query), None


def _rows(query: Tensor) -> list[tuple[int, int]]:
    """Where each block of queries starts and stops."""
    length = query.shape[-2]
    size = max(math.ceil(length / BLOCKS), SMALLEST)
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def _sum_of_prefixes(parts: list[Tensor], query: Tensor) -> Tensor:
    """The sum, in fp32, of what each block of queries gives to the keys up to its end."""
    rows = _rows(query)
    sums = [sum(part[..., start:stop, :].float() for part in parts[number:]) for number, (start, stop) in enumerate(rows)]
    return torch.cat([torch.as_tensor(part).to(query.dtype) for part in sums], -2)
