"""The n-gram index of benchmark items, and the search for them in documents: which item leaked, where, and how much of it.

Input: items (item_sets.py) once and text columns shard by shard. Output: a verdict for each document and a table of spans. An
item is known by its n-grams of units (13 Han characters or words), compared without case, punctuation, white space and width,
so that a leak in a Chinese paragraph without spaces is found like an English one. An item of fewer units is known as a whole,
one of fewer than `shortest` units not at all: "which of these is true?" stands everywhere.

Phrases that many share prove nothing. N-grams of more than `common_items` items (instructions, frames of questions) are dropped
from the index, and those of more than `common_documents` documents of the corpus (a quoted law, a proverb) count only where a
document holds nearly all of an item. The latter needs a first pass over the corpus: `count_documents` of each shard, summed by
`merge_counts`, which is associative. Without it every n-gram left in the index counts.

A document is contaminated by an item if the n-grams that both have cover `contained` of the item's units, common phrases left
out, or nearly all of them (`WHOLE`), common or not, or a passage of `passage` units. Units are counted, not n-grams: one word
changed in the middle breaks thirteen n-grams, but no more than a few units beside it go uncovered. Where the changes leave too few
n-grams (short items; a name that stands in every sentence), items are compared unit by unit (`edited.py`).

The index is a few sorted arrays in a Store, mapped into memory by every worker. Memory: 20 bytes for each distinct n-gram of the
items, 28 for each of their units, and 12 bytes for each unit of a slice of 32 MB of text.
"""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.errors import DataError
from skyloom.core.store import Store
from skyloom.core.units import hash_units
from skyloom.corpus.decontaminate.config import DecontaminationConfig
from skyloom.corpus.decontaminate.edited import Edited, SeedIndex, find_edited
from skyloom.corpus.decontaminate.match import Lookup, find_grams, grams_of, narrow, unit_places
from skyloom.corpus.text import Texts, slices

_ARRAYS = ("grams", "offsets", "owners", "sizes", "units", "lengths")
WHOLE = 0.8
"""Share of an item's units, common phrases included, that is the item itself."""
MOST = 2**31 - 1
"""N-grams and items of an index: their numbers are int32."""
LEAST = 15
"""Units of an item, common phrases left out, below which a share proves nothing: a proverb, half a verse."""

SPANS = pa.schema(
    [
        ("document", pa.string()),
        ("start", pa.int64()),  # characters of the document's text (in NFC)
        ("stop", pa.int64()),
        ("benchmark", pa.string()),
        ("item", pa.string()),
        ("ngrams", pa.int64()),  # n-grams of the item that lie in the span
        ("share", pa.float64()),  # of the item's units that n-grams of the document cover, 0 to 1
    ]
)


@dataclass(frozen=True)
class ItemIndex:
    """The items' n-grams.

    `grams`: uint64[g], ascending. `offsets`: int64[g + 1] and `owners`: int32[...]: gram k is in the items
    owners[offsets[k]:offsets[k + 1]]. `sizes` and `units`: int64[items], n-grams of each item that are in the index, and the units
    that they cover. `lengths`: uint8[g], units of each n-gram. `items`: benchmark and item of each number. `seeds`: to find items
    of which a few units were changed.
    """

    grams: npt.NDArray[np.uint64]
    offsets: npt.NDArray[np.int64]
    owners: npt.NDArray[np.int32]
    sizes: npt.NDArray[np.int64]
    units: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.uint8]
    items: pa.Table
    seeds: SeedIndex

    def save(self, out: Store) -> None:
        """Write the index as a folder of .npy files and `items.parquet`."""
        for name in _ARRAYS:
            with out.writing(f"{name}.npy") as file:
                np.save(cast(BinaryIO, file), getattr(self, name), allow_pickle=False)
        out.write_table("items.parquet", self.items)
        self.seeds.save(out)

    @classmethod
    def load(cls, store: Store) -> ItemIndex:
        """The index in a folder; of a local one the arrays are mapped into memory and shared by all processes that do so.

        They are mapped for writing (nothing is written, and the file would not change): numba compiles every kernel once more for
        arrays that cannot be written, which takes seconds."""
        arrays = {}
        for name in _ARRAYS:
            place = store.path(f"{name}.npy") if store.local else io.BytesIO(store.read_bytes(f"{name}.npy"))
            arrays[name] = np.asarray(np.load(place, mmap_mode="c" if store.local else None, allow_pickle=False))
        return cls(**arrays, items=store.read_table("items.parquet"), seeds=SeedIndex.load(store))

    @functools.cached_property
    def lookups(self) -> dict[int, Lookup]:
        """The n-grams as the search wants them, by their length; made once in each process."""
        return Lookup.by_length(self.grams, self.lengths)

    @property
    def unsearchable(self) -> list[tuple[str, str]]:
        """Benchmark and id of the items that are too short, or made of phrases that many items share."""
        lost = self.items.filter(pa.array(self.sizes == 0))
        return list(zip(lost["benchmark"].to_pylist(), lost["item"].to_pylist(), strict=True))


