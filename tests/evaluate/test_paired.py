"""Paired differences: a small steady gap is seen although documents differ far more, and equal models are never told apart."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skyloom.evaluate.paired import SetFigures, differences, fixed_figures, set_figures
from skyloom.score.nll import TextLosses

RESAMPLES = 400


def losses(gap: float, noise: float = 0.02, reference: bool = True) -> TextLosses:
    """40 documents whose levels scatter by 1 nat per token; `gap` nats per token worse, with a little noise of its own."""
    rng = np.random.default_rng(3)
    tokens = rng.integers(50, 400, 40)
    level = rng.normal(4, 1, 40)
    own = np.random.default_rng(int(1000 * abs(gap)) + 7).normal(0, noise, 40)
    nats = tokens * (level + gap + own)
    return TextLosses(nats, tokens, tokens * 4, tokens * 2, tokens * 2 if reference else None)


def figures(found: TextLosses, name: str = "web_zh") -> SetFigures:
    return set_figures(name, found, seed=1, resamples=RESAMPLES)


def test_a_steady_gap_is_seen_where_the_models_own_intervals_overlap() -> None:
    a, b = losses(0.0), losses(0.05)
    (row, average) = differences({"stage1": {"web_zh": figures(a)}, "final": {"web_zh": figures(b)}})
    assert (row["model"], row["other"], row["set"], average["set"]) == ("stage1", "final", "web_zh", None)
    assert row["bits_per_byte"] == pytest.approx(a.bits_per_byte - b.bits_per_byte, rel=1e-5)
    assert row["bits_per_byte_low"] < row["bits_per_byte"] < row["bits_per_byte_high"] < 0
    assert row["reference_loss"] == pytest.approx(a.reference_loss - b.reference_loss, rel=1e-5)
    assert row["reference_loss_high"] < 0
    alone = figures(a).bits_per_byte.draws
    assert np.quantile(alone, 0.975) - np.quantile(alone, 0.025) > 10 * abs(row["bits_per_byte"])
    assert {**average, "set": "web_zh"} == row


def test_a_gap_within_chance_is_not_seen() -> None:
    rows = differences({"a": {"web_en": figures(losses(0.0, 0.3))}, "b": {"web_en": figures(losses(0.001, 0.3))}})
    assert all(row["bits_per_byte_low"] < 0 < row["bits_per_byte_high"] for row in rows)


def test_a_compressor_has_no_documents_and_no_reference() -> None:
    found = {"final": {"code": figures(losses(0.0, reference=False))}, "xz": {"code": fixed_figures(9.0, RESAMPLES)}}
    for row in differences(found):
        assert row["bits_per_byte_high"] < 0
        assert (row["reference_loss"], row["reference_loss_low"], row["reference_loss_high"]) == (None, None, None)


def test_one_document_has_no_interval_and_sets_that_only_one_model_has_are_left_out() -> None:
    one = TextLosses(np.array([5.0]), *(np.array([4]) for _ in range(4)))
    rows = differences({"a": {"web_zh": figures(one), "code": figures(one)}, "b": {"web_zh": figures(one)}})
    assert [row["set"] for row in rows] == ["web_zh", None]
    assert rows[0]["bits_per_byte"] == 0.0 and rows[0]["bits_per_byte_low"] is None
    assert math.isnan(figures(one).bits_per_byte.draws[0])
