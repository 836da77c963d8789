"""The base of the vocabulary: a SentencePiece model trained on counted words, or another model's from a file (report 3.3).

The report takes LLaMA's 32,000 pieces; another model's vocabulary cannot be published as ours, so both ways are here:
`train_base` makes one from Latin text and code (each digit its own token, bytes for what is unknown, no normalisation and
no space in front of a text), and `given_base` takes one that exists and says clearly where it is none that can be extended.

SentencePiece is given distinct words with their counts, not text. Its own trainer makes exactly these from text first, on one
thread and with all sentences in memory; its counts are 64-bit, so weighted counts above 2^31 are sums like any other.
"""

from __future__ import annotations

import hashlib
import io
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import sentencepiece

from skyloom.core.errors import ConfigError, DataError, IntegrityError, StorageError
from skyloom.tokenizer.byte_level.byte_vocabulary import ByteVocabulary, byte_level_file, read_byte_vocabulary
from skyloom.tokenizer.byte_level.gguf_vocabulary import read_gguf_vocabulary
from skyloom.tokenizer.pieces import BYTES, RESERVED, SPECIAL, TYPE, ParsedModel, base_model, normal_pieces, read_model

LAYOUT = ("\n", "\t", "\n\n", "\t\t")
"""Pieces of the base that the trainer, which sees words, cannot find: without them every line end is a byte piece."""

SMALLEST = len(SPECIAL) + len(BYTES) + len(LAYOUT) + 256


def train_base(words: Sequence[str], counts: npt.NDArray[np.int64], size: int) -> bytes:
    """A base of at most `size` pieces from distinct words (a space before a word belongs to it) and their counts.

    DataError if there are no words, or SentencePiece cannot train on them.
    """
    if not counts.any():
        raise DataError("the training documents hold no Latin text or code, which the base vocabulary is made from")
    buffer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{word}\t{count}" for word, count in zip(words, counts.tolist(), strict=True) if count > 0),
            input_format="tsv",
            model_writer=buffer,
            model_type="bpe",
            vocab_size=size,
            hard_vocab_limit=False,  # a small corpus gives fewer pieces instead of an error
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,  # indentation of code
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            character_coverage=0.9998,
            required_chars=string.printable[:94],  # ASCII that can be seen, also where a small corpus lacks some of it
            max_sentence_length=1 << 20,
            num_threads=1,  # the order of equal pairs must not depend on threads
            pad_id=-1,
            minloglevel=2,
        )
    except RuntimeError as problem:
        raise DataError(f"SentencePiece cannot train a base of {size} pieces on this corpus: {problem}") from problem
    return base_model(buffer.getvalue(), _latin(buffer.getvalue(), size - len(SPECIAL) - len(BYTES)))


def _latin(trained: bytes, size: int) -> list[str]:
    """The pieces that were found with those of LAYOUT in front; the merges that were found last are left out for them."""
    found = [piece for piece, _ in normal_pieces(trained)]
    pieces = [*(p for p in LAYOUT if p not in found), *found]
    surplus = max(len(pieces) - size, 0)
    merges = [p for p in pieces if len(p) > 1 and p not in LAYOUT]
    late = set(merges[len(merges) - surplus :])
    return [p for p in pieces if p not in late]


@dataclass(frozen=True)
class GivenBase:
    """A vocabulary of another model that is used or extended: a SentencePiece `model`, or a byte-level one. `digest`: SHA-256 of
    what decides how it cuts text, hex."""

    path: Path
    size: int
    digest: str
    model: bytes
    byte_level: ByteVocabulary | None

    def check(self, size: int, reserved: int, characters: int) -> None:
        """ConfigError if a recipe's sizes are not possible with this base, or leave no room for bytes that it lacks."""
        if self.size != size:
            raise ConfigError(f"{self.path} has {self.size:,} pieces, tokenizer.base says {size:,}")
        if self.byte_level is None and not reserved:
            raise ConfigError(
                f"tokenizer.reserved is 0, which only a byte-level base (tokenizer.json) can have; {self.path} is none"
            )
        lacking = () if self.byte_level is None else self.byte_level.lacking
        if len(lacking) > characters:
            raise ConfigError(
                f"{self.path} is byte-level and lacks {len(lacking)} of the 243 bytes of UTF-8 (0x{lacking[0]:02X} is the first), "
                f"so not every text can be cut into its pieces: set tokenizer.characters to {len(lacking)} or more, which then "
                "holds these bytes"
            )


