"""Evidence: what class names, ids and short texts say of a block, learned over sites. A trial, not in the shipped model.

Input: `Sample`s of studies/extraction_model.py. Output: five more numbers for each block, and texts that are found with and
without them.

Method: every element of a page has entries: its id, each of its class tokens with its tag, figures made one. A block of few
units is an entry by its text. For each site, the share of an entry's units that is text; over sites, the log odds of that
share against all units (invented sites do not count: their names are ours). A page's own site is left out of what its blocks
are told (a site that trains the trees would recognise itself). A block gets the minimum, maximum and sum over the entries of
all elements around it, the mean of the nearest element that has any, and that of its own text. Texts are made of the blocks
above the threshold of the shipped extractor, without its rules for comments, rows and headings, which are compiled with its
own likelihoods: figures here compare with each other only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
from selectolax.lexbor import LexborHTMLParser
from studies import extraction_model as study

from skyloom.corpus.extract.select import BINS, LEAST, MOST

Floats = npt.NDArray[np.float64]

SHORT = 6  # units; a longer text is no label
PRIOR = 2.0
COLUMNS = 5
SKIPPED = ["script", "style", "noscript", "template"]


@dataclass(frozen=True)
class Clues:
    """A page's elements and blocks. `parents`: the element around each, -1 at the top, parents first; `entries`: of each element.

    `places`: the element of each block or -1; `labels`: the entry of each block's text or 0; `texts`, `units`: of each block.
    """

    sample: study.Sample
    texts: list[str]
    units: Floats
    places: list[int]
    labels: list[int]
    parents: list[int] = field(default_factory=list)
    entries: list[tuple[int, ...]] = field(default_factory=list)


def entry_of(text: str) -> int:
    """A name as a number; runs of figures are one figure, so that `post-12` and `post-7` are the same."""
    name = re.sub(r"\d+", "0", text.lower())
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) >> 1


def close(text: str) -> str:
    return "".join(text.split())


def clues(sample: study.Sample) -> Clues:
    """Find each block's element: texts are looked up in the text of the page's tree, in order."""
    texts = study.cut(sample.page)[0]
    units = study.labels(texts, sample.page.gold)[1]
    tree = LexborHTMLParser(sample.page.html or " ")
    tree.strip_tags(SKIPPED)
    number: dict[int, int] = {}
    parents: list[int] = []
    entries: list[tuple[int, ...]] = []
    pieces: list[str] = []
    owners: list[int] = []
    root = tree.body
    for node in root.traverse(include_text=True) if root is not None else ():
        above = number.get(node.parent.mem_id, -1) if node.parent is not None else -1
        if node.tag == "-text":
            pieces.append(close(node.text(deep=True)))
            owners.append(above)
        elif not (node.tag or "-").startswith("-"):
            number[node.mem_id] = len(parents)
            parents.append(above)
            names = [f"{node.tag}.{name}" for name in (node.attributes.get("class") or "").split()[:12]]
            names += [f"#{node.attributes['id']}"] if node.attributes.get("id") else []
            entries.append(tuple(entry_of(name) for name in names))
    whole, ends = "".join(pieces), np.cumsum([len(p) for p in pieces])
    places, at = [], 0
    for text in texts:
        key = close(text)
        found = whole.find(key, at) if key else -1
        places.append(owners[int(np.searchsorted(ends, found, side="right"))] if found >= 0 else -1)
        at = found + len(key) if found >= 0 else at
    short = [entry_of("=" + close(t)) if u <= SHORT else 0 for t, u in zip(texts, units, strict=True)]
    return Clues(sample, texts, units, places, short, parents, entries)


class Table:
    """For each entry on how many sites it stands and the sum of its shares over them, and each site's own shares."""

    def __init__(self, pages: Sequence[Clues]) -> None:
        sums: dict[str, dict[int, list[float]]] = {}
        total = np.zeros(2)
        for page in pages:
            site = sums.setdefault(page.sample.page.site, {})
            text = page.units * page.sample.labels
            total += [text.sum(), page.units.sum()]
            below = np.zeros((len(page.parents), 2))
            for place, label, one, all_ in zip(page.places, page.labels, text, page.units, strict=True):
                if place >= 0:
                    below[place] += one, all_
                if label:
                    _add(site, label, one, all_)
            for element in range(len(page.parents) - 1, -1, -1):
                if page.parents[element] >= 0:
                    below[page.parents[element]] += below[element]
                for name in page.entries[element]:
                    _add(site, name, *below[element])
        self.shares = {site: {k: t / u for k, (t, u) in found.items() if u} for site, found in sums.items()}
        self.sites: dict[int, list[float]] = {}
        for found in self.shares.values():
            for name, share in found.items():
                counted = self.sites.setdefault(name, [0.0, 0.0])
                counted[0] += 1
                counted[1] += share
        self.sites = {name: counted for name, counted in self.sites.items() if counted[0] > 1}
        self.base = float(np.clip(total[0] / max(total[1], 1), 0.01, 0.99))

    def odds(self, own: Mapping[int, float], name: int) -> float | None:
        """Log odds of an entry on all sites but the one of `own`, against those of all units; None if it is on no other."""
        counted = self.sites.get(name)
        if counted is None:
            return None
        count, text = counted[0] - (name in own), counted[1] - own.get(name, 0.0)
        if count < 1:
            return None
        base = self.base
        return float(np.log((text + PRIOR * base) / (count - text + PRIOR * (1 - base))) - np.log(base / (1 - base)))


