"""Raised and lowered text: powers and indices that stay apart from the number before them, and footnote marks, which go.

Input: the place after <sup> or <sub> and what stands before it. Output: the place after the end tag; the text is written. One
convention for all pages: a power is `10^6`, `10^-3`, `x^n`, `e^{x+1}`; an index is `x_1`, `log_2`, `T_max`, `x_{i,j}`, but a
figure after a symbol that begins with a capital letter, or after a bracket, stands as in plain chemistry: `H2O`, `Ca(OH)2`.
Ordinals (`1st`), signs (`™`) and raised words run on as before. A mark is dropped if it is a link or in square brackets, if its
name says so, or if it is a bare number, letter or asterisk after a stop, a word, a Chinese character or a year.
"""

# ruff: noqa: SIM109, SIM110 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bool, Bytes, Int, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.blocks import add_text
from skyloom.corpus.extract.scan import attribute, find_close, lookup, match, reference, tag_end
from skyloom.corpus.extract.tag_tables import ATTRIBUTE, NOTE_BIT, TAG, Tables

FAR = 600
"""Bytes in which the end tag must stand; longer ones only make their text small."""
_CLASS, _ID, _ROLE = (ATTRIBUTE[n] for n in ("class", "id", "role"))
_SUP = TAG["sup"]
_UNITS = tuple(ord(c) for c in "米里秒尺升克卡焦瓦牛年月日天赫帕")
_NEAR = 64  # bytes before a power in which a sign of arithmetic makes it one
_WORD_BYTES = [
    np.frombuffer(w.encode(), np.uint8) for w in "miles metres meters inches feet yards acres centimetres centimeters".split()
]
_WORDS = np.concatenate(_WORD_BYTES)
_WORD_ENDS = np.cumsum([0, *map(len, _WORD_BYTES)])
NUMBER, LETTERS, MARKS, BRACKETS, OTHER = range(5)


@inner
def raised(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables, tag: Int, key: np.uint64) -> Int:
    """Write what <sup> or <sub> holds; i is the place after the tag's name."""
    note = False
    while True:
        i, name = attribute(data, i, stop, page.found)
        if name == 0:
            break
        slot = lookup(table.attribute_keys, name)
        if slot >= 0:
            which, a, b = table.attribute_ids[slot], page.found[0], min(page.found[1], page.found[0] + 200)
            if which == _CLASS or which == _ID or which == _ROLE:
                note |= (match(data, a, b, table.name_class, table.name_next, table.name_bits, True) & NOTE_BIT) != 0
    return written(data, i, stop, page, table, tag == _SUP, key, note)


@inner
def written(data: Bytes, i: Int, stop: Int, page: pg.Page, table: Tables, up: bool, key: np.uint64, note: bool) -> Int:
    """Write the content of a raised (`up`) or lowered element that begins at i; the place after it, or i if it is no figure."""
    s = page.state
    near = min(stop, i + FAR)
    end = find_close(data, i, near, key)
    if end >= near or s[pg.MUTE]:
        return i
    kind, size, first, sign, linked = _content(data, i, end, table)
    after = tag_end(data, end + 2, near)
    if data[after - 1] != 62:
        return i
    if size == 0:
        return after
    linked |= s[pg.IN_LINK] != 0
    base, run = _before(page)
    apart = s[pg.GAP] != 0
    follows = np.int64(data[after]) if after < stop else np.int64(32)
    mark, braces = np.int64(0), False
    if up:
        power = kind == NUMBER and size == 1 and (first == 50 or first == 51) and not (note or linked)
        if _is_note(kind, size, sign, first, linked, note, base, run, apart, follows) and not (
            power and _in_formula(page, follows)
        ):
            return after
        if base == 0 or (apart and not 48 <= base <= 57):
            kind = np.int64(NUMBER) if kind == NUMBER and 97 <= (follows | 32) <= 122 else np.int64(OTHER)  # ^14C
        if _degree(kind, size, first, base, follows):
            s[pg.GAP] = 0
            page.text[s[pg.TEXT_END]], page.text[s[pg.TEXT_END] + 1] = 0xC2, 0xB0
            s[pg.TEXT_END] += 2
            return after
        if kind == NUMBER and size == 2 and not sign and run < 0:  # $19<sup>99</sup>
            mark = np.int64(46)
        elif kind == NUMBER or (kind == LETTERS and size == 1 and not _ordinal(first)):
            mark = np.int64(94)
        elif kind == OTHER and size <= 12 and base > 0 and not apart and _formula(data, i, end):
            mark, braces = np.int64(94), True
        if 48 <= base <= 57 and mark:
            s[pg.GAP] = 0
    elif base > 0 and not apart and not linked and size <= 12:
        plain = kind == NUMBER and not sign and (_symbol(page) or base == 41 or base == 93)
        if not plain and (kind == NUMBER or kind == LETTERS):
            mark = np.int64(95)
        elif kind == OTHER and _formula(data, i, end):
            mark, braces = np.int64(95), True
    if mark == 0:
        return i
    _raise(data, i, end, page, table, mark, braces)
    return after


