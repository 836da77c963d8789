"""Generation with a cache: the prompts' common beginning is computed once, and rows that have finished leave the batch.

Input: prompts as token ids, how many tokens each may get, and a function that says when a text is complete (an end token, or a
stop string in the decoded text). Output: the new tokens. Greedy takes the likeliest token, of equal ones that with the lowest id;
samples are drawn as in `score.generate`: each prompt has its own stream, so that a sample does not depend on the prompts beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from skyloom.core.errors import DataError
from skyloom.model.cached import Cache, CachedNetwork, RowCache, to_rows
from skyloom.model.decoder import wide
from skyloom.score.config import SamplingConfig
from skyloom.score.generate import choose
from skyloom.score.requests import Costs, Leaf, PrefixGroup, batches, in_order, plan

Stop = Callable[[int, list[int]], bool]
"""Whether the text of a prompt (its number) is complete with these new tokens; asked after each token."""
Choice = SamplingConfig
"""Temperature, top-p and seed of sampling; its number of tokens is not looked at."""
LEAVE = 8
"""Finished rows leave the batch when they are one in so many: leaving copies the cache of those that go on."""


@dataclass(frozen=True)
class Limits:
    """`context`: most tokens of a prompt and its text; `tokens`: of a batch of prompts, padding included; `costs`: of the plan."""

    context: int
    tokens: int
    costs: Costs


@dataclass
class _Row:
    """A prompt that is being continued."""

    number: int
    prompt: list[int]
    most: int
    text: list[int]
    stream: np.random.Generator


@torch.inference_mode()
def decode(
    network: CachedNetwork,
    prompts: Sequence[Sequence[int]],
    *,
    most: int | Sequence[int],
    stop: Stop,
    choice: Choice | None = None,
    limits: Limits,
    done: Callable[[int, list[int]], None] | None = None,
) -> list[list[int]]:
    """The new tokens of each prompt, with the one that completed it (an end token, say), at most `most` of them.

    A prompt loses its oldest tokens where it and `most` together exceed the context, as in lm-evaluation-harness. `choice`: None is
    greedy. `done` hears of each text (the prompt's number, the new tokens) as soon as it is complete. DataError for an empty
    prompt, or where `most` leaves no room for one.
    """
    allowed = [most] * len(prompts) if isinstance(most, int) else list(most)
    rows = _rows(prompts, allowed, limits.context, choice.seed if choice else 0)
    ordered = in_order({key: Leaf(np.array(equal[0].prompt, np.int64)) for key, equal in rows.items()})
    equals = [rows[key] for key in sorted(rows)]
    costs = Costs(limits.costs.call * max(allowed, default=1), limits.costs.pair)  # one batch more is so many passes more
    texts: dict[int, list[int]] = {}

    def complete(number: int, text: list[int]) -> None:
        texts[number] = text
        if done:
            done(number, text)

    waiting: list[tuple[PrefixGroup, Cache | None]] = [(plan(ordered, costs, limits.tokens, trees=False), None)]
    while waiting:
        group, before = waiting.pop()
        if group.depth:
            fresh = ordered.leaves[group.leaf].inputs[before.length if before else 0 : group.depth]
            before = network.prefix(torch.from_numpy(fresh).to(network.device), before)
        own = [row for start, _, _ in group.rows for row in equals[start]]
        for batch in batches([len(row.prompt) - group.depth for row in own], limits.tokens, costs.call):
            beginning = to_rows([own[n].prompt[group.depth :] for n in batch], network.device)
            _continue(network, [own[n] for n in batch], network.start(*beginning, before), _Ways(stop, choice, complete))
        waiting += [(inner, before) for inner in reversed(group.inner)]
    return [texts[number] for number in range(len(prompts))]


def _rows(prompts: Sequence[Sequence[int]], most: Sequence[int], context: int, seed: int) -> dict[bytes, list[_Row]]:
    """The rows by their tokens, big-endian; prompts are cut to leave room for `most` tokens each."""
    rows: dict[bytes, list[_Row]] = {}
    for number, (prompt, limit) in enumerate(zip(prompts, most, strict=True)):
        if not len(prompt) or not 0 < limit < context:
            raise DataError(
                f"prompt {number} has {len(prompt)} tokens and may get {limit} new ones; it needs at least BOS, and room in a "
                f"context of {context}"
            )
        kept = list(prompt)[-(context - limit) :]
        stream = np.random.Generator(np.random.Philox(key=[seed, number]))
        rows.setdefault(np.array(kept, ">i4").tobytes(), []).append(_Row(number, kept, limit, [], stream))
    return rows


@dataclass(frozen=True)
class _Ways:
    """How tokens are chosen, when a text is complete, and who hears of it."""

    stop: Stop
    choice: Choice | None
    complete: Callable[[int, list[int]], None]

    def choose(self, logits: Tensor, rows: Sequence[_Row]) -> list[int]:
        if self.choice is None or self.choice.temperature == 0:
            return [int(token) for token in logits.argmax(-1).tolist()]
        wanted = zip(wide(logits).double().cpu(), rows, strict=True)
        return [choose(own, self.choice, row.stream.random()) for own, row in wanted]


def _continue(network: CachedNetwork, rows: list[_Row], begun: tuple[Tensor, RowCache], ways: _Ways) -> None:
    """Write the texts of the rows, whose prompts are read: the hidden states of their last tokens, and their cache."""
    (hidden, cache), running = begun, list(rows)
    finished: set[int] = set()  # places of the batch, which still has them
    while True:
        chosen = ways.choose(network.logits(hidden), running)
        for place, row in enumerate(running):
            if place not in finished:
                row.text.append(chosen[place])
                if len(row.text) >= row.most or ways.stop(row.number, row.text):
                    finished.add(place)
                    ways.complete(row.number, row.text)
        if len(finished) == len(running):
            return
        if len(finished) * LEAVE >= len(running):
            stay = [place for place in range(len(running)) if place not in finished]
            cache.keep(torch.tensor(stay, device=network.device))
            running, chosen, finished = [running[p] for p in stay], [chosen[p] for p in stay], set()
        hidden = network.step(torch.tensor(chosen, device=network.device), cache)
