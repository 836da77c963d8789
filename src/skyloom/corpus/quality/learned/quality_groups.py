"""Quality groups: the scores of the learned judges combined to high, middle or low (report 3.1).

Input: perplexities and probabilities of all shards. Output: a grade for each document. Perplexities have no meaning of their
own, so their thresholds are percentiles of the corpus: each shard is counted into a histogram (`count_perplexity`), histograms
are added in any order (`merge_counts`), and the thresholds are read from the sum (`fit_thresholds`): head, middle and tail as
in CCNet. A probability has a meaning and keeps fixed thresholds.

A document is high if one judge gives it the best grade and the other not the worst; low if one gives it the worst and the
other not the best; else middle. So no judge alone can throw out what the other finds excellent, and with one judge its own
grade is the group.

Memory: 1,600 counters for each language, whatever the corpus' size; thresholds are exact within 1.2 % of the perplexity.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.corpus.quality.learned.config import HIGH, LOW, MIDDLE, GroupConfig

Floats = npt.NDArray[np.float32]

LANGUAGES = ("en", "zh")
BINS, BIN_WIDTH = 1600, 0.005  # log10 of the perplexity from 0 to 8


@dataclass(frozen=True)
class Thresholds:
    """Perplexities of a language: below `head` is head, from `tail` on is tail."""

    head: float
    tail: float


def count_perplexity(perplexity: Floats, langs: npt.NDArray[np.object_]) -> npt.NDArray[np.int64]:
    """How many documents of each language have which perplexity, int64[2, 1600]; NaN and other languages are not counted."""
    out = np.zeros((len(LANGUAGES), BINS), np.int64)
    for k, lang in enumerate(LANGUAGES):
        values = perplexity[(langs == lang) & ~np.isnan(perplexity)]
        out[k] = np.bincount(_bins(values), minlength=BINS)
    return out


def merge_counts(counts: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """The counts of all shards, in any order."""
    total = np.zeros((len(LANGUAGES), BINS), np.int64)
    for one in counts:
        total += one
    return total


def fit_thresholds(counts: npt.NDArray[np.int64], config: GroupConfig) -> dict[str, Thresholds]:
    """The thresholds of each language that has documents: upper edges of the bins in which the percentiles fall."""
    found = {}
    for lang, column in zip(LANGUAGES, counts, strict=True):
        if column.sum():
            share = np.cumsum(column) / column.sum()
            head, tail = (int(np.searchsorted(share, q - 1e-12)) + 1 for q in (config.head, 1 - config.tail))
            found[lang] = Thresholds(*(10.0 ** (edge * BIN_WIDTH) for edge in (head, max(head, tail))))
    return found


def lm_grade(perplexity: Floats, langs: npt.NDArray[np.object_], thresholds: Mapping[str, Thresholds]) -> npt.NDArray[np.int8]:
    """2 head, 1 middle, 0 tail, -1 not judged; int8[rows]."""
    out = np.full(len(perplexity), -1, np.int8)
    for lang, limit in thresholds.items():
        rows = (langs == lang) & ~np.isnan(perplexity)
        values = perplexity[rows].astype(np.float64)
        out[rows] = np.where(values < limit.head, 2, np.where(values < limit.tail, 1, 0))
    return out


def reference_grade(probability: Floats, config: GroupConfig) -> npt.NDArray[np.int8]:
    """2 like reference text, 1 in between, 0 unlike it, -1 not judged; int8[rows]."""
    graded = np.where(probability >= config.reference, 2, np.where(probability >= config.unlike, 1, 0))
    return np.where(np.isnan(probability), -1, graded).astype(np.int8)


def quality_group(*grades: npt.NDArray[np.int8]) -> npt.NDArray[np.object_]:
    """The group of each document from its grades; a document that no judge saw is high: it passed the rules. object[rows]."""
    table = np.stack(grades)
    judges = np.maximum((table >= 0).sum(axis=0), 1)
    mean = np.where((table >= 0).any(axis=0), np.where(table >= 0, table, 0).sum(axis=0) / judges, 2.0)
    return np.where(mean > 1, HIGH, np.where(mean < 1, LOW, MIDDLE)).astype(object)


def _bins(perplexity: Floats) -> npt.NDArray[np.int64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.nan_to_num(np.log10(perplexity.astype(np.float64)), nan=0.0, posinf=1e9, neginf=0.0)
    return np.clip((logs / BIN_WIDTH).astype(np.int64), 0, BINS - 1)
