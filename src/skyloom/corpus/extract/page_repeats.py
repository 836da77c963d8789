"""Runs of blocks that go on or come again: the last steps of a list in a second element, and the same text in a second copy.

Input: a `Page` whose blocks are chosen. Output: the choice, changed. A page may carry its text twice, for print or for small
screens, in a dialog, in the copies of a carousel, short before "more", or as what the next post of a thread quotes: one stays. An
equal paragraph alone is no copy: laws and contracts say the same below different headings, and so do answers to different
questions. Verses and the cells of tables may repeat.
"""

# ruff: noqa: SIM110 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import FNV_START, GOLDEN, Bool, Int, Ints32, fnv, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.features import NEGATIVE
from skyloom.corpus.extract.tag_tables import HEADING, NAME_BITS, TAG, Tables

LONG = 15
"""Units of a passage that does not come twice by itself."""
STEP = 6
"""Units of the shortest block that goes on where another ended."""
LABEL = 20
"""Units of a line that may stand above a passage as its heading."""
PASSAGES, SHARE = 3, 0.75
"""Of a copy below a heading of its own: its passages, and its part of all that stood before."""
HEADED = 0.25
"""The likelihood from which on a heading that does not stay tells the passages below it apart."""
NEXT = 8
"""Blocks to the one that is kept next."""
_LABEL_RANK, _TEXT_RANK = 7, 8  # after the ranks of headings
_STEM = 24  # bytes that a shortened text and the whole one have in common
_COPIES = NAME_BITS["picture"] | NAME_BITS["popup"] | NAME_BITS["hide"]
_PRE, _H1, _LI, _QUOTE = TAG["pre"], TAG["h1"], TAG["li"], TAG["blockquote"]


@inner
def carry_on(page: pg.Page, table: Tables) -> None:
    """Keep the blocks that continue a kept one in the element after it: by their numbers, or by being like it in all."""
    for i in range(1, page.state[pg.BLOCKS]):
        row, before = page.blocks[i], page.blocks[i - 1]
        if page.keep[i] or not page.keep[i - 1] or page.p[i] <= 0 or row[pg.BTAG] != before[pg.BTAG]:
            continue
        if 2 * row[pg.LINKED] > row[pg.END] - row[pg.START] or row[pg.PHRASE] or row[pg.UNITS] < STEP:
            continue
        if table.tag_flags[row[pg.BTAG]] & HEADING or page.all[row[pg.NODE]] & NEGATIVE & ~page.all[before[pg.NODE]]:
            continue
        number = _number(page, i)
        if number > 1 and number == _number(page, i - 1) + 1:
            page.keep[i] = 1
        elif number == 0 and row[pg.STOPS] and before[pg.STOPS] and _goes_on(page, i):
            near = 2 * row[pg.UNITS] >= before[pg.UNITS] and row[pg.UNITS] <= 3 * before[pg.UNITS]
            page.keep[i] |= near and page.family[row[pg.NODE]] == page.family[before[pg.NODE]]


@inner
def _goes_on(page: pg.Page, i: Int) -> bool:
    """Whether a block begins the brother of the element before, or follows in a brother that begins with a kept one."""
    up = page.nodes[page.blocks[i, pg.NODE], pg.PARENT]
    first = page.nodes[up, pg.FROM] if up >= 0 else i
    if first < 1 or first > i or not page.keep[first - 1] or (first < i and not page.keep[first]):
        return False
    return _brothers(page, page.blocks[first, pg.NODE], page.blocks[first - 1, pg.NODE])


@inner
def _brothers(page: pg.Page, a: Int, b: Int) -> bool:
    """Whether two elements stand in one, or in two of one kind that do."""
    nodes = page.nodes
    up, other = nodes[a, pg.PARENT], nodes[b, pg.PARENT]
    if up < 0 or other < 0 or up == other:
        return False
    same: bool = nodes[up, pg.PARENT] == nodes[other, pg.PARENT] and page.family[up] == page.family[other]
    return same


@inner
def _number(page: pg.Page, i: Int) -> Int:
    """The number that a block begins with (`8.`, `8、`, `(8)`, `第八步`, `八、`, `Step 8`), or of its item; 0 if there is none."""
    row, text = page.blocks[i], page.text
    if row[pg.MARK] > 0:
        return np.int64(row[pg.MARK])
    k, stop = row[pg.START], min(row[pg.START] + 32, row[pg.END])
    ordinal = k + 3 <= stop and text[k] == 0xE7 and text[k + 1] == 0xAC and text[k + 2] == 0xAC  # 第
    if ordinal or (k + 3 <= stop and text[k] == 0xEF and text[k + 1] == 0xBC and text[k + 2] == 0x88):  # （
        k += 3
    elif k < stop and text[k] == 40:
        k += 1
    else:
        word = k
        while word < stop and 97 <= (text[word] | 32) <= 122:
            word += 1
        if word - k == 4 and (text[k] | 32) == 115 and (text[k + 3] | 32) == 112:  # Step
            k = word + (word < stop and text[word] == 32)
    value: Int
    value, begin = np.int64(0), k
    while k < stop and 48 <= text[k] <= 57 and k - begin < 4:
        value = value * 10 + np.int64(text[k]) - 48
        k += 1
    if k == begin:
        k, value = _chinese(page, k, stop)
    if k == begin or k >= stop or (text[k] != 46 and text[k] != 41 and text[k] != 58 and text[k] != 32 and text[k] < 128):
        return np.int64(0)
    return value


