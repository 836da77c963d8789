"""The decoder-only Transformer of report 3.4: LLaMA's block, or GPT's.

A stack of equal blocks. Each block normalises its input (RMSNorm, Zhang and Sennrich 2019) before attention and again
before the feed-forward part, and adds what they give to the residual stream. Positions enter by rotating queries and
keys (RoPE, Su et al. 2021); the feed-forward part is SwiGLU (Shazeer 2020). Attention is causal. There are no biases, no
dropout, and the output matrix is not tied to the embedding. This is LLaMA's block.

`block = "gpt"` is the block that the report compares it with (appendix A, figure 2): learnt absolute positions, LayerNorm,
GELU, biases and dropout (Radford et al. 2019).

Open models that one may continue from are LLaMA's block with a few more parts, each a setting: `key_heads` shares keys and values
between queries (Ainslie et al. 2023), `tied` uses the embedding as output matrix, `head_width` sets a head's width apart from the
model's, `query_bias` gives queries, keys and values biases (Qwen2), `head_norm` normalises queries and keys of each head (Qwen3),
`window` lets a token see only so many before it (Mistral), `rope_scaling` stretches the rotary wavelengths (Llama 3.1).

There is no parallel code here. Query, key, value, gate and up are separate matrices so that tensor parallelism can
split them from the outside, and every weight has a counterpart in other programs (see `hf`). Blocks are a ModuleDict keyed
by their number, so that a part of the model (a pipeline's stage) keeps the names of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skyloom.core.errors import IntegrityError
from skyloom.model.attention import attend
from skyloom.model.config import ModelConfig, RopeScaling


def wide(x: Tensor) -> Tensor:
    """What sums, norms and angles are computed in: fp32, or float64 where a model is in float64."""
    return x if x.dtype == torch.float64 else x.float()


class RMSNorm(nn.Module):
    """Divide by the root mean square of the last dimension, computed in fp32, and multiply by a learnt gain."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        precise = wide(x)
        return (self.weight * (precise * torch.rsqrt(precise.square().mean(-1, keepdim=True) + self.eps))).type_as(x)


