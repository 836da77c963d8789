"""Exact shares of shared n-grams, against sets of tuples."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.overlap import N, Reference
from skyloom.core.units import units

# A tiny alphabet, so that n-grams meet.
TEXTS = st.lists(st.sampled_from(["a", "b ", " c", "中", "文", "，", "😀", "A"]), max_size=14).map("".join)
COLUMNS = st.lists(TEXTS, max_size=6)


def grams(text: str, n: int) -> list[tuple[str, ...]]:
    """All n-grams of a text, or one gram of all its units when it is shorter; as tuples marked with their length."""
    u = units(text)
    return [tuple(u[i : i + n]) for i in range(len(u) - n + 1)] if len(u) >= n else [tuple(u)] * bool(u)


@settings(deadline=None)
@given(COLUMNS, COLUMNS, st.integers(1, 5))
def test_shares_are_exact(reference, candidates, n):
    known = {g for text in reference for g in grams(text, n)}
    expected = [np.mean([g in known for g in grams(t, n)]) if grams(t, n) else 0.0 for t in candidates]
    found = Reference(pa.array(reference, pa.string()), n)
    assert len(found.grams) == len(known)
    assert np.allclose(found.share(pa.array(candidates, pa.string())), expected, rtol=0, atol=1e-12)
    half = len(candidates) // 2
    chunked = pa.chunked_array([candidates[:half], candidates[half:]], pa.string())
    assert found.share(chunked).tolist() == found.share(pa.array(candidates, pa.string())).tolist()


def test_one_threshold_means_the_same_in_both_languages():
    english = " ".join(f"word{i}" for i in range(40))
    chinese = "".join(chr(0x4E00 + i) for i in range(40))
    changed_en = english.replace("word20", "other")
    changed_zh = chinese.replace(chinese[20], "龙")
    share = Reference(pa.array([english, chinese])).share(pa.array([changed_en, changed_zh]))
    assert share[0] == share[1] == pytest.approx(1 - N / (40 - N + 1))


def test_case_and_punctuation_do_not_hide_a_copy():
    reference = Reference(pa.array(["One two three four five.", "一二三四五六七"]), 4)
    assert reference.share(pa.array(["ONE, two - three: four; FIVE!", "一、二、三、四、五、六、七。"])).tolist() == [1.0, 1.0]


def test_a_short_text_is_found_only_as_a_whole():
    reference = Reference(pa.array(["解方程：2x = 8", "solve it"]))
    texts = ["解方程：2x = 8。", "Solve it!", "solve", "解方程", "", None]
    assert reference.share(pa.array(texts)).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]


def test_nothing_is_shared_with_nothing():
    empty = Reference(pa.array([], pa.string()))
    assert empty.share(pa.array(["some text", "文字"])).tolist() == [0.0, 0.0]
    assert empty.share(pa.array([], pa.string())).tolist() == []
    assert Reference(pa.array(["文字"])).share(pa.array([], pa.string())).tolist() == []
