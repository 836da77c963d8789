"""A model's tokenizer, ours or a Hugging Face one: text to token ids and back, and the token that a text begins behind.

Input: texts; output: ids without special tokens. What a document is preceded by is decided here and nowhere else: BOS where the
tokenizer has one, else EOS, as lm-evaluation-harness does. A tokenizer that puts BOS in front of each text by itself, even when
asked for none, does not get a second one: it is taken away again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import transformers

from skyloom.core.errors import DataError
from skyloom.tokenizer import Tokenizer

_PROBE = "a"


class Words(Protocol):
    """What a tokenizer must be able to do; `OwnWords` and `HubWords` can."""

    name: str
    size: int
    """Ids that it can give: 0 to `size` - 1."""
    bos: int | None
    eos: int | None
    puts_bos: bool
    """Whether BOS stands in front of a text unless the tokenizer is told otherwise; lm-evaluation-harness asks so too."""
    digest: str
    """SHA-256 of the tokenizer's files, hex."""

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, without special tokens."""
        ...

    def encode_text(self, texts: Sequence[str]) -> list[list[int]]:
        """As `encode`, but a special token's name in a text is cut into characters like any other: for documents that are
        scored."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids; special tokens give nothing."""
        ...


def begin_of(words: Words) -> tuple[int, str]:
    """The id that stands before each document, and which it is: "bos" or "eos". DataError if the tokenizer has neither."""
    if words.bos is not None:
        return words.bos, "bos"
    if words.eos is not None:
        return words.eos, "eos"
    raise DataError(f"the tokenizer of {words.name} has neither BOS nor EOS for a text to begin with")


def columns(words: Words) -> Callable[[pa.Array], tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]]:
    """The tokenizer as `score.nll` takes it: a string column to ids int32[total] and offsets int64[rows + 1]."""

    def encode(texts: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        rows = words.encode_text(texts.to_pylist())
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        return np.array([token for row in rows for token in row], np.int32), offsets

    return encode


def changed(words: Words, text: str) -> bool:
    """Whether the tokenizer gives back another text than it was given; its figure is then that of another text."""
    back = words.decode(words.encode_text([text])[0])
    return back.removeprefix(" ") != text.removeprefix(" ")  # SentencePiece models put a space in front


class OwnWords:
    """A tokenizer of ours."""

    puts_bos = True

    def __init__(self, tokenizer: Tokenizer, name: str) -> None:
        self.tokenizer = tokenizer
        self.name, self.size = name, tokenizer.vocab_size
        self.bos: int | None = tokenizer.bos_id
        self.eos: int | None = tokenizer.eos_id
        self.digest = hashlib.sha256(tokenizer.model).hexdigest()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [ids.tolist() for ids in self.tokenizer.encode_batch(texts)]

    def encode_text(self, texts: Sequence[str]) -> list[list[int]]:
        return self.encode(texts)

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids)


class HubWords:
    """A Hugging Face tokenizer. `digest`: of the files that it was read from."""

    def __init__(self, tokenizer: transformers.PreTrainedTokenizerBase, name: str, digest: str) -> None:
        self.tokenizer = tokenizer
        self.name, self.size, self.digest = name, len(tokenizer), digest
        self.bos: int | None = tokenizer.bos_token_id
        self.eos: int | None = tokenizer.eos_token_id
        self.puts_bos = self.bos is not None and tokenizer(_PROBE)["input_ids"][:1] == [self.bos]
        self._always = self.bos is not None and tokenizer(_PROBE, add_special_tokens=False)["input_ids"][:1] == [self.bos]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._rows(texts)

    def encode_text(self, texts: Sequence[str]) -> list[list[int]]:
        return self._rows(texts, split_special_tokens=True)

    def _rows(self, texts: Sequence[str], **how: bool) -> list[list[int]]:
        if not texts:
            return []
        rows = self.tokenizer(list(texts), add_special_tokens=False, return_attention_mask=False, **how)["input_ids"]
        return [row[1:] if self._always and row[:1] == [self.bos] else row for row in rows]

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))


def files_digest(paths: Sequence[Path], ends: int = 1 << 20) -> str:
    """SHA-256 over the names, sizes and ends (first and last MiB) of files: 26 GB of weights need not be read to name a model."""
    digest = hashlib.sha256()
    for path in sorted(paths, key=lambda p: p.name):
        size = path.stat().st_size
        with path.open("rb") as file:
            digest.update(f"{path.name} {size}\n".encode())
            digest.update(file.read(ends))
            file.seek(max(0, size - ends))
            digest.update(file.read(ends))
    return digest.hexdigest()
