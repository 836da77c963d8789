"""The blocks of a page and the stack of its open elements, as the pass over its bytes builds them.

Input: pieces of text and tags. Output: rows of `Page.blocks` and `Page.nodes`. The search for the partner of an end tag stops
at the cell of a table, as browsers do, and counts against the page's budget.
"""

# ruff: noqa: SIM109 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bytes, Int, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.block_counts import measure
from skyloom.corpus.extract.hidden import inherit
from skyloom.corpus.extract.scan import put, reference
from skyloom.corpus.extract.tag_tables import BLOCK, HEADING, TAG, TEXT, Tables

_A, _LI, _P, _PRE, _TABLE, _TR, _TD, _TH = (TAG[n] for n in "a li p pre table tr td th".split())
_UL, _OL, _DL, _DT, _DD, _CAPTION = (TAG[n] for n in "ul ol dl dt dd caption".split())
_TBODY, _THEAD, _TFOOT, _LISTING = (TAG[n] for n in "tbody thead tfoot listing".split())


@inner
def add_text(data: Bytes, i: Int, j: Int, page: pg.Page, table: Tables) -> None:
    """Append data[i:j] to the open block: references decoded, white space one blank (outside <pre>), invisible marks gone."""
    s, out = page.state, page.text
    k, begin, gap, verbatim = s[pg.TEXT_END], s[pg.SEGMENT], s[pg.GAP], s[pg.PRE] > 0
    before = k
    while i < j:
        byte = np.int64(data[i])
        second: Int = np.int64(0)
        if 38 < byte < 128 or 32 < byte < 38:
            if gap and k > begin:
                out[k] = 32
                k += 1
            gap = 0
            out[k] = byte
            k += 1
            i += 1
            continue
        if byte == 38:
            point: Int
            i, point, second = reference(data, i, j, table.entity_keys, table.entity_points)
        elif byte < 128:
            point = np.int64(_shown(byte))
            i += 1
        else:
            size = 2 if byte < 0xE0 else (3 if byte < 0xF0 else 4)
            point = byte & (0x7F >> size)
            for n in range(1, size):
                point = (point << 6) | np.int64(data[i + n] & 63)
            i += size
        if point == 0xFEFF or point == 0x200B or point == 0xAD or (point == 13 and verbatim):
            if point == 13 and (i >= j or data[i] != 10):
                point = np.int64(10)
            else:
                continue
        if verbatim:
            if point == 0xA0:
                point = np.int64(32)
            k = put(out, k, point)
            continue
        if point <= 32 or point == 0xA0 or point == 0x3000 or 0x2000 <= point <= 0x200A or point == 0x2028 or point == 0x2029:
            gap = 1
            continue
        if gap and k > begin:
            out[k] = 32
            k += 1
        gap = 0
        k = put(out, k, point)
        if second:
            k = put(out, k, second)
    s[pg.TEXT_END], s[pg.GAP] = k, gap
    if s[pg.IN_LINK]:
        s[pg.LINKED_BYTES] += k - before


@inner
def _shown(byte: Int) -> Int:
    """Control characters are spaces, except NUL and DEL, which were something else once."""
    return 0xFFFD if byte == 0 or byte == 127 else byte


