"""Connected components of a graph that is larger than memory: large-star and small-star over keyed shuffles.

Input: files of edges, each edge in both directions and in the bucket of its first node (`exchange.py`). Output: files that
name, for each node but the smallest of its component, that smallest one. The algorithm is that of Kiveris et al. 2014
(Connected Components in MapReduce and Beyond): in turn, each node links its larger neighbours to its smallest one, and its
smaller ones likewise, until nothing changes. The rounds grow with the logarithm of the number of nodes.

Memory: 100 bytes for each edge of one bucket in each worker; no task sees more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.kernels import GOLDEN
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.corpus.dedup.exchange import bucket_of, distinct_pairs, gather, numbers, scatter

Words = npt.NDArray[np.uint64]

LINKS = pa.schema([pa.field("node", pa.uint64()), pa.field("near", pa.uint64())])
"""An edge from `node` to `near`; in the files of labels `near` is the smallest node of the component."""


@dataclass(frozen=True)
class LargeStar:
    """The result of a large star: its file, and the number and the checksum of its edges, which no longer change at the end."""

    name: str
    edges: int
    sum: int


def links(left: Words, right: Words) -> pa.Table:
    """Edges in both directions, LINKS."""
    return pa.table([pa.array(np.concatenate([left, right])), pa.array(np.concatenate([right, left]))], schema=LINKS)


def components(edges: list[str], work: Store, *, buckets: int, engine: Engine, progress: Progress) -> list[str]:
    """Names of the files of labels (LINKS, one batch for each bucket, by `node`) in `work`, where `edges` are."""
    names, before, turn = edges, None, 0
    tasks = [Task(f"{b:05d}", b) for b in range(buckets)]
    while True:
        turn += 1
        large = partial(_large_star, names, buckets, turn)
        stars = engine.map(large, tasks, work, progress=progress, label=f"components, round {turn}, large stars", result=LargeStar)
        labels = [star.name for star in stars]
        after = (sum(star.edges for star in stars), sum(star.sum for star in stars) % 2**64)
        if after == before:
            return labels
        before = after
        small = partial(_small_star, labels, buckets, turn)
        names = engine.map(small, tasks, work, progress=progress, label=f"components, round {turn}, small stars")


def _large_star(names: list[str], buckets: int, turn: int, task: Task[int], work: Store) -> Done[LargeStar]:
    """Each node links its larger neighbours to its smallest one: (larger, smallest), by the larger."""
    node, near, least = _smallest(names, task.payload, work)
    larger = near > node
    node, near = distinct_pairs(near[larger], least[larger])
    name = f"stars-{turn:03d}/large-{task.key}.arrow"
    check = int(np.bitwise_xor(node * GOLDEN, near).sum(dtype=np.uint64))
    file = scatter(work, name, pa.table([pa.array(node), pa.array(near)], schema=LINKS), bucket_of(node, buckets), buckets)
    return Done((file,), LargeStar(name, len(node), check))


def _small_star(names: list[str], buckets: int, turn: int, task: Task[int], work: Store) -> Done[str]:
    """Each node links itself and its smaller neighbours to the smallest of them; both directions, for the next large stars."""
    node, near, least = _smallest(names, task.payload, work)
    linked = near != least
    left = np.concatenate([near[linked], node])
    left, right = distinct_pairs(left, np.concatenate([least[linked], least]))
    table = links(left, right)
    name = f"stars-{turn:03d}/small-{task.key}.arrow"
    return Done((scatter(work, name, table, bucket_of(numbers(table, "node"), buckets), buckets),), name)


def _smallest(names: list[str], bucket: int, work: Store) -> tuple[Words, Words, Words]:
    """The bucket's edges by node, and for each edge the smallest of its node and that node's neighbours."""
    table = gather(work, names, bucket, LINKS)
    node, near = distinct_pairs(numbers(table, "node"), numbers(table, "near"))
    if not len(node):
        return node, near, node
    start = np.flatnonzero(np.concatenate([[True], node[1:] != node[:-1]]))
    least = np.minimum(np.minimum.reduceat(near, start), node[start])
    return node, near, np.repeat(least, np.diff(np.append(start, len(node))))
