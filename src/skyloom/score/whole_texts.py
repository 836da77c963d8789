"""Answers from a model that gives losses and likeliest tokens only, because no process has all of it.

Input: requests as token ids; output: what `score.likelihood.InferenceEngine` gives. Nothing is shared between requests and nothing
is cached: each is a row of its own, and each new token of a generated text is another pass over the whole text. All processes
call it alike. Margins are not known (NaN), and `greedy` takes a second pass, which is left out unless it is wanted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from skyloom.core.errors import ConfigError
from skyloom.model.cached import to_rows
from skyloom.score.config import SamplingConfig
from skyloom.score.likelihood import Nats, rolling_windows
from skyloom.score.requests import Asked, Costs, Likelihood, batches

Row = tuple[int, ...]


@runtime_checkable
class SpreadModel(Protocol):
    """What is asked of the model; `train.step.Learner` can."""

    def token_losses(self, tokens: Tensor) -> Tensor:
        """Nats of each token but the first, fp32[rows, width], for int64[rows, width + 1]."""
        ...

    def likeliest(self, tokens: Tensor) -> Tensor:
        """The token that each one is followed by most likely, int64[rows, width]."""
        ...


class WholeTexts:
    """The answers of `model`. `greedy`: whether it is asked if a continuation is what greedy decoding writes (else: False)."""

    def __init__(self, model: SpreadModel, *, context: int, batch_tokens: int, costs: Costs, greedy: bool) -> None:
        self.model, self.context, self.batch_tokens, self.costs, self.greedy = model, context, batch_tokens, costs, greedy

    def likelihoods(self, asked: Sequence[Asked], done: Callable[[int, Likelihood], None] | None = None) -> list[Likelihood]:
        """The answer to each request, in order; `done` hears of each. Equal requests are asked once."""
        numbers: dict[tuple[Row, int], list[int]] = {}
        for number, one in enumerate(asked):
            row = (*one.context, *one.continuation)[-(self.context + 1) :]
            numbers.setdefault((row, len(one.continuation)), []).append(number)
        found: dict[int, Likelihood] = {}
        rows = list(numbers)
        for batch in self._batches([row for row, _ in rows]):
            tokens = _padded([rows[n][0] for n in batch])
            nats = self.model.token_losses(tokens).double().numpy()
            best = self.model.likeliest(tokens[:, :-1]) == tokens[:, 1:] if self.greedy else None
            for place, n in enumerate(batch):
                row, size = rows[n]
                here = slice(len(row) - 1 - size, len(row) - 1)
                written = best is not None and bool(best[place, here].all())
                answer = Likelihood(float(nats[place, here].sum()), size, written, math.nan)
                for number in numbers[row, size]:
                    found[number] = answer
                    if done:
                        done(number, answer)
        return [found[number] for number in range(len(asked))]

    def rolling(
        self,
        documents: Sequence[Sequence[int]],
        *,
        context: int,
        first: int,
        done: Callable[[int, Nats], None] | None = None,
    ) -> list[Nats]:
        """Nats of each token of each document, float64[tokens], in the windows of `InferenceEngine.rolling`."""
        pieces, windows = rolling_windows(documents, context, first)
        rows = [window.tolist() for window in windows]
        found = [np.zeros(len(document)) for document in documents]
        for batch in self._batches(rows):
            nats = self.model.token_losses(_padded([rows[n] for n in batch])).double().numpy()
            for place, piece in enumerate(batch):
                number, start, stop = pieces[piece]
                last = len(rows[piece]) - 1
                found[number][start:stop] = nats[place, last - (stop - start) : last]
        if done:
            for number, own in enumerate(found):
                done(number, own)
        return found

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        most: int | Sequence[int],
        stop: Callable[[int, list[int]], bool],
        choice: SamplingConfig | None = None,
        done: Callable[[int, list[int]], None] | None = None,
    ) -> list[list[int]]:
        """The greedy continuation of each prompt. ConfigError for samples, which need logits."""
        if choice is not None:
            raise ConfigError("a model that is spread over processes writes greedily only; this task draws samples")
        ends = [most] * len(prompts) if isinstance(most, int) else list(most)
        texts: list[list[int]] = [[] for _ in prompts]
        going = list(range(len(prompts)))
        while going:
            rows = [(*prompts[number], *texts[number])[-self.context :] for number in going]
            for batch in self._batches([(*row, 0) for row in rows]):
                likeliest = self.model.likeliest(_padded([rows[n] for n in batch]))
                for place, n in enumerate(batch):
                    texts[going[n]].append(int(likeliest[place, len(rows[n]) - 1]))
            finished = {number for number in going if len(texts[number]) == ends[number] or stop(number, texts[number])}
            if done:
                for number in sorted(finished):
                    done(number, texts[number])
            going = [number for number in going if number not in finished]
        return texts

    def _batches(self, rows: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Numbers of rows of several tokens and one that is not read."""
        return batches([len(row) - 1 for row in rows], self.batch_tokens, self.costs.call)


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    return to_rows(rows, torch.device("cpu"))[0]
