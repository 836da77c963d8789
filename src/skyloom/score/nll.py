"""Negative log-likelihood of texts and continuations under a model. Report 2.2, 4 (perplexity) and 5 (leakage).

A model enters as a callable from token ids to logits, so that a trained decoder and a baseline are scored by the same
code. One pass gives a document's loss in all the units we publish: nats over its own tokens; over a reference
tokenizer's tokens (report 4: loss × own tokens / reference tokens, which makes tokenizers comparable); per byte and per
character. The training monitor, the perplexity tables and the leakage tests all call `score_texts`.

**Convention.** A document of n tokens is scored in windows of `context` tokens. The first window is preceded by BOS. In
*disjoint* windows, which the monitor, the audit and all published figures use, each later one is preceded by the last token of the
window before it and by nothing else. With a `stride` the windows overlap: each scores `stride` new tokens behind as many tokens as
the context holds. A stride of the whole context is lm-evaluation-harness' rolling log-likelihood: its windows differ from the
disjoint ones in the last, which is filled up with context from the left. Either way every token of the document is scored exactly
once, given at most `context` tokens, and BOS and EOS themselves are never scored.

Log-probabilities are taken in fp32 (float64 for a float64 model) and added in float64. Windows are batched by length,
right-padded: causal attention never looks at the padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor
from torch.nn import functional as F

from skyloom.core.errors import ConfigError, DataError
from skyloom.score.intervals import generator, ratio

Model = Callable[[Tensor], Tensor]
"""Token ids int64[batch, sequence] to logits [batch, sequence, vocabulary]; position t predicts token t + 1."""


@runtime_checkable
class Scorer(Protocol):
    """A model that gives losses and no logits, because none of its processes holds all of them (`train.distributed`)."""

    def token_losses(self, tokens: Tensor) -> Tensor:
        """Nats of each token but the first, fp32[rows, width], for int64[rows, width + 1]."""
        ...


Encode = Callable[[pa.Array], tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]]
"""A string column to token ids and offsets int64[rows + 1], without BOS or EOS; `Tokenizer.encode_column`."""

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TextLosses:
    """Loss and size of each document. `nats`: float64[n]; the others int64[n]; `reference_tokens` may be absent."""

    nats: npt.NDArray[np.float64]
    tokens: Counts
    bytes: Counts
    chars: Counts
    reference_tokens: Counts | None = None

    @classmethod
    def of(
        cls, texts: Sequence[str], nats: npt.NDArray[np.float64], tokens: Counts, reference_tokens: Counts | None = None
    ) -> TextLosses:
        """The losses of `texts`, whose bytes and characters are counted here."""
        sizes = np.array([len(t.encode("utf-8")) for t in texts], np.int64)
        return cls(nats, tokens, sizes, np.array([len(t) for t in texts], np.int64), reference_tokens)

    @property
    def loss(self) -> float:
        """Nats per own token: all nats over all tokens."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def perplexity(self) -> float:
        return float(np.exp(self.loss))

    @property
    def reference_loss(self) -> float:
        """Nats per token of the reference tokenizer. DataError if no reference counts were given."""
        if self.reference_tokens is None:
            raise DataError("these texts were scored without a reference tokenizer; give reference_tokens")
        return float(self.nats.sum() / self.reference_tokens.sum())

    @property
    def bits_per_byte(self) -> float:
        """Bits per UTF-8 byte: comparable across tokenizers, and with compressors."""
        return float(self.nats.sum() / self.bytes.sum() / np.log(2))

    @property
    def bits_per_char(self) -> float:
        return float(self.nats.sum() / self.chars.sum() / np.log(2))

    def interval(self, name: str, *, seed: int = 1, resamples: int = 1000) -> tuple[float, float]:
        """(low, high) of `loss`: 95 % bootstrap over documents, the same for the same seed and name (of the set); NaN for one
        document. With the same seed it is the interval of the perplexity table, see `intervals`. DataError without documents."""
        if not len(self.nats):
            raise DataError("no documents to compute an interval from")
        found = ratio(self.nats, self.tokens, generator(seed, name), resamples)
        return found.low, found.high


