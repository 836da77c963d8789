"""Which elements' text is left out in the end, of those that attributes and style sheets say are not shown.

Input: a `Page` with its blocks, and the flags of its elements. Output: DROP on the elements whose text is left out. Not all that is
hidden is: accordions and tabs show their parts on a click (told by names, or by two parts under short lines of their own), and
some pages hide their body until a script shows it (told by what is left without it).
"""

# ruff: noqa: SIM109, SIM110 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import GOLDEN, Bool, Int, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.hidden.flags import DROP, FADED, FOLD, HARD, OPEN, SHOWN, SIZED, TINY, UNTOLD, WEAK
from skyloom.corpus.extract.tag_tables import TAG

_HTML, _BODY = TAG["html"], TAG["body"]
LITTLE, PROSE, LONG_LABEL = 150, 15, 20
"""Units: of visible prose that is no article; of a passage; of a line above a hidden part."""
ALIKE = 3
"""Hidden parts of one tag and class, each in an element of its own, that are no accident."""


@inner
def inherit(page: pg.Page, tag: Int, own: Int, above: Int) -> Int:
    """The flags of an element with those of the one above it."""
    if tag == _BODY or tag == _HTML:
        return 0
    if own & SHOWN:
        above &= ~FADED
    if own & SIZED:
        above &= ~TINY
    flags = (own | above) & (HARD | FADED | TINY | WEAK | FOLD | UNTOLD)
    if flags & (HARD | FADED | TINY | WEAK | UNTOLD):
        page.state[pg.HIDES] = 1
    return flags


@inner
def settle_hidden(page: pg.Page) -> None:
    """Set DROP for the elements whose text is left out."""
    s, nodes = page.state, page.nodes
    if s[pg.HIDES] == 0:
        return
    for e in range(1, s[pg.NODES]):
        row = nodes[e]
        above = nodes[row[pg.PARENT], pg.HIDE]
        if row[pg.HIDE] & UNTOLD and ((above & UNTOLD and above & HARD) or _has_prose(page, row[pg.FROM], row[pg.TO])):
            row[pg.HIDE] |= HARD
    _count_parts(page)
    for e in range(1, s[pg.NODES]):
        up = nodes[e, pg.PARENT]
        flags = nodes[e, pg.HIDE] | (nodes[up, pg.HIDE] & OPEN)
        if _outermost(page, e) and _is_part(page, e):
            flags |= OPEN
        if _gone(flags) and not flags & (FOLD | OPEN):
            flags |= DROP
        nodes[e, pg.HIDE] = flags
    _weigh(page)


@inner
def _has_prose(page: pg.Page, first: Int, last: Int) -> bool:
    for i in range(first, last):
        if _is_prose(page, i):
            return True
    return False


@inner
def _is_prose(page: pg.Page, i: Int) -> bool:
    row = page.blocks[i]
    prose: bool = row[pg.UNITS] >= PROSE and row[pg.LINKED] < 0.35 * (row[pg.END] - row[pg.START])
    return prose


@inner
def _outermost(page: pg.Page, e: Int) -> bool:
    return _gone(page.nodes[e, pg.HIDE]) and not _gone(page.nodes[page.nodes[e, pg.PARENT], pg.HIDE])


@inner
def _slot(page: pg.Page, e: Int) -> Int:
    """The place of an element's tag and class, with those of the element above, in a table that is not exact."""
    key = page.family[e] ^ (page.family[page.nodes[e, pg.PARENT]] * GOLDEN)
    return np.int64((key * GOLDEN) >> np.uint64(50))


@inner
def _count_parts(page: pg.Page) -> None:
    """Count the hidden parts under short lines of each element, and those that are alike and each in an element of its own."""
    counts, alike, nodes = page.scores, page.family_sums, page.nodes
    counts[: page.state[pg.NODES]] = 0
    alike[:] = 0
    for e in range(1, page.state[pg.NODES]):
        if not _outermost(page, e) or nodes[e, pg.TO] == nodes[e, pg.FROM]:
            continue
        up = nodes[e, pg.PARENT]
        if _headed(page, e):
            counts[up] += 1
            if nodes[up, pg.PARENT] >= 0:
                counts[nodes[up, pg.PARENT]] += 1
        slot = _slot(page, e)
        if alike[slot, 1] != up:
            alike[slot, 0] += 1
            alike[slot, 1] = up


@inner
def _is_part(page: pg.Page, e: Int) -> Bool:
    """Whether a hidden element is one of several that are shown by a click each."""
    up = page.nodes[e, pg.PARENT]
    above = page.nodes[up, pg.PARENT]
    if _headed(page, e) and (page.scores[up] >= 2 or (above >= 0 and page.scores[above] >= 2)):
        return True
    alike: Bool = page.family_sums[_slot(page, e), 0] >= ALIKE
    return alike


@inner
def _gone(flags: Int) -> bool:
    return (flags & (HARD | FADED | TINY)) != 0


@inner
def _headed(page: pg.Page, e: Int) -> Bool:
    """Whether a short line stands right above an element and belongs to the same one."""
    first = page.nodes[e, pg.FROM]
    if first == 0 or page.nodes[e, pg.TO] <= first:
        return False
    above = page.blocks[first - 1]
    inside: Bool = page.nodes[page.nodes[e, pg.PARENT], pg.FROM] < first
    return inside and above[pg.UNITS] <= LONG_LABEL and above[pg.STOPS] <= 1


@inner
def _weigh(page: pg.Page) -> None:
    """Hidden prose is the page where hardly any other is; what is only faded to nothing may be shown as the page is scrolled."""
    s, nodes = page.state, page.nodes
    shown: Int
    hidden: Int
    weak: Int
    shown = hidden = weak = np.int64(0)
    for i in range(s[pg.BLOCKS]):
        if _is_prose(page, i):
            flags, units = nodes[page.blocks[i, pg.NODE], pg.HIDE], page.blocks[i, pg.UNITS]
            if flags & DROP:
                hidden += units
            elif flags & WEAK and not flags & FOLD:
                weak += units
            else:
                shown += units
    whole = hidden > (2 if shown + weak < LITTLE else 3) * (shown + weak)
    rare = weak * 3 < shown
    for e in range(s[pg.NODES]):
        flags = nodes[e, pg.HIDE]
        if whole:
            nodes[e, pg.HIDE] = flags & ~DROP
        elif rare and flags & WEAK and not flags & (FOLD | OPEN):
            nodes[e, pg.HIDE] = flags | DROP
