"""The search for a byte in compiled code finds what Python's own search finds, within bounds only."""

import numba
import numpy as np
import pytest

from skyloom.core.kernels import Bytes, Int, find_byte


@numba.njit(no_cfunc_wrapper=True)  # type: ignore[untyped-decorator]
def first(data: Bytes, i: Int, stop: Int, byte: Int) -> Int:
    return find_byte(data, i, stop, byte)


TEXTS = ("", "<", "a < b <p>", "汉字<p>在标签之后</p>", "没有标签", "x" * 1000 + "<", "\xff<\x00<")


@pytest.mark.parametrize("text", TEXTS)
def test_every_range_of_a_text(text: str) -> None:
    data = text.encode()
    array = np.frombuffer(b"<<" + data + b"<<", np.uint8)[2 : 2 + len(data)]
    step = max(1, len(data) // 20)
    for byte in (ord("<"), 0xE5, 0):
        for start in range(0, len(data) + 1, step):
            for stop in range(start, len(data) + 1, step):
                found = data.find(byte, start, stop)
                assert first(array, start, stop, byte) == (stop if found < 0 else found)
