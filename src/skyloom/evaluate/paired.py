"""Paired differences between models on the same held-out documents: whether one is better, or only looks so.

Input: each model's figures on each set with their bootstrap replicates; output: rows of differences with 95 % intervals. Each
model's own interval is wide because documents differ, but they differ in the same way for all models. So all models share the
resamples of a set's documents, and their figures are subtracted resample by resample. A table marks a figure as the best of its row
only where its differences to all others exclude zero. A compressor has one figure for a whole set: there the interval is that of
the model alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from skyloom.score.intervals import Estimate, Floats, estimate, figure, generator, resampled_sums
from skyloom.score.nll import TextLosses


@dataclass(frozen=True)
class Replicates:
    """A figure of a model on a set, and its replicates, float64[resamples]; resample k draws the same documents for all models."""

    value: float
    draws: Floats


@dataclass(frozen=True)
class SetFigures:
    """Bits per byte, and nats per reference token (NaN for a compressor)."""

    bits_per_byte: Replicates
    reference_loss: Replicates


class PairedRow(TypedDict):
    """A difference, `model` minus `other`: negative where `model` is better. `set` is None for the average over the sets."""

    model: str
    other: str
    set: str | None
    bits_per_byte: float | None
    bits_per_byte_low: float | None
    bits_per_byte_high: float | None
    reference_loss: float | None
    reference_loss_low: float | None
    reference_loss_high: float | None


def set_figures(name: str, losses: TextLosses, *, seed: int, resamples: int) -> SetFigures:
    """The figures of a model on the set `name`; NaN per reference token where there are no such tokens."""

    counts = losses.reference_tokens
    if len(losses.nats) < 2:
        return SetFigures(
            Replicates(losses.bits_per_byte, _missing(resamples).draws),
            Replicates(losses.reference_loss, _missing(resamples).draws)
            if counts is not None and counts.sum()
            else _missing(resamples),
        )
    known = counts is not None and bool(counts.sum())
    columns = [losses.nats, losses.bytes.astype(np.float64), *([counts.astype(np.float64)] if counts is not None and known else [])]
    nats, sizes, *tokens = resampled_sums(columns, generator(seed, name), resamples)
    bits = Replicates(losses.bits_per_byte, nats / sizes / math.log(2))
    return SetFigures(bits, Replicates(losses.reference_loss, nats / tokens[0]) if known else _missing(resamples))


def fixed_figures(bits_per_byte: float, resamples: int) -> SetFigures:
    """The figures of what has only one for the whole set, such as a compressor."""
    return SetFigures(Replicates(bits_per_byte, np.full(resamples, bits_per_byte)), _missing(resamples))


def _missing(resamples: int) -> Replicates:
    return Replicates(math.nan, np.full(resamples, math.nan))


def differences(found: Mapping[str, Mapping[str, SetFigures]]) -> list[PairedRow]:
    """A row for each two models (`found`: figures by model and set) and each set that both have, and for their averages."""
    rows: list[PairedRow] = []
    for model, other in itertools.combinations(found, 2):
        both = [name for name in found[model] if name in found[other]]
        mine, theirs = ([found[m][name] for name in both] for m in (model, other))
        rows += [_row(model, other, name, [a], [b]) for name, a, b in zip(both, mine, theirs, strict=True)]
        if both:
            rows.append(_row(model, other, None, mine, theirs))
    return rows


def _row(model: str, other: str, name: str | None, mine: Sequence[SetFigures], theirs: Sequence[SetFigures]) -> PairedRow:
    bits = _difference([f.bits_per_byte for f in mine], [f.bits_per_byte for f in theirs])
    reference = _difference([f.reference_loss for f in mine], [f.reference_loss for f in theirs])
    return {
        "model": model, "other": other, "set": name,
        "bits_per_byte": figure(bits.value), "bits_per_byte_low": figure(bits.low), "bits_per_byte_high": figure(bits.high),
        "reference_loss": figure(reference.value),
        "reference_loss_low": figure(reference.low), "reference_loss_high": figure(reference.high),
    }  # fmt: skip


def _difference(mine: Sequence[Replicates], theirs: Sequence[Replicates]) -> Estimate:
    """The difference of the unweighted means over sets; sets are resampled independently of each other."""
    value = sum(a.value - b.value for a, b in zip(mine, theirs, strict=True)) / len(mine)
    draws = np.mean([a.draws - b.draws for a, b in zip(mine, theirs, strict=True)], axis=0)
    return estimate(value, draws)
