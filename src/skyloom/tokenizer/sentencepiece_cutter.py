"""Encoding and decoding with a SentencePiece model: columns by our own compiled code (`encode`), single texts by SentencePiece.

With a base of ours text is encoded as it is: no normalisation, no space put in front (so that ids of a text do not depend
on where it was cut, and Chinese does not begin with a lone space), line ends and runs of spaces kept. A base from
elsewhere keeps its own space in front, which `decode` takes away again. `decode` gives back any text except U+2581 (the
mark for a space, which comes back as one). A lone surrogate, which is no character, is encoded as U+FFFD.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sentencepiece

from skyloom.core.errors import IntegrityError
from skyloom.tokenizer.encode import Encoder
from skyloom.tokenizer.pieces import PAD, TYPE, read_model, without_surrogates

_ROWS = 1 << 12
"""Texts given to SentencePiece at once, for the models that `encode` does not know."""


class SentencePieceCutter:
    """A SentencePiece model as `Tokenizer` uses it. `model`: the content of `tokenizer.model`. IntegrityError if it is none."""

    def __init__(self, model: bytes) -> None:
        parsed = read_model(model)
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as problem:
            raise IntegrityError(f"tokenizer.model cannot be loaded: {problem}") from problem
        self.model = model
        self.bos_id, self.eos_id, self.unk_id = (
            int(i) for i in (self._processor.bos_id(), self._processor.eos_id(), self._processor.unk_id())
        )
        self.pad_id = int(self._processor.piece_to_id(PAD))
        types = np.array([p.type for p in parsed.pieces])
        self.is_byte: npt.NDArray[np.bool_] = types == TYPE.BYTE
        """bool[vocabulary]: pieces that stand for a byte of a character that the vocabulary lacks."""
        self.is_text: npt.NDArray[np.bool_] = types == TYPE.NORMAL
        """bool[vocabulary]: pieces of text, no specials and no bytes."""

    @functools.cached_property
    def _encoder(self) -> Encoder | None:
        return Encoder.of(read_model(self.model))

    @functools.cached_property
    def pieces(self) -> list[str]:
        """All pieces in the order of their ids; U+2581 stands for a space."""
        return [self._processor.id_to_piece(i) for i in range(len(self._processor))]

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without <s> and </s>."""
        return [int(i) for i in self._processor.encode(_utf8(text))]

    def encode_column(
        self, column: pa.Array | pa.ChunkedArray, threads: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of all texts of a string column, int32[total], and offsets, int64[rows + 1]; a null is an empty text."""
        if self._encoder is not None:
            return self._encoder.encode(column, threads=threads)
        ids: list[npt.NDArray[np.int32]] = []
        for start in range(0, len(column), _ROWS):
            texts = [t or "" for t in column.slice(start, _ROWS).to_pylist()]
            ids += self._processor.encode(texts, num_threads=threads, out_type="numpy")
        offsets = np.zeros(len(ids) + 1, np.int64)
        np.cumsum([len(i) for i in ids], out=offsets[1:])
        return (np.concatenate(ids) if ids else np.zeros(0, np.int32)), offsets

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; specials give nothing, bytes that are not UTF-8 give U+FFFD."""
        return str(self._processor.decode([int(i) for i in ids]))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return without_surrogates(text).encode()