def build_index(items: pa.Table, config: DecontaminationConfig) -> ItemIndex:
    """The index of a table ITEMS. DataError if no item is long enough to be searched for, or if there is more than `MOST`."""
    column = hash_units(narrow(items["text"]))
    lengths = np.minimum(column.counts, config.n)
    parts = [_Hits(*(np.zeros(0, np.int64),) * 3, np.zeros(0, np.uint64))]
    for length in np.unique(lengths[lengths >= config.shortest]).tolist():
        parts.append(_Hits.of(*grams_of(column, np.flatnonzero(lengths == length), length), length))
    everywhere = _Hits.joined(parts)
    order = np.lexsort((everywhere.rows, everywhere.grams))
    gram, owner = everywhere.grams[order], everywhere.rows[order]
    new = np.ones(len(gram), bool)
    new[1:] = (gram[1:] != gram[:-1]) | (owner[1:] != owner[:-1])
    gram, owner = gram[new], owner[new]
    distinct, first, counts = np.unique(gram, return_index=True, return_counts=True)
    kept = counts <= config.common_items
    owner, counts = owner[np.repeat(kept, counts)], counts[kept]
    if not len(owner):
        raise DataError(
            f"none of {len(items)} items can be searched for: they have fewer than {config.shortest} units (shortest), or share "
            "all of their n-grams with many others (common_items); are the fields of the item sets the right ones?"
        )
    if max(len(counts), len(items)) > MOST:
        raise DataError(
            f"{len(items):,} benchmark items have {len(counts):,} different n-grams; an index holds at most {MOST:,} of each: "
            "name fewer or smaller item sets"
        )
    sizes = np.bincount(owner, minlength=len(items)).astype(np.int64)
    known = everywhere.take(kept[np.searchsorted(distinct, everywhere.grams)])
    return ItemIndex(
        grams=distinct[kept],
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        owners=owner.astype(np.int32),
        sizes=sizes,
        units=_covered(known.rows, known.places, known.lengths, len(items)),
        lengths=everywhere.lengths[order][new][first[kept]].astype(np.uint8),
        items=items.select(["benchmark", "item"]),
        seeds=SeedIndex.of(column, config.common_items),
    )


@dataclass(frozen=True)
class _Hits:
    """N-grams in a slice of texts: row, first unit, length in units and the gram, each [hits]; by row and first unit ascending.
    `grams` are hashes, uint64, or places in an index, int64."""

    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    grams: npt.NDArray[Any]

    @classmethod
    def of(cls, rows: npt.NDArray[np.int64], places: npt.NDArray[np.int64], grams: npt.NDArray[Any], length: int) -> _Hits:
        return cls(rows, places, np.full(len(rows), length, np.int64), grams)

    @classmethod
    def joined(cls, parts: list[_Hits]) -> _Hits:
        rows, places, lengths, grams = (
            np.concatenate([getattr(p, f) for p in parts]) for f in ("rows", "places", "lengths", "grams")
        )
        order = np.lexsort((places, rows))
        return cls(rows, places, lengths, grams).take(order)

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> _Hits:
        return _Hits(self.rows[chosen], self.places[chosen], self.lengths[chosen], self.grams[chosen])


def _find(texts: Texts, index: ItemIndex, edited: bool = False) -> tuple[_Hits, Edited]:
    """The n-grams of the index that stand in the texts, and where `edited` is set the items of which a few units were changed."""
    parts, near = [_Hits(*(np.zeros(0, np.int64),) * 4)], list[Edited]()
    for start, stop in slices(texts):
        column = hash_units(narrow(texts.slice(start, stop - start)))
        for length, lookup in index.lookups.items():
            rows, places, grams = find_grams(column, length, lookup)
            parts.append(_Hits.of(rows + start, places, grams, length))
        if edited:
            near.append(find_edited(column, index.seeds, start))
    return _Hits.joined(parts), Edited.joined(near)


