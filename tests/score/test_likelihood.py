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
from skyloom.score.requests import Asked, Costs, distinct, plan

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
            asked += [Asked((0, *ids(question)), ids(answer)[:50]) for answer in answers]
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


def same(engine: InferenceEngine, model: nn.Module, asked: Sequence[Asked], atol: float) -> None:
    for one, found in zip(asked, engine.likelihoods(asked), strict=True):
        nats, greedy, margin = naive(model, one, engine.context)
        assert found.nats == pytest.approx(nats, abs=atol * len(one.continuation))
        assert found.margin == pytest.approx(margin, abs=10 * atol)
        assert found.greedy == greedy or abs(margin) < 10 * atol
        assert found.tokens == len(one.continuation)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("costs", COSTS)
def test_random_trees_equal_a_loop(shape: str, costs: str) -> None:
    model = random_decoder(SHAPES[shape])
    for seed in range(4):
        tokens, context = [40, 200, 4000][seed % 3], [None, 50][seed % 2]
        engine = InferenceEngine(CachedDecoder(model), batch_tokens=tokens, context=context, costs=COSTS[costs])
        same(engine, model, tree_of_requests(seed), 1e-5)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("costs", COSTS)
def test_float64_equals_a_float64_loop(shape: str, costs: str) -> None:
    model = random_decoder(SHAPES[shape], torch.float64)
    engine = InferenceEngine(CachedDecoder(model), batch_tokens=300, costs=COSTS[costs])
    same(engine, model, tree_of_requests(7), 1e-9)


def windows(tokens: Sequence[int], first: int, longest: int) -> list[tuple[list[int], list[int]]]:
    """(what is read, what is scored) of rolling windows with a context of one token, as lm-evaluation-harness cuts them."""
    tokens, found = list(tokens), []
    for start in range(0, len(tokens), longest):
        end = min(start + longest, len(tokens))
        read = [first, *tokens[: end - 1]] if not start else tokens[end - longest - 1 : end - 1]
        found.append((read, tokens[start:end]))
    return found


