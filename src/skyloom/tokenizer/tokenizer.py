"""A trained tokenizer: encodes text to ids and decodes ids to text.

Columns are encoded by our own compiled code (`encode`), which gives SentencePiece's ids; single texts by SentencePiece.
With a base of ours text is encoded as it is: no normalisation, no space put in front (so that ids of a text do not depend
on where it was cut, and Chinese does not begin with a lone space), line ends and runs of spaces kept. A base from
elsewhere keeps its own space in front, which `decode` takes away again. `decode` gives back any text except U+2581 (the
mark for a space, which comes back as one). A lone surrogate, which is no character, is encoded as U+FFFD.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sentencepiece

from skyloom.core.errors import IntegrityError
from skyloom.core.store import Store
from skyloom.tokenizer.encode import Encoder, texts_column
from skyloom.tokenizer.pieces import PAD, TYPE, Parts, read_model, without_surrogates

_ROWS = 1 << 12
"""Texts given to SentencePiece at once, for the models that `encode` does not know."""


class Tokenizer:
    """See the module's docstring. `bos_id`, `eos_id`, `pad_id`, `unk_id` are ids; none is added by `encode`."""

    def __init__(self, model: bytes, parts: Parts) -> None:
        parsed = read_model(model)
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as problem:
            raise IntegrityError(f"tokenizer.model cannot be loaded: {problem}") from problem
        self.model = model
        self.parts = parts
        self.bos_id, self.eos_id, self.unk_id = (
            int(i) for i in (self._processor.bos_id(), self._processor.eos_id(), self._processor.unk_id())
        )
        self.pad_id = int(self._processor.piece_to_id(PAD))
        types = np.array([p.type for p in parsed.pieces])
        self.is_byte = types == TYPE.BYTE
        """bool[vocabulary]: pieces that stand for a byte of a character that the vocabulary lacks."""
        self.is_text = types == TYPE.NORMAL
        """bool[vocabulary]: pieces of text, no specials and no bytes."""

    @functools.cached_property
    def _encoder(self) -> Encoder | None:
        return Encoder.of(read_model(self.model))

    @classmethod
    def load(cls, place: Store | str | Path) -> Tokenizer:
        """From the folder that `train` wrote. StorageError if a file is not there, IntegrityError if it is not what we write."""
        store = place if isinstance(place, Store) else Store(place)
        model = store.read_bytes("tokenizer.model")
        try:
            parts = Parts.from_json(store.read_json("parts.json")["parts"])
        except (KeyError, TypeError, ValueError) as problem:
            raise IntegrityError(f"{store.root}/parts.json is not a tokenizer's: {problem!r}") from problem
        return cls(model, parts)

    @property
    def vocab_size(self) -> int:
        return len(self._processor)

    @functools.cached_property
    def pieces(self) -> list[str]:
        """All pieces in the order of their ids; U+2581 stands for a space."""
        return [self._processor.id_to_piece(i) for i in range(self.vocab_size)]

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without <s> and </s>."""
        return [int(i) for i in self._processor.encode(_utf8(text))]

    def encode_batch(self, texts: Sequence[str], *, threads: int = 0) -> list[npt.NDArray[np.int32]]:
        """Ids of each text, int32[tokens]. `threads`: 0 means one per CPU."""
        ids, offsets = self.encode_column(texts_column(texts), threads=threads)
        return [ids[a:b] for a, b in itertools.pairwise(offsets.tolist())]

    def encode_column(
        self, column: pa.Array | pa.ChunkedArray, *, threads: int = 0
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of all texts of a string column, int32[total], and offsets, int64[rows + 1]; a null is an empty text."""
        workers = threads or os.cpu_count() or 1
        if self._encoder is not None:
            return self._encoder.encode(column, threads=workers)
        ids: list[npt.NDArray[np.int32]] = []
        for start in range(0, len(column), _ROWS):
            texts = [t or "" for t in column.slice(start, _ROWS).to_pylist()]
            ids += self._processor.encode(texts, num_threads=workers, out_type="numpy")
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum([len(i) for i in ids], out=offsets[1:])
        return (np.concatenate(ids) if ids else np.zeros(0, np.int32)), offsets

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; specials give nothing, bytes that are not UTF-8 give U+FFFD."""
        return str(self._processor.decode([int(i) for i in ids]))

    def show(self, text: str) -> list[tuple[str, int, str]]:
        """For people: (piece, id, part of the vocabulary) of each token of a text."""
        return [(self._processor.id_to_piece(i), i, self.parts.of(i)) for i in self.encode(text)]


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return without_surrogates(text).encode()
