"""Chinese characters and words added to a byte-level vocabulary, so that every added piece is reachable and no other text changes.

A byte-level vocabulary joins bytes, by a list of merges in their order. New merges are appended behind all old ones, so a text is
first cut as before, and only then are the old pieces joined further. A new merge is taken only if what it makes stands in Chinese
text alone (`spelling.only_han`). Both together prove that a text without a Han character is cut as before: no new merge ever
finds a pair in it.

A character that the base cuts into pieces t1 t2 t3 is joined from the left: (t1, t2), then (t1 t2, t3). What stands between, the
start of a character (E9 BE, say), becomes a piece too, because a merge can only make pieces; characters share their starts. Words
are found by byte-pair encoding over the runs of Han, as for SentencePiece (`extend`), and are joined from any two pieces that
make them.

Which of them are reachable is not argued but tried: each is encoded alone by the extended vocabulary, with `ignore_merges` off
(which would find a whole word without any merge). What does not come out as its one id is left out, the next takes its place, and
so on.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tokenizers

from skyloom.tokenizer.byte_level.byte_vocabulary import ByteVocabulary, Tree
from skyloom.tokenizer.byte_level.spelling import bytes_of, is_han, letters_of, only_han
from skyloom.tokenizer.extend import Chosen, closed
from skyloom.tokenizer.words import Runs, find_words


@dataclass(frozen=True)
class AddedPieces:
    """What is added to a base. `starts`: the beginnings of characters that merges need; `characters`, `words`: as text, best first.

    `lacking`: bytes that the base has no piece for. `merges`: as the vocabulary spells them, in their order behind the base's."""

    starts: tuple[str, ...] = ()
    characters: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    merges: tuple[tuple[str, str], ...] = ()
    lacking: tuple[int, ...] = ()

    @property
    def pieces(self) -> list[str]:
        """As the vocabulary spells them, in the order of their ids."""
        return [
            *self.starts,
            *map(spelled, self.characters),
            *map(spelled, self.words),
            *(letters_of(bytes([b])) for b in self.lacking),
        ]


def spelled(text: str) -> str:
    """A text as byte-level vocabularies spell it."""
    return letters_of(text.encode())


