"""Text generation, greedy or sampled with a seed: token ids of prompts to those of their continuations.

The whole window is computed again for each new token: at the sizes a laptop trains that costs milliseconds, needs no
second code path in the decoder, and works with any callable. Every prompt has its own stream of numpy's Philox
generator, keyed by seed and prompt number, with one draw per token; so a sample does not depend on the prompts around
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from skyloom.core.errors import DataError
from skyloom.score.config import SamplingConfig
from skyloom.score.nll import Model


@torch.no_grad()
def generate(
    model: Model, prompts: Sequence[Sequence[int]], config: SamplingConfig, *, context: int, eos_id: int | None = None
) -> list[list[int]]:
    """The continuation of each prompt, without the prompt and without EOS. DataError for an empty prompt.

    Only the last `context` tokens are looked at.
    """
    if any(not len(p) for p in prompts):
        raise DataError("an empty prompt cannot be continued; begin it with BOS")
    streams = [np.random.Generator(np.random.Philox(key=[config.seed, n])) for n in range(len(prompts))]
    texts = [list(p) for p in prompts]
    running = list(range(len(prompts)))
    for _ in range(config.tokens):
        if not running:
            break
        logits = _last_logits(model, [texts[n][-context:] for n in running])
        for place, number in enumerate(list(running)):
            token = choose(logits[place], config, streams[number].random())
            if token == eos_id:
                running.remove(number)
            else:
                texts[number].append(token)
    return [text[len(p) :] for text, p in zip(texts, prompts, strict=True)]


def _last_logits(model: Model, rows: list[list[int]]) -> Tensor:
    """Logits after the last token of each row, float64[rows, vocabulary]; rows are right-padded."""
    padded = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = torch.tensor(row)
    last = torch.tensor([len(r) - 1 for r in rows])
    return model(padded)[torch.arange(len(rows)), last].double()


def choose(logits: Tensor, config: SamplingConfig, draw: float) -> int:
    """The likeliest token, or the one at which the sorted, cut distribution passes `draw` (uniform in [0, 1))."""
    if config.temperature == 0:
        return int(logits.argmax())
    ordered, tokens = torch.softmax(logits / config.temperature, -1).sort(descending=True, stable=True)
    total = ordered.cumsum(0)
    kept = int((total < config.top_p).sum()) + 1  # the smallest set that reaches top_p
    total = total[:kept]
    place = int(torch.searchsorted(total, draw * float(total[-1]), right=True))
    return int(tokens[min(place, len(total) - 1)])
