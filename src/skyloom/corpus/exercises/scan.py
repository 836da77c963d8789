"""Candidate exercises in a text: spans of questions and of their solutions, by the marks that pages use.

Input: the UTF-8 of a text column. Output: items, as byte spans of question and solution. Items begin at numbered lines ("3.",
"(3)", "Problem 3", "第3题", "例3"); a solution begins at a mark ("Answer:", "Solution.", "答案：", "【解析】", "A:") or stands in a
section of answers after all questions, under the same number, or there in one line ("1. B 2. C", "1-5 BCADB"). Sections that
count from 1 again are matched in their order. A question without a number is the block before its mark. Nothing is judged here:
numbered steps of a recipe and questions of customers come out, too, and `documents.py` decides.

Memory: 48 bytes an item. One pass, compiled.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Bool, Bytes, Int, Ints, kernel
from skyloom.corpus.exercises.lines import (
    EXAMPLE,
    HEADING,
    MARK,
    PART,
    PLAIN,
    SHORT_LINE,
    TEXT,
    WORDED,
    digits,
    line,
    mark,
    skip,
    wide,
)  # fmt: skip

ROW, Q_START, Q_STOP, S_START, S_STOP, NUMBER = range(6)


def items(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Items of all texts, int64[items, 6]: row, question's start and stop, solution's start and stop (-1: none), number (0: none).

    Positions are bytes of `data`. Items come in the order of rows and of questions.
    """
    return _items(data, offsets)