@inner
def flush(page: pg.Page, table: Tables) -> None:
    """Make what was read since the last break a block."""
    s, text = page.state, page.text
    begin, end = s[pg.SEGMENT], s[pg.TEXT_END]
    if s[pg.PRE]:
        while end > begin and text[end - 1] <= 32:
            end -= 1
        at = begin
        while at < end and text[at] <= 32:  # empty lines before the first, not its indentation
            at += 1
            if text[at - 1] == 10:
                begin = at
    s[pg.GAP] = 0
    s[pg.SEGMENT] = s[pg.TEXT_END] = max(end, s[pg.SEGMENT])
    linked, s[pg.LINKED_BYTES] = s[pg.LINKED_BYTES], 0
    named, s[pg.NAMES_READ] = s[pg.NAMES_READ], s[pg.NAMES]
    if end <= begin:
        return
    node = page.stack[s[pg.DEPTH] - 1]
    nodes, row = page.nodes, page.blocks[s[pg.BLOCKS]]
    tag = nodes[node, pg.TEXTTAG] if nodes[node, pg.TEXTTAG] else nodes[node, pg.NTAG]
    row[pg.START], row[pg.END], row[pg.NODE] = begin, end, node
    row[pg.BTAG] = _PRE if s[pg.PRE] else (_LI if s[pg.PENDING] else tag)
    row[pg.GLUE] = 1 if s[pg.BREAKS] == 1 else 0
    row[pg.LINKED] = min(linked, end - begin)
    row[pg.MARK] = s[pg.PENDING]
    row[pg.ROW], row[pg.CELL] = nodes[node, pg.NROW], nodes[node, pg.NCELL]
    row[pg.IMAGE] = s[pg.IMAGES]
    row[pg.INLINE], row[pg.INLINE_TO] = named, s[pg.NAMES]
    s[pg.PENDING] = s[pg.BREAKS] = 0
    measure(text, begin, end, row, table)
    s[pg.BLOCKS] += 1


@inner
def push(page: pg.Page, table: Tables, tag: Int, bits: Int, family: np.uint64) -> None:
    """Open an element; page.found[2:5] are its flags of `hidden` and the columns and rows of a cell."""
    s, nodes = page.state, page.nodes
    number, depth = s[pg.NODES], s[pg.DEPTH]
    up = page.stack[depth - 1] if depth else -1
    row = nodes[number]
    row[pg.NTAG], row[pg.PARENT], row[pg.FROM], row[pg.TO] = tag, up, s[pg.BLOCKS], s[pg.BLOCKS]
    row[pg.FROM_IMAGE], row[pg.TO_IMAGE], row[pg.COUNT], row[pg.DEPTH_OF] = s[pg.IMAGES], s[pg.IMAGES], 0, depth
    row[pg.NAMED], row[pg.NAMED_TO] = s[pg.NAMES_READ], s[pg.NAMES]
    s[pg.NAMES_READ] = s[pg.NAMES]
    above = np.int64(0)
    if up >= 0:
        row[pg.TEXTTAG], row[pg.NROW], row[pg.NCELL] = nodes[up, pg.TEXTTAG], nodes[up, pg.NROW], nodes[up, pg.NCELL]
        above = page.all[up]
    else:
        row[pg.TEXTTAG], row[pg.NROW], row[pg.NCELL] = 0, -1, -1
    if table.tag_flags[tag] & TEXT:
        row[pg.TEXTTAG] = tag
    if tag == _TABLE:
        row[pg.NROW] = row[pg.NCELL] = -1
    elif tag == _TR:
        row[pg.NROW], row[pg.NCELL] = number, -1
        above_it = up
        for _ in range(3):
            if above_it >= 0 and nodes[above_it, pg.NTAG] != _TABLE:
                above_it = nodes[above_it, pg.PARENT]
        if above_it >= 0:
            nodes[above_it, pg.COUNT] += 1
            row[pg.COUNT] = nodes[above_it, pg.COUNT]
    elif tag == _TD or tag == _TH:
        row[pg.NCELL] = number
    elif tag == _PRE or tag == _LISTING:
        s[pg.PRE] += 1
    hide = np.int64(page.nodes[up, pg.HIDE]) if up >= 0 else np.int64(0)
    row[pg.HIDE] = inherit(page, tag, page.found[2], hide)
    row[pg.WIDE_BY], row[pg.HIGH_BY] = min(page.found[3], pg.MAX_SPAN), min(page.found[4], pg.MAX_SPAN)
    own = bits | table.tag_bits[tag]
    page.own[number], page.all[number], page.family[number] = own, own | above, family
    page.stack[depth] = number
    page.open[tag] += 1
    s[pg.NODES], s[pg.DEPTH] = number + 1, depth + 1


