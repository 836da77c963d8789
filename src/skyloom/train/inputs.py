"""What a stage of training is handed: batches, and a vocabulary for the held-out texts.

The data and tokenizer rooms make them; the loop needs only what is named here, so that a test or a study may hand it its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from skyloom.score.nll import Encode


class StepBatch(Protocol):
    """What a loader gives for a step: `tokens` int64[rows, context + 1]."""

    @property
    def tokens(self) -> Any: ...


class SeenRow(Protocol):
    """What a row of a step held, for the record of a batch that was skipped."""

    @property
    def domain(self) -> str: ...
    @property
    def ids(self) -> Sequence[str]: ...


class Batches(Protocol):
    """What the loop needs of `data.loader.Loader`."""

    @property
    def steps(self) -> int: ...
    @property
    def identity(self) -> Mapping[str, Any]:
        """What the stream is a function of, as JSON values; checkpoints keep it."""
        ...

    def check_identity(self, recorded: Mapping[str, Any]) -> None:
        """IntegrityError if `recorded` is of another stream."""
        ...

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> StepBatch: ...
    def prefetch(self, step: int, *, rank: int = 0, world: int = 1) -> None: ...
    def documents(self, step: int) -> Sequence[SeenRow]: ...
    def realised(self, step: int) -> Mapping[str, float]: ...


class Vocabulary(Protocol):
    """What the loop needs of `tokenizer.Tokenizer`."""

    @property
    def bos_id(self) -> int: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def encode_column(self) -> Encode: ...
