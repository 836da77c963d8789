"""The compiled kernels against plain Python: units, shingles, signatures."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skyloom.core.units import units
from skyloom.corpus.dedup.minhash import band_keys, fingerprints, jaccards, shingle_counts, shingle_sets, signatures
from skyloom.corpus.text import comparable

ANY = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "ab Zz_9.,春夏秋冬。，ﾊﾟがカ゛한글각ᄀ\u1161\u11a8éE\u0301\u0323İßΣς\U0001f600\U00020000\u2126\uf900\u0344\n"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
)


@given(st.lists(ANY, max_size=6), st.integers(1, 6))
@example(["e\u0301t\u00e9 \uac00\u11a8 \u1100\u1161\u11a8 \u0958 \u212b", "İSTANBUL Σας ﬁ"], 2)
@settings(max_examples=120, deadline=None)
def test_shingles_are_those_of_the_units(texts: list[str], n: int) -> None:
    found = shingle_sets(pa.array(texts, pa.string()), n)
    plain = [units(t) for t in comparable(pa.array(texts, pa.string())).to_pylist()]
    sets = [{tuple(p[k : k + n]) for k in range(max(len(p) - n, 0) + 1)} if p else set() for p in plain]
    assert found.counts.tolist() == [len(s) for s in sets]
    again = shingle_sets(pa.array([" ".join(p) for p in plain], pa.string()), n)
    assert np.array_equal(found.hashes[: found.offsets[-1]], again.hashes[: again.offsets[-1]])
    assert band_keys(pa.array(texts, pa.string()), n, 2, 3).units.tolist() == [len(p) for p in plain]
    assert np.all(shingle_counts(np.array([len(p) for p in plain], np.int64), n) >= found.counts)


@given(st.lists(ANY, max_size=8))
@settings(max_examples=60, deadline=None)
def test_prints_are_equal_where_the_units_are(texts: list[str]) -> None:
    prints = [tuple(p) for p in fingerprints(pa.array(texts, pa.string())).tolist()]
    plain = [tuple(units(t)) for t in comparable(pa.array(texts, pa.string())).to_pylist()]
    for i in range(len(texts)):
        for j in range(len(texts)):
            assert (prints[i] == prints[j]) == (plain[i] == plain[j])
        assert (prints[i] == (0, 0)) == (not plain[i])


def test_sliced_and_chunked_columns_with_nulls_give_the_same() -> None:
    texts = ["one two three four five six", None, "一二三四五六七", "", "e\u0301 two three four five six"] * 3
    whole = band_keys(pa.array(texts), 5, 4, 4)
    sliced = band_keys(pa.array(["x", *texts, "y"]).slice(1, len(texts)), 5, 4, 4)
    chunked = band_keys(pa.chunked_array([texts[:4], [], texts[4:]]), 5, 4, 4)
    for other in (sliced, chunked):
        assert np.array_equal(whole.keys, other.keys)
        assert np.array_equal(whole.units, other.units)
    assert len(band_keys(pa.array([], pa.string()), 5, 4, 4).keys) == 0


def test_signatures_agree_as_often_as_the_texts_are_similar() -> None:
    """The mean error over 300 pairs and the spread of one pair are those of independent permutations."""
    rng = np.random.default_rng(3)
    left, right = [], []
    for k in range(300):
        words = [f"{w}" for w in rng.integers(0, 10**9, 220)]
        changed = list(words)
        for place in rng.choice(220, k % 12, replace=False):
            changed[place] = "新" if k % 2 else "new"
        left.append(" ".join(words))
        right.append(" ".join(changed))
    size = 112
    agree = (signatures(pa.array(left), 5, size) == signatures(pa.array(right), 5, size)).mean(axis=1)
    sets, others = shingle_sets(pa.array(left), 5), shingle_sets(pa.array(right), 5)
    true = jaccards(sets, others, np.arange(300), np.arange(300))
    error = (agree - true) / np.sqrt(np.maximum(true * (1 - true), 1e-9) / size)
    inner = error[true < 1]
    assert np.all(agree[true == 1] == 1)
    assert abs(inner.mean()) < 4 / np.sqrt(len(inner))
    assert 0.8 < inner.std() < 1.2


def test_band_keys_agree_where_all_values_of_a_band_do() -> None:
    rng = np.random.default_rng(4)
    base = [f"w{w}" for w in rng.integers(0, 10**6, 90)]
    texts = []
    for k in range(60):
        words = list(base)
        words[k] = "other"
        texts.append(" ".join(words))
    bands, rows = 9, 3
    keys = band_keys(pa.array(texts), 5, bands, rows).keys
    values = signatures(pa.array(texts), 5, bands * rows).reshape(60, bands, rows)
    same = (values[:, None] == values[None]).all(axis=3)
    assert np.array_equal(keys[:, None] == keys[None], same)
    assert 0.05 < same.mean() < 0.95
    assert len(np.intersect1d(keys[:, 0], keys[:, 1])) == 0, "bands do not share keys"