def token_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """Nats of each target, fp32[batch, sequence] (float64 for float64 logits), for logits [batch, sequence, vocabulary] and
    int64[batch, sequence].

    Training takes the mean of it; everything else here adds it up.
    """
    exact = logits if logits.dtype == torch.float64 else logits.float()
    flat = F.cross_entropy(exact.flatten(0, 1), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


def score_texts(
    model: Model | Scorer,
    encode: Encode,
    texts: Sequence[str],
    *,
    context: int,
    batch_tokens: int,
    bos_id: int,
    reference_tokens: Counts | None = None,
) -> TextLosses:
    """Loss and size of every text, in order.

    `context`: tokens of a window; `batch_tokens`: at most so many positions, padding included, go through the model at
    once (speed and memory only). `reference_tokens`: int64[texts], tokens of each text by the reference tokenizer.
    Raises DataError if there are no texts, if one is empty, or if the reference counts are of another length.
    """
    if not texts:
        raise DataError("no texts to score")
    if reference_tokens is not None and len(reference_tokens) != len(texts):
        raise DataError(f"{len(reference_tokens)} reference counts for {len(texts)} texts")
    ids, offsets = encode(pa.array(list(texts), pa.string()))
    lengths = np.diff(offsets)
    if not lengths.all():
        raise DataError(f"text {int(np.argmin(lengths))} has no tokens; leave empty texts out of a held-out set")
    nats = score_tokens(model, ids, offsets, context=context, batch_tokens=batch_tokens, bos_id=bos_id)
    reference = None if reference_tokens is None else np.asarray(reference_tokens, np.int64)
    return TextLosses.of(texts, nats, lengths.astype(np.int64), reference)


def score_tokens(
    model: Model | Scorer,
    ids: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    *,
    context: int,
    batch_tokens: int,
    bos_id: int,
    stride: int | None = None,
) -> npt.NDArray[np.float64]:
    """Nats of each document of a token column, float64[documents]; see the module for the windows.

    `stride`: None for disjoint windows. ConfigError for a context below 1 or a stride beyond it.
    """
    if context < 1:
        raise ConfigError(f"a context of {context} tokens leaves nothing to score; give at least 1")
    if stride is not None and not 0 < stride <= context:
        raise ConfigError(f"a stride of {stride} tokens does not fit a context of {context}; give 1 to {context}")
    owners: list[int] = []
    rows: list[npt.NDArray[np.int64]] = []  # each with the token before it in front
    counted: list[int] = []  # tokens at a window's end that are scored in it
    for document in range(len(offsets) - 1):
        own = np.concatenate(([bos_id], ids[offsets[document] : offsets[document + 1]])).astype(np.int64)
        for start, stop, new in windows(len(own) - 1, context, stride):
            owners.append(document)
            rows.append(own[start : stop + 1])
            counted.append(new)
    nats = np.zeros(len(offsets) - 1)
    for numbers, losses in _losses(model, rows, batch_tokens):
        for place, number in enumerate(numbers):
            width = len(rows[number]) - 1
            nats[owners[number]] += float(losses[place, width - counted[number] : width].double().sum())
    return nats


def windows(tokens: int, context: int, stride: int | None) -> Iterator[tuple[int, int, int]]:
    """(first, last, new) of each window over BOS and `tokens` tokens: it reads positions first..last - 1 and predicts
    first + 1..last, of which the last `new` have not been scored before."""
    done = 0
    while done < tokens:
        new = min(context if stride is None or not done else stride, tokens - done)
        done += new
        yield (done - new if stride is None else max(0, done - context)), done, new


@dataclass(frozen=True)
class Continuations:
    """Of each continuation: `nats` float64[n], `tokens` int64[n], and whether greedy decoding would have written it, which a
    model without logits cannot tell (None)."""

    nats: npt.NDArray[np.float64]
    tokens: Counts
    greedy: npt.NDArray[np.bool_] | None


def score_continuations(
    model: Model | Scorer, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, context: int, batch_tokens: int
) -> Continuations:
    """What each continuation costs after its prompt: (prompt ids, continuation ids), for multiple choice.

    A prompt begins with BOS. Where both together exceed `context` + 1 tokens the prompt loses its oldest tokens.
    Raises DataError for an empty prompt or continuation, or a continuation longer than `context`.
    """
    rows: list[npt.NDArray[np.int64]] = []
    sizes: list[int] = []
    for number, (prompt, continuation) in enumerate(pairs):
        if not len(prompt) or not 0 < len(continuation) <= context:
            raise DataError(
                f"item {number}: prompt of {len(prompt)}, continuation of {len(continuation)} tokens; "
                f"a prompt needs at least BOS and a continuation 1 to {context} tokens"
            )
        rows.append(np.array([*prompt, *continuation], np.int64)[-(context + 1) :])
        sizes.append(len(continuation))
    places = [slice(len(row) - 1 - size, len(row) - 1) for row, size in zip(rows, sizes, strict=True)]
    nats, greedy = np.zeros(len(rows)), np.zeros(len(rows), np.bool_)
    if isinstance(model, Scorer):
        for numbers, losses in _losses(model, rows, batch_tokens):
            nats[numbers] = [float(losses[k, places[n]].double().sum()) for k, n in enumerate(numbers)]
        return Continuations(nats, np.array(sizes, np.int64), None)
    for numbers, losses, (logits, targets) in _scored(model, rows, batch_tokens):
        hits = logits.argmax(-1) == targets
        nats[numbers] = [float(losses[k, places[n]].double().sum()) for k, n in enumerate(numbers)]
        greedy[numbers] = [bool(hits[k, places[n]].all()) for k, n in enumerate(numbers)]
    return Continuations(nats, np.array(sizes, np.int64), greedy)


@torch.no_grad()
def _losses(model: Model | Scorer, rows: Sequence[npt.NDArray[np.int64]], batch_tokens: int) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of (row numbers, losses fp32[batch, width]). A row of k tokens gives k − 1 losses; what is behind them is 0."""
    if not isinstance(model, Scorer):
        yield from ((numbers, losses) for numbers, losses, _ in _scored(model, rows, batch_tokens))
        return
    for numbers, padded, real in _padded(rows, batch_tokens):
        yield numbers, model.token_losses(padded).masked_fill(~real, 0.0)


@torch.no_grad()
def _scored(
    model: Model, rows: Sequence[npt.NDArray[np.int64]], batch_tokens: int
) -> Iterator[tuple[list[int], Tensor, tuple[Tensor, Tensor]]]:
    """As `_losses`, with (logits [batch, width, vocabulary], targets [batch, width]) beside them."""
    for numbers, padded, real in _padded(rows, batch_tokens):
        targets = padded[:, 1:]
        logits = model(padded[:, :-1])
        losses = token_losses(logits, targets).masked_fill(~real, 0.0)
        yield numbers, losses, (logits, targets)


def _padded(rows: Sequence[npt.NDArray[np.int64]], batch_tokens: int) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Batches of (row numbers, tokens int64[batch, width + 1], which of their targets are real bool[batch, width])."""
    for numbers in _batches([len(r) - 1 for r in rows], batch_tokens):
        width = max(len(rows[n]) for n in numbers)
        padded = torch.zeros(len(numbers), width, dtype=torch.int64)
        real = torch.zeros(len(numbers), width - 1, dtype=torch.bool)
        for place, number in enumerate(numbers):
            padded[place, : len(rows[number])] = torch.from_numpy(rows[number])
            real[place, : len(rows[number]) - 1] = True
        yield numbers, padded, real


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Row numbers, longest first, in batches whose padded size stays within `batch_tokens` (at least one row each)."""
    order = sorted(range(len(lengths)), key=lambda n: (-lengths[n], n))
    start = 0
    while start < len(order):
        size = max(1, batch_tokens // max(lengths[order[start]], 1))
        yield order[start : start + size]
        start += size