@inner
def _chinese(page: pg.Page, k: Int, stop: Int) -> tuple[Int, Int]:
    """A Chinese numeral up to 99 at k: (the place after it, its value)."""
    text = page.text
    value: Int
    value = last = np.int64(0)
    while k + 3 <= stop:
        point = (np.int64(text[k]) << 16) | (np.int64(text[k + 1]) << 8) | np.int64(text[k + 2])
        if point == 0xE58D81:  # 十
            value, last = (last if last else np.int64(1)) * 10, np.int64(0)
            k += 3
            continue
        digit = np.int64(0)
        for n in range(9):
            if point == _DIGITS[n]:
                digit = np.int64(n + 1)
        if digit == 0:
            break
        last = digit
        k += 3
    return k, value + last


_DIGITS = np.array([int.from_bytes(c.encode(), "big") for c in "一二三四五六七八九"], np.int64)


@inner
def drop_repeats(page: pg.Page) -> None:
    """Drop runs of kept blocks that all stood before, if there is a passage among them and they are a copy: their element is one by
    its name, they stand below the same heading as before, they are quoted and were not before, or they are nearly all that stood
    before."""
    keys, above, used = page.families, page.family_sums, 0
    keys[:] = 0
    heads = page.spans[:, 0]  # of each rank the last heading, plus 1
    heads[:] = 0
    i: Int
    i, count, before, last = np.int64(0), page.state[pg.BLOCKS], 0, np.int64(-1)
    end, passages, units = np.int64(0), 0, 0  # of the run of seen blocks that goes on at i
    while i < count:
        if page.keep[i] and i >= end:
            _cut_stem(page, i)
        if not page.keep[i]:
            if page.p[i] > HEADED and _rank(page, i) < _LABEL_RANK:
                _set_heading(heads, _rank(page, i), i)
            i += 1
            continue
        row = page.blocks[i]
        if i >= end:
            end, passages, units = i, 0, 0
            while end < count and (not page.keep[end] or _seen(page, end)):
                if page.keep[end]:
                    passages += page.blocks[end, pg.UNITS] >= LONG
                    units += page.blocks[end, pg.UNITS]
                end += 1
        rank, slot = _rank(page, i), _place(page, _hash(page, i))
        head = _heading_above(heads, rank)
        if i < end:
            copy = row[pg.UNITS] >= 2 and page.all[row[pg.NODE]] & _COPIES != 0
            if not copy and passages and _is_quoted(page, i):
                copy = not _is_quoted(page, _next_kept(page, np.int64(above[slot, 0])))
            if not copy and passages and not (row[pg.BTAG] == _LI and row[pg.MARK] > 0 and units == row[pg.UNITS]):
                labelled = last >= 0 and _rank(page, last) < _TEXT_RANK <= rank + 1 and above[slot, 0] != last + 1
                copy = above[slot, 1] == head and not labelled
                if not copy and passages >= PASSAGES and units >= SHARE * before:
                    copy = _in_order(page, i, end)
            if copy:
                page.keep[i:end] = 0
                i = end
                continue
            passages -= row[pg.UNITS] >= LONG
            units -= row[pg.UNITS]
        if keys[slot] == 0 and used < pg.HASHES // 2 and _may_repeat(page, i):
            used += 1
            keys[slot] = _hash(page, i)
            above[slot, 0], above[slot, 1] = last + 1, head
        if rank < _TEXT_RANK:
            _set_heading(heads, rank, i)
        before += row[pg.UNITS]
        last = i
        i += 1


@inner
def _is_quoted(page: pg.Page, i: Int) -> bool:
    """Whether a block stands in a <blockquote>."""
    element: Int
    element = np.int64(page.blocks[i, pg.NODE])
    while element >= 0 and page.nodes[element, pg.NTAG] != _QUOTE:
        element = np.int64(page.nodes[element, pg.PARENT])
    return bool(element >= 0)


@inner
def _next_kept(page: pg.Page, i: Int) -> Int:
    """The first block from i on that is kept; there is one."""
    while not page.keep[i]:
        i += 1
    return i


