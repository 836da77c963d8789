"""Models for evaluation and the leakage audit: a decoder in memory, or the folder of a checkpoint.

Either becomes a `LoadedModel`: a decoder in evaluation mode with the length it was trained on.
Callers load one at a time, so that a table over many models needs the memory of one. All text is scored through
`LoadedModel.score`, behind BOS and in windows of that length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from skyloom.core.config import build
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder, holding
from skyloom.score.nll import Counts, TextLosses, score_texts
from skyloom.tokenizer import Tokenizer
from skyloom.train.checkpoint import read


@dataclass(frozen=True)
class LoadedModel:
    """A decoder and the longest sequence, in tokens, that it is shown: what it was trained on."""

    decoder: Decoder
    context: int

    def score(
        self, tokenizer: Tokenizer, texts: Sequence[str], batch_tokens: int, reference_tokens: Counts | None = None
    ) -> TextLosses:
        """Losses of texts; see `score_texts`."""
        return score_texts(
            self.decoder,
            tokenizer.encode_column,
            texts,
            context=self.context,
            batch_tokens=batch_tokens,
            bos_id=tokenizer.bos_id,
            reference_tokens=reference_tokens,
        )


Models: TypeAlias = Mapping[str, LoadedModel | Store]
"""Models by the name that tables give them. A store is the folder of one checkpoint, such as a stage's `final`."""


def load(source: LoadedModel | Store) -> LoadedModel:
    """The model, in evaluation mode. IntegrityError if a checkpoint is not whole, or its weights are not those written."""
    if isinstance(source, LoadedModel):
        source.decoder.eval()
        return source
    found = read(source, moments=False)
    config = build(ModelConfig, found.state["model"], origin=source.url("state.json"), key="model")
    decoder = holding(config, found.weights)
    return LoadedModel(decoder, min(config.context, found.state["train"]["context"]))


def as_tokenizer(source: Tokenizer | Store) -> Tokenizer:
    """The tokenizer, read from its step's folder where a folder is given."""
    return source if isinstance(source, Tokenizer) else Tokenizer.load(source)
