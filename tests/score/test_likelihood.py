"""The engine against naive loops, request by request: random trees of requests, rolling windows, margins and bad requests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from skyloom.core.errors import DataError
from skyloom.model.cached import CachedDecoder
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.requests import Asked, Costs

CONTEXT = 96
SHAPES = {
    "grouped, tied": ModelConfig(vocabulary=256, hidden=32, layers=2, heads=4, key_heads=2, ffn=64, context=CONTEXT, tied=True),
    "plain": ModelConfig(vocabulary=256, hidden=24, layers=2, heads=3, ffn=48, context=CONTEXT),
    "gpt": ModelConfig(vocabulary=256, hidden=32, layers=2, heads=4, ffn=64, context=CONTEXT, block="gpt", dropout=0.1),
}
COSTS = {"as measured": None, "many prefixes": Costs(1, 0.001), "many small rows": Costs(1, 1.0), "few calls": Costs(1e6, 1e-9)}
"""Costs that make the plan share in different ways; the answers must not depend on them."""
SHOTS = "Question: What is heavier, iron or wood?\nAnswer: iron\n\n问：铁和木头哪个重？\n答：铁\n\n"


def random_decoder(shape: ModelConfig, dtype: torch.dtype = torch.float32) -> Decoder:
    torch.manual_seed(1)
    model = Decoder(shape)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.25)
    return model.eval().to(dtype)


def ids(text: str) -> tuple[int, ...]:
    return tuple(text.encode("utf-8"))


def tree_of_requests(seed: int) -> list[Asked]:
    """Few-shot prefixes, questions and answers of random lengths, English and Chinese; some twice, some longer than the context."""
    draw = np.random.default_rng(seed)
    words = ["the sun ", "rises ", "in the east. ", "水", "往低处流。", "An apple ", "falls; ", "一加一等于二，"]

    def text(most: int) -> str:
        return "".join(draw.choice(words, draw.integers(1, most + 1)))

    asked = []
    for _ in range(draw.integers(1, 4)):
        shots = SHOTS[: draw.integers(0, 40)]
        for _ in range(draw.integers(1, 6)):
            question = shots + text(6)
            answers = ["A", "B", "乙"] if draw.random() < 0.3 else [text(3) for _ in range(draw.integers(1, 5))]
            asked += [Asked((0, *ids(question)), ids(answer)[:CONTEXT]) for answer in answers]
    asked += [asked[0], Asked(asked[0].context, asked[0].continuation[:1])]
    return [asked[n] for n in draw.permutation(len(asked))]


def naive(model: nn.Module, one: Asked, context: int) -> tuple[float, bool, float]:
    """As lm-evaluation-harness computes a request, in float64 behind the model."""
    whole = [*one.context, *one.continuation][-(context + 1) :]
    with torch.no_grad():
        out = model(torch.tensor([whole[:-1]]))
    logits = getattr(out, "logits", out)[0, -len(one.continuation) :].double()
    targets = torch.tensor(one.continuation)
    own = logits.gather(1, targets[:, None])[:, 0]
    others = logits.scatter(1, targets[:, None], -math.inf).amax(1)
    nats = float(-logits.log_softmax(-1).gather(1, targets[:, None]).sum())
    return nats, bool((logits.argmax(-1) == targets).all()), float((own - others).min())


def same(engine: InferenceEngine, model: nn.Module, asked: Sequence[Asked], context: int, atol: float) -> None:
    for one, found in zip(asked, engine.likelihoods(asked, context=context), strict=True):
        nats, greedy, margin = naive(model, one, context)
        assert found.nats == pytest.approx(nats, abs=atol * len(one.continuation))
        assert found.margin == pytest.approx(margin, abs=10 * atol)
        assert found.greedy == greedy or abs(margin) < 10 * atol
        assert found.tokens == len(one.continuation)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("costs", COSTS)
def test_random_trees_equal_a_loop(shape: str, costs: str) -> None:
    model = random_decoder(SHAPES[shape])
    for seed in range(4):
        engine = InferenceEngine(CachedDecoder(model), batch_tokens=[40, 200, 4000][seed % 3], costs=COSTS[costs])
        same(engine, model, tree_of_requests(seed), [CONTEXT, 50][seed % 2], 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("costs", COSTS)
def test_float64_equals_a_float64_loop(shape: str, costs: str) -> None:
    model = random_decoder(SHAPES[shape], torch.float64)
    engine = InferenceEngine(CachedDecoder(model), batch_tokens=300, costs=COSTS[costs])
    same(engine, model, tree_of_requests(7), CONTEXT, 1e-9)
