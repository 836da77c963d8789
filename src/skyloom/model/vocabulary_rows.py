"""Which rows of an old embedding stand for the pieces of a new vocabulary.

Input: the folder of a Hugging Face model, or a GGUF file, with a tokenizer of any kind, and the new vocabulary's pieces. Output:
for each new id the old ids whose rows it is the mean of. An equal piece keeps its row; a new one gets the rows of the old pieces
that its text, or its bytes, are cut into. Pieces that begin and end a text, where the old vocabulary lacks them, take the rows of
those that the old config names as such: the mean of all rows, which other pieces without text get, says nothing that the model
has learnt to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
import tokenizers

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.model.gguf_file import is_gguf, tokenizer_of
from skyloom.tokenizer.byte_level.spelling import RARE, byte_letters, letters_of
from skyloom.tokenizer.pieces import BYTES, RESERVED, SPACE, SPECIAL, read_model

Rows = Sequence[Sequence[int]]
"""For each new id the old ids whose rows it is the mean of; none: the mean of all."""

_ANCHOR = "\n"


@dataclass(frozen=True)
class OldVocabulary:
    """`same`: the id of an equal piece; `named`: that of a special piece by its name. `cut`: the ids that a text is cut into when
    nothing stands before it; `cut_bytes`: those of bytes, which need be no text. `size`: one more than the largest id."""

    same: Callable[[str], int | None]
    named: Callable[[str], int | None]
    cut: Callable[[str], Sequence[int]]
    cut_bytes: Callable[[bytes], Sequence[int]]
    size: int


def read_vocabulary(folder: Path, rows: int) -> OldVocabulary:
    """The tokenizer in the folder (SentencePiece, or tokenizer.json) or GGUF file. `rows`: of the embedding.

    DataError if it has more ids than that, or is byte-level and lacks bytes; ConfigError or IntegrityError if there is none.
    """
    path = folder / "tokenizer.model"
    if is_gguf(folder):  # transformers adds a special token to its vocabulary, beyond the embedding; no text is cut into it
        return _tokenizers(tokenizer_of(folder), folder)
    found = _sentencepiece(path) if path.exists() else _tokenizers(_read(folder / "tokenizer.json"), folder / "tokenizer.json")
    if found.size > rows:
        raise DataError(f"{folder}: its tokenizer has ids up to {found.size - 1:,}, its embedding {rows:,} rows (vocab_size)")
    return found


def rows_of(old: OldVocabulary, rows: int, pieces: Sequence[str], spelled: Sequence[bytes] | None, ends: Mapping[int, int]) -> Rows:
    """For each piece the old ids that stand for it, all below `rows`.

    `pieces`: U+2581 for a space. `spelled`: the bytes of each piece of a byte-level vocabulary. `ends`: for the new ids that
    begin and end a text the old id that does.
    """
    found: list[Sequence[int]] = []
    for number, piece in enumerate(pieces):
        known = old.same(piece) if spelled is None else old.named(piece) if not spelled[number] else None
        if known is not None:
            ids: Sequence[int] = [known]
        elif number in ends:
            ids = [ends[number]]
        elif spelled is not None:
            ids = old.cut_bytes(spelled[number])
        else:
            ids = [] if _is_special(piece) else old.cut(piece.replace(SPACE, " "))
        found.append([i for i in ids if i < rows])
    return found


def _is_special(piece: str) -> bool:
    return piece in BYTES or piece in SPECIAL or piece in RESERVED


def _cut_bytes(old_byte: Callable[[int], int | None], cut: Callable[[str], Sequence[int]]) -> Callable[[bytes], Sequence[int]]:
    """Bytes by a vocabulary that is not byte-level: as text, or one by one where they are none."""

    def of(data: bytes) -> Sequence[int]:
        try:
            return cut(data.decode())
        except UnicodeDecodeError:
            return [i for byte in data if (i := old_byte(byte)) is not None]

    return of


def _sentencepiece(path: Path) -> OldVocabulary:
    model = read_model(path.read_bytes())
    ids = {p.piece: i for i, p in enumerate(model.pieces)}
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())

    def cut(text: str) -> Sequence[int]:
        return [int(i) for i in processor.encode(text)]

    return OldVocabulary(ids.get, ids.get, cut, _cut_bytes(lambda byte: ids.get(BYTES[byte]), cut), len(ids))


def _read(path: Path) -> tokenizers.Tokenizer:
    if not path.exists():
        raise ConfigError(f"{path.parent} has neither tokenizer.model nor tokenizer.json, so its rows cannot be named")
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as problem:  # the library raises a bare Exception for whatever is wrong with the file
        raise IntegrityError(f"{path} is no tokenizer: {problem}") from problem


def _tokenizers(old: tokenizers.Tokenizer, path: Path) -> OldVocabulary:
    """Of a tokenizer read from `path`. Text is cut behind an anchor, to which a space goes that is put in front of every text."""
    anchor = old.encode(_ANCHOR, add_special_tokens=False).ids
    letters = byte_letters()
    byte_level = "ByteLevel" in json.dumps(json.loads(old.to_str()).get("decoder"))
    lacking = [b for b in range(256) if old.token_to_id(letters[b]) is None]
    if byte_level and not RARE.issuperset(lacking):
        raise DataError(
            f"{path} is byte-level and lacks {len(lacking)} of the 256 bytes (0x{lacking[0]:02X} is the first), so not every text "
            "can be cut into its pieces"
        )

    def one_byte(byte: int) -> int | None:
        known: int | None = old.token_to_id(BYTES[byte])
        return old.token_to_id(letters[byte]) if known is None else known

    def same(piece: str) -> int | None:
        if piece in BYTES:
            return one_byte(int(piece[3:5], 16))
        known: int | None = old.token_to_id(piece)
        return known if _is_special(piece) else None

    def cut(text: str) -> Sequence[int]:
        ids: Sequence[int] = old.encode(_ANCHOR + text, add_special_tokens=False).ids
        return ids[len(anchor) :] if ids[: len(anchor)] == anchor else old.encode(text, add_special_tokens=False).ids

    def merged(data: bytes) -> Sequence[int]:
        """By the merges alone, so that the beginning of a character is cut too."""
        piece = letters_of(data)
        known: int | None = old.token_to_id(piece)
        if known is not None:
            return [known]
        return [token.id for token in old.model.tokenize(piece)] if len(data) > 1 else []  # one byte: the old vocabulary lacks it

    size = max(old.get_vocab().values(), default=-1) + 1
    return OldVocabulary(same, old.token_to_id, cut, merged if byte_level else _cut_bytes(one_byte, cut), size)
