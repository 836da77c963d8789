"""Checks the folder of a byte-level vocabulary (`skyloom tokenizer check`): a list of findings (report 3.3).

What holds by construction (no merge of the extension ever joins anything in a text without Han characters) is proved on the files
themselves: by the bytes that each new merge makes, and by cutting tens of thousands of hostile texts with the base, which is
taken out of the folder again, and with the extended vocabulary.
"""

from __future__ import annotations

import itertools
import json
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import tokenizers

from skyloom.core.json_files import PlainTable
from skyloom.core.store import Store
from skyloom.tokenizer.byte_level.byte_cutter import ByteLevelCutter
from skyloom.tokenizer.byte_level.byte_extend import text_library, unreachable_in
from skyloom.tokenizer.byte_level.byte_vocabulary import ByteVocabulary, Tree
from skyloom.tokenizer.byte_level.spelling import bytes_of, is_han, only_han, without_han
from skyloom.tokenizer.finding import BrokenInvariantError, InvariantFinding, findings_of, first_difference
from skyloom.tokenizer.pieces import RESERVED
from skyloom.tokenizer.probes import neighbours, probes

if TYPE_CHECKING:
    from skyloom.tokenizer.tokenizer import Tokenizer

_CHARACTERS = 0x110000
_CHUNK = 4096  # code points of a text


def check_byte_level(store: Store, tokenizer: Tokenizer, cutter: ByteLevelCutter, number: int) -> list[InvariantFinding]:
    """All findings, in a fixed order. `number`: hostile texts. IntegrityError if `parts.json` does not say what the base is."""
    subject = _ByteSubject(store, tokenizer, cutter, number)
    return findings_of(
        [
            ("layout", subject.layout),
            ("base unchanged", subject.base_unchanged),
            ("reachable", subject.reachable),
            ("merges", subject.merges),
            ("other text as before", subject.other_text),
            ("digits", subject.digits),
            ("bytes", subject.every_character),
            ("special pieces", subject.special),
            ("encoder agrees", subject.encoder_agrees),
            ("transformers agrees", subject.transformers_agrees),
            ("round trip", subject.round_trip),
        ]
    )


def _cut(library: tokenizers.Tokenizer, texts: list[str]) -> list[list[int]]:
    return [list(row.ids) for row in library.encode_batch_fast(texts, add_special_tokens=False)]


def _library(tree: Tree) -> tokenizers.Tokenizer:
    try:
        return text_library(tree)
    except Exception as problem:  # the library raises nothing narrower
        raise BrokenInvariantError(f"the base can no longer be taken out of the folder: {problem}") from problem


