"""Helpers over columns against plain Python."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.units import UnitColumn
from skyloom.corpus.text.columns import byte_sizes, distinct, distinct_counts, shape, slices

TEXTS = st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=40), max_size=8)


def test_shape_of_one_text() -> None:
    text = "Total: 3 items\n\n  - 苹果，两斤\n  - 苹果，两斤\nTotal: 3 items\n..\n..\n"
    seen = shape(pa.array([text, ""]))
    assert seen.lines.tolist() == [6, 0]
    assert seen.longest_line.tolist() == [14, 0]
    assert seen.bullet_lines.tolist() == [2, 0]
    assert seen.repeated.tolist() == [len("-苹果，两斤Total:3items"), 0], "neither lines of marks alone nor spaces are counted"
    assert seen.digits[0] == 2
    assert seen.sentence_marks[0] == 2 + 2 + 4


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_shape_counts_what_unicodedata_says(texts: list[str]) -> None:
    seen = shape(pa.array(texts, pa.string()))
    for row, text in enumerate(texts):
        letters = [c for c in text if unicodedata.category(c)[0] in "LM"]
        digits = [c for c in text if unicodedata.category(c)[0] == "N"]
        assert (seen.letters[row], seen.digits[row]) == (len(letters), len(digits))
        assert seen.characters[row] == len(text)
        parts = (seen.letters, seen.digits, seen.spaces, seen.sentence_marks, seen.broken, seen.symbols)
        assert sum(int(p[row]) for p in parts) == len(text)


@given(TEXTS, st.integers(min_value=1, max_value=100))
@settings(max_examples=60, deadline=None)
def test_slices_cover_all_rows_within_the_budget(texts: list[str], budget: int) -> None:
    column = pa.array(texts, pa.string())
    ranges = list(slices(column, budget))
    assert [row for start, stop in ranges for row in range(start, stop)] == list(range(len(texts)))
    sizes = byte_sizes(column)
    assert sizes.tolist() == [len(t.encode()) for t in texts]
    assert all(stop - start == 1 or sizes[start:stop].sum() <= budget for start, stop in ranges)


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=8))
@settings(max_examples=60, deadline=None)
def test_distinct_is_the_sorted_set(rows: list[list[int]]) -> None:
    offsets = np.concatenate([[0], np.cumsum([len(r) for r in rows])]).astype(np.int64)
    column = UnitColumn(np.array([x for r in rows for x in r], np.uint64), offsets)
    sets = distinct(column)
    for k, row in enumerate(rows):
        assert sets.hashes[sets.offsets[k] : sets.offsets[k + 1]].tolist() == sorted(set(row))
    assert distinct_counts(column).tolist() == [len(set(r)) for r in rows]