@inner
def _content(data: Bytes, i: Int, end: Int, table: Tables) -> tuple[Int, Int, Int, Bool, Bool]:
    """What stands in data[i:end]: (its kind, its characters, the first one, whether it has a sign, whether it is a link)."""
    size: Int
    digits: Int
    letters: Int
    first: Int
    size, digits, letters, marks, brackets, others, first = np.int64(0), np.int64(0), np.int64(0), 0, 0, 0, np.int64(0)
    sign: Bool
    linked: Bool
    sign = linked = False
    point: Int
    last: Int
    last = np.int64(0)
    while i < end:
        if data[i] == 60:
            linked |= i + 2 < end and (data[i + 1] | 32) == 97 and data[i + 2] <= 62 and (data[i + 2] <= 32 or data[i + 2] == 62)
            i = max(tag_end(data, i, end), i + 1)
            continue
        point = np.int64(data[i])
        if point == 38:
            i, point, _ = reference(data, i, end, table.entity_keys, table.entity_points)
        elif point < 128:
            i += 1
        else:
            wide = 2 if point < 0xE0 else (3 if point < 0xF0 else 4)
            point &= 0x7F >> wide
            for n in range(1, wide):
                point = (point << 6) | np.int64(data[min(i + n, end - 1)] & 63)
            i += wide
        if point <= 32 or point == 0xA0 or point == 0x200B:
            continue
        if first == 0:
            first = point
        minus = point == 43 or point == 45 or point == 0x2212 or point == 0x2013 or point == 0xFF0D
        if 48 <= point <= 57:
            digits += 1
        elif size == 0 and minus:
            sign = True
        elif 97 <= (point | 32) <= 122 or 0x370 <= point < 0x400 or _ordinal(point):
            letters += 1
        elif point == 42 or point == 0x2020 or point == 0x2021 or point == 0xA7 or point == 0xB6 or 0x2460 <= point <= 0x2473:
            marks += 1
        elif point == 46 and digits and not letters:
            digits += 1
        else:
            others += 1
            brackets |= size == 0 and (point == 91 or point == 0x3010 or point == 0xFF3B or point == 0x3014)
        size += 1
        last = point
    kind = OTHER
    if brackets and (last == 93 or last == 0x3011 or last == 0xFF3D or last == 0x3015):
        kind = BRACKETS
    elif size == digits + sign and digits:
        kind = NUMBER
    elif size == letters and letters:
        kind = LETTERS
    elif size == marks:
        kind = MARKS
    return np.int64(kind), size, first, sign, linked


