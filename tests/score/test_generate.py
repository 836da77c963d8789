"""Generation: greedy follows the likeliest, samples follow seed and distribution."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from skyloom.core.errors import DataError
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score.config import SamplingConfig
from skyloom.score.generate import generate

MODEL = initialise(Decoder(ModelConfig(vocabulary=40, hidden=16, layers=1, heads=2, ffn=32, context=8)), 1)


def successor(tokens: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.one_hot((tokens + 1) % 10, 10).float() * 9


def test_greedy_counts_up_and_stops_at_eos() -> None:
    config = SamplingConfig(tokens=5, temperature=0.0)
    assert generate(successor, [[3], [0, 1, 6]], config, context=2, eos_id=9) == [[4, 5, 6, 7, 8], [7, 8]]


def test_a_sample_depends_on_its_seed_only() -> None:
    config = SamplingConfig(tokens=12, temperature=1.0, top_p=1.0, seed=5)
    alone = generate(MODEL, [[1, 2]], config, context=8)
    beside = generate(MODEL, [[1, 2], [3, 4, 5, 6]], config, context=8)
    assert alone == generate(MODEL, [[1, 2]], config, context=8) and beside[0] == alone[0]
    assert generate(MODEL, [[1, 2]], SamplingConfig(tokens=12, temperature=1.0, top_p=1.0, seed=6), context=8) != alone


def test_samples_follow_the_distribution_and_top_p() -> None:
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])

    def fixed(tokens: torch.Tensor) -> torch.Tensor:
        return chances.log().expand(*tokens.shape, 4)

    drawn = Counter(generate(fixed, [[0]], SamplingConfig(tokens=4000, temperature=1.0, top_p=1.0), context=1)[0])
    for token, chance in enumerate(chances.tolist()):
        assert drawn[token] / 4000 == pytest.approx(chance, abs=0.03)
    cut = Counter(generate(fixed, [[0]], SamplingConfig(tokens=500, temperature=1.0, top_p=0.8), context=1)[0])
    assert set(cut) == {0, 1}
    sharp = Counter(generate(fixed, [[0]], SamplingConfig(tokens=500, temperature=0.2, top_p=1.0), context=1)[0])
    assert sharp[0] / 500 > 0.85


def test_an_empty_prompt_is_told() -> None:
    with pytest.raises(DataError, match="BOS"):
        generate(MODEL, [[]], SamplingConfig(), context=8)
