"""The loss against a float64 numpy implementation and against transformers' own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import DataError
from skyloom.evaluate.perplexity import row
from skyloom.model import hf
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score.nll import TextLosses, score_continuations, score_texts, score_tokens, token_losses

CONFIG = ModelConfig(vocabulary=260, hidden=32, layers=2, heads=2, ffn=64, context=16)
BOS = 0
TEXTS = ["The sky is a loom.", "天空是一台织布机。" * 4, "混合 mixed text 😀", "a", "机"]


def encode(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """A byte a token: ids 2 to 257."""
    rows = [np.frombuffer(t.encode(), np.uint8).astype(np.int32) + 2 for t in texts.to_pylist()]
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)]).astype(np.int64)


@pytest.fixture(scope="module")
def model() -> Decoder:
    """Sharp logits, so that a shifted target or window shows at once."""
    made = initialise(Decoder(CONFIG), 3)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if not name.endswith("norm.weight"):
                weight.mul_(12)
    return made


def reference(model: Decoder, ids: list[int], context: int) -> npt.NDArray[np.float64]:
    """Losses of a document, one by one: each token from the tokens of its window and the one before it, in float64."""
    wide = Decoder(CONFIG).double()
    wide.load_state_dict(model.state_dict())
    own, losses = [BOS, *ids], []
    for place in range(1, len(own)):
        start = (place - 1) // context * context
        with torch.no_grad():
            logits = wide(torch.tensor([own[start:place]]))[0, -1].numpy()
        shifted = logits - logits.max()
        losses.append(np.log(np.exp(shifted).sum()) - shifted[own[place]])
    return np.array(losses)


@pytest.mark.parametrize("batch_tokens", [1, 40, 4096])
def test_equals_float64_token_by_token(model: Decoder, batch_tokens: int) -> None:
    found = score_texts(model, encode, TEXTS, context=16, batch_tokens=batch_tokens, bos_id=BOS)
    for number, text in enumerate(TEXTS):
        expected = reference(model, [b + 2 for b in text.encode()], 16)
        assert found.nats[number] == pytest.approx(expected.sum(), rel=2e-5)
        assert found.tokens[number] == len(expected) == found.bytes[number]
        assert found.chars[number] == len(text)
    assert found.nats.dtype == np.float64


def test_equals_the_loss_of_transformers(model: Decoder) -> None:
    transformers = pytest.importorskip("transformers")
    table = hf.to_hf_config(CONFIG, bos_id=BOS, eos_id=1, dtype="float32")
    other = transformers.LlamaForCausalLM(transformers.LlamaConfig(**table))
    other.load_state_dict(hf.to_hf(model.state_dict(), CONFIG))
    ids = torch.tensor([[BOS, *(b + 2 for b in "天空 sky 织".encode())]])
    with torch.no_grad():
        theirs = float(other(ids, labels=ids).loss)
    found = score_texts(model, encode, ["天空 sky 织"], context=16, batch_tokens=64, bos_id=BOS)
    assert found.loss == pytest.approx(theirs, rel=1e-5)


def uniform(tokens: torch.Tensor) -> torch.Tensor:
    return torch.zeros(*tokens.shape, 256)


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.text(min_size=1).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)), min_size=1, max_size=6),
    context=st.integers(1, 9),
    batch_tokens=st.integers(1, 60),
)
def test_every_token_is_scored_once(texts: list[str], context: int, batch_tokens: int) -> None:
    """A uniform model pays log 256 for each byte token, whatever the windows and batches."""

    def shifted(column: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        ids, offsets = encode(column)
        return ids - 2, offsets

    found = score_texts(uniform, shifted, texts, context=context, batch_tokens=batch_tokens, bos_id=0)
    np.testing.assert_allclose(found.nats, found.tokens * np.log(256), rtol=1e-5)
    assert found.bits_per_byte == pytest.approx(8, rel=1e-5)


def test_seen_by_windows_and_never_padding() -> None:
    """The model is shown exactly the convention: BOS first, then the token before the window."""
    seen: list[list[int]] = []

    def spy(tokens: torch.Tensor) -> torch.Tensor:
        seen.extend(tokens.tolist())
        return torch.zeros(*tokens.shape, 20)

    ids = np.arange(10, 17, dtype=np.int32)
    score_tokens(spy, ids, np.array([0, 7], np.int64), context=3, batch_tokens=100, bos_id=1)
    assert seen[:2] == [[1, 10, 11], [12, 13, 14]]
    assert seen[2][0] == 15 and seen[2][2] == 0  # what stands behind the last real input is not scored


def test_units_of_one_pass(model: Decoder) -> None:
    own = score_texts(model, encode, TEXTS, context=16, batch_tokens=64, bos_id=BOS, reference_tokens=np.array([5, 20, 8, 1, 1]))
    total = own.nats.sum()
    assert own.loss == pytest.approx(total / sum(len(t.encode()) for t in TEXTS))
    assert own.perplexity == pytest.approx(np.exp(own.loss))
    assert own.reference_loss == pytest.approx(own.loss * own.tokens.sum() / 35)
    assert own.bits_per_byte == pytest.approx(own.loss / np.log(2))  # a byte a token
    assert own.bits_per_char == pytest.approx(total / sum(map(len, TEXTS)) / np.log(2))
    with pytest.raises(DataError, match="reference tokenizer"):
        _ = score_texts(model, encode, TEXTS, context=16, batch_tokens=64, bos_id=BOS).reference_loss


def test_what_cannot_be_scored_is_told(model: Decoder) -> None:
    for texts, said in (([], "no texts"), (["天", ""], "text 1 has no tokens")):
        with pytest.raises(DataError, match=said):
            score_texts(model, encode, texts, context=16, batch_tokens=64, bos_id=BOS)
    with pytest.raises(DataError, match="2 reference counts"):
        score_texts(model, encode, ["天"], context=16, batch_tokens=64, bos_id=BOS, reference_tokens=np.array([1, 2]))


def test_a_loss_has_the_interval_of_the_tables() -> None:
    """Monitor and perplexity table draw the same documents for the same set: one loss, one interval."""
    stream = np.random.default_rng(0)
    tokens = stream.integers(50, 150, 60)
    nats = tokens * stream.normal(3.0, 0.5, 60)
    losses = TextLosses(nats, tokens, tokens, tokens)
    line, _ = row("final", "web_zh", losses, seed=1, resamples=1000)
    assert losses.interval("web_zh") == pytest.approx((line["low"], line["high"]), rel=1e-6) != losses.interval("web_en")
    alone = TextLosses(np.array([3.0]), np.array([1]), np.array([1]), np.array([1]))
    assert np.isnan(alone.interval("代码")).all()
    none = TextLosses(*(np.array([], dtype) for dtype in (float, int, int, int)))
    with pytest.raises(DataError):
        none.interval("code")


def test_continuations_equal_the_texts_tail(model: Decoder) -> None:
    pairs = [
        ([BOS, *(b + 2 for b in p.encode())], [b + 2 for b in c.encode()]) for p, c in [("7加", "八"), ("2+", "2=4"), ("", "天")]
    ]
    found = score_continuations(model, pairs, context=16, batch_tokens=30)
    for number, (prompt, continuation) in enumerate(pairs):
        expected = reference(model, [*prompt[1:], *continuation], 16)[len(prompt) - 1 :]
        assert found.nats[number] == pytest.approx(expected.sum(), rel=2e-5)
        assert found.tokens[number] == len(continuation)


class LossesOnly:
    """A model none of whose processes holds all logits."""

    def __init__(self, model: Decoder) -> None:
        self._model = model

    def token_losses(self, tokens: torch.Tensor) -> torch.Tensor:
        return token_losses(self._model(tokens[:, :-1]), tokens[:, 1:])


def test_a_model_without_logits_gives_the_same_nats_and_no_greedy_flag(model: Decoder) -> None:
    pairs = [([BOS, 5], [7, 8, 9]), ([BOS, *range(2, 30)], [3, 200]), ([BOS], [4])]
    ours = score_continuations(LossesOnly(model), pairs, context=16, batch_tokens=30)
    theirs = score_continuations(model, pairs, context=16, batch_tokens=30)
    np.testing.assert_array_equal(ours.nats, theirs.nats)
    np.testing.assert_array_equal(ours.tokens, theirs.tokens)
    assert ours.greedy is None and theirs.greedy is not None


def test_greedy_flag_and_cut_prompts() -> None:
    def successor(tokens: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot((tokens + 1) % 50, 50).float() * 9

    found = score_continuations(
        successor, [([1, 2], [3, 4]), ([1, 2], [3, 5]), (list(range(30)), [30, 31])], context=4, batch_tokens=99
    )
    assert found.greedy is not None and found.greedy.tolist() == [True, False, True]
    assert found.nats[0] == pytest.approx(found.nats[2], rel=1e-4)
    for bad in (([], [1]), ([1], []), ([1], [1] * 5)):
        with pytest.raises(DataError, match="item 0"):
            score_continuations(successor, [bad], context=4, batch_tokens=9)
