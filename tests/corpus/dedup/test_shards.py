"""The shard-wise form against the one in memory: the same verdicts whatever the memory, the shards and the workers."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup import disk as dedup_disk
from skyloom.corpus.dedup import exchange as dedup_exchange
from skyloom.corpus.dedup import shards as dedup_shards
from skyloom.corpus.dedup.budget import PROGRAM, plan
from skyloom.corpus.dedup.clusters import exact_duplicates, near_duplicates
from skyloom.corpus.dedup.components import components, links
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.exchange import bucket_of, gather, numbers, scatter
from skyloom.corpus.dedup.minhash import jaccards
from skyloom.corpus.dedup.shards import DedupOutcome, exact_duplicates_of, near_duplicates_of
from skyloom.corpus.dedup.sketch import Columns

SILENT = Progress.silent()
ON_DISK = PROGRAM + (16 << 20)
"""As little as a single shard needs: no room is left for the corpus."""
AMPLE = 4 << 30


def corpus(seed: int) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Families in both languages with chains, exact copies, one crowd, short and empty texts: texts, ids, qualities."""
    rng = random.Random(seed)
    texts: list[str | None] = [None, "", "…", "Buy now", "buy now!", "立即购买", "立即购买。"]
    for k in range(60):
        zh = k % 2 == 1
        pool = [chr(0x4E00 + rng.randrange(3000)) for _ in range(400)] if zh else [f"w{rng.randrange(10**6)}" for _ in range(400)]
        words = [rng.choice(pool) for _ in range(rng.randint(20, 120))]
        for _ in range(60 if k < 2 else rng.choice((1, 1, 2, 3, 9))):
            texts.append(("" if zh else " ").join(words))
            if k % 5 == 0:
                words = [*words[2:], rng.choice(pool)]
            elif rng.random() < 0.7:
                words = list(words)
                words[rng.randrange(len(words))] = rng.choice(pool)
    rng.shuffle(texts)
    return (
        pa.array(texts, pa.large_string()),
        pa.array([f"document/{rng.randrange(10**9)}" for _ in texts]),
        pa.array([rng.choice((0.5, None, 1.5, rng.random())) for _ in texts]),
    )


def write(folder: Path, cuts: list[int], seed: int) -> tuple[Store, list[str], tuple[pa.Array, pa.Array, pa.Array]]:
    texts, ids, quality = columns = corpus(seed)
    store, found = Store(folder), []
    bounds = [0, *sorted(c % (len(texts) + 1) for c in cuts), len(texts)]
    for number, (start, stop) in enumerate(itertools.pairwise(bounds)):
        part = slice(start, stop)
        table = pa.table({"name": ids[part], "body": texts[part], "good": quality[part], "other": pa.array(range(stop - start))})
        store.write_table(f"part-{number:03d}.parquet", table)
        found.append(f"part-{number:03d}.parquet")
    return store, found, columns


def read(out: Store, outcome: DedupOutcome) -> pa.Table:
    return pa.concat_tables([out.read_table(name) for name in outcome.names])


@pytest.mark.parametrize("quality", [None, "good"])
@pytest.mark.parametrize(("memory", "cuts"), [(AMPLE, [90, 200]), (ON_DISK, [90, 200]), (ON_DISK, [3, 3, 150, 151, 290])])
def test_shards_give_what_the_whole_gives(
    tmp_path: Path, memory: int, cuts: list[int], quality: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dedup_shards, "grouped", lambda shingles, rows, room: tuple(min(k, 2) for k in range(len(rows))))
    store, names, (texts, ids, good) = write(tmp_path / "in", cuts, seed=1)
    out = Store(tmp_path / "out")
    done = near_duplicates_of(
        store, names, Columns("name", "body", quality), out, DedupConfig(), memory=memory, engine=Engine(), progress=SILENT
    )
    assert done.plan.way == ("memory" if memory == AMPLE else "disk")
    whole = near_duplicates(texts, ids, DedupConfig(), quality=good if quality else None)
    found = read(out, done)
    assert found.column("id").to_pylist() == ids.to_pylist()
    assert found.column("keep").to_pylist() == whole.keep.tolist()
    assert found.column("cluster").to_pylist() == ids.take(pa.array(whole.labels)).to_pylist()
    assert np.allclose(found.column("jaccard").to_numpy(), whole.jaccard.astype(np.float32))
    assert done.removed == (~whole.keep).sum() > 100
    assert [n for n in out.names() if not n.startswith("receipts/")] == sorted(done.names), "working files are removed"


