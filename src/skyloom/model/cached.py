"""Inference of the decoder with a key-value cache: a shared prefix is computed once, and rows behind it may be trees.

Input: token ids, their positions and which of their row each may see; output: hidden states, and logits where they are asked
for. Evaluation asks thousands of questions behind the same few-shot examples, each with a few answers behind the same question.
So the keys and values of a shared prefix are kept once, [1, heads, P, d], and are never copied for each row: all queries of all
rows meet them in one product. Inside a row a mask says what each token sees, so that the answers of one question stand side by
side in one row, as branches of a tree whose positions begin again at each branch. One softmax goes over both parts. Where a
model sees through a window, what lies outside of it is left out of both parts by the positions.

On a CPU both parts run in torch's fused kernel, which gives the logarithm of its softmax's sum; with these the two results are
put together exactly. Elsewhere, and in float64, the scores are written out.

`CachedNetwork` is what the engine of `score` asks of a model; `CachedDecoder` gives it for our decoder, with the decoder's own
weights. Models of transformers have theirs in `evaluate.opened`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from skyloom.core.errors import ConfigError
from skyloom.model.attention import nearby
from skyloom.model.decoder import Block, Decoder, turn, wide

SCORES = 1 << 28
"""Bytes of attention scores that may exist at a time where they are written out."""
ROOM = 64
"""Places by which the caches of growing rows are enlarged."""


@dataclass(frozen=True)
class Cache:
    """A prefix that many rows share: its `tokens` int64[P], and of each layer keys and values [1, heads, P, d].

    A network that cannot keep keys and values has none and computes the tokens again.
    """

    tokens: Tensor
    keys: tuple[Tensor, ...] = ()
    values: tuple[Tensor, ...] = ()

    @property
    def length(self) -> int:
        return int(self.tokens.shape[0])


@dataclass
class RowCache:
    """Keys and values of rows that grow by a token at each step, behind a shared prefix or none.

    `keys` and `values`: of each layer [B, places, heads, d], of which `used` are taken; `seen`: bool[B, places], which of them
    hold a token of their row; `lengths`: int64[B], tokens of each row, the prefix not counted; `tokens`: the same rows as ids,
    int64[B, places].
    """

    before: Cache | None
    tokens: Tensor
    lengths: Tensor
    seen: Tensor
    used: int
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, tokens: Tensor, lengths: Tensor, before: Cache | None) -> RowCache:
        """Rows of int64[B, S] tokens, of which the first `lengths` int64[B] are real."""
        seen = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        return cls(before, tokens.clone(), lengths.clone(), seen, tokens.shape[1])

    @property
    def positions(self) -> Tensor:
        """Where the next token of each row stands, int64[B]."""
        return self.lengths + (self.before.length if self.before else 0)

    def grow(self, tokens: Tensor) -> None:
        """One more token for each row, int64[B]; there may be no room yet for its keys, which follow layer by layer."""
        if self.used == self.seen.shape[1]:
            self.seen = F.pad(self.seen, (0, ROOM))
            self.tokens = F.pad(self.tokens, (0, ROOM))
            self.keys = [F.pad(k, (0, 0, 0, 0, 0, ROOM)) for k in self.keys]
            self.values = [F.pad(v, (0, 0, 0, 0, 0, ROOM)) for v in self.values]
        self.seen[:, self.used] = True
        self.tokens[:, self.used] = tokens
        self.lengths += 1
        self.used += 1

    def keep(self, rows: Tensor) -> None:
        """Only these rows go on, int64[K]."""
        self.tokens, self.lengths, self.seen = self.tokens[rows], self.lengths[rows], self.seen[rows]
        self.keys = [k[rows] for k in self.keys]
        self.values = [v[rows] for v in self.values]


class CachedNetwork(Protocol):
    """A causal language model as the engine of `score` sees it. All tensors live on `device`."""

    @property
    def vocabulary(self) -> int: ...
    @property
    def hidden(self) -> int: ...
    @property
    def context(self) -> int:
        """Most tokens of a sequence: its last position and one."""
        ...

    @property
    def device(self) -> torch.device: ...
    @property
    def dtype(self) -> torch.dtype: ...

    def prefix(self, tokens: Tensor, before: Cache | None = None) -> Cache:
        """The cache of int64[P] `tokens`, behind those of `before`, whose length it includes."""
        ...

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, before: Cache | None) -> Tensor:
        """Hidden states [B, S, hidden] of int64[B, S] `tokens` at int64[B, S] `positions`, counted from the start of the prefix.

        Each token sees the whole of `before`, and of its own row what `mask` allows, bool[B, S, S] (itself always); without a mask
        all that is not behind it.
        """
        ...

    def start(self, tokens: Tensor, lengths: Tensor, before: Cache | None) -> tuple[Tensor, RowCache]:
        """Hidden states [B, hidden] of the last token of each row, and the rows' cache; a row may be padded behind its length."""
        ...

    def step(self, tokens: Tensor, rows: RowCache) -> Tensor:
        """Hidden states [B, hidden] of one more token of each row, int64[B]; `rows` grows by it."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [N, vocabulary] of hidden states [N, hidden]."""
        ...


Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
"""Of a layer's number, queries [B, S, heads, d], keys and values [B, S, key heads, d]: what is mixed, [B, S, heads, d]."""


