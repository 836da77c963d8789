"""Table rows: the aggregates follow from nats, tokens, bytes and reference tokens, and the average is the report's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skyloom.core.errors import ConfigError, DataError
from skyloom.evaluate.config import UNITS
from skyloom.evaluate.perplexity import average, reference_counter, row, sanity, table_set
from skyloom.score.nll import TextLosses

TEXTS = ("光明日报 reports 3 new stations.", "第二篇文档", "A third, 更长的 document 🙂 with words.")
TABLE_6 = {
    "ChatGLM3-6B": (12.48, 23.48, 5.07, 18.45, 5.67, 7.47, 10.25),
    "LLaMA2-13B": (23.26, 50.66, 18.09, 32.52, 14.85, 16.55, 23.54),
    "Skywork-13B": (11.58, 21.84, 4.76, 17.28, 4.92, 6.82, 9.42),
}
"""Perplexities of six domains and their printed average: arXiv 2310.19341, Table 6 (three of its rows)."""


def losses(nats: list[float], tokens: list[int], reference: list[int] | None = None) -> TextLosses:
    sizes = np.array([len(t.encode()) for t in TEXTS[: len(nats)]])
    return TextLosses(
        nats=np.array(nats), tokens=np.array(tokens), bytes=sizes, chars=np.array([len(t) for t in TEXTS[: len(nats)]]),
        reference_tokens=None if reference is None else np.array(reference),
    )  # fmt: skip


def test_a_row_follows_from_its_sums() -> None:
    found, draws = row("final", "web_zh", losses([10.0, 20.0, 60.0], [5, 10, 30], [4, 6, 20]), seed=0, resamples=200)
    size = sum(len(t.encode()) for t in TEXTS)
    assert found["loss"] == 2.0 and found["perplexity"] == pytest.approx(math.exp(2))
    assert found["reference_loss"] == 3.0  # the report: loss · own tokens / reference tokens
    assert found["bits_per_byte"] == pytest.approx(90 / size / math.log(2), rel=1e-6)
    assert (found["tokens"], found["bytes"], found["documents"]) == (45, size, 3)
    assert len(draws) == 200 and found["low"] <= 2.0 <= found["high"]


def test_bits_per_byte_and_reference_loss_do_not_depend_on_the_tokenizer() -> None:
    """The same probabilities, cut into finer tokens: own loss falls, what is comparable stays."""
    coarse, _ = row("a", "s", losses([10.0, 20.0], [5, 10], [4, 6]), seed=0, resamples=100)
    fine, _ = row("b", "s", losses([10.0, 20.0], [50, 100], [4, 6]), seed=0, resamples=100)
    assert fine["loss"] < coarse["loss"]
    assert [fine[k] for k in ("reference_loss", "bits_per_byte")] == [coarse[k] for k in ("reference_loss", "bits_per_byte")]


@pytest.mark.parametrize("model", TABLE_6)
def test_the_average_is_that_of_the_published_table(model: str) -> None:
    *domains, printed = TABLE_6[model]
    rows = [{"loss": math.log(p), "reference_loss": math.log(p), "bits_per_byte": 1.0} for p in domains]
    found = average(model, rows, [np.full(10, r["loss"]) for r in rows])
    assert found["perplexity"] == pytest.approx(printed, abs=0.011)
    assert found["reference_perplexity"] == found["perplexity"] and found["sets"] == 6


def test_an_average_lacks_what_one_set_lacks() -> None:
    rows = [{"loss": 1.0, "reference_loss": None, "bits_per_byte": 2.0}, {"loss": 2.0, "reference_loss": 1.0, "bits_per_byte": 1.0}]
    found = average("xz", rows, [np.full(5, np.nan), np.ones(5)])
    assert found["loss"] == 1.5 and found["reference_loss"] is None and found["low"] is None
    assert average("none", [], [])["loss"] is None


def test_units_are_the_default_reference_in_both_languages() -> None:
    words, count = reference_counter(UNITS)
    assert count(["你好，世界！", "two words", "GPT模型 4", "…"]).tolist() == [4, 2, 4, 0]
    assert "Han" in words


def test_a_reference_that_is_no_model_is_told(tmp_path) -> None:
    path = tmp_path / "词表.model"
    path.write_bytes(b"not a model")
    for bad in (str(path), str(tmp_path / "missing.model")):
        with pytest.raises(ConfigError, match=r"evaluate\.reference"):
            reference_counter(bad)


@given(st.lists(st.text(alphabet="天地玄黄ab c🙂é\n", max_size=30), min_size=1, max_size=8), st.integers(0, 12))
def test_sets_are_cut_by_characters_and_never_hold_an_empty_text(texts: list[str], characters: int) -> None:
    _, count = reference_counter(UNITS)
    if not any(texts):
        with pytest.raises(DataError, match="web_zh"):
            table_set("web_zh", texts, count, characters)
        return
    held = table_set("web_zh", texts, count, characters)
    assert all(held.texts) and len(held.reference) == len(held.texts)
    whole = [t for t in texts if t]
    assert all(t == (w[:characters] if characters else w) for t, w in zip(held.texts, whole, strict=True))


def test_sanity_is_data_with_its_figures() -> None:
    def line(model: str, name: str, bits: float | None, loss: float | None) -> dict[str, object]:
        return {"model": model, "set": name, "bits_per_byte": bits, "loss": loss, "perplexity": loss}

    rows = [
        line("final", "web_en", 1.5, 2.0), line("unigram", "web_en", 3.0, 6.0),
        line("final", "web_zh", 3.5, 7.0), line("unigram", "web_zh", 3.0, 6.0),
        line("final", "code", None, None), line("unigram", "code", 3.0, 6.0),
    ]  # fmt: skip
    found = {(c["check"], c["set"]): c for c in sanity(rows, "final", "unigram")}
    below, finite = "final is below unigram", "final's loss is finite"
    assert [found[below, s]["ok"] for s in ("web_en", "web_zh", "code")] == [True, False, False]
    assert [found[finite, s]["ok"] for s in ("web_en", "web_zh", "code")] == [True, True, False]
    assert (found[below, "web_zh"]["value"], found[below, "web_zh"]["bound"]) == (3.5, 3.0)
