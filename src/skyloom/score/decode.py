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

from skyloom.core.errors import DataError
from skyloom.model.cached import Cache, CachedNetwork, to_rows
from skyloom.model.decoder import wide
from skyloom.score.config import SamplingConfig
from skyloom.score.generate import choose
from skyloom.score.requests import Costs, Group, Leaf, batches, in_order, plan

Stop = Callable[[int, list[int]], bool]
"""Whether the text of a prompt (its number) is complete with these new tokens; asked after each token."""
Choice = SamplingConfig
"""Temperature, top-p and seed of sampling; its number of tokens is not looked at."""
LEAVE = 8
"""Finished rows leave the batch when they are one in so many: leaving copies the cache of those that go on."""


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
    tokens: int,
    costs: Costs,
    done: Callable[[int, list[int]], None] | None = None,
) -> list[list[int]]:
    """The new tokens of each prompt, with the one that completed it (an end token, say), at most `most` of them.

    A prompt loses its oldest tokens where it and `most` together exceed the context, as in lm-evaluation-harness. `choice`: None is
    greedy. `tokens`: most tokens of a batch of prompts, padding included. `done` hears of each text as soon as it is complete.
    DataError for an empty prompt, or where `most` leaves no room for one.
    """
    limits = [most] * len(prompts) if isinstance(most, int) else list(most)
    rows: dict[bytes, list[_Row]] = {}
    leaves: dict[bytes, Leaf] = {}
    for number, (prompt, limit) in enumerate(zip(prompts, limits, strict=True)):
        if not len(prompt) or not 0 < limit < network.context:
            raise DataError(
                f"prompt {number} has {len(prompt)} tokens and may get {limit} new ones; it needs at least BOS, and room in a "
                f"context of {network.context}"
            )
        kept = list(prompt)[-(network.context - limit) :]
        stream = np.random.Generator(np.random.Philox(key=[choice.seed if choice else 0, number]))
        key = np.array(kept, ">i4").tobytes()
        rows.setdefault(key, []).append(_Row(number, kept, limit, [], stream))
        leaves.setdefault(key, Leaf(np.array(kept, np.int64)))
    texts: dict[int, list[int]] = {}
    ordered = in_order(leaves)
    equal = [rows[key] for key in sorted(rows)]
    steps = max(limits, default=1)
    waiting: list[tuple[Group, Cache | None]] = [(plan(ordered, Costs(costs.call * steps, costs.pair), tokens, trees=False), None)]
    while waiting:
        group, before = waiting.pop()
        if group.depth:
            known = before.length if before else 0
            before = network.prefix(
                torch.from_numpy(ordered.leaves[group.leaf].inputs[known : group.depth]).to(network.device), before
            )
        own = [row for start, _, _ in group.rows for row in equal[start]]
        sizes = [len(row.prompt) - group.depth for row in own]
        for batch in batches(sizes, tokens, costs.call * steps):
            _continue(network, [own[n] for n in batch], group.depth, before, stop, choice)
            for row in (own[n] for n in batch):
                texts[row.number] = row.text
                if done:
                    done(row.number, row.text)
        waiting += [(inner, before) for inner in reversed(group.inner)]
    return [texts[number] for number in range(len(prompts))]


def _continue(
    network: CachedNetwork, rows: list[_Row], depth: int, before: Cache | None, stop: Stop, choice: Choice | None
) -> None:
    """Write the texts of the rows, whose first `depth` tokens are in `before`."""
    hidden, cache = network.start(*to_rows([row.prompt[depth:] for row in rows], network.device), before)
    running = list(rows)  # a row of the cache each, finished or not
    finished: set[int] = set()
    while True:
        logits = network.logits(hidden)
        if choice is None or choice.temperature == 0:
            chosen = logits.argmax(-1).tolist()
        else:
            chosen = [
                choose(own, choice, row.stream.random()) for own, row in zip(wide(logits).double().cpu(), running, strict=True)
            ]
        for place, row in enumerate(running):
            if place not in finished:
                row.text.append(int(chosen[place]))
                if len(row.text) >= row.most or stop(row.number, row.text):
                    finished.add(place)
        if len(finished) == len(running):
            return
        if len(finished) * LEAVE >= len(running):
            stay = [place for place in range(len(running)) if place not in finished]
            kept = torch.tensor(stay, device=network.device)
            cache.keep(kept)
            running, chosen, finished = [running[p] for p in stay], [chosen[p] for p in stay], set()
        hidden = network.step(torch.tensor(chosen, device=network.device), cache)
