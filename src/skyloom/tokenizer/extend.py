"""Chinese characters and words added to a Latin base so that every added piece is reachable (report 3.3).

The report appends 8,000 characters and 25,519 words to LLaMA's vocabulary. Appending is not enough: SentencePiece only
ever joins two adjacent pieces whose concatenation is a piece, so 因地制宜 is dead weight unless it splits into two pieces
that are there, and even then another merge may get in first. We therefore choose, encode every chosen piece with the model
they make, put aside those that do not come out as their one id, fill up with the next candidates, and repeat.

Characters are ranked by use. Words come from jieba's segmentation of the sample; they are ranked by the tokens they
save: (count + `dictionary_weight` × the count that jieba's dictionary predicts) × (length − 1). Words inside longer words are
counted too, because the longer ones are built from them.
"""

from __future__ import annotations

import logging
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

import sentencepiece

from skyloom.core.progress import Task

LONGEST_WORD = 8
"""Characters of the longest word considered; longer dictionary entries are titles and proverbs."""


def rank_characters(counts: Counter[str], known: Collection[str], least: int) -> list[str]:
    """Characters that the base lacks and that occur at least `least` times, most frequent first, ties by code point.

    Control characters, private use and unassigned code points are left to the byte pieces.
    """
    found = [c for c, n in counts.items() if n >= least and c not in known and unicodedata.category(c)[0] != "C"]
    return sorted(found, key=lambda c: (-counts[c], c))


def segmenter() -> Any:
    """jieba's tokenizer with its own dictionary, without the cache file that it would share with other users in /tmp."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jieba 0.42 has invalid escapes in its source
        import jieba
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
    tokenizer.initialized = True
    return tokenizer


def count_words(runs: Counter[str], jieba: Any, bar: Task) -> Counter[str]:
    """Words of 2 to 8 characters in runs of Han characters, and the dictionary words inside them.

    New words are not guessed (jieba's HMM is off): the guesses differ between versions and are often fragments.
    """
    counts: Counter[str] = Counter()
    for run, times in runs.items():
        for word in jieba.cut(run, HMM=False):
            if 2 <= len(word) <= LONGEST_WORD:
                counts[word] += times
        bar.advance(times)
    inner: Counter[str] = Counter()
    for word, times in counts.items():
        for length in range(2, len(word)):
            for start in range(len(word) - length + 1):
                part = word[start : start + length]
                if jieba.FREQ.get(part, 0) > 0:
                    inner[part] += times
    counts.update(inner)
    return counts


def rank_words(counts: Counter[str], jieba: Any, least: int, dictionary_weight: float) -> list[str]:
    """Words seen at least `least` times, best first by the module's rule, ties by text."""
    scale = dictionary_weight * sum(counts.values()) / max(jieba.total, 1)

    def gain(word: str) -> float:
        return float((counts[word] + scale * jieba.FREQ.get(word, 0)) * (len(word) - 1))

    return sorted((w for w, n in counts.items() if n >= least), key=lambda w: (-gain(w), w))


def choose_words(
    ranked: Sequence[str], characters: Collection[str], size: int, build: Callable[[Sequence[str]], bytes]
) -> tuple[list[str], int]:
    """The `size` best words that each encode to exactly one id, best first, and how many were put aside.

    `build(words)` gives the model of base, characters and these words. Fewer are returned if the candidates run out.
    """
    aside: set[str] = set()
    while True:
        chosen = [w for w in ranked if w not in aside][:size]
        bad = _not_joinable(chosen, characters)
        if not bad:
            bad = unreachable(build(chosen), chosen)
        if not bad:
            return chosen, len(aside)
        aside.update(bad)


def unreachable(model: bytes, pieces: Sequence[str]) -> list[str]:
    """The pieces that, written alone, the model does not encode to exactly their one id."""
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    encoded = processor.encode(list(pieces))
    return [p for p, ids in zip(pieces, encoded, strict=True) if ids != [processor.piece_to_id(p)]]


def _not_joinable(words: Sequence[str], characters: Collection[str]) -> list[str]:
    """Words that no two present pieces make (the cheap half of the test, without building a model)."""
    present = {*words, *characters}
    return [w for w in words if not any(w[:cut] in present and w[cut:] in present for cut in range(1, len(w)))]
