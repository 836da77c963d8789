"""Candidate pairs of MinHash LSH: documents with equal band keys are paired, the better one first.

Input: records of documents (a band's key, the next band's key, the document's standing). Output: pairs of records, the better
one first. The same code runs over a whole band in memory and over one bucket file of a corpus that is beyond memory, and what
it gives for a key depends on that key's records alone, so that both ways agree.

A bucket of at most `CROWD` documents is compared all with all. A larger one, a template with 10,000 copies, would cost
50 million comparisons: there each document is compared with the `ANCHORS` best of the bucket, and the bucket is split by
the next band's key, where it is compared with all (or, if the part is a crowd again, with that part's best and with
its predecessor). Two documents that are alike agree in several bands and meet in some part.

Memory: 8 bytes for each pair and 40 for each record of one band.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import DataError
from skyloom.core.kernels import Int, kernel
from skyloom.corpus.text import string_hashes

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

CROWD = 16
"""Documents in a bucket that are still compared all with all."""
ANCHORS = 2
"""Best documents of a crowd with which every other one is compared."""

PART = 1 << 16
"""Keys that are sorted at once; a megabyte."""
MERGED = 6
"""Bands whose pairs are gathered before repeated ones are taken out."""

_LOW = np.uint64(0xFFFFFFFF)
_HIGH = np.uint64(32)


@dataclass(frozen=True)
class Standing:
    """What is known of documents before they are compared: the higher `score`, then the lower `tie` is better, both uint64[rows].

    `score` is the quality (order-preserving in the high 32 bits, 0 without one) and the number of units; `tie` is a hash of
    the id: arbitrary, but the same however the documents are ordered and cut into shards.
    """

    score: Words
    tie: Words

    @property
    def units(self) -> npt.NDArray[np.int64]:
        """Units of each text, int64[rows]."""
        return (self.score & _LOW).astype(np.int64)

    def order(self) -> Ranking:
        """The rows when the best comes first."""
        rows = np.lexsort((self.tie, ~self.score)).astype(np.uint32)
        place = np.empty(len(rows), np.uint32)
        place[rows] = np.arange(len(rows), dtype=np.uint32)
        return Ranking(place, rows)


@dataclass(frozen=True)
class Ranking:
    """`place`: uint32[rows], where each row comes when the best is first; `rows`: uint32[rows], the rows in that order."""

    place: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint32]


def standing(ids: pa.Array | pa.ChunkedArray, units: npt.NDArray[np.int64], quality: Any = None) -> Standing:
    """The standing of documents. `quality`: a numeric column, higher is better, null and NaN lowest; or None.

    DataError if the quality is not numeric.
    """
    score = np.minimum(units, 2**32 - 1).astype(np.uint64)
    if quality is not None:
        kind = quality.type
        if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            raise DataError(f"the quality column holds {kind}, it must hold numbers")
        values = pc.fill_null(quality.cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False) if len(quality) else np.zeros(0)
        score |= _ordinal(np.asarray(values, np.float64)) << _HIGH
    return Standing(score, string_hashes(ids))


def _ordinal(values: npt.NDArray[np.float64]) -> Words:
    """Numbers as 32-bit integers of the same order (of float32), uint64[rows]; NaN is 0."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32) + np.float32(0)  # -0 becomes 0
    bits = single.view(np.uint32).copy()
    negative = bits >> np.uint32(31) == 1
    ordered = np.where(negative, ~bits, bits | np.uint32(1 << 31))
    return np.where(np.isnan(single), 0, ordered).astype(np.uint64)


