"""Counting in one pass equals counting by hand; memory stays bounded and what is left out is said."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.tokenizer.count import Counts
from tests.tokenizer.texts import CHINESE, CODE, ENGLISH

EAST = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff"


def by_hand(texts: list[str]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    words: Counter[str] = Counter()
    runs: Counter[str] = Counter()
    for text in texts:
        for stretch in re.split(f"[\n\t{EAST}]", text):
            for part in re.split("([0-9²①])", stretch):
                words.update(w for w in re.findall(r" *[^ ]+| +", part) if len(w.encode()) <= 255)
        for run in re.findall("[\u3007\u4e00-\u9fff]+", text):
            runs.update(part for k in range(0, len(run), 85) if len(part := run[k : k + 85]) > 1)
    return words, runs, Counter("".join(texts))


def counted(counts: Counts) -> tuple[dict[str, int], dict[str, int]]:
    words, sums = counts.words()
    runs = counts.runs()
    texts = ["".join(map(chr, runs.points[a:b])) for a, b in zip(runs.offsets, runs.offsets[1:], strict=False)]
    assert words == sorted(words, key=str.encode) and texts == sorted(texts)
    return dict(zip(words, sums[:, 1].tolist(), strict=True)), dict(zip(texts, runs.seen.tolist(), strict=True))


@settings(max_examples=200, deadline=None)
@given(texts=st.lists(st.text(st.sampled_from("ab. \n\t中文字〇，é🙂𠮷x2²①"), max_size=60), max_size=6))
def test_equals_counting_by_hand(texts):
    counts = Counts()
    counts.add(pa.array(texts, pa.string()), 7)
    words, runs, points = by_hand(texts)
    assert counted(counts) == (dict(words), dict(runs))
    assert {chr(i): int(counts.points[i, 1]) for i in counts.points[:, 1].nonzero()[0]} == dict(points)
    assert (counts.points[:, 0] == 7 * counts.points[:, 1]).all()


def test_any_slices_and_shards_give_the_same():
    draw = random.Random(2)
    texts = [" ".join(draw.choices([*ENGLISH, *CHINESE, *CODE], k=20)) for _ in range(40)] + ["长" * 500, "x" * 3000, ""]
    whole = Counts()
    whole.add(pa.array(texts), 3)
    pieces = Counts(slice_bytes=64)
    for start in range(0, len(texts), 7):
        pieces.add(pa.chunked_array([texts[start : start + 3], texts[start + 3 : start + 7]], pa.string()), 3)
    assert counted(whole) == counted(pieces) and (whole.points == pieces.points).all() and whole.bytes == pieces.bytes
    assert counted(whole)[1]["长" * 85] == 5


@pytest.mark.parametrize("text", ["ab cd  e " * 3000, "x" * 40_000, "人民" * 9000, "a人 b " * 4000, "，。" * 4000])
def test_a_long_line_without_an_end_is_counted_in_slices(text):
    """The tables have room for one slice: a line of many slices must be left and taken up again at the borders of words."""
    whole, pieces = Counts(), Counts(slice_bytes=100)
    for counts in (whole, pieces):
        counts.add(pa.array([text, "z " + text]), 5)
    words, runs, points = by_hand([text, "z " + text])
    assert counted(pieces) == counted(whole) == (dict(words), dict(runs))
    assert {chr(i): int(pieces.points[i, 1]) for i in pieces.points[:, 1].nonzero()[0]} == dict(points)


def test_rare_words_are_dropped_when_there_are_too_many():
    words = ["".join(letters) for letters in itertools.islice(itertools.product("abcdefgh", repeat=5), 5000)]
    texts = [" ".join(words), " ".join(words[:600]), " ".join(words[:600])]
    counts = Counts(words_limit=1000)
    for text in texts:
        counts.add(pa.array([text]), 1)
    found, _ = counted(counts)
    assert len(found) <= 1000 and counts.dropped_below > 1
    assert set(words[:600]) - {w.strip() for w in found} == set(), "those that are frequent to the end stay"


def test_too_many_runs_are_sampled_by_their_hash_whatever_the_order():
    draw = random.Random(4)
    texts = ["".join(chr(0x4E00 + draw.randrange(3000)) for _ in range(10)) for _ in range(4000)]
    found = []
    for order in (texts, texts[::-1]):
        counts = Counts(runs_limit=10_000)
        for start in range(0, len(order), 500):
            counts.add(pa.array(order[start : start + 500] * 2), 1)
        assert counts.runs_share in (0.25, 0.125) and len(counts.runs().points) <= 10_000
        found.append(counted(counts)[1])
    assert found[0] == found[1] and set(found[0].values()) == {2}, "what stays has its full count"


def test_weights_beyond_32_bits():
    counts = Counts()
    for _ in range(300):
        counts.add(pa.array(["人民 word"]), 1 << 24)
    assert counts.words()[1][0].tolist() == [300 << 24, 300] and 300 << 24 > 2**31
    assert counts.runs().weight.tolist() == [float(300 << 24)]


@pytest.mark.parametrize("texts", [[], [""], [None]])
def test_nothing(texts):
    counts = Counts()
    counts.add(pa.array(texts, pa.string()), 1)
    assert counted(counts) == ({}, {})
