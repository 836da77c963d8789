"""What attributes, inline styles and the page's own style sheets say of elements that are not shown.

Input: attributes of an element, or a style sheet. Output: flags (flags.py) of the element, and the names that a sheet hides. A
sheet is not applied as a browser does: a rule hides where its selector is one class or id and no other rule may show it again.
"""

# ruff: noqa: SIM109 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import FNV_START, Bool, Bytes, Int, fnv, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.hidden.flags import FADED, FOLD, HARD, SHOWN, SIZED, TINY, WEAK
from skyloom.corpus.extract.scan import find, lookup
from skyloom.corpus.extract.tag_tables import ATTRIBUTE, Tables
from skyloom.corpus.extract.tag_tables import fnv as hashed

_CLASS, _ID, _STYLE, _HIDDEN = (ATTRIBUTE[n] for n in ("class", "id", "style", "hidden"))
HIDES, SHOWS, SHRINKS, SIZES = 1, 2, 4, 8
"""What a rule of a style sheet does with a name. SHOWS wins: a script or a narrower rule may take what hides away. SHRINKS: letters
have no size, SIZES: they have one, and wins."""

_DISPLAY, _VISIBILITY, _POSITION, _OVERFLOW = (np.uint64(hashed(n)) for n in ("display", "visibility", "position", "overflow"))
_INDENT, _FONT, _OPACITY, _CLIP = (np.uint64(hashed(n)) for n in ("text-indent", "font-size", "opacity", "clip"))
_WIDTH, _HEIGHT, _MAX_WIDTH, _MAX_HEIGHT = (np.uint64(hashed(n)) for n in ("width", "height", "max-width", "max-height"))
_LEFT, _RIGHT, _TOP, _BOTTOM = (np.uint64(hashed(n)) for n in ("left", "right", "top", "bottom"))
_MARGIN, _MARGIN_TOP = np.uint64(hashed("margin-left")), np.uint64(hashed("margin-top"))
_PADDING_BOTTOM, _PADDING_TOP = np.uint64(hashed("padding-bottom")), np.uint64(hashed("padding-top"))
_TRANSFORM, _CLIP_PATH = np.uint64(hashed("transform")), np.uint64(hashed("clip-path"))


def _bytes(text: str) -> Bytes:
    return np.frombuffer(text.encode(), np.uint8)


_NONE, _HIDDEN_WORD, _COLLAPSE, _ABSOLUTE, _FIXED = (_bytes(t) for t in ("none", "hidden", "collapse", "absolute", "fixed"))
_VISIBLE, _SCALE, _RECT, _INSET, _CLIP_WORD = (_bytes(t) for t in ("visible", "scale(0)", "rect(", "inset(", "clip"))
_COMMENT_END, _WHOLE, _UNTIL, _FALSE = (_bytes(t) for t in ("*/", "100%", "until", "false"))
_MEDIA, _SUPPORTS, _SAID = (_bytes(t) for t in ("@media", "@supports", "display"))
_FAR = -900
"""Pixels (or ten times the em) from which on a place is off the screen."""
_FARTHER = -2000
"""The same of a margin: wide elements are centred by negative margins of half their width."""


@inner
def _begins(data: Bytes, i: Int, stop: Int, word: Bytes) -> Bool:
    end = i + len(word)
    return end <= stop and find(data, i, end, word) == i


@inner
def _number(data: Bytes, i: Int, stop: Int) -> tuple[Int, Bool]:
    """A length at i: (thousandths of its number, ten times as much in em; whether there is one)."""
    sign = np.int64(1)
    if i < stop and (data[i] == 45 or data[i] == 43):
        sign = np.int64(-1) if data[i] == 45 else sign
        i += 1
    value, begin, scale = np.int64(0), i, np.int64(1000)
    while i < stop and 48 <= data[i] <= 57:
        value = min(value * 10 + np.int64(data[i]) - 48, np.int64(10_000_000))
        i += 1
    value *= 1000
    if i < stop and data[i] == 46:
        i += 1
        while i < stop and 48 <= data[i] <= 57:
            scale //= 10
            value += scale * (np.int64(data[i]) - 48)
            i += 1
    if i + 1 < stop and (
        ((data[i] | 32) == 101 and (data[i + 1] | 32) == 109) or ((data[i] | 32) == 114 and (data[i + 1] | 32) == 101)
    ):
        value *= 10  # em, rem
    elif i < stop and data[i] == 37 and value:
        value = max(value, np.int64(2000))
    return sign * value, i > begin


