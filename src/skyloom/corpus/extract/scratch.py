"""The scratch memory of structural extraction: what one page becomes while it is read, as flat arrays that pages share.

Input: the size of the largest page. Output: a `Page`: its normalised text, its blocks in reading order, and its block elements,
parents before children. The blocks below an element are contiguous, so that a sum over an element is a difference of two
running sums and nobody walks a tree. Memory: about 3 bytes of address space for each byte of the page for the text and 100 for
each block and element; what a page does not use is never touched. Blocks and elements are limited.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Bytes, Floats, Floats32, Hashes, Ints, Ints32

MAX_BLOCKS = 200_000
LINES = 2048
MAX_NODES = 400_000
MAX_NAMES = 1 << 20
MAX_DEPTH = 400
"""Open elements; deeper ones are read as if their tags were not there. Browsers stop at 512."""
TITLE_BYTES = 2000
LARGEST = (2**31 - 65) // 3
"""Bytes of UTF-8 of the largest page that is read, 715 MB: places in its text, which may be three times as long, are int32."""
HASHES = 1 << 14
BINS = 50

# The columns of `Page.blocks`, int32. START, END: its text in `Page.text`. NODE: the element that it stands in directly.
# GLUE: 0 for a new paragraph, 1 after one <br>. LINKED: bytes inside links. MARK: -1 for a bullet, n for "n.", else 0.
# ROW, CELL: the elements of its table row and cell, or -1. UNITS ...: counts of its text, see `block_counts.measure`. INLINE,
# INLINE_TO: the names of the inline elements that opened in it, in `Page.names`.
START, END, NODE, BTAG, GLUE, LINKED, MARK, ROW, CELL, IMAGE = range(10)
UNITS, COMMAS, STOPS, DIGITS, UPPER, WIDE, LAST, PHRASE, DATED, BCODE = range(10, 20)
INLINE, INLINE_TO = 20, 21
BLOCK_COLUMNS = 22

# The columns of `Page.nodes`, int32. FROM, TO: the blocks below it. TEXT: the tag that names its text. COUNT: of items or rows.
# UP: the nearest element above that holds more blocks. FROM_IMAGE, TO_IMAGE: images that stand before and up to its end.
# HIDE: flags of `hidden`. WIDE_BY, HIGH_BY: the columns and rows of its table that a cell covers. NAMED, NAMED_TO: its names.
NTAG, PARENT, FROM, TO, TEXTTAG, COUNT, NROW, NCELL, UP, FROM_IMAGE, TO_IMAGE, DEPTH_OF, FAMILY = range(13)
HIDE, WIDE_BY, HIGH_BY = range(13, 16)
NAMED, NAMED_TO = 16, 17
NODE_COLUMNS = 18

# `Page.state`, int64: where the reader stands.
TEXT_END, SEGMENT, GAP, PRE, IN_LINK, LINKED_BYTES, BREAKS, BLOCKS, NODES, DEPTH = range(10)
WORK, TITLE_END, DATE, DATE_RANK, IMAGES, PENDING, MUTE, SKIPPED_DEPTH, TITLES, BUDGET = range(10, 20)
MUTE_NAME, MUTE_DEPTH, MUTED, SHEET, HIDES, BARE, SPARE = range(20, 27)
NAMES, NAMES_READ = 27, 28  # how many names are noted, and how many of them belong to an element or a block
STATE = 29
SHEET_NAMES = 256
MAX_SPAN = 64
"""Columns or rows that a cell of a table may cover."""


class Page(NamedTuple):
    """What a page is while it is read; see the columns above."""

    state: Ints  # int64[STATE]
    text: Bytes  # uint8[3 x bytes + 64]: entities shrink, but a NUL becomes three bytes
    title: Bytes  # uint8[TITLE_BYTES]
    blocks: Ints32  # int32[blocks, BLOCK_COLUMNS]
    nodes: Ints32  # int32[nodes, NODE_COLUMNS]
    own: Ints  # int64[nodes]: what an element says of itself, bits of `tag_tables`
    all: Ints  # int64[nodes]: ... and the elements above it
    group: Ints  # int64[nodes]: ... and those above that hold the same blocks
    family: Hashes  # uint64[nodes]: hash of tag and class: brothers of a template share it
    stack: Ints32  # int32[MAX_DEPTH + 1]: the open elements
    open: Ints  # int64[256]: how many elements of each tag are open
    close_at: Ints  # int64[256]: the next end tag of each skipped tag, found once
    found: Ints  # int64[5]: bounds of the last attribute's value; of an element: flags of `hidden`, columns and rows of a cell
    sums: Floats  # float64[blocks + 1, SUMS]: running sums over the blocks
    scores: Floats  # float64[nodes]: how much prose stands directly in an element
    families: Hashes  # uint64[HASHES]
    family_sums: Floats32  # float32[HASHES, 2]: elements and prose of each family
    row: Floats32  # float32[FEATURES]
    lines: Floats32  # float32[at most LINES, FEATURES]: the features of the first blocks, kept for the second pass
    p: Floats32  # float32[blocks]: the model's likelihood that it is text
    keep: Bytes  # uint8[blocks]
    bins: Floats32  # float32[2, BINS + 1]: a histogram of the likelihoods
    sheet: Hashes  # uint64[SHEET_NAMES]: classes and ids in the page's own style sheets, in open addressing
    sheet_hides: Bytes  # uint8[SHEET_NAMES]: whether they are hidden
    names: npt.NDArray[np.uint32]  # uint32[names]: keys of the names of elements, see `name_evidence`
    clues: Floats32  # float32[nodes, 5]: what the names of an element and of those around it say
    told: Floats32  # float32[blocks, 6]: what a block's text, its headings and its inline elements say
    ranks: Floats32  # float32[7]: the same of the open heading of each rank
    z: Floats32  # float32[blocks]: the log odds of the first pass
    likely: Floats  # float64[2 x (blocks + 1)]: running sums of units and of likely units
    headings: Ints32  # int32[blocks]: the heading above a block, or -1
    kin: Ints32  # int32[blocks]: the slot of blocks like it
    kin_sums: Floats32  # float32[HASHES, 3]: units, likely units and number of blocks that are alike
    family_likely: Floats32  # float32[HASHES, 2]: units and likely units of a family
    spans: Ints32  # int32[MAX_SPAN, 2]: for each column the last row that a cell covers, and its element


SUMS = 10


def make(size: int, features: int) -> Page:
    """Scratch for pages of at most `size` bytes."""
    blocks, nodes = min(size // 3 + 16, MAX_BLOCKS), min(size // 3 + 16, MAX_NODES)
    return Page(
        np.zeros(STATE, np.int64), np.empty(3 * size + 64, np.uint8), np.empty(TITLE_BYTES, np.uint8),
        np.empty((blocks, BLOCK_COLUMNS), np.int32), np.empty((nodes, NODE_COLUMNS), np.int32), np.empty(nodes, np.int64),
        np.empty(nodes, np.int64), np.empty(nodes, np.int64), np.empty(nodes, np.uint64), np.empty(MAX_DEPTH + 1, np.int32),
        np.zeros(256, np.int64), np.zeros(256, np.int64), np.zeros(5, np.int64), np.empty((blocks + 1, SUMS), np.float64),
        np.empty(nodes, np.float64), np.zeros(HASHES, np.uint64), np.zeros((HASHES, 2), np.float32), np.zeros(features, np.float32),
        np.empty((min(blocks, LINES), features), np.float32),
        np.empty(blocks, np.float32), np.empty(blocks, np.uint8), np.zeros((2, BINS + 1), np.float32),
        np.zeros(SHEET_NAMES, np.uint64), np.zeros(SHEET_NAMES, np.uint8),
        np.empty(min(size // 2 + 16, MAX_NAMES), np.uint32), np.empty((nodes, 5), np.float32), np.empty((blocks, 6), np.float32),
        np.zeros(7, np.float32), np.empty(blocks, np.float32), np.empty(2 * blocks + 2, np.float64), np.empty(blocks, np.int32),
        np.empty(blocks, np.int32), np.zeros((HASHES, 3), np.float32), np.zeros((HASHES, 2), np.float32),
        np.zeros((MAX_SPAN, 2), np.int32),
    )  # fmt: skip


_POOL = threading.local()
_KEPT = 4 << 20


def scratch(size: int, features: int) -> Page:
    """This thread's scratch, made anew only when a page is larger than those before; that of huge pages is not kept."""
    held: tuple[int, Page] | None = getattr(_POOL, "held", None)
    if held is not None and held[0] >= size:
        return held[1]
    room = max(1 << 20, 1 << max(size - 1, 1).bit_length())
    made = make(room, features)
    if room <= _KEPT:
        _POOL.held = (room, made)
    return made
