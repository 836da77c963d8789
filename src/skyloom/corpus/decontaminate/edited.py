"""The search for benchmark items of which a few units were changed: another number, another name, an identifier of code renamed.

Input: the items' hashed units, and hashed documents slice by slice. Output: where a document holds nearly all of an item: document,
item, first and last unit, and the units that differ. One changed unit breaks `n` n-grams, so that of a short item, or of one whose
name stands in every line, no n-gram is left. Here a run of `SEED` units that both have is the place to look, and the whole item is
then compared with the document by edit distance (units put in, left out or replaced) in a band around that place. An item is found
if at most `DIFFERS` of its units differ. Only items of `SHORTEST` to `LONGEST` units are compared: shorter ones stand everywhere in
nearly the same words, and longer ones keep enough n-grams.

Memory: 28 bytes for each unit of these items, 24 bytes for each seed found in a slice of text, and 200 for each of at most
half a million of them that are compared at once, times the items that share a seed.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Hashes, Ints, kernel
from skyloom.core.store import Store
from skyloom.core.units import UnitColumn
from skyloom.corpus.decontaminate.match import Lookup, find_grams, grams_of

SEED = 7
"""Units in a row that a document must share with an item to be compared with it."""
SHORTEST, LONGEST = 13, 160
"""Units of the items that are compared."""
DIFFERS = 0.2
"""Share of an item's units that may differ."""
BAND = 4
"""Units by which what stands before a place may have become longer or shorter."""
_AT_ONCE = 1 << 19
_ARRAYS = ("grams", "offsets", "owners", "places", "units", "bounds")


