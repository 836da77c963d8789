"""One pass of a model over texts, which gives all that the detectors of leakage need.

Input: a network and texts as token ids. Output: of each token its nats, and mean and standard deviation of the log-probability
under the model's own distribution at that place (what Min-K%++ normalises by), and whether greedy decoding would have written it;
and of each text the few figures that are kept (`ItemScores`). A text is read whole behind the begin token: what is longer than the
context is left out by the caller and never cut. Texts run in batches by length. Logits exist for some places at a time only, so
memory does not grow with the size of the vocabulary.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from skyloom.core.errors import DataError
from skyloom.model.cached import CachedNetwork
from skyloom.model.decoder import wide
from skyloom.score.intervals import Floats
from skyloom.score.requests import Costs, batches

LOGITS = 1 << 25
"""Bytes of logits that exist at a time on a CPU, beside two copies; elsewhere 16 times as many."""
LOWEST = -1e4
"""Log-probabilities below are set to it: a token that the model excludes has weight 0, and 0 · (-∞) would be no number."""
SHARE = 0.2
"""k of Min-K%: the share of a text's tokens, those of the lowest scores, that is averaged."""
FLAT = 1e-3
"""The least standard deviation that a token's log-probability is divided by, in nats."""


@dataclass(frozen=True)
class TokenScores:
    """Of the n tokens of a text, float64[n] in nats: `nats` (minus log-probability), `means` and `deviations` of the
    log-probability under the model's own distribution; `greedy` bool[n]: whether the token is the most likely one."""

    nats: Floats
    means: Floats
    deviations: Floats
    greedy: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ItemScores:
    """What is kept of a text. `nats`: all; `min_k` and `min_k_plus`: means over the lowest `SHARE` of its tokens (higher: more
    familiar); `zlib`: bytes of the text after zlib; `greedy_from`: the token from which on greedy decoding writes all."""

    nats: float
    tokens: int
    bytes: int
    zlib: int
    min_k: float
    min_k_plus: float
    greedy_from: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def bits_per_byte(self) -> float:
        return self.nats / self.bytes / float(np.log(2))


@torch.inference_mode()
def token_scores(
    network: CachedNetwork,
    rows: Sequence[Sequence[int]],
    *,
    begin: int,
    batch_tokens: int,
    ids: Sequence[str] | None = None,
) -> Iterator[tuple[int, TokenScores]]:
    """(number, scores) of each row of token ids, as they come: longest first.

    `begin`: the token before each text; `ids`: names of the texts for errors. DataError for a row that is empty, longer than the
    network's context, or has an id beyond its vocabulary, and for a loss that is no finite number (with the dtype).
    """
    names = ids or [str(number) for number in range(len(rows))]
    for name, row in zip(names, rows, strict=True):
        if not 0 < len(row) <= network.context:
            raise DataError(f"item {name} has {len(row)} tokens; the model takes 1 to {network.context}")
        if not 0 <= min(row) <= max(row) < network.vocabulary:
            raise DataError(f"item {name}: token {max(row)} is not in the model's vocabulary of {network.vocabulary:,}")
    spare = Costs.of(network.device, network.hidden).call
    for batch in batches([len(row) for row in rows], batch_tokens, spare):
        for number, found in zip(batch, _batch(network, [rows[n] for n in batch], begin), strict=True):
            wrong = np.flatnonzero(~np.isfinite(found.nats + found.means + found.deviations))
            if len(wrong):
                dtype = str(network.dtype).removeprefix("torch.")
                hint = "; try --dtype float32" if dtype != "float32" else ""
                raise DataError(f"item {names[number]} has a loss of {found.nats[wrong[0]]} in {dtype}{hint}")
            yield number, found


def item_scores(found: TokenScores, text: str) -> ItemScores:
    """The figures of a text that are kept."""
    count = max(1, int(SHARE * len(found.nats)))
    logs = -found.nats
    normed = (logs - found.means) / np.maximum(found.deviations, FLAT)
    missed = np.flatnonzero(~found.greedy)
    data = text.encode("utf-8")
    return ItemScores(
        nats=float(found.nats.sum()),
        tokens=len(found.nats),
        bytes=len(data),
        zlib=len(zlib.compress(data, 9)),
        min_k=float(np.sort(logs)[:count].mean()),
        min_k_plus=float(np.sort(normed)[:count].mean()),
        greedy_from=int(missed[-1]) + 1 if len(missed) else 0,
    )


def _batch(network: CachedNetwork, rows: Sequence[Sequence[int]], begin: int) -> list[TokenScores]:
    width = max(map(len, rows))
    tokens = np.zeros((len(rows), width), np.int64)
    tokens[:, 0] = begin
    for place, row in enumerate(rows):
        tokens[place, 1 : len(row)] = row[:-1]
    inputs = torch.from_numpy(tokens).to(network.device)
    positions = torch.arange(width, device=network.device).expand_as(inputs)
    flat = np.concatenate([place * width + np.arange(len(row)) for place, row in enumerate(rows)])
    targets = torch.from_numpy(np.concatenate([np.asarray(row, np.int64) for row in rows])).to(network.device)
    hidden = network.run(inputs, positions, None, None).flatten(0, 1)[torch.from_numpy(flat).to(network.device)]
    parts = list(_places(network.logits, hidden, targets, network.vocabulary))
    nats, means, deviations, greedy = (torch.cat(column).cpu().numpy() for column in zip(*parts, strict=True))
    cuts = np.cumsum([len(row) for row in rows])[:-1]
    columns = zip(*(np.split(column, cuts) for column in (nats, means, deviations, greedy)), strict=True)
    return [TokenScores(*column) for column in columns]


def _places(
    logits: Callable[[Tensor], Tensor], hidden: Tensor, targets: Tensor, vocabulary: int
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Nats, means, deviations (float64) and greediness of N places, in pieces."""
    room = LOGITS if hidden.device.type == "cpu" else 16 * LOGITS
    size = max(1, room // (vocabulary * 4))
    for start in range(0, len(hidden), size):
        logs = F.log_softmax(wide(logits(hidden[start : start + size])), -1)
        wanted = targets[start : start + size]
        own = logs.gather(1, wanted[:, None])[:, 0]
        greedy = logs.argmax(-1) == wanted
        logs = logs.clamp_min_(LOWEST)
        weights = logs.exp()
        means = (weights * logs).sum(-1)
        spread = (weights * logs.sub_(means[:, None]).square_()).sum(-1).clamp_min(0).sqrt()
        yield -own.double(), means.double(), spread.double(), greedy
