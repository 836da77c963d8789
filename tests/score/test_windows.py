"""Overlapping windows: each token scored once behind as much as the context holds, as lm-evaluation-harness' rolling windows do."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.score.nll import score_tokens, windows
from tests.score.test_nll import BOS, CONFIG

CONTEXT = 16


@pytest.fixture(scope="module")
def exact() -> Decoder:
    made = initialise(Decoder(CONFIG), 3)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if not name.endswith("norm.weight"):
                weight.mul_(12)
    return made.double()


def column(*documents: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    rows = [np.frombuffer(t.encode(), np.uint8).astype(np.int32) + 2 for t in documents]
    return np.concatenate(rows), np.cumsum([0, *map(len, rows)]).astype(np.int64)


DOCUMENTS = ("The sky is a loom, and the loom is a sky.", "天空是一台织布机。" * 3, "机", "exactly sixteen.", "seventeen bytes..")


def by_hand(model: Decoder, document: str, stride: int) -> float:
    """Token by token in float64, each behind the tokens that its window holds."""
    own = [BOS, *(b + 2 for b in document.encode())]
    nats, done = 0.0, 0
    while done < len(own) - 1:
        new = min(CONTEXT if not done else stride, len(own) - 1 - done)
        done += new
        start = max(0, done - CONTEXT)
        for place in range(done - new + 1, done + 1):
            with torch.no_grad():
                logits = model(torch.tensor([own[start:place]]))[0, -1].double()
            nats -= float(torch.log_softmax(logits, -1)[own[place]])
    return nats


@pytest.mark.parametrize("stride", [16, 5, 1])
@pytest.mark.parametrize("batch", [1, 4096])
def test_a_float64_model_is_scored_in_float64(exact: Decoder, stride: int, batch: int) -> None:
    ids, offsets = column(*DOCUMENTS)
    found = score_tokens(exact, ids, offsets, context=CONTEXT, batch_tokens=batch, bos_id=BOS, stride=stride)
    sizes = np.diff(offsets)
    for value, document, size in zip(found, DOCUMENTS, sizes, strict=True):
        assert abs(value - by_hand(exact, document, stride)) / size < 1e-9


def test_fp32_is_near_and_batches_change_nothing(exact: Decoder) -> None:
    single = Decoder(ModelConfig(**{f: getattr(CONFIG, f) for f in CONFIG.__dataclass_fields__}))
    single.load_state_dict({k: v.float() for k, v in exact.state_dict().items()})
    ids, offsets = column(*DOCUMENTS)
    runs = [
        score_tokens(single, ids, offsets, context=CONTEXT, batch_tokens=batch, bos_id=BOS, stride=CONTEXT)
        for batch in (1, 40, 4096)
    ]
    wide = score_tokens(exact, ids, offsets, context=CONTEXT, batch_tokens=64, bos_id=BOS, stride=CONTEXT)
    sizes = np.diff(offsets)
    for run in runs:
        assert (np.abs(run - wide) / sizes).max() < 1e-5
        assert (np.abs(run - runs[0]) / sizes / np.log(2)).max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 120), st.integers(1, 20))
def test_rolling_windows_are_those_of_the_harness(tokens: int, context: int) -> None:
    utils = pytest.importorskip("lm_eval.utils", reason="lm-evaluation-harness is not installed (extra eval)")
    document = list(range(1, tokens + 1))
    theirs = [
        utils.make_disjoint_window(w)
        for w in utils.get_rolling_token_windows(document, prefix_token=0, max_seq_len=context, context_len=1)
    ]
    own = [0, *document]
    ours = [(own[first : last - new + 1], own[last - new + 1 : last + 1]) for first, last, new in windows(tokens, context, context)]
    assert ours == [(list(before), list(scored)) for before, scored in theirs]


def test_disjoint_windows_are_as_ever() -> None:
    assert list(windows(37, 16, None)) == [(0, 16, 16), (16, 32, 16), (32, 37, 5)]
    assert list(windows(37, 16, 16)) == [(0, 16, 16), (16, 32, 16), (21, 37, 5)]
    assert list(windows(20, 16, 3)) == [(0, 16, 16), (3, 19, 3), (4, 20, 1)]


@pytest.mark.parametrize("stride", [0, 17])
def test_a_stride_that_does_not_fit_is_told(exact: Decoder, stride: int) -> None:
    ids, offsets = column("a机")
    with pytest.raises(ConfigError, match="does not fit a context of 16"):
        score_tokens(exact, ids, offsets, context=CONTEXT, batch_tokens=64, bos_id=BOS, stride=stride)
