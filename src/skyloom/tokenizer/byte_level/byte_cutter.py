"""Encoding and decoding with a byte-level vocabulary, over whole Arrow columns, through the `tokenizers` library.

Text is cut by an object that knows no special piece: a text that contains `<|im_end|>` is cut into characters like any other. The
library cuts one text after the other without Python's lock; `threads` Python threads give it slices of the column, so a caller
has exactly as many threads as it asked for. What is held beside the column is the ids, and the texts and results of one slice per
thread.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tokenizers

from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.json_files import PlainTable
from skyloom.tokenizer.byte_level.byte_extend import text_library
from skyloom.tokenizer.byte_level.byte_vocabulary import ByteVocabulary, vocabulary_of
from skyloom.tokenizer.byte_level.spelling import bytes_of
from skyloom.tokenizer.pieces import SPACE, without_surrogates

_ROWS = 256
"""Texts that a thread is given at once."""


class ByteLevelCutter:
    """A byte-level vocabulary as `Tokenizer` uses it. `model`: the content of `tokenizer.json`. `special`: {"bos", "eos", "pad"} to
    ids. IntegrityError if they are not what we write."""

    unk_id = -1

    def __init__(self, model: bytes, special: PlainTable) -> None:
        self.model = model
        try:
            tree = json.loads(model)
            self.bos_id, self.eos_id, self.pad_id = (int(str(special[name])) for name in ("bos", "eos", "pad"))
            self.vocabulary: ByteVocabulary = vocabulary_of(tree, "tokenizer.json", {"bos": self.bos_id, "eos": self.eos_id}.get)
        except (ConfigError, ValueError, KeyError, TypeError) as problem:
            raise IntegrityError(
                f"the tokenizer's files are not those of a byte-level vocabulary (parts.json, tokenizer.json): {problem}"
            ) from problem
        self.tree = tree
        self._library = text_library(tree)
        strings = [self._spelled(i, piece) for i, piece in enumerate(self.vocabulary.pieces)]
        self.spelled: Sequence[bytes] = strings
        """The bytes that each id stands for; special pieces stand for none."""
        texts = [_text(b) for b in strings]
        special_ids = np.zeros(len(strings), np.bool_)
        special_ids[sorted(self.vocabulary.special)] = True
        whole = np.array([text is not None for text in texts])
        self.is_text: npt.NDArray[np.bool_] = whole & ~special_ids
        """bool[vocabulary]: pieces of whole characters."""
        self.is_byte: npt.NDArray[np.bool_] = ~whole & ~special_ids
        """bool[vocabulary]: pieces that end inside of a character."""
        self._texts = texts

    def _spelled(self, number: int, piece: str) -> bytes:
        if number in self.vocabulary.special:
            return b""
        return piece.encode() if number in self.vocabulary.matched else bytes_of(piece) or b""

    @functools.cached_property
    def pieces(self) -> list[str]:
        """All pieces in the order of their ids, for people: U+2581 stands for a space, <0xE9><0xBE> for bytes of no whole
        character."""
        return [
            self.vocabulary.pieces[i] if i in self.vocabulary.special
            else text.replace(" ", SPACE) if text is not None
            else "".join(f"<0x{byte:02X}>" for byte in self.spelled[i])
            for i, text in enumerate(self._texts)
        ]  # fmt: skip

    @property
    def library(self) -> tokenizers.Tokenizer:
        """The object that cuts text."""
        return self._library

    def encode(self, text: str) -> list[int]:
        """Ids of a text, without the pieces that begin and end one."""
        return self._row(text)

    def _row(self, text: str) -> list[int]:
        try:
            (row,) = self._library.encode_batch_fast([text], add_special_tokens=False)
        except TypeError:  # the library takes no lone surrogates
            (row,) = self._library.encode_batch_fast([without_surrogates(text)], add_special_tokens=False)
        return list(row.ids)

    def encode_column(
        self, column: pa.Array | pa.ChunkedArray, threads: int
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of all texts of a string column, int32[total], and offsets, int64[rows + 1]; a null is an empty text."""
        starts = range(0, len(column), _ROWS)
        slices = (column.slice(start, _ROWS) for start in starts)
        if threads > 1 and len(starts) > 1:
            with ThreadPoolExecutor(threads) as pool:
                parts = list(pool.map(self._slice, slices))
        else:
            parts = [self._slice(part) for part in slices]
        offsets = np.zeros(len(column) + 1, np.int64)
        if parts:
            np.cumsum(np.concatenate([counts for _, counts in parts]), out=offsets[1:])
        return (np.concatenate([ids for ids, _ in parts]) if parts else np.zeros(0, np.int32)), offsets

    def _slice(self, column: pa.Array | pa.ChunkedArray) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        rows = [np.array(self._row(text or ""), np.int32) for text in column.to_pylist()]
        return (np.concatenate(rows) if rows else np.zeros(0, np.int32)), np.array([len(row) for row in rows], np.int64)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; special pieces give nothing, bytes that are not UTF-8 give U+FFFD."""
        return b"".join(self.spelled[int(i)] for i in ids).decode("utf-8", "replace")

    def normalized(self, text: str) -> str:
        """The text as the vocabulary's own normalizer leaves it (Qwen's composes characters, NFC); mostly the text itself."""
        normalizer = self._library.normalizer
        return text if normalizer is None else str(normalizer.normalize_str(text))

    def ids_of(self, column: pa.Array) -> list[list[int]]:
        """Ids of each text."""
        ids, offsets = self.encode_column(column, 1)
        return [ids[a:b].tolist() for a, b in itertools.pairwise(offsets.tolist())]


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
