"""The trees that judge the blocks of a page, and the likelihood of each that it is text (report 3.1).

Input: a `Page` that `walk` has filled. Output: `page.p`. A small ensemble of trees reads the features of a block and the evidence
on it; a second one reads these and what the first thought of the blocks around (`second_pass`). `model.json` is made by
studies/extraction_model.py.
"""

from __future__ import annotations

import functools
import json
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from skyloom.core.kernels import Floats, Floats32, Int, Ints, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.features import FEATURES, describe, describe_page, prepare
from skyloom.corpus.extract.hidden import DROP, settle_hidden
from skyloom.corpus.extract.judge.name_evidence import EVIDENCE, Keys, gather, tell
from skyloom.corpus.extract.judge.second_pass import CONTEXT, NO_BLOCK, look_around, surroundings
from skyloom.corpus.extract.tag_tables import Tables

COLUMNS = (*FEATURES, *EVIDENCE, *CONTEXT)
"""The names of all numbers of a block; the first trees see those up to FIRST."""
_EVIDENCE_AT, FIRST = len(FEATURES), len(FEATURES) + len(EVIDENCE)
RULES = ("comments", "headings")
"""The rules of `select` that a model may switch off: readers' comments go, headings stay and go with their text."""
EARLY, SETTLED = 40, 3.5
LANES = 8
"""Trees that are gone down at once; EARLY is a multiple of it."""
_HALF, _UPPER, _LOWER = 16, np.uint64(16), np.uint64(0xFFFF)
NO_ENTRIES = 2
"""Slots of a table of evidence that holds nothing."""
HOPELESS = -3.0
"""The log odds below which a block is not looked at again."""


class Forest(NamedTuple):
    """An ensemble of trees as arrays; the sum of one leaf of each tree is a block's log odds.

    A node compares a feature with its `limit` (float32): a value up to the limit goes on at the node's first child, the rest at the
    second, which is the next node. `split`: uint32, the feature in the upper half and the first child in the lower one. A leaf is
    its own child, with no limit, and has a `value` (float32); that of another node is 0. `roots`: the first node of each tree,
    uint32[a multiple of LANES]; the last trees may be a leaf of 0.
    """

    split: Keys
    limit: Floats32
    value: Floats32
    roots: Keys


class Model(NamedTuple):
    """Two ensembles, of which the second may be empty; the table of evidence in open addressing; RULES, 1 where they hold."""

    first: Forest
    second: Forest
    keys: Keys  # uint32[a power of two]
    odds: Floats32  # float32 beside
    rules: Ints  # int64[RULES]


@functools.cache
def model() -> Model:
    """The model that ships with Skyloom, see studies/extraction_model.py."""
    data = json.loads((resources.files("skyloom.corpus.extract.judge") / "model.json").read_text("utf-8"))
    return pack(data)


def pack(data: dict[str, Any]) -> Model:
    """The arrays of a model file: a forest, "second": another, "evidence": {"keys", "odds"}, "rules": the names of those that hold.

    A forest is {"features": names, "trees": [{"feature", "limit", "low", "high", "value"}]}; odds are in hundredths.
    """
    evidence = data.get("evidence", {"keys": [], "odds": []})
    keys, odds = table_of_evidence(np.array(evidence["keys"], np.uint32), np.array(evidence["odds"], np.float32) / np.float32(100))
    rules = np.array([name in data.get("rules", RULES) for name in RULES], np.int64)
    return Model(_forest(data), _forest(data.get("second", {"features": [], "trees": []})), keys, odds, rules)


def _forest(data: dict[str, Any]) -> Forest:
    number = {name: n for n, name in enumerate(COLUMNS)}
    names, roots = [number[n] for n in data["features"]], list[int]()
    split, limit, value = list[int](), list[float](), list[float]()
    trees = data["trees"] + [{"feature": [], "value": [0.0]}] * (-len(data["trees"]) % LANES)
    for tree in trees:
        roots.append(len(split))
        rows = [0 if tree["feature"] else -1]  # of the tree's nodes by level: an inner node, or -1 - leaf
        for row in rows:
            if row < 0:
                split.append(len(split))
                limit.append(np.inf)
                value.append(tree["value"][-1 - row])
            else:
                split.append(names[tree["feature"][row]] << _HALF | roots[-1] + len(rows))
                limit.append(tree["limit"][row])
                value.append(0.0)
                rows += [tree["low"][row], tree["high"][row]]
    if len(split) > 1 << _HALF:
        raise ValueError(f"a forest of {len(split):,} nodes; it may have {1 << _HALF:,}")
    return Forest(np.array(split, np.uint32), np.array(limit, np.float32), np.array(value, np.float32), np.array(roots, np.uint32))