@inner
def _before(page: pg.Page) -> tuple[Int, Int]:
    """The code point that stands before, 0 at the start of a block; and the letters or digits in its run (-1: of a price)."""
    text, begin, k = page.text, page.state[pg.SEGMENT], page.state[pg.TEXT_END]
    if k <= begin:
        return np.int64(0), np.int64(0)
    at = k - 1
    while at > begin and text[at] & 0xC0 == 0x80:
        at -= 1
    point = np.int64(text[at])
    if point >= 128:
        wide = 2 if point < 0xE0 else (3 if point < 0xF0 else 4)
        point &= 0x7F >> wide
        for n in range(1, wide):
            point = (point << 6) | np.int64(text[at + n] & 63)
        return point, np.int64(1)
    digit = 48 <= point <= 57
    start = k
    while start > begin and (48 <= text[start - 1] <= 57 if digit else 97 <= (text[start - 1] | 32) <= 122):
        start -= 1
    run = np.int64(k - start)
    if digit and start > begin:
        while start > begin + 1 and text[start - 1] == 32:
            start -= 1
        sign = text[start - 1]  # $, and the last bytes of ￥ ¥ £ €
        two = start > begin + 1 and text[start - 2] == 0xC2 and (sign == 0xA5 or sign == 0xA3)
        three = start > begin + 2 and (
            (text[start - 3] == 0xEF and text[start - 2] == 0xBF and sign == 0xA5)
            or (text[start - 3] == 0xE2 and text[start - 2] == 0x82 and sign == 0xAC)
        )
        if sign == 36 or two or three:
            run = np.int64(-1)
    if digit and run == 4 and 49 <= text[k - 4] <= 50 and not (text[k - 4] == 50 and text[k - 3] > 48):
        run = np.int64(1000) if text[k - 4] == 50 or text[k - 3] >= 53 else run  # a year
    return point, run


@inner
def _is_note(
    kind: Int, size: Int, sign: Bool, first: Int, linked: Bool, note: Bool, base: Int, run: Int, apart: Bool, follows: Int,
) -> Bool:  # fmt: skip
    """Whether a raised text is the mark of a note."""
    if kind == BRACKETS or (note and size <= 24):
        return True
    if linked:
        return kind == NUMBER or kind == MARKS or size <= 3 or 48 <= first <= 57
    if base == 0:
        return False
    if kind == MARKS:
        return first != 42 or not 97 <= (base | 32) <= 122 or run > 1
    lists = kind == OTHER and 48 <= first <= 57 and size <= 12 and base > 32
    if (kind != NUMBER and not lists) or sign or size > 12 or (kind == NUMBER and size > 3):
        return False
    if apart and 97 <= (follows | 32) <= 122:
        return False
    if base == 46 or base == 44 or base == 59 or base == 58 or base == 33 or base == 63 or base == 34 or base == 39:
        return True
    if 0x2018 <= base <= 0x201D or 0x3001 <= base <= 0x3011 or base == 0xFF0C or base == 0xFF0E or base == 0xFF1B:
        return True
    if base == 0xFF01 or base == 0xFF1F or base == 0xFF1A:
        return True
    if 0x4E00 <= base <= 0x9FFF:
        return not _measures(base)
    if 97 <= (base | 32) <= 122:
        return run >= 5 or (apart and run >= 2)
    return run == 1000


@inner
def _in_formula(page: pg.Page, follows: Int) -> bool:
    """Whether a raised 2 or 3 is a power: a sign of arithmetic stands shortly before or behind it, or an English unit before."""
    if follows == 61 or follows == 43:
        return True
    text, stop = page.text, page.state[pg.TEXT_END]
    begin = max(page.state[pg.SEGMENT], stop - _NEAR)
    for k in range(begin, stop):
        byte, second = text[k], text[k + 1] if k + 1 < stop else np.uint8(0)
        if byte == 61 or (byte == 0xC3 and (second == 0x97 or second == 0xB7)) or (byte == 0xCF and second == 0x80):  # = × ÷ π
            return True
        if byte == 0xEF and second == 0xBC and k + 2 < stop and text[k + 2] == 0x9D:  # ＝
            return True
    for n in range(len(_WORD_ENDS) - 1):
        size = _WORD_ENDS[n + 1] - _WORD_ENDS[n]
        at = stop - size
        if at >= begin and (at == begin or not 97 <= (text[at - 1] | 32) <= 122):
            same = True
            for k in range(size):
                same = same and (text[at + k] | 32) == _WORDS[_WORD_ENDS[n] + k]
            if same:
                return True
    return False