@pytest.mark.parametrize("memory", [AMPLE, ON_DISK])
def test_exact_duplicates_in_shards(tmp_path: Path, memory: int) -> None:
    store, names, (texts, ids, _) = write(tmp_path / "in", [70, 71, 180], seed=2)
    out = Store(tmp_path / "out")
    done = exact_duplicates_of(store, names, Columns("name", "body"), out, memory=memory, engine=Engine(), progress=SILENT)
    whole = exact_duplicates(texts, ids)
    found = read(out, done)
    assert found.column("cluster").to_pylist() == ids.take(pa.array(whole.labels)).to_pylist()
    assert done.removed == (~whole.keep).sum() > 20


def test_two_workers_write_the_same_bytes(tmp_path: Path) -> None:
    store, names, _ = write(tmp_path / "in", [100, 200], seed=3)
    contents = []
    engine = Engine(2)
    try:
        for number, (workers, memory) in enumerate([(Engine(), ON_DISK), (engine, 3 * PROGRAM + (32 << 20))]):
            out = Store(tmp_path / f"out{number}")
            done = near_duplicates_of(
                store, names, Columns("name", "body"), out, DedupConfig(), memory=memory, engine=workers, progress=SILENT
            )
            assert done.plan.way == "disk"
            contents.append([out.read_bytes(name) for name in done.names])
    finally:
        engine.close()
    assert contents[0] == contents[1]