class _ByteSubject:
    """The vocabulary of a folder. Each method proves one fact and gives its figures, or raises BrokenInvariantError."""

    def __init__(self, store: Store, tokenizer: Tokenizer, cutter: ByteLevelCutter, number: int) -> None:
        self.store, self.tokenizer, self.cutter, self.number = store, tokenizer, cutter, number
        self.parts, self.vocabulary = tokenizer.parts, cutter.vocabulary
        self.table: PlainTable = store.read_json("parts.json")
        self.tree: Tree = cutter.tree

    def _count(self, name: str) -> int:
        found = self.table.get(name)
        if not isinstance(found, int):
            raise BrokenInvariantError(f"parts.json does not say {name}")
        return found

    @cached_property
    def base(self) -> ByteVocabulary:
        return self.vocabulary.first(self.parts.base, self._count("base_merges"))

    @cached_property
    def texts(self) -> list[str]:
        """Hostile texts without the special pieces, which `transformers` looks for in a text."""
        own = [self.tokenizer.pieces[i] for i in np.flatnonzero(self.tokenizer.is_text)]
        special = [self.vocabulary.pieces[i] for i in sorted(self.vocabulary.special)]
        found = [*probes(own, self.number // 2), *neighbours(self.number - self.number // 2)]
        return [text for text in found if not any(name in text for name in special)]

    @cached_property
    def ids(self) -> list[list[int]]:
        """What the library makes of the texts, one after the other: all others are held against it."""
        return [self.tokenizer.encode(text) for text in self.texts]

    def layout(self) -> str:
        parts, pieces = self.parts, self.vocabulary.pieces
        if parts.total != len(pieces):
            raise BrokenInvariantError(f"parts.json counts {parts.total} pieces, the vocabulary has {len(pieces)}")
        reserved = tuple(pieces[i] for i in parts.range("reserved"))
        if reserved and (reserved != RESERVED or not self.vocabulary.special.issuperset(parts.range("reserved"))):
            raise BrokenInvariantError(f"part reserved is {reserved[:3]}…, expected the special pieces {RESERVED[:3]}…")
        starts = self._count("starts")
        for place, number in enumerate(parts.range("characters")):
            text = self._text(number)
            if (text is None) != (place < starts) or (text is not None and (len(text) != 1 or not is_han(text))):
                raise BrokenInvariantError(f"{self.tokenizer.pieces[number]} is among the characters")
        for number in parts.range("words"):
            text = self._text(number) or ""
            if len(text) < 2 or not all(map(is_han, text)):
                raise BrokenInvariantError(f"{self.tokenizer.pieces[number]} is among the words")
        extra = parts.range("bytes") if "bytes" in dict(parts.sizes) else range(0)
        if [self.cutter.spelled[i] for i in extra] != [bytes([b]) for b in self.base.lacking]:
            raise BrokenInvariantError("part bytes is not made of those that the base lacks")
        sizes = ", ".join(f"{name} {size:,}" for name, size in parts.sizes)
        return f"{sizes}; {starts:,} of the characters are starts of characters"

    def _text(self, number: int) -> str | None:
        try:
            return self.cutter.spelled[number].decode()
        except UnicodeDecodeError:
            return None

    def base_unchanged(self) -> str:
        found, stated = self.base.digest, str(self.table.get("base_sha256"))
        if stated != found:
            raise BrokenInvariantError(
                f"ids 0 to {self.base.size - 1:,} are not those of the base that was extended ({found[:12]}… for {stated[:12]}…)"
            )
        return f"ids 0 to {self.base.size - 1:,}, {len(self.base.merges):,} merges and the cutting into words are the base's"

    def _added(self) -> list[int]:
        return [*self.parts.range("characters"), *self.parts.range("words")]

    def reachable(self) -> str:
        texts = [text for number in self._added() if (text := self._text(number)) is not None]
        lost = unreachable_in(self.tree, texts)
        starts = [number for number in self._added() if self._text(number) is None]
        model = text_library(self.tree, whole_words=False).model
        lost += [self.tokenizer.pieces[i] for i in starts if [t.id for t in model.tokenize(self.vocabulary.pieces[i])] != [i]]
        if lost:
            raise BrokenInvariantError(f"{len(lost)} added pieces are never produced, for example {lost[:5]}")
        return f"{len(texts):,} added pieces and {len(starts):,} starts of characters become their one id by merges alone"

    def merges(self) -> str:
        new = self.vocabulary.merges[len(self.base.merges) :]
        wrong = [left + right for left, right in new if not only_han(bytes_of(left + right) or b"")]
        if wrong:
            raise BrokenInvariantError(f"{len(wrong)} new merges make what also stands in other text, {wrong[0]!r} for example")
        if not set(self.base.merges).isdisjoint(new):
            raise BrokenInvariantError("a merge of the base stands among the new ones again")
        return f"{len(new):,} new merges, behind the base's; each makes bytes that only Han characters have"

    def other_text(self) -> str:
        lacking = set(self.base.lacking)  # the base loses these
        texts = [text for whole in self.texts if lacking.isdisjoint((text := without_han(whole)).encode())]
        before, after = (_cut(_library(tree), texts) for tree in (self._base_tree(), self.tree))
        first_difference(texts, after, before, "the vocabulary", "its base")
        return f"{len(texts):,} texts without Han characters are cut as with the base alone"

    def _base_tree(self) -> Tree:
        model = {
            **self.base.tree["model"],
            "vocab": {piece: i for i, piece in enumerate(self.base.pieces)},
            "merges": [list(pair) for pair in self.base.merges],
        }
        return {**self.base.tree, "model": model}

    def digits(self) -> str:
        joined = [i for i in self._added() if any(c.isdigit() for c in self._text(i) or "")]
        if joined:
            raise BrokenInvariantError(f"{len(joined)} added pieces hold digits, {self.tokenizer.pieces[joined[0]]!r} for example")
        number = "1234567890" * 3
        longest = max(len(self.tokenizer.decode([i])) for i in self.tokenizer.encode(number))
        return f"no added piece holds a digit; the base cuts a long number into pieces of up to {longest}"

    def every_character(self) -> str:
        texts = [
            "".join(chr(c) for c in range(start, start + _CHUNK) if not 0xD800 <= c < 0xE000)
            for start in range(0, _CHARACTERS, _CHUNK)
        ]
        for text, ids in zip(texts, _cut(self.cutter.library, texts), strict=True):
            if self.tokenizer.decode(ids) != self.cutter.normalized(text):
                raise BrokenInvariantError(f"the characters from U+{ord(text[0]):04X} on do not come back")
        return f"there are pieces for all bytes of UTF-8; all {_CHARACTERS - 2048:,} characters come back"

    def special(self) -> str:
        names = [self.vocabulary.pieces[i] for i in sorted(self.vocabulary.special)]
        for name in names:
            for text in (name, f"a{name}b", f"中 {name}\n"):
                ids = self.tokenizer.encode(text)
                if not self.vocabulary.special.isdisjoint(ids) or self.tokenizer.decode(ids) != self.cutter.normalized(text):
                    raise BrokenInvariantError(f"the text {text!r} becomes {ids}, with a special piece")
        matched = (
            f"; {len(self.vocabulary.matched)} others are matched in text, as the base's file says"
            if self.vocabulary.matched
            else ""
        )
        return f"{len(names):,} special pieces are never found in a text{matched}"

    def encoder_agrees(self) -> str:
        raw = ["\ud800", "中\udfff文", "\ud83d\ude42", "\ud83d a"]
        if [ids.tolist() for ids in self.tokenizer.encode_batch(raw)] != [self.tokenizer.encode(text) for text in raw]:
            raise BrokenInvariantError("lone surrogates are encoded in two ways")
        found, offsets = self.tokenizer.encode_column(pa.array(self.texts, pa.large_string()), threads=2)
        columns = [found[a:b].tolist() for a, b in itertools.pairwise(offsets.tolist())]
        first_difference(self.texts, columns, self.ids, "a column", "single texts")
        whole = tokenizers.Tokenizer.from_str(json.dumps(self.tree))
        first_difference(self.texts, _cut(whole, self.texts), self.ids, "tokenizer.json", "our encoder")
        return f"columns, single texts and tokenizer.json give the same ids on {len(self.texts):,} texts"

    def transformers_agrees(self) -> str:
        from transformers import AutoTokenizer

        try:
            auto = AutoTokenizer.from_pretrained(self.store.path())
        except Exception as problem:  # whatever it finds wrong with a file
            raise BrokenInvariantError(f"AutoTokenizer cannot load the folder: {problem}") from problem
        ours = tuple(getattr(self.tokenizer, name) for name in ("bos_id", "eos_id", "pad_id"))
        theirs = (auto.bos_token_id, auto.eos_token_id, auto.pad_token_id)
        if ours != theirs:
            raise BrokenInvariantError(f"AutoTokenizer has {theirs} for begin, end and padding, parts.json {ours}")
        found = auto(self.texts, add_special_tokens=False)["input_ids"]
        first_difference(self.texts, found, self.ids, "AutoTokenizer", "our encoder")
        return f"AutoTokenizer ({type(auto).__name__}) gives the same ids on {len(self.texts):,} texts"

    def round_trip(self) -> str:
        changed = 0
        for text, ids in zip(self.texts, self.ids, strict=True):
            back, expected = self.tokenizer.decode(ids), self.cutter.normalized(text)
            if back != expected:
                raise BrokenInvariantError(f"{text!r} comes back as {back!r}")
            changed += expected != text
        said = f", {changed:,} of them in the base's normal form" if changed else ""
        return f"{len(self.texts):,} texts come back as they were{said}"
