"""The second pass: what the first one thought of a block's neighbours, of the elements around it, and of blocks like it.

Input: a `Page` with the log odds of a first pass. Output: numbers for each block, with which a second ensemble of trees decides.
Method: stacking with context: a block whose brothers of a template are text is text, whatever it says itself.
"""

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import GOLDEN, Floats32, Int, inner, mix
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.features import LEVELS, first_level
from skyloom.corpus.extract.judge.name_evidence import rank_of

NEAR = (1, 2, 3)
WINDOWS = (3, 8, 20)
FAR = 30
NO_BLOCK = -9.0
CONTEXT = (
    "odds", *(f"odds_{sign}{n}" for n in NEAR for sign in "-+"), *(f"likely_near_{n}" for n in WINDOWS),
    *(f"likely_{n}" for n in range(1, LEVELS + 1)), *(f"likely_family_{n}" for n in range(1, LEVELS + 1)),
    *(f"likely_before_{n}" for n in (1, 2)), *(f"likely_after_{n}" for n in (1, 2)),
    "likely_kin", "kin", "likely_place", "likely_page", "likely_units", "odds_heading", "likely_section", "text_before",
    "text_after",
)  # fmt: skip
"""The names of the numbers, in their order."""


@inner
def look_around(page: pg.Page) -> None:
    """Fill the running sums, families, kin and headings that `surroundings` reads, from `page.z` and `page.p`."""
    nodes, blocks, likely = page.nodes, page.blocks, page.likely
    count = page.state[pg.BLOCKS]
    likely[0] = likely[1] = 0
    keys, sums = page.families, page.kin_sums
    for e in range(page.state[pg.NODES]):  # the first pass has read the families' keys; their sums are in slots of the elements
        slot = nodes[e, pg.FAMILY]
        if slot >= 0:
            page.family_likely[slot, 0] = page.family_likely[slot, 1] = 0
    keys[:] = 0
    heading = -1
    for i in range(count):
        row = blocks[i]
        units = np.float64(max(row[pg.UNITS], 1))
        likely[2 * i + 2], likely[2 * i + 3] = likely[2 * i] + units, likely[2 * i + 1] + units * page.p[i]
        if rank_of(page, i):
            heading = i
        page.headings[i] = heading
        node = row[pg.NODE]
        key = page.family[node] * GOLDEN + np.uint64(row[pg.BTAG])
        if nodes[node, pg.PARENT] >= 0:
            key ^= mix(page.family[nodes[node, pg.PARENT]])
        key = mix(key) | np.uint64(1)
        slot = np.int64(key >> np.uint64(50))
        tries = 0
        while keys[slot] != 0 and keys[slot] != key and tries < 16:
            slot = (slot + 1) % pg.HASHES
            tries += 1
        if keys[slot] == 0:
            keys[slot] = key
            sums[slot, 0] = sums[slot, 1] = sums[slot, 2] = 0
        sums[slot, 0] += units
        sums[slot, 1] += units * page.p[i]
        sums[slot, 2] += 1
        page.kin[i] = slot
    for e in range(page.state[pg.NODES]):
        slot = nodes[e, pg.FAMILY]
        if slot >= 0:
            a, b = 2 * nodes[e, pg.FROM], 2 * nodes[e, pg.TO]
            page.family_likely[slot, 0] += likely[b] - likely[a]
            page.family_likely[slot, 1] += likely[b + 1] - likely[a + 1]


@inner
def _share(page: pg.Page, a: Int, b: Int) -> float:
    """The likely part of the units of blocks a..b - 1; -1 if there are none."""
    if b <= a:
        return -1.0
    part: float = (page.likely[2 * b + 1] - page.likely[2 * a + 1]) / (page.likely[2 * b] - page.likely[2 * a])
    return part


@inner
def surroundings(page: pg.Page, i: Int, out: Floats32, at: Int) -> None:
    """Fill out[at:] with the line of block i of a page that `look_around` has read."""
    nodes, z, likely, count = page.nodes, page.z, page.likely, page.state[pg.BLOCKS]
    total, true = likely[2 * count], likely[2 * count + 1]
    out[at] = z[i]
    for n in range(1, 4):
        out[at + 2 * n - 1] = z[i - n] if i >= n else NO_BLOCK
        out[at + 2 * n] = z[i + n] if i + n < count else NO_BLOCK
    at += 7
    out[at] = _share(page, max(i - 3, 0), min(i + 4, count))
    out[at + 1] = _share(page, max(i - 8, 0), min(i + 9, count))
    out[at + 2] = _share(page, max(i - 20, 0), min(i + 21, count))
    at += 3
    element: Int
    element = first_level(page, i)
    for level in range(LEVELS):
        row = nodes[element]
        a, b = np.int64(row[pg.FROM]), np.int64(row[pg.TO])
        out[at + level] = _share(page, a, b)
        slot = row[pg.FAMILY]
        out[at + LEVELS + level] = page.family_likely[slot, 1] / max(page.family_likely[slot, 0], 1) if slot >= 0 else -1
        if level < 2:
            up = nodes[row[pg.UP]] if row[pg.UP] >= 0 else row
            out[at + 2 * LEVELS + level] = _share(page, np.int64(up[pg.FROM]), a)
            out[at + 2 * LEVELS + 2 + level] = _share(page, b, np.int64(up[pg.TO]))
        if row[pg.UP] >= 0:
            element = np.int64(row[pg.UP])
    at += 2 * LEVELS + 4
    kin = page.kin_sums[page.kin[i]]
    out[at], out[at + 1] = kin[1] / kin[0], kin[2]
    out[at + 2] = likely[2 * i + 1] / max(true, 1e-9)
    out[at + 3], out[at + 4] = true / total, true
    heading = np.int64(page.headings[i])
    out[at + 5] = z[heading] if heading >= 0 else NO_BLOCK
    last = i + 1
    while last < count and last - i < FAR and page.headings[last] == heading:
        last += 1
    out[at + 6] = _share(page, max(heading + 1, i - FAR), last)
    k: Int
    k = i - 1
    while k >= 0 and i - k < FAR and z[k] <= 0:
        k -= 1
    out[at + 7] = i - k if k >= 0 else FAR + 1
    k = i + 1
    while k < count and k - i < FAR and z[k] <= 0:
        k += 1
    out[at + 8] = k - i if k < count else FAR + 1
