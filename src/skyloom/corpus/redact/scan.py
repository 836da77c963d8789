"""Candidates for personal data: one compiled pass over a text column's bytes.

Input: the UTF-8 bytes of a column. Output: candidate spans of three forms: an @ between letters, a run of digits long enough for
a number (or with the three points of an IPv4 address), a run of hexadecimal digits with three colons. The scan misses nothing
that a rule of numbering.py takes, and passes over prose at hundreds of MB per second; only the candidates are looked at in
Python. Full-width digits and signs (１３８, ＠) and dashes (–) are read as ASCII ones.

Memory: 25 bytes for each candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Bool, Bytes, Int, Ints, kernel

AT, NUMBER, COLONS = 0, 1, 2
LEAST_DIGITS = 7  # of a number that stands by itself: fewer are no phone number
_POINT, _DASH, _PLUS, _OPEN, _CLOSE, _SPACE = ord("."), ord("-"), ord("+"), ord("("), ord(")"), ord(" ")


@dataclass(frozen=True)
class Candidates:
    """`rows`: int64[n], ascending. `starts`, `stops`: int64[n], bytes into the column's data. `forms`: uint8[n]."""

    rows: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    stops: npt.NDArray[np.int64]
    forms: npt.NDArray[np.uint8]


def scan(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> Candidates:
    """All candidates of a column, in order. `data`: uint8[bytes] of valid UTF-8; `offsets`: int64[rows + 1]."""
    room = max(1024, len(data) // 512)
    while True:
        spans, forms = np.empty((room, 3), np.int64), np.empty(room, np.uint8)
        found = int(_scan(data, offsets, spans, forms))
        if found <= room:
            spans = spans[:found]
            return Candidates(spans[:, 0].copy(), spans[:, 1].copy(), spans[:, 2].copy(), forms[:found].copy())
        room = found


@kernel
def _sign(data: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """The ASCII character at byte i, of a full-width form its ASCII one, else 0; and its length in bytes."""
    byte = data[i]
    if byte < 0x80:
        return np.int64(byte), 1
    if byte == 0xEF and i + 2 < stop:
        point = (np.int64(0x0F) << 12) | (np.int64(data[i + 1] & 0x3F) << 6) | np.int64(data[i + 2] & 0x3F)
        if 0xFF01 <= point <= 0xFF5E:
            return point - 0xFEE0, 3
    if byte == 0xE2 and i + 2 < stop and data[i + 1] == 0x80 and 0x90 <= data[i + 2] <= 0x95:  # dashes of typesetters
        return np.int64(_DASH), 3
    return np.int64(0), 2 if byte < 0xE0 else (3 if byte < 0xF0 else 4)


@kernel
def _is_digit(sign: Int) -> Bool:
    return 48 <= sign <= 57


@kernel
def _number(data: Bytes, i: Int, stop: Int) -> tuple[Int, Int, Int]:
    """End of the run of digits that begins at byte i, its digits and its points; groups are joined by at most two signs."""
    end, digits, points, signs = i, 0, 0, 0
    while i < stop:
        sign, length = _sign(data, i, stop)
        i += length
        if _is_digit(sign):
            digits, signs, end = digits + 1, 0, i
        elif sign in (_SPACE, _DASH, _POINT, _OPEN, _CLOSE, _PLUS):
            signs += 1
            points += sign == _POINT
            if signs > 2:
                break
        else:
            break
    return end, digits, points


@kernel
def _colons(data: Bytes, i: Int, start: Int, stop: Int) -> tuple[Int, Int, Int]:
    """First byte, end and colons of the run of hexadecimal digits and colons around byte i."""
    first, end, colons = i, i, 0
    while first > start and (_is_hex(data[first - 1]) or data[first - 1] == 58):
        first -= 1
    while end < stop and (_is_hex(data[end]) or data[end] == 58):
        end += 1
    for k in range(first, end):
        colons += data[k] == 58
    return first, end, colons


@kernel
def _is_hex(byte: np.uint8) -> Bool:
    return 48 <= byte <= 57 or 97 <= byte <= 102 or 65 <= byte <= 70


@kernel
def _scan(data: Bytes, offsets: Ints, spans: Ints, forms: Bytes) -> int:
    found = 0
    for row in range(len(offsets) - 1):
        start, stop = offsets[row], offsets[row + 1]
        i = start
        while i < stop:
            byte = data[i]
            if byte > 64 and byte != 0xEF:  # no digit, sign or full-width form begins so
                i += 1
                continue
            sign, length = _sign(data, i, stop)
            first, end, form = i, i, -1
            if sign == 64:
                end, form = i + length, AT
            elif sign in (_PLUS, _OPEN) or _is_digit(sign):
                end, digits, points = _number(data, i, stop)
                if digits >= LEAST_DIGITS or points >= 3:
                    form = NUMBER
            elif byte == 58:
                first, end, colons = _colons(data, i, start, stop)
                if colons >= 3:
                    form = COLONS
                else:  # at most twice in a run: the digits behind a colon may be a number
                    end = i
            if form >= 0:
                if found < len(forms):
                    spans[found, 0], spans[found, 1], spans[found, 2] = row, first, end
                    forms[found] = form
                found += 1
            i = max(end, i + length)
    return found
