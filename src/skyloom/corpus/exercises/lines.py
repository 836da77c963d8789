"""A line classifier for exercises (compiled): number of an exercise, mark of a solution, heading of a part.

Input: the bytes of a line of UTF-8. Output: its kind, its number, and where what follows begins. Full-width signs count as
their ASCII ones. Used by `scan.py`, which puts questions and solutions together. No memory of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import Bytes, Int, Ints, kernel

TEXT, PLAIN, BRACKET, WORDED, EXAMPLE, MARK, HEADING, PART = range(8)
"""Kinds of lines: 1., (1), Problem 1, Example 1, a solution's mark with and without text after it, the heading of a part."""

_MOST = 999  # the highest number of an exercise
SHORT_LINE = 60  # bytes of a heading


def word_table(words: tuple[str, ...]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Words as `match` takes them: their bytes one after the other, and where each begins."""
    encoded = [w.encode() for w in words]
    bounds = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(w) for w in encoded], out=bounds[1:])
    return np.frombuffer(b"".join(encoded), np.uint8).copy(), bounds


_MARKS, _MARK_BOUNDS = word_table((
    "answers and solutions", "answer and explanation", "answer key", "answers", "answer", "ans", "solutions", "solution", "sol",
    "explanation", "rationale", "proof", "a", "参考答案及解析", "参考答案与解析", "参考答案", "答案与解析", "答案及解析", "答案",
    "解析", "解答", "分析", "详解", "证明", "解", "答",
))  # fmt: skip
_WORDED, _WORDED_BOUNDS = word_table(
    ("problem", "question", "exercise", "ex", "q", "no", "第", "习题", "练习", "题目", "问题", "题")
)
_EXAMPLES, _EXAMPLE_BOUNDS = word_table(("worked example", "example", "例题", "例"))
_PARTS, _PART_BOUNDS = word_table(("part ", "section ", "一、", "二、", "三、", "四、", "五、", "六、", "七、", "八、"))


@kernel
def match(data: Bytes, at: Int, stop: Int, words: Bytes, bounds: Ints) -> Int:
    """Bytes of the first of the words that stands at `at`, letters of any case, or 0."""
    for k in range(len(bounds) - 1):
        size: Int = bounds[k + 1] - bounds[k]
        if at + size > stop:
            continue
        same = True
        for i in range(size):
            b = data[at + i]
            if 65 <= b <= 90:
                b += 32
            if b != words[bounds[k] + i]:
                same = False
                break
        if same:
            return size
    return 0


@kernel
def wide(data: Bytes, at: Int, stop: Int) -> tuple[int, int]:
    """The ASCII sign that a full-width one at `at` stands for, or the byte itself; and its size."""
    if at >= stop:
        return 10, 0
    b = int(data[at])
    if at + 2 < stop:
        if b == 0xEF and data[at + 1] == 0xBC:  # U+FF01 and on
            return int(data[at + 2]) - 0x80 + 0x20, 3
        if b == 0xE3 and data[at + 1] == 0x80:
            return _cjk(int(data[at + 2])), 3
    return b, 1


@kernel
def _cjk(last: Int | np.uint8) -> int:
    if last == 0x80:
        return 32
    if last == 0x81 or last == 0x82:
        return 46
    if last == 0x90:
        return 91
    return 93 if last == 0x91 else 0


@kernel
def skip(data: Bytes, at: Int, stop: Int, decorations: bool) -> Int:
    """Past spaces, and past marks of emphasis, headings and quotes if `decorations`."""
    while at < stop:
        sign, size = wide(data, at, stop)
        if sign == 32 or sign == 9 or sign == 13 or (decorations and (sign == 35 or sign == 42 or sign == 62)):
            at += size
        else:
            break
    return at


@kernel
def digits(data: Bytes, at: Int, stop: Int) -> tuple[Int, Int]:
    """The number at `at` (-1 if none or too high) and where it ends."""
    value, begin = 0, at
    while at < stop and 48 <= data[at] <= 57 and at - begin < 4:
        value = value * 10 + int(data[at]) - 48
        at += 1
    return (value if begin < at and 0 < value <= _MOST else -1), at


@kernel
def mark(data: Bytes, at: Int, stop: Int, strict: bool) -> Int:
    """Where the text after a solution's mark at `at` begins, or -1: "Answer:", "【答案】", "解 ", or the word alone on its line.

    `strict`: only with a colon or in brackets, as within a line."""
    sign, size = wide(data, at, stop)
    bracket = sign == 91
    if bracket:
        at += size
    found = match(data, at, stop, _MARKS, _MARK_BOUNDS)
    if found == 0:
        return -1
    one_letter = found == 1
    chinese = data[at] >= 0x80
    at += found
    sign, size = wide(data, at, stop)
    if bracket:
        return at + size if sign == 93 else -1
    if sign == 58 or (sign == 46 and not one_letter and not strict):
        return skip(data, at + size, stop, True)
    if one_letter or strict:
        return -1
    after = skip(data, at, stop, True)
    if after >= stop or data[after] == 10:
        return after
    return after if chinese and found == 3 and after > at else -1  # "解 设..."


@kernel
def line(data: Bytes, start: Int, stop: Int) -> tuple[Int, Int, Int]:
    """Kind of the line start..stop, its number, and where what follows begins."""
    at = skip(data, start, stop, True)
    if at >= stop:
        return TEXT, 0, at
    after = mark(data, at, stop, False)
    if after >= 0:
        return (MARK if after < stop else HEADING), 0, after
    size = match(data, at, stop, _PARTS, _PART_BOUNDS)
    if size and stop - at <= SHORT_LINE:
        return PART, 0, at
    sign, size = wide(data, at, stop)
    if sign == 40:
        number, end = digits(data, at + size, stop)
        sign, size = wide(data, end, stop)
        if number > 0 and sign == 41:
            return BRACKET, number, skip(data, end + size, stop, True)
        return TEXT, 0, at
    bracket = sign == 91
    begin = at + size if bracket else at
    kind = PLAIN
    size = match(data, begin, stop, _EXAMPLES, _EXAMPLE_BOUNDS)
    if size:
        kind = EXAMPLE
    else:
        size = match(data, begin, stop, _WORDED, _WORDED_BOUNDS)
        if size:
            kind = WORDED
    number, end = digits(data, skip(data, begin + size, stop, False), stop)
    if number < 0 or (bracket and kind == PLAIN):
        return TEXT, 0, at
    if end + 2 < stop and data[end] == 0xE9 and data[end + 1] == 0xA2 and data[end + 2] == 0x98:  # 第3题
        end += 3
    sign, size = wide(data, end, stop)
    if kind == PLAIN:
        if sign != 46 and sign != 41:
            return TEXT, 0, at
        if end + size < stop and 48 <= data[end + size] <= 57 and sign == 46 and size == 1:  # "3.5": a line's number only if due
            return kind, -number, end + size
        return kind, number, skip(data, end + size, stop, True)
    if sign == 46 or sign == 58 or sign == 41 or sign == 93:
        end += size
    elif sign != 32 and sign != 10:
        return TEXT, 0, at
    return kind, number, skip(data, end, stop, True)
