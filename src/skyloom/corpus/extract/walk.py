"""The HTML parser of extraction: one compiled pass from a page's bytes to text blocks and their elements (report 3.1).

Input: a page as UTF-8. Output: a filled `Page`. Tags are read as browsers read them where that decides what the text is:
implied ends (`<li>`, `<p>`, `<td>`), void and raw elements, references, comments that never end, stray ends. Only elements that
break text are on the stack, because misnested `<b>` and `<span>` change no block. Work is bounded: each byte is read a constant
number of times, the search for an end tag's partner counts against a budget, and depth is limited.
"""

# ruff: noqa: SIM109 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bytes, Int, find_byte, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.blocks import add_text, end_tag, flush, imply_ends, newline, pop, push
from skyloom.corpus.extract.elements import dated, element, image, inline, skipped
from skyloom.corpus.extract.raised_text import raised
from skyloom.corpus.extract.scan import find, lookup, name_end, tag_end
from skyloom.corpus.extract.tag_tables import BLOCK, HEADING, SKIPPED, TAG, VOID, Tables

OK, TOO_MANY, TOO_MUCH = 0, 1, 2

_A, _BR, _HR, _LI, _OL, _PRE, _TABLE = (TAG[n] for n in "a br hr li ol pre table".split())
_IMG, _META, _TIME, _SUP, _SUB, _INPUT, _LINK = (TAG[n] for n in "img meta time sup sub input link".split())
_LITTLE = 600  # bytes of text that are no article
_COMMENT_END = np.frombuffer(b"-->", np.uint8)


@inner
def walk(data: Bytes, start: Int, stop: Int, page: pg.Page, table: Tables) -> int:
    """Read data[start:stop] (uint8, valid UTF-8) into `page`; OK, or why the page was given up.

    What inline elements hide is left out, unless it is most of the page: then the page is read again with all of it.
    """
    bare = np.int64(0)
    while True:
        done = _read(data, start, stop, page, table, bare)
        if bare or page.state[pg.MUTED] <= 2 * page.state[pg.TEXT_END] or page.state[pg.TEXT_END] >= _LITTLE:
            return done
        bare += 1


@inner
def _read(data: Bytes, start: Int, stop: Int, page: pg.Page, table: Tables, bare: Int) -> int:
    s = page.state
    s[:] = 0
    s[pg.BARE] = bare
    page.sheet[:] = 0
    page.found[2], page.found[3], page.found[4] = 0, 1, 1
    s[pg.BREAKS] = 2
    s[pg.BUDGET] = 64 * (stop - start) + 1_000_000
    page.open[:] = 0
    page.close_at[:] = -1
    push(page, table, 0, np.int64(0), np.uint64(0))
    i, comments_end = start, True
    while i < stop:
        if data[i] != 60:
            j = find_byte(data, i + 1, stop, 60)
            if s[pg.MUTE] == 0:
                add_text(data, i, j, page, table)
            elif s[pg.MUTE_DEPTH]:
                s[pg.MUTED] += j - i
            i = j
            continue
        follows = data[i + 1] if i + 1 < stop else np.uint8(0)
        if 97 <= (follows | 32) <= 122:
            i = _start_tag(data, i + 1, stop, page, table)
        elif follows == 47 and i + 2 < stop and 97 <= (data[i + 2] | 32) <= 122:
            i, key = name_end(data, i + 2, stop)
            i = tag_end(data, i, stop)
            if s[pg.MUTE] and np.int64(key) == s[pg.MUTE_NAME]:
                s[pg.MUTE] -= 1
            slot = lookup(table.tag_keys, key)
            if slot >= 0:
                end_tag(page, table, np.int64(table.tag_ids[slot]))
                if s[pg.DEPTH] < s[pg.MUTE_DEPTH]:
                    s[pg.MUTE] = s[pg.MUTE_DEPTH] = 0
        elif follows == 33 and i + 3 < stop and data[i + 2] == 45 and data[i + 3] == 45:
            end = find(data, i + 2, stop, _COMMENT_END) if comments_end else stop
            if end == stop:  # a comment that never ends hides no more than its own tag
                comments_end = False
                end = tag_end(data, i + 4, stop) - 3
            i = max(end + 3, i + 4)
        elif follows == 33 or follows == 63 or follows == 47:
            i = tag_end(data, i + 2, stop)
        else:
            if s[pg.MUTE] == 0:
                add_text(data, i, i + 1, page, table)
            i += 1
        if s[pg.NODES] >= len(page.nodes) - 1 or s[pg.BLOCKS] >= len(page.blocks) - 1:
            return TOO_MANY
        if s[pg.WORK] > s[pg.BUDGET]:
            return TOO_MUCH
    flush(page, table)
    while s[pg.DEPTH] > 0:
        pop(page)
    return OK


@inner
def _start_tag(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables) -> Int:
    """Read a tag whose name begins at i; the place where reading goes on."""
    s = page.state
    i, key = name_end(data, i, stop)
    slot = lookup(table.tag_keys, key)
    tag = np.int64(table.tag_ids[slot]) if slot >= 0 else np.int64(0)
    flags = table.tag_flags[tag]
    if flags & SKIPPED:
        return skipped(data, i, stop, page, table, tag, key)
    if flags & BLOCK:
        if s[pg.MUTE_DEPTH] == 0:
            s[pg.MUTE] = 0
        if s[pg.PRE] and tag != _PRE and tag != _TABLE and not flags & HEADING:
            newline(page)
        else:
            flush(page, table)
            s[pg.BREAKS] = 2
        if tag == _HR:
            return tag_end(data, i, stop)
        imply_ends(page, table, tag)
        if s[pg.DEPTH] < s[pg.MUTE_DEPTH]:
            s[pg.MUTE] = s[pg.MUTE_DEPTH] = 0
        i, bits, family, count = element(data, i, stop, page, table, tag, key)
        if s[pg.DEPTH] >= pg.MAX_DEPTH:
            s[pg.NAMES_READ] = s[pg.NAMES]
            return i
        push(page, table, tag, bits, family)
        number = s[pg.NODES] - 1
        if tag == _LI:
            above = page.nodes[page.nodes[number, pg.PARENT]]
            above[pg.COUNT] += 1
            s[pg.PENDING] = above[pg.COUNT] if above[pg.NTAG] == _OL else -1
        elif tag == _OL:
            page.nodes[number, pg.COUNT] = count - 1
        return i
    if tag == _BR:
        if s[pg.PRE]:
            page.text[s[pg.TEXT_END]] = 10
            s[pg.TEXT_END] += 1
        else:
            flush(page, table)
            s[pg.BREAKS] += 1
    elif tag == _IMG:
        s[pg.IMAGES] += 1
        return image(data, i, stop, page, table)
    elif tag == _META or tag == _TIME:
        return dated(data, i, stop, page, table, tag)
    elif tag == _SUP or tag == _SUB:
        return raised(data, i, stop, page, table, tag, key)
    elif tag == _INPUT or tag == _LINK or tag >= VOID:
        return tag_end(data, i, stop)
    elif tag == _A or i >= stop or data[i] != 62 or s[pg.MUTE]:
        return inline(data, i, stop, page, table, tag, key)
    return tag_end(data, i, stop)
