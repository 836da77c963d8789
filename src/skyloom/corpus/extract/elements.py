"""Element attributes, and elements that are not plain text: formulas, dates, titles, scripts.

Input: the place after a tag's name. Output: the place where reading goes on. Formulas become TeX between dollars, from whatever
the page has it in: MathML's annotation or alttext, MathJax' scripts, the alt of an image; the drawn copies beside them are left
out. An element whose content is no text is passed over to its end tag, which is searched for once.
"""

# ruff: noqa: SIM109 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import FNV_START, Bytes, Int, fnv, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.blocks import add_text
from skyloom.corpus.extract.hidden import FADED, FOLD, HARD, SHOWN, SIZED, TINY, UNTOLD, flag, sheet
from skyloom.corpus.extract.judge.name_evidence import TOKENS, note_names
from skyloom.corpus.extract.scan import attribute, date, find, find_close, lookup, match, put, reference, tag_end
from skyloom.corpus.extract.tag_tables import ATTRIBUTE, ELEMENT_BITS, FOLD_BIT, HEADING, TAG, Tables

_CLASS, _ID, _ROLE, _ITEMPROP, _STYLE = (ATTRIBUTE[n] for n in ("class", "id", "role", "itemprop", "style"))
_HIDDEN, _ARIA, _HREF, _ALT, _TYPE = (ATTRIBUTE[n] for n in ("hidden", "aria-hidden", "href", "alt", "type"))
_CONTENT, _PROPERTY, _NAME, _DATETIME = (ATTRIBUTE[n] for n in ("content", "property", "name", "datetime"))
_ALTTEXT, _START, _DISPLAY = (ATTRIBUTE[n] for n in ("alttext", "start", "display"))
_COLSPAN, _ROWSPAN, _OPEN = (ATTRIBUTE[n] for n in ("colspan", "rowspan", "open"))
_SCRIPT, _TITLE, _MATH, _META, _TIME, _BUTTON = (TAG[n] for n in "script title math meta time button".split())
_STYLE_TAG, _DIALOG, _SPAN, _LINK = (TAG[n] for n in ("style", "dialog", "span", "a"))
HIDE, COLUMNS, ROWS = 2, 3, 4  # of page.found
FEW = 4
"""Names of an inline element that are noted."""
_HIDE_BIT = ELEMENT_BITS["hidden"]


def _bytes(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8)


_NONE, _DISPLAY_WORD, _BLOCK_WORD, _MATH_WORD = (_bytes(t) for t in ("none", "display", "block", "math/"))
_TEX, _LATEX, _FALLBACK, _DISPLAY_MODE = (_bytes(t) for t in ("tex", "latex", "fallback", "mode=display"))
_KATEX, _MATHJAX, _MATHML, _LD = (_bytes(t) for t in ("katex-html", "mathjax", "<annotation", "ld+json"))
_PUBLISHED, _PUBDATE, _DATE_WORD, _MODIFIED, _UPDATED = (_bytes(t) for t in ("publish", "pubdate", "date", "modif", "updat"))
_JSON_DATE = _bytes('"datepublished"')


@inner
def element(
    data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables, tag: Int, family: np.uint64
) -> tuple[Int, Int, np.uint64, Int]:
    """The attributes of a block element: (the place after it, bits, hash of tag and class, where an <ol> starts).

    In page.found: HIDE its flags of `hidden`, COLUMNS and ROWS what a cell covers.
    """
    bits, count, found, closed, key_of = np.int64(0), np.int64(1), page.found, tag == _DIALOG, family
    found[HIDE], found[COLUMNS], found[ROWS] = 0, 1, 1
    while True:
        i, key = attribute(data, i, stop, found)
        if key == 0:
            break
        slot = lookup(table.attribute_keys, key)
        if slot < 0:
            continue
        name, a, b = table.attribute_ids[slot], found[0], min(found[1], found[0] + 400)
        found[HIDE] |= flag(data, np.int64(name), page, table)
        if name == _CLASS or name == _ID or name == _ROLE or name == _ITEMPROP:
            bits |= match(data, a, b, table.name_class, table.name_next, table.name_bits, True)
            note_names(
                data, a, b, page, fnv(key_of, 46) if name == _CLASS else fnv(FNV_START, 33 + np.int64(name)), np.int64(TOKENS)
            )
            if name == _CLASS:
                for k in range(a, b):
                    if not 48 <= data[k] <= 57:  # numbered names are one family
                        family = fnv(family, data[k])
        elif name == _HIDDEN or (name == _ARIA and b - a == 4):
            bits |= _HIDE_BIT
            found[HIDE] |= UNTOLD if name == _ARIA and not table.tag_flags[tag] & HEADING else 0
        elif name == _STYLE:
            at = find(data, a, b, _DISPLAY_WORD)
            if at < b and find(data, at, min(at + 14, b), _NONE) < min(at + 14, b):
                bits |= _HIDE_BIT
        elif name == _START or name == _COLSPAN or name == _ROWSPAN:
            value = np.int64(0)
            for k in range(a, min(b, a + 6)):
                value = value * 10 + np.int64(data[k]) - 48 if 48 <= data[k] <= 57 else np.int64(1)
            if name == _START:
                count = value
            else:
                found[COLUMNS if name == _COLSPAN else ROWS] = max(value, np.int64(1))
        elif name == _OPEN:
            closed = False
    if bits & FOLD_BIT:
        found[HIDE] |= FOLD
    if closed:
        found[HIDE] |= HARD
    return i, bits, family, count


