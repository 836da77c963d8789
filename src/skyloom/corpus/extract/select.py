"""Block classification and rendering: which blocks of a page are its text (report 3.1: contiguous medium-to-long passages).

Input: a `Page` with its sums. Output: the kept blocks and their text. The trees of `judge` give each block its likelihood
of being text; then a few rules settle what trees on single blocks cannot see: readers' comments, headings that lost their text,
listings between passages. Rows of tables are `a | b | c` (`table_rows.py`), lines after one <br> one paragraph.
"""

# ruff: noqa: SIM110 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bool, Bytes, Floats, Int, Ints, Ints32, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.judge.ensemble import Model, judge
from skyloom.corpus.extract.page_repeats import carry_on, drop_repeats
from skyloom.corpus.extract.scan import copy
from skyloom.corpus.extract.table_rows import CELL_BYTES, SHORT_CELL, row_end, table_of, write_row
from skyloom.corpus.extract.tag_tables import HEADING, NAME_BITS, TAG, Tables

COMMENTS_AFTER = 150
"""Units of text before and outside comments that make them comments on it; with less they are the page."""
DOUBT = 0.25
"""The likelihood that a heading with kept text below it needs, and a listing beside kept text."""
LEAST, MOST = 0.2, 0.5
BINS = pg.BINS

_MARK_LIST = tuple(m.encode() for m in ("¶", "[edit]", "[ edit ]", "[编辑]", "[ 编辑 ]", "[編輯]", " #", " §"))
_MARKS = np.frombuffer(b"".join(_MARK_LIST), np.uint8)
_MARK_ENDS = np.cumsum([len(m) for m in _MARK_LIST])
_COMMENT = NAME_BITS["comment"]
_PRE, _LI, _TR, _H1, _TABLE = (TAG[n] for n in ("pre", "li", "tr", "h1", "table"))


@inner
def select(page: pg.Page, table: Tables, trees: Model, roles: Floats, comments: bool) -> int:
    """Set `page.keep`; `comments`: whether readers' comments stay. Returns the number of blocks kept."""
    judge(page, table, trees, roles)
    return choose(page, table, trees.rules[0] and not comments, trees.rules[1] > 0)


@inner
def choose(page: pg.Page, table: Tables, comments: Bool, headings: Bool) -> int:
    """Set `page.keep` by the likelihoods; the rules for `comments` and `headings` where they are set. Returns the blocks kept."""
    count, keep = page.state[pg.BLOCKS], page.keep
    least = threshold(page)
    for i in range(count):
        keep[i] = page.p[i] > least
    _complete(page)
    _complete_tables(page)
    carry_on(page, table)
    _keep_code(page)
    if comments:
        _drop_comments(page)
    drop_repeats(page)
    if headings:
        _settle_headings(page, table)
    kept = 0
    for i in range(count):
        kept += keep[i]
    return kept


@inner
def threshold(page: pg.Page) -> np.float32 | float:
    """The likelihood from which on a block is kept, LEAST to MOST.

    If likelihoods are right, the blocks with the best expected F1 are those above half of that F1 (Lewis 1995): a page that
    is hard to judge (a listing, a forum) is cut less sharply than an article. Likelihoods are counted in BINS.
    """
    blocks, count = page.blocks, page.state[pg.BLOCKS]
    units, expected = page.bins[0], page.bins[1]
    page.bins[:] = 0
    total = np.float32(0)
    for i in range(count):
        place = np.int64(page.p[i] * BINS)
        units[place] += blocks[i, pg.UNITS]
        expected[place] += page.p[i] * blocks[i, pg.UNITS]
        total += page.p[i] * blocks[i, pg.UNITS]
    best: np.float32 | float
    best = inside = true = np.float32(0)
    for k in range(BINS, -1, -1):
        inside += units[k]
        true += expected[k]
        if inside + total > 0:
            best = max(best, 2 * true / (inside + total))
    return min(max(best / 2, LEAST), MOST)


