"""The harness' model class over our engine: the same answers as its `hf` backend, and what is told of items that cannot be asked."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance

from skyloom.core.errors import ConfigError, DataError
from skyloom.evaluate.benchmarks.answer_journal import AnswerJournal
from skyloom.evaluate.benchmarks.harness_model import HarnessModel
from skyloom.evaluate.opened.any_model import OpeningOptions, open_model
from skyloom.model.cached import CachedDecoder
from skyloom.score.likelihood import InferenceEngine
from tests.evaluate.benchmarks import stand_in as small

PAIRS = [
    ("What is the river?", " the bird"),
    ("What is the river? ", "the bird"),
    ("桌子是什么？\n答案：", "河流"),
    ("", "火车 and the light"),
    (" \n", "melon"),
    ("the", "re is"),
    ("The river and the printer, " * 6, " the light"),
]
ENDS = {"until": ["the", "。"], "max_gen_toks": 24, "do_sample": False}


def request(kind: str, *arguments: object, task: str = "t", item: str = "题1") -> Instance:
    return Instance(request_type=kind, doc={"id": item}, arguments=arguments, idx=0, metadata=(task, 0, 1))


def model(context: int = 512, *, cut: bool = False, **settings: object) -> HarnessModel:
    opened = small.Small(context=context, **settings)  # type: ignore[arg-type]
    return HarnessModel(opened, small.engine(opened), AnswerJournal(None), cut=cut)


@pytest.mark.parametrize("adds_bos", [True, False])
def test_answers_are_those_of_hf(tmp_path: Path, adds_bos: bool) -> None:
    """Log-probabilities, greediness, rolling windows and generated texts, with a tokenizer that joins letters over the boundary."""
    from lm_eval.models.huggingface import HFLM

    folder = small.hub_folder(tmp_path, adds_bos=adds_bos, context=64)
    opened = open_model(str(folder), OpeningOptions(dtype="float32", offline=True))
    engine = InferenceEngine(CachedDecoder(opened.network), batch_tokens=256)  # type: ignore[arg-type]
    mine = HarnessModel(opened, engine, AnswerJournal(None), cut=True)  # type: ignore[arg-type]
    theirs = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=2, max_length=64)
    assert mine.front == ((0,) if adds_bos else ())
    asked = [request("loglikelihood", *pair) for pair in PAIRS if pair[0].strip() or not pair[0] or adds_bos]
    for ours, other in zip(mine.loglikelihood(asked), theirs.loglikelihood(asked, disable_tqdm=True), strict=True):
        assert ours[0] == pytest.approx(other[0], abs=1e-4) and ours[1] == other[1]
    texts = [request("loglikelihood_rolling", text) for text in (small.TEXTS[0], small.TEXTS[1] * 4)]
    if not adds_bos:  # theirs would score BOS, too
        rolled = theirs.loglikelihood_rolling(texts, disable_tqdm=True)
        assert mine.loglikelihood_rolling(texts) == pytest.approx(rolled, abs=1e-3)
    wanted = [request("generate_until", text[:20], dict(ENDS)) for text in small.TEXTS] + [
        request("generate_until", small.TEXTS[0] * 3, dict(ENDS))
    ]
    assert mine.generate_until(wanted) == theirs.generate_until(wanted, disable_tqdm=True)


def test_bos_of_our_own_tokenizers_stands_in_front() -> None:
    lm = model()
    assert lm.asked([request("loglikelihood", "ab ", "c")])[0].context == (small.BOS, *b"ab")
    assert lm.asked([request("loglikelihood", "ab ", "c")])[0].continuation == tuple(b" c")
    assert lm.asked([request("loglikelihood", "", "c")])[0].context == (small.BOS,)


@pytest.mark.parametrize("text", ["河" * 30, "river " * 15])
def test_an_item_longer_than_the_context_is_named(text: str) -> None:
    lm = model(context=64)
    with pytest.raises(DataError, match=r"task t, item 题1 has 9[0-9] tokens, small takes 64 .*--shots"):
        lm.check({"loglikelihood": [request("loglikelihood", text, "答")]})
    with pytest.raises(DataError, match=r"item 题1 has .* and up to 24 new ones"):
        lm.check({"generate_until": [request("generate_until", text, dict(ENDS))]})
    with pytest.raises(DataError, match="longer context"):
        model(context=64, cut=True).check({"loglikelihood": [request("loglikelihood", "x", text)]})
    cut = model(context=64, cut=True)
    asked = cut.asked([request("loglikelihood", text, "答")])[0]
    assert len(asked.context) + len(asked.continuation) == 65 and cut.cut_items == {"t": {"题1"}}


def test_an_answer_without_tokens_is_named() -> None:
    with pytest.raises(DataError, match="task t, item 空 has no text after the template"):
        model().likelihoods([request("loglikelihood", "x", "好"), request("loglikelihood", "x", "", item="空")])
    with pytest.raises(DataError, match="item 空 has no text"):
        model().check({"generate_until": [request("generate_until", "", dict(ENDS), item="空")]})
    with pytest.raises(DataError, match="item 空 has no text"):
        model().check({"loglikelihood_rolling": [request("loglikelihood_rolling", "", item="空")]})


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_is_named_with_its_dtype(value: float) -> None:
    opened = small.Small(dtype=torch.bfloat16)
    broken = CachedDecoder(opened.decoder())
    logits = broken.logits
    broken.logits = lambda hidden: logits(hidden).index_fill(-1, torch.tensor([ord("b")]), -value if value == math.inf else value)  # type: ignore[method-assign]
    lm = HarnessModel(opened, InferenceEngine(broken, batch_tokens=64), AnswerJournal(None))
    with pytest.raises(DataError, match=r"task t, item 乙: small gives a loss of (nan|inf) in bfloat16; try --dtype float32"):
        lm.likelihoods([request("loglikelihood", "x", "b", item="乙")])


def test_samples_do_not_depend_on_what_was_known(tmp_path: Path) -> None:
    drawn = {"until": ["。"], "max_gen_toks": 6, "do_sample": True, "temperature": 1.0}
    asked = [request("generate_until", text, dict(drawn)) for text in ("ab", "ab", "河", "cd")]
    whole = model().generate_until(asked)
    assert whole[0] != whole[1], "two samples of one prompt"
    opened = small.Small(context=512)
    with AnswerJournal(tmp_path) as journal:
        lm = HarnessModel(opened, small.engine(opened), journal)
        assert lm.generate_until(asked[:2]) == whole[:2]
    with AnswerJournal(tmp_path) as journal:
        assert HarnessModel(opened, small.engine(opened), journal).generate_until(asked) == whole
    with pytest.raises(ConfigError, match="top_k"):
        model().check({"generate_until": [request("generate_until", "x", drawn | {"top_k": 3})]})
