"""Evidence: what class names, ids, short texts and headings say of a block, learned over sites.

Input: a `Page` whose walk noted the names of its elements, and a table of entries: 32-bit hashes and the log odds, over the
sites of the training pages, of being text. Output: a few numbers for each block. An entry is a class token or an id with its
tag, a role or itemprop, a block's short text, or a heading for what stands below it; runs of figures are one figure, so that
`post-12` and `post-7` are the same. The table holds numbers only. Method: naive Bayes over names, summed up along the
elements around a block; the trees weigh it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_START, Bool, Bytes, Floats32, Int, fnv, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.tag_tables import TAG

Keys = npt.NDArray[np.uint32]

EVIDENCE = (
    "clue_low", "clue_high", "clue_sum", "clue_near", "clue_known", "clue_inline_low", "clue_inline_high", "clue_text",
    "clue_section", "clue_sections_low", "clue_sections_high", "clue_text_-1", "clue_text_+1",
)  # fmt: skip
"""The names of the numbers, in their order."""
SHORT = 6
"""Units of a text that may be a label; longer ones are no entries."""
_BYTES = 80
TOKENS = 12
"""Names of one attribute that are read."""
_H1 = TAG["h1"]
_FIGURE = 48  # "0"
_TEXT, _SECTION = 61, 94  # "=" and "^", which begin no name


@inner
def short(state: np.uint64) -> np.uint32:
    """A 64-bit hash as an entry's key, never 0."""
    return np.uint32(((state ^ (state >> np.uint64(32))) & np.uint64(0xFFFFFFFF)) | np.uint64(1))


@inner
def _folded(byte: np.uint8, figures: Bool) -> np.uint8:
    """A byte in lower case; all figures are 0, and those after the first of a run (`figures`) are left out, which is byte 0."""
    if 48 <= byte <= 57:
        return np.uint8(0 if figures else _FIGURE)
    return np.uint8(byte | 32 if 65 <= byte <= 90 else byte)


@inner
def note_names(data: Bytes, i: Int, stop: Int, page: pg.Page, start: np.uint64, most: Int) -> None:
    """Note each of the names in data[i:stop], an attribute's value; `start`: the hash of what it is."""
    s, tokens = page.state, 0
    while i < stop and tokens < most and s[pg.NAMES] < len(page.names):
        while i < stop and data[i] <= 32:
            i += 1
        if i >= stop:
            return
        state, figures = start, False
        while i < stop and data[i] > 32:
            byte = _folded(data[i], figures)
            i += 1
            if byte:
                state, figures = fnv(state, byte), byte == _FIGURE
        page.names[s[pg.NAMES]] = short(state)
        s[pg.NAMES] += 1
        tokens += 1


@inner
def text_key(page: pg.Page, i: Int, section: bool) -> np.uint32:
    """The key of a block's text, or of what stands below it as a heading; 0 if it is too long."""
    row = page.blocks[i]
    a, b = row[pg.START], row[pg.END]
    if row[pg.UNITS] > SHORT or b - a > _BYTES:
        return np.uint32(0)
    state, figures = fnv(FNV_START, _SECTION if section else _TEXT), False
    for k in range(a, b):
        if page.text[k] <= 32:
            continue
        byte = _folded(page.text[k], figures)
        if byte:
            state, figures = fnv(state, byte), byte == _FIGURE
    return short(state)


@inner
def rank_of(page: pg.Page, i: Int) -> Int:
    """1 to 6 for a block that is a heading, else 0."""
    tag = page.blocks[i, pg.BTAG]
    return np.int64(tag - _H1 + 1 if _H1 <= tag <= _H1 + 5 else 0)


@inner
def _odds(key: np.uint32, keys: Keys, values: Floats32) -> np.float32:
    """The log odds of an entry, or nan."""
    last = len(keys) - 1
    slot = np.int64(key) & last
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.float32(values[slot])
        slot = (slot + 1) & last
    return np.float32(np.nan)


@inner
def gather(page: pg.Page, keys: Keys, values: Floats32) -> None:
    """Fill `page.clues` and `page.told`; `keys` in open addressing, uint32[a power of two], 0 is free, `values` float32 beside."""
    nodes, clues, told, names = page.nodes, page.clues, page.told, page.names
    for e in range(page.state[pg.NODES]):
        row, now = nodes[e], clues[e]
        if row[pg.PARENT] >= 0:
            above = clues[row[pg.PARENT]]
            for k in range(5):
                now[k] = above[k]
        else:
            now[:] = 0
        if row[pg.FROM] == row[pg.TO]:
            continue
        total, known = np.float32(0), 0
        for k in range(row[pg.NAMED], row[pg.NAMED_TO]):
            value = _odds(names[k], keys, values)
            if value == value:
                now[0], now[1] = min(now[0], value), max(now[1], value)
                total += value
                known += 1
        if known:
            now[2] += total
            now[3] = total / known
            now[4] += known
    ranks = page.ranks
    ranks[:] = 0
    deepest: Int
    deepest = np.int64(0)
    for i in range(page.state[pg.BLOCKS]):
        row, now = page.blocks[i], told[i]
        key = text_key(page, i, False)
        value = _odds(key, keys, values) if key else np.float32(np.nan)
        now[0] = value if value == value else 0
        rank = rank_of(page, i)
        if rank:
            key = text_key(page, i, True)
            value = _odds(key, keys, values) if key else np.float32(np.nan)
            ranks[rank] = value if value == value else 0
            for k in range(rank + 1, 7):
                ranks[k] = 0
            deepest = rank
        now[1] = ranks[deepest]
        low = high = np.float32(0)
        for k in range(1, deepest + 1):
            low, high = min(low, ranks[k]), max(high, ranks[k])
        now[2], now[3] = low, high
        low = high = np.float32(0)
        for k in range(row[pg.INLINE], row[pg.INLINE_TO]):
            value = _odds(names[k], keys, values)
            if value == value:
                low, high = min(low, value), max(high, value)
        now[4], now[5] = low, high


@inner
def tell(page: pg.Page, i: Int, out: Floats32, at: Int) -> None:
    """Fill out[at:] with the evidence on block i of a page that is gathered."""
    clue, told = page.clues[page.blocks[i, pg.NODE]], page.told[i]
    for k in range(5):
        out[at + k] = clue[k]
    out[at + 5], out[at + 6] = told[4], told[5]
    for k in range(4):
        out[at + 7 + k] = told[k]
    out[at + 11] = page.told[i - 1, 0] if i else 0
    out[at + 12] = page.told[i + 1, 0] if i + 1 < page.state[pg.BLOCKS] else 0
