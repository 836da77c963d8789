"""The memory budget of deduplication: in memory or on disk, and the expected peak, decided before it starts.

Input: the sizes of a corpus and a memory limit. Output: the way that will be taken and its peak. There are two ways with one
result: in memory, where band keys, pairs and shingle sets of all documents lie in this process, and on disk, where every task
holds one shard or one bucket and the buckets are made as many as the limit asks for.

The constants are bytes of resident memory, measured and rounded up (bench/corpus/dedup.py growth compares peaks with plans).
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.errors import ConfigError

PROGRAM = 420 << 20
"""A process with the libraries loaded, the kernels compiled and the tables of code points, and what the allocator keeps."""
SHARD_TEXT = 7
"""Bytes for each byte of text of the shard in hand: the Parquet pages, the Arrow column, the kernels' buffers."""
SHARD_ROW = 200
"""Bytes for each row of the shard in hand, beside its band keys (twice)."""
DOCUMENT = 80
"""Bytes for each document of the corpus in memory, beside its band keys."""
FOUND = 24
"""Bytes for each candidate pair while pairs are looked for or verified."""
PAIR = 72
"""Bytes for each candidate pair while pairs are ordered or clusters chosen, when neither keys nor sets are there any more."""
RECORD = 200
"""Bytes for each record (document and band) of a bucket of the way on disk, its pairs included."""
PAIRS = 6
"""Candidate pairs for each document that are expected; where more come, the way on disk is taken."""


@dataclass(frozen=True)
class MemoryPlan:
    """`way`: "memory" or "disk"; `buckets` of the shuffles on disk; `peak`: bytes of this process and its workers together.

    `free`: bytes that are left for the corpus beside the programs and the shards in hand.
    """

    documents: int
    text_bytes: int
    memory: int
    workers: int
    way: str
    buckets: int
    peak: int
    free: int

    @property
    def room(self) -> int:
        """Bytes that one process has for data, beside the program."""
        return room(self.memory, self.workers)

    def __str__(self) -> str:
        how = "in memory" if self.way == "memory" else f"on disk in {self.buckets:,} buckets"
        return (
            f"{self.documents:,} documents, {self.text_bytes / 1e6:,.0f} MB of text: {how}, "
            f"at most {self.peak / 1e9:.2f} GB of memory ({self.memory / 1e9:.2f} GB allowed)"
        )


def room(memory: int, workers: int) -> int:
    """Bytes for data in each process when `workers` of them (and their parent, if more than one) share `memory`."""
    return (memory - PROGRAM * (workers + 1)) // workers if workers > 1 else memory - PROGRAM


def buckets_for(records: int, room: int) -> int:
    """Buckets of the shuffles so that one takes half of a worker's room on average."""
    return max(2, -(-2 * records * RECORD // room))


def plan(
    documents: int,
    text_bytes: int,
    memory: int,
    *,
    bands: int = 18,
    largest_shard: int = 32 << 20,
    largest_rows: int = 0,
    workers: int = 1,
) -> MemoryPlan:
    """The way for a corpus of `documents` with `text_bytes` of UTF-8 within `memory` bytes.

    `largest_shard`: bytes of text of the largest shard; `largest_rows`: the most rows of one. ConfigError if even a
    single shard does not fit, with the memory that would do.
    """
    workers = max(workers, 1)
    shard = SHARD_TEXT * min(largest_shard, text_bytes) + (SHARD_ROW + 16 * bands) * min(largest_rows or documents, documents)
    fixed = PROGRAM * (workers + 1 if workers > 1 else 1)
    least = fixed + workers * max(shard, 16 << 20)
    if memory < least:
        raise ConfigError(
            f"{memory / 1e6:,.0f} MB of memory are too little for {workers} worker(s) and shards of "
            f"{largest_shard / 1e6:,.0f} MB of text: allow {least / 1e6:,.0f} MB, or use fewer workers or smaller shards"
        )
    inside = documents * (DOCUMENT + max(8 * bands + 2 * PAIRS * FOUND, PAIRS * PAIR))
    free = memory - least
    if inside <= free and documents < 2**32:  # a pair of rows is one word
        return MemoryPlan(documents, text_bytes, memory, workers, "memory", 1, min(memory, least + inside + 3 * text_bytes), free)
    buckets = buckets_for(documents * bands, room(memory, workers))
    return MemoryPlan(documents, text_bytes, memory, workers, "disk", buckets, memory, free)