@inner
def pop(page: pg.Page) -> None:
    s = page.state
    s[pg.DEPTH] -= 1
    number = page.stack[s[pg.DEPTH]]
    row = page.nodes[number]
    row[pg.TO], row[pg.TO_IMAGE] = s[pg.BLOCKS], s[pg.IMAGES]
    page.open[row[pg.NTAG]] -= 1
    if row[pg.NTAG] == _PRE or row[pg.NTAG] == _LISTING:
        s[pg.PRE] -= 1
    elif row[pg.NTAG] == _LI:
        s[pg.PENDING] = 0


@inner
def close(page: pg.Page, wanted: Int, other: Int, boundary: Int, second: Int) -> None:
    """Close the nearest open element of two tags with all inside it, unless one of two boundary tags stands in between."""
    s = page.state
    if page.open[wanted] == 0 and page.open[other] == 0:
        return
    depth = s[pg.DEPTH] - 1
    while depth > 0:
        tag = page.nodes[page.stack[depth], pg.NTAG]
        s[pg.WORK] += 1
        if tag == wanted or tag == other:
            while s[pg.DEPTH] > depth:
                pop(page)
            return
        if tag == boundary or tag == second:
            return
        depth -= 1


@inner
def imply_ends(page: pg.Page, table: Tables, tag: Int) -> None:
    """Close what this start tag ends without saying so."""
    s = page.state
    top = page.nodes[page.stack[s[pg.DEPTH] - 1], pg.NTAG]
    if top == _P or (table.tag_flags[tag] & HEADING and table.tag_flags[top] & HEADING):
        pop(page)
    if tag == _LI:
        s[pg.PENDING] = 0
        close(page, _LI, _LI, _UL, _OL)
    elif tag == _DT or tag == _DD:
        close(page, _DT, _DD, _DL, _TABLE)
    elif tag == _TD or tag == _TH:
        close(page, _TD, _TH, _TR, _TABLE)
    elif tag == _TR:
        close(page, _TR, _CAPTION, _TABLE, _TABLE)
    elif tag == _TBODY or tag == _THEAD or tag == _TFOOT:
        close(page, _TBODY, _THEAD, _TABLE, _TABLE)


@inner
def end_tag(page: pg.Page, table: Tables, tag: Int) -> None:
    s, flags = page.state, table.tag_flags[tag]
    if tag == _A:
        s[pg.IN_LINK] = 0
    if not flags & BLOCK:
        return
    if s[pg.MUTE_DEPTH] == 0:
        s[pg.MUTE] = 0
    top = page.nodes[page.stack[s[pg.DEPTH] - 1], pg.NTAG]
    if s[pg.PRE] and page.open[tag] and tag != top:
        pass  # an end that reaches beyond the listing
    elif s[pg.PRE] and tag != _PRE and tag != _LISTING:
        newline(page)
        if page.open[tag] and tag == top:
            pop(page)
        return
    flush(page, table)
    s[pg.BREAKS] = 2
    if flags & HEADING and table.tag_flags[top] & HEADING:
        pop(page)
    elif page.open[tag]:
        inside = tag == _TABLE or tag == _TR or tag == _TBODY or tag == _THEAD or tag == _TFOOT
        if inside or tag == _TD or tag == _TH:
            close(page, tag, tag, tag if tag == _TABLE else _TABLE, _TABLE)
        else:
            close(page, tag, tag, _TD, _TH)


@inner
def newline(page: pg.Page) -> None:
    """Inside a listing an element that breaks text begins a line."""
    s = page.state
    end = s[pg.TEXT_END]
    if end > s[pg.SEGMENT] and page.text[end - 1] != 10:
        page.text[end] = 10
        s[pg.TEXT_END] = end + 1
