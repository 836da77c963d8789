"""Bits per byte of other Hugging Face models on our held-out sets.

The report draws them as horizontal lines beside its own curves (2.2, Fig. 3). Tokenizers differ, so the figure is bits per
byte of the same sampled texts that the monitor scores, through the same `score.nll`, with the model's own tokenizer. Nothing
is fetched and no code of the model's folder is run. A tokenizer that does not give a text back has been asked about another
text, and its figure is too low: how many there are is said.

Figures that a user has from elsewhere (`figures`) stand beside the computed ones in `references.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.config import ReferencesConfig
from skyloom.evaluate.figures import Figures, spread
from skyloom.evaluate.opened import OpeningOptions, OpenModel, changed, columns, open_model
from skyloom.score.intervals import figure, generator, ratio
from skyloom.score.nll import score_texts

REFERENCES = "references.json"
SEED, RESAMPLES = 1, 1000
"""Of the intervals, as the monitor draws them."""
LONGEST = 2048
"""Tokens of a window at most; the monitor's documents are shorter."""
BATCH_TOKENS = 4096


@dataclass(frozen=True)
class SetLoss:
    """Bits per byte of a set with their 95 % interval (NaN for one document), and how many of its texts came back changed."""

    set: str
    bits_per_byte: float
    low: float
    high: float
    documents: int
    bytes: int
    changed: int


def other_model(folder: Path) -> OpenModel:
    """A model and its tokenizer, read from their folder, on the processor in fp32. DataError if they cannot be read."""
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder} holds no Hugging Face model: it has no config.json")
    return open_model(str(folder), OpeningOptions(dtype="float32", offline=True))


def score_sets(model: OpenModel, sets: Mapping[str, Sequence[str]], *, progress: Progress) -> list[SetLoss]:
    """Bits per byte of each set's texts, in the order of the sets."""
    found = []
    with progress.task("reference", len(sets), "sets") as bar:
        for name, texts in sets.items():
            bar.note(name)
            losses = score_texts(
                model,
                columns(model.words),
                texts,
                context=min(model.context, LONGEST),
                batch_tokens=BATCH_TOKENS,
                bos_id=model.begin,
            )
            nats = ratio(losses.nats, losses.bytes, generator(SEED, name), RESAMPLES)
            low, high = nats.low / math.log(2), nats.high / math.log(2)
            differing = sum(changed(model.words, text) for text in texts)
            found.append(SetLoss(name, losses.bits_per_byte, low, high, len(texts), int(losses.bytes.sum()), differing))
            bar.advance()
    return found


class ReferenceRow(TypedDict):
    """A row of `references.json`; the last five are null for figures that a user gave."""

    model: str
    set: str
    bits_per_byte: float
    low: float | None
    high: float | None
    documents: int | None
    bytes: int | None
    changed: int | None


def references(
    config: ReferencesConfig, figures: Figures, sets: Mapping[str, Sequence[str]], out: Store, *, progress: Progress
) -> None:
    """Write `references.json`: `{model, set, bits_per_byte, low, high, documents, bytes, changed}`, the last five null for figures
    from the file.

    `sets`: the texts that the monitor scores. ConfigError for figures of sets that are not there, before any model is read.
    """
    rows: list[ReferenceRow] = [
        {**row, "low": None, "high": None, "documents": None, "bytes": None, "changed": None}
        for row in spread(figures, list(sets), config.file)
    ]
    for name, folder in config.models.items():
        progress.log(f"{name}: bits per byte of {folder} on the {len(sets)} held-out sets")
        for found in score_sets(other_model(Path(folder)), sets, progress=progress):
            rows.append(
                {
                    "model": name, "set": found.set, "bits_per_byte": found.bits_per_byte, "low": figure(found.low),
                    "high": figure(found.high), "documents": found.documents, "bytes": found.bytes, "changed": found.changed,
                }
            )  # fmt: skip
            if found.changed:
                progress.log(
                    f"{name}: its tokenizer gives back {found.changed} of {found.documents} texts of {found.set} changed, so its "
                    "figure there is too low"
                )
    out.write_json(REFERENCES, rows)
