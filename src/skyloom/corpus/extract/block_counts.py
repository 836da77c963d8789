"""Text features of a block: units, pauses, sentence ends, digits, and phrases that are typical of site furniture.

Input: a block's text. Output: counts in its row of `Page.blocks`. Units are those of `core.units` (a Han, kana or hangul
character, or a word) up to rare scripts, whose punctuation counts as letters here: a feature needs no table of a megabyte in
the cache.
"""

from __future__ import annotations

import numpy as np

from skyloom.core.kernels import Bytes, Int, Ints32, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.scan import date, match
from skyloom.corpus.extract.tag_tables import Tables

SHORT = 300  # bytes; longer blocks are not searched for phrases of the site

OTHER, WORD, SINGLE = 0, 1, 2


@inner
def kind(point: Int) -> int:
    """Whether a code point beyond ASCII separates, is part of a word, or is a unit by itself."""
    if point < 0x2000:
        if point < 0xC0:
            return WORD if point == 0xAA or point == 0xB5 or point == 0xBA else OTHER
        return OTHER if point == 0xD7 or point == 0xF7 else (SINGLE if 0x1100 <= point < 0x1200 else WORD)
    if 0x4E00 <= point <= 0x9FFF or 0x3400 <= point <= 0x4DBF or 0xAC00 <= point <= 0xD7A3 or 0x20000 <= point <= 0x3FFFF:
        return SINGLE
    if 0x3005 <= point <= 0x3007 or 0x3041 <= point <= 0x30FF or 0x3105 <= point <= 0x31FF or 0xF900 <= point <= 0xFAFF:
        return OTHER if point == 0x30FB else SINGLE
    if 0xFF10 <= point <= 0xFF19 or 0xFF21 <= point <= 0xFF3A or 0xFF41 <= point <= 0xFF5A or 0x2C00 <= point <= 0x2DFF:
        return WORD
    if 0xFF66 <= point <= 0xFF9D:
        return SINGLE
    return WORD if 0xA000 <= point <= 0xABFF else OTHER


@inner
def measure(text: Bytes, i: Int, stop: Int, row: Ints32, table: Tables) -> None:
    """Fill the counts of text[i:stop] into a row of `Page.blocks`."""
    begin, in_word = i, False
    units: Int = 0
    digits: Int = 0
    upper: Int = 0
    stops: Int
    commas = stops = wide = 0
    last = np.int64(0)
    while i < stop:
        byte = np.int64(text[i])
        if byte < 128:
            i += 1
            letter = 97 <= (byte | 32) <= 122
            digit = 48 <= byte <= 57
            if letter or digit or byte == 95:
                units += not in_word
                in_word = True
                digits += digit
                upper += letter and byte < 97
            else:
                in_word = False
                commas += byte == 44 or byte == 59
                stops += (byte == 46 or byte == 33 or byte == 63) and (i >= stop or text[i] <= 34)
            if byte > 32:
                last = byte
            continue
        size = 2 if byte < 0xE0 else (3 if byte < 0xF0 else 4)
        point = byte & (0x7F >> size)
        for n in range(1, size):
            point = (point << 6) | np.int64(text[i + n] & 63)
        i += size
        last = point
        what = kind(point)
        if what == SINGLE:
            units += 1
            wide += 1
        elif what == WORD and not in_word:
            units += 1
        in_word = what == WORD
        commas += point == 0xFF0C or point == 0x3001 or point == 0xFF1B
        stops += point == 0x3002 or point == 0xFF01 or point == 0xFF1F or point == 0x2026
    row[pg.UNITS], row[pg.COMMAS], row[pg.STOPS], row[pg.DIGITS], row[pg.UPPER], row[pg.WIDE] = (
        units, commas, stops, digits, upper, wide,
    )  # fmt: skip
    row[pg.LAST] = last
    row[pg.PHRASE] = row[pg.DATED] = 0
    if stop - begin <= SHORT:
        row[pg.PHRASE] = match(text, begin, stop, table.phrase_class, table.phrase_next, table.phrase_bits, False)
        row[pg.DATED] = date(text, begin, stop)