class Scratch:
    """Memory for one band after the other; asking the system for fresh pages each time took a tenth of all time."""

    def __init__(self, records: int) -> None:
        self.keys, self.order = np.empty(records, np.uint64), np.empty(records, np.uint32)
        self._pairs = np.empty(0, np.uint64)

    def pairs(self, room: int) -> Words:
        """Room for pairs; what it held is lost."""
        if room > len(self._pairs):
            self._pairs = np.empty(room + room // 4, np.uint64)
        return self._pairs


def repeated(key: Words, scratch: Scratch | None = None) -> tuple[Words, npt.NDArray[np.uint32]]:
    """The keys that come more than once, ascending, and the record of each.

    Keys are hashes: large columns are cut by the keys' first bits into parts that are sorted inside the processor's cache.
    """
    bits = max(len(key) // PART, 1).bit_length() - 1
    scratch = scratch or Scratch(len(key))
    keys, order = scratch.keys, scratch.order
    bounds = _partition(key, bits, keys, order)
    chosen_keys, chosen = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint32)]
    for start, stop in itertools.pairwise(bounds.tolist()):
        inside = np.argsort(keys[start:stop])
        part = keys[start:stop][inside]
        same = np.zeros(len(part) + 1, bool)
        same[1:-1] = part[1:] == part[:-1]
        again = same[1:] | same[:-1]
        chosen_keys.append(part[again])
        chosen.append(order[start:stop][inside[again]])
    return np.concatenate(chosen_keys), np.concatenate(chosen)


def pairs_of_buckets(key: Words, following: Words, ranking: Ranking, scratch: Scratch | None = None) -> Words:
    """Pairs of records with equal `key` that are to be compared, as (better << 32 | worse), indices of records.

    `ranking`: of the same records. A pair may come twice.
    """
    scratch = scratch or Scratch(len(key))
    keys, order = repeated(key, scratch)
    out = scratch.pairs(_room(keys, CROWD, ANCHORS))
    return out[: _bucket_pairs(keys, order, following, ranking.place, ranking.rows, CROWD, ANCHORS, out)].copy()


def all_pairs(keys: Words, active: Rows, who: Standing, room: int) -> Words | None:
    """Each pair of rows to be compared, once, ascending, as (better << 32 | worse); None if there are more than `room`.

    `keys`: uint64[rows, bands], best in Fortran order; `active`: the rows that take part.
    """
    everyone = len(active) == len(keys)
    ranking = (who if everyone else Standing(who.score[active], who.tie[active])).order()
    bands = keys.shape[1]

    def column(band: int) -> Words:
        values = keys[:, band % bands]
        return np.ascontiguousarray(values) if everyone else values[active]

    pairs, waiting, key, scratch = np.zeros(0, np.uint64), [], column(0), Scratch(len(active))
    for band in range(bands):
        following = column(band + 1)
        waiting.append(pairs_of_buckets(key, following, ranking, scratch))
        key = following
        if len(waiting) == MERGED or band == bands - 1:
            pairs = _distinct(np.concatenate([pairs, *waiting]))
            waiting.clear()
        if len(pairs) + sum(map(len, waiting)) > room:
            return None
    if everyone:
        return pairs
    named: Words = (active[pairs >> _HIGH].astype(np.uint64) << _HIGH) | active[pairs & _LOW].astype(np.uint64)
    return named


def _distinct(pairs: Words) -> Words:
    """The different values, ascending; sorts `pairs` in place."""
    pairs.sort()
    new = np.ones(len(pairs), bool)
    new[1:] = pairs[1:] != pairs[:-1]
    return pairs[new]


def pair_rows(pairs: Words) -> tuple[Rows, Rows, Rows]:
    """The rows that occur in pairs, ascending, and for each pair the places of its better and its worse row among them.

    The pairs come cluster by cluster, so that the sets of one cluster are compared while they are in the processor's cache:
    among 440,000 documents that took half the time of any other order.
    """
    better, worse = (pairs >> _HIGH).astype(np.int64), (pairs & _LOW).astype(np.int64)
    seen = np.zeros(int(max(better.max(initial=-1), worse.max(initial=-1))) + 1, bool)
    seen[better] = seen[worse] = True
    place = np.cumsum(seen) - 1
    rows = np.flatnonzero(seen)
    left, right = place[better], place[worse]
    order = np.argsort((_leaders(left, right, len(rows))[right] << np.int64(32)) | right)
    return rows, left[order], right[order]


