"""The table of evidence: what class names, ids, short texts and headings say of a block, learned over sites.

Input: pages whose blocks are labelled. Output: log odds of being text for each entry (see `judge.name_evidence`), for a
model file or, without a page's own site, for the lines of that page.

Method: for each site the share of an entry's units that is text; over sites, the log odds of these shares against all units. A
page's own site is left out of what its blocks are told, because a site that trains the trees would recognise itself. Entries
of fewer than LEAST_SITES sites are unknown, and those whose odds say little are left out: the table of the model is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import entry
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.judge.ensemble import COLUMNS, table_of_evidence
from skyloom.corpus.extract.judge.name_evidence import EVIDENCE, gather, rank_of, tell, text_key
from skyloom.corpus.extract.tag_tables import tables
from skyloom.corpus.extract.walk import walk

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PRIOR = 4.0
LEAST_SITES = 4
LEAST_ODDS = 0.25


@dataclass(frozen=True)
class Entries:
    """What a page knows of entries: `keys` int64[entries], their `units` and text units (`true`), float64[entries]."""

    site: str
    keys: Ints
    units: Floats
    true: Floats


@entry
def _entries(data, page, table, out):  # type: ignore[no-untyped-def]
    """Fill out[entries, 3] with keys and the blocks that each covers, first and last + 1; returns their number."""
    walk(data, 0, len(data), page, table)
    n, count = 0, page.state[pg.BLOCKS]
    for e in range(page.state[pg.NODES]):
        row = page.nodes[e]
        if row[pg.FROM] < row[pg.TO]:
            for k in range(row[pg.NAMED], row[pg.NAMED_TO]):
                out[n, 0], out[n, 1], out[n, 2] = page.names[k], row[pg.FROM], row[pg.TO]
                n += 1
    for i in range(count):
        row = page.blocks[i]
        for k in range(row[pg.INLINE], row[pg.INLINE_TO]):
            out[n, 0], out[n, 1], out[n, 2] = page.names[k], i, i + 1
            n += 1
        key = text_key(page, i, False)
        if key:
            out[n, 0], out[n, 1], out[n, 2] = key, i, i + 1
            n += 1
        rank = rank_of(page, i)
        key = text_key(page, i, True) if rank else key
        if rank and key:
            last = i + 1
            while last < count and not 0 < rank_of(page, last) <= rank:
                last += 1
            out[n, 0], out[n, 1], out[n, 2] = key, i, last
            n += 1
    return n


@entry
def _told(data, page, table, keys, odds, out):  # type: ignore[no-untyped-def]
    """Fill out[blocks, EVIDENCE] for a page."""
    walk(data, 0, len(data), page, table)
    gather(page, keys, odds)
    for i in range(page.state[pg.BLOCKS]):
        tell(page, i, out[i], 0)


def page_bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode("utf-8", "replace") or b" ", np.uint8)


def entries(site: str, html: str, labels: Floats, units: Floats) -> Entries:
    """The entries of a page, each once, with the units of its blocks."""
    data = page_bytes(html)
    scratch = pg.scratch(len(data), len(COLUMNS))
    out = np.zeros((2 * len(scratch.blocks) + len(scratch.names), 3), np.int64)
    found = out[: _entries(data, scratch, tables(), out)]
    keys, place = np.unique(found[:, 0], return_inverse=True)
    sums = [np.concatenate([[0.0], np.cumsum(side)]) for side in (units, units * labels)]
    counted = [np.bincount(place, side[found[:, 2]] - side[found[:, 1]], len(keys)) for side in sums]
    return Entries(site, keys, counted[0], counted[1])


class Table:
    """Over the sites of some pages: how many sites an entry is on and the sum of its shares, and each site's own shares."""

    def __init__(self, pages: Sequence[Entries]) -> None:
        sites: dict[str, list[Entries]] = {}
        for page in pages:
            sites.setdefault(page.site, []).append(page)
        self.shares: dict[str, tuple[Ints, Floats]] = {}
        for site, of in sites.items():
            keys, place = np.unique(np.concatenate([p.keys for p in of]), return_inverse=True)
            units, true = (np.bincount(place, np.concatenate([getattr(p, k) for p in of]), len(keys)) for k in ("units", "true"))
            known = units > 0
            self.shares[site] = keys[known], true[known] / units[known]
        joined = [np.concatenate([s[k] for s in self.shares.values()]) for k in (0, 1)]
        self.keys, place = np.unique(joined[0], return_inverse=True)
        self.sites = np.bincount(place, minlength=len(self.keys)).astype(np.float64)
        self.text = np.bincount(place, joined[1], len(self.keys))
        total = sum(float(p.units.sum()) for p in pages)
        self.base = float(np.clip(sum(float(p.true.sum()) for p in pages) / max(total, 1), 0.01, 0.99))

    def of(self, site: str, present: Ints | None = None) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
        """Keys and log odds on all sites but this one, of all entries or of those `present` on a page."""
        asked = self.keys if present is None else present
        place = np.minimum(np.searchsorted(self.keys, asked), len(self.keys) - 1)
        asked, place = asked[self.keys[place] == asked], place[self.keys[place] == asked]
        sites, text = self.sites[place], self.text[place]
        if site in self.shares:
            keys, shares = self.shares[site]
            _, at, of = np.intersect1d(asked, keys, assume_unique=True, return_indices=True)
            sites[at] -= 1
            text[at] -= shares[of]
        kept = np.flatnonzero(sites >= LEAST_SITES - 0.5)
        count, share, base = sites[kept], text[kept], self.base
        odds = np.log((share + PRIOR * base) / (count - share + PRIOR * (1 - base))) - np.log(base / (1 - base))
        odds = np.round(100 * odds) / 100
        strong = np.abs(odds) >= LEAST_ODDS
        return asked[kept[strong]].astype(np.uint32), odds[strong].astype(np.float32)

    def exported(self) -> dict[str, Any]:
        """For a model file: keys in order, odds in hundredths."""
        keys, odds = self.of("")
        return {"keys": keys.tolist(), "odds": np.round(100 * odds).astype(int).tolist()}


def told(html: str, site: str, present: Ints, table: Table, blocks: int) -> npt.NDArray[np.float32]:
    """The evidence on the blocks of a page, its own site left out; `present`: the keys on the page. float32[blocks, EVIDENCE]."""
    keys, odds = table.of(site, present)
    data = page_bytes(html)
    out = np.zeros((blocks, len(EVIDENCE)), np.float32)
    _told(data, pg.scratch(len(data), len(COLUMNS)), tables(), *table_of_evidence(keys, odds), out)
    return out