@inner
def style(data: Bytes, i: Int, stop: Int) -> Int:
    """The flags that declarations (`display: none; ...`) set."""
    flags = 0
    out: Bool
    small: Bool
    clipped: Bool
    wide: Bool
    high: Bool
    far: Bool
    padded: Bool
    out = small = clipped = wide = high = far = moved = padded = False
    while i < stop:
        while i < stop and (data[i] <= 32 or data[i] == 59):
            i += 1
        end = i
        state = FNV_START
        while end < stop and data[end] != 58 and data[end] != 59 and data[end] > 32:
            byte = data[end]
            state = fnv(state, byte | 32 if 65 <= byte <= 90 else byte)
            end += 1
        while end < stop and data[end] <= 32:
            end += 1
        if end >= stop or data[end] != 58:
            i = end + 1 if end == i else end
            continue
        i = end + 1
        while i < stop and data[i] <= 32:
            i += 1
        end = i
        while end < stop and data[end] != 59:
            end += 1
        value, number = _number(data, i, end)
        if state == _DISPLAY:
            flags = (flags & ~HARD) | (HARD if _begins(data, i, end, _NONE) else 0)
        elif state == _VISIBILITY:
            gone = _begins(data, i, end, _HIDDEN_WORD) or _begins(data, i, end, _COLLAPSE)
            flags |= FADED if gone else (SHOWN if _begins(data, i, end, _VISIBLE) else 0)
        elif state == _POSITION:
            out = _begins(data, i, end, _ABSOLUTE) or _begins(data, i, end, _FIXED)
        elif state == _OVERFLOW:
            clipped = _begins(data, i, end, _HIDDEN_WORD) or _begins(data, i, end, _CLIP_WORD)
        elif state == _FONT and number:
            flags |= TINY if value == 0 or (value <= 1000 and not _relative(data, i, end)) else SIZED
        elif state == _OPACITY and number:
            flags |= WEAK if value == 0 else 0  # unless it also moves, as what a script lets in
        elif (state == _WIDTH or state == _MAX_WIDTH) and number:
            wide |= value <= 1000
        elif (state == _HEIGHT or state == _MAX_HEIGHT) and number:
            high |= value <= 1000
        elif state == _INDENT:
            flags |= HARD if number and value <= _FAR * 1000 else 0
        elif state == _MARGIN or state == _MARGIN_TOP:
            flags |= HARD if number and value <= _FARTHER * 1000 else 0
        elif state == _PADDING_BOTTOM or state == _PADDING_TOP:
            padded |= number and value != 0
        elif state == _LEFT or state == _TOP or state == _RIGHT or state == _BOTTOM:
            far |= number and (value <= _FAR * 1000 or ((state == _LEFT or state == _TOP) and value >= 5_000_000))
        elif state == _CLIP or state == _CLIP_PATH:
            small |= _begins(data, i, end, _RECT) or (_begins(data, i, end, _INSET) and find(data, i, end, _WHOLE) < end)
        elif state == _TRANSFORM:
            moved = True
            flags |= HARD if _begins(data, i, end, _SCALE) else 0
        i = end
    high &= not padded  # a box that keeps its shape by its padding
    if (out and (far or small)) or ((wide or high) and clipped) or (wide and high):
        flags |= HARD
    if moved:
        flags &= ~WEAK
    return flags


