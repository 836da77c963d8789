from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skyloom.data.gather import documents_of, gather


@pytest.mark.parametrize("dtype", ["<u2", "<i4"])
@settings(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=5), context=st.integers(1, 100), seed=st.integers(0, 99))
def test_rows_are_the_shards_ids_in_a_circle(dtype, lengths, context, seed):
    draw = np.random.default_rng(seed)
    shards = [draw.integers(0, np.iinfo(dtype).max, n, dtype=dtype, endpoint=True) for n in lengths]
    sources = draw.integers(0, len(shards), 12).astype(np.int16)
    windows = draw.integers(0, -(-np.array(lengths)[sources] // context))
    addresses = np.array([s.ctypes.data for s in shards], np.int64)
    rows = gather(addresses, np.array(lengths, np.int64), np.dtype(dtype).itemsize == 4, sources, windows, context)
    assert rows.dtype == np.int64
    for row, source, window in zip(rows, sources, windows, strict=True):
        assert (
            row.tolist() == np.take(shards[source], range(window * context, window * context + context + 1), mode="wrap").tolist()
        )


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 3), min_size=7, max_size=7), min_size=1, max_size=5))
def test_a_document_begins_at_every_bos(rows):
    tokens = np.array(rows, np.int64)
    expected = [[row[: i + 1].count(1) for i in range(len(row))] for row in rows]
    assert documents_of(tokens, 1).tolist() == expected
    assert documents_of(tokens[:, :-1], 1).tolist() == [row[:-1] for row in expected], "also of a part of a batch"