@inner
def inline(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables, tag: Int, key: np.uint64) -> Int:
    """An inline element is nothing, unless it is a link, is hidden, or is the drawn copy of a formula that is there as text too.

    Text is muted up to its end tag; `MUTED` counts the bytes. A page that is read with BARE shows what inline elements hide.
    """
    s = page.state
    if tag == _LINK:
        s[pg.IN_LINK] = 0
    first: Int
    last: Int
    begin: Int
    end: Int
    hides, drawn, first, last, begin, end = np.int64(0), False, np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    while True:
        i, name = attribute(data, i, stop, page.found)
        if name == 0:
            break
        slot = lookup(table.attribute_keys, name)
        if slot < 0:
            continue
        which, a, b = table.attribute_ids[slot], page.found[0], page.found[1]
        if which == _HREF and tag == _LINK:
            s[pg.IN_LINK] = 1
        hides |= flag(data, np.int64(which), page, table)
        if which == _CLASS or which == _ID:
            if tag == _SPAN and b - a >= 7 and ((data[a] | 32) == 107 or (data[a] | 32) == 109):
                drawn |= find(data, a, min(b, a + 10), _KATEX) == a or find(data, a, min(b, a + 7), _MATHJAX) == a
            if which == _CLASS:
                first, last = a, b
                note_names(data, a, min(b, a + 400), page, fnv(key, 46), np.int64(FEW))
            else:
                begin, end = a, b
    if hides & (SIZED | SHOWN) and s[pg.DEPTH]:  # what is inside may be seen again
        around = page.nodes[page.stack[s[pg.DEPTH] - 1]]
        around[pg.HIDE] &= ~((TINY if hides & SIZED else 0) | (FADED if hides & SHOWN else 0))
    if s[pg.MUTE]:
        s[pg.MUTE] += np.int64(key) == s[pg.MUTE_NAME]
    elif drawn:
        s[pg.MUTE], s[pg.MUTE_NAME], s[pg.MUTE_DEPTH] = 1, np.int64(key), 0
    elif hides & (HARD | FADED | TINY) and not s[pg.BARE]:
        said = match(data, first, last, table.name_class, table.name_next, table.name_bits, True)
        said |= match(data, begin, end, table.name_class, table.name_next, table.name_bits, True)
        if not said & FOLD_BIT:
            s[pg.MUTE], s[pg.MUTE_NAME], s[pg.MUTE_DEPTH] = 1, np.int64(key), s[pg.DEPTH]
    return i


@inner
def image(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables) -> Int:
    """An image of a formula is its source: alt of a class that says latex or tex."""
    a, b, formula, found = np.int64(0), np.int64(0), False, page.found
    while True:
        i, key = attribute(data, i, stop, found)
        if key == 0:
            break
        slot = lookup(table.attribute_keys, key)
        if slot >= 0 and table.attribute_ids[slot] == _ALT:
            a, b = found[0], found[1]
        elif slot >= 0 and table.attribute_ids[slot] == _CLASS and found[1] - found[0] >= 3:
            x, y = found[0], found[1]
            word = (data[x] | 32) == 116 and find(data, x, min(x + 3, y), _TEX) == x and (y == x + 3 or data[x + 3] <= 45)
            formula = word or (find(data, x, y, _LATEX) < y and find(data, x, y, _FALLBACK) == y)
    if formula and b > a and page.state[pg.MUTE] == 0:
        _formula(data, a, b, page, table, 0 if data[a] == 36 else 1)
    return i


@inner
def _formula(data: Bytes, a: Int, b: Int, page: pg.Page, table: Tables, marks: Int) -> None:
    """Append data[a:b] between one or two dollars (0: it has its own)."""
    s = page.state
    for side in range(2):
        for k in range(marks):
            if side == 0 and k == 0 and s[pg.GAP] and s[pg.TEXT_END] > s[pg.SEGMENT]:
                page.text[s[pg.TEXT_END]] = 32
                s[pg.TEXT_END] += 1
            page.text[s[pg.TEXT_END]] = 36
            s[pg.TEXT_END] += 1
        if side == 0:
            if marks:
                s[pg.GAP] = 0
            while a < b and data[a] <= 32:
                a += 1
            add_text(data, a, b, page, table)
            s[pg.GAP] = 0


