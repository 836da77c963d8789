"""What an evaluation is reckoned to compute is what it computes, shared or not, for likelihoods, windows and generated texts."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from skyloom.model.cached import Cache, CachedDecoder, RowCache
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.reckoning import Reckoning
from skyloom.score.requests import Costs
from skyloom.score.whole_texts import WholeTexts
from tests.score.test_likelihood import CONTEXT, SHAPES, random_decoder, tree_of_requests

COSTS = Costs(20, 0.0)
BATCH = 512


class Counting(CachedDecoder):
    """A network that counts its calls and their tokens."""

    def __init__(self) -> None:
        super().__init__(random_decoder(SHAPES["plain"]))
        self.calls = self.tokens = 0

    def _count(self, tokens: Tensor) -> None:
        self.calls += 1
        self.tokens += tokens.numel()

    def prefix(self, tokens: Tensor, before: Cache | None = None) -> Cache:
        self._count(tokens)
        return super().prefix(tokens, before)

    def run(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, before: Cache | None) -> Tensor:
        self._count(tokens)
        return super().run(tokens, positions, mask, before)

    def start(self, tokens: Tensor, lengths: Tensor, before: Cache | None) -> tuple[Tensor, RowCache]:
        self._count(tokens)
        return super().start(tokens, lengths, before)

    def step(self, tokens: Tensor, rows: RowCache) -> Tensor:
        self._count(tokens)
        return super().step(tokens, rows)

    # what `WholeTexts` asks
    def token_losses(self, tokens: Tensor) -> Tensor:
        self._count(tokens[:, :-1])
        return torch.zeros(tokens[:, 1:].shape)

    def likeliest(self, tokens: Tensor) -> Tensor:
        self._count(tokens)
        return torch.ones_like(tokens)

    @property
    def work(self) -> float:
        return self.tokens + self.calls * COSTS.call


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_likelihoods(seed: int) -> None:
    asked, network = tree_of_requests(seed), Counting()
    InferenceEngine(network, batch_tokens=BATCH, costs=COSTS).likelihoods(asked)
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=True).likelihoods(asked) == network.work
    alone = Counting()
    WholeTexts(alone, context=CONTEXT, batch_tokens=BATCH, costs=COSTS, greedy=False).likelihoods(asked)
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=False).likelihoods(asked) == alone.work
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=True).likelihoods([]) == 0.0


@given(st.lists(st.integers(0, 3 * CONTEXT), max_size=5))
def test_windows(sizes: list[int]) -> None:
    network = Counting()
    engine = InferenceEngine(network, batch_tokens=BATCH, costs=COSTS)
    engine.rolling([[7] * size for size in sizes], context=CONTEXT, first=0)
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=True).rolling(sizes) == pytest.approx(network.work)


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 30)), min_size=1, max_size=5))
def test_generated_texts(asked: list[tuple[int, int]]) -> None:
    prompts, most = [[number + 1] * size for number, (size, _) in enumerate(asked)], [end for _, end in asked]
    alone = Counting()
    whole = WholeTexts(alone, context=CONTEXT, batch_tokens=BATCH, costs=COSTS, greedy=False)
    whole.generate(prompts, most=most, stop=lambda *_: False)
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=False).generated(prompts, most) == pytest.approx(alone.work)
    cached = Counting()
    InferenceEngine(cached, batch_tokens=BATCH, costs=COSTS).generate(prompts, most=most, stop=lambda *_: False)
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=True).generated(prompts, most) >= cached.work * 0.5
    assert Reckoning(CONTEXT, BATCH, COSTS, shared=True).generated([], []) == 0.0
