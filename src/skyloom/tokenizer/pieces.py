"""The layout of the vocabulary: which ids belong to which part, and the model's proto (report 3.3).

Ids in order: `special` (<unk> <s> </s>), `bytes` (256, for characters the vocabulary lacks), `latin` (BPE merges and
characters of Latin text and code), `characters` (Chinese characters, full-width punctuation, symbols), `words` (Chinese
words), `reserved` (17, <|pad|> first). The first three are the base; the report's own sizes are 32,000 + 8,000 + 25,519 + 17.
A base from elsewhere whose pieces stand in another order is one part, `base`.

Reserved pieces are of type CONTROL: text that merely contains "<|user|>" is never encoded to one, so that a web page
cannot pose as a user. (`transformers` does match them in text, as it does for every tokenizer.)

Scores decide which pair is joined first. Added pieces go below the base's lowest score, each by one, and all must stay whole
numbers that float32 holds. LLaMA's runs of spaces score -1e9, where float32 cannot tell -1e9 from -1e9 - 1: such sentinels
are not what "lowest" means.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

import numpy as np
from sentencepiece import sentencepiece_model_pb2

from skyloom.core.errors import ConfigError, IntegrityError

SPECIAL = ("<unk>", "<s>", "</s>")
BYTES = tuple(f"<0x{b:02X}>" for b in range(256))
SPACE = "\u2581"
PAD = "<|pad|>"
_ROLES = (PAD, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end_of_turn|>")
RESERVED = _ROLES + tuple(f"<|reserved_{i}|>" for i in range(17 - len(_ROLES)))
"""The 17 reserved pieces: padding, five for chat, eleven without a meaning yet."""

JOINED_DIGITS = ("².", "²,", "²).")
"""Pieces of LLaMA's base that hold a digit with something else; any other such piece fails the check."""

PART_NAMES = ("special", "bytes", "latin", "characters", "words", "reserved")

_EXACT = 1 << 23  # scores beyond this are sentinels: float32 does not tell them from their neighbours


class Piece(Protocol):
    """A piece of a parsed model."""

    piece: str
    score: float
    type: int


class Pieces(Protocol):
    """The pieces of a parsed model, by id."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Piece]: ...
    @overload
    def __getitem__(self, place: int) -> Piece: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Piece]: ...
    def __delitem__(self, place: slice) -> None: ...
    def add(self, *, piece: str, score: float, type: int) -> Piece: ...


class TrainerSpec(Protocol):
    """How a model was trained."""

    model_type: int
    vocab_size: int
    unk_id: int
    bos_id: int
    eos_id: int
    treat_whitespace_as_suffix: bool


class NormalizerSpec(Protocol):
    """What a model does to a text before it cuts it."""

    name: str
    precompiled_charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool


class ParsedModel(Protocol):
    """SentencePiece's `ModelProto`, as far as it is used here."""

    trainer_spec: TrainerSpec
    normalizer_spec: NormalizerSpec
    SerializeToString: Callable[..., bytes]

    @property
    def pieces(self) -> Pieces: ...


class PieceTypes(Protocol):
    """SentencePiece's numbers for types of pieces."""

    NORMAL: int
    UNKNOWN: int
    CONTROL: int
    USER_DEFINED: int
    UNUSED: int
    BYTE: int


class _ModelClass(Protocol):
    FromString: Callable[[bytes], ParsedModel]
    SentencePiece: PieceTypes


_ModelProto: _ModelClass = vars(sentencepiece_model_pb2)["ModelProto"]  # made at import time, so type checkers do not see it
TYPE = _ModelProto.SentencePiece


@dataclass(frozen=True)
class Parts:
    """Sizes of the parts in the order of their ids."""

    sizes: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(size for _, size in self.sizes)

    @property
    def base(self) -> int:
        """Ids that are the base's: all before the added characters."""
        return self.range("characters").start

    def range(self, name: str) -> range:
        """The ids of a part. KeyError if there is none of this name."""
        start = 0
        for part, size in self.sizes:
            if part == name:
                return range(start, start + size)
            start += size
        raise KeyError(name)

    def size(self, name: str) -> int:
        """How many ids a part has. KeyError if there is none of this name."""
        return len(self.range(name))

    def of(self, piece_id: int) -> str:
        """The part an id belongs to."""
        return next((name for name, _ in self.sizes if piece_id in self.range(name)), "none")

    def to_json(self) -> list[dict[str, int | str]]:
        return [{"name": name, "first": self.range(name).start, "size": size} for name, size in self.sizes]

    @staticmethod
    def from_json(rows: Sequence[Mapping[str, int | str]]) -> Parts:
        """From what `to_json` gave. KeyError, TypeError or ValueError for anything else."""
        parts = Parts(tuple((str(r["name"]), int(r["size"])) for r in rows))
        for name in ("characters", "words", "reserved"):
            parts.range(name)
        return parts


