"""Features for the block classifier: a block's text, its neighbours, and the elements around it.

Input: a `Page` that `walk` has filled. Output: one line of numbers for each block. Wrappers that add nothing are passed over:
level 1 of a block is the nearest element that holds another block too, level 2 the nearest that holds more than level 1, and so
on. For five levels: how much prose the element holds, how many links, how often its like occurs on the page (posts of a forum,
cards of a list). Sizes are in units, so that one model serves both languages; they are not scaled, because trees ask only
whether a number is larger than another.
"""

# ruff: noqa: SIM110 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import GOLDEN, Floats, Floats32, Int, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.tag_tables import HEADING, NAMES, PHRASES, TAG, TAG_BITS, Tables, bits

PROSE_UNITS = 15
LEVELS = 5
NEAR = 8  # blocks on each side that the neighbourhood looks at

NEGATIVE = bits("nav crumb foot head side share relate ad popup login subscribe legal pages tool search hide toc")
POSITIVE = bits("article content body main post detail doc")

OWN = (
    "units", "links", "linked_units", "stops", "commas", "digits", "upper", "tag", "rank", "last", "glue", "next_glue",
    "dated", "wide",
    "mark", "phrases", "depth", "place", "place_units", "linked_bytes", "row_cells",
    "prose_before", "prose_after", "gap_before", "gap_after", "units_-2", "units_-1", "units_+1", "units_+2", "links_-2",
    "links_-1",
    "links_+1", "links_+2", "tag_-1", "tag_+1", "near_links", "near_prose", "near_units", "from_h1", "from_title", "run",
    "negatives", "positives", "negative_level", "positive_level", "best", "direct", "in_best", "in_half", "in_most", "from_half",
    "to_half", "in_half_tail", "rank_of_best",
)  # fmt: skip
LEVEL = (
    "units", "links", "prose", "share", "prose_blocks", "blocks", "mean", "p", "pauses", "li", "family", "family_share",
    "place", "images",
    "score", "negative", "positive", "headings",
)  # fmt: skip
ABOUT = (
    "blocks",
    "prose",
    "links",
    "units",
    "best_share",
    "half_share",
    "p",
    "headings",
    "h1",
    "wide",
    "half_links",
    "prose_blocks",
)
FEATURES = (
    *OWN, *(f"phrase_{name}" for name in PHRASES), *(f"named_{name}" for name in NAMES), *(f"in_{name}" for name in TAG_BITS),
    *(f"{name}_{level}" for level in range(1, LEVELS + 1) for name in LEVEL), *(f"page_{name}" for name in ABOUT),
)  # fmt: skip
"""The names of the numbers, in their order."""

_PHRASES, _BITS = len(PHRASES), len(NAMES) + len(TAG_BITS)
_LEVEL_AT = len(OWN) + _PHRASES + _BITS
_ABOUT_AT = _LEVEL_AT + LEVELS * len(LEVEL)
_KINDS = np.zeros(256, np.float32)
for _kind, _names in enumerate(
    ("p", "h1 h2 h3 h4 h5 h6", "li", "dt dd", "td", "th", "pre", "blockquote", "caption figcaption", "body", "legend summary"), 1
):
    for _name in _names.split():
        _KINDS[TAG[_name]] = _kind
_PRE, _LI, _P, _H1 = (TAG[n] for n in ("pre", "li", "p", "h1"))
_S_UNITS, _S_LINKED, _S_PROSE, _S_PROSES, _S_P, _S_PAUSES, _S_HEADINGS, _S_LI, _S_WIDE, _S_BYTES = range(pg.SUMS)
PAGE_BEST, PAGE_HALF, PAGE_MOST, PAGE_HIGHEST, PAGE_H1, PAGE_TITLE = range(6)
ROLES = 6


@inner
def prepare(page: pg.Page, table: Tables, roles: Floats) -> None:
    """Fill the sums, levels, families and scores of a page; roles[ROLES] (float64): its telling elements and places."""
    _sum_up(page, table)
    _levels(page)
    _families(page)
    _score(page, roles)
    _telling(page, roles)


