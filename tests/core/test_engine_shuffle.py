"""The keyed shuffle beyond what fits: many shards, buckets larger than the budget, keys larger than a part."""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_engine import SILENT

from skyloom.core import engine_shuffle
from skyloom.core.engine import Engine, Task
from skyloom.core.engine_shuffle import Plan, _Bucket, _pieces
from skyloom.core.errors import IntegrityError, SkyloomError
from skyloom.core.store import Store

HOT = pa.scalar(7, pa.uint64())


def table_of(task: Task) -> pa.Table:
    """A payload of (seed, rows, hot rows): words of both languages under random keys, and hot rows under the key 7."""
    seed, rows, hot = task.payload
    dice = np.random.default_rng(seed)
    keys = np.concatenate([dice.integers(0, 2**64, rows, np.uint64), np.full(hot, 7, np.uint64)])
    order = dice.permutation(rows + hot)
    words = pa.array([f"词{seed}-{i} word" if i % 5 else None for i in range(rows + hot)], pa.string())
    return pa.table({"key": keys[order], "word": words, "from": pa.array(np.full(rows + hot, seed))})


def as_is(bucket: int, table: pa.Table) -> pa.Table:
    return table


def reference(tasks: list[Task], buckets: int) -> list[pa.Table]:
    """What each bucket must hold, by filtering everything."""
    everything = pa.concat_tables([table_of(t) for t in tasks])
    where = everything.column("key").to_numpy() % np.uint64(buckets)
    return [everything.filter(pa.array(where == b)) for b in range(buckets)]


def shuffle(tasks, out, buckets, **more):
    return Engine().shuffle(table_of, as_is, tasks, out, buckets=buckets, progress=SILENT, label="rows", **more)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=5), st.integers(1, 9))
def test_every_row_arrives_once_and_in_order(tmp_path_factory, payloads, buckets):
    tasks = [Task(f"t{i}", payload) for i, payload in enumerate(payloads)]
    out = Store(tmp_path_factory.mktemp("shuffle"))
    names = shuffle(tasks, out, buckets)
    assert names == [f"bucket-{b:05d}.parquet" for b in range(buckets)]
    for name, expected in zip(names, reference(tasks, buckets), strict=True):
        assert out.read_table(name).equals(expected)
    assert not out.names("shuffle/")


def test_a_thousand_shards_into_sixty_four_buckets(tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda handle: None)  # 2,000 files would wait for the disk and prove nothing more
    tasks = [Task(f"t{i:04d}", (i, 20, 0)) for i in range(1000)]
    out, on_the_way = Store(tmp_path), []
    original = engine_shuffle._gather
    monkeypatch.setattr(engine_shuffle, "_gather", lambda *given: on_the_way.append(len(out.names("shuffle/"))) or original(*given))
    names = shuffle(tasks, out, 64)
    assert len(names) == 64 and set(on_the_way) == {1000}, "one file for each shard on the way, not 64,000"
    rows = [out.read_table(n) for n in names]
    assert sum(map(len, rows)) == 20_000
    for bucket, table in enumerate(rows):
        assert set((table.column("key").to_numpy() % np.uint64(64)).tolist()) <= {bucket}
        assert (np.diff(table.column("from").to_numpy()) >= 0).all()


def test_nothing_to_shuffle(tmp_path):
    assert shuffle([], Store(tmp_path), 4) == []


def largest_tables(tasks, out, memory, split_hot=False) -> tuple[list[str], list[int], list[pa.Table]]:
    sizes: list[int] = []

    def watched(bucket: int, table: pa.Table) -> pa.Table:
        sizes.append(table.nbytes)
        return table

    names = Engine().shuffle(
        table_of, watched, tasks, out, buckets=2, progress=SILENT, label="rows", memory=memory, split_hot=split_hot, name="part"
    )
    return names, sizes, [out.read_table(n) for n in names]


def test_a_bucket_beyond_the_budget_is_reduced_in_parts_where_equal_keys_meet(tmp_path):
    tasks = [Task(f"t{i}", (i % 5, 400, 0)) for i in range(20)]  # each key comes from four tasks
    whole = sum(table_of(t).nbytes for t in tasks)
    memory = whole // 4
    names, sizes, tables = largest_tables(tasks, Store(tmp_path / "a"), memory)
    assert len(names) > 2 and names[:2] == ["part-00000.parquet", "part-00000-0001.parquet"]
    assert max(sizes) <= memory // 2
    seen: set[int] = set()
    for table in tables:
        keys, counts = np.unique(table.column("key").to_numpy(), return_counts=True)
        assert set(counts.tolist()) == {4}
        assert not seen & set(keys.tolist())
        seen |= set(keys.tolist())
    assert len(seen) == 2000
    again = largest_tables(tasks, Store(tmp_path / "b"), memory)
    assert again[0] == names and all(x.equals(y) for x, y in zip(again[2], tables, strict=True))