@inner
def _complete(page: pg.Page) -> None:
    """If half of the units in the short cells of a table's row are kept, the doubtful cells are too."""
    i, count, blocks, keep = 0, page.state[pg.BLOCKS], page.blocks, page.keep
    while i < count:
        units, kept, end = 0, 0, i
        while end < count and (end == i or _same_row(blocks, i, end)):
            units += blocks[end, pg.UNITS]
            kept += blocks[end, pg.UNITS] if keep[end] else 0
            end += 1
        if kept and 2 * kept >= units:
            for k in range(i, end):
                linked = 2 * blocks[k, pg.LINKED] > blocks[k, pg.END] - blocks[k, pg.START]
                keep[k] |= page.p[k] > DOUBT and not linked
        i = end


@inner
def _complete_tables(page: pg.Page) -> None:
    """If half of the units of a table without long cells are kept and they are no links, all of it is."""
    for e in range(page.state[pg.NODES]):
        first, last = page.nodes[e, pg.FROM], page.nodes[e, pg.TO]
        if page.nodes[e, pg.NTAG] != _TABLE or last - first < 4:
            continue
        units, kept, linked, size = 0, 0, 0, 0
        for k in range(first, last):
            row = page.blocks[k]
            if row[pg.ROW] >= 0 and (row[pg.END] - row[pg.START] > SHORT_CELL or table_of(page, np.int64(row[pg.ROW])) != e):
                kept = 0
                break
            units += row[pg.UNITS]
            kept += row[pg.UNITS] if page.keep[k] else 0
            linked += row[pg.LINKED]
            size += row[pg.END] - row[pg.START]
        if kept and 2 * kept >= units and 2 * linked < size:
            for k in range(first, last):
                page.keep[k] |= page.p[k] > 0


@inner
def _same_row(blocks: Ints32, i: Int, k: Int) -> bool:
    if blocks[i, pg.ROW] < 0 or blocks[i, pg.ROW] != blocks[k, pg.ROW]:
        return False
    short: bool = blocks[k, pg.END] - blocks[k, pg.START] <= CELL_BYTES and blocks[i, pg.END] - blocks[i, pg.START] <= CELL_BYTES
    return short


@inner
def _keep_code(page: pg.Page) -> None:
    """Listings have no sentences to be judged by: one between two blocks that stay, or after a doubt, stays."""
    count, keep = page.state[pg.BLOCKS], page.keep
    for i in range(count):
        if page.blocks[i, pg.BTAG] == _PRE and not keep[i]:
            before, after = i > 0 and keep[i - 1], i + 1 < count and keep[i + 1]
            if page.p[i] > 0 and ((before and after) or ((before or after) and page.p[i] > DOUBT)):
                keep[i] = 1


@inner
def _drop_comments(page: pg.Page) -> None:
    """Readers' comments below an article are not its text; where there is no article, they are the page."""
    outside = 0
    for i in range(page.state[pg.BLOCKS]):
        row = page.blocks[i]
        if page.keep[i] and not page.all[row[pg.NODE]] & _COMMENT:
            outside += row[pg.UNITS]
    if outside < COMMENTS_AFTER:
        return
    before = 0
    for i in range(page.state[pg.BLOCKS]):
        row = page.blocks[i]
        if page.all[row[pg.NODE]] & _COMMENT:
            if before >= COMMENTS_AFTER:
                page.keep[i] = 0
        elif row[pg.UNITS] >= 15 and row[pg.LINKED] < 0.35 * (row[pg.END] - row[pg.START]):
            before += row[pg.UNITS]


@inner
def _settle_headings(page: pg.Page, table: Tables) -> None:
    """A heading stays if text that stays follows it before the next heading of its rank or above."""
    followed, keep = 0, page.keep  # the rank of the deepest heading that the text below still belongs to; 0: no text below
    for i in range(page.state[pg.BLOCKS] - 1, -1, -1):
        tag = page.blocks[i, pg.BTAG]
        rank = tag - _H1 + 1
        if not table.tag_flags[tag] & HEADING:
            if keep[i]:
                followed = 7
        elif rank < followed:
            if page.p[i] > DOUBT:
                keep[i] = 1
            if keep[i]:
                followed = rank
        else:
            keep[i] = 0