def extended_tree(base: ByteVocabulary, added: AddedPieces, reserved: Sequence[str] = ()) -> Tree:
    """The `tokenizer.json` of the base with these pieces behind its own, and control pieces last.

    All pieces stand in the model's vocabulary, the base's special ones too: the library numbers the others anew, behind everything.
    """
    tree: Tree = json.loads(json.dumps(base.tree))
    pieces = [*base.pieces, *added.pieces, *reserved]
    tree["model"]["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    tree["model"]["merges"] = [[left, right] for left, right in (*base.merges, *added.merges)]
    shape = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    first = len(pieces) - len(reserved)
    tree["added_tokens"] = [
        *(tree.get("added_tokens") or []),
        *({"id": first + k, "content": piece, **shape} for k, piece in enumerate(reserved)),
    ]
    begin = base.pieces[base.begin]
    tree["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [
            {"SpecialToken": {"id": begin, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": begin, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}},
        ],
        "special_tokens": {begin: {"id": begin, "ids": [base.begin], "tokens": [begin]}},
    }  # fmt: skip
    tree["truncation"] = tree["padding"] = None
    return tree


def text_library(tree: Tree, *, whole_words: bool = True) -> tokenizers.Tokenizer:
    """The library's object that cuts text by a `tokenizer.json` and knows no special piece, so that none is found in a text.

    Pieces that the base's maker wants matched in a text stay. `whole_words`: False turns `ignore_merges` off, so that only merges
    make pieces.
    """
    special = {token["content"] for token in tree.get("added_tokens") or [] if token.get("special")}
    model = dict(tree["model"])
    model["vocab"] = {piece: i for piece, i in model["vocab"].items() if piece not in special}
    if not whole_words:
        model["ignore_merges"] = False
    kept = [token for token in tree.get("added_tokens") or [] if not token.get("special")]
    model["vocab"] |= {token["content"]: token["id"] for token in kept}
    model["unk_token"] = None
    cut = {**tree, "model": model, "added_tokens": kept, "post_processor": None, "truncation": None, "padding": None}
    return tokenizers.Tokenizer.from_str(json.dumps(cut))


class ByteExtension:
    """The choice of characters and words for one base."""

    def __init__(self, base: ByteVocabulary) -> None:
        self.base = base
        self._alone = functools.cache(self._cut)
        self._library = text_library(base.tree, whole_words=False)

    def _cut(self, text: str) -> tuple[str, ...]:
        return tuple(self._library.encode(text, add_special_tokens=False).tokens)

    def known(self, characters: Iterable[str]) -> set[str]:
        """The characters that the base cuts into one piece already."""
        return {c for c in characters if self._alone(c) == (spelled(c),)}

    def characters(self, ranked: Sequence[str], size: int) -> AddedPieces:
        """The first of `ranked` that are reachable, with the starts that they need: `size` pieces together, or fewer."""
        aside: set[str] = set()
        while True:
            added = self._with_starts([c for c in ranked if c not in aside], size)
            lost = self.unreachable(added, added.characters)
            if not lost:
                return added
            aside.update(lost)

    def _with_starts(self, ranked: Sequence[str], size: int) -> AddedPieces:
        starts: dict[str, None] = {}
        chosen: list[str] = []
        first: dict[tuple[str, str], None] = {}
        last: dict[tuple[str, str], None] = {}
        for char in ranked:
            if len(starts) + len(chosen) >= size:
                break
            chain = self._chain(char)
            if chain is None:
                continue
            fresh = [left + right for left, right in chain[:-1]]
            fresh = [piece for piece in fresh if piece not in starts and piece not in self.base.spelled]
            if len(starts) + len(chosen) + len(fresh) + 1 > size:
                continue
            starts.update(dict.fromkeys(fresh))
            first.update(dict.fromkeys(chain[:-1]))
            last[chain[-1]] = None
            chosen.append(char)
        return AddedPieces(tuple(starts), tuple(chosen), (), (*first, *last), self.base.lacking)

    def _chain(self, char: str) -> list[tuple[str, str]] | None:
        """The merges, from the left, that make one piece of a character; None if one of them could join something in other text."""
        cut = self._alone(char)
        if not is_han(char) or len(cut) == 1 or "".join(cut) != spelled(char):
            return None
        chain, left = [], cut[0]
        for right in cut[1:]:
            made = bytes_of(left + right)
            if made is None or not only_han(made):
                return None
            chain.append((left, right))
            left += right
        return None if left in self.base.spelled else chain

    def candidates(self, runs: Runs, added: AddedPieces, least: int, dictionary: Runs, share: float) -> Iterator[str]:
        """Words for the base and its added characters, the best first. `share`: weight of the dictionary against the runs."""
        parts = [runs]
        if share:
            own, theirs = (float(r.weight @ np.diff(r.offsets)) for r in (runs, dictionary))
            parts.append(Runs(dictionary.points, dictionary.offsets, dictionary.weight * (share * own / theirs), dictionary.seen))
        joined = Runs.joined(parts)
        usable = {*added.characters, *self.known(map(chr, np.unique(joined.points).tolist()))}
        taken = set(self.base.pieces)
        for word, _ in find_words(joined, self._present(), least):
            if usable.issuperset(word) and spelled(word) not in taken:
                yield word

    def _present(self) -> list[str]:
        """The base's pieces of several Han characters, in the order of their merges."""
        made = dict.fromkeys(left + right for left, right in self.base.merges)
        texts = (_han_text(piece) for piece in made if len(piece) >= 6)
        return [text for text in texts if len(text) > 1]

    def words(self, found: Iterator[str], added: AddedPieces, size: int) -> tuple[AddedPieces, Chosen]:
        """The `size` best words that are reachable together; fewer if the candidates run out."""
        chosen = closed(found, size, lambda words: self.unreachable(self.with_words(added, words), words))
        return self.with_words(added, chosen.words), chosen

    def with_words(self, added: AddedPieces, words: Sequence[str]) -> AddedPieces:
        """The added characters with these words: each is joined from any two pieces that make it."""
        there = {*self.base.spelled, *added.starts, *map(spelled, added.characters)}
        merges = list(added.merges)
        for word in words:
            ends = np.cumsum([len(char.encode()) for char in word])[:-1].tolist()
            letters = spelled(word)
            merges += [(letters[:k], letters[k:]) for k in ends if letters[:k] in there and letters[k:] in there]
            there.add(letters)
        return AddedPieces(added.starts, added.characters, tuple(words), tuple(merges), added.lacking)

    def unreachable(self, added: AddedPieces, texts: Sequence[str]) -> list[str]:
        """The texts that, written alone, do not become one piece."""
        return unreachable_in(extended_tree(self.base, added), texts)


def unreachable_in(tree: Tree, texts: Sequence[str]) -> list[str]:
    """The texts that are not cut into exactly the one piece that spells them, by the merges of a `tokenizer.json` alone."""
    rows = text_library(tree, whole_words=False).encode_batch_fast(list(texts), add_special_tokens=False)
    number = tree["model"]["vocab"]
    return [text for text, row in zip(texts, rows, strict=True) if row.ids != [number[spelled(text)]]]


def rank_han(ranked: Iterable[str], known: Collection[str]) -> list[str]:
    """The Han characters of a ranking that are not known yet."""
    return [char for char in ranked if is_han(char) and char not in known]


def _han_text(piece: str) -> str:
    """The text that a piece spells if it is all Han, else an empty one."""
    try:
        text = (bytes_of(piece) or b"").decode()
    except UnicodeDecodeError:
        return ""
    return text if text and all(map(is_han, text)) else ""
