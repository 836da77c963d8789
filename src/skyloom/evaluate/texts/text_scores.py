"""Perplexity of any model on any documents, with everything that makes it comparable. Report 4, Table 6.

Input: sets of documents and opened models, one after the other. Output: rows of figures with 95 % intervals, averages and paired
differences. One pass over a model gives nats per document; loss per own token, per token of a reference, bits per byte and per
character all follow from it and from counts, and all their intervals resample documents. What a reader needs to judge a figure
stands beside it: how many documents were cut, and how many the tokenizer gives back changed. Nats are kept in parts on the disk
while a model is scored, so that a killed evaluation goes on where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.records import record_id
from skyloom.core.store import Store
from skyloom.evaluate.opened import OpenModel, changed
from skyloom.evaluate.texts.text_sets import Texts
from skyloom.score.intervals import Floats, estimate, figure, generator, replicates
from skyloom.score.nll import Counts, TextLosses, score_tokens

DISJOINT, ROLLING = "disjoint", "rolling"
PART_TOKENS = 16_384
"""Tokens after which what was scored is written down: some seconds of a small model, less than a minute of a large one on a GPU."""
PARTS = "parts/"


@dataclass(frozen=True)
class Scoring:
    """How documents are scored. `windows`: DISJOINT or ROLLING; `stride`: new tokens of each overlapping window instead of a
    whole context, None for that. `batch_tokens`: positions that go through a model at once."""

    windows: str = ROLLING
    stride: int | None = None
    batch_tokens: int = 2048
    resamples: int = 1000
    seed: int = 1

    def new(self, context: int) -> int | None:
        """The stride that `score_tokens` takes."""
        if self.windows == DISJOINT:
            if self.stride:
                raise ConfigError("--stride makes windows overlap; leave --windows disjoint out")
            return None
        return self.stride or context


@dataclass(frozen=True)
class ReadySet:
    """A set that is ready: `texts` after the cut, int64 `reference` tokens of each, and how many documents the cut shortened."""

    name: str
    ids: tuple[str, ...]
    texts: tuple[str, ...]
    reference: Counts
    cut: int

    @property
    def digest(self) -> str:
        return record_id(self.name, *self.ids, *self.texts)


def prepare(sets: Sequence[Texts], characters: int, count: Callable[[Sequence[str]], Counts]) -> list[ReadySet]:
    """Cut all documents to `characters` (0: whole) and count their reference tokens."""
    ready = []
    for one in sets:
        whole = [d.text for d in one.documents]
        texts = tuple(t[:characters] if characters else t for t in whole)
        short = [d.id for d, t in zip(one.documents, texts, strict=True) if not t.strip()]
        if short:
            raise DataError(f"the set {one.name}, record {short[0]}: the cut to {characters} characters leaves no text of it")
        shortened = sum(len(a) < len(b) for a, b in zip(texts, whole, strict=True))
        ready.append(ReadySet(one.name, tuple(d.id for d in one.documents), texts, count(texts), shortened))
    return ready


class TextRow(TypedDict):
    """A model on a set. Losses in nats; `*_low` and `*_high` are ends of 95 % intervals. `low` and `high` bound `loss`."""

    model: str
    set: str
    documents: int
    loss: float | None
    perplexity: float | None
    low: float | None
    high: float | None
    reference_loss: float | None
    reference_low: float | None
    reference_high: float | None
    reference_perplexity: float | None
    bits_per_byte: float | None
    bits_per_byte_low: float | None
    bits_per_byte_high: float | None
    bits_per_char: float | None
    bits_per_char_low: float | None
    bits_per_char_high: float | None
    tokens: int
    reference_tokens: int
    bytes: int
    chars: int
    cut: int
    changed: int


class MeanRow(TypedDict):
    """A model over all sets. `loss`, `reference_loss` and `bits_per_byte` are unweighted means over the sets and `perplexity` and
    `reference_perplexity` their exponentials (Table 6); what begins with `document_` is over all documents as one set."""

    model: str
    sets: int
    loss: float | None
    perplexity: float | None
    low: float | None
    high: float | None
    reference_loss: float | None
    reference_perplexity: float | None
    bits_per_byte: float | None
    document_loss: float | None
    document_perplexity: float | None
    document_reference_loss: float | None
    document_reference_perplexity: float | None
    document_bits_per_byte: float | None


@dataclass(frozen=True)
class Measured:
    """A model's losses by set, and how many texts of each its tokenizer gives back changed."""

    model: str
    losses: dict[str, TextLosses]
    changed: dict[str, int]