def unmarked(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Each of the texts as one item without number: its question goes up to the first question mark, else to the end of the first
    line, and the rest is the solution, if there is any."""
    return _unmarked(data, offsets, rows)


@kernel
def _inside(data: Bytes, start: Int, stop: Int) -> tuple[Int, Int]:
    """Where a mark stands within a question, with a colon or in brackets, and where its text begins; or -1, -1."""
    i = start
    while i < stop:
        b = data[i]
        if b == 32 or b == 10 or b >= 0x80:
            at = i if b >= 0x80 else i + 1
            if at > start and at < stop and (data[at] >= 0x80 or 97 <= (data[at] | 32) <= 122):
                after = mark(data, at, stop, True)
                if 0 <= after < stop:
                    return at, after
            i += 1 if b < 0x80 else (2 if b < 0xE0 else (3 if b < 0xF0 else 4))
        else:
            i += 1
    return -1, -1


@kernel
def _closes(data: Bytes, at: Int, stop: Int) -> Bool:
    """Whether letters that end at `at` are an answer: no letter follows, and a digit only as the next number ("1.B2.C")."""
    if at >= stop:
        return True
    if 48 <= data[at] <= 57:
        _, end = digits(data, at, stop)
        sign, _ = wide(data, end, stop)
        return end < stop and (sign == 46 or sign == 41)
    return not 97 <= (data[at] | 32) <= 122


@kernel
def _key(data: Bytes, start: Int, stop: Int, found: Ints, first: Int, last: Int) -> int:
    """Gives the letters of a line like "1. B 2. C" or "1-5 BCADB" to the unanswered items first..last; how many it gave."""
    given, at = 0, start
    while at < stop:
        low, end = digits(data, at, stop)
        if low < 0 or (at > start and (48 <= data[at - 1] <= 57)):
            at += 1
            continue
        high = low
        sign, size = wide(data, end, stop)
        if sign == 45 or sign == 126 or (size == 1 and sign == 0xE2 and end + 2 < stop):
            number, after = digits(data, end + (3 if sign == 0xE2 else size), stop)
            if number > low:
                high, end = number, after
        while end < stop:
            sign, size = wide(data, end, stop)
            if sign == 46 or sign == 32 or sign == 58 or sign == 41:
                end += size
            else:
                break
        letters = 0
        while end + letters < stop and 65 <= data[end + letters] <= 72:
            letters += 1
        closed = _closes(data, end + letters, stop)
        if closed and ((high > low and letters == high - low + 1) or (high == low and letters > 0)):
            for number in range(low, high + 1):
                for k in range(first, last):
                    if found[k, NUMBER] == number and found[k, S_START] < 0:
                        found[k, S_START] = end + (number - low if high > low else 0)
                        found[k, S_STOP] = found[k, S_START] + (1 if high > low else letters)
                        given += 1
                        break
            at = end + letters
        else:
            at = max(end, at + 1)
    return given


@kernel
def _trimmed(data: Bytes, start: Int, stop: Int) -> Int:
    while stop > start and data[stop - 1] <= 32:
        stop -= 1
    return stop


@kernel
def _grown(found: Ints) -> Ints:
    wider = np.empty((2 * len(found), 6), np.int64)
    wider[: len(found)] = found
    return wider


@kernel
def _items(data: Bytes, offsets: Ints) -> Ints:
    found = np.empty((1024, 6), np.int64)
    total = 0
    for row in range(len(offsets) - 1):
        first = total
        stop = offsets[row + 1]
        cursor: Int
        answering: Bool
        style: Int
        last_number: Int
        style, answering, cursor, last_number = TEXT, False, first, 0
        current = -1  # the item whose question or, if it has one, solution is still open
        block, earlier = offsets[row], offsets[row]  # where the block of this line, and the one before, begin
        at, heading = offsets[row], False
        while at < stop:
            end = at
            while end < stop and data[end] != 10:
                end += 1
            after: Int
            kind, number, after = line(data, at, end)
            if number < 0:
                number = -number
                if style != PLAIN or number != last_number + 1:
                    kind, number = TEXT, 0
            if skip(data, at, end, False) >= end:  # a blank line: the next one begins a block
                if block <= at:
                    earlier, block = block, end + 1
                at = end + 1
                continue
            if total + 2 >= len(found):
                found = _grown(found)
            if kind == HEADING and total > first and not answering:
                answering = _numbered_next(data, end, stop) and (total - first > 1 or found[current, S_START] >= 0)
                if answering:
                    _close(data, found, current, at)
                    current, cursor, last_number = -1, first, 0
                    at = end + 1
                    continue
            if answering:
                if kind == PART:
                    _close(data, found, current, at)
                    current, last_number = -1, 0
                elif PLAIN <= kind <= EXAMPLE and number > 0:
                    if _key(data, at, end, found, cursor, total) > 1:
                        _close(data, found, current, at)
                        current = -1
                    else:
                        if number <= last_number:
                            cursor = _next_section(found, cursor, total)
                        k = _unanswered(found, cursor, total, number)
                        if k >= 0 and (kind == style or style == TEXT):
                            _close(data, found, current, at)
                            current, last_number = k, number
                            inner = mark(data, after, end, False)
                            found[k, S_START], found[k, S_STOP] = (inner if inner >= 0 else after), -2
                elif kind == TEXT and current < 0:
                    _key(data, at, end, found, first, total)
            elif PLAIN <= kind <= EXAMPLE and _begins(kind, number, style, last_number, current, found, heading):
                _close(data, found, current, at)
                style, last_number, current = kind, number, total
                found[total, ROW], found[total, Q_START], found[total, Q_STOP] = row, after, -2
                found[total, S_START], found[total, S_STOP], found[total, NUMBER] = -1, -1, number
                total += 1
            elif kind in (MARK, HEADING):
                open_question = current >= 0 and found[current, S_START] < 0
                if not open_question and (current < 0 or found[current, NUMBER] == 0):
                    begin = block if block < at else earlier
                    if begin < at and (current < 0 or begin > found[current, S_START]):
                        _close(data, found, current, begin)
                        current = total
                        found[total, ROW], found[total, Q_START], found[total, Q_STOP] = row, skip(data, begin, at, True), -2
                        found[total, S_START], found[total, S_STOP], found[total, NUMBER] = -1, -1, 0
                        total += 1
                        open_question = True
                if open_question:
                    found[current, Q_STOP] = _trimmed(data, found[current, Q_START], at)
                    found[current, S_START], found[current, S_STOP] = after, -2
            elif kind == PART and current >= 0:
                _close(data, found, current, at)
                current = -1
            heading = kind == PART or (kind == TEXT and end - at <= SHORT_LINE and current < 0)
            at = end + 1
        _close(data, found, current, stop)
        for k in range(first, total):
            if found[k, S_START] < 0:
                cut: Int
                cut, after = _inside(data, found[k, Q_START], found[k, Q_STOP])
                if cut >= 0:
                    found[k, S_START], found[k, S_STOP] = after, found[k, Q_STOP]
                    found[k, Q_STOP] = _trimmed(data, found[k, Q_START], cut)
    return found[:total].copy()


@kernel
def _begins(kind: Int, number: Int, style: Int, last_number: Int, current: Int, found: Ints, heading: bool) -> Bool:
    """Whether a numbered line begins an item: the first one, the next number of the same style, or 1 again in a new part."""
    if style == TEXT:
        return True
    if kind != style:
        return kind in (WORDED, EXAMPLE)
    if number == last_number + 1:
        return True
    solved = current >= 0 and found[current, S_START] >= 0
    return (number == 1 and (heading or current < 0)) or (number > last_number and not solved)


@kernel
def _close(data: Bytes, found: Ints, current: Int, at: Int) -> None:
    """Ends what item `current` has open, at `at`."""
    if current < 0:
        return
    if found[current, Q_STOP] == -2:
        found[current, Q_STOP] = _trimmed(data, found[current, Q_START], at)
    if found[current, S_STOP] == -2:
        while found[current, S_START] < at and data[found[current, S_START]] <= 32:  # a mark alone on its line
            found[current, S_START] += 1
        found[current, S_STOP] = _trimmed(data, found[current, S_START], at)


@kernel
def _numbered_next(data: Bytes, end: Int, stop: Int) -> Bool:
    """Whether the next line that is not blank has a number, or is the heading of a part."""
    at = end + 1
    while at < stop:
        end = at
        while end < stop and data[end] != 10:
            end += 1
        if skip(data, at, end, False) < end:
            kind, _, _ = line(data, at, end)
            first, _ = digits(data, skip(data, at, end, True), end)
            return kind == PART or PLAIN <= kind <= EXAMPLE or first > 0
        at = end + 1
    return False


@kernel
def _next_section(found: Ints, cursor: Int, total: Int) -> Int:
    """The first item after `cursor`'s section: where the numbers begin anew."""
    k = cursor + 1
    while k < total and found[k, NUMBER] > found[k - 1, NUMBER]:
        k += 1
    return k if k < total else cursor


@kernel
def _unanswered(found: Ints, cursor: Int, total: Int, number: Int) -> int:
    for k in range(cursor, total):
        if found[k, NUMBER] == number and found[k, S_START] < 0:
            return k
    return -1


@kernel
def _unmarked(data: Bytes, offsets: Ints, rows: Ints) -> Ints:
    out = np.zeros((len(rows), 6), np.int64)
    for k in range(len(rows)):
        start, stop = offsets[rows[k]], offsets[rows[k] + 1]
        line = cut = start
        for i in range(start, stop):
            b = data[i]
            if b == 10 and line == start:
                line = i
            if b == 63 or (b == 0xEF and i + 2 < stop and data[i + 1] == 0xBC and data[i + 2] == 0x9F):
                cut = i + (1 if b == 63 else 3)
                break
        if cut == start:
            cut = line
        after = cut
        while after < stop and data[after] <= 32:
            after += 1
        out[k, ROW], out[k, Q_START] = rows[k], start
        if cut == start or after >= stop:
            out[k, Q_STOP], out[k, S_START], out[k, S_STOP] = stop, -1, -1
        else:
            out[k, Q_STOP], out[k, S_START], out[k, S_STOP] = cut, cut, stop
    return out