@inner
def skipped(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables, tag: Int, key: np.uint64) -> Int:
    """An element whose content is no text of the page: to its end, if it has one. Titles, formulas and dates are taken along."""
    s = page.state
    tex = json = shown = False
    a = b = np.int64(0)
    while True:
        i, name = attribute(data, i, stop, page.found)
        if name == 0:
            break
        slot = lookup(table.attribute_keys, name)
        if slot >= 0:
            which, x, y = table.attribute_ids[slot], page.found[0], page.found[1]
            if which == _TYPE and tag == _SCRIPT:
                tex = find(data, x, y, _TEX) < y and find(data, x, y, _MATH_WORD) < y
                json = find(data, x, y, _LD) < y
                shown = find(data, x, y, _DISPLAY_MODE) < y
            elif which == _ALTTEXT:
                a, b = x, y
            elif which == _DISPLAY:
                shown = find(data, x, y, _BLOCK_WORD) < y
    top = page.nodes[page.stack[s[pg.DEPTH] - 1], pg.NTAG]
    if tag == _BUTTON and table.tag_flags[top] & HEADING:
        return i
    end = page.close_at[tag]
    if end < i:
        end = find_close(data, i, stop, key)
        page.close_at[tag] = end
    if end >= stop:
        return stop if tag == _SCRIPT else i
    if tag == _TITLE and s[pg.TITLES] == 0:
        s[pg.TITLES] = 1
        _title(data, i, end, page, table)
    elif tag == _STYLE_TAG:
        sheet(data, i, end, page)
    elif tag == _SCRIPT and tex:
        _formula(data, i, end, page, table, 2 if shown else 1)
    elif tag == _SCRIPT and json and s[pg.DATE_RANK] < 4:
        at = find(data, i, end, _JSON_DATE)
        found = date(data, at, min(at + 60, end)) if at < end else np.int64(0)
        if found:
            s[pg.DATE], s[pg.DATE_RANK] = found, 4
    elif tag == _MATH:
        _mathml(data, i, end, a, b, page, table, 2 if shown else 1)
    return tag_end(data, end + 2, stop)


@inner
def _mathml(data: Bytes, i: Int, end: Int, a: Int, b: Int, page: pg.Page, table: Tables, marks: Int) -> None:
    """A formula as TeX, where MathML brings it along (an annotation or alttext), else its characters."""
    at = find(data, i, end, _MATHML)
    if at < end:
        body = tag_end(data, at, end)
        if find(data, at, body, _TEX) < body:
            i = body
            while i < end and data[i] != 60:
                i += 1
            _formula(data, body, i, page, table, marks)
            return
    if b > a:
        _formula(data, a, b, page, table, marks)
        return
    if page.state[pg.MUTE]:
        return
    while i < end:
        if data[i] == 60:
            i = tag_end(data, i, end)
        else:
            j = i
            while j < end and data[j] != 60:
                j += 1
            add_text(data, i, j, page, table)
            i = j


@inner
def _title(data: Bytes, i: Int, end: Int, page: pg.Page, table: Tables) -> None:
    """The page's title, in its own buffer; what is longer than that is cut at a character."""
    k: Int
    out, k, gap = page.title, 0, False
    while i < end and k < len(out) - 8:
        if data[i] <= 32:
            gap = True
            i += 1
            continue
        if gap and k:
            out[k] = 32
            k += 1
        gap = False
        if data[i] == 38:
            i, point, second = reference(data, i, end, table.entity_keys, table.entity_points)
            if point == 0xA0:
                gap = True
                continue
            k = put(out, k, point)
            if second:
                k = put(out, k, second)
        else:
            first = data[i]
            k_end = 1 if first < 128 else (2 if first < 0xE0 else (3 if first < 0xF0 else 4))
            for _ in range(k_end):
                out[k] = data[i] if data[i] else 63
                k += 1
                i += 1
    page.state[pg.TITLE_END] = k


@inner
def dated(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables, tag: Int) -> Int:
    """<meta> and <time>: keep the date of the surest name: published before created before <time> before modified."""
    value: Int
    s, rank, value = page.state, 2 if tag == _TIME else 0, np.int64(0)
    while True:
        i, key = attribute(data, i, stop, page.found)
        if key == 0:
            break
        slot = lookup(table.attribute_keys, key)
        if slot < 0:
            continue
        which, a, b = table.attribute_ids[slot], page.found[0], min(page.found[1], page.found[0] + 200)
        if (which == _CONTENT and tag == _META) or (which == _DATETIME and tag == _TIME):
            value = date(data, a, b)
        elif which == _PROPERTY or which == _NAME or which == _ITEMPROP:
            if find(data, a, b, _MODIFIED) < b or find(data, a, b, _UPDATED) < b:
                rank = 1
            elif find(data, a, b, _PUBLISHED) < b or find(data, a, b, _PUBDATE) < b:
                rank = 5
            elif find(data, a, b, _DATE_WORD) < b:
                rank = 3
    if value and rank > s[pg.DATE_RANK]:
        s[pg.DATE], s[pg.DATE_RANK] = value, rank
    return i