class LayerNorm(nn.LayerNorm):
    """Mean 0 and variance 1 over the last dimension, computed in fp32, with learnt gain and bias (the gpt block's norm)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(wide(x), self.normalized_shape, wide(self.weight), wide(self.bias), self.eps).type_as(x)


def norm_of(config: ModelConfig) -> nn.Module:
    kind = LayerNorm if config.block == "gpt" else RMSNorm
    return kind(config.hidden, config.norm_eps)


class Rotation(nn.Module):
    """RoPE: turn each pair (i, i + d/2) of a head by position · theta^(−2i/d). x: [batch, heads, sequence, head_dim]."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("cos", torch.empty(config.context, config.head_dim // 2), persistent=False)
        self.register_buffer("sin", torch.empty(config.context, config.head_dim // 2), persistent=False)
        self.fill()

    def fill(self) -> None:
        """Compute the tables, also after they were made without memory (on the meta device)."""
        half = torch.arange(0, self.config.head_dim, 2, dtype=torch.float32) / self.config.head_dim
        turns, scale = 1.0 / self.config.rope_theta**half, 1.0
        if self.config.rope_scaling is not None:
            turns, scale = stretched(turns, self.config.rope_scaling, self.config.rope_theta)
        angles = torch.outer(torch.arange(self.config.context, dtype=torch.float32), turns)
        self.cos.copy_(angles.cos() * scale)
        self.sin.copy_(angles.sin() * scale)

    def forward(self, x: Tensor) -> Tensor:
        return turn(x, self.cos[: x.shape[-2]], self.sin[: x.shape[-2]])


def stretched(turns: Tensor, scaling: RopeScaling, theta: float) -> tuple[Tensor, float]:
    """The scaled angles per position of each pair, fp32[d/2], and the factor of queries and keys, from the plain angles `turns`."""
    slow = turns / scaling.factor
    if scaling.kind == "linear":
        return slow, 1.0
    if scaling.kind == "llama3":
        low, high = scaling.low_frequency, scaling.high_frequency
        within = scaling.original_context * turns / (2 * math.pi)  # turns of each pair within the first context
        left = ((within - low) / (high - low)).clamp(0, 1)
        return (1 - left) * slow + left * turns, 1.0
    first, last = (_pair(number, len(turns), scaling.original_context, theta) for number in (scaling.beta_fast, scaling.beta_slow))
    if scaling.truncate:
        first, last = math.floor(first), math.ceil(last)
    first, last = max(first, 0), min(last, 2 * len(turns) - 1)
    left = 1 - ((torch.arange(len(turns), dtype=torch.float32) - first) / ((last - first) or 0.001)).clamp(0, 1)
    return (1 - left) * slow + left * turns, scaling.attention or 1 + 0.1 * math.log(scaling.factor)


def _pair(number: float, pairs: int, context: int, theta: float) -> float:
    """Which of `pairs` pairs turns `number` times within a context; a fraction, and maybe none of them."""
    return pairs * math.log(context / (number * 2 * math.pi)) / math.log(theta)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Each pair (i, i + d/2) of [..., d] turned by its angle, whose `cos` and `sin` are [..., d/2]."""
    first, second = wide(x).chunk(2, -1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), -1).type_as(x)


class Attention(nn.Module):
    """Causal attention over x: [batch, sequence, hidden]; `mask`: bool[batch, 1, sequence, sequence], True where it may look."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        gpt = config.block == "gpt"
        biases = gpt or config.query_bias
        self.head_dim, self.dropout, self.window = config.head_dim, config.dropout, config.window
        self.query = nn.Linear(config.hidden, config.query_width, bias=biases)
        self.key = nn.Linear(config.hidden, config.key_width, bias=biases)
        self.value = nn.Linear(config.hidden, config.key_width, bias=biases)
        self.query_norm = RMSNorm(config.head_dim, config.norm_eps) if config.head_norm else None
        self.key_norm = RMSNorm(config.head_dim, config.norm_eps) if config.head_norm else None
        self.output = nn.Linear(config.query_width, config.hidden, bias=gpt)

    def forward(self, x: Tensor, rotate: Rotation | None, mask: Tensor | None) -> Tensor:
        query, key, value = (y.transpose(1, 2) for y in self.heads(x))
        if rotate is not None:
            query, key = rotate(query), rotate(key)
        dropout = self.dropout if self.training else 0.0
        mixed = attend(query, key, value, mask, dropout, self.window)
        out: Tensor = self.output(mixed.transpose(1, 2).flatten(2))
        return out

    def heads(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values [..., heads, head_dim] of x: [..., hidden], before they are turned."""

        def split(y: Tensor) -> Tensor:
            return y.view(*y.shape[:-1], -1, self.head_dim)

        query, key, value = split(self.query(x)), split(self.key(x)), split(self.value(x))
        if self.query_norm is not None and self.key_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        return query, key, value


class SwiGLU(nn.Module):
    """down(silu(gate(x)) · up(x)) over x: [batch, sequence, hidden]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate = nn.Linear(config.hidden, config.ffn, bias=False)
        self.up = nn.Linear(config.hidden, config.ffn, bias=False)
        self.down = nn.Linear(config.ffn, config.hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.silu(self.gate(x)) * self.up(x))
        return out


class GELU(nn.Module):
    """down(gelu(up(x))) over x: [batch, sequence, hidden]: the gpt block's feed-forward part."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up = nn.Linear(config.hidden, config.ffn)
        self.down = nn.Linear(config.ffn, config.hidden)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.down(F.gelu(self.up(x)))
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then x + ffn(norm(x))."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attention_norm = norm_of(config)
        self.attention = Attention(config)
        self.ffn_norm = norm_of(config)
        self.ffn = GELU(config) if config.block == "gpt" else SwiGLU(config)
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()

    def forward(self, x: Tensor, rotate: Rotation | None, mask: Tensor | None) -> Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x), rotate, mask))
        out: Tensor = x + self.dropout(self.ffn(self.ffn_norm(x)))
        return out


class Head(nn.Linear):
    """The output matrix, in the dtype of what it multiplies: where it is tied to the embedding, that stays in fp32."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class Decoder(nn.Module):
    """The whole model. Weights are not initialised here; see `init.initialise`.

    A part of it has fewer blocks, and None for the `embedding`, or for `norm` and `head`, that other parts have; then hidden
    states [batch, sequence, hidden] enter or leave instead of tokens and logits.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        gpt = config.block == "gpt"
        self.embedding: nn.Embedding | None = nn.Embedding(config.vocabulary, config.hidden)
        self.positions: nn.Embedding | None = nn.Embedding(config.context, config.hidden) if gpt else None
        self.dropout = nn.Dropout(config.dropout) if config.dropout else nn.Identity()
        self.rotate = None if gpt else Rotation(config)
        self.blocks = nn.ModuleDict({str(layer): Block(config) for layer in range(config.layers)})
        self.norm: nn.Module | None = norm_of(config)
        self.head: Head | None = Head(config.hidden, config.vocabulary, bias=False)
        if config.tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
        """Logits [batch, sequence, vocabulary] in the dtype of the output matrix, for tokens int64[batch, sequence].

        A sequence is at most `config.context` tokens long. `documents`: int64[batch, sequence], which document of a packed
        sequence each token belongs to; attention then stays inside them. Without it, it crosses their borders.
        """
        x = self.features(tokens, documents)
        return x if self.head is None else self.head(x)

    def features(self, x: Tensor, documents: Tensor | None = None) -> Tensor:
        """What the output matrix multiplies, [batch, sequence, hidden] in the dtype of the blocks' matrices.

        The embedding and the gains may stay in fp32 beside bf16 matrices, so that the gradients of frequent tokens add up in
        fp32.
        """
        if self.embedding is not None:
            x = self.embed(x)
        mask = None if documents is None else inside(documents)
        for block in self.blocks.values():
            x = block(x, self.rotate, mask)
        return x if self.norm is None else self.norm(x)

    def embed(self, tokens: Tensor) -> Tensor:
        assert self.embedding is not None
        x: Tensor = self.embedding(tokens)
        if self.positions is not None:
            x = self.dropout(x + self.positions(torch.arange(tokens.shape[1], device=tokens.device)))
        first = next(iter(self.blocks.values()))
        assert isinstance(first, Block)
        return x.to(first.ffn.down.weight.dtype)


def holding(config: ModelConfig, weights: Mapping[str, Tensor]) -> Decoder:
    """A decoder that holds these tensors themselves, by name, on their device: nothing is copied, and no dropout is applied.

    A tied output matrix may be left out. IntegrityError if a weight is missing or has no place.
    """
    with torch.device("meta"):
        model = Decoder(config)
    missing, unknown = model.load_state_dict(dict(weights), strict=False, assign=True)
    if wrong := sorted({*missing, *unknown} - ({"head.weight"} if config.tied else set())):
        raise IntegrityError(f"weights and model differ: {wrong[:5]}")
    assert model.embedding is not None and model.head is not None
    if config.tied:
        model.head.weight = model.embedding.weight
    if model.rotate is not None:
        with model.embedding.weight.device:
            model.rotate = Rotation(config)
    return model.eval().requires_grad_(False)


def inside(documents: Tensor) -> Tensor:
    """Mask bool[batch, 1, sequence, sequence]: True where a position may look, back and within its own document."""
    same = documents[:, None, :, None] == documents[:, None, None, :]
    return same & torch.ones(same.shape[-2:], dtype=torch.bool, device=same.device).tril()
