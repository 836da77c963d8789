"""Checks a tokenizer folder (`skyloom tokenizer check`): a list of findings (report 3.3).

Users of a tokenizer rely on facts that nobody sees until a model trained on it misbehaves: the layout of the ids,
that those of the base are still the base's, that every added piece can be produced at all, that English is cut as before,
that digits stay apart, that unknown characters fall to bytes, that text comes back, and that the SentencePiece model, our
own encoder, `tokenizer.json` and `transformers` agree on every id. Each is proved here on this very folder.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import sentencepiece
import tokenizers

from skyloom.core.store import Store
from skyloom.tokenizer.byte_level.byte_check import check_byte_level
from skyloom.tokenizer.byte_level.byte_cutter import ByteLevelCutter
from skyloom.tokenizer.encode import Encoder
from skyloom.tokenizer.extend import unreachable
from skyloom.tokenizer.finding import BrokenInvariantError, InvariantFinding, findings_of, first_difference
from skyloom.tokenizer.pieces import BYTES, JOINED_DIGITS, RESERVED, SPACE, SPECIAL, digest, first_pieces, holds_digits, read_model
from skyloom.tokenizer.probes import probes
from skyloom.tokenizer.tokenizer import Tokenizer

PROBES = 20_000
"""Texts that the formats are compared on."""


def check(store: Store) -> list[InvariantFinding]:
    """All findings, in a fixed order; `ok` is False where a fact does not hold. StorageError if files are missing."""
    tokenizer = Tokenizer.load(store)
    if isinstance(tokenizer.cutter, ByteLevelCutter):
        return check_byte_level(store, tokenizer, tokenizer.cutter, PROBES)
    subject = _Subject(store, tokenizer)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("layout", subject.layout),
        ("base unchanged", subject.base_unchanged),
        ("reachable", subject.reachable),
        ("English as before", subject.english),
        ("digits", subject.digits),
        ("unknown characters", subject.unknown),
        ("encoder agrees", subject.encoder_agrees),
        ("formats agree", subject.formats_agree),
        ("transformers agrees", subject.transformers_agrees),
        ("round trip", subject.round_trip),
    ]
    return findings_of(checks)


class _Subject:
    """The tokenizer of a folder in all its forms. Each method proves one fact and gives its figures, or raises
    BrokenInvariantError."""

    def __init__(self, store: Store, tokenizer: Tokenizer) -> None:
        self.store, self.tokenizer = store, tokenizer
        self.pieces, self.parts = self.tokenizer.pieces, self.tokenizer.parts
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=self.tokenizer.model)

    @cached_property
    def texts(self) -> list[str]:
        return probes([self.pieces[i] for i in np.flatnonzero(self.tokenizer.is_text)], PROBES)

    @cached_property
    def ids(self) -> list[list[int]]:
        """What SentencePiece itself makes of the texts: all others are held against it."""
        return [list(ids) for ids in self.processor.encode(self.texts)]

    def layout(self) -> str:
        pieces, parts = self.pieces, self.parts
        if parts.total != len(pieces):
            raise BrokenInvariantError(f"parts.json counts {parts.total} pieces, the model has {len(pieces)}")
        named = dict(parts.sizes)
        for name, expected in (("special", SPECIAL), ("bytes", BYTES), ("reserved", RESERVED)):
            found = tuple(pieces[i] for i in parts.range(name)) if name in named else None
            if name == "special" and found is not None:  # however the base's maker names them
                ids = (self.tokenizer.unk_id, self.tokenizer.bos_id, self.tokenizer.eos_id)
                found, expected = tuple(pieces[i] for i in ids), tuple(pieces[i] for i in range(3))
            if found is not None and found != expected:
                raise BrokenInvariantError(f"part {name} is {found[:3]}…, expected {expected[:3]}…")
        if len(set(pieces)) != len(pieces):
            raise BrokenInvariantError("a piece occurs twice")
        mixed = [
            p for name in ("characters", "words") for i in parts.range(name) if (len(p := pieces[i]) == 1) != (name == "characters")
        ]
        if mixed:
            raise BrokenInvariantError(f"characters and words are mixed up: {mixed[:5]}")
        return ", ".join(f"{name} {size:,}" for name, size in parts.sizes)

    def base_unchanged(self) -> str:
        size = self.parts.base
        stated, found = self.store.read_json("parts.json").get("base_sha256"), digest(self.tokenizer.model, size)
        if stated != found:
            raise BrokenInvariantError(
                f"ids 0 to {size - 1:,} are not those of the base that was extended ({found[:12]}… for {str(stated)[:12]}…)"
            )
        return f"ids 0 to {size - 1:,} have the base's pieces, scores and types"

    def reachable(self) -> str:
        ids = [*self.parts.range("characters"), *self.parts.range("words")]
        lost = unreachable(self.tokenizer.model, [self.pieces[i] for i in ids])
        if lost:
            raise BrokenInvariantError(f"{len(lost)} added pieces are never produced, for example {lost[:5]}")
        return f"{len(ids):,} added pieces encode to their one id"

    def english(self) -> str:
        base = sentencepiece.SentencePieceProcessor(model_proto=first_pieces(self.tokenizer.model, self.parts.base))
        texts = ["".join(c for c in text if ord(c) < 128) for text in self.texts]
        for text, before, after in zip(texts, base.encode(texts), self.processor.encode(texts), strict=True):
            if before != after:
                raise BrokenInvariantError(f"{text!r} was {before} with the base and is {after} now")
        return f"{len(texts):,} ASCII texts are cut as with the base alone"

    def digits(self) -> str:
        own = [self.pieces[i] for i in np.flatnonzero(self.tokenizer.is_text)]
        joined = [p for p in own if holds_digits(p.replace(SPACE, " "))]
        wrong = [p for p in joined if p not in JOINED_DIGITS]
        if wrong:
            raise BrokenInvariantError(f"{len(wrong):,} pieces join digits with something: {wrong[:5]}")
        return "every digit is its own token" + (f", but for {', '.join(joined)}" if joined else "")

    def unknown(self) -> str:
        texts = [
            "".join(c for c in chr(0x20000 + k) + chr(0x12000 + k) + chr(0x1F600 + k % 80) + chr(1 + k % 31)) for k in range(500)
        ]
        lost = [t for t, ids in zip(texts, self.processor.encode(texts), strict=True) if self.tokenizer.unk_id in ids]
        if lost:
            raise BrokenInvariantError(f"{lost[0]!r} becomes <unk>")
        return f"{len(texts):,} texts of rare characters are bytes where they are no pieces"

    def encoder_agrees(self) -> str:
        if Encoder.of(read_model(self.tokenizer.model)) is None:
            return "columns are left to SentencePiece: our encoder does not know all that this model has"
        raw = ["\ud800", "中\udfff文", "\ud83d\ude42", "\ud83d a"]
        if [ids.tolist() for ids in self.tokenizer.encode_batch(raw)] != [self.tokenizer.encode(t) for t in raw]:
            raise BrokenInvariantError("lone surrogates are encoded in two ways")
        found, offsets = self.tokenizer.encode_column(pa.array(self.texts, pa.large_string()))
        self._compare([found[a:b].tolist() for a, b in itertools.pairwise(offsets.tolist())], "our encoder")
        return f"our encoder gives SentencePiece's ids on {PROBES:,} texts"

    def formats_agree(self) -> str:
        try:
            twin = tokenizers.Tokenizer.from_str(self.store.read_text("tokenizer.json"))
        except Exception as problem:  # the library raises nothing narrower
            raise BrokenInvariantError(f"tokenizer.json cannot be loaded: {problem}") from problem
        self._compare([e.ids for e in twin.encode_batch(self.texts, add_special_tokens=False)], "tokenizer.json")
        return f"tokenizer.json gives the same ids on {PROBES:,} texts"

    def transformers_agrees(self) -> str:
        from transformers import AutoTokenizer

        try:
            auto = AutoTokenizer.from_pretrained(self.store.path())
        except Exception as problem:  # whatever it finds wrong with a file
            raise BrokenInvariantError(f"AutoTokenizer cannot load the folder: {problem}") from problem
        ours = tuple(getattr(self.tokenizer, name) for name in ("unk_id", "bos_id", "eos_id", "pad_id"))
        theirs = (auto.unk_token_id, auto.bos_token_id, auto.eos_token_id, auto.pad_token_id)
        if ours != theirs:
            raise BrokenInvariantError(f"AutoTokenizer has {theirs} for <unk>, <s>, </s> and padding, the model {ours}")
        self._compare(auto(self.texts, add_special_tokens=False)["input_ids"], "AutoTokenizer")
        return f"AutoTokenizer ({type(auto).__name__}) gives the same ids on {PROBES:,} texts"

    def round_trip(self) -> str:
        for text, ids in zip(self.texts, self.ids, strict=True):
            back = self.tokenizer.decode(ids)
            if back != text.replace(SPACE, " "):
                raise BrokenInvariantError(f"{text!r} comes back as {back!r}")
        return f"{PROBES:,} texts come back as they were"

    def _compare(self, found: Sequence[Sequence[int]], what: str) -> None:
        first_difference(self.texts, found, self.ids, what, "tokenizer.model")