@inner
def _sum_up(page: pg.Page, table: Tables) -> None:
    blocks, sums = page.blocks, page.sums
    sums[0] = 0
    for i in range(page.state[pg.BLOCKS]):
        row, now = blocks[i], sums[i + 1]
        units, size = np.float64(row[pg.UNITS]), row[pg.END] - row[pg.START]
        density = row[pg.LINKED] / size
        for k in range(pg.SUMS):
            now[k] = sums[i, k]
        now[_S_UNITS] += units
        now[_S_LINKED] += units * density
        if units >= PROSE_UNITS and density < 0.35 and row[pg.BTAG] != _PRE:
            now[_S_PROSE] += units
            now[_S_PROSES] += 1
        now[_S_P] += units if row[pg.BTAG] == _P else 0
        now[_S_PAUSES] += row[pg.COMMAS] + row[pg.STOPS]
        now[_S_HEADINGS] += 1 if table.tag_flags[row[pg.BTAG]] & HEADING else 0
        now[_S_LI] += units if row[pg.BTAG] == _LI else 0
        now[_S_WIDE] += row[pg.WIDE]
        now[_S_BYTES] += size


@inner
def _levels(page: pg.Page) -> None:
    nodes, group = page.nodes, page.group
    for e in range(page.state[pg.NODES]):
        row, up = nodes[e], nodes[e, pg.PARENT]
        group[e] = page.own[e]
        if up < 0:
            row[pg.UP] = -1
        elif nodes[up, pg.FROM] == row[pg.FROM] and nodes[up, pg.TO] == row[pg.TO]:
            row[pg.UP] = nodes[up, pg.UP]
            group[e] |= group[up]
        else:
            row[pg.UP] = up


@inner
def _families(page: pg.Page) -> None:
    """How many elements share tag and class, and how much prose they hold."""
    keys, found, nodes = page.families, page.family_sums, page.nodes
    keys[:] = 0
    for e in range(page.state[pg.NODES]):
        row = nodes[e]
        row[pg.FAMILY] = -1
        if row[pg.FROM] == row[pg.TO]:
            continue
        key = page.family[e] | np.uint64(1)
        slot = np.int64((key * GOLDEN) >> np.uint64(50))
        tries = 0
        while keys[slot] != 0 and keys[slot] != key and tries < 16:
            slot = (slot + 1) % pg.HASHES
            tries += 1
        if tries == 16:  # a table this full is no template
            continue
        if keys[slot] == 0:
            keys[slot] = key
            found[slot, 0] = found[slot, 1] = 0
        found[slot, 0] += 1
        found[slot, 1] += page.sums[row[pg.TO], _S_PROSE] - page.sums[row[pg.FROM], _S_PROSE]
        row[pg.FAMILY] = slot


@inner
def first_level(page: pg.Page, i: Int) -> Int:
    """The nearest element around block i that holds another block too; the root if there is none."""
    node = page.blocks[i, pg.NODE]
    if page.nodes[node, pg.TO] - page.nodes[node, pg.FROM] <= 1 and page.nodes[node, pg.UP] >= 0:
        return np.int64(page.nodes[node, pg.UP])
    return np.int64(node)


@inner
def _score(page: pg.Page, roles: Floats) -> None:
    """Prose counts whole for the first level around it, half for the second, a quarter for the third; links take away."""
    nodes, sums, scores = page.nodes, page.sums, page.scores
    total = page.state[pg.NODES]
    scores[:total] = 0
    for i in range(page.state[pg.BLOCKS]):
        prose = sums[i + 1, _S_PROSE] - sums[i, _S_PROSE]
        element: Int
        element, part = first_level(page, i), 1.0
        while prose > 0 and element >= 0 and part >= 0.25:
            scores[element] += prose * part
            element, part = np.int64(nodes[element, pg.UP]), part / 2
    best, highest = 0, 0.0
    for e in range(total):
        a, b = nodes[e, pg.FROM], nodes[e, pg.TO]
        units = sums[b, _S_UNITS] - sums[a, _S_UNITS]
        scores[e] *= 1 - (sums[b, _S_LINKED] - sums[a, _S_LINKED]) / max(units, 1.0)
        if scores[e] > highest:
            best, highest = e, scores[e]
    roles[PAGE_BEST], roles[PAGE_HIGHEST] = best, highest