@inner
def _relative(data: Bytes, i: Int, end: Int) -> Bool:
    """Whether a length is in em, rem, per cent or shares of the window."""
    while i < end and (48 <= data[i] <= 57 or data[i] == 46):
        i += 1
    return i < end and ((data[i] | 32) == 101 or (data[i] | 32) == 114 or (data[i] | 32) == 118 or data[i] == 37)


@inner
def names(data: Bytes, i: Int, stop: Int, mark: Int, page: pg.Page, table: Tables) -> Int:
    """HARD if one of the classes (mark 46, `.`) or the id (35, `#`) in data[i:stop] says or is said to be hidden."""
    sheets = page.state[pg.SHEET]
    flags = 0
    while i < stop:
        while i < stop and data[i] <= 32:
            i += 1
        state, begin, colon = fnv(FNV_START, mark), i, False
        while i < stop and data[i] > 32:
            byte = data[i]
            colon |= byte == 58
            state = fnv(state, byte | 32 if 65 <= byte <= 90 else byte)
            i += 1
        if i == begin:
            break
        if lookup(table.hiding, state) >= 0:
            flags |= HARD
        if sheets:
            slot = lookup(page.sheet, state)
            if slot >= 0:
                effect = page.sheet_hides[slot]
                flags |= HARD if effect & (HIDES | SHOWS) == HIDES else 0
                flags |= SIZED if effect & SIZES else (TINY if effect & SHRINKS else 0)
        if (colon or (data[begin] | 32) == 100) and _displays(data, begin, i):
            return 0  # hidden on some screens only: "hidden md:block", "d-none d-lg-flex"
    return flags


@inner
def _displays(data: Bytes, i: Int, stop: Int) -> bool:
    """Whether a class ends with -block, :flex and so on."""
    k = stop
    while k > i and data[k - 1] != 58 and data[k - 1] != 45:
        k -= 1
    if k == i:
        return False
    first = data[k] | 32 if k < stop else 0
    size = stop - k
    return (
        (first == 98 and size == 5) or (first == 102 and size == 4) or (first == 103 and size == 4) or (first == 105 and size == 6)
        or (first == 116 and size == 5)
    )  # block, flex, grid, inline, table  # fmt: skip


@inner
def flag(data: Bytes, name: Int, page: pg.Page, table: Tables) -> Int:
    """The flags that one attribute sets; its value is in page.found."""
    a, b = page.found[0], page.found[1]
    if name == _STYLE:
        return style(data, a, b)
    if name == _CLASS:
        return names(data, a, b, np.int64(46), page, table)
    if name == _ID:
        if b - a >= 3 and data[a] == 83 and data[a + 1] == 58:  # "S:2f", a part that React moves to its place
            return np.int64(FOLD)
        return names(data, a, b, np.int64(35), page, table) if page.state[pg.SHEET] else np.int64(0)
    if name == _HIDDEN:
        return np.int64(0 if _begins(data, a, b, _UNTIL) or _begins(data, a, b, _FALSE) else HARD)
    return np.int64(0)


@inner
def sheet(data: Bytes, i: Int, stop: Int, page: pg.Page) -> None:
    """Learn from data[i:stop], a style sheet, which classes and ids are hidden: rules with one name that no other rule shows.

    Where a rule takes the letters' size away, as lists do between their items, the sheet is read again for those that have one.
    """
    if _rules(data, i, stop, page, False):
        _rules(data, i, stop, page, True)