def test_a_run_that_breaks_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, names, _ = write(tmp_path / "in", [100, 200], seed=4)

    def go(out: Store) -> list[bytes]:
        done = near_duplicates_of(
            store, names, Columns("name", "body"), out, DedupConfig(), memory=ON_DISK, engine=Engine(0, retries=0), progress=SILENT
        )
        return [out.read_bytes(name) for name in done.names]

    undisturbed = go(Store(tmp_path / "one"))
    calls = []

    def breaks(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise OSError("the disk went away")
        return jaccards(*given)

    monkeypatch.setattr(dedup_disk, "jaccards", breaks)
    with pytest.raises(OSError, match="went away"):
        go(Store(tmp_path / "two"))
    assert not [n for n in Store(tmp_path / "two").names() if n.startswith("clusters-")]
    assert go(Store(tmp_path / "two")) == undisturbed


def test_more_pairs_than_expected_go_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, names, (texts, ids, _) = write(tmp_path / "in", [100], seed=5)
    monkeypatch.setattr(dedup_shards, "PAIR", 1 << 40)
    out = Store(tmp_path / "out")
    done = near_duplicates_of(
        store, names, Columns("name", "body"), out, DedupConfig(), memory=AMPLE, engine=Engine(), progress=SILENT
    )
    assert done.plan.way == "disk"
    assert read(out, done).column("keep").to_pylist() == near_duplicates(texts, ids, DedupConfig()).keep.tolist()


def test_a_cluster_that_does_not_fit_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, names, _ = write(tmp_path / "in", [100], seed=5)
    monkeypatch.setattr(dedup_exchange, "WORKING", 10**6)
    with pytest.raises(ConfigError, match=r"many documents.*fit"):
        near_duplicates_of(
            store,
            names,
            Columns("name", "body"),
            Store(tmp_path / "out"),
            DedupConfig(),
            memory=ON_DISK,
            engine=Engine(),
            progress=SILENT,
        )


def test_nothing_comes_of_nothing(tmp_path: Path) -> None:
    out = Store(tmp_path / "out")
    done = near_duplicates_of(Store(tmp_path), [], Columns(), out, DedupConfig(), memory=AMPLE, engine=Engine(), progress=SILENT)
    assert (done.documents, done.removed, done.names) == (0, 0, ())
    store, names, _ = write(tmp_path / "in", [0, 0], seed=6)
    for memory in (AMPLE, ON_DISK):
        empty = near_duplicates_of(
            store, names[:2], Columns("name", "body"), out, DedupConfig(), memory=memory, engine=Engine(), progress=SILENT
        )
        assert (empty.documents, len(read(out, empty))) == (0, 0)


def test_wrong_input_is_told_in_a_sentence(tmp_path: Path) -> None:
    store, names, _ = write(tmp_path / "in", [100], seed=6)
    out = Store(tmp_path / "out")

    def go(columns: Columns, memory: int = AMPLE) -> None:
        near_duplicates_of(store, names, columns, out, DedupConfig(), memory=memory, engine=Engine(), progress=SILENT)

    with pytest.raises(DataError, match="no column 'text'"):
        go(Columns("name"))
    with pytest.raises(ConfigError, match=r"too little.*allow"):
        go(Columns("name", "body"), memory=100 << 20)
    store.write_bytes(names[0], b"PAR1 and no more")
    with pytest.raises(DataError, match="Parquet"):
        go(Columns("name", "body"))


@given(st.integers(1, 10**9), st.integers(1, 10**13), st.integers(1 << 20, 1 << 40), st.integers(0, 64))
@settings(max_examples=200, deadline=None)
def test_a_plan_keeps_the_limit_or_refuses(documents: int, text: int, memory: int, workers: int) -> None:
    try:
        found = plan(documents, text, memory, workers=workers, largest_rows=50_000)
    except ConfigError as problem:
        assert "allow" in str(problem)
        return
    assert found.peak <= memory
    assert (found.buckets > 1) == (found.way == "disk")
    assert f"{documents:,} documents" in str(found)
    more = plan(documents, text, memory * 4, workers=workers, largest_rows=50_000)
    assert (found.way, more.way) != ("memory", "disk")
    assert more.buckets <= found.buckets


def star_components(tmp_path: Path, left: np.ndarray[Any, Any], right: np.ndarray[Any, Any], buckets: int) -> dict[int, int]:
    work = Store(tmp_path)
    joints = links(left.astype(np.uint64), right.astype(np.uint64))
    scatter(work, "edges.arrow", joints, bucket_of(numbers(joints, "node"), buckets), buckets)
    names = components(["edges.arrow"], work, buckets=buckets, engine=Engine(), progress=SILENT)
    found: dict[int, int] = {}
    for bucket in range(buckets):
        for name in names:
            with work.reading(name) as file:
                batch = pa.ipc.open_file(file).get_batch(bucket)
            found |= dict(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
    return found


@pytest.mark.parametrize("shape", ["random", "path", "star", "none"])
def test_components_are_those_of_scipy(tmp_path: Path, shape: str) -> None:
    rng = np.random.default_rng(9)
    size = 300
    if shape == "random":
        left, right = rng.integers(0, size, 220), rng.integers(0, size, 220)
    elif shape == "path":
        order = rng.permutation(size)
        left, right = order[:-1], order[1:]
    elif shape == "star":
        left, right = np.full(size - 1, 7), np.delete(np.arange(size), 7)
    else:
        left, right = np.zeros(0, np.int64), np.zeros(0, np.int64)
    left, right = left[left != right], right[left != right]
    found = star_components(tmp_path, left, right, buckets=3)
    labels = connected_components(coo_matrix((np.ones(len(left)), (left, right)), shape=(size, size)), directed=False)[1]
    smallest = {label: int(np.flatnonzero(labels == label)[0]) for label in set(labels.tolist())}
    for node in range(size):
        assert found.get(node, node) == smallest[labels[node]]


@given(st.lists(st.tuples(st.integers(0, 2**64 - 1), st.text(max_size=5)), max_size=30), st.integers(1, 7))
@settings(max_examples=30, deadline=None)
def test_an_exchange_loses_and_reorders_nothing(tmp_path_factory: pytest.TempPathFactory, rows: list[Any], buckets: int) -> None:
    work = Store(tmp_path_factory.mktemp("exchange"))
    schema = pa.schema([("key", pa.uint64()), ("value", pa.large_string())])
    names = []
    for number, part in enumerate((rows[::2], rows[1::2])):
        table = pa.table([[r[0] for r in part], [r[1] for r in part]], schema=schema)
        names.append(f"{number}.arrow")
        scatter(work, names[-1], table, bucket_of(numbers(table, "key"), buckets), buckets)
    back = [gather(work, names, b, schema).to_pylist() for b in range(buckets)]
    assert all(len({int(bucket_of(np.array([r["key"]], np.uint64), buckets)[0]) for r in part}) <= 1 for part in back)
    expected = [*rows[::2], *rows[1::2]]
    for part in back:
        keys = {r["key"] for r in part}
        assert [(r["key"], r["value"]) for r in part] == [r for r in expected if r[0] in keys]
    assert sum(len(p) for p in back) == len(rows)
