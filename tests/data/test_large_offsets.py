"""What lies beyond 2 GiB or 2^31 rows in the packing, with columns whose chunks share one buffer and sizes without tokens."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.data import pack as module
from skyloom.data.config import PackConfig
from skyloom.data.gather import gather
from skyloom.data.indexed import LONGEST, open_indexed, write_index

EDGE = 2**31
UINT16, INT32 = np.dtype("<u2"), np.dtype("<i4")


def pointers(store: Store, name: str, sequences: int) -> tuple[int, ...]:
    """The byte offsets in an index, read with nothing but `struct`."""
    return struct.unpack_from(f"<{sequences}q", store.read_bytes(f"{name}.idx"), 34 + 4 * sequences)


def test_ids_of_more_than_two_gib_are_put_into_order():
    """33 chunks that share 64 MB: 2.2 GB of ids for Arrow, of which four small ones and one large one are taken."""
    large = pa.array(["x" * (64 << 20)], pa.string())
    chunks = [pa.array(["first", "第一"]), *[large] * 33, pa.array(["last", "最后"])]
    assert sum(chunk.nbytes for chunk in chunks) > EDGE
    with pytest.raises(pa.ArrowInvalid, match="offset overflow"):
        pa.chunked_array(chunks).take(pa.array([36, 0]))
    found = module._in_order(chunks, np.array([36, 0, 35, 1, 20], np.int64))
    assert found.slice(0, 4).to_pylist() == ["最后", "first", "last", "第一"]
    assert found.type == pa.string() and len(found[4].as_buffer()) == 64 << 20


@pytest.mark.parametrize("rows", [1, 2, 5, 100])
def test_parts_of_the_order_join_to_the_whole(monkeypatch, rows):
    monkeypatch.setattr(module, "_ROWS", rows)
    values = [f"文档 {n}" if n % 2 else f"document {n}" for n in range(40)]
    chunks = [pa.array(values[a:b], pa.string()) for a, b in ((0, 7), (7, 7), (7, 8), (8, 30), (30, 40))]
    order = np.random.default_rng(1).integers(0, 40, 93)
    found = module._in_order(chunks, order)
    assert found.to_pylist() == [values[k] for k in order]
    assert max(len(chunk) for chunk in found.chunks) <= rows
    assert module._in_order(chunks, np.zeros(0, np.int64)).to_pylist() == []


def test_the_size_of_a_part_changes_no_byte(tmp_path, documents, exercises, tokenizer, tokens, monkeypatch):
    monkeypatch.setattr(module, "_ROWS", 3)
    out = Store(tmp_path)
    module.pack(documents, exercises, tokenizer, out, PackConfig(), engine=Engine(), progress=Progress.silent())
    assert {n: out.describe(n).sha256 for n in out.names()} == {n: tokens.describe(n).sha256 for n in tokens.names()}


def test_the_longest_sequence_of_the_format_is_written_and_one_more_token_is_refused(tmp_path):
    store = Store(tmp_path)
    write_index(store, "zh", np.array([3, EDGE - 1, 5]), UINT16)
    assert struct.unpack_from("<3i", store.read_bytes("zh.idx"), 34) == (3, EDGE - 1, 5)
    with pytest.raises(DataError, match=r"sequence 1 has 2,147,483,648 tokens.* at most 2,147,483,647"):
        write_index(store, "en", np.array([3, EDGE, 5]), UINT16)
    assert LONGEST == EDGE - 1 and not store.exists("en.idx")


@pytest.mark.parametrize("dtype", [UINT16, INT32])
def test_offsets_beyond_two_gib_do_not_wrap_whatever_integers_the_lengths_are(tmp_path, dtype):
    store, sizes = Store(tmp_path), [2**30, 2**30, 2**30, 2**31 - 1, 7]
    expected = tuple(int(n) * dtype.itemsize for n in np.cumsum([0, *sizes[:-1]]))
    for name, kind in (("wide", np.int64), ("narrow", np.int32)):
        write_index(store, name, np.array(sizes, kind), dtype)
        assert pointers(store, name, len(sizes)) == expected
    write_index(store, "empty", np.zeros(0, np.int64), dtype)
    assert pointers(store, "empty", 0) == ()


@pytest.mark.parametrize(("dtype", "code"), [(UINT16, 8), (INT32, 4)])
def test_a_shard_of_more_than_two_gib_tokens_is_read_at_its_far_end(tmp_path, dtype, code):
    """A sparse file: 3 x 2^30 tokens that take no room, but for a text behind the edges of 2^31 tokens and of 2^32 bytes."""
    sizes, last = np.array([2**30, 2**30, 2**30, 8]), np.arange(8)
    store = Store(tmp_path)
    write_index(store, "web_zh", sizes, dtype)
    with open(tmp_path / "web_zh.bin", "wb") as file:
        file.seek(int(sizes[:3].sum()) * dtype.itemsize)
        file.write(last.astype(dtype).tobytes())
    shard = open_indexed(store, "web_zh")
    total = int(sizes.sum())
    assert len(shard.tokens) == total > EDGE and shard.tokens.dtype == dtype
    assert shard[3].tolist() == last.tolist() and len(shard[2]) == 2**30
    places = np.array([0, EDGE - 1, EDGE, total - 9, total - 8, total - 1])
    assert shard.sequence_at(places).tolist() == [0, 1, 2, 2, 3, 3]
    context = 4
    window = (total - 8) // context + 1  # the last four tokens, then on at the head
    addresses, lengths = np.array([shard.tokens.ctypes.data]), np.array([total])
    rows = gather(addresses, lengths, code == 4, np.zeros(1, np.int16), np.array([window]), context)
    assert rows.tolist() == [[4, 5, 6, 7, 0]]
