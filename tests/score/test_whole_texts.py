"""A model that gives losses and likeliest tokens only is answered for as the engine answers for the whole model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from skyloom.core.errors import ConfigError
from skyloom.model.cached import CachedDecoder
from skyloom.model.decoder import Decoder
from skyloom.score.config import SamplingConfig
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.nll import token_losses
from skyloom.score.requests import Costs
from skyloom.score.whole_texts import WholeTexts
from tests.score.test_likelihood import CONTEXT, SHAPES, SHOTS, ids, random_decoder, tree_of_requests

COSTS = Costs(8, 0.01)


class Spread:
    """What a learner of many processes can say."""

    def __init__(self, model: Decoder) -> None:
        self.model = model

    @torch.no_grad()
    def token_losses(self, tokens: Tensor) -> Tensor:
        return token_losses(self.model(tokens[:, :-1]), tokens[:, 1:])

    @torch.no_grad()
    def likeliest(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).argmax(-1)


@pytest.fixture(params=SHAPES)
def both(request: pytest.FixtureRequest) -> tuple[WholeTexts, InferenceEngine]:
    model = random_decoder(SHAPES[request.param])
    whole = WholeTexts(Spread(model), context=CONTEXT, batch_tokens=300, costs=COSTS, greedy=True)
    return whole, InferenceEngine(CachedDecoder(model), batch_tokens=300, context=CONTEXT)


def test_likelihoods(both: tuple[WholeTexts, InferenceEngine]) -> None:
    whole, engine = both
    asked, heard = [one for seed in range(4) for one in tree_of_requests(seed)], dict[int, float]()
    found = whole.likelihoods(asked, lambda number, answer: heard.__setitem__(number, answer.nats))
    for number, (mine, theirs) in enumerate(zip(found, engine.likelihoods(asked), strict=True)):
        assert mine.nats == pytest.approx(theirs.nats, abs=1e-4) and mine.tokens == theirs.tokens
        assert mine.greedy == theirs.greedy and math.isnan(mine.margin) and heard[number] == mine.nats
    assert any(answer.greedy for answer in found) or len({answer.greedy for answer in found}) == 1


def test_rolling_windows(both: tuple[WholeTexts, InferenceEngine]) -> None:
    whole, engine = both
    documents = [list(ids(SHOTS * 4)), [], list(ids("水往低处流。")), [5] * CONTEXT, [9]]
    heard: list[int] = []
    found = whole.rolling(documents, context=CONTEXT, first=0, done=lambda number, nats: heard.append(number))
    for mine, theirs in zip(found, engine.rolling(documents, context=CONTEXT, first=0), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
    assert heard == list(range(5))


def test_generated_texts(both: tuple[WholeTexts, InferenceEngine]) -> None:
    whole, engine = both
    prompts = [(0, *ids("Water falls")), (0, *ids("水往")), (0,)]

    def stop(number: int, new: list[int]) -> bool:
        return number == 1 and len(new) == 3

    found = whole.generate(prompts, most=[9, 9, 1], stop=stop)
    assert found == engine.generate(prompts, most=[9, 9, 1], stop=stop) and [len(row) for row in found] == [9, 3, 1]
    with pytest.raises(ConfigError, match="draws samples"):
        whole.generate(prompts, most=1, stop=stop, choice=SamplingConfig(tokens=1, temperature=1.0))
