"""Models of transformers in the engine: shared where they can be, whole sequences where not, and the same figures either way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from skyloom.evaluate.opened import SharedPrefixes, WholeSequences, cached_network
from skyloom.score.likelihood import InferenceEngine
from skyloom.score.requests import Asked, Costs
from tests.score.test_decode import PROMPTS, greedy
from tests.score.test_likelihood import COSTS, DOCUMENTS, every_token, naive, same, tree_of_requests

transformers = pytest.importorskip("transformers")

CONTEXT = 128
SMALL = {"vocab_size": 256, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
LONG = {"max_position_embeddings": CONTEXT}
GROUPED = {**SMALL, **LONG, "num_key_value_heads": 2}
MODELS: dict[str, tuple[Callable[[], object], bool]] = {
    "llama": (lambda: transformers.LlamaConfig(**GROUPED, tie_word_embeddings=True), True),
    "qwen2": (lambda: transformers.Qwen2Config(**GROUPED), True),
    "qwen3": (lambda: transformers.Qwen3Config(**GROUPED, head_dim=16), True),
    "gpt2": (lambda: transformers.GPT2Config(vocab_size=256, n_embd=32, n_layer=2, n_head=4, n_positions=CONTEXT), True),
    "gptneox": (lambda: transformers.GPTNeoXConfig(**SMALL, **LONG), True),
    "gemma": (lambda: transformers.GemmaConfig(**GROUPED, head_dim=8), True),
    "granite": (lambda: transformers.GraniteConfig(**GROUPED, logits_scaling=3.0, attention_multiplier=0.2), True),
    "mistral, a window as long as the context": (lambda: transformers.MistralConfig(**GROUPED, sliding_window=CONTEXT), True),
    "mistral, a short window": (lambda: transformers.MistralConfig(**GROUPED, sliding_window=16), False),
    "gemma2, capped scores": (lambda: transformers.Gemma2Config(**GROUPED, head_dim=8, sliding_window=CONTEXT), False),
    "bloom, biased by distance": (lambda: transformers.BloomConfig(vocab_size=256, hidden_size=32, n_layer=2, n_head=4), False),
    "mamba, no attention": (
        lambda: transformers.MambaConfig(vocab_size=256, hidden_size=32, num_hidden_layers=2, state_size=4),
        False,
    ),
}


def random_model(config: object, dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(5)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1 and "norm" not in name and "conv" not in name and "A_log" not in name:
                weight.normal_(0.0, 0.15)
    return model.eval().to(dtype)


@pytest.mark.parametrize("kind", MODELS)
def test_random_trees_equal_a_loop(kind: str) -> None:
    make, shares = MODELS[kind]
    model = random_model(make())
    text = list("床前明月光。The sun rises.".encode())
    with torch.no_grad():
        plain = model(torch.tensor([text])).logits
    network = cached_network(model, context=CONTEXT)
    assert isinstance(network, SharedPrefixes if shares else WholeSequences)
    for seed, costs in enumerate(list(COSTS)[:2] if shares else list(COSTS)[1:2]):
        engine = InferenceEngine(network, batch_tokens=300, context=96, costs=COSTS[costs])
        same(engine, model, tree_of_requests(seed), 3e-5)
    with torch.no_grad():
        torch.testing.assert_close(model(torch.tensor([text])).logits, plain)  # beside the engine it is the model that it was


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2, capped scores", "mamba, no attention"])
def test_generation_and_rolling_windows_equal_a_loop(kind: str) -> None:
    model = random_model(MODELS[kind][0](), torch.float64 if "mamba" not in kind else torch.float32)
    engine = InferenceEngine(cached_network(model, context=CONTEXT), batch_tokens=120, costs=Costs(1, 0.01))
    ends = [n for n in range(256) if n % 23 == 5]
    most = [12, 7, 12, 20, 60]
    found = engine.generate(PROMPTS, most=most, stop=lambda _, text: text[-1] in ends)
    assert found == [greedy(model, p, m, CONTEXT, ends) for p, m in zip(PROMPTS, most, strict=True)]
    for document, nats in zip(DOCUMENTS[:2], engine.rolling(DOCUMENTS[:2], context=40, first=0), strict=True):
        wished = [naive(model, Asked(tuple(read), (scored,)), 40)[0] for read, scored in every_token(document, 40)]
        np.testing.assert_allclose(nats, wished, atol=3e-5 if "mamba" in kind else 1e-9)


def test_logits_that_do_not_follow_from_the_output_matrix_are_taken_whole() -> None:
    """Granite divides its logits, Cohere multiplies them: then they stand in the place of hidden states."""
    network = cached_network(random_model(MODELS["granite"][0]()), context=CONTEXT)
    assert network.hidden == network.vocabulary == 256
    plain = cached_network(random_model(MODELS["llama"][0]()), context=CONTEXT)
    assert (plain.hidden, plain.vocabulary) == (32, 256)
