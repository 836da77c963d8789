"""The rows of tables as text: `a | b | c`, with a place for each cell of the grid.

Input: a `Page` whose blocks are chosen. Output: the text of one row. Empty cells keep their place, lines and paragraphs inside a
cell are joined by a blank, and what covers several columns or rows is repeated in each. A row is one if at least two of its cells
have text and none is as long as a column of a layout; a row with one short cell is one beside another row of its table.
"""

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bool, Bytes, Int, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.scan import copy
from skyloom.corpus.extract.tag_tables import TAG

CELL_BYTES = 1200
"""A longer cell is a column of a layout and no cell of a table."""
SHORT_CELL = 200
"""The longest single cell that may stand for a row, and the longest that is repeated, in bytes."""
_MOST_BLOCKS, _MOST_NODES = 400, 4000
_PRE, _TABLE = TAG["pre"], TAG["table"]


@inner
def table_of(page: pg.Page, row: Int) -> Int:
    """The table of a row's element, or -1."""
    up = page.nodes[row, pg.PARENT]
    for _ in range(3):
        if up < 0 or page.nodes[up, pg.NTAG] == _TABLE:
            break
        up = page.nodes[up, pg.PARENT]
    return np.int64(up) if up >= 0 and page.nodes[up, pg.NTAG] == _TABLE else np.int64(-1)


@inner
def row_end(page: pg.Page, i: Int, table: Int) -> Int:
    """The end of the blocks of the row that begins with the kept block i, or i if it is no row of a table.

    `table`: the table whose row was written last, or -1.
    """
    row = page.blocks[i, pg.ROW]
    if row < 0:
        return i
    first, last = page.nodes[row, pg.FROM], page.nodes[row, pg.TO]
    if last - first > _MOST_BLOCKS or _has_many_elements(page, np.int64(row)):
        return i
    cells, size, cell, others = 0, 0, -1, 0
    for k in range(first, last):
        block = page.blocks[k]
        if block[pg.ROW] != row or block[pg.CELL] < 0:
            return i
        if not page.keep[k]:
            others += 1
            continue
        if block[pg.CELL] != cell:
            cells, size, cell = cells + 1, 0, block[pg.CELL]
        size += block[pg.END] - block[pg.START]
        if size > CELL_BYTES or block[pg.BTAG] == _PRE:
            return i
    if cells == 1 and (others or size > SHORT_CELL or table < 0 or table != table_of(page, np.int64(row)) or not _wide(page, row)):
        return i
    return np.int64(last)


@inner
def _has_many_elements(page: pg.Page, row: Int) -> bool:
    """Whether a row holds more elements than `write_row` looks at."""
    e = row + 1
    while e < page.state[pg.NODES] and page.nodes[e, pg.DEPTH_OF] > page.nodes[row, pg.DEPTH_OF]:
        if e - row >= _MOST_NODES:
            return True
        e += 1
    return False


@inner
def _wide(page: pg.Page, row: Int) -> bool:
    """Whether a row has a second cell."""
    cells, e = 0, row + 1
    while e < page.state[pg.NODES] and page.nodes[e, pg.DEPTH_OF] > page.nodes[row, pg.DEPTH_OF] and e - row < _MOST_NODES:
        cells += page.nodes[e, pg.NCELL] == e and page.nodes[e, pg.NROW] == row
        e += 1
    return cells > 1


@inner
def write_row(page: pg.Page, row: Int, table: Int, out: Bytes, at: Int) -> Int:
    """Write the cells of a row at out[at:]; the place after them. `table`: the table whose row was written last."""
    nodes, spans = page.nodes, page.spans
    if table < 0 or table != table_of(page, row):
        spans[:] = 0
    column: Int
    ordinal, column, e, start = nodes[row, pg.COUNT], np.int64(0), row + 1, at
    while e < page.state[pg.NODES] and nodes[e, pg.DEPTH_OF] > nodes[row, pg.DEPTH_OF] and e - row < _MOST_NODES:
        if nodes[e, pg.NCELL] == e and nodes[e, pg.NROW] == row:
            at, column = _covered(page, column, row, out, at, start)
            at = _cell(page, e, out, at, column > 0, at > start)
            for k in range(nodes[e, pg.WIDE_BY]):
                if column + k < pg.MAX_SPAN:
                    spans[column + k, 0], spans[column + k, 1] = ordinal + nodes[e, pg.HIGH_BY] - 1, e
                    if k:
                        at = _again(page, e, out, at, True, at > start)
            column += nodes[e, pg.WIDE_BY]
        e += 1
    at, column = _covered(page, column, row, out, at, start)
    return at


@inner
def _covered(page: pg.Page, column: Int, row: Int, out: Bytes, at: Int, start: Int) -> tuple[Int, Int]:
    """Write the cells of rows above that cover the next columns."""
    while column < pg.MAX_SPAN and page.spans[column, 1] > 0 and page.spans[column, 0] >= page.nodes[row, pg.COUNT]:
        e = np.int64(page.spans[column, 1])
        if page.nodes[e, pg.NROW] == row:
            break
        at = _again(page, e, out, at, column > 0, at > start)
        column += 1
    return at, column


@inner
def _again(page: pg.Page, e: Int, out: Bytes, at: Int, inside: Bool, begun: Bool) -> Int:
    return _cell(page, e, out, at, inside, begun) if _spare(page, e) else at


@inner
def _spare(page: pg.Page, e: Int) -> bool:
    """Whether a cell may be written once more: what is repeated on a page is at most as long as its text."""
    first, last = page.nodes[e, pg.FROM], page.nodes[e, pg.TO]
    size = page.blocks[last - 1, pg.END] - page.blocks[first, pg.START] + last - first if last > first else 0
    size = max(size, 0)
    page.state[pg.SPARE] -= size + 4
    return size <= SHORT_CELL and page.state[pg.SPARE] >= 0


@inner
def _cell(page: pg.Page, e: Int, out: Bytes, at: Int, inside: Bool, begun: Bool) -> Int:
    """Write one cell, after a bar if it is not the first; `begun`: the row has text."""
    if inside:
        out[at], out[at + 1] = 32, 124
        out[at + 1 - (not begun)] = 124
        at += 1 + begun
    first = not inside
    for k in range(page.nodes[e, pg.FROM], page.nodes[e, pg.TO]):
        if page.keep[k]:
            if not first:
                out[at] = 32
                at += 1
            at = copy(out, at, page.text, page.blocks[k, pg.START], page.blocks[k, pg.END])
            first = False
    return at