def measure(model: OpenModel, sets: Sequence[ReadySet], scoring: Scoring, out: Store, *, progress: Progress) -> Measured:
    """Score all documents, or read the parts of them that an earlier try has scored. DataError names a document whose loss is no
    number, or that has no tokens."""
    losses, differing = {}, {}
    with progress.task(model.name, sum(len(s.texts) for s in sets), "documents") as bar:
        for one in sets:
            bar.note(one.name)
            rows = model.encode(one.texts, one.ids)
            empty = [i for i, row in zip(one.ids, rows, strict=True) if not row]
            if empty:
                raise DataError(f"the set {one.name}, record {empty[0]}: the tokenizer of {model.name} makes no token of its text")
            nats = np.zeros(len(rows))
            for start, stop in token_parts([len(r) for r in rows]):
                nats[start:stop] = _part(model, one, rows, (start, stop), scoring, out)
                bar.advance(stop - start)
            check_numbers(nats, one.ids, f"the set {one.name}", model)
            losses[one.name] = TextLosses.of(one.texts, nats, np.array([len(r) for r in rows], np.int64), one.reference)
            differing[one.name] = sum(changed(model.words, text) for text in one.texts)
    return Measured(model.name, losses, differing)


def token_parts(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of documents of about PART_TOKENS."""
    start, held = 0, 0
    for number, size in enumerate(sizes):
        held += size
        if held >= PART_TOKENS or number == len(sizes) - 1:
            yield start, number + 1
            start, held = number + 1, 0


def _part(
    model: OpenModel, one: ReadySet, rows: Sequence[Sequence[int]], span: tuple[int, int], scoring: Scoring, out: Store
) -> npt.NDArray[np.float64]:
    start, stop = span
    stride = scoring.new(model.context)
    what = (model.place.digest, one.digest, start, stop, model.context, stride, model.begin, model.dtype, model.device.type)
    name = f"{PARTS}{record_id(*map(str, what))}.parquet"
    if out.exists(name):
        return np.asarray(out.read_table(name).column("nats").to_numpy(), np.float64)
    nats = nats_of(model, rows[start:stop], scoring)
    out.write_table(name, pa.table({"nats": nats}))
    return nats


def nats_of(model: OpenModel, rows: Sequence[Sequence[int]], scoring: Scoring) -> npt.NDArray[np.float64]:
    """Nats of each text under a model, float64[rows]. `rows`: token ids of each text, as `OpenModel.encode` gives them."""
    offsets = np.cumsum([0, *(len(r) for r in rows)]).astype(np.int64)
    ids = np.array([token for row in rows for token in row], np.int32)
    stride = scoring.new(model.context)
    return score_tokens(
        model, ids, offsets, context=model.context, batch_tokens=scoring.batch_tokens, bos_id=model.begin, stride=stride
    )


def check_numbers(nats: Floats, ids: Sequence[str], origin: str, model: OpenModel) -> None:
    """DataError that names the first document of `origin` whose loss is no number."""
    wrong = np.flatnonzero(~np.isfinite(nats))
    if len(wrong):
        dtype = str(model.dtype).removeprefix("torch.")
        hint = "; try --dtype float32" if dtype != "float32" else ""
        raise DataError(
            f"{model.name} gives a loss of {nats[wrong[0]]} in {dtype} for record {ids[wrong[0]]} of {origin} "
            f"({len(wrong):,} of its {len(nats):,} documents){hint}"
        )


def set_row(found: Measured, one: ReadySet, scoring: Scoring) -> TextRow:
    """One line of the table. All intervals of a set draw the same documents, for all models."""
    losses = found.losses[one.name]
    counts = losses.reference_tokens
    assert counts is not None

    def interval(value: float, sizes: Counts, scale: float = 1.0) -> tuple[float | None, float | None]:
        draws = replicates(losses.nats, sizes, generator(scoring.seed, one.name), scoring.resamples) / scale
        ends = estimate(value, draws)
        return figure(ends.low), figure(ends.high)

    low, high = interval(losses.loss, losses.tokens)
    some = bool(counts.all())  # a document without reference tokens cannot be resampled by itself
    reference = losses.reference_loss if counts.sum() else math.nan
    reference_low, reference_high = interval(reference, counts) if some else (None, None)
    bits_low, bits_high = interval(losses.bits_per_byte, losses.bytes, math.log(2))
    char_low, char_high = interval(losses.bits_per_char, losses.chars, math.log(2))
    return {
        "model": found.model, "set": one.name, "documents": len(one.texts),
        "loss": figure(losses.loss), "perplexity": figure(_exp(losses.loss)), "low": low, "high": high,
        "reference_loss": figure(reference), "reference_low": reference_low, "reference_high": reference_high,
        "reference_perplexity": figure(_exp(reference)),
        "bits_per_byte": figure(losses.bits_per_byte), "bits_per_byte_low": bits_low, "bits_per_byte_high": bits_high,
        "bits_per_char": figure(losses.bits_per_char), "bits_per_char_low": char_low, "bits_per_char_high": char_high,
        "tokens": int(losses.tokens.sum()), "reference_tokens": int(counts.sum()), "bytes": int(losses.bytes.sum()),
        "chars": int(losses.chars.sum()), "cut": one.cut, "changed": found.changed[one.name],
    }  # fmt: skip


def mean_row(found: Measured, sets: Sequence[ReadySet], scoring: Scoring) -> MeanRow:
    """The averages of a model: over sets as in the report's Table 6, and over all documents."""
    each = [found.losses[one.name] for one in sets]
    draws = [
        replicates(x.nats, x.tokens, generator(scoring.seed, one.name), scoring.resamples)
        for x, one in zip(each, sets, strict=True)
    ]
    loss = estimate(float(np.mean([x.loss for x in each])), np.mean(draws, axis=0))
    references = [x.reference_tokens for x in each]
    units = sum(int(c.sum()) for c in references if c is not None)
    nats, tokens, size = (
        float(sum(v.sum() for v in c)) for c in ([x.nats for x in each], [x.tokens for x in each], [x.bytes for x in each])
    )
    reference = float(
        np.mean([x.reference_loss if c is not None and c.sum() else math.nan for x, c in zip(each, references, strict=True)])
    )
    whole = nats / units if units else math.nan
    return {
        "model": found.model, "sets": len(sets),
        "loss": figure(loss.value), "perplexity": figure(_exp(loss.value)), "low": figure(loss.low), "high": figure(loss.high),
        "reference_loss": figure(reference), "reference_perplexity": figure(_exp(reference)),
        "bits_per_byte": figure(float(np.mean([x.bits_per_byte for x in each]))),
        "document_loss": figure(nats / tokens), "document_perplexity": figure(_exp(nats / tokens)),
        "document_reference_loss": figure(whole), "document_reference_perplexity": figure(_exp(whole)),
        "document_bits_per_byte": figure(nats / size / math.log(2)),
    }  # fmt: skip


def _exp(loss: float) -> float:
    try:
        return math.exp(loss)
    except OverflowError:
        return math.inf
