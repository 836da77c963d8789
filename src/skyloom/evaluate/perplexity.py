"""Perplexity by domain: many held-out sets, several models, one normalisation (report 4, Table 6).

Input: sets of held-out texts and models; output: table rows. A set's loss is nats per token over all
its tokens, so long documents count by their length. Two models with different tokenizers cannot be compared by it: the
report divides each model's nats by ONE tokenizer's token count. So do we, and the reference costs nobody a second model:
by default it is the unit of text (`core.units`: a Han character, or a word of another script), which depends on no
tokenizer at all. A SentencePiece model can be named instead. Bits per byte say the same without any reference.

The average row is the report's: the exponential of the unweighted mean of the domains' losses, a geometric mean of the
perplexities. All intervals resample documents.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa
import sentencepiece as spm

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.units import count_units
from skyloom.evaluate.config import UNITS
from skyloom.score.intervals import Estimate, Floats, estimate, figure, generator, replicates
from skyloom.score.nll import Counts, TextLosses
from skyloom.suites import within_budget

NO_ESTIMATE = Estimate(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class TableSet:
    """One held-out set. `reference`: int64[texts], reference tokens of each text."""

    name: str
    texts: tuple[str, ...]
    reference: Counts


def reference_counter(reference: str) -> tuple[str, Callable[[Sequence[str]], Counts]]:
    """A description of the reference tokens, and what counts them: `UNITS`, or the path of a SentencePiece model."""
    if reference == UNITS:
        words = "units of text: one Han, kana or hangul character, or one word of any other script (skyloom.core.units)"
        return words, lambda texts: count_units(pa.array(texts, pa.large_string()))
    try:
        model = spm.SentencePieceProcessor(model_file=reference)
    except (OSError, RuntimeError) as problem:
        raise ConfigError(
            f"evaluate.reference: {reference} is no SentencePiece model ({problem}); give the path of one, or '{UNITS}'"
        ) from problem
    return (
        f"tokens of the SentencePiece model {Path(reference).name} ({model.get_piece_size()} pieces)",
        lambda texts: np.array([len(ids) for ids in model.encode(list(texts))], np.int64),
    )


def table_set(
    name: str, texts: Sequence[str], count: Callable[[Sequence[str]], Counts], characters: int = 0, most: int = 0
) -> TableSet:
    """A set ready for scoring: texts cut to `characters` each, the first of them up to `most` bytes (0: no limit).

    The report cuts documents to a third of the context in characters, so that the finest tokenizer still fits. Many
    beginnings make a narrower interval than a few whole documents. Empty texts are left out; DataError if none is left.
    """
    pieces = (text[:characters] if characters else text for text in texts)
    kept = within_budget((piece for piece in pieces if piece), most)
    if not kept:
        raise DataError(f"the held-out set '{name}' has no text; add sources for it, or leave the domain out")
    return TableSet(name, tuple(kept), count(kept))


class LossFigures(TypedDict):
    """Columns that rows of sets and of averages share. `low` and `high` bound the loss."""

    loss: float | None
    perplexity: float | None
    low: float | None
    high: float | None
    reference_loss: float | None
    reference_perplexity: float | None


class BitsPerByte(TypedDict):
    bits_per_byte: float | None


class SetSize(TypedDict):
    model: str
    set: str
    documents: int


class TextSize(TypedDict):
    tokens: int | None
    bytes: int


class PerplexityRow(SetSize, LossFigures, BitsPerByte, TextSize):
    """A row of `perplexity.json`: a model on a set."""


class AverageRow(LossFigures, BitsPerByte):
    """A model over all sets."""

    model: str
    sets: int


class SanityCheck(TypedDict):
    """A check with its outcome."""

    check: str
    set: str
    ok: bool
    value: float | None
    bound: float | None


def loss_figures(loss: Estimate, reference: float) -> LossFigures:
    """Losses in nats per token, own and reference, and their perplexities."""
    return {
        "loss": figure(loss.value),
        "perplexity": figure(_exp(loss.value)),
        "low": figure(loss.low),
        "high": figure(loss.high),
        "reference_loss": figure(reference),
        "reference_perplexity": figure(_exp(reference)),
    }


def row(model: str, name: str, losses: TextLosses, *, seed: int, resamples: int) -> tuple[PerplexityRow, Floats]:
    """One line of the table, and the bootstrap replicates of its loss, float64[resamples]."""
    draws = replicates(losses.nats, losses.tokens, generator(seed, name), resamples)
    loss = estimate(losses.loss, draws)
    counted = losses.reference_tokens is not None and bool(losses.reference_tokens.sum())
    reference = losses.reference_loss if counted else math.nan
    return {
        "model": model,
        "set": name,
        "documents": len(losses.nats),
        **loss_figures(loss, reference),
        "bits_per_byte": figure(losses.bits_per_byte),
        "tokens": int(losses.tokens.sum()),
        "bytes": int(losses.bytes.sum()),
    }, draws


def bits_row(model: str, held: TableSet, bits_per_byte: float) -> PerplexityRow:
    """A line for what has no tokens, such as a compressor: only bits per byte."""
    return {
        "model": model,
        "set": held.name,
        "documents": len(held.texts),
        **loss_figures(NO_ESTIMATE, math.nan),
        "bits_per_byte": figure(bits_per_byte),
        "tokens": None,
        "bytes": sum(len(text.encode("utf-8")) for text in held.texts),
    }


def average(model: str, rows: Sequence[PerplexityRow], draws: Iterable[Floats]) -> AverageRow:
    """The report's average column: unweighted means of the losses over the sets, and their exponentials.

    A figure is null if one of the sets has none. `low` and `high` bound the mean loss; sets are resampled independently.
    """

    def mean(values: list[float | None]) -> float:
        known = [value for value in values if value is not None]
        return math.nan if not values or len(known) < len(values) else sum(known) / len(known)

    stacked = list(draws)
    loss = estimate(mean([r["loss"] for r in rows]), np.mean(stacked, axis=0) if stacked else np.empty(0))
    reference = mean([r["reference_loss"] for r in rows])
    return {
        "model": model,
        "sets": len(rows),
        **loss_figures(loss, reference),
        "bits_per_byte": figure(mean([r["bits_per_byte"] for r in rows])),
    }


def sanity(rows: Sequence[PerplexityRow], model: str, baseline: str) -> list[SanityCheck]:
    """Checks as data, `{check, set, ok, value, bound}`: each set's loss is finite, and bits per byte lie below the baseline's.

    Bits per byte and not losses are compared, so that the check also holds between models with different tokenizers.
    """
    bounds = {r["set"]: r["bits_per_byte"] for r in rows if r["model"] == baseline}
    checks: list[SanityCheck] = []
    for found in (r for r in rows if r["model"] == model):
        value, bound = found["bits_per_byte"], bounds.get(found["set"])
        below = value is not None and bound is not None and value < bound
        checks.append({"check": f"{model} is below {baseline}", "set": found["set"], "ok": below, "value": value, "bound": bound})
        finite = found["loss"] is not None and found["perplexity"] is not None
        checks.append(
            {"check": f"{model}'s loss is finite", "set": found["set"], "ok": finite, "value": found["loss"], "bound": None}
        )
    return checks


def _exp(loss: float) -> float:
    """exp, with infinity where it overflows; NaN stays NaN."""
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
