"""Planted page pairs: real aligned paragraphs, presented as two pages that do not quite agree, and as two shuffled lists.

Input: aligned (English, Chinese) paragraphs in the order of their document, and paragraphs of other documents. Output: the blocks of two pages and the true pairs. Noise, each drawn by itself: a paragraph is missing on one side (8 % a
side), one of another document stands in between (5 % a side), two neighbours are one paragraph on one side (4 % a side), two
neighbours change places on one side (2 %), a paragraph was left in English (3 %). Frozen before the aligner of
src/skyloom/corpus/bitext/stage.py was rewritten; imported by bench/corpus/bitext.py and by the tests.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

Pair = tuple[str, str]

MISSING, EXTRA, MERGED, SWAPPED, UNTRANSLATED = 0.08, 0.05, 0.04, 0.02, 0.03


@dataclass(frozen=True)
class Pages:
    """Two pages and what is true of them: the pairs as texts, a merged paragraph being its parts joined by one space."""

    english: list[str]
    chinese: list[str]
    truth: set[Pair]


def page_pair(random_: random.Random, pairs: Sequence[Pair], others: Sequence[Pair]) -> Pages:
    """Two noisy versions of one page. `others` lends the paragraphs that belong to neither."""
    pairs = [(one_line(en), one_line(zh)) for en, zh in pairs]
    english: list[str] = []
    chinese: list[str] = []
    truth: set[Pair] = set()
    k = 0
    while k < len(pairs):
        en, zh = pairs[k]
        event = random_.random()
        step = 1
        if event < MISSING:
            english.append(en)
        elif event < 2 * MISSING:
            chinese.append(zh)
        elif event < 2 * MISSING + UNTRANSLATED:
            english.append(en)
            chinese.append(en)
        elif event < 2 * MISSING + UNTRANSLATED + 2 * MERGED and k + 1 < len(pairs):
            en_next, zh_next = pairs[k + 1]
            step = 2
            if random_.random() < 0.5:
                english.append(f"{en} {en_next}")
                chinese += [zh, zh_next]
            else:
                english += [en, en_next]
                chinese.append(f"{zh} {zh_next}")
            truth.add((f"{en} {en_next}", f"{zh} {zh_next}"))
        else:
            english.append(en)
            chinese.append(zh)
            truth.add((en, zh))
        for side, index in ((english, 0), (chinese, 1)):
            if others and random_.random() < EXTRA:
                side.append(one_line(random_.choice(others)[index]))
        k += step
    for side in (english, chinese):
        for at in range(len(side) - 1):
            if random_.random() < SWAPPED:
                side[at], side[at + 1] = side[at + 1], side[at]
    return Pages(english, chinese, truth)


def shuffled_lists(random_: random.Random, pairs: Sequence[Pair], others: Sequence[Pair]) -> Pages:
    """Two lists in random order: all pairs, and of `others` one side each (half English, half Chinese) without its partner."""
    pairs = [(one_line(en), one_line(zh)) for en, zh in pairs]
    english, chinese = [en for en, _ in pairs], [zh for _, zh in pairs]
    for number, (en, zh) in enumerate(others):
        if number % 2:
            english.append(one_line(en))
        else:
            chinese.append(one_line(zh))
    random_.shuffle(english)
    random_.shuffle(chinese)
    return Pages(english, chinese, set(pairs))


def one_line(text: str) -> str:
    """The text with single spaces, as the pages' truth has it."""
    return " ".join(text.split())