def _covered(
    owners: npt.NDArray[np.int64], places: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], number: int
) -> npt.NDArray[np.int64]:
    """Units under the n-grams of each owner, int64[number]; owners ascending, and places within each."""
    reach = lengths.copy()
    same = owners[1:] == owners[:-1]
    reach[:-1][same] = np.minimum(reach[:-1], places[1:] - places[:-1])[same]
    return np.bincount(owners, weights=reach, minlength=number).astype(np.int64)


def count_documents(texts: Texts, index: ItemIndex) -> npt.NDArray[np.int64]:
    """In how many of these documents each n-gram of the index stands, int64[grams]."""
    return _count(_find(texts, index)[0], index)


def _count(hits: _Hits, index: ItemIndex) -> npt.NDArray[np.int64]:
    once = np.unique(hits.rows * len(index.grams) + hits.grams)
    return np.bincount(once % len(index.grams), minlength=len(index.grams)).astype(np.int64)


@dataclass(frozen=True)
class Glance:
    """What one look at documents shows: `counts`, int64[grams], as `count_documents`, and `suspects`, bool[rows], those that hold
    anything of an item. Only they can be judged contaminated, whatever is common in the rest of the corpus."""

    counts: npt.NDArray[np.int64]
    suspects: npt.NDArray[np.bool_]


def glance_at(texts: Texts, index: ItemIndex) -> Glance:
    """Count the n-grams of the index, and pick the documents that are worth a judgement."""
    hits, near = _find(texts, index, edited=True)
    suspects = np.zeros(len(texts), bool)
    suspects[hits.rows], suspects[near.rows] = True, True
    return Glance(_count(hits, index), suspects)