class CachedDecoder:
    """Our decoder with a cache. Its weights are the decoder's own; dropout is never applied. ConfigError for a part of a model."""

    def __init__(self, model: Decoder) -> None:
        if model.embedding is None or model.norm is None or model.head is None:
            raise ConfigError("a part of a model cannot be asked for texts: it lacks the embedding, or the output matrix")
        self.model, self.config = model, model.config
        self._embedding, self._norm, self._head = model.embedding, model.norm, model.head
        self._blocks = [block for block in model.blocks.values() if isinstance(block, Block)]

    @property
    def vocabulary(self) -> int:
        return self.config.vocabulary

    @property
    def hidden(self) -> int:
        return self.config.hidden

    @property
    def context(self) -> int:
        return self.config.context

    @property
    def device(self) -> torch.device:
        return self._embedding.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self._blocks[0].ffn.down.weight.dtype

    def prefix(self, tokens: Tensor, before: Cache | None = None) -> Cache:
        """See `CachedNetwork`."""
        known = before.length if before else 0
        keys: list[Tensor] = []
        values: list[Tensor] = []

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            for kept, new, old in ((keys, key, before and before.keys), (values, value, before and before.values)):
                turned = new.transpose(1, 2)
                kept.append(torch.cat((old[layer], turned), 2) if old else turned.contiguous())
            return attend_beside(query, key, value, near, _layer(before, layer), far)

        positions = torch.arange(known, known + len(tokens), device=tokens.device)[None]
        near, far = self._seen(positions, positions, None, before)
        self._through(tokens[None], positions, attend)
        return Cache(torch.cat((before.tokens, tokens)) if before else tokens, tuple(keys), tuple(values))

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, before: Cache | None) -> Tensor:
        """See `CachedNetwork`."""
        near, far = self._seen(positions, positions, mask, before)
        x = self._through(tokens, positions, lambda layer, q, k, v: attend_beside(q, k, v, near, _layer(before, layer), far))
        out: Tensor = self._norm(x)
        return out

    def start(self, tokens: Tensor, lengths: Tensor, before: Cache | None) -> tuple[Tensor, RowCache]:
        """See `CachedNetwork`."""
        rows = RowCache.of(tokens, lengths, before)

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            rows.keys.append(key)
            rows.values.append(value)
            return attend_beside(query, key, value, near, _layer(before, layer), far)

        first = before.length if before else 0
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        near, far = self._seen(places[None], places[None], None, before)
        x = self._through(tokens, places.clamp(max=self.context - 1).expand_as(tokens), attend)
        out: Tensor = self._norm(x[torch.arange(len(tokens), device=tokens.device), lengths - 1])
        return out, rows

    def step(self, tokens: Tensor, rows: RowCache) -> Tensor:
        """See `CachedNetwork`."""
        positions = rows.positions[:, None]
        rows.grow(tokens)
        used = rows.used
        taken = rows.seen[:, :used]
        places = positions - rows.lengths[:, None] + taken.cumsum(1)
        near, far = self._seen(positions, places, taken[:, None], rows.before)

        def attend(layer: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            keys, values = rows.keys[layer], rows.values[layer]
            keys[:, used - 1], values[:, used - 1] = key[:, 0], value[:, 0]
            return attend_beside(query, keys[:, :used], values[:, :used], near, _layer(rows.before, layer), far)

        out: Tensor = self._norm(self._through(tokens[:, None], positions, attend)[:, 0])
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """See `CachedNetwork`."""
        out: Tensor = self._head(hidden)
        return out

    def _seen(
        self, positions: Tensor, places: Tensor, mask: Tensor | None, before: Cache | None
    ) -> tuple[Tensor | None, Tensor | None]:
        """What is added to the scores of tokens at int64[B, S] `positions`, None for nothing.

        In their rows [B, 1, S, T], whose tokens stand at int64[B, T] `places` and of which bool[B, S, T] `mask` may be seen; and in
        the prefix [B, 1, S, P].
        """
        window, known, far = self.config.window, before.length if before else 0, None
        if window and int(positions.max()) >= window:
            near = nearby(positions, places, window)
            if mask is None:  # causal by places in the row: padding stands behind a text, at a position before its end
                mask = torch.ones(near.shape[-2:], dtype=torch.bool, device=near.device).tril()
            mask = mask & near
            if known:
                ahead = torch.arange(known, device=positions.device).expand(len(positions), -1)
                far = self._bias(nearby(positions, ahead, window)[:, None])
        return None if mask is None else self._bias(mask[:, None]), far

    def _bias(self, mask: Tensor) -> Tensor:
        """What is added to the scores of bool `mask`: 0 where a token sees, −∞ where not."""
        return torch.zeros(mask.shape, dtype=self.dtype, device=mask.device).masked_fill_(~mask, float("-inf"))

    def _through(self, tokens: Tensor, positions: Tensor, attend: Attend) -> Tensor:
        """The residual stream behind the last block, [B, S, hidden]."""
        model, size = self.model, tokens.shape
        x: Tensor = self._embedding(tokens)
        if model.positions is not None:
            x = x + model.positions(positions)
        x = x.to(self.dtype).flatten(0, 1)
        angles = None
        if model.rotate is not None:
            angles = model.rotate.cos[positions][:, :, None], model.rotate.sin[positions][:, :, None]
        for layer, block in enumerate(self._blocks):
            own = block.attention
            normed = block.attention_norm(x)
            query, key, value = (y.view(*size, -1, own.head_dim) for y in own.heads(normed))
            if angles is not None:
                query, key = turn(query, *angles), turn(key, *angles)
            x = x + own.output(attend(layer, query, key, value).reshape(x.shape[0], -1))
            x = x + block.ffn(block.ffn_norm(x))
        return x.view(*size, -1)


Shared = tuple[Tensor, Tensor]
"""Keys and values of a prefix in one layer, [1, key heads, P, d]."""


def _layer(cache: Cache | None, layer: int) -> Shared | None:
    return (cache.keys[layer], cache.values[layer]) if cache else None


def attend_beside(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, shared: Shared | None, beyond: Tensor | None = None
) -> Tensor:
    """Attention of each row to itself and to a prefix that all rows share, [B, S, heads, d].

    query [B, S, heads, d]; key, value [B, T, key heads, d], whose heads serve several queries each where they are fewer; `bias`
    [B, 1, S, T] is added to the scores inside a row; without it a row is causal, and S is T; `beyond`
    [B, 1, S, P] is added to those of the prefix. One softmax goes over both.
    """
    q, k, v = (x.transpose(1, 2) for x in (query, key, value))
    if shared is None:
        return F.scaled_dot_product_attention(q, k, v, bias, is_causal=bias is None, enable_gqa=True).transpose(1, 2)
    if query.device.type == "cpu" and query.dtype != torch.float64 and beyond is None:
        return _fused(q, k, v, bias, shared)
    rows = max(1, SCORES // (4 * q.shape[1] * q.shape[2] * (k.shape[2] + shared[0].shape[2])))
    pieces = [slice(n, n + rows) for n in range(0, len(q), rows)]
    near, far = ([None if b is None else b.expand(len(q), -1, -1, -1)[piece] for piece in pieces] for b in (bias, beyond))
    parts = [_written(q[p], k[p], v[p], near[n], shared, far[n]) for n, p in enumerate(pieces)]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _fused(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, shared: Shared) -> Tensor:
    """As `attend_beside`, heads before places, by the fused kernel: two softmaxes, put together by the logarithms of their sums."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    batch, heads, length, width = query.shape
    folded = query.transpose(1, 2).reshape(1, batch * length, heads, width).transpose(1, 2)
    far, far_sum = kernel(folded, *shared)
    near, near_sum = kernel(query, key, value, 0.0, bias is None, attn_mask=bias)
    far, far_sum = far.transpose(1, 2).view(batch, length, heads, width), far_sum.transpose(1, 2).view(batch, length, heads)
    share = torch.sigmoid(near_sum.transpose(1, 2) - far_sum)[..., None].to(far.dtype)
    return torch.lerp(far, near.transpose(1, 2), share)


def _written(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, shared: Shared, beyond: Tensor | None = None
) -> Tensor:
    """As `attend_beside`, heads before places, as matrix products with the scores in between.

    Rows, the queries of one key head and their places are folded into one long side where they meet the prefix.
    """
    (batch, heads, length, width), few = query.shape, key.shape[1]
    ways = heads // few
    folded = (query / math.sqrt(width)).view(batch, few, ways, length, width)
    near = wide(folded.reshape(batch, few, ways * length, width) @ key.transpose(-1, -2)).view(batch, few, ways, length, -1)
    if bias is None:
        places = torch.arange(length, device=query.device)
        near = near.masked_fill(places[:, None] < places, float("-inf"))
    else:
        near = near + bias[:, :, None]
    keys, values = shared[0][0], shared[1][0]
    far = wide(folded.transpose(0, 1).reshape(few, -1, width) @ keys.transpose(-1, -2)).view(few, batch, ways, length, -1)
    if beyond is not None:
        far = far + beyond[None]
    shares = torch.cat((far, near.transpose(0, 1)), -1).softmax(-1).to(value.dtype)
    known = keys.shape[1]
    mixed = (shares[..., :known].reshape(few, -1, known) @ values).view(few, batch, ways, length, width).transpose(0, 1)
    inside = shares[..., known:].transpose(0, 1).reshape(batch, few, ways * length, -1) @ value
    return (mixed + inside.view(batch, few, ways, length, width)).reshape(batch, heads, length, width).transpose(1, 2)


def to_rows(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids padded with 0 behind, int64[B, longest], and the length of each, int64[B]."""
    lengths = torch.tensor([len(row) for row in rows])
    padded = torch.zeros(len(rows), int(lengths.max()), dtype=torch.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = torch.tensor(row)
    return padded.to(device), lengths.to(device)