def test_parts_of_a_killed_attempt_with_less_memory_do_not_stay(tmp_path):
    tasks, out = [Task(f"t{i}", (i, 400, 0)) for i in range(5)], Store(tmp_path)
    assert len(largest_tables(tasks, out, 20_000)[0]) > 4
    out.remove("receipts")  # the gather had not come to its receipts
    names, _, tables = largest_tables(tasks, out, 0)
    assert out.names("part-") == names == ["part-00000.parquet", "part-00001.parquet"]
    assert sum(map(len, tables)) == 2000


def test_a_key_that_does_not_fit_is_an_error_or_comes_in_pieces(tmp_path):
    tasks = [Task(f"t{i}", (i, 100, 900)) for i in range(20)]
    memory = sum(table_of(t).nbytes for t in tasks) // 5
    with pytest.raises(SkyloomError, match=r"^rows: .*\bbucket 1\b.*--memory"):
        largest_tables(tasks, Store(tmp_path / "a"), memory)
    names, sizes, tables = largest_tables(tasks, Store(tmp_path / "b"), memory, split_hot=True)
    assert max(sizes) <= memory
    pieces = [t.filter(pc.equal(t.column("key"), HOT)).select(["word", "from"]) for t in tables]
    pieces = [p for p in pieces if len(p)]
    assert len(pieces) > 2
    assert all(p.slice(0, 1).equals(pieces[0].slice(0, 1)) for p in pieces), "each begins with the first of all"
    joined = pa.concat_tables([pieces[0], *(p.slice(1) for p in pieces[1:])])
    expected = reference(tasks, 2)[1]
    assert joined.equals(expected.filter(pc.equal(expected.column("key"), HOT)).select(["word", "from"]))
    cold = [k for t in tables for k in t.filter(pc.not_equal(t.column("key"), HOT)).column("key").to_pylist()]
    assert len(cold) == len(set(cold)) == 2000, "what is not hot comes once"
    assert names[0] == "part-00000.parquet"


def test_the_hot_share_does_not_multiply_the_passes(tmp_path):
    """A bucket that is nearly all one key is read twice, not once for every part that its size would ask for."""
    out, plan = Store(tmp_path), Plan("rows", 1, memory=40_000, split_hot=True)
    tasks = [Task(f"t{i}", (i, 10, 3000)) for i in range(8)]
    Engine().map(plan.scatter(table_of), tasks, out, progress=SILENT, label=plan.first)
    source = _Bucket(out, plan.gathers(tasks)[0].payload[1], 0, 1)
    assert source.size > 15 * plan.memory
    cold = source.size - source.hot_bytes(plan.memory // 16)
    assert 0 <= cold < plan.memory // 4
    assert sum(len(t) for t in _pieces(source, 0, 1, plan)) >= 8 * 3010


def strange_table(task: Task) -> pa.Table:
    kind = pa.int32() if task.payload else pa.int64()
    return pa.table({"key": pa.array([1], pa.uint64()), "n": pa.array([1], kind)})


def test_tables_of_different_columns_are_refused(tmp_path):
    with pytest.raises(IntegrityError, match=r"differ.*columns"):
        Engine().shuffle(strange_table, as_is, [Task("a", 0), Task("b", 1)], Store(tmp_path), buckets=1, progress=SILENT, label="x")


def test_two_rounds_in_one_folder_and_a_resume_without_the_first_half(tmp_path):
    """A second shuffle reads the first one's shards; when the gather is done the scatter is not asked for again."""
    out, tasks = Store(tmp_path), [Task(f"t{i}", (i, 50, 2)) for i in range(4)]
    first = shuffle(tasks, out, 3, name="round-1")
    again = [Task(n, (out, n)) for n in first]
    second = Engine().shuffle(shard_of, partial(counted), again, out, buckets=2, progress=SILENT, label="second", name="round-2")
    assert sum(pc.sum(out.read_table(n).column("rows")).as_py() for n in second) == 208
    before = {n: out.read_bytes(n) for n in first + second}
    assert shuffle(tasks, out, 3, name="round-1") == first
    assert not out.names("shuffle/") and before == {n: out.read_bytes(n) for n in first + second}


def shard_of(task: Task) -> pa.Table:
    store, name = task.payload
    return store.read_table(name)


def counted(bucket: int, table: pa.Table) -> pa.Table:
    return table.group_by("key").aggregate([([], "count_all")]).rename_columns(["key", "rows"]).sort_by("key")
