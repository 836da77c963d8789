"""Pairs in shuffled lists: most are found, almost all that are given are right."""

from __future__ import annotations

import random

import pyarrow as pa
from bench.corpus.bitext_find import find_pairs

from tests.corpus.bitext.world import learnt, sentences
from tests.planted.bitext import shuffled_lists


def test_shuffled_lists() -> None:
    rng = random.Random(9)
    everything = sorted(set(sentences(rng, 900)))
    rng.shuffle(everything)
    lists = shuffled_lists(rng, everything[:300], everything[300:400])
    found = find_pairs(pa.array(lists.english), pa.array(lists.chinese), learnt(), 1.5, 0.1)
    pairs = {(lists.english[i], lists.chinese[j]) for i, j in zip(found.english, found.chinese, strict=True)}
    assert len(pairs & lists.truth) >= 0.95 * len(pairs)
    assert len(pairs & lists.truth) >= 0.6 * len(lists.truth)
    assert len(set(found.english.tolist())) == len(found.english) and len(set(found.chinese.tolist())) == len(found.chinese)
    nothing = find_pairs(pa.array([], pa.string()), pa.array(lists.chinese), learnt(), 1.5, 0.1)
    assert not len(nothing.english)