@kernel
def _partition(key: Words, bits: Int, keys: Words, order: npt.NDArray[np.uint32]) -> Rows:
    """Write the keys and their indices to `keys` and `order`, by the first `bits` bits of the keys; the bounds of each part."""
    shift, parts = np.uint64(64 - bits), 1 << bits
    bounds = np.zeros(parts + 1, np.int64)
    for k in range(len(key)):
        bounds[(np.int64(key[k] >> shift) if bits else 0) + 1] += 1
    bounds = np.cumsum(bounds)
    at = bounds[:-1].copy()
    for k in range(len(key)):
        part = np.int64(key[k] >> shift) if bits else 0
        keys[at[part]], order[at[part]] = key[k], k
        at[part] += 1
    return bounds


@kernel
def _room(keys: Words, crowd: int, anchors: int) -> int:
    """How many pairs the runs of equal keys may have at most."""
    room, start = 0, 0
    for stop in range(1, len(keys) + 1):
        if stop == len(keys) or keys[stop] != keys[start]:
            count = stop - start
            room += count * (count - 1) // 2 if count <= crowd else count * (anchors + max(crowd // 2, anchors + 1))
            start = stop
    return room


@kernel
def _bucket_pairs(
    keys: Words, order: npt.NDArray[np.uint32], following: Words, rank: npt.NDArray[np.uint32], by_rank: npt.NDArray[np.uint32],
    crowd: Int, anchors: Int, out: Words,
) -> Int:  # fmt: skip
    """`keys` ascending, `order` the record of each; `by_rank` is the inverse of `rank`. Returns the number of pairs in `out`."""
    total: Int
    total, start = 0, 0
    for stop in range(1, len(keys) + 1):
        if stop < len(keys) and keys[stop] == keys[start]:
            continue
        if stop - start > crowd:
            members = by_rank[np.sort(rank[order[start:stop]])]
            total = _with_anchors(members, anchors, False, out, total)
            total = _parts(members, following, rank, by_rank, crowd, anchors, out, total)
        else:
            total = _everyone(order[start:stop], rank, out, total)
        start = stop
    return total


@kernel
def _parts(
    members: npt.NDArray[np.uint32], following: Words, rank: npt.NDArray[np.uint32], by_rank: npt.NDArray[np.uint32], crowd: Int,
    anchors: Int, out: Words, total: Int,
) -> Int:  # fmt: skip
    """Pairs inside the parts of a bucket that is split by the next band's key."""
    keys = following[members]
    order = np.argsort(keys)
    start = 0
    for stop in range(1, len(order) + 1):
        if stop < len(order) and keys[order[stop]] == keys[order[start]]:
            continue
        if stop - start > crowd:
            total = _with_anchors(by_rank[np.sort(rank[members[order[start:stop]]])], anchors, True, out, total)
        else:
            total = _everyone(members[order[start:stop]], rank, out, total)
        start = stop
    return total


@kernel
def _everyone(members: npt.NDArray[np.uint32], rank: npt.NDArray[np.uint32], out: Words, total: Int) -> Int:
    for i in range(1, len(members)):
        for j in range(i):
            one, other = members[i], members[j]
            if rank[other] < rank[one]:
                one, other = other, one
            out[total] = (np.uint64(one) << np.uint64(32)) | np.uint64(other)
            total += 1
    return total


@kernel
def _with_anchors(members: npt.NDArray[np.uint32], anchors: Int, neighbours: bool, out: Words, total: Int) -> Int:
    """Each with the first `anchors` and, if asked for, with its predecessor; `members` begins with the best."""
    for i in range(1, len(members)):
        for j in range(min(i, anchors)):
            out[total] = (np.uint64(members[j]) << np.uint64(32)) | np.uint64(members[i])
            total += 1
        if neighbours and i > anchors:
            out[total] = (np.uint64(members[i - 1]) << np.uint64(32)) | np.uint64(members[i])
            total += 1
    return total


@kernel
def _leaders(left: Rows, right: Rows, size: Int) -> Rows:
    """A row near each row's cluster's first one: enough to bring clusters together, two sweeps and no more."""
    lead = np.arange(size)
    for _ in range(2):
        for k in range(len(left)):
            least = min(lead[left[k]], lead[right[k]])
            lead[left[k]] = lead[right[k]] = least
    return lead