@inner
def render(page: pg.Page, out: Bytes, at: Int, ends: Ints, tags: Bytes, done: Int) -> tuple[Int, Int]:
    """Write the kept blocks as passages: text from out[at] on, ends[done:] where each ends, tags[done:] their tags.

    Returns (the end of the text, the number of passages with those before). There must be room, see `room`.
    """
    i: Int
    last: Int
    table: Int
    i, count, table, loose = 0, page.state[pg.BLOCKS], np.int64(-1), -1
    page.state[pg.SPARE] = page.state[pg.TEXT_END]
    page.spans[:] = 0
    while i < count:
        if not page.keep[i]:
            i += 1
            continue
        row = page.blocks[i]
        tag, last = row[pg.BTAG], i
        if row[pg.ROW] >= 0 and row[pg.ROW] != loose:
            last = row_end(page, i, table)
            loose = -1 if last > i else row[pg.ROW]
        if last > i:
            at = write_row(page, np.int64(row[pg.ROW]), table, out, at)
            tag, table, i = _TR, table_of(page, np.int64(row[pg.ROW])), last
        else:
            at = _mark(out, at, row[pg.MARK]) if tag == _LI else at
            at = _copy(page, i, out, at)
            i += 1
            while i < count and page.keep[i] and page.blocks[i, pg.GLUE] and _same(page, i - 1, i):
                out[at] = 10
                at = _copy(page, i, out, at + 1)
                i += 1
        ends[done], tags[done] = at, tag
        done += 1
    return at, done


@inner
def _same(page: pg.Page, i: Int, k: Int) -> bool:
    """Whether two blocks are lines of one paragraph."""
    same: bool = page.blocks[i, pg.NODE] == page.blocks[k, pg.NODE] and page.blocks[k, pg.BTAG] != _PRE
    return same


@inner
def _mark(out: Bytes, at: Int, mark: np.int32) -> Int:
    """`- ` or `12. ` in front of a list's item."""
    if mark == 0:
        return at
    if mark < 0:
        out[at] = 45
        at += 1
    else:
        scale = 1
        while mark // scale >= 10:
            scale *= 10
        while scale:
            out[at] = 48 + (mark // scale) % 10
            at += 1
            scale //= 10
        out[at] = 46
        at += 1
    out[at] = 32
    return at + 1


@inner
def _copy(page: pg.Page, i: Int, out: Bytes, at: Int) -> Int:
    return copy(out, at, page.text, page.blocks[i, pg.START], heading_end(page, i))


@inner
def heading_end(page: pg.Page, i: Int) -> Int:
    """Where a block's text ends; of a heading, without the mark that links to it (`¶`, `[edit]`, `[编辑]`)."""
    end: Int
    begin, end = page.blocks[i, pg.START], page.blocks[i, pg.END]
    tag = page.blocks[i, pg.BTAG]
    if _H1 <= tag <= _H1 + 5:
        for mark in range(len(_MARK_ENDS)):
            first, last = (_MARK_ENDS[mark - 1] if mark else 0), _MARK_ENDS[mark]
            size = last - first
            if end - begin > size and _ends_with(page.text, end, first, size):
                end -= size
                while end > begin + 1 and page.text[end - 1] == 32:
                    end -= 1
    return end


@inner
def _ends_with(text: Bytes, end: Int, first: Int, size: Int) -> bool:
    for k in range(size):
        if text[end - size + k] != _MARKS[first + k]:
            return False
    return True


@inner
def room(page: pg.Page) -> Int:
    """The bytes that `render` may need."""
    size: Int = 2 * page.state[pg.TEXT_END] + 16 * page.state[pg.BLOCKS] + 4 * page.state[pg.NODES] + 64
    return size