@inner
def _measures(point: Int) -> bool:
    """Whether a Chinese character may be the end of a unit, which has powers."""
    for unit in _UNITS:
        if point == unit:
            return True
    return False


@inner
def _degree(kind: Int, size: Int, first: Int, base: Int, follows: Int) -> Bool:
    """20<sup>o</sup>C, 20<sup>0</sup>C."""
    if size != 1 or not 48 <= base <= 57:
        return False
    return first == 0xB0 or first == 0xBA or first == 0x2218 or (
        (first == 111 or first == 79 or first == 48) and (follows == 67 or follows == 70 or follows == 32)
        and not (first == 48 and follows == 32)
    )  # fmt: skip


@inner
def _ordinal(first: Int) -> bool:
    """Whether a raised letter is short for the end of a word (a, e, o, r, s) or a sign (™ ℠ ® ©)."""
    if first == 0x2122 or first == 0x2120 or first == 0xAE or first == 0xA9:
        return True
    return first == 97 or first == 101 or first == 111 or first == 114 or first == 115


@inner
def _symbol(page: pg.Page) -> bool:
    """Whether what stands before is a symbol with a capital, as of an element: `H`, `Ca`, `PM`, at most two letters."""
    text, begin, k = page.text, page.state[pg.SEGMENT], page.state[pg.TEXT_END]
    first = text[k - 1]
    if 65 <= first <= 90:
        return True
    small = 97 <= first <= 122 and k - 2 >= begin and 65 <= text[k - 2] <= 90
    return small and not (k - 3 >= begin and 97 <= text[k - 3] <= 122)


@inner
def _formula(data: Bytes, i: Int, end: Int) -> bool:
    """Whether a raised text that is no number or word is short and has no blank inside a word: `n+1`, `i,j`, `2/3`."""
    figures = False
    letters = 0
    while i < end:
        if data[i] == 60:
            i = max(tag_end(data, i, end), i + 1)
            continue
        figures |= 48 <= data[i] <= 57 or data[i] == 43 or data[i] == 45 or data[i] == 61 or data[i] == 44 or data[i] >= 128
        letters = letters + 1 if 97 <= (data[i] | 32) <= 122 else 0
        if letters > 3:
            return False
        i += 1
    return figures


@inner
def _raise(data: Bytes, i: Int, end: Int, page: pg.Page, table: Tables, mark: Int, braces: bool) -> None:
    """Write a mark and data[i:end] without its tags and blanks at the ends, in braces if it is more than a number or a word."""
    s = page.state
    if s[pg.GAP]:
        if s[pg.TEXT_END] > s[pg.SEGMENT]:
            page.text[s[pg.TEXT_END]] = 32
            s[pg.TEXT_END] += 1
        s[pg.GAP] = 0
    page.text[s[pg.TEXT_END]], page.text[s[pg.TEXT_END] + 1] = mark, 123
    s[pg.TEXT_END] += 2 if braces else 1
    while i < end:
        if data[i] == 60:
            i = max(tag_end(data, i, end), i + 1)
            continue
        j = i
        while j < end and data[j] != 60:
            j += 1
        s[pg.GAP] = 0
        k = i
        while k < j and data[k] <= 32:
            k += 1
        begin = s[pg.TEXT_END]
        add_text(data, k, j, page, table)
        minus = page.text[begin] == 0xE2 and page.text[begin + 1] == 0x88 and page.text[begin + 2] == 0x92
        if s[pg.TEXT_END] >= begin + 3 and minus:  # the sign is written as a hyphen
            page.text[begin] = 45
            for n in range(begin + 1, s[pg.TEXT_END] - 2):
                page.text[n] = page.text[n + 2]
            s[pg.TEXT_END] -= 2
        i = j
    s[pg.GAP] = 0
    if braces:
        page.text[s[pg.TEXT_END]] = 125
        s[pg.TEXT_END] += 1
