"""A causal language model of transformers as a network with a cache (`model.cached`).

Input: the loaded model. Output: hidden states and logits, behind shared prefixes and for trees of tokens, as our own decoder gives
them. transformers lets a program put its own function in the place of a model's attention. Ours takes the queries, keys and values
that the model made (turned to their positions), joins them with the prefix, and keeps them where they are asked for; so neither
transformers' caches nor its masks are needed, and no prefix is copied for each row.

Not every model can be run so: some bias or cap their scores, look back over a window only, have no attention at all, or do not let
it be replaced. So a model is first tried on a few tokens, and where a tree behind a prefix does not give the logits of plain
sequences, each sequence is computed whole, by the model alone (`WholeSequences`): slow, and right. No code of a model's folder is
run here: what is loaded was loaded by `evaluate.opened`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from skyloom.model.cached import Cache, CachedDecoder, CachedNetwork, RowCache, attend_beside, to_rows
from skyloom.model.decoder import Decoder, wide

NAME = "skyloom_shared_prefix"
"""Of our attention in transformers' list."""
HARMLESS = {"is_causal", "position_ids", "use_cache", "output_attentions", "cache_position", "dropout", "output_hidden_states"}
"""What models tell their attention that changes nothing here."""
TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""By how much logits of the trial may differ, as a share of the largest; of shorter types 0.05."""


class _UnknownAttentionError(Exception):
    """A model's attention does something that ours does not."""


@dataclass
class _Pass:
    """One forward pass: the model's context, the prefix, what is added to scores inside a row (None: causal), and what a layer's
    keys and values become, for which they may be kept; `layers`: those that have called."""

    context: int
    before: Cache | None
    bias: Tensor | None
    keep: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] = field(default=lambda layer, key, value: (key, value))
    layers: set[int] = field(default_factory=set)


_CURRENT: ContextVar[_Pass | None] = ContextVar("skyloom_pass", default=None)