def base_model(settings: bytes, latin: Sequence[str]) -> bytes:
    """A base of <unk> <s> </s>, the bytes and these pieces, earlier ones joined first; the other settings are `settings`'."""
    model = _ModelProto.FromString(settings)
    del model.pieces[:]
    model.pieces.add(piece=SPECIAL[0], score=0.0, type=TYPE.UNKNOWN)
    for piece in SPECIAL[1:]:
        model.pieces.add(piece=piece, score=0.0, type=TYPE.CONTROL)
    for piece in BYTES:
        model.pieces.add(piece=piece, score=0.0, type=TYPE.BYTE)
    for rank, piece in enumerate(latin):
        model.pieces.add(piece=piece, score=-float(rank), type=TYPE.NORMAL)
    model.trainer_spec.vocab_size = len(model.pieces)
    return bytes(model.SerializeToString(deterministic=True))


def extended_model(base: bytes, characters: Sequence[str], words: Sequence[str]) -> bytes:
    """The base with these pieces behind it, earlier ones joined first, and the reserved ones last.

    The base's pieces keep ids, scores and types. ConfigError if the base has one of the added pieces already.
    """
    model = read_model(base)
    present = {p.piece for p in model.pieces}
    added = [*characters, *words]
    double = next((p for p in (*added, *RESERVED) if p in present), None)
    if double is not None:
        raise ConfigError(f"the base has the piece {double!r} already")
    scores = [p.score for p in model.pieces if p.type == TYPE.NORMAL and abs(p.score) < _EXACT]
    lowest = float(np.floor(min(scores, default=0.0)))
    if lowest - len(added) < -_EXACT:
        raise ConfigError(f"the base's lowest score is {lowest:.0f}: {len(added)} more do not fit above {-_EXACT} in float32")
    for rank, piece in enumerate(added, 1):
        model.pieces.add(piece=piece, score=lowest - rank, type=TYPE.NORMAL)
    for piece in RESERVED:
        model.pieces.add(piece=piece, score=0.0, type=TYPE.CONTROL)
    model.trainer_spec.vocab_size = len(model.pieces)
    return bytes(model.SerializeToString(deterministic=True))


def first_pieces(model: bytes, count: int) -> bytes:
    """The model without the pieces behind the first `count`: the base of an extended one."""
    cut = read_model(model)
    del cut.pieces[count:]
    cut.trainer_spec.vocab_size = count
    return bytes(cut.SerializeToString(deterministic=True))


def digest(model: bytes, count: int) -> str:
    """SHA-256 over the first `count` pieces with their scores and types: what must not change when a base is extended."""
    found = hashlib.sha256()
    for piece in read_model(model).pieces[:count]:
        found.update(f"{piece.piece}\0{np.float32(piece.score)!r}\0{piece.type}\n".encode())
    return found.hexdigest()


def parts_of(base: bytes, characters: Sequence[str], words: Sequence[str]) -> Parts:
    """The parts of a model made by `extended_model`."""
    types = [p.type for p in read_model(base).pieces]
    usual = [TYPE.UNKNOWN, TYPE.CONTROL, TYPE.CONTROL, *[TYPE.BYTE] * 256]
    front: tuple[tuple[str, int], ...] = (("base", len(types)),)
    if types[:259] == usual and set(types[259:]) <= {TYPE.NORMAL}:
        front = (("special", 3), ("bytes", 256), ("latin", len(types) - 259))
    return Parts((*front, ("characters", len(characters)), ("words", len(words)), ("reserved", len(RESERVED))))


def normal_pieces(model: bytes) -> list[tuple[str, float]]:
    """The pieces that text is made of (no specials, no bytes), with their scores, in the order of their ids."""
    return [(p.piece, p.score) for p in read_model(model).pieces if p.type == TYPE.NORMAL]


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each lone surrogate, which is no character."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def holds_digits(piece: str) -> bool:
    """Whether a digit of any script stands together with something else in a piece."""
    return len(piece) > 1 and any(c.isdigit() for c in piece)


def read_model(model: bytes) -> ParsedModel:
    """The parsed model. IntegrityError if the bytes are not a SentencePiece model."""
    try:
        parsed = _ModelProto.FromString(model)
    except Exception as problem:  # protobuf's DecodeError has no stable import path
        raise IntegrityError(f"tokenizer.model is not a SentencePiece model: {problem}") from problem
    if not parsed.pieces:
        raise IntegrityError("tokenizer.model is not a SentencePiece model: it has no pieces")
    return parsed