def _add(site: dict[int, list[float]], name: int, text: float, units: float) -> None:
    counted = site.setdefault(name, [0.0, 0.0])
    counted[0] += text
    counted[1] += units


def columns(page: Clues, table: Table) -> npt.NDArray[np.float32]:
    """Minimum, maximum, sum, nearest, and that of its own text, of each block: float32[blocks, COLUMNS]."""
    own = table.shares.get(page.sample.page.site, {})
    around = np.zeros((len(page.parents), 4))
    for element, (parent, names) in enumerate(zip(page.parents, page.entries, strict=True)):
        low, high, total, near = around[parent] if parent >= 0 else np.zeros(4)
        known = [value for name in names if (value := table.odds(own, name)) is not None]
        if known:
            low, high, total, near = min(low, *known), max(high, *known), total + sum(known), sum(known) / len(known)
        around[element] = low, high, total, near
    out = np.zeros((len(page.texts), COLUMNS), np.float32)
    for block, (place, label) in enumerate(zip(page.places, page.labels, strict=True)):
        if place >= 0:
            out[block, :4] = around[place]
        out[block, 4] = (table.odds(own, label) if label else None) or 0.0
    return out


def least(p: Floats, units: Floats) -> float:
    """The likelihood from which on blocks are kept, as `select.threshold` has it."""
    place = (p * BINS).astype(np.int64)
    inside, true = (np.bincount(place, w, BINS + 1)[::-1].cumsum() for w in (units, p * units))
    best = float((2 * true / np.maximum(inside + true[-1], 1e-9)).max()) if len(p) else 1.0
    return min(max(best / 2, LEAST), MOST)


def kept(page: Clues, p: Floats) -> str:
    """The text of the blocks that are likely enough."""
    limit = least(p, page.units)
    return "\n\n".join(text for text, value in zip(page.texts, p, strict=True) if value > limit)


def compared(pages: Sequence[Clues], own: Sequence[Clues], trees: int) -> dict[str, list[str]]:
    """The texts of `pages`, cross-validated by site, with the study's features alone and with evidence."""
    found: dict[str, dict[str, str]] = {"blocks alone": {}, "with evidence": {}}
    for k in range(study.FOLDS):
        inside = [c for c in pages if study.fold(c.sample.page) == k]
        outside = [c for c in pages if study.fold(c.sample.page) != k] + list(own)
        table = Table([c for c in outside if c.sample.page.bench != "invented"]) if inside else None
        for name, texts in found.items() if table else ():
            more = table if name == "with evidence" else None
            lines = np.concatenate([_lines(c, more) for c in outside])
            truth, weights = (np.concatenate([getattr(c.sample, key) for c in outside]) for key in ("labels", "weights"))
            booster = lgb.train(study.PARAMETERS, lgb.Dataset(lines, truth, weight=weights / weights.mean()), trees)
            for page in inside:
                likely = np.asarray(booster.predict(_lines(page, more)), np.float64) if page.texts else np.zeros(0)
                texts[page.sample.page.id] = kept(page, likely)
    return {name: [texts[c.sample.page.id] for c in pages] for name, texts in found.items()}


def _lines(page: Clues, table: Table | None) -> Any:
    lines = page.sample.lines
    return lines if table is None else np.concatenate([lines, columns(page, table)], axis=1)