@contextmanager
def _passing(one: _Pass) -> Iterator[_Pass]:
    token = _CURRENT.set(one)
    try:
        yield one
    finally:
        _CURRENT.reset(token)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **others: object,
) -> tuple[Tensor, None]:
    """Attention as transformers calls it, heads before places; out comes [B, S, heads, d]. Outside of a pass of ours: torch's."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    one = _CURRENT.get()
    if one is None:
        plain: Callable[..., tuple[Tensor, None]] = sdpa_attention_forward
        return plain(module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **others)
    layer = getattr(module, "layer_idx", None)
    window = others.pop("sliding_window", None)
    unknown = sorted(name for name, said in others.items() if said is not None and name not in HARMLESS)
    if window is not None and not (isinstance(window, int) and window >= one.context):
        unknown.append("sliding_window")
    if unknown or not isinstance(layer, int) or layer in one.layers or key.shape[-1] != value.shape[-1]:
        raise _UnknownAttentionError(f"attention with {', '.join(unknown) or 'layers that are not numbered'}")
    one.layers.add(layer)
    if scaling is not None:
        query = query * (scaling * math.sqrt(query.shape[-1]))
    keys, values = one.keep(layer, key.transpose(1, 2), value.transpose(1, 2))
    shared = (one.before.keys[layer], one.before.values[layer]) if one.before else None
    return attend_beside(query.transpose(1, 2), keys, values, one.bias, shared), None


def cached_network(model: nn.Module, *, context: int) -> CachedNetwork:
    """Our decoder, or a causal model of transformers, as a network with a cache.

    It shares prefixes where that gives the model's own logits. `context`: most tokens of a sequence of a model of transformers; our
    decoder knows its own. The model is put into evaluation mode.
    """
    model.eval()
    if isinstance(model, Decoder):
        return CachedDecoder(model)
    whole = WholeSequences(model, context)
    shared = SharedPrefixes.of(model, whole, context)
    return shared or whole


class WholeSequences:
    """A model that is asked for whole sequences only: nothing is kept, so each step computes all tokens before it again.

    Hidden states are what the output matrix multiplies, where the logits follow from them, else the logits themselves.
    """

    def __init__(self, model: nn.Module, context: int) -> None:
        self.model, self.context = model, context
        self._head = _output_matrix(model)
        self._weight = next(model.parameters())
        logits = self._whole(torch.zeros(1, 3, dtype=torch.int64, device=self.device))
        self.vocabulary = logits.shape[-1]
        self._inner = self._separate(logits)
        self.hidden = self._weights_in() if self._inner else self.vocabulary

    @property
    def device(self) -> torch.device:
        return self._weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self._weight.dtype

    @property
    def separate(self) -> bool:
        """Whether hidden states and the output matrix give the logits."""
        return self._inner is not None

    def prefix(self, tokens: Tensor, before: Cache | None = None) -> Cache:
        """See `CachedNetwork`."""
        return Cache(torch.cat((before.tokens, tokens)) if before else tokens)

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, before: Cache | None) -> Tensor:
        """See `CachedNetwork`. Each branch of a tree is a sequence of its own."""
        found = torch.zeros(*tokens.shape, self.hidden, dtype=self.dtype, device=tokens.device)
        begin = before.tokens.tolist() if before else []
        if mask is None:
            found[:] = self.states(torch.cat((tokens.new_tensor(begin).expand(len(tokens), -1), tokens), 1))[:, len(begin) :]
            return found
        wanted: dict[tuple[int, ...], list[tuple[int, list[int]]]] = {}
        for row, sees in enumerate(mask):
            for end in torch.nonzero(sees.sum(0) == 1)[:, 0].tolist():  # nothing follows these
                path = torch.nonzero(sees[end])[:, 0].tolist()
                wanted.setdefault(tuple(tokens[row, path].tolist()), []).append((row, path))
        for sequence, ends in wanted.items():
            states = self.states(torch.tensor([[*begin, *sequence]], device=tokens.device))[0, len(begin) :]
            for row, path in ends:
                found[row, path] = states
        return found

    def start(self, tokens: Tensor, lengths: Tensor, before: Cache | None) -> tuple[Tensor, RowCache]:
        """See `CachedNetwork`."""
        rows = RowCache.of(tokens, lengths, before)
        return self._last(rows), rows

    def step(self, tokens: Tensor, rows: RowCache) -> Tensor:
        """See `CachedNetwork`."""
        rows.grow(tokens)
        return self._last(rows)

    def logits(self, hidden: Tensor) -> Tensor:
        """See `CachedNetwork`."""
        out: Tensor = self._head(hidden) if self.separate and self._head is not None else hidden
        return out

    def states(self, tokens: Tensor, positions: Tensor | None = None) -> Tensor:
        """Hidden states [B, S, hidden] of sequences int64[B, S]."""
        said: Mapping[str, Tensor] = {} if positions is None else {"position_ids": positions}
        if self._inner is None:
            return self._whole(tokens, said)
        out: Tensor = self._inner(input_ids=tokens, use_cache=False, **said).last_hidden_state
        return out

    def _last(self, rows: RowCache) -> Tensor:
        begin = rows.before.tokens.tolist() if rows.before else []
        texts = [[*begin, *own[seen].tolist()] for own, seen in zip(rows.tokens, rows.seen, strict=True)]
        tokens, lengths = to_rows(texts, self.device)
        return self.states(tokens)[torch.arange(len(texts), device=self.device), lengths - 1]

    @torch.inference_mode()
    def _whole(self, tokens: Tensor, said: Mapping[str, Tensor] | None = None) -> Tensor:
        out: Tensor = self.model(input_ids=tokens, use_cache=False, **(said or {})).logits
        return out

    def _weights_in(self) -> int:
        assert self._head is not None
        return int(self._head.weight.shape[1])

    @torch.inference_mode()
    def _separate(self, logits: Tensor) -> nn.Module | None:
        """The model without its output matrix, if both together are the model: `logits` are those of three zeros."""
        inner = getattr(self.model, "base_model", None)
        if not isinstance(inner, nn.Module) or inner is self.model or self._head is None:
            return None
        try:
            states = inner(input_ids=torch.zeros(1, 3, dtype=torch.int64, device=self.device), use_cache=False).last_hidden_state
            return inner if _near(self._head(states), logits) else None
        except (AttributeError, TypeError, ValueError, RuntimeError):
            return None


class SharedPrefixes:
    """A model whose attention is ours. Made by `of`, which tries it."""

    def __init__(self, whole: WholeSequences) -> None:
        self._whole = whole
        self.context, self.vocabulary, self.hidden = whole.context, whole.vocabulary, whole.hidden

    @classmethod
    @torch.inference_mode()
    def of(cls, model: nn.Module, whole: WholeSequences, context: int) -> SharedPrefixes | None:
        """The model with our attention, or None if that does not give its own logits; then nothing about it has changed."""
        config = getattr(model, "config", None)
        before, change = getattr(config, "_attn_implementation", None), getattr(model, "set_attn_implementation", None)
        if not callable(change) or not isinstance(before, str) or context < 9 or _looks_back_shorter(config, context):
            return None
        _register()
        try:
            change(NAME)
            shared = cls(whole)
            if shared._agrees(model):
                return shared
        except (_UnknownAttentionError, AttributeError, TypeError, ValueError, RuntimeError, KeyError, IndexError):
            pass
        change(before)
        return None

    @property
    def device(self) -> torch.device:
        return self._whole.device

    @property
    def dtype(self) -> torch.dtype:
        return self._whole.dtype

    def prefix(self, tokens: Tensor, before: Cache | None = None) -> Cache:
        """See `CachedNetwork`."""
        known, kept = before.length if before else 0, dict[int, tuple[Tensor, Tensor]]()

        def keep(layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
            keys, values = key.transpose(1, 2).contiguous(), value.transpose(1, 2).contiguous()
            if before:
                keys, values = torch.cat((before.keys[layer], keys), 2), torch.cat((before.values[layer], values), 2)
            kept[layer] = keys, values
            return key, value

        positions = torch.arange(known, known + len(tokens), device=tokens.device)
        self._through(tokens[None], positions[None], _Pass(self.context, before, None, keep))
        layers = [kept[layer] for layer in range(len(kept))]
        together = torch.cat((before.tokens, tokens)) if before else tokens
        return Cache(together, tuple(k for k, _ in layers), tuple(v for _, v in layers))

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, before: Cache | None) -> Tensor:
        """See `CachedNetwork`."""
        return self._through(tokens, positions, _Pass(self.context, before, None if mask is None else self._bias(mask[:, None])))

    def start(self, tokens: Tensor, lengths: Tensor, before: Cache | None) -> tuple[Tensor, RowCache]:
        """See `CachedNetwork`."""
        rows = RowCache.of(tokens, lengths, before)

        def keep(layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
            assert layer == len(rows.keys), "layers call in their order"
            rows.keys.append(key)
            rows.values.append(value)
            return key, value

        first = before.length if before else 0
        positions = torch.arange(first, first + tokens.shape[1], device=tokens.device).clamp(max=self.context - 1)
        hidden = self._through(tokens, positions.expand_as(tokens), _Pass(self.context, before, None, keep))
        return hidden[torch.arange(len(tokens), device=tokens.device), lengths - 1], rows

    def step(self, tokens: Tensor, rows: RowCache) -> Tensor:
        """See `CachedNetwork`."""
        positions = rows.positions[:, None]
        rows.grow(tokens)
        used = rows.used

        def keep(layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
            rows.keys[layer][:, used - 1], rows.values[layer][:, used - 1] = key[:, 0], value[:, 0]
            return rows.keys[layer][:, :used], rows.values[layer][:, :used]

        bias = self._bias(rows.seen[:, None, None, :used])
        return self._through(tokens[:, None], positions, _Pass(self.context, rows.before, bias, keep))[:, 0]

    def logits(self, hidden: Tensor) -> Tensor:
        """See `CachedNetwork`."""
        return self._whole.logits(hidden)

    def _bias(self, mask: Tensor) -> Tensor:
        return torch.zeros(mask.shape, dtype=self.dtype, device=mask.device).masked_fill_(~mask, float("-inf"))

    def _through(self, tokens: Tensor, positions: Tensor, one: _Pass) -> Tensor:
        with torch.inference_mode(), _passing(one):
            hidden = self._whole.states(tokens, positions)
        if not one.layers:
            raise _UnknownAttentionError("no attention of this model is ours")
        return hidden

    def _agrees(self, model: nn.Module) -> bool:
        """Whether a tree of two branches behind a prefix in two parts has the logits of plain sequences."""
        beginning, trunk, left, right = ([(7 * n + 3 * k) % self.vocabulary for n in range(3)] for k in range(4))
        ids = {name: torch.tensor(tokens, device=self.device) for name, tokens in (("a", beginning), ("b", trunk))}
        before = self.prefix(ids["b"], self.prefix(ids["a"]))
        row = torch.tensor([[*left, *right]], device=self.device)
        places = torch.arange(3, device=self.device)
        positions = (6 + torch.cat((places, places)))[None]
        inside = (places[:, None] >= places).repeat(2, 2)
        inside[:3, 3:] = inside[3:, :3] = False
        found = self.logits(self.run(row, positions, inside[None], before)[0])
        for number, branch in enumerate((left, right)):
            plain = model(input_ids=torch.tensor([[*beginning, *trunk, *branch]], device=self.device), use_cache=False).logits[
                0, 6:
            ]
            if not _near(found[3 * number : 3 * number + 3], plain):
                return False
        return True


def _register() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    AttentionInterface.register(NAME, _attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _looks_back_shorter(config: object, context: int) -> bool:
    """Whether some layer does not see the whole of a sequence as long as the context."""
    text = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    kinds = set(getattr(text, "layer_types", None) or [])
    if kinds - {"full_attention", "sliding_attention"}:
        return True
    window = getattr(text, "sliding_window", None)
    slides = "sliding_attention" in kinds if kinds else window is not None
    return slides and (not isinstance(window, int) or window < context)


def _output_matrix(model: nn.Module) -> nn.Linear | None:
    asked = getattr(model, "get_output_embeddings", None)
    head = asked() if callable(asked) else None
    return head if isinstance(head, nn.Linear) else None


def _near(found: Tensor, wished: Tensor) -> bool:
    """Equal but for rounding, and of the same shape."""
    if found.shape != wished.shape:
        return False
    tolerance = TOLERANCE.get(wished.dtype, 0.05) * max(1.0, float(wide(wished).abs().max()))
    return bool((wide(found) - wide(wished)).abs().max() <= tolerance)
