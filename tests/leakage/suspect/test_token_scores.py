"""One pass over texts: the same figures as one text at a time by plain arithmetic, whatever the batches, for each kind of model."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch

from skyloom.core.errors import DataError
from skyloom.evaluate.opened import cached_network, open_model
from skyloom.leakage.suspect import token_scores as scoring
from skyloom.leakage.suspect.token_scores import TokenScores, item_scores, token_scores
from tests.evaluate.benchmarks import stand_in
from tests.evaluate.opened import small as models

TEXTS = ["The loom weaves the sky.", "天空是一台织布机。", "机", "A short text about rain.", "今天下雨。\n明天放晴😀"]


def by_hand(logits: torch.Tensor, row: list[int]) -> TokenScores:
    logs = torch.log_softmax(logits.double(), -1).numpy()
    weights = np.exp(logs)
    own = logs[np.arange(len(row)), row]
    means = (weights * logs).sum(1)
    deviations = np.sqrt((weights * (logs - means[:, None]) ** 2).sum(1))
    return TokenScores(-own, means, deviations, logs.argmax(1) == row)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("batch", [1, 24, 4096])
def test_each_token_has_the_figures_of_plain_arithmetic(
    kind: str, batch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = open_model(str((models.save_llama if kind == "llama" else models.save_gpt2)(tmp_path / "模型")))
    rows = [row[: model.context] for row in model.encode(TEXTS)]
    monkeypatch.setattr(scoring, "LOGITS", model.vocabulary * 4 * 3)  # three places at a time
    network = cached_network(model.network, context=model.context)
    found = dict(token_scores(network, rows, begin=model.begin, batch_tokens=batch))
    assert sorted(found) == list(range(len(TEXTS)))
    for number, row in enumerate(rows):
        wished = by_hand(model(torch.tensor([[model.begin, *row[:-1]]]))[0], row)
        for name in ("nats", "means", "deviations"):
            assert getattr(found[number], name) == pytest.approx(getattr(wished, name), abs=1e-3), (kind, number, name)
        assert found[number].greedy.tolist() == wished.greedy.tolist()


def test_the_figures_of_a_text() -> None:
    nats = np.array([1.0, 5.0, 2.0, 0.5, 3.0, 0.1, 4.0, 0.2, 0.3, 0.4])
    means, deviations = np.full(10, -2.0), np.full(10, 0.5)
    greedy = np.array([1, 0, 0, 1, 0, 1, 0, 1, 1, 1], np.bool_)
    found = item_scores(TokenScores(nats, means, deviations, greedy), "今天下雨")
    assert (found.min_k, found.min_k_plus) == (-4.5, -5.0) and found.nats == pytest.approx(16.5)
    assert (found.tokens, found.bytes, found.greedy_from) == (10, 12, 7) and found.zlib == len(
        zlib.compress("今天下雨".encode(), 9)
    )
    assert found.bits_per_byte == pytest.approx(16.5 / 12 / math.log(2)) and found.loss == pytest.approx(1.65)
    sure = item_scores(TokenScores(np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1, np.bool_)), "a")
    assert (sure.min_k_plus, sure.greedy_from) == (0.0, 0), "a sure token has no spread to divide by"


def test_greedy_to_the_end_is_what_the_engine_writes() -> None:
    model = stand_in.Small()
    engine = stand_in.engine(model)
    prompt = model.encode(["天空 the loom"])[0]
    written = engine.generate([[model.begin, *prompt]], most=8, stop=lambda _number, _text: False)[0]
    ((_, found),) = token_scores(model.cached(), [[*prompt, *written]], begin=model.begin, batch_tokens=64)
    assert item_scores(found, "x").greedy_from <= len(prompt)
    other = [*prompt, *written[:-1], (written[-1] + 1) % 256]
    ((_, found),) = token_scores(model.cached(), [other], begin=model.begin, batch_tokens=64)
    assert item_scores(found, "x").greedy_from == len(other)


def test_what_cannot_be_scored_is_named() -> None:
    model = stand_in.Small(context=8)
    for rows, told in (
        ([[1], [2] * 9], "item 题2 has 9 tokens; the model takes 1 to 8"),
        ([[1], []], "item 题2 has 0"),
        ([[1], [999]], "vocabulary"),
    ):
        with pytest.raises(DataError, match=told):
            list(token_scores(model.cached(), rows, begin=model.begin, batch_tokens=64, ids=["题1", "题2"]))


@pytest.mark.parametrize(("dtype", "hint"), [(torch.float16, "float16; try --dtype float32"), (torch.float32, "float32$")])
def test_a_loss_that_is_no_number_names_item_and_dtype(dtype: torch.dtype, hint: str) -> None:
    decoder = stand_in.Small(dtype=dtype).decoder()
    with torch.no_grad():
        assert decoder.head is not None
        decoder.head.weight[3] = math.nan
    network = cached_network(decoder, context=64)
    with pytest.raises(DataError, match=f"item 题1 has a loss of nan in {hint}"):
        list(token_scores(network, [[1, 2]], begin=256, batch_tokens=64, ids=["题1"]))


def test_tokens_that_the_model_excludes_have_no_weight() -> None:
    hidden, logits = torch.ones(1, 4), torch.tensor([[0.0, -math.inf, 1.0]])
    ((nats, means, spread, greedy),) = scoring._places(lambda _: logits.clone(), hidden, torch.tensor([2]), 3)
    assert (
        torch.isfinite(means).all()
        and torch.isfinite(spread).all()
        and bool(greedy[0])
        and float(nats[0]) == pytest.approx(0.3133, abs=1e-3)
    )
