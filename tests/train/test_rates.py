"""The learning-rate test: what is refused, which samples are read, how runs are compared, and which rate is recommended."""

from __future__ import annotations

import numpy as np
import pytest

from skyloom.core.errors import ConfigError
from skyloom.score.nll import TextLosses
from skyloom.train.rates import PartOfStage, Trial, difference, judge, length, mean_loss, parse_rates
from tests.train.toy import ToyLoader

RATES = (1e-4, 2e-4, 4e-4)


def losses(mean: float, documents: int, seed: int, noise: float = 0.05) -> TextLosses:
    """Documents of about 50 tokens with losses around `mean`; the same seed gives the same documents."""
    stream = np.random.default_rng(seed)
    tokens = stream.integers(30, 70, documents)
    hard = 1 + 0.2 * stream.standard_normal(documents)
    own = np.random.default_rng([seed, int(mean * 1e6)]).standard_normal(documents)
    return TextLosses(tokens * (mean * hard + noise * own), tokens, tokens * 3, tokens * 3)


def trial(rate: float, mean: float, *, start: float = 3.0, skipped: int = 0, diverged: str = "") -> Trial:
    sets = {"web_en": 1, "web_zh": 2}
    if diverged:
        return Trial(rate, {}, {}, skipped, diverged)
    begin, end = ({name: losses(m, 40, seed) for name, seed in sets.items()} for m in (start, mean))
    return Trial(rate, begin, end, skipped)


def test_rates_as_they_are_given() -> None:
    assert parse_rates("2.5e-4, 6e-5,1.2e-4,") == (6e-5, 1.2e-4, 2.5e-4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("6e-5,0", r"\b0 .*learning rate"),
        ("6e-5,-1e-4", r"-0\.0001 .*learning rate"),
        ("6e-5,nan", r"nan .*learning rate"),
        ("6e-5,快", "numbers with commas"),
        ("6e-5", r"\b2 .*\b8 rates.*\b1\b"),
        (",".join(f"{k}e-5" for k in range(1, 10)), r"rates.*\b9\b"),
        ("1e-4,0.0001", "a rate twice"),
        ("1e-4,1.0000001e-4", "rate twice"),
    ],
)
def test_rates_that_cannot_be_tried(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_rates(text)


def test_how_long_a_test_is() -> None:
    assert length(None, 1_000_000, 1000) == 100
    assert length(None, 100_000, 1000) == 50, "a tenth would be ten steps"
    assert length(None, 20_000, 1000) == 20, "no longer than the stage"
    assert length(2999, 20_000, 1000) == 2
    with pytest.raises(ConfigError, match=r"\b999\b.*one step.*\b1,000\b"):
        length(999, 20_000, 1000)


def test_a_part_is_what_the_stage_reads_there() -> None:
    whole = ToyLoader(20)
    part = PartOfStage(whole, 5, 4)
    assert np.array_equal(part.batch(3, rank=1, world=2).tokens, whole.batch(8, rank=1, world=2).tokens)
    assert part.documents(0) == whole.documents(5) and part.steps == 4
    with pytest.raises(ConfigError, match=r"\b20 steps.*\b15\b.*--tokens"):
        PartOfStage(whole, 5, 16)


def test_differences_are_of_the_same_documents() -> None:
    """The interval of a paired difference: right by an independent bootstrap, and far narrower than the losses' own."""
    ours, theirs = ({name: losses(m, 40, seed) for name, seed in (("web_en", 1), ("web_zh", 2))} for m in (2.02, 2.0))
    found = difference(ours, theirs)
    assert found.value == pytest.approx(mean_loss(ours) - mean_loss(theirs)) and found.low < found.value < found.high
    stream, drawn = np.random.default_rng(5), []
    for _ in range(4000):
        gaps = []
        for name in ours:
            rows = stream.integers(0, 40, 39)
            gaps.append((ours[name].nats[rows] - theirs[name].nats[rows]).sum() / ours[name].tokens[rows].sum())
        drawn.append(np.mean(gaps))
    low, high = np.quantile(drawn, [0.025, 0.975])
    width = found.high - found.low
    assert abs(found.low - low) < 0.1 * width and abs(found.high - high) < 0.1 * width
    assert width < 0.3 * (ours["web_en"].interval("web_en")[1] - ours["web_en"].interval("web_en")[0])
    assert difference(ours, ours) == type(found)(0.0, 0.0, 0.0)


def test_a_set_of_one_document_has_no_spread() -> None:
    ours, theirs = ({"code": losses(m, 1, 3)} for m in (2.1, 2.0))
    found = difference(ours, theirs)
    assert found.low == pytest.approx(found.value) == found.high


def test_the_lowest_loss_is_recommended() -> None:
    found = judge([trial(r, m) for r, m in zip(RATES, (2.9, 2.5, 2.7), strict=True)])
    assert found.rate == found.best == 2e-4 and "higher" in found.reason and "最低" in found.reason_zh
    assert "edge" not in found.reason and found.to_start[2e-4].high < 0


def test_of_equals_the_lowest_rate_is_taken() -> None:
    """The report kept the lowest rate; a difference inside the noise is no reason for a higher one."""
    found = judge([trial(r, m) for r, m in zip(RATES, (2.504, 2.5, 2.9), strict=True)])
    assert (found.best, found.rate) == (2e-4, 1e-4)
    assert "0.0001, 0.0002 cannot be told apart" in found.reason and "shows late" in found.reason and "无法区分" in found.reason_zh


def test_diverged_and_spiking_runs_are_named_and_left_out() -> None:
    found = judge([trial(1e-4, 2.9), trial(2e-4, 2.6), trial(3e-4, 2.1, skipped=2), trial(4e-4, 0, diverged="loss is nan")])
    assert found.rate == 2e-4, "the spiking run had a lower loss"
    assert "0.0003 (2 batches" in found.reason and "0.0004 (diverged" in found.reason and "nan" in found.reason
    assert "0.0003、0.0004" in found.reason_zh
    risen = judge([trial(1e-4, 2.9), trial(2e-4, 3.7)])
    assert risen.rate == 1e-4 and "0.0002 (diverged" in risen.reason and "rose from 3.0" in risen.reason
    nothing = judge([trial(r, 0, diverged="loss is nan") for r in RATES])
    assert nothing.rate is None and "test lower ones" in nothing.reason


def test_what_else_should_be_tried_is_said() -> None:
    assert "test higher rates too" in judge([trial(r, m) for r, m in zip(RATES, (2.9, 2.8, 2.5), strict=True)]).reason
    assert "test lower rates too" in judge([trial(r, m) for r, m in zip(RATES, (2.5, 2.7, 2.8), strict=True)]).reason
    raised = judge([trial(r, m) for r, m in zip(RATES, (3.1, 3.2, 3.4), strict=True)])
    assert raised.rate == 1e-4 and "Every rate raised the loss above the checkpoint's" in raised.reason
