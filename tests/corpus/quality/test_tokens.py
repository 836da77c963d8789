"""Tokens of the learned judges: the same as the readable units, from both compiled passes, on any text."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.core.units import hash_units, units
from skyloom.corpus.quality.learned.tokens import hash_words, split_tokens, token_lines, tokens

MIXED = st.text(
    alphabet=st.one_of(
        st.sampled_from("abcXYZ 0129\n\n,.的是，。國한글かな\u0301\u1100\u1161é\U0001f600\u200b\u3000_-'"),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)


def reference(text: str) -> list[list[str]]:
    """The tokens of each line that has one, by the readable units."""
    lines = [[re.sub("[0-9]", "0", unit) for unit in units(line)] for line in text.split("\n")]
    return [line for line in lines if line]


def test_tokens_of_both_languages() -> None:
    text = "The 3rd bridge,\n\nbuilt in 1987!\n桥建于1987年。\n...\n"
    assert token_lines(pa.array([text])).to_pylist() == ["the 0rd bridge", "built in 0000", "桥 建 于 0000 年"]
    column = tokens(pa.array([text, None, "", "一"]))
    assert column.counts.tolist() == [11, 0, 0, 1]
    assert np.diff(column.rows).tolist() == [3, 0, 0, 1]


@settings(max_examples=200, deadline=None)
@given(st.lists(MIXED, max_size=5))
def test_both_passes_give_the_units_line_by_line(texts: list[str]) -> None:
    column = pa.array(texts, pa.string())
    expected = [" ".join(line) for text in texts for line in reference(text)]
    found, lines = tokens(column), token_lines(column)
    assert lines.to_pylist() == expected
    again = split_tokens(lines)
    assert found.hashes.tolist() == again.hashes.tolist()
    assert found.lines.tolist() == again.lines.tolist()
    assert np.diff(found.rows).tolist() == [len(reference(text)) for text in texts]
    assert tokens(column, zero_digits=False).hashes.tolist() == hash_units(column).hashes.tolist()


def test_slices_and_chunks_are_read_as_they_stand() -> None:
    column = pa.array(["a b", "桥 很 旧", "c"])
    assert tokens(column.slice(1, 1)).hashes.tolist() == tokens(pa.array(["桥很旧"])).hashes.tolist()
    assert tokens(pa.chunked_array([["a"], ["b c"]])).counts.tolist() == [1, 2]
    assert tokens(pa.array([], pa.string())).counts.tolist() == []


@pytest.mark.parametrize("line", ["", "  ", "a  b\t c", "中 <s> 文"])
def test_split_at_white_space_is_pythons(line: str) -> None:
    found = split_tokens(pa.array([line]))
    assert found.hashes.tolist() == hash_words(pa.array(line.split(), pa.string())).tolist()
