"""Likelihoods of continuations and of whole texts under any cached network, each shared token computed once.

Input: requests (`score.requests`) or documents as token ids. Output: of each request nats, greediness and margin; of each document
the nats of its tokens. The plan of `score.requests` says what is shared; its rows run in batches by length, and the output matrix
is multiplied only at the places that are read. Log-probabilities are taken in fp32 (float64 for a model in float64) and added in
float64. Neither batch size nor order changes a figure by more than rounding.

Rolling windows are those of lm-evaluation-harness: the first is preceded by BOS (`first`), each later one by the token before it,
and the last is filled with context from the left, so that all but a document's first window have the full length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from skyloom.core.errors import DataError
from skyloom.model.cached import Cache, CachedNetwork
from skyloom.model.decoder import wide
from skyloom.score.decode import Choice, Limits, Stop, decode
from skyloom.score.packing import Packed, pack
from skyloom.score.requests import Asked, Costs, Leaves, Likelihood, PrefixGroup, batches, distinct, plan

LOGITS = 1 << 25
"""Bytes of logits that exist at a time on a CPU, whose cache they should not leave by far; elsewhere 16 times as many."""
Nats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Scores:
    """Of M tokens: log-probabilities, and by how much their logits surpass the best other one; ties decided by the lower id."""

    logs: Nats
    margins: Nats
    greedy: npt.NDArray[np.bool_]


class InferenceEngine:
    """Answers requests to one network.

    `batch_tokens`: most tokens of a forward pass, padding included (speed and memory only). `context`: most tokens that are read
    for a request or a text, the network's if not given; DataError if it takes fewer.
    """

    def __init__(
        self, network: CachedNetwork, *, batch_tokens: int, context: int | None = None, costs: Costs | None = None
    ) -> None:
        self.network, self.batch_tokens, self.context = network, batch_tokens, _context(network, context)
        self._costs = costs or Costs.of(network.device, network.hidden)

    @torch.inference_mode()
    def likelihoods(self, asked: Sequence[Asked], done: Callable[[int, Likelihood], None] | None = None) -> list[Likelihood]:
        """The answer to each request, in order; `done` hears of each (its number, the answer) as soon as it is known.

        DataError names a request that cannot be asked (see `score.requests.distinct`), whose tokens are not in the vocabulary, or
        whose likelihood is not a finite number.
        """
        leaves, numbers = distinct(asked, self.context)
        self._check([ids for leaf in leaves.leaves for ids in (leaf.inputs, *(targets for _, targets in leaf.wanted))])
        answers: dict[int, Likelihood] = {}

        def answer(request: int, found: Likelihood) -> None:
            if not np.isfinite(found.nats):
                raise DataError(f"request {numbers[request][0]} has a loss of {found.nats} in {_name(self.network)}")
            for number in numbers[request]:
                answers[number] = found
                if done:
                    done(number, found)

        waiting: list[tuple[PrefixGroup, Cache | None]] = [(plan(leaves, self._costs, self.batch_tokens), None)]
        while waiting:
            group, before = waiting.pop()
            if group.depth:
                known = before.length if before else 0
                before = self.network.prefix(self._to(leaves.leaves[group.leaf].inputs[known : group.depth]), before)
            self._rows(leaves, group, before, answer)
            waiting += [(inner, before) for inner in reversed(group.inner)]
        return [answers[number] for number in range(len(asked))]

    @torch.inference_mode()
    def rolling(
        self,
        documents: Sequence[Sequence[int]],
        *,
        context: int,
        first: int,
        done: Callable[[int, Nats], None] | None = None,
    ) -> list[Nats]:
        """Nats of each token of each document, float64[tokens]; windows of `context` tokens, the first behind the token `first`.

        `done` hears of each document as soon as it is known. DataError for tokens that are not in the vocabulary, a loss that is
        not finite, or a context longer than the network's.
        """
        size = _context(self.network, context)
        self._check([np.array([first]), *(np.asarray(d, np.int64) for d in documents)])
        found = [np.zeros(len(d)) for d in documents]
        windows, rows = rolling_windows(documents, size, first)
        left = [-(-len(document) // size) for document in documents]
        for number, count in enumerate(left):
            if done and not count:
                done(number, found[number])
        for batch in batches([len(row) - 1 for row in rows], self.batch_tokens, self._costs.call):
            for place, nats in zip(batch, self._whole([rows[n] for n in batch], [windows[n] for n in batch]), strict=True):
                number, start, stop = windows[place]
                if not np.isfinite(nats).all():
                    raise DataError(f"document {number} has a loss of {nats.sum()} in {_name(self.network)}")
                found[number][start:stop] = nats
                left[number] -= 1
                if done and not left[number]:
                    done(number, found[number])
        return found

    @torch.inference_mode()
    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        most: int | Sequence[int],
        stop: Stop,
        choice: Choice | None = None,
        done: Callable[[int, list[int]], None] | None = None,
    ) -> list[list[int]]:
        """The continuation of each prompt, see `score.decode.decode`."""
        self._check([np.asarray(p, np.int64) for p in prompts])
        limits = Limits(self.context, self.batch_tokens, self._costs)
        return decode(self.network, prompts, most=most, stop=stop, choice=choice, limits=limits, done=done)

    def _rows(self, leaves: Leaves, group: PrefixGroup, before: Cache | None, answer: Callable[[int, Likelihood], None]) -> None:
        for batch in batches([size for _, _, size in group.rows], self.batch_tokens, self._costs.call):
            packed = pack(leaves, [group.rows[n] for n in batch], group.depth)
            mask = None if packed.mask is None else self._to(packed.mask)
            hidden = self.network.run(self._to(packed.tokens), self._to(packed.positions), mask, before)
            scores = self._scores(hidden.flatten(0, 1)[self._to(packed.places)], packed)
            starts = np.cumsum([0, *(count for _, count in packed.counts)])[:-1]
            logs, margins = np.add.reduceat(scores.logs, starts), np.minimum.reduceat(scores.margins, starts)
            greedy = np.logical_and.reduceat(scores.greedy, starts)
            for place, (request, count) in enumerate(packed.counts):
                answer(request, Likelihood(-float(logs[place]), count, bool(greedy[place]), float(margins[place])))

    def _scores(self, hidden: Tensor, packed: Packed) -> _Scores:
        """Of the tokens that are looked up in the N read places, whose hidden states [N, hidden] are given."""
        order = np.argsort(packed.reads, kind="stable")
        reads, targets = packed.reads[order], packed.targets[order]
        logs, margins, greedy = np.zeros(len(reads)), np.zeros(len(reads)), np.zeros(len(reads), np.bool_)
        for start, chunk in self._chunks(hidden):
            here = slice(*np.searchsorted(reads, [start, start + len(chunk)]))
            rows, wanted = self._to(reads[here] - start), self._to(targets[here])
            logs[order[here]], margins[order[here]], greedy[order[here]] = _looked_up(chunk, rows, wanted)
        return _Scores(logs, margins, greedy)

    def _whole(self, rows: list[Ids], windows: list[tuple[int, int, int]]) -> list[Nats]:
        """Nats of the scored tokens of each window, float64; a row is the tokens that are read and the last target."""
        width = max(len(row) for row in rows) - 1
        tokens = np.zeros((len(rows), width + 1), np.int64)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = row
        sizes = [stop - start for _, start, stop in windows]
        places = [np.arange(len(row) - 1 - size, len(row) - 1) for row, size in zip(rows, sizes, strict=True)]
        flat = self._to(np.concatenate([place * width + own for place, own in enumerate(places)]))
        targets = self._to(np.concatenate([tokens[place, own + 1] for place, own in enumerate(places)]))
        inputs = self._to(tokens[:, :-1])
        positions = torch.arange(width, device=inputs.device).expand_as(inputs)
        hidden = self.network.run(inputs, positions, None, None).flatten(0, 1)[flat]
        nats = torch.cat(
            [-chunk.gather(1, targets[start : start + len(chunk), None])[:, 0].double() for start, chunk in self._chunks(hidden)]
        )
        return np.split(nats.cpu().numpy(), np.cumsum(sizes)[:-1])

    def _chunks(self, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
        """(first row, log-probabilities [rows, vocabulary]) for hidden states [N, hidden], in pieces."""
        room = LOGITS if hidden.device.type == "cpu" else 16 * LOGITS
        rows = max(1, room // (self.network.vocabulary * 4))
        for start in range(0, len(hidden), rows):
            yield start, F.log_softmax(wide(self.network.logits(hidden[start : start + rows])), -1)

    def _check(self, rows: Sequence[Ids]) -> None:
        """DataError for token ids beyond the vocabulary."""
        for row in rows:
            if len(row) and not 0 <= row.min() <= row.max() < self.network.vocabulary:
                wrong = row.max() if row.min() >= 0 else row.min()
                raise DataError(
                    f"token {wrong} is not in the model's vocabulary of {self.network.vocabulary:,}: "
                    "the tokenizer does not fit the model"
                )

    def _to(self, array: Ids | npt.NDArray[np.bool_]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.network.device)


def _looked_up(logs: Tensor, rows: Tensor, targets: Tensor) -> tuple[Nats, Nats, npt.NDArray[np.bool_]]:
    """Log-probability, margin and greediness of M targets in rows of log-probabilities [N, vocabulary], which are changed."""
    own = logs[rows, targets]
    best = logs.amax(-1)[rows]
    ahead = own >= best
    logs[rows[ahead], targets[ahead]] = float("-inf")
    second = logs.amax(-1)[rows]
    margins = torch.where(ahead, own - second, own - best).double()
    greedy = ahead.clone()
    for tied in torch.nonzero(ahead)[:, 0][_tied(rows[ahead], (own - second)[ahead])].tolist():
        # Equally likely tokens, of which greedy decoding takes the one of the lowest id; those that are targets were hidden above.
        mine = rows == rows[tied]
        others = torch.nonzero(logs[rows[tied]] == own[tied])[:, 0].tolist() + targets[mine & ahead].tolist()
        greedy[tied] = bool(targets[tied] == min(others))
        margins[tied] = 0.0 if len(set(others)) > 1 else margins[tied]
    return own.double().cpu().numpy(), margins.cpu().numpy(), greedy.cpu().numpy()


def _tied(rows: Tensor, margins: Tensor) -> Tensor:
    """Which of the leading targets may be tied: with a token that is no target, or with another target of the same row."""
    counts = torch.bincount(rows) if len(rows) else rows
    tied: Tensor = (margins <= 0) | (counts[rows] > 1)
    return tied


def rolling_windows(documents: Sequence[Sequence[int]], context: int, first: int) -> tuple[list[tuple[int, int, int]], list[Ids]]:
    """(document, start, stop) of what is scored in each window, and what is read for it, at most context + 1 tokens."""
    pieces = [(n, start, min(start + context, len(d))) for n, d in enumerate(documents) for start in range(0, len(d), context)]
    rows = [[first, *documents[n][:stop]] if not start else documents[n][stop - context - 1 : stop] for n, start, stop in pieces]
    return pieces, [np.array(row, np.int64) for row in rows]


def _context(network: CachedNetwork, asked: int | None) -> int:
    if asked is not None and not 0 < asked <= network.context:
        raise DataError(f"a context of {asked} tokens was asked for; the model takes 1 to {network.context}")
    return network.context if asked is None else asked


def _name(network: CachedNetwork) -> str:
    return str(network.dtype).removeprefix("torch.")
