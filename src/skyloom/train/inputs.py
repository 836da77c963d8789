"""Protocols of what a stage of training reads: batches of token ids, and a vocabulary for the held-out texts.

The data and tokenizer packages make them; the loop needs only what is named here, so that a test or a study may give its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from skyloom.core.records import Json
from skyloom.score.nll import Encode


class StepBatch(Protocol):
    """What a loader gives for a step: `tokens` int64[rows, context + 1]."""

    @property
    def tokens(self) -> npt.NDArray[np.int64]: ...


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
    def identity(self) -> Mapping[str, Json]:
        """What the stream is a function of, as JSON values; checkpoints keep it."""
        ...

    def check_identity(self, recorded: Mapping[str, Json]) -> None:
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
