"""Generation with a cache against greedy decoding that computes everything again, and against the sampler without a cache."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn

from skyloom.core.errors import DataError
from skyloom.model.cached import CachedDecoder
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.score.config import SamplingConfig
from skyloom.score.generate import generate
from skyloom.score.likelihood import InferenceEngine

END = 255
SHAPES = [
    ModelConfig(vocabulary=256, hidden=32, layers=2, heads=4, key_heads=2, ffn=64, context=160, tied=True),
    ModelConfig(vocabulary=256, hidden=32, layers=2, heads=4, ffn=64, context=160, block="gpt"),
]
SHOTS = "Q: two and two? A: four\n\n问：三加三？答：六\n\n"
PROMPTS = [
    [0, *text.encode("utf-8")]
    for text in (f"{SHOTS}Q: one and one?", f"{SHOTS}问：一加一？答：", f"{SHOTS}Q: one and one?", "水", f"{SHOTS}Q: how many?" * 2)
]


def random_decoder(shape: ModelConfig, dtype: torch.dtype = torch.float64) -> Decoder:
    torch.manual_seed(3)
    model = Decoder(shape)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.normal_(1.0 if name.endswith("norm.weight") else 0.0, 0.2)
    return model.eval().to(dtype)


def greedy(model: nn.Module, prompt: Sequence[int], most: int, context: int, ends: Sequence[int]) -> list[int]:
    text = list(prompt)[-(context - most) :]
    new: list[int] = []
    with torch.no_grad():
        while len(new) < most and not (new and new[-1] in ends):
            out = model(torch.tensor([text + new]))
            new.append(int(getattr(out, "logits", out)[0, -1].argmax()))
    return new


@pytest.mark.parametrize("shape", SHAPES, ids=["grouped, tied", "gpt"])
@pytest.mark.parametrize("tokens", [16, 100, 4000])
def test_greedy_equals_a_loop_without_a_cache(shape: ModelConfig, tokens: int) -> None:
    model = random_decoder(shape)
    most = [20, 7, 20, 90, 70]
    ends = [n for n in range(256) if n % 23 == 5]
    engine = InferenceEngine(CachedDecoder(model), batch_tokens=tokens)
    found = engine.generate(PROMPTS, most=most, stop=lambda _, text: text[-1] in ends)
    assert found == [greedy(model, p, m, shape.context, ends) for p, m in zip(PROMPTS, most, strict=True)]
    assert len({len(text) for text in found}) > 1


def test_stopping_is_asked_with_the_number_of_the_prompt() -> None:
    engine = InferenceEngine(CachedDecoder(random_decoder(SHAPES[0])), batch_tokens=400)
    found = engine.generate(PROMPTS, most=9, stop=lambda number, text: len(text) > number)
    assert [len(text) for text in found] == [1, 2, 3, 4, 5]


def test_samples_are_those_of_the_sampler_without_a_cache() -> None:
    model = random_decoder(SHAPES[0])
    choice = SamplingConfig(tokens=12, temperature=0.9, top_p=0.9, seed=4)
    wished = generate(model, PROMPTS, choice, context=160)
    for tokens in (30, 4000):
        engine = InferenceEngine(CachedDecoder(model), batch_tokens=tokens)
        assert engine.generate(PROMPTS, most=12, stop=lambda *_: False, choice=choice) == wished


def test_bad_prompts_are_named() -> None:
    engine = InferenceEngine(CachedDecoder(random_decoder(SHAPES[0])), batch_tokens=400)
    for prompts, most in (([[1], []], 4), ([[1], [2]], [3, 160]), ([[1], [2]], [3, 0])):
        with pytest.raises(DataError, match="prompt 1 has"):
            engine.generate(prompts, most=most, stop=lambda *_: True)
    with pytest.raises(DataError, match="token 400"):
        engine.generate([[400]], most=2, stop=lambda *_: True)
    assert engine.generate([], most=2, stop=lambda *_: True) == []
