"""Topic entropy: it rises when copies go, and is that of plain counts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from bench.corpus.topics import directions, fit_topics, topic_entropy, topics_of

from skyloom.core.errors import DataError
from skyloom.corpus.distribution.space import SCALE, WORDING, embed
from tests.corpus.distribution.test_meaning import space


def test_topic_entropy_rises_when_copies_go() -> None:
    random = np.random.default_rng(4)
    topics = random.standard_normal((8, WORDING))
    points = np.repeat(topics, 20, axis=0) + 0.5 * random.standard_normal((160, WORDING))
    wording = np.clip(np.rint(points * SCALE / np.sqrt((points**2).sum(axis=1, keepdims=True))), -127, 127).astype(np.int8)
    centres = fit_topics(wording, 8, seed=3)
    even = topic_entropy(topics_of(wording, centres))
    crowded = topic_entropy(topics_of(np.concatenate([wording, wording[:1].repeat(500, 0)]), centres))
    assert 0 < crowded < even <= 3
    assert topic_entropy(np.zeros(5, np.int64)) == 0 and topic_entropy(np.arange(4)) == 2
    signs = embed(
        pa.array(["Heat the pan and simmer it, then serve with bread and salad today"]), np.zeros(1, np.int64), space()
    ).signs
    expected = [1 if (int(signs[0, j >> 6]) >> (j & 63)) & 1 else -1 for j in range(WORDING)]
    assert directions(signs)[0].tolist() == expected
    with pytest.raises(DataError, match="topics"):
        fit_topics(wording, 161)
