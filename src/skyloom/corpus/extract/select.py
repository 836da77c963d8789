"""Block classification and rendering: which blocks of a page are its text (report 3.1: contiguous medium-to-long passages).

Input: a `Page` with its sums. Output: the kept blocks and their text. The trees of `judge` give each block its likelihood
of being text; then a few rules settle what trees on single blocks cannot see: readers' comments, headings that lost their text,
listings between passages, lines drawn of signs, both ends of the page. Rows of tables are `a | b | c` (`table_rows.py`), lines
after one <br> one paragraph.
"""

# ruff: noqa: SIM110 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bool, Bytes, Floats, Int, Ints, Ints32, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.block_counts import OTHER, kind
from skyloom.corpus.extract.judge.ensemble import Model, judge
from skyloom.corpus.extract.page_repeats import carry_on, drop_repeats
from skyloom.corpus.extract.scan import copy
from skyloom.corpus.extract.table_rows import CELL_BYTES, SHORT_CELL, row_end, table_of, write_row
from skyloom.corpus.extract.tag_tables import HEADING, NAME_BITS, TAG, Tables

COMMENTS_AFTER = 150
"""Units of text before and outside comments that make them comments on it; with less they are the page."""
OPENING, THREAD = 500, 2.0
"""A page is a thread, whose comments stay, if its other text is below OPENING units and they hold THREAD times its bytes."""
SURE, PART = 0.73, 0.5
"""Comments stay, being comments by name only, if their mean likelihood is SURE and they hold less than PART of the rest's bytes."""
DRAWN_BYTES = 10
"""Bytes from which on a block without a letter or a figure is a drawn line."""
SENTENCE, SENTENCE_UNITS, PROSE_UNITS = 0.1, 6, 15
"""The likelihood and the units that a whole sentence needs right below a kept block of PROSE_UNITS."""
LINE = 0.35
"""The likelihood that another line needs there, if it is of the kind of the block above it."""
EDGE_UNITS, EDGE = 8, 0.65
"""Units of a line that goes from before or behind all prose: of links before it, of a likelihood below EDGE behind it."""
DOUBT = 0.25
"""The likelihood that a heading with kept text below it needs, and a listing beside kept text."""
LEAST, MOST = 0.2, 0.5
BINS = pg.BINS

_MARK_LIST = tuple(m.encode() for m in ("¶", "[edit]", "[ edit ]", "[编辑]", "[ 编辑 ]", "[編輯]", " #", " §"))
_MARKS = np.frombuffer(b"".join(_MARK_LIST), np.uint8)
_MARK_ENDS = np.cumsum([len(m) for m in _MARK_LIST])
_COMMENT = NAME_BITS["comment"]
_PRE, _LI, _TR, _H1, _TABLE, _BODY, _HTML = (TAG[n] for n in ("pre", "li", "tr", "h1", "table", "body", "html"))


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
    _keep_sentences(page)
    _keep_code(page)
    if comments:
        _drop_comments(page)
    drop_repeats(page)
    _drop_drawn(page)
    _trim(page, table)
    if headings:
        _settle_headings(page, table)
    else:
        _keep_headings(page, table)
        _drop_last_heading(page, table)
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
def _keep_sentences(page: pg.Page) -> None:
    """A whole sentence without links stays right below prose that stays, however its box looks, unless it is very unlikely; another
    line stays there if it stands in the same element as that prose, with the same tag, and is not unlikely."""
    for i in range(1, page.state[pg.BLOCKS]):
        row = page.blocks[i]
        if page.keep[i] or not page.keep[i - 1] or page.p[i] <= SENTENCE or row[pg.UNITS] < SENTENCE_UNITS or row[pg.LINKED]:
            continue
        if page.blocks[i - 1, pg.UNITS] < PROSE_UNITS or row[pg.PHRASE] or row[pg.DATED] or page.all[row[pg.NODE]] & _COMMENT:
            continue
        page.keep[i] = _ends_sentence(row[pg.LAST]) or (page.p[i] > LINE and _alike(page, i - 1, i))


@inner
def _alike(page: pg.Page, a: Int, b: Int) -> bool:
    """Whether two blocks have one tag, and their elements stand in one and are of one kind."""
    x, y = page.blocks[a, pg.NODE], page.blocks[b, pg.NODE]
    alike: bool = page.blocks[a, pg.BTAG] == page.blocks[b, pg.BTAG] and page.family[x] == page.family[y]
    return alike and page.nodes[x, pg.PARENT] == page.nodes[y, pg.PARENT]


@inner
def _drop_drawn(page: pg.Page) -> None:
    """A line drawn of signs goes, but not the line above a signature, which the furniture of posts is known by."""
    for i in range(page.state[pg.BLOCKS]):
        if page.keep[i] and _is_drawn(page, i):
            signed = i + 1 < page.state[pg.BLOCKS] and page.keep[i + 1] and page.blocks[i + 1, pg.GLUE] and _same(page, i, i + 1)
            page.keep[i] = signed


@inner
def _trim(page: pg.Page, table: Tables) -> None:
    """Short lines in elements of their own go from both ends of a page of prose: rows of links before it, lines that may be text,
    but end no sentence, behind it (visits, the best size of the screen)."""
    first, last, count = -1, -1, page.state[pg.BLOCKS]
    for i in range(count):
        row = page.blocks[i]
        if page.keep[i] and row[pg.UNITS] >= PROSE_UNITS and 2 * row[pg.LINKED] < row[pg.END] - row[pg.START]:
            first = i if first < 0 else first
            last = i
    for i in range(first):
        linked = 5 * page.blocks[i, pg.LINKED] >= 4 * (page.blocks[i, pg.END] - page.blocks[i, pg.START])
        if page.keep[i] and linked and _is_edge(page, i, first, table):
            page.keep[i] = 0
    if last < 0:
        return
    for i in range(count - 1, last, -1):
        if page.keep[i]:
            if page.p[i] >= EDGE or _ends_sentence(page.blocks[i, pg.LAST]) or not _is_edge(page, i, last, table):
                return
            page.keep[i] = 0