@inner
def _in_order(page: pg.Page, i: Int, end: Int) -> bool:
    """Whether the first blocks of a run of seen ones follow each other as they did when they were seen first."""
    steps, at = 0, page.family_sums[_place(page, _hash(page, i)), 0]
    for k in range(i + 1, end):
        if page.keep[k]:
            following = page.family_sums[_place(page, _hash(page, k)), 0]
            if following <= at or following > at + NEXT:
                return False
            steps, at = steps + 1, following
            if steps == PASSAGES:
                return True
    return False


@inner
def _rank(page: pg.Page, i: Int) -> Int:
    """The rank of a heading, 1 to 6; _LABEL_RANK of a short line, which may be one; _TEXT_RANK of other blocks."""
    row = page.blocks[i]
    if _H1 <= row[pg.BTAG] <= _H1 + 5:
        return np.int64(row[pg.BTAG] - _H1 + 1)
    label = row[pg.UNITS] <= LABEL and row[pg.STOPS] <= 1 and row[pg.BTAG] != _PRE and row[pg.BTAG] != _LI and row[pg.ROW] < 0
    return np.int64(_LABEL_RANK if label else _TEXT_RANK)


@inner
def _set_heading(heads: Ints32, rank: Int, i: Int) -> None:
    """Block i is the last heading of its rank; those below it are over."""
    heads[rank] = i + 1
    heads[rank + 1 : _TEXT_RANK] = 0


@inner
def _heading_above(heads: Ints32, rank: Int) -> Int:
    """The last heading of a higher rank, plus 1; 0 if there is none."""
    for k in range(rank - 1, 0, -1):
        if heads[k]:
            return np.int64(heads[k])
    return np.int64(0)


@inner
def _may_repeat(page: pg.Page, i: Int) -> bool:
    """Whether a block says something by standing twice: not in verses, listings, or the short cells of tables."""
    row = page.blocks[i]
    verse = row[pg.GLUE] or (i + 1 < page.state[pg.BLOCKS] and page.blocks[i + 1, pg.GLUE])
    return not verse and row[pg.BTAG] != _PRE and (row[pg.ROW] < 0 or row[pg.UNITS] >= LONG)


@inner
def _seen(page: pg.Page, i: Int) -> bool:
    return _may_repeat(page, i) and page.families[_place(page, _hash(page, i))] != 0


@inner
def _hash(page: pg.Page, i: Int) -> np.uint64:
    state = FNV_START
    for k in range(page.blocks[i, pg.START], page.blocks[i, pg.END]):
        state = fnv(state, page.text[k])
    return state | np.uint64(1)


@inner
def _place(page: pg.Page, key: np.uint64) -> Int:
    """The slot of a hash among those of the blocks before, or a free one."""
    slot = np.int64((key * GOLDEN) >> np.uint64(50))
    while page.families[slot] != 0 and page.families[slot] != key:
        slot = (slot + 1) % pg.HASHES
    return slot


@inner
def _cut_stem(page: pg.Page, i: Int) -> None:
    """A text that is cut short (`…`) before the whole one goes: inside a block, or in one of the next blocks."""
    row, text = page.blocks[i], page.text
    begin, end = row[pg.START], row[pg.END]
    k = begin + _STEM
    while k + 3 <= end and not _dots(page, k):
        k += 1
    if k + 3 > end:
        return
    stem = k
    while stem > begin and text[stem - 1] <= 32:
        stem -= 1
    for at in range(k + 3, min(k + 40, end - (stem - begin))):
        if _starts(page, at, end, begin, stem) and _goes_on_at(page, at + stem - begin, end):
            row[pg.START] = at
            return
    if end - k > 40:
        return
    for n in range(i + 1, min(i + 4, page.state[pg.BLOCKS])):
        if page.keep[n] and _starts(page, page.blocks[n, pg.START], page.blocks[n, pg.END], begin, stem):
            page.keep[i] = 0
            return


@inner
def _goes_on_at(page: pg.Page, k: Int, end: Int) -> bool:
    """Whether a text goes on at k, perhaps after a blank, with a letter or a character that is no punctuation."""
    while k < end and page.text[k] == 32:
        k += 1
    if k >= end:
        return False
    first, second = page.text[k], page.text[k + 1] if k + 1 < end else np.uint8(0)
    mark: bool = (first == 0xE3 and second == 0x80) or first == 0xEF or (first == 0xE2 and second == 0x80)
    return not mark and (first >= 128 or 97 <= (first | 32) <= 122 or 48 <= first <= 57)


@inner
def _dots(page: pg.Page, k: Int) -> Bool:
    text = page.text
    one: Bool = text[k] == 0xE2 and text[k + 1] == 0x80 and text[k + 2] == 0xA6
    three: Bool = text[k] == 46 and text[k + 1] == 46 and text[k + 2] == 46
    return one or three


@inner
def _starts(page: pg.Page, i: Int, stop: Int, begin: Int, end: Int) -> bool:
    """Whether text[i:stop] begins with text[begin:end]."""
    if stop - i < end - begin:
        return False
    for k in range(end - begin):
        if page.text[i + k] != page.text[begin + k]:
            return False
    return True
