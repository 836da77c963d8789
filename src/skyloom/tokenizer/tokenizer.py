"""A trained tokenizer: encodes text to ids and decodes ids to text.

What cuts a text is a SentencePiece model (`sentencepiece_cutter`) or a byte-level vocabulary (`byte_level`); which one it is, the
files of the folder say. Both give the same interface: nothing that uses a tokenizer need know.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.errors import IntegrityError
from skyloom.core.store import Store
from skyloom.tokenizer.byte_level.byte_cutter import ByteLevelCutter
from skyloom.tokenizer.encode import texts_column
from skyloom.tokenizer.pieces import Parts
from skyloom.tokenizer.sentencepiece_cutter import SentencePieceCutter


class Cutter(Protocol):
    """What cuts a text into pieces: `SentencePieceCutter` or `ByteLevelCutter`."""

    model: bytes
    bos_id: int
    eos_id: int
    pad_id: int
    unk_id: int
    is_byte: npt.NDArray[np.bool_]
    is_text: npt.NDArray[np.bool_]

    @property
    def pieces(self) -> list[str]: ...

    def encode(self, text: str) -> list[int]: ...

    def encode_column(
        self, column: pa.Array | pa.ChunkedArray, threads: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...

    def decode(self, ids: Iterable[int]) -> str: ...


class Tokenizer:
    """See the module's docstring. `bos_id`, `eos_id`, `pad_id`, `unk_id` are ids (`unk_id`: -1 where there is none); none is added
    by `encode`. `model`: the file that defines it. `is_byte`: bool[vocabulary], pieces for bytes of characters that the vocabulary
    lacks; `is_text`: pieces of text, no specials and no bytes."""

    def __init__(self, cutter: Cutter, parts: Parts) -> None:
        self.cutter, self.parts = cutter, parts
        self.model = cutter.model
        self.bos_id, self.eos_id, self.pad_id, self.unk_id = cutter.bos_id, cutter.eos_id, cutter.pad_id, cutter.unk_id
        self.is_byte, self.is_text = cutter.is_byte, cutter.is_text

    @classmethod
    def load(cls, place: Store | str | Path) -> Tokenizer:
        """From the folder that `train` wrote. StorageError if a file is not there, IntegrityError if it is not what we write."""
        store = place if isinstance(place, Store) else Store(place)
        table = store.read_json("parts.json") if store.exists("parts.json") else None
        byte_level = isinstance(table, dict) and table.get("kind") == "byte-level"
        model = store.read_bytes("tokenizer.json" if byte_level else "tokenizer.model")
        table = store.read_json("parts.json") if table is None else table
        try:
            parts = Parts.from_json(table["parts"])
            special = table["special"] if byte_level else {}
        except (KeyError, TypeError, ValueError) as problem:
            raise IntegrityError(f"{store.root}/parts.json is not a tokenizer's: {problem!r}") from problem
        return cls(ByteLevelCutter(model, special) if byte_level else SentencePieceCutter(model), parts)

    @property
    def files(self) -> tuple[str, ...]:
        """The names of the files in its folder that a model needs."""
        own = () if isinstance(self.cutter, ByteLevelCutter) else ("tokenizer.model",)
        return (*own, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "parts.json")

    @property
    def vocab_size(self) -> int:
        return len(self.is_text)

    @property
    def pieces(self) -> list[str]:
        """All pieces in the order of their ids; U+2581 stands for a space."""
        return self.cutter.pieces

    @property
    def spelled(self) -> Sequence[bytes] | None:
        """The bytes of each piece of a byte-level vocabulary; None for SentencePiece, whose pieces are text."""
        return self.cutter.spelled if isinstance(self.cutter, ByteLevelCutter) else None

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without <s> and </s>."""
        return self.cutter.encode(text)

    def encode_batch(self, texts: Sequence[str], *, threads: int = 0) -> list[npt.NDArray[np.int32]]:
        """Ids of each text, int32[tokens]. `threads`: 0 means one per CPU."""
        ids, offsets = self.encode_column(texts_column(texts), threads=threads)
        return [ids[a:b] for a, b in itertools.pairwise(offsets.tolist())]

    def encode_column(
        self, column: pa.Array | pa.ChunkedArray, *, threads: int = 0
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of all texts of a string column, int32[total], and offsets, int64[rows + 1]; a null is an empty text."""
        return self.cutter.encode_column(column, threads or os.cpu_count() or 1)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; specials give nothing, bytes that are not UTF-8 give U+FFFD."""
        return self.cutter.decode(ids)

    def show(self, text: str) -> list[tuple[str, int, str]]:
        """For people: (piece, id, part of the vocabulary) of each token of a text."""
        return [(self.pieces[i], i, self.parts.of(i)) for i in self.encode(text)]