@inner
def _telling(page: pg.Page, roles: Floats) -> None:
    """The smallest elements with half and with most of the page's prose, the first <h1>, and the block that is the title."""
    nodes, sums, count = page.nodes, page.sums, page.state[pg.BLOCKS]
    prose = sums[count, _S_PROSE]
    half, most, half_units, most_units = 0, 0, sums[count, _S_UNITS] + 1, sums[count, _S_UNITS] + 1
    for e in range(page.state[pg.NODES]):
        a, b = nodes[e, pg.FROM], nodes[e, pg.TO]
        share, units = sums[b, _S_PROSE] - sums[a, _S_PROSE], sums[b, _S_UNITS] - sums[a, _S_UNITS]
        if share >= 0.5 * prose and units <= half_units:
            half, half_units = e, units
        if share >= 0.8 * prose and units <= most_units:
            most, most_units = e, units
    roles[PAGE_HALF], roles[PAGE_MOST] = half, most
    roles[PAGE_H1] = roles[PAGE_TITLE] = -1
    for i in range(count):
        if page.blocks[i, pg.BTAG] == _H1 and roles[PAGE_H1] < 0:
            roles[PAGE_H1] = i
        if roles[PAGE_TITLE] < 0 and _begins_title(page, i):
            roles[PAGE_TITLE] = i


@inner
def _begins_title(page: pg.Page, i: Int) -> bool:
    """Whether the title begins with the block's text and the block is no link."""
    a, b = page.blocks[i, pg.START], page.blocks[i, pg.END]
    if b - a < 8 or b - a > page.state[pg.TITLE_END] or 2 * page.blocks[i, pg.LINKED] > b - a:
        return False
    for k in range(b - a):
        if page.text[a + k] != page.title[k]:
            return False
    return True


@inner
def describe(page: pg.Page, i: Int, roles: Floats, out: Floats32) -> None:
    """Fill `out` (float32[FEATURES]) with the line of block i of a prepared page."""
    _describe_own(page, i, roles, out)
    _describe_levels(page, i, roles, out)


@inner
def _at(page: pg.Page, i: Int, column: Int) -> np.int32:
    value: np.int32 = page.blocks[min(max(i, 0), page.state[pg.BLOCKS] - 1), column]
    return value


@inner
def _links(page: pg.Page, i: Int) -> float:
    row = page.blocks[min(max(i, 0), page.state[pg.BLOCKS] - 1)]
    density: float = row[pg.LINKED] / max(row[pg.END] - row[pg.START], 1)
    return density