@inner
def _rules(data: Bytes, i: Int, stop: Int, page: pg.Page, sizes: bool) -> bool:
    """Note what each rule does, or which names have letters of some size (`sizes`); whether a rule takes the size away."""
    shrinks = False
    nested: Int = np.int64(0)  # the place where a condition (@media) ends
    while i < stop:
        if data[i] <= 32 or data[i] == 125:
            i += 1
        elif data[i] == 47 and i + 1 < stop and data[i + 1] == 42:
            i = find(data, i + 2, stop, _COMMENT_END) + 2
        elif data[i] == 60 or (data[i] == 45 and i + 1 < stop and data[i + 1] == 45):  # <!-- and -->
            while i < stop and data[i] > 32:
                i += 1
        else:
            begin, at = i, data[i] == 64
            while i < stop and data[i] != 123 and not (at and data[i] == 59):
                i += 1
            if i >= stop or data[i] == 59:
                i += 1
                continue
            if at and (_begins(data, begin, i, _MEDIA) or _begins(data, begin, i, _SUPPORTS)):
                if i >= nested:  # conditions inside of one end with it
                    nested = _closed(data, i, stop)
                i += 1
                continue
            middle, end = i, _closed(data, i, stop)
            i = end
            if not at:
                shrinks |= _rule(data, begin, middle, end - 1, page, begin < nested, sizes)
    return shrinks


@inner
def _rule(data: Bytes, begin: Int, middle: Int, end: Int, page: pg.Page, nested: Bool, sizes: bool) -> bool:
    """Note what one rule says of the names in its selectors; `nested`: it stands under a condition.

    Returns whether it takes the size of letters away.
    """
    flags = style(data, middle + 1, end)
    if sizes:
        if flags & SIZED and not flags & TINY:
            _selectors(data, begin, middle, page, np.int64(SIZES))
        return False
    if flags & (HARD | FADED):
        effect = np.int64(0 if nested else HIDES)
    elif flags & TINY:
        effect = np.int64(0 if nested else SHRINKS)
    else:
        said = find(data, middle, end, _SAID) < end or find(data, middle, end, _VISIBLE) < end
        effect = np.int64(SHOWS if said else 0)
    if effect:
        _selectors(data, begin, middle, page, effect)
    shrinks: bool = effect == SHRINKS
    return shrinks


@inner
def _closed(data: Bytes, i: Int, stop: Int) -> Int:
    """The place after the bracket that closes the one at i."""
    depth = 0
    while i < stop:
        depth += data[i] == 123
        depth -= data[i] == 125
        i += 1
        if depth == 0:
            break
    return i


@inner
def _selectors(data: Bytes, i: Int, stop: Int, page: pg.Page, effect: Int) -> None:
    """Note each selector in data[i:stop]: HIDES and SHRINKS where it is one class or id, perhaps after a tag; else every name."""
    while i < stop:
        end = i
        while end < stop and data[end] != 44:
            end += 1
        k, last = i, end
        while k < last and data[k] <= 32:
            k += 1
        while last > k and data[last - 1] <= 32:
            last -= 1
        if effect == HIDES or effect == SHRINKS:
            while k < last and (48 <= data[k] <= 57 or 97 <= (data[k] | 32) <= 122):
                k += 1
            if k < last and (data[k] == 46 or data[k] == 35):
                _note(data, k, last, page, effect)
        else:
            while k < last:
                name = k
                k += 1
                if data[name] == 46 or data[name] == 35:
                    while k < last and _in_name(data[k]):
                        k += 1
                    _note(data, name, k, page, effect)
        i = end + 1


@inner
def _in_name(byte: np.uint8) -> Bool:
    return 48 <= byte <= 57 or 97 <= (byte | 32) <= 122 or byte == 45 or byte == 95 or byte >= 128


@inner
def _note(data: Bytes, i: Int, stop: Int, page: pg.Page, effect: Int) -> None:
    state = fnv(FNV_START, data[i])
    for k in range(i + 1, stop):
        byte = data[k]
        if not _in_name(byte):
            return
        state = fnv(state, byte | 32 if 65 <= byte <= 90 else byte)
    slot = lookup(page.sheet, state)
    if slot < 0:
        if page.state[pg.SHEET] >= len(page.sheet) // 2:
            return
        page.state[pg.SHEET] += 1
        slot = np.int64(state % np.uint64(len(page.sheet)))
        while page.sheet[slot] != 0:
            slot = (slot + 1) % len(page.sheet)
        page.sheet[slot], page.sheet_hides[slot] = state, effect
    else:
        page.sheet_hides[slot] |= effect
