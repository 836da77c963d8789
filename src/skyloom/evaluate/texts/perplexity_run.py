"""`skyloom eval perplexity`: several models over several sets, as one table, `perplexity.json`, a figure and each document's loss.

Input: words for models and sets, and how they are scored. Output: a folder. Models are opened one after the other, so that a
table over many needs the memory of the largest. All of them get the same cut of every document and the same reference tokens;
differences are paired with the first model over the same resamples of documents.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np
import pyarrow as pa

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.baselines import xz_bits_per_byte
from skyloom.evaluate.config import UNITS
from skyloom.evaluate.opened import Described, OpeningOptions, Words, locate, open_model, open_words
from skyloom.evaluate.paired import PairedRow, SetFigures, differences, set_figures
from skyloom.evaluate.perplexity import reference_counter
from skyloom.evaluate.texts.perplexity_figure import draw
from skyloom.evaluate.texts.text_scores import MeanRow, Measured, ReadySet, Scoring, TextRow, mean_row, measure, prepare, set_row
from skyloom.evaluate.texts.text_sets import Texts
from skyloom.score.nll import Counts

THIRD, NONE = "third", "none"
XZ = "xz"
TABLE, FIGURE, DOCUMENTS = "perplexity.json", "perplexity.svg", "documents.parquet"


class BaselineRow(TypedDict):
    """The compressor xz on the texts of a set; `bytes`: of its texts after the cut."""

    model: str
    set: str
    documents: int
    bits_per_byte: float
    bytes: int


class PerplexityJson(TypedDict):
    """`perplexity.json` of this command. `paired`: `model` minus `other`, which is the first model. `baselines`: what needs no
    model, on the same texts."""

    command: str
    models: list[Described]
    reference: str
    windows: str
    stride: int | None
    cut: int
    rows: list[TextRow]
    average: list[MeanRow]
    paired: list[PairedRow]
    baselines: list[BaselineRow]


@dataclass(frozen=True)
class PerplexityRequest:
    """What the command line asked for. `cut`: THIRD, NONE or characters; `reference`: UNITS, a SentencePiece file or a model."""

    models: tuple[str, ...]
    cut: str = NONE
    reference: str = UNITS
    scoring: Scoring = field(default_factory=Scoring)
    opening: OpeningOptions = field(default_factory=OpeningOptions)
    command: str = ""


def named(words: Sequence[str], opening: OpeningOptions) -> list[tuple[str, str]]:
    """(name, model) of each word: MODEL or NAME=MODEL. All are looked for before any is read.

    ConfigError for a name given twice."""
    found: list[tuple[str, str]] = []
    for word in words:
        name, _, place = word.partition("=") if "=" in word and not Path(word).exists() else ("", "", word)
        found.append((name or locate(place, offline=opening.offline, trust_code=opening.trust_code).name, place))
    names = [name for name, _ in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two models are named '{name}': give NAME=MODEL")
    return found


def perplexity(asked: PerplexityRequest, sets: Sequence[Texts], out: Store, *, progress: Progress) -> PerplexityJson:
    """Score all models on all sets and write the folder; the content of `perplexity.json`."""
    words = named(asked.models, asked.opening)
    counted, count = _reference(asked.reference, asked.opening)
    characters = _characters(asked, words)
    ready = prepare(sets, characters, count)
    described: list[Described] = []
    found: list[Measured] = []
    for name, place in words:
        model = open_model(place, asked.opening, name)
        described.append(model.describe())
        found.append(measure(model, ready, asked.scoring, out, progress=progress))
        del model
    table: PerplexityJson = {
        "command": asked.command,
        "models": described,
        "reference": counted,
        "windows": asked.scoring.windows,
        "stride": asked.scoring.stride,
        "cut": characters,
        "rows": [set_row(one, held, asked.scoring) for held in ready for one in found],
        "average": [mean_row(one, ready, asked.scoring) for one in found],
        "paired": _paired(found, ready, asked.scoring),
        "baselines": [_compressed(held) for held in ready],
    }
    out.write_table(DOCUMENTS, _documents(found, ready))
    out.write_text(FIGURE, draw(table["rows"], [name for name, _ in words]))
    out.write_json(TABLE, table)
    return table


def _compressed(held: ReadySet) -> BaselineRow:
    size = sum(len(text.encode("utf-8")) for text in held.texts)
    bits = xz_bits_per_byte(held.texts)
    return {"model": XZ, "set": held.name, "documents": len(held.texts), "bits_per_byte": bits, "bytes": size}


def _reference(reference: str, opening: OpeningOptions) -> tuple[str, Callable[[Sequence[str]], Counts]]:
    """What the reference tokens are, and what counts them."""
    if reference == UNITS or reference.endswith(".model"):
        return reference_counter(reference)
    words: Words = open_words(reference, opening)
    return (
        f"tokens of {words.name} ({words.size:,} ids)",
        lambda texts: np.array([len(row) for row in words.encode(texts)], np.int64),
    )


def _characters(asked: PerplexityRequest, words: Sequence[tuple[str, str]]) -> int:
    """Characters that all documents are cut to. A third of the context (the report's) is that of the smallest context."""
    if asked.cut == NONE:
        return 0
    if asked.cut == THIRD:
        contexts = [open_model(place, asked.opening, name).context for name, place in words]
        return max(min(contexts) // 3, 1)
    if not asked.cut.isdecimal() or not 0 < int(asked.cut[:9]) < 10**8:
        raise ConfigError(f"--cut takes {THIRD}, {NONE} or a number of characters, not '{asked.cut[:40]}'")
    return int(asked.cut)


def _paired(found: Sequence[Measured], sets: Sequence[ReadySet], scoring: Scoring) -> list[PairedRow]:
    first, *others = found

    def figures(one: Measured) -> dict[str, SetFigures]:
        return {s.name: set_figures(s.name, one.losses[s.name], seed=scoring.seed, resamples=scoring.resamples) for s in sets}

    return [row for other in others for row in differences({other.model: figures(other), first.model: figures(first)})]


def _documents(found: Sequence[Measured], sets: Sequence[ReadySet]) -> pa.Table:
    """Each document's nats and counts under each model."""
    parts = []
    for one in found:
        for held in sets:
            losses = one.losses[held.name]
            size = len(losses.nats)
            columns = {
                "model": pa.array([one.model] * size),
                "set": pa.array([held.name] * size),
                "id": pa.array(held.ids),
                "nats": losses.nats,
                "tokens": losses.tokens,
                "bytes": losses.bytes,
                "chars": losses.chars,
                "reference_tokens": losses.reference_tokens,
            }
            parts.append(pa.table(columns))
    return pa.concat_tables(parts)
