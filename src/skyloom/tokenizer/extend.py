"""Chinese characters and words added to a base so that every added piece is reachable (report 3.3).

The report appends 8,000 characters and 25,519 words to LLaMA's vocabulary. Appending is not enough: SentencePiece only ever
joins two adjacent pieces whose concatenation is a piece, so 因地制宜 is dead weight unless it splits into two pieces that are
there, and even then another merge may get in first: of a dictionary's words appended to LLaMA's base, 18 % are never
produced. Here words are found by byte-pair encoding (`words`), so that each splits into two that are there; the model they
make encodes every one of them, those that do not come out as their one id are put aside for good, the next candidates take
their place, and so on until none fails. That closure is the proof; `check` repeats it on the files.

Characters are ranked by their use in the corpus, full-width punctuation and symbols among them: a word list's frequencies
know no punctuation. Where sizes must be exact, characters that only the dictionary has come behind them. Words are found in
the corpus and in jieba's dictionary, whose words count as further text with `dictionary_weight` of the corpus' weight.
"""

from __future__ import annotations

import itertools
import unicodedata
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sentencepiece

from skyloom.tokenizer.encode import Encoder
from skyloom.tokenizer.pieces import SPACE, extended_model, normal_pieces, read_model
from skyloom.tokenizer.words import LONGEST, Runs, find_words


@dataclass(frozen=True)
class Chosen:
    """Words that each encode to exactly one id, best first; how many were put aside; whether there were no more candidates."""

    words: list[str]
    aside: int
    exhausted: bool


def rank_characters(
    points: npt.NDArray[np.int64], known: Collection[str], least: int, dictionary: Runs
) -> tuple[list[str], list[str]]:
    """Characters that the base lacks, the largest weight first, ties by code point: those of the corpus, and further ones.

    `points`: int64[0x110000, 2], weight and plain count of each code point. One of the corpus occurs at least `least` times.
    The further ones are in the dictionary and not in the corpus: nothing here trains them, but a text that has one would need
    three byte pieces for it. Controls, private use and unassigned code points stay with the byte pieces, and so does ASCII
    that the base lacks: English is cut as before.
    """
    found = np.flatnonzero(points[:, 1] >= least)
    weight = np.bincount(dictionary.points, np.repeat(dictionary.weight, np.diff(dictionary.offsets)), minlength=0x110000)
    more = np.setdiff1d(np.flatnonzero(weight), found)
    taken = {SPACE, *known}

    def usable(order: npt.NDArray[np.int64]) -> list[str]:
        chars = map(chr, order.tolist())
        return [c for c in chars if c not in taken and not c.isascii() and unicodedata.category(c)[0] != "C"]

    return usable(found[np.lexsort((found, -points[found, 0]))]), usable(more[np.lexsort((more, -weight[more]))])


def choose_characters(ranked: Sequence[str], base: bytes, size: int) -> list[str]:
    """The `size` first that are reachable: a base may join one with the space in front of it to a piece of its own."""
    aside: set[str] = set()
    while True:
        chosen = [c for c in ranked if c not in aside][:size]
        bad = unreachable(extended_model(base, chosen, []), chosen)
        if not bad:
            return chosen
        aside.update(bad)


def dictionary_runs() -> Runs:
    """jieba's words of up to eight Han characters, with their frequencies as weights; none of them is `seen`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba 0.42 has invalid escapes in its source
        import jieba
    words: dict[str, int] = {}
    with jieba.get_dict_file() as file:
        for line in file:
            word, count, *_ = line.decode("utf-8").split(" ")
            if len(word) <= LONGEST and int(count) > 0 and all("\u4e00" <= c <= "\u9fff" or c == "〇" for c in word):
                words[word] = int(count)
    return Runs.of(list(words), np.array(list(words.values()), np.float64), np.zeros(len(words), np.int64))


def candidates(runs: Runs, base: bytes, characters: Collection[str], least: int, dictionary: Runs, share: float) -> Iterator[str]:
    """Words for a base and its added characters, the best first. `share`: weight of the dictionary against the runs."""
    parts = [runs]
    if share:
        own, theirs = (float(r.weight @ np.diff(r.offsets)) for r in (runs, dictionary))
        weight = dictionary.weight * (share * own / theirs)
        parts.append(Runs(dictionary.points, dictionary.offsets, weight, dictionary.seen))
    pieces = normal_pieces(base)
    present = [p for p, _ in sorted(pieces, key=lambda item: -item[1]) if len(p) > 1]
    usable = {*characters, *(p for p, _ in pieces if len(p) == 1)}
    taken = {p.piece for p in read_model(base).pieces}  # its maker's own pieces among them, which are joined in no text
    for word, _ in find_words(Runs.joined(parts), present, least):
        if usable.issuperset(word) and word not in taken:
            yield word


def choose_words(found: Iterator[str], base: bytes, characters: Sequence[str], size: int) -> Chosen:
    """The `size` best words that are reachable together with all others that are taken; fewer if the candidates run out."""
    return closed(found, size, lambda words: unreachable(extended_model(base, characters, words), words))


def closed(found: Iterator[str], size: int, lost: Callable[[list[str]], Sequence[str]]) -> Chosen:
    """The `size` first words of which none is lost. `lost`: those of a list that are not reachable if all of it is added."""
    aside = 0
    chosen: list[str] = []
    while True:
        fresh = list(itertools.islice(found, size - len(chosen)))
        exhausted = len(chosen) + len(fresh) < size
        chosen += fresh
        while bad := set(lost(chosen)):
            # A word that is taken out may have been a part of others: those fail in the next turn.
            aside += len(bad)
            chosen = [w for w in chosen if w not in bad]
        if exhausted or len(chosen) == size:
            return Chosen(chosen, aside, exhausted)


def unreachable(model: bytes, pieces: Sequence[str]) -> list[str]:
    """The pieces that, written alone, do not become exactly their one id (behind the space that the model may put in front)."""
    parsed = read_model(model)
    number = {p.piece: i for i, p in enumerate(parsed.pieces)}
    front = [number.get(SPACE)] if parsed.normalizer_spec.add_dummy_prefix else []
    encoder = Encoder.of(parsed)
    if encoder is None:
        rows = sentencepiece.SentencePieceProcessor(model_proto=model).encode(list(pieces))
    else:
        ids, offsets = encoder.encode(pa.array(pieces, pa.large_string()))
        rows = [ids[a:b].tolist() for a, b in itertools.pairwise(offsets.tolist())]
    return [p for p, row in zip(pieces, rows, strict=True) if row != [*front, number[p]]]