@inner
def _describe_own(page: pg.Page, i: Int, roles: Floats, out: Floats32) -> None:
    row, sums, nodes = page.blocks[i], page.sums, page.nodes
    count = page.state[pg.BLOCKS]
    size, units = row[pg.END] - row[pg.START], np.float64(row[pg.UNITS])
    total = max(sums[count, _S_UNITS], 1.0)
    tag = row[pg.BTAG]
    density = row[pg.LINKED] / size
    everywhere = page.all[row[pg.NODE]]
    k: Int = 0
    out[0], out[1], out[2], out[3], out[4] = units, density, units * density, row[pg.STOPS], row[pg.COMMAS]
    out[5], out[6], out[7] = row[pg.DIGITS] / size, row[pg.UPPER] / size, _KINDS[tag]
    out[8] = tag - _H1 + 1 if _H1 <= tag <= _H1 + 5 else 0
    out[9], out[10], out[11], out[12] = _ending(row[pg.LAST]), row[pg.GLUE], _at(page, i + 1, pg.GLUE), row[pg.DATED] > 0
    out[13], out[14] = row[pg.WIDE] / max(units, 1), min(row[pg.MARK], 1)
    phrases = row[pg.PHRASE]
    out[16], out[17], out[18], out[19] = nodes[row[pg.NODE], pg.DEPTH_OF], i / count, sums[i, _S_UNITS] / total, row[pg.LINKED]
    out[20] = nodes[row[pg.ROW], pg.TO] - nodes[row[pg.ROW], pg.FROM] if row[pg.ROW] >= 0 else 0

    prose = sums[count, _S_PROSE]
    out[21] = sums[i, _S_PROSE] / max(prose, 1)
    out[22] = (prose - sums[i + 1, _S_PROSE]) / max(prose, 1)
    k = i
    while k > 0 and i - k < 30 and sums[k, _S_PROSES] == sums[k - 1, _S_PROSES]:
        k -= 1
    out[23] = i - k if k > 0 else 31
    k = i + 1
    while k < count and k - i < 31 and sums[k + 1, _S_PROSES] == sums[k, _S_PROSES]:
        k += 1
    out[24] = k - i - 1 if k < count else 31
    for n in range(4):
        near = i + (n - 2 if n < 2 else n - 1)
        out[25 + n] = _at(page, near, pg.UNITS) if 0 <= near < count else -1
        out[29 + n] = _links(page, near) if 0 <= near < count else -1
    out[33] = _KINDS[_at(page, i - 1, pg.BTAG)] if i else -1
    out[34] = _KINDS[_at(page, i + 1, pg.BTAG)] if i + 1 < count else -1
    a, b = max(i - NEAR, 0), min(i + NEAR + 1, count)
    near_units = sums[b, _S_UNITS] - sums[a, _S_UNITS]
    out[35] = (sums[b, _S_LINKED] - sums[a, _S_LINKED]) / max(near_units, 1)
    out[36] = (sums[b, _S_PROSE] - sums[a, _S_PROSE]) / max(near_units, 1)
    out[37] = near_units / (b - a)
    out[38] = i - roles[PAGE_H1] if roles[PAGE_H1] >= 0 else -1000
    out[39] = i - roles[PAGE_TITLE] if roles[PAGE_TITLE] >= 0 else -1000
    k = i
    while k > 0 and i - k < 20 and page.blocks[k - 1, pg.NODE] == row[pg.NODE]:
        k -= 1
    out[40] = i - k
    out[41], out[42] = _count_bits(everywhere & NEGATIVE), _count_bits(everywhere & POSITIVE)

    half, best = np.int64(roles[PAGE_HALF]), np.int64(roles[PAGE_BEST])
    most = np.int64(roles[PAGE_MOST])
    out[47] = nodes[best, pg.FROM] <= i < nodes[best, pg.TO]
    out[48] = nodes[half, pg.FROM] <= i < nodes[half, pg.TO]
    out[49] = nodes[most, pg.FROM] <= i < nodes[most, pg.TO]
    out[50], out[51] = i - nodes[half, pg.FROM], nodes[half, pg.TO] - 1 - i
    width = nodes[most, pg.TO] - nodes[most, pg.FROM]
    out[52] = (i - nodes[most, pg.FROM]) / max(width, 1)
    out[15] = _count_bits(np.int64(phrases))
    for n in range(_PHRASES):
        out[len(OWN) + n] = (phrases >> n) & 1
    for n in range(_BITS):
        out[len(OWN) + _PHRASES + n] = (everywhere >> n) & 1


