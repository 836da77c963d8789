"""The layout of the vocabulary: which ids belong to which part, and the model's proto (report 3.3).

Ids in order: `special` (<unk> <s> </s>), `bytes` (256, for characters the vocabulary lacks), `latin` (BPE merges and
characters of Latin text and code), `characters` (Chinese characters, full-width punctuation, symbols), `words` (Chinese
words), `reserved` (17, <|pad|> first). The first three are the base; the report's own sizes are 32,000 + 8,000 + 25,519 + 17.

Reserved pieces are of type CONTROL: text that merely contains "<|user|>" is never encoded to one, so that a web page
cannot speak as a user. (`transformers` does match them in text, as it does for every tokenizer.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from skyloom.core.errors import IntegrityError

UNK, BOS, EOS = 0, 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{b:02X}>" for b in range(256))
PAD = "<|pad|>"
_ROLES = (PAD, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end_of_turn|>")
RESERVED = _ROLES + tuple(f"<|reserved_{i}|>" for i in range(17 - len(_ROLES)))
"""The 17 reserved pieces: padding, five for chat, eleven without a meaning yet."""

LAYOUT = ("\n", "\t", "\n\n")
"""Pieces of the base that the trainer, which sees single lines, cannot find: without them every line end is a byte piece."""

PART_NAMES = ("special", "bytes", "latin", "characters", "words", "reserved")

_ModelProto: Any = vars(sentencepiece_model_pb2)["ModelProto"]  # generated at import time, so type checkers do not see it
_Type = _ModelProto.SentencePiece


@dataclass(frozen=True)
class Parts:
    """Sizes of the parts in the order of their ids."""

    sizes: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(size for _, size in self.sizes)

    def range(self, name: str) -> range:
        """The ids of a part."""
        start = 0
        for part, size in self.sizes:
            if part == name:
                return range(start, start + size)
            start += size
        raise KeyError(name)

    def of(self, piece_id: int) -> str:
        """The part an id belongs to."""
        return next(name for name, _ in self.sizes if piece_id in self.range(name))

    def to_json(self) -> list[dict[str, int | str]]:
        return [{"name": name, "first": self.range(name).start, "size": size} for name, size in self.sizes]

    @staticmethod
    def from_json(rows: Sequence[Mapping[str, int | str]]) -> Parts:
        return Parts(tuple((str(r["name"]), int(r["size"])) for r in rows))


def build_model(base: bytes, latin: Sequence[str], characters: Sequence[str], words: Sequence[str]) -> bytes:
    """A SentencePiece model of these pieces in this order, with the trainer's settings taken from `base`.

    SentencePiece merges, of all adjacent pairs whose concatenation is a piece, the one with the best score first. The
    score is the negative rank, so earlier pieces merge first; ranks are whole numbers below 2^24 and exact in float32.
    """
    model = _ModelProto.FromString(base)
    del model.pieces[:]

    def add(pieces: Sequence[str], kind: int, *, ranked: bool = False) -> None:
        for piece in pieces:
            score = -float(len(model.pieces) - len(SPECIAL) - len(BYTES)) if ranked else 0.0
            model.pieces.add(piece=piece, score=score, type=kind)

    add(SPECIAL[:1], _Type.UNKNOWN)
    add(SPECIAL[1:], _Type.CONTROL)
    add(BYTES, _Type.BYTE)
    add([*latin, *characters, *words], _Type.NORMAL, ranked=True)
    add(RESERVED, _Type.CONTROL)
    model.trainer_spec.vocab_size = len(model.pieces)
    return bytes(model.SerializeToString(deterministic=True))


def parts_of(latin: Sequence[str], characters: Sequence[str], words: Sequence[str]) -> Parts:
    """The parts of a model made by `build_model`."""
    sizes = (len(SPECIAL), len(BYTES), len(latin), len(characters), len(words), len(RESERVED))
    return Parts(tuple(zip(PART_NAMES, sizes, strict=True)))


def normal_pieces(model: bytes) -> list[tuple[str, float]]:
    """The pieces that text is made of (no specials, no bytes), with their scores, in the order of their ids."""
    return [(p.piece, p.score) for p in read_model(model).pieces if p.type == _Type.NORMAL]


def read_model(model: bytes) -> Any:
    """The parsed model. IntegrityError if the bytes are not a SentencePiece model."""
    try:
        return _ModelProto.FromString(model)
    except Exception as problem:  # protobuf's DecodeError has no stable import path
        raise IntegrityError(f"tokenizer.model is not a SentencePiece model: {problem}") from problem