@dataclass(frozen=True)
class SeedIndex:
    """The seeds of the items and their units.

    `grams`: uint64[g], ascending; seed k is in the items owners[offsets[k]:offsets[k + 1]] (int32) at the units `places` (int32).
    Item i has units[bounds[i]:bounds[i + 1]] (uint64; none if it is not compared).
    """

    grams: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int32]
    places: npt.NDArray[np.int32]
    units: npt.NDArray[np.uint64]
    bounds: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: UnitColumn, common_items: int) -> SeedIndex:
        """Of all items. Seeds of more than `common_items` items are left out."""
        counts = np.where((column.counts >= SHORTEST) & (column.counts <= LONGEST), column.counts, 0)
        kept = np.repeat(counts > 0, column.counts)
        rows, places, grams = grams_of(column, np.flatnonzero(counts), SEED)
        order = np.lexsort((places, rows, grams))
        new = np.ones(len(order), bool)  # of a seed that an item repeats its first place
        new[1:] = (np.diff(grams[order]) != 0) | (np.diff(rows[order]) != 0)
        order = order[new]
        rows, places, grams = rows[order], places[order], grams[order]
        distinct, group, sizes = np.unique(grams, return_inverse=True, return_counts=True)
        rare = sizes <= common_items
        mine = rare[group]
        return cls(
            grams=distinct[rare],
            offsets=np.concatenate([[0], np.cumsum(sizes[rare])]).astype(np.int64),
            owners=rows[mine].astype(np.int32),
            places=places[mine].astype(np.int32),
            units=column.hashes[kept],
            bounds=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        )

    def save(self, out: Store) -> None:
        for name in _ARRAYS:
            with out.writing(f"seeds-{name}.npy") as file:
                np.save(cast(BinaryIO, file), getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, store: Store) -> SeedIndex:
        """The index in a folder; of a local one the arrays are mapped into memory, as those of `ItemIndex`."""
        arrays = {}
        for name in _ARRAYS:
            file = f"seeds-{name}.npy"
            place = store.path(file) if store.local else io.BytesIO(store.read_bytes(file))
            arrays[name] = np.asarray(np.load(place, mmap_mode="c" if store.local else None, allow_pickle=False))
        return cls(**arrays)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Units of each item that is compared, else 0; int64[items]."""
        return np.diff(self.bounds)

    @functools.cached_property
    def lookup(self) -> Lookup | None:
        """The seeds as the search wants them; made once in each process."""
        return Lookup.by_length(self.grams, np.full(len(self.grams), SEED, np.uint8)).get(SEED)


@dataclass(frozen=True)
class Edited:
    """Items in a slice of documents, each int64[found]: row, item, first unit, the unit after the last, and units that differ."""

    rows: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    differ: npt.NDArray[np.int64]

    def take(self, chosen: npt.NDArray[np.bool_]) -> Edited:
        return Edited(self.rows[chosen], self.items[chosen], self.starts[chosen], self.stops[chosen], self.differ[chosen])

    @classmethod
    def joined(cls, parts: Sequence[Edited]) -> Edited:
        names = ("rows", "items", "starts", "stops", "differ")
        return cls(*(np.concatenate([np.zeros(0, np.int64), *(getattr(p, n) for p in parts)]) for n in names))


def find_edited(column: UnitColumn, index: SeedIndex, first_row: int = 0) -> Edited:
    """The items that the documents of a column hold with few changes (or none). Rows are counted from `first_row`.

    Of places of one item that overlap in a document only the one with the fewest differences is given.
    """
    if index.lookup is None:
        return Edited.joined([])
    hits = find_grams(column, SEED, index.lookup)
    parts = [_tried(column, index, *(h[k : k + _AT_ONCE] for h in hits)) for k in range(0, len(hits[0]), _AT_ONCE)]
    return _best(np.concatenate([np.empty((0, 5), np.int64), *parts]), first_row)


def _tried(
    column: UnitColumn, index: SeedIndex, rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64], seeds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """What is found around these seeds: row, item, first unit, the unit after the last and units that differ, int64[found, 5]."""
    first, sizes = index.offsets[seeds], index.offsets[seeds + 1] - index.offsets[seeds]
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    slot = np.repeat(first, sizes) + within
    items = index.owners[slot].astype(np.int64)
    where = np.repeat(places, sizes) - index.places[slot]  # where the item would begin
    rows = np.repeat(rows, sizes)
    order = np.lexsort((where, items, rows))
    tried = np.stack([rows[order], items[order], where[order]], axis=1)
    found = np.empty((len(tried), 5), np.int64)
    count = _compare(column.hashes, column.offsets, index.units, index.bounds, tried, found)
    return found[:count].copy()


def _best(found: npt.NDArray[np.int64], first_row: int) -> Edited:
    kept: list[int] = []
    order = np.lexsort((found[:, 2], found[:, 4], found[:, 1], found[:, 0]))  # of one pair, the fewest differences first
    pair, taken = (-1, -1), list[tuple[int, int]]()
    for k in order.tolist():
        row, item, start, stop, _ = found[k].tolist()
        if (row, item) != pair:
            pair, taken = (row, item), []
        if all(stop <= a or start >= b for a, b in taken):
            taken.append((start, stop))
            kept.append(k)
    chosen = found[np.array(kept, np.int64)]
    return Edited(chosen[:, 0] + first_row, chosen[:, 1], chosen[:, 2], chosen[:, 3], chosen[:, 4])


@kernel
def _compare(units: Hashes, offsets: Ints, known: Hashes, bounds: Ints, tried: Ints, found: Ints) -> int:
    """Edit distance of each item to the text at the place where it would begin; those near enough into `found`. Their number.

    `tried`: row, item and place, sorted; places of one pair at most `BAND` behind one that was compared are passed over, if its
    band holds them.
    """
    wide = 2 * BAND + 1
    costs, begins = np.empty(wide, np.int64), np.empty(wide, np.int64)
    count, last_row, last_item, last_place = 0, -1, -1, np.int64(0)
    for k in range(len(tried)):
        row, item, place = tried[k, 0], tried[k, 1], tried[k, 2]
        if row == last_row and item == last_item and place - last_place <= BAND // 2:
            continue
        last_row, last_item, last_place = row, item, place
        low, high = offsets[row], offsets[row + 1]
        begin, size = bounds[item], bounds[item + 1] - bounds[item]
        limit = np.int64(size * DIFFERS)
        for b in range(wide):
            costs[b], begins[b] = 0, place - BAND + b
        near = True
        for i in range(size):
            unit, least, left, left_begin = known[begin + i], limit + 1, limit + 1, np.int64(0)
            for b in range(wide):  # a cell: the first i + 1 units of the item, and the text up to place - BAND + b + i
                at = low + place - BAND + b + i
                same = low <= at < high and units[at] == unit
                cost, origin = costs[b] + (0 if same else 1), begins[b]
                if b + 1 < wide and costs[b + 1] + 1 < cost:
                    cost, origin = costs[b + 1] + 1, begins[b + 1]
                if left + 1 < cost:
                    cost, origin = left + 1, left_begin
                costs[b], begins[b], left, left_begin = cost, origin, cost, origin
                least = min(least, cost)
            if least > limit:
                near = False
                break
        if not near:
            continue
        best = 0
        for b in range(1, wide):
            if costs[b] < costs[best] or (costs[b] == costs[best] and abs(b - BAND) < abs(best - BAND)):
                best = b
        start = max(begins[best], 0)
        stop = min(place - BAND + best + size, high - low)
        if costs[best] <= limit and stop > start:
            found[count, 0], found[count, 1], found[count, 2], found[count, 3], found[count, 4] = (
                row,
                item,
                start,
                stop,
                costs[best],
            )
            count += 1
    return count