DOCUMENTS = [
    ids("床前明月光，疑是地上霜。举头望明月，低头思故乡。" * 3),
    ids("Short."),
    (),
    ids("The quick brown fox. " * 9),
    ids("水" * 11),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("context", [CONTEXT, 33, 1])
def test_rolling_windows_equal_a_loop(dtype: torch.dtype, context: int) -> None:
    model = random_decoder(SHAPES["grouped, tied"], dtype)
    heard: dict[int, int] = {}
    engine = InferenceEngine(CachedDecoder(model), batch_tokens=200)
    found = engine.rolling(DOCUMENTS, context=context, first=0, done=lambda n, nats: heard.__setitem__(n, len(nats)))
    for document, nats in zip(DOCUMENTS, found, strict=True):
        wished = [-naive(model, Asked(tuple(read), (scored,)), context)[0] for read, scored in every_token(document, context)]
        assert nats.dtype == np.float64 and len(nats) == len(document)
        np.testing.assert_allclose(-nats, wished, atol=1e-9 if dtype == torch.float64 else 1e-5)
    assert heard == {n: len(d) for n, d in enumerate(DOCUMENTS)}


def every_token(document: Sequence[int], context: int) -> list[tuple[list[int], int]]:
    """What is read before each token of the document, and the token."""
    found = []
    for read, scored in windows(document, 0, context):
        whole = [*read, scored[-1]]
        found += [(whole[: len(whole) - len(scored) + n], token) for n, token in enumerate(scored)]
    return found


def test_batch_size_and_order_change_no_figure() -> None:
    """Beyond 1e-6 bits per byte; the documents and the requests are of both languages."""
    model = random_decoder(SHAPES["grouped, tied"])
    asked = tree_of_requests(11)
    results = []
    for tokens, order in ((16, 1), (300, -1), (10_000, 1)):
        engine = InferenceEngine(CachedDecoder(model), batch_tokens=tokens)
        rolled = engine.rolling(DOCUMENTS[::order], context=40, first=0)[::order]
        answers = engine.likelihoods(asked[::order])[::order]
        results.append([nats.sum() / max(len(nats), 1) for nats in rolled] + [a.nats / a.tokens for a in answers])
    np.testing.assert_allclose(results[1:], [results[0]] * 2, atol=1e-6, rtol=0)


def test_answers_are_told_as_soon_as_they_are_known() -> None:
    engine = InferenceEngine(CachedDecoder(random_decoder(SHAPES["plain"])), batch_tokens=40)
    heard = {}
    asked = tree_of_requests(3)
    answers = engine.likelihoods(asked, lambda number, answer: heard.setdefault(number, answer))
    assert [heard[n] for n in range(len(asked))] == answers
    assert engine.likelihoods([]) == [] and engine.rolling([], context=8, first=0) == []


def test_each_shared_token_is_computed_once() -> None:
    """Few-shot examples once, a question once with all its answers, letters as answers without any pass over them."""
    model = CachedDecoder(random_decoder(SHAPES["plain"]))
    ran: list[int] = []
    through = model._through

    def counted(tokens: torch.Tensor, *rest: object) -> torch.Tensor:
        ran.append(tokens.numel())
        return through(tokens, *rest)

    model._through = counted
    shots = ids("例：一加一等于二。" + "x" * 30)
    questions = [(0, *shots, *ids(f"{n}+{n}=?")) for n in range(10, 30)]
    letters = [Asked(q, ids(letter)) for q in questions for letter in "ABCD"]
    engine = InferenceEngine(model, batch_tokens=4000)
    engine.likelihoods(letters)
    assert sum(ran) < len(shots) + 20 * 8
    ran.clear()
    engine.likelihoods([Asked(q, ids(f" {letter}nswer")) for q in questions for letter in "ABCD"])
    assert sum(ran) < len(shots) + 20 * (8 + 4 * 8)


class Fixed:
    """A network of a table: the logits after token t are row t, whatever came before."""

    vocabulary, hidden, context, device, dtype = 4, 4, 64, torch.device("cpu"), torch.float32

    def __init__(self, table: Sequence[Sequence[float]]) -> None:
        self.table = torch.tensor(table)

    def run(self, tokens: torch.Tensor, *_: object) -> torch.Tensor:
        return self.table[tokens]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


def test_margins_and_ties() -> None:
    """Equal logits: greedy takes the lower id, whether the other is asked for too or not."""
    table = [[0, 3, 3, 0], [5, 1, 0, 0], [0, 0, 0, 7], [2, 1, 0, 0]]
    engine = InferenceEngine(Fixed(table), batch_tokens=64)
    asked = [
        Asked((0,), (1,)),
        Asked((0,), (2,)),
        Asked((3, 0), (2,)),
        Asked((0,), (1, 0)),
        Asked((0,), (2, 3)),
        Asked((0,), (1, 1)),
    ]
    found = engine.likelihoods(asked)
    assert [f.greedy for f in found] == [True, False, False, True, False, False]
    assert [f.margin for f in found] == pytest.approx([0, 0, 0, 0, 0, -4])
    assert engine.likelihoods([Asked((3,), (0, 0))])[0].margin == pytest.approx(-3)
    assert engine.likelihoods([Asked((3,), (0,)), Asked((3,), (1,))])[0] == engine.likelihoods([Asked((3,), (0,))])[0]


def test_bad_requests_are_named() -> None:
    engine = InferenceEngine(CachedDecoder(random_decoder(SHAPES["plain"])), batch_tokens=40)
    good = Asked((0,), (1,))
    for bad in (Asked((), (1,)), Asked((1,), ()), Asked((1,), (2,) * (CONTEXT + 1))):
        with pytest.raises(DataError, match="request 1: "):
            engine.likelihoods([good, bad])
    for bad in (Asked((0,), (256,)), Asked((-1, 3), (5, 6))):
        with pytest.raises(DataError, match="does not fit the model"):
            engine.likelihoods([good, bad])
    with pytest.raises(DataError, match="token 300 "):
        engine.rolling([[1], [300]], context=8, first=0)
    with pytest.raises(DataError, match="context of 97"):
        engine.rolling([[1]], context=97, first=0)
    with pytest.raises(DataError, match="context of 98"):
        InferenceEngine(engine.network, batch_tokens=40, context=98)


def test_a_loss_that_is_no_number_names_request_and_dtype() -> None:
    engine = InferenceEngine(Fixed([[0, 1, 2, 3], [math.nan] * 4, [0] * 4, [0] * 4]), batch_tokens=64)
    with pytest.raises(DataError, match="request 1 has a loss of nan in float32"):
        engine.likelihoods([Asked((0,), (1,)), Asked((1,), (2,))])
    with pytest.raises(DataError, match="document 0 has a loss of nan in float32"):
        engine.rolling([[1, 2]], context=8, first=0)


def test_a_request_that_begins_another_and_one_that_is_it() -> None:
    """Chains: each request goes on where the one before ends, so the tree has no branches, or very many levels."""
    model = random_decoder(SHAPES["grouped, tied"])
    text = (0, *ids("一二三四五，上山打老虎。One, two, three."))
    asked = [Asked(text[:n], text[n : n + 1]) for n in range(1, len(text) - 1)] + [
        Asked(text[:9], text[9:]),
        Asked(text[:9], text[9:]),
    ]
    for costs in COSTS.values():
        same(InferenceEngine(CachedDecoder(model), batch_tokens=100, costs=costs), model, asked, 1e-5)


def test_a_plan_of_very_many_levels() -> None:
    """No recursion: two thousand beginnings, each a token longer."""
    leaves, _ = distinct([Asked((5,) * n, (5,)) for n in range(1, 2000)], 4000)
    for costs in (Costs(1, 0.001), Costs(1, 1.0), Costs(1e6, 1e-9)):
        waiting, rows = [plan(leaves, costs, 100)], 0
        while waiting:
            group = waiting.pop()
            rows += sum(stop - start for start, stop, _ in group.rows)
            waiting += group.inner
        assert rows == len(leaves.leaves) == 1999
