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

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.config import ReferencesConfig
from skyloom.evaluate.figures import Figures, spread
from skyloom.evaluate.intervals import figure
from skyloom.score.nll import bootstrap, score_texts

REFERENCES = "references.json"
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


class OtherModel:
    """A model and its tokenizer, read from their folder, on the processor in fp32. DataError if they cannot be read."""

    def __init__(self, folder: Path) -> None:
        import transformers

        if not (folder / "config.json").is_file():
            raise DataError(f"{folder} holds no Hugging Face model: it has no config.json")
        known = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder), **known)
            self._model: torch.nn.Module = transformers.AutoModelForCausalLM.from_pretrained(
                str(folder), dtype=torch.float32, **known
            )
        except Exception as problem:  # transformers raises anything; its first line says what is missing
            words = (str(problem).strip().splitlines() or [""])[0][:300]
            raise DataError(f"{folder} cannot be read as a causal language model with its tokenizer: {words}") from problem
        self._model.train(False)
        first = self._tokenizer.bos_token_id
        begin = first if first is not None else self._tokenizer.eos_token_id
        if begin is None:
            raise DataError(f"the tokenizer in {folder} has neither BOS nor EOS for a text to begin with")
        self.begin = int(begin)
        self.context = min(int(getattr(self._model.config, "max_position_embeddings", 0)) or LONGEST, LONGEST)

    def __call__(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self._model(input_ids=tokens, use_cache=False).logits
        return logits

    def encode(self, texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Token ids and offsets without special tokens."""
        rows = [self._tokenizer.encode(text, add_special_tokens=False) for text in texts.to_pylist()]
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return np.array([token for row in rows for token in row], np.int32), offsets

    def changed(self, text: str) -> bool:
        """Whether the tokenizer gives back another text than it was given."""
        ids = self._tokenizer.encode(text, add_special_tokens=False)
        back = str(self._tokenizer.decode(ids, clean_up_tokenization_spaces=False))
        return bool(back.removeprefix(" ") != text.removeprefix(" "))  # SentencePiece models put a space in front


def score_sets(model: OtherModel, sets: Mapping[str, Sequence[str]], *, progress: Progress) -> list[SetLoss]:
    """Bits per byte of each set's texts, in the order of the sets."""
    found = []
    with progress.task("reference", len(sets), "sets") as bar:
        for name, texts in sets.items():
            bar.note(name)
            losses = score_texts(model, model.encode, texts, context=model.context, batch_tokens=BATCH_TOKENS, bos_id=model.begin)
            low, high = (end / math.log(2) for end in bootstrap(losses.nats, losses.bytes))
            changed = sum(model.changed(text) for text in texts)
            found.append(SetLoss(name, losses.bits_per_byte, low, high, len(texts), int(losses.bytes.sum()), changed))
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
        for found in score_sets(OtherModel(Path(folder)), sets, progress=progress):
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
