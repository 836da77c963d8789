"""The decoder of report 3.4: token ids enter, logits over the vocabulary leave.

A stack of equal blocks. Each block normalises its input (RMSNorm, Zhang and Sennrich 2019) before attention and again
before the feed-forward part, and adds what they give to the residual stream. Positions enter by rotating queries and
keys (RoPE, Su et al. 2021); the feed-forward part is SwiGLU (Shazeer 2020). Attention is multi-head and causal. There
are no biases, no dropout, and the output matrix is not tied to the embedding. This is LLaMA's block, which the report
compares with GPT's (its figure 2) and then makes narrower and deeper.

There is no parallel code here. Query, key, value, gate and up are separate matrices so that tensor parallelism can
split them from the outside, and so that every weight has a counterpart in other programs (see `hf`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skyloom.model.config import ModelConfig


class RMSNorm(nn.Module):
    """Divide by the root mean square of the last dimension, computed in fp32, and multiply by a learnt gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps))).type_as(x)


class Rotation(nn.Module):
    """RoPE: turn each pair (i, i + d/2) of a head by position · theta^(−2i/d). x: [batch, heads, sequence, head_dim]."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        half = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        angles = torch.outer(torch.arange(config.context, dtype=torch.float32), 1.0 / config.rope_theta**half)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        cos, sin = self.cos[: x.shape[-2]], self.sin[: x.shape[-2]]
        first, second = x.float().chunk(2, -1)
        return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).type_as(x)


class Attention(nn.Module):
    """Causal multi-head attention over x: [batch, sequence, hidden]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query = nn.Linear(config.hidden, config.hidden, bias=False)
        self.key = nn.Linear(config.hidden, config.hidden, bias=False)
        self.value = nn.Linear(config.hidden, config.hidden, bias=False)
        self.output = nn.Linear(config.hidden, config.hidden, bias=False)

    def forward(self, x: Tensor, rotate: Rotation) -> Tensor:
        def split(y: Tensor) -> Tensor:
            return y.view(*y.shape[:-1], self.heads, -1).transpose(1, 2)

        query, key, value = rotate(split(self.query(x))), rotate(split(self.key(x))), split(self.value(x))
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) · up(x)) over x: [batch, sequence, hidden]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.hidden, config.ffn, bias=False)
        self.up = nn.Linear(config.hidden, config.ffn, bias=False)
        self.down = nn.Linear(config.ffn, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.silu(self.gate(x)) * self.up(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """x + attention(norm(x)), then x + ffn(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.hidden, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.hidden, config.norm_eps)
        self.ffn = FeedForward(config)

    def forward(self, x: Tensor, rotate: Rotation) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotate)
        return x + self.ffn(self.ffn_norm(x))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """The whole model. Weights are not initialised here; see `init.initialise`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.hidden)
        self.rotate = Rotation(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.norm_eps)
        self.head = nn.Linear(config.hidden, config.vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [batch, sequence, vocabulary] in the dtype of the output matrix, for tokens int64[batch, sequence].

        A sequence is at most `config.context` tokens long. The embedding and the gains may stay in fp32 beside bf16
        matrices, so that the gradients of frequent tokens add up in fp32.
        """
        x = self.embedding(tokens).to(self.head.weight.dtype)
        for block in self.blocks:
            x = block(x, self.rotate)
        return self.head(self.norm(x))  # type: ignore[no-any-return]