def given_base(path: Path) -> GivenBase:
    """The vocabulary in a SentencePiece file, in a byte-level `tokenizer.json` or GGUF file, or in a model's folder that holds
    either.

    ConfigError, with the reason, for one that cannot be used; StorageError if it cannot be read.
    """
    if path.suffix == ".gguf":
        read = read_gguf_vocabulary(path)
        return GivenBase(path, read.size, read.digest, b"", read)
    file = byte_level_file(path)
    if file is not None:
        found = read_byte_vocabulary(file)
        return GivenBase(path, found.size, found.digest, b"", found)
    inside = path / "tokenizer.model"
    if path.is_dir() and not inside.is_file():
        raise ConfigError(f"tokenizer.base_model: the folder {path} has neither tokenizer.model nor tokenizer.json")
    model = read_base(inside if path.is_dir() else path)
    return GivenBase(path, len(read_model(model).pieces), hashlib.sha256(model).hexdigest(), model, None)


def read_base(path: Path) -> bytes:
    """The SentencePiece model in a file, as it is. ConfigError, with the reason, for one that cannot be extended."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise StorageError(f"tokenizer.base_model: {path} cannot be read: {problem.strerror}") from problem
    try:
        model = read_model(data)
    except IntegrityError as problem:
        raise ConfigError(f"tokenizer.base_model: {path} is not a SentencePiece model") from problem
    kinds = {1: "unigram", 2: "BPE", 3: "word", 4: "character"}
    trainer, normal = model.trainer_spec, model.normalizer_spec
    types = [p.type for p in model.pieces]
    texts = [p.piece for p in model.pieces]
    special = (trainer.unk_id, trainer.bos_id, trainer.eos_id)
    there = all(0 <= i < len(types) for i in special)
    for wrong, why in (
        (trainer.model_type != 2, f"is a {kinds.get(trainer.model_type, 'strange')} model; only BPE can be extended by merges"),
        (bool(normal.precompiled_charsmap), f"normalises text ({normal.name}), so that text would not come back as it was"),
        (normal.remove_extra_whitespaces, "removes spaces, so that text would not come back as it was"),
        (not normal.escape_whitespaces, "does not write spaces as U+2581, which is not supported"),
        (trainer.treat_whitespace_as_suffix, "puts spaces behind words, which is not supported"),
        (types.count(TYPE.BYTE) != 256, "has no pieces for the 256 bytes, so that unknown characters would be lost"),
        (TYPE.UNUSED in types, "has pieces of type UNUSED, which is not supported"),
        (any(" " in t or "\0" in t for t in texts), "has a piece with a space or NUL in it, which no text becomes"),
        (not there, "has no <unk>, <s> or </s>"),
        (
            there and [types[i] for i in special] != [TYPE.UNKNOWN, TYPE.CONTROL, TYPE.CONTROL],
            "names other pieces as <unk>, <s> or </s>",
        ),
        (not set(RESERVED).isdisjoint(texts), "has one of the reserved pieces already; is it an extended one?"),
        (
            _tied(model) > 0,
            f"has {_tied(model):,} pieces that share their score with another, whose order tokenizer.json cannot keep",
        ),
    ):
        if wrong:
            raise ConfigError(f"tokenizer.base_model: {path} {why}")
    try:
        sentencepiece.SentencePieceProcessor(model_proto=data)
    except RuntimeError as problem:
        raise ConfigError(f"tokenizer.base_model: {path} cannot be loaded by SentencePiece: {problem}") from problem
    return data


def _tied(model: ParsedModel) -> int:
    """Pieces with equal scores, runs of one character (LLaMA's spaces) apart: of those the longer one is joined on."""
    groups: dict[float, list[str]] = {}
    for piece in model.pieces:
        if piece.type == TYPE.NORMAL and len(piece.piece) > 1:
            groups.setdefault(float(np.float32(piece.score)), []).append(piece.piece)
    return sum(len(g) for g in groups.values() if len(g) > 1 and len({c for text in g for c in text}) > 1)
