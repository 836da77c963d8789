"""The tokenizer of a run or a release, for Python: text to ids and back, one text or whole columns.

Input: the folder of a tokenizer; then texts or ids. Output: Python lists for one text, Arrow columns for many. The ids are those of
`skyloom.tokenizer`, whose compiled encoder does columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import DataError
from skyloom.library.given_texts import Rows, given_texts
from skyloom.tokenizer import Tokenizer as LoadedTokenizer

TOKENS = pa.schema([("id", pa.string()), ("ids", pa.large_list(pa.int32())), ("tokens", pa.int64()), ("bytes", pa.int64())])


class Tokenizer:
    """A tokenizer that Skyloom trained or extended (report 3.3). `size`: its pieces; `bos_id`, `eos_id`, `pad_id`, `unk_id`: ids of
    the special ones, which `encode` never adds.

    >>> import skyloom
    >>> tokenizer = skyloom.Tokenizer.load(skyloom.Run.open("tiny").folders()["release"])
    >>> tokenizer.decode(tokenizer.encode("The printer is 打印机。"))
    'The printer is 打印机。'
    """

    def __init__(self, loaded: LoadedTokenizer) -> None:
        self._loaded = loaded
        self.size = loaded.vocab_size
        self.bos_id, self.eos_id, self.pad_id, self.unk_id = loaded.bos_id, loaded.eos_id, loaded.pad_id, loaded.unk_id

    def __repr__(self) -> str:
        return f"Tokenizer({self.size:,} pieces)"

    @classmethod
    def load(cls, folder: str | Path) -> Tokenizer:
        """From the folder of a tokenizer, of a run's step `tokenizer` or of a release. Others are read by `load_model`.

        StorageError if a file is not there, IntegrityError if it is not what Skyloom writes.
        """
        return cls(LoadedTokenizer.load(folder))

    @overload
    def encode(self, texts: str) -> list[int]: ...
    @overload
    def encode(self, texts: Rows) -> pa.Array: ...
    def encode(self, texts: str | Rows) -> list[int] | pa.Array:
        """Ids of one text as a list, or of many as large_list<int32>[rows], without <s> and </s>. A row that is None has null.

        A lone surrogate, which is no character, is encoded as U+FFFD. DataError for rows that are no text.

        >>> import skyloom
        >>> tokenizer = skyloom.Tokenizer.load(skyloom.Run.open("tiny").folders()["release"])
        >>> rows = tokenizer.encode(["The printer", "打印机", None])
        >>> rows[0].as_py() == tokenizer.encode("The printer"), rows[2].as_py()
        (True, None)
        """
        if isinstance(texts, str):
            return self._loaded.encode(texts)
        given = given_texts(texts)
        ids, offsets = self._loaded.encode_column(given.texts)
        return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(ids, pa.int32()), mask=pa.array(~given.present))

    @overload
    def decode(self, ids: Sequence[int]) -> str: ...
    @overload
    def decode(self, ids: Sequence[Sequence[int] | None] | pa.Array | pa.ChunkedArray) -> list[str | None]: ...
    def decode(self, ids: Sequence[int] | Sequence[Sequence[int] | None] | pa.Array | pa.ChunkedArray) -> str | list[str | None]:
        """The text of ids; of a list of lists, or a column of lists, the texts of all. Special pieces give nothing, bytes that are
        not UTF-8 give U+FFFD, and None gives None. DataError for an id that the vocabulary does not have.

        >>> import skyloom
        >>> tokenizer = skyloom.Tokenizer.load(skyloom.Run.open("tiny").folders()["release"])
        >>> tokenizer.decode(tokenizer.encode(["Open the door.", "请打开门。"]))
        ['Open the door.', '请打开门。']
        """
        rows = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else list(ids)
        if rows and not any(row is None or isinstance(row, Iterable) for row in rows):
            return self._text(rows)
        listed = isinstance(ids, pa.Array | pa.ChunkedArray) and not pa.types.is_integer(ids.type)
        return [None if row is None else self._text(row) for row in rows] if rows or listed else ""

    def columns(self, texts: Rows, *, columns: tuple[str, str] = ("id", "text")) -> pa.Table:
        """The tokens of texts as a table with a row for each: `id` string (its own, or the row's number from 0), `ids`
        large_list<int32>, `tokens` int64 (how many), `bytes` int64 (of the text's UTF-8). A row that is None has null in all but
        its id. `columns`: names of the columns of ids and texts of a table. DataError for rows that are no text.

        >>> import skyloom
        >>> tokenizer = skyloom.Tokenizer.load(skyloom.Run.open("tiny").folders()["release"])
        >>> table = tokenizer.columns(["The printer is on.", "打印机已打开。"])
        >>> table["bytes"].to_pylist(), table["tokens"][0].as_py() == len(table["ids"][0])
        ([18, 21], True)
        """
        given = given_texts(texts, columns)
        ids = self.encode(given.texts)
        sizes = pc.binary_length(given.texts).cast(pa.int64())
        return pa.table([given.ids, ids, pc.list_value_length(ids).cast(pa.int64()), sizes], TOKENS.names).cast(TOKENS)

    def _text(self, ids: Iterable[int]) -> str:
        numbers = np.asarray(list(ids), np.int64) if ids else np.zeros(0, np.int64)
        wrong = numbers[(numbers < 0) | (numbers >= self.size)]
        if len(wrong):
            raise DataError(f"the vocabulary has no id {wrong[0]}; its ids are 0 to {self.size - 1}")
        return self._loaded.decode(numbers.tolist())