def table_of_evidence(keys: Keys, odds: Floats32) -> tuple[Keys, Floats32]:
    """Open addressing over different keys (uint32, not 0), at most half full: (keys, odds)."""
    size = 1 << max(2 * len(keys), 1).bit_length()
    slots, values = np.zeros(size, np.uint32), np.zeros(size, np.float32)
    left = np.arange(len(keys))
    place = keys.astype(np.int64) & (size - 1)
    while len(left):  # all try their place at once; the first of those that meet in a free one stays
        free = slots[place] == 0
        chosen, first = np.unique(place[free], return_index=True)
        ours = np.flatnonzero(free)[first]
        slots[chosen], values[chosen] = keys[left[ours]], odds[left[ours]]
        rest = np.ones(len(left), np.bool_)
        rest[ours] = False
        left, place = left[rest], (place[rest] + 1) & (size - 1)
    return slots, values


@inner
def odds(line: Floats32, trees: Forest) -> np.float32:
    """The log odds of a block whose line is float32[COLUMNS]; those that are SETTLED after EARLY trees are left there.

    LANES trees are gone down at once, so that the processor waits for the memory of all together and no step is a branch to guess.
    """
    total = np.float32(0)
    for t in range(0, len(trees.roots), LANES):
        if t == EARLY and abs(total) > SETTLED:
            break
        a, b, c, d = _root(trees, t), _root(trees, t + 1), _root(trees, t + 2), _root(trees, t + 3)
        e, f, g, h = _root(trees, t + 4), _root(trees, t + 5), _root(trees, t + 6), _root(trees, t + 7)
        moved = True
        while moved:
            a_, b_, c_, d_ = _child(line, trees, a), _child(line, trees, b), _child(line, trees, c), _child(line, trees, d)
            e_, f_, g_, h_ = _child(line, trees, e), _child(line, trees, f), _child(line, trees, g), _child(line, trees, h)
            moved = (a ^ a_) | (b ^ b_) | (c ^ c_) | (d ^ d_) | (e ^ e_) | (f ^ f_) | (g ^ g_) | (h ^ h_) != 0
            a, b, c, d, e, f, g, h = a_, b_, c_, d_, e_, f_, g_, h_
        for leaf in (a, b, c, d, e, f, g, h):
            total += trees.value[leaf]
    return total


@inner
def _root(trees: Forest, t: Int) -> np.uint64:
    return np.uint64(trees.roots[t])


@inner
def _child(line: Floats32, trees: Forest, node: np.uint64) -> np.uint64:
    """Where a line goes on from a node; a leaf is its own child."""
    split = np.uint64(trees.split[node])
    return np.uint64((split & _LOWER) + np.uint64(not line[split >> _UPPER] <= trees.limit[node]))


@inner
def judge(page: pg.Page, table: Tables, trees: Model, roles: Floats) -> None:
    """Set `page.p`, the likelihood of each block; 0 for what is hidden."""
    count, lines = page.state[pg.BLOCKS], page.lines
    settle_hidden(page)
    prepare(page, table, roles)
    evidence = len(trees.keys) > NO_ENTRIES
    if evidence:
        gather(page, trees.keys, trees.odds)
    describe_page(page, roles, page.row)
    for i in range(count):
        page.p[i], page.z[i] = 0, NO_BLOCK
        if page.nodes[page.blocks[i, pg.NODE], pg.HIDE] & DROP:
            continue
        row = page.row
        if i < len(lines):
            row = lines[i]
            for k in range(len(row)):
                row[k] = page.row[k]  # the end of a line is the page's
        describe(page, i, roles, row)
        if evidence:
            tell(page, i, row, _EVIDENCE_AT)
        page.z[i] = odds(row, trees.first)
        page.p[i] = 1 / (1 + np.exp(-page.z[i]))
    if len(trees.second.roots) == 0:
        return
    look_around(page)
    for i in range(count):
        if page.z[i] < HOPELESS:  # hidden ones too
            continue
        row = lines[i] if i < len(lines) else page.row
        if i >= len(lines):
            describe(page, i, roles, row)
            if evidence:
                tell(page, i, row, _EVIDENCE_AT)
        surroundings(page, i, row, FIRST)
        page.p[i] = 1 / (1 + np.exp(-odds(row, trees.second)))