@inner
def _describe_levels(page: pg.Page, i: Int, roles: Floats, out: Floats32) -> None:
    sums, nodes, count = page.sums, page.nodes, page.state[pg.BLOCKS]
    prose, proses = max(sums[count, _S_PROSE], 1.0), max(sums[count, _S_PROSES], 1.0)
    highest = max(roles[PAGE_HIGHEST], 1.0)
    element: Int
    element, at = first_level(page, i), _LEVEL_AT
    out[43] = out[44] = 9
    own = page.group[page.blocks[i, pg.NODE]]
    if own & NEGATIVE:
        out[43] = 0
    if own & POSITIVE:
        out[44] = 0
    out[46] = page.scores[element] / highest
    best = 0.0
    for level in range(LEVELS):
        row = nodes[element]
        a, b = row[pg.FROM], row[pg.TO]
        low, high = sums[a], sums[b]
        units = high[_S_UNITS] - low[_S_UNITS]
        full = max(units, 1.0)
        out[at] = units
        out[at + 1] = (high[_S_LINKED] - low[_S_LINKED]) / full
        out[at + 2] = (high[_S_PROSE] - low[_S_PROSE]) / full
        out[at + 3] = (high[_S_PROSE] - low[_S_PROSE]) / prose
        out[at + 4] = (high[_S_PROSES] - low[_S_PROSES]) / proses
        out[at + 5] = b - a
        out[at + 6] = units / (b - a)
        out[at + 7] = (high[_S_P] - low[_S_P]) / full
        out[at + 8] = (high[_S_PAUSES] - low[_S_PAUSES]) / full
        out[at + 9] = (high[_S_LI] - low[_S_LI]) / full
        slot = row[pg.FAMILY]
        out[at + 10] = page.family_sums[slot, 0] if slot >= 0 else 0
        out[at + 11] = page.family_sums[slot, 1] / prose if slot >= 0 else 0
        out[at + 12] = (i - a) / (b - a)
        out[at + 13] = (row[pg.TO_IMAGE] - row[pg.FROM_IMAGE]) / (b - a)
        out[at + 14] = page.scores[element] / highest
        group = page.group[element]
        out[at + 15], out[at + 16] = _count_bits(group & NEGATIVE), _count_bits(group & POSITIVE)
        if group & NEGATIVE and out[43] == 9:
            out[43] = level + 1
        if group & POSITIVE and out[44] == 9:
            out[44] = level + 1
        out[at + 17] = (high[_S_HEADINGS] - low[_S_HEADINGS]) / (b - a)
        best = max(best, page.scores[element])
        if row[pg.UP] >= 0:
            element = np.int64(row[pg.UP])
        at += len(LEVEL)
    out[53] = 0
    while element >= 0:
        best = max(best, page.scores[element])
        out[53] += 1
        element = np.int64(nodes[element, pg.UP])
    out[45] = best / highest


@inner
def describe_page(page: pg.Page, roles: Floats, out: Floats32) -> None:
    """Fill the end of a line, the same for all blocks of a page: what kind of page it is."""
    sums, nodes, count = page.sums, page.nodes, page.state[pg.BLOCKS]
    units, prose = max(sums[count, _S_UNITS], 1.0), sums[count, _S_PROSE]
    best, half = nodes[np.int64(roles[PAGE_BEST])], nodes[np.int64(roles[PAGE_HALF])]
    low, high = sums[half[pg.FROM]], sums[half[pg.TO]]
    at = _ABOUT_AT
    out[at], out[at + 1], out[at + 2], out[at + 3] = count, prose, sums[count, _S_LINKED] / units, units
    out[at + 4] = (sums[best[pg.TO], _S_PROSE] - sums[best[pg.FROM], _S_PROSE]) / max(prose, 1.0)
    out[at + 5] = (high[_S_UNITS] - low[_S_UNITS]) / units
    out[at + 6], out[at + 7] = sums[count, _S_P] / units, sums[count, _S_HEADINGS]
    out[at + 8], out[at + 9] = roles[PAGE_H1] >= 0, sums[count, _S_WIDE] / units
    out[at + 10] = (high[_S_LINKED] - low[_S_LINKED]) / max(high[_S_UNITS] - low[_S_UNITS], 1.0)
    out[at + 11] = sums[count, _S_PROSES]


@inner
def _count_bits(value: Int) -> int:
    count = 0
    while value:
        value &= value - 1
        count += 1
    return count


@inner
def _ending(point: np.int32) -> int:
    """How a text ends: 2 with a sentence, 1 with a colon, quotation mark or bracket, else 0."""
    if point == 46 or point == 33 or point == 63 or point == 0x3002 or point == 0xFF01 or point == 0xFF1F or point == 0x2026:
        return 2
    if point == 58 or point == 34 or point == 41 or point == 0xFF1A or point == 0x201D or point == 0x300D or point == 0xFF09:
        return 1
    return 0