def merge_counts(parts: Iterable[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """The sum of the counts of shards. ValueError if there are none."""
    total: npt.NDArray[np.int64] | None = None
    for part in parts:
        total = part.copy() if total is None else total + part
    if total is None:
        raise ValueError("no counts to merge")
    return total


@dataclass(frozen=True)
class Contamination:
    """`reason`: string[rows], "contaminated: <benchmark>" or null. `spans`: a table SPANS of what speaks for it."""

    reason: pa.Array
    spans: pa.Table


def judge_contamination(
    ids: Texts, texts: Texts, index: ItemIndex, config: DecontaminationConfig, counts: npt.NDArray[np.int64] | None = None
) -> Contamination:
    """Which documents hold an item, by the rule in the module's docstring.

    `counts`: int64[grams], in how many documents of the whole corpus each n-gram stands (`merge_counts`); None: none is common.
    A document that holds several items is named after the one of which it has the largest share.
    """
    hits, near = _find(texts, index, edited=True)
    common = np.zeros(len(index.grams), bool) if counts is None else counts > config.common_documents
    pairs = _pairs(hits, index, common)
    part = (pairs.uncommon >= config.contained) & (pairs.covered >= LEAST)
    guilty = pairs.take(part | (pairs.share >= WHOLE) | (pairs.longest >= config.passage))
    key = len(index.sizes)
    near = near.take(~np.isin(near.rows * key + near.items, guilty.rows * key + guilty.items))
    near_share = 1 - near.differ / np.maximum(index.seeds.sizes[near.items], 1)
    rows, items = np.concatenate([guilty.rows, near.rows]), np.concatenate([guilty.items, near.items])
    share = np.concatenate([guilty.share, near_share])
    reasons: list[str | None] = [None] * len(texts)
    benchmarks = index.items["benchmark"].to_pylist()
    for k in np.lexsort((-items, share)).tolist():  # the largest share is written last
        reasons[int(rows[k])] = f"contaminated: {benchmarks[int(items[k])]}"
    return Contamination(pa.array(reasons, pa.string()), _spans(ids, texts, hits, index, guilty, near, near_share))


@dataclass(frozen=True)
class _Pairs:
    """Document and item that share n-grams, each [pairs]. Of the item's units: `share`, how many the n-grams of the document cover;
    `uncommon`, the same without common n-grams, and `covered` in units. `longest`: the longest passage without common n-grams."""

    rows: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    share: npt.NDArray[np.float64]
    uncommon: npt.NDArray[np.float64]
    covered: npt.NDArray[np.int64]
    longest: npt.NDArray[np.int64]

    def take(self, chosen: npt.NDArray[np.bool_]) -> _Pairs:
        return _Pairs(*(getattr(self, f.name)[chosen] for f in fields(self)))


def _expanded(hits: _Hits, index: ItemIndex) -> tuple[_Hits, npt.NDArray[np.int64]]:
    """The hits, once for each item that has the gram, and the items."""
    first, sizes = index.offsets[hits.grams], index.offsets[hits.grams + 1] - index.offsets[hits.grams]
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    chosen = np.repeat(np.arange(len(sizes)), sizes)
    return hits.take(chosen), index.owners[np.repeat(first, sizes) + within].astype(np.int64)


def _pairs(hits: _Hits, index: ItemIndex, common: npt.NDArray[np.bool_]) -> _Pairs:
    hits, items = _expanded(hits, index)
    keys, pair = np.unique(hits.rows * len(index.sizes) + items, return_inverse=True)
    order = np.lexsort((hits.places, pair))
    _, first = np.unique(pair[order] * len(index.grams) + hits.grams[order], return_index=True)
    order = order[np.sort(first)]  # an n-gram that the document repeats counts once
    hits, pair, number = hits.take(order), pair[order], len(keys)
    rows, items = keys // len(index.sizes), keys % len(index.sizes)
    share = _covered(pair, hits.places, hits.lengths, number) / np.maximum(index.units[items], 1)
    rare = ~common[hits.grams]
    hits, pair = hits.take(rare), pair[rare]
    weights = np.repeat(~common, np.diff(index.offsets)).astype(np.float64)
    left = np.bincount(index.owners, weights=weights, minlength=len(index.sizes)) / np.maximum(index.sizes, 1)
    covered = _covered(pair, hits.places, hits.lengths, number)
    uncommon = covered / np.maximum(left * index.units, 1)[items]
    new = np.ones(len(pair), bool)
    new[1:] = (hits.places[1:] != hits.places[:-1] + 1) | (pair[1:] != pair[:-1])
    longest = np.zeros(number, np.int64)
    np.maximum.at(longest, pair[new], np.bincount(np.cumsum(new) - 1) + hits.lengths[new] - 1)
    return _Pairs(rows, items, np.minimum(share, 1), np.minimum(uncommon, 1), covered, longest)


def _spans(
    ids: Texts,
    texts: Texts,
    hits: _Hits,
    index: ItemIndex,
    guilty: _Pairs,
    near: Edited,
    near_share: npt.NDArray[np.float64],
) -> pa.Table:
    """Where the items of the guilty pairs stand: runs of their n-grams that overlap or touch are one span; and the edited ones."""
    found: list[tuple[str, int, int, str, str, int, float]] = []
    names = (index.items["benchmark"].to_pylist(), index.items["item"].to_pylist())
    for row in np.unique(np.concatenate([guilty.rows, near.rows])).tolist():
        own, items = _expanded(hits.take(np.flatnonzero(hits.rows == row)), index)
        starts, stops = unit_places(texts[row].as_py())
        for k in np.flatnonzero(guilty.rows == row).tolist():
            item = int(guilty.items[k])
            mine = np.flatnonzero(items == item)
            order = np.argsort(own.places[mine], kind="stable")
            first, lengths = own.places[mine][order], own.lengths[mine][order]
            new = np.ones(len(first), bool)
            new[1:] = first[1:] > first[:-1] + lengths[:-1]
            bounds = [*np.flatnonzero(new).tolist(), len(first)]
            for a, b in itertools.pairwise(bounds):
                begin, end = starts[int(first[a])], stops[int(first[b - 1] + lengths[b - 1]) - 1]
                found.append((ids[row].as_py(), begin, end, names[0][item], names[1][item], b - a, float(guilty.share[k])))
        for k in np.flatnonzero(near.rows == row).tolist():
            item, first_unit, last = int(near.items[k]), int(near.starts[k]), int(near.stops[k])
            inside = (items == item) & (own.places >= first_unit) & (own.places + own.lengths <= last)
            where = (starts[first_unit], stops[last - 1])
            found.append((ids[row].as_py(), *where, names[0][item], names[1][item], int(inside.sum()), float(near_share[k])))
    return pa.table([pa.array([f[k] for f in found], field.type) for k, field in enumerate(SPANS)], SPANS)
