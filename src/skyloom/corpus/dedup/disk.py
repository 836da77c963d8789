"""MinHash LSH near-duplicate removal beyond memory: the pairs and choices of the in-memory form, by keyed shuffles on disk.

Input: the sketches of all shards. Output: for each shard, the removed documents with the id of the one that is kept for each.
No task sees all documents, all pairs or all edges:

1. records    of each band of each shard go to the bucket of their band key
2. pairs      each bucket's pairs go to the group of shards in which the worse document lives, and a request for the
              better document's text to that document's shard (once for each group, however many ask)
3. texts      each shard sends the texts that were asked for
4. verify     each group computes the exact similarities of its pairs; those that pass are edges
5. components of the edges, by large-star and small-star (`components.py`)
6. join       edges and documents go to the bucket of their component
7. choose     each bucket decides who stays in its components; removed documents go back to their shards

Memory: one shard or one bucket in each worker; the number of buckets follows from the limit (`budget.py`). What must fit
as a whole are the records of one band key and the edges of one component, 200 bytes for each: 4 GB do for clusters of 10
million documents. Where it does not, the run ends with a sentence that says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup.candidate_pairs import Standing, pairs_of_buckets, repeated
from skyloom.corpus.dedup.components import LINKS, components, links
from skyloom.corpus.dedup.config import DedupConfig
from skyloom.corpus.dedup.exchange import bucket_of, distinct_pairs, gather, numbers, scatter, stream, write_buckets
from skyloom.corpus.dedup.minhash import jaccards, shingle_counts
from skyloom.corpus.dedup.sketch import SetPile, Shards, read_sketch
from skyloom.corpus.dedup.survivors import choose

Words = npt.NDArray[np.uint64]

_WORD = pa.uint64()
RECORD = pa.schema([("key", _WORD), ("following", _WORD), ("score", _WORD), ("tie", _WORD), ("document", _WORD)])
PAIR = pa.schema([("better", _WORD), ("worse", _WORD)])
REQUEST = pa.schema([("document", _WORD), ("group", pa.int64())])
NODE = pa.schema([("document", _WORD), ("score", _WORD), ("tie", _WORD), ("id", pa.large_string())])
TEXT = pa.schema([*NODE, ("text", pa.large_string())])
EDGE = pa.schema([("left", _WORD), ("right", _WORD), ("jaccard", pa.float64())])
JOINED_EDGE = pa.schema([*EDGE, ("component", _WORD)])
JOINED_NODE = pa.schema([*NODE, ("component", _WORD)])
REMOVED = pa.schema([("row", pa.int64()), ("cluster", pa.large_string()), ("jaccard", pa.float64())])
_LOW = np.uint64(0xFFFFFFFF)


@dataclass(frozen=True)
class DedupJob:
    """What every task is given.

    `groups`: the group of each shard, ascending; shards of a group are verified together. `starts`: the number of each shard's
    first document, and of all documents. `room`: bytes for data in each worker.
    """

    shards: Shards
    config: DedupConfig
    buckets: int
    groups: tuple[int, ...]
    starts: tuple[int, ...]
    room: int

    @property
    def bands(self) -> int:
        return self.config.bands

    @property
    def group_count(self) -> int:
        return self.groups[-1] + 1

    def group_of(self, documents: Words) -> npt.NDArray[np.int64]:
        return np.asarray(self.groups, np.int64)[self.shard_of(documents)]

    def shard_of(self, documents: Words) -> npt.NDArray[np.int64]:
        return np.searchsorted(np.array(self.starts, np.uint64), documents, side="right") - 1

    def rows_of(self, documents: Words, shard: int) -> npt.NDArray[np.int64]:
        """The rows of those documents that are in a shard."""
        first, end = self.starts[shard : shard + 2]
        return documents[(documents >= first) & (documents < end)].astype(np.int64) - first

    def members(self, group: int) -> list[int]:
        """The shards of a group."""
        return [shard for shard, of in enumerate(self.groups) if of == group]


def grouped(shingles: list[int], rows: tuple[int, ...], room: int) -> tuple[int, ...]:
    """Consecutive shards whose shingle sets and pairs fit into `room` bytes together: the group of each."""
    groups, group, filled = [], 0, 0
    for shingle, row in zip(shingles, rows, strict=True):
        need = 8 * shingle + 600 * row
        if filled and filled + need > room // 2:
            group, filled = group + 1, 0
        groups.append(group)
        filled += need
    return tuple(groups)


def removed_on_disk(job: DedupJob, work: Store, *, engine: Engine, progress: Progress) -> list[str]:
    """Names of the files in `work` whose batch i holds the removed documents (REMOVED) of shard i."""
    buckets = [Task(f"{b:05d}", b) for b in range(job.buckets)]
    groups = [Task(f"{g:05d}", g) for g in range(job.group_count)]

    def run(function: Callable[..., Done[list[str]]], tasks: list[Task[int]], label: str, *more: list[str]) -> list[str]:
        results = engine.map(partial(function, job, *more), tasks, work, progress=progress, label=f"near-duplicates: {label}")
        return [name for names in results for name in names]

    records = run(_records, job.shards.tasks, "records")
    paired = run(_pairs, buckets, "pairs", records)
    pairs, requests = paired[::2], paired[1::2]
    texts = run(_texts, job.shards.tasks, "texts", requests)
    verified = run(_verify, groups, "verification", pairs, texts)
    edges, nodes, joints = verified[::3], verified[1::3], verified[2::3]
    labels = components(joints, work, buckets=job.buckets, engine=engine, progress=progress)
    joined = run(_join, buckets, "join", edges, nodes, labels)
    return run(_choose, buckets, "choice", joined[::2], joined[1::2])


def _records(job: DedupJob, task: Task[int], work: Store) -> Done[list[str]]:
    """One file for each band, so that a shard of many short documents need not hold the records of all bands at once."""
    found = read_sketch(work, task.payload, job.config)
    active = np.flatnonzero(found.bands.units)
    documents = (job.starts[task.payload] + active).astype(np.uint64)
    keys, who, files = found.bands.keys, found.who, []
    for band in range(job.bands):
        key = keys[active, band]
        columns = [key, keys[active, (band + 1) % job.bands], who.score[active], who.tie[active], documents]
        table = pa.table([pa.array(c) for c in columns], schema=RECORD)
        files.append(scatter(work, f"records/{band:03d}-{task.key}.arrow", table, bucket_of(key, job.buckets), job.buckets))
    return Done(tuple(files), [f.name for f in files])


def _pairs(job: DedupJob, names: list[str], task: Task[int], work: Store) -> Done[list[str]]:
    """The pairs of a bucket by the group of the worse document, and requests for better ones by their shard."""
    records = gather(work, names, task.payload, RECORD, room=job.room)
    rows = np.sort(repeated(numbers(records, "key"))[1])  # most are alone, and need not be ranked
    records = records.take(pa.array(rows))
    ranking = Standing(numbers(records, "score"), numbers(records, "tie")).order()
    pairs = pairs_of_buckets(numbers(records, "key"), numbers(records, "following"), ranking)
    documents = numbers(records, "document")
    better, worse = distinct_pairs(documents[pairs >> np.uint64(32)], documents[pairs & _LOW])
    home = job.group_of(worse)
    first = scatter(work, f"pairs/{task.key}.arrow", _table(PAIR, better, worse), home, job.group_count)
    abroad = job.group_of(better) != home
    wanted, group = distinct_pairs(better[abroad], home[abroad].astype(np.uint64))
    table = _table(REQUEST, wanted, group.astype(np.int64))
    second = scatter(work, f"requests/{task.key}.arrow", table, job.shard_of(wanted), len(job.shards.names))
    return Done((first, second), [first.name, second.name])


def _texts(job: DedupJob, names: list[str], task: Task[int], work: Store) -> Done[list[str]]:
    """The texts of a shard that other groups asked for, one batch for each group."""
    asked = gather(work, names, task.payload, REQUEST)
    documents, group = distinct_pairs(numbers(asked, "document"), numbers(asked, "group").astype(np.uint64))

    def parts() -> Iterator[pa.Table]:
        wanted = job.rows_of(np.unique(documents), task.payload)
        texts = pa.chunked_array(
            [c.cast(pa.large_string()) for part in job.shards.texts(task.payload, wanted) for c in part.chunks], pa.large_string()
        )
        who, ids = read_sketch(work, task.payload, job.config).who, job.shards.ids(task.payload)
        for g in range(job.group_count):
            rows = job.rows_of(documents[group == g], task.payload)
            chosen = texts.take(pa.array(np.searchsorted(wanted, rows)))
            yield _nodes(job, task.payload, rows, who, ids).append_column("text", chosen)

    file = write_buckets(work, f"texts/{task.key}.arrow", TEXT, parts())
    return Done((file,), [file.name])


def _verify(job: DedupJob, pair_names: list[str], text_names: list[str], task: Task[int], work: Store) -> Done[list[str]]:
    """The exact similarities of a group's pairs. Edges and nodes leave by node, and the edges' joints for the components."""
    pairs = gather(work, pair_names, task.payload, PAIR)
    better, worse = distinct_pairs(numbers(pairs, "better"), numbers(pairs, "worse"))
    del pairs
    at_home = job.group_of(better) == task.payload
    needed = np.unique(np.concatenate([worse, better[at_home]]))
    sets, nodes = _home_sets(job, task.payload, needed, work)
    similarity = np.zeros(len(better))
    right = np.searchsorted(needed, worse)
    left = np.searchsorted(needed, better[at_home])
    similarity[at_home] = jaccards(sets.column, sets.column, left, right[at_home])
    for part in stream(work, text_names, task.payload):
        guests = numbers(part, "document")
        of = np.flatnonzero(np.isin(better, guests) & ~at_home)
        units = (numbers(part, "score") & _LOW).astype(np.int64)
        pile = SetPile(len(guests), int(shingle_counts(units, job.config.shingle).sum()), job.config.shingle)
        pile.add(part.column("text"))
        similarity[of] = jaccards(pile.column, sets.column, np.searchsorted(guests, better[of]), right[of])
        nodes.append(part.select(NODE.names))
    passed = similarity >= job.config.threshold
    better, worse, similarity = better[passed], worse[passed], similarity[passed]
    joined = np.unique(np.concatenate([better, worse]))
    known = pa.concat_tables(nodes)
    known = known.filter(pa.array(np.isin(numbers(known, "document"), joined)))
    edges, joints = _table(EDGE, better, worse, similarity), links(better, worse)
    files = [
        scatter(work, f"edges/{task.key}.arrow", edges, bucket_of(better, job.buckets), job.buckets),
        scatter(work, f"nodes/{task.key}.arrow", known, bucket_of(numbers(known, "document"), job.buckets), job.buckets),
        scatter(work, f"joints/{task.key}.arrow", joints, bucket_of(numbers(joints, "node"), job.buckets), job.buckets),
    ]
    return Done(tuple(files), [f.name for f in files])


def _home_sets(job: DedupJob, group: int, needed: Words, work: Store) -> tuple[SetPile, list[pa.Table]]:
    """The shingle sets of the `needed` documents of a group, ascending, and what is known of them."""
    nodes, chosen = [NODE.empty_table()], []
    shingles = 0
    for shard in job.members(group):
        rows = job.rows_of(needed, shard)
        if len(rows):
            who = read_sketch(work, shard, job.config).who
            shingles += int(shingle_counts(who.units[rows], job.config.shingle).sum())
            chosen.append((shard, rows))
            nodes.append(_nodes(job, shard, rows, who, job.shards.ids(shard)))
    sets = SetPile(len(needed), shingles, job.config.shingle)
    for shard, rows in chosen:
        for part in job.shards.texts(shard, rows):
            sets.add(part)
    return sets, nodes


def _join(job: DedupJob, edges: list[str], nodes: list[str], labels: list[str], task: Task[int], work: Store) -> Done[list[str]]:
    """Edges and nodes of a bucket with their component, by component."""
    label = gather(work, labels, task.payload, LINKS).sort_by("node")
    names, least = numbers(label, "node"), numbers(label, "near")

    def of(documents: Words) -> Words:
        if not len(names):
            return documents
        place = np.minimum(np.searchsorted(names, documents), len(names) - 1)
        return np.where(names[place] == documents, least[place], documents)

    files = []
    for folder, given, schema, key in (("joined", edges, EDGE, "left"), ("known", nodes, NODE, "document")):
        table = gather(work, given, task.payload, schema)
        component = of(numbers(table, key))
        table = table.append_column("component", pa.array(component))
        files.append(scatter(work, f"{folder}/{task.key}.arrow", table, bucket_of(component, job.buckets), job.buckets))
    return Done(tuple(files), [f.name for f in files])


def _choose(job: DedupJob, edges: list[str], nodes: list[str], task: Task[int], work: Store) -> Done[list[str]]:
    """Who stays in the components of a bucket; the removed ones by shard."""
    edge, node = gather(work, edges, task.payload, JOINED_EDGE, room=job.room), gather(work, nodes, task.payload, JOINED_NODE)
    documents, first = np.unique(numbers(node, "document"), return_index=True)
    node = node.take(pa.array(first))
    left, right = (np.searchsorted(documents, numbers(edge, n)) for n in ("left", "right"))
    found = choose(left, right, numbers(edge, "jaccard"), Standing(numbers(node, "score"), numbers(node, "tie")))
    gone = np.flatnonzero(found.owner != np.arange(len(documents)))
    cluster = node.column("id").take(pa.array(found.owner[gone]))
    shard = job.shard_of(documents[gone])
    row = documents[gone].astype(np.int64) - np.array(job.starts, np.int64)[shard]
    table = pa.table([pa.array(row), cluster, pa.array(found.jaccard[gone])], schema=REMOVED)
    file = scatter(work, f"removed/{task.key}.arrow", table, shard, len(job.shards.names))
    return Done((file,), [file.name])


def _nodes(job: DedupJob, shard: int, rows: npt.NDArray[np.int64], who: Standing, ids: pa.ChunkedArray) -> pa.Table:
    documents = (job.starts[shard] + rows).astype(np.uint64)
    columns = [pa.array(documents), pa.array(who.score[rows]), pa.array(who.tie[rows]), ids.take(pa.array(rows))]
    return pa.table(columns, schema=NODE)


def _table(schema: pa.Schema, *columns: npt.NDArray[np.generic]) -> pa.Table:
    return pa.table([pa.array(c) for c in columns], schema=schema)
