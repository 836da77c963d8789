"""Byte-pair encoding over runs equals the plain definition; weights do not overflow; order does not matter."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.tokenizer.words import LONGEST, Runs, find_words


def runs_of(counted: dict[str, int], scale: float = 1.0) -> Runs:
    counts = np.array(list(counted.values()), np.int64)
    return Runs.of(list(counted), counts * scale, counts)


def plainly(counted: dict[str, int], number: int, least: int = 1) -> list[str]:
    """The definition, slowly: join the heaviest pair everywhere, ties to the pair that is older; again."""
    cut = {run: list(run) for run in counted}
    age = {c: i for i, c in enumerate(sorted({c for run in counted for c in run}))}
    words: list[str] = []
    while len(words) < number:
        pairs: Counter[tuple[str, str]] = Counter()
        for run, count in counted.items():
            for pair in itertools.pairwise(cut[run]):
                pairs[pair] += count
        fit = {p: n for p, n in pairs.items() if len("".join(p)) <= LONGEST and "".join(p) not in age and n >= least}
        if not fit:
            break
        word = "".join(max(fit, key=lambda p: (fit[p], -age[p[0]], -age[p[1]])))
        age[word] = len(age)
        words.append(word)
        for run, symbols in cut.items():
            joined: list[str] = []
            while symbols:
                two = "".join(symbols[:2])
                joined.append(two if len(symbols) > 1 and two == word else symbols[0])
                symbols = symbols[2:] if len(symbols) > 1 and two == word else symbols[1:]
            cut[run] = joined
    return words


@settings(max_examples=150, deadline=None)
@given(
    counted=st.dictionaries(st.text("甲乙丙a", min_size=1, max_size=9), st.integers(1, 9), min_size=1, max_size=12),
    least=st.integers(1, 6),
)
def test_as_the_definition_says(counted, least):
    found = [w for w, _ in itertools.islice(find_words(runs_of(counted), [], least), 20)]
    assert found == plainly(counted, 20, least)


def test_of_three_equal_characters_the_first_two_are_joined():
    words = [w for w, _ in find_words(runs_of({"哈哈哈": 5, "哈哈哈哈": 1}), [], 1)]
    assert words == ["哈哈", "哈哈哈", "哈哈哈哈"]


def test_counts_beyond_32_bits():
    """2^31 is passed by single runs and by sums; the order is that of the same counts divided by a million."""
    small = {"人民政府": 3001, "人民": 5003, "政府机关": 2002, "机关": 4004, "民政": 907}
    large = {run: count * 1_000_000_000 for run, count in small.items()}
    assert max(large.values()) > 2**42
    expected = [w for w, _ in find_words(runs_of(small), [], 1)]
    found = list(find_words(runs_of(large), [], 1))
    assert [w for w, _ in found] == expected
    assert dict(found)["人民"] == (3001 + 5003) * 1_000_000_000, "how often a word is seen is exact"
    huge = Runs.of(["人民", "政府"], np.array([1e300, 3e300]), np.array([2**40, 2**41], np.int64))
    assert list(find_words(huge, [], 1)) == [("政府", 2**41), ("人民", 2**40)]


def test_a_dictionary_adds_weight_but_is_not_seen():
    corpus = runs_of({"人民": 3, "政府": 2})
    dictionary = Runs.of(["政府", "机关"], np.array([5.0, 50.0]), np.zeros(2, np.int64))
    assert list(find_words(Runs.joined([corpus, dictionary]), [], 1)) == [("政府", 2), ("人民", 3)]


def test_pieces_of_the_base_are_joined_first_and_not_given():
    counted = {"人民政府": 4, "民政": 9}
    assert next(w for w, _ in find_words(runs_of(counted), [], 1)) == "民政"
    words = [w for w, _ in find_words(runs_of(counted), ["人民", "政府", "x人"], 1)]
    assert "人民" not in words and "民政" in words and "人民政府" in words and words.index("民政") < words.index("人民政府")


@pytest.mark.parametrize("seed", [1, 2])
def test_order_and_repetition_of_runs_do_not_matter(seed):
    draw = np.random.default_rng(seed)
    texts = ["".join(draw.choice(list("甲乙丙丁戊己庚辛"), draw.integers(2, 12))) for _ in range(400)]
    counts = draw.integers(1, 50, 400)
    first = list(find_words(Runs.of(texts, counts.astype(float), counts), [], 3))
    order = draw.permutation(400)
    doubled = Runs.of([texts[i] for i in order] * 2, np.tile(counts[order], 2) / 2, np.concatenate([counts[order], 0 * counts]))
    assert list(find_words(doubled, [], 3)) == first and len(first) > 100