@inner
def _is_edge(page: pg.Page, i: Int, k: Int, table: Tables) -> bool:
    """Whether block i is a short line, no heading, and has no element in common with block k but the body."""
    if page.blocks[i, pg.UNITS] > EDGE_UNITS or _is_heading(page, i, table):
        return False
    a, b = page.blocks[i, pg.NODE], page.blocks[k, pg.NODE]
    while a != b and a >= 0 and b >= 0:
        if a > b:
            a = page.nodes[a, pg.PARENT]
        else:
            b = page.nodes[b, pg.PARENT]
    apart: bool = a != b or page.nodes[a, pg.NTAG] == _BODY or page.nodes[a, pg.NTAG] == _HTML
    return apart


@inner
def _ends_sentence(last: Int) -> bool:
    """Whether a character is one that ends a sentence, in English or Chinese."""
    ends: bool = last == 46 or last == 33 or last == 63 or last == 0x3002 or last == 0xFF01 or last == 0xFF1F
    return ends


@inner
def _is_drawn(page: pg.Page, i: Int) -> bool:
    """Whether a block is a line of signs (`______`, `——————`): DRAWN_BYTES and more, no letter, no figure, and no listing."""
    k: Int
    k, stop, text = page.blocks[i, pg.START], page.blocks[i, pg.END], page.text
    if stop - k < DRAWN_BYTES or page.blocks[i, pg.BTAG] == _PRE:
        return False
    while k < stop:
        byte = np.int64(text[k])
        if byte < 128:
            if 97 <= (byte | 32) <= 122 or 48 <= byte <= 57:
                return False
            k += 1
            continue
        size = 2 if byte < 0xE0 else (3 if byte < 0xF0 else 4)
        point = byte & (0x7F >> size)
        for n in range(1, size):
            point = (point << 6) | np.int64(text[k + n] & 63)
        if kind(point) != OTHER or 0xFB00 <= point < 0xFE10 or 0xFE70 <= point < 0xFF00 or point > 0xFFFF:  # rare letters, pictures
            return False
        k += size
    return True


@inner
def _drop_comments(page: pg.Page) -> None:
    """Readers' comments below an article are not its text; where there is no article, or only an opening, they are the page."""
    outside = 0
    for i in range(page.state[pg.BLOCKS]):
        row = page.blocks[i]
        if page.keep[i] and not page.all[row[pg.NODE]] & _COMMENT:
            outside += row[pg.UNITS]
    if outside < COMMENTS_AFTER:
        return
    if _comments(page, False):
        _comments(page, True)


@inner
def _comments(page: pg.Page, drop: Bool) -> bool:
    """Whether the comments are readers' and the page is no thread; `drop`: the comments go."""
    before, said, rest, units, lower = 0, 0, 0, 0, 0
    likely = 0.0
    for i in range(page.state[pg.BLOCKS]):
        row = page.blocks[i]
        below = before >= COMMENTS_AFTER and page.all[row[pg.NODE]] & _COMMENT != 0
        if page.keep[i]:
            said += row[pg.END] - row[pg.START] if below else 0
            rest += 0 if below else row[pg.END] - row[pg.START]
            units += 0 if below else row[pg.UNITS]
        if below:
            likely += page.p[i] * row[pg.UNITS]
            lower += row[pg.UNITS]
        if drop and below:
            page.keep[i] = 0
        if page.all[row[pg.NODE]] & _COMMENT:
            continue
        if row[pg.UNITS] >= 15 and row[pg.LINKED] < 0.35 * (row[pg.END] - row[pg.START]):
            before += row[pg.UNITS]
    thread = units < OPENING and said >= THREAD * rest
    return not thread and (likely < SURE * lower or said >= PART * rest)


@inner
def _keep_headings(page: pg.Page, table: Tables) -> None:
    """A heading between two passages that stay, in the element of the one below it, stays with them unless it is unlikely."""
    for i in range(1, page.state[pg.BLOCKS] - 1):
        if page.keep[i] or page.p[i] <= DOUBT or not page.keep[i - 1] or not page.keep[i + 1] or not _is_heading(page, i, table):
            continue
        up = page.nodes[page.blocks[i, pg.NODE], pg.PARENT]
        page.keep[i] = page.blocks[i + 1, pg.UNITS] >= PROSE_UNITS and page.nodes[page.blocks[i + 1, pg.NODE], pg.PARENT] == up


@inner
def _drop_last_heading(page: pg.Page, table: Tables) -> None:
    """A heading that comes last has no text; of several in a row the last may be an entry of a list, and stays."""
    i: Int
    i = page.state[pg.BLOCKS] - 1
    while i >= 0 and not page.keep[i]:
        i -= 1
    k = i - 1
    while k >= 0 and not page.keep[k]:
        k -= 1
    if k >= 0 and _is_heading(page, i, table) and not _is_heading(page, k, table):
        page.keep[i] = 0


@inner
def _is_heading(page: pg.Page, i: Int, table: Tables) -> bool:
    heading: bool = table.tag_flags[page.blocks[i, pg.BTAG]] & HEADING != 0
    return heading


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
