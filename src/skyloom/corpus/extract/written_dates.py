"""Dates as people write them: found in lines about the text, in <time> and <abbr>, and in what a source says.

Input: a page after the walk, its bytes, or a string. Output: a date as 20210305, or in ISO 8601. English dates have the
month's name before or after the day ("Mar 5, 2021", "5th of March 2021", "05-Mar-2021"); Chinese ones and figures are
`scan.date`. Of figures with the year last only those are read that can be one date ("25/03/2021"). In a page a date counts
where its block says so ("Published", 「发表于」, arXiv's "[Submitted on"), where the names around it do, or where the block is
nothing but a date. Each byte is looked at a fixed number of times, and only in pages that have no date of their own.
"""

# ruff: noqa: SIM110 (a compiled `any` costs more than it says)

from __future__ import annotations

import datetime
import email.utils
import re

import numpy as np

from skyloom.core.kernels import Bool, Bytes, Int, Ints, find_byte, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.scan import attribute, date, find, name_end
from skyloom.corpus.extract.tag_tables import NAME_BITS, PHRASE_BITS

_NAMES = NAME_BITS["date"] | NAME_BITS["meta"] | NAME_BITS["author"]
_BYLINE = PHRASE_BITS["byline"]
_MONTHS = "january february march april may june july august september october november december".split()
_LETTERS = np.frombuffer("".join(m[:3] for m in _MONTHS).encode(), np.uint8)
_FULL = np.frombuffer("".join(_MONTHS).encode(), np.uint8)
_FULL_ENDS = np.cumsum([0, *map(len, _MONTHS)])
_CLOCK_BYTES = [np.frombuffer(word.encode(), np.uint8) for word in ("今天", "今日", "现在", "現在", "today")]
_CLOCK = np.concatenate(_CLOCK_BYTES)
_CLOCK_ENDS = np.cumsum([0, *map(len, _CLOCK_BYTES)])
_MOST_UNITS = 12  # of a line that tells a date and is no prose, if it has a stop
_LONGEST = 300  # bytes of a block that may be a line about the text
_MARK = 60  # bytes of the text of a <time>
_AROUND = 24  # bytes that a block which is nothing but a date may have beside it: the hour, a weekday
_SAID_BYTES = [
    np.frombuffer(word.encode(), np.uint8)
    for word in (
        "published", "posted", "submitted on", "发表于", "發表於", "发布于", "發佈於", "发布时间",
        "發布時間", "发表时间", "發表時間", "发布日期",
        "更新时间", "日期：", "日期:", "时间：", "时间:", "發表時間", "written on", "created", "date:", "last updated",
    )
]  # fmt: skip
_SAID = np.concatenate(_SAID_BYTES)
_SAID_ENDS = np.cumsum([0, *map(len, _SAID_BYTES)])


@inner
def _letter(byte: Int) -> Bool:
    return 97 <= (byte | 32) <= 122


@inner
def _month(data: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """The month whose name begins at i (three letters or more, with a point), 1 to 12 or 0, and the place after it."""
    if i + 3 > stop:
        return np.int64(0), i
    for month in range(12):
        same = True
        for k in range(3):
            same = same and (data[i + k] | 32) == _LETTERS[3 * month + k]
        if same:
            end = i + 3
            while end < stop and _letter(data[end]):
                end += 1
            size, whole = end - i, _FULL_ENDS[month + 1] - _FULL_ENDS[month]
            if size != 3 and size != whole and not (month == 8 and size == 4):  # Sept
                return np.int64(0), i
            for k in range(3, size):
                if (data[i + k] | 32) != _FULL[_FULL_ENDS[month] + k]:
                    return np.int64(0), i
            return np.int64(month + 1), end + 1 if end < stop and data[end] == 46 else end
    return np.int64(0), i


@inner
def _figures(data: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """The number at i and the place after it; -1 if there is none, or one of more than four figures."""
    value, at = np.int64(0), i
    while at < stop and 48 <= data[at] <= 57 and at - i < 5:
        value = value * 10 + np.int64(data[at]) - 48
        at += 1
    return (value if i < at < i + 5 else np.int64(-1)), at


@inner
def _gap(data: Bytes, i: Int, stop: Int) -> Int:
    """The place after what may stand between the parts of a date: spaces, a comma, a dash, "of", an ending ("5th")."""
    if i + 1 < stop and _letter(data[i]):
        a, b = data[i] | 32, data[i + 1] | 32
        if (a == 115 and b == 116) or (a == 110 and b == 100) or (a == 114 and b == 100) or (a == 116 and b == 104):
            i += 2
    count = 0
    while i < stop and count < 4 and (data[i] == 32 or data[i] == 44 or data[i] == 45 or data[i] == 46 or data[i] == 10):
        i += 1
        count += 1
    if i + 2 < stop and (data[i] | 32) == 111 and (data[i + 1] | 32) == 102 and data[i + 2] == 32:
        i += 3
    return i


@inner
def written(data: Bytes, i: Int, stop: Int) -> Int:
    """The first date in data[i:stop] with the name of its month, as 20210305, or 0."""
    begin = i
    while i < stop:
        if not _letter(data[i]) or (i > begin and _letter(data[i - 1])):
            i += 1
            continue
        month, end = _month(data, i, stop)
        if month == 0:
            i += 1
            continue
        first, after = _figures(data, _gap(data, end, stop), stop)
        if 1 <= first <= 31:  # March 5, 2021
            year, _ = _figures(data, _gap(data, after, stop), stop)
            if 1900 <= year < 2100:
                return year * 10000 + month * 100 + first
        if 1900 <= first < 2100:  # 5 March 2021
            at = i - 1
            count = 0
            while at >= begin and count < 8 and not 48 <= data[at] <= 57:
                at -= 1
                count += 1
            low = at
            while low > begin and at - low < 2 and 48 <= data[low - 1] <= 57:
                low -= 1
            if at >= begin and 48 <= data[at] <= 57 and _gap(data, at + 1, i) == i:
                day, _ = _figures(data, low, at + 1)
                if 1 <= day <= 31:
                    return first * 10000 + month * 100 + day
        i = end
    return np.int64(0)


@inner
def _said(text: Bytes, i: Int, stop: Int) -> bool:
    """Whether the words of a block say that it is about when the text was written."""
    for k in range(len(_SAID_ENDS) - 1):
        if find(text, i, stop, _SAID[_SAID_ENDS[k] : _SAID_ENDS[k + 1]]) < stop:
            return True
    return False


@inner
def _only(text: Bytes, i: Int, stop: Int) -> Bool:
    """Whether a block is so short that it holds a date and no sentence."""
    return stop - i <= 20 + _AROUND and text[stop - 1] != 46


@inner
def _is_clock(text: Bytes, i: Int, stop: Int) -> Bool:
    """Whether a block begins as the line in a page's head that tells the day of the visit: 今天, 今日, 现在, today."""
    for k in range(len(_CLOCK_ENDS) - 1):
        word = _CLOCK[_CLOCK_ENDS[k] : _CLOCK_ENDS[k + 1]]
        if find(text, i, min(i + len(word), stop), word) == i and stop - i >= len(word):
            return True
    return False


@inner
def line_date(page: pg.Page) -> Int:
    """The date of the first block that is a line about the text, as 20210305, or 0."""
    for i in range(page.state[pg.BLOCKS]):
        value: Int
        row = page.blocks[i]
        a, b = row[pg.START], row[pg.END]
        prose = row[pg.STOPS] > 0 and row[pg.UNITS] > _MOST_UNITS
        if b - a > _LONGEST or prose or 2 * row[pg.LINKED] >= b - a:
            continue
        value = np.int64(row[pg.DATED])
        if value == 0:
            value = written(page.text, a, b)
        if value == 0 or _is_clock(page.text, a, b):
            continue
        if row[pg.PHRASE] & _BYLINE or page.all[row[pg.NODE]] & _NAMES or _only(page.text, a, b) or _said(page.text, a, b):
            return value
    return np.int64(0)


@inner
def marked_date(data: Bytes, i: Int, stop: Int, found: Ints) -> Int:
    """The date of the first <time>, by its text, or <abbr>, by its title, as 20210305, or 0."""
    while i + 6 < stop:
        i = find_byte(data, i, stop - 6, 60)
        if i + 6 >= stop:
            break
        a, b, c, d = data[i + 1] | 32, data[i + 2] | 32, data[i + 3] | 32, data[i + 4] | 32
        is_time = a == 116 and b == 105 and c == 109 and d == 101
        is_abbr = a == 97 and b == 98 and c == 98 and d == 114
        i += 1
        if not is_time and not is_abbr:
            continue
        i, _ = name_end(data, i, stop)
        value: Int
        value = np.int64(0)
        while True:
            i, key = attribute(data, i, stop, found)
            if key == 0:
                break
            low, high = found[0], min(found[1], found[0] + 100)
            if is_abbr and value == 0 and high - low >= 8:
                value = date(data, low, high)
                if value == 0:
                    value = written(data, low, high)
        if is_time and value == 0:
            end = i
            while end < stop and data[end] != 60 and end - i < _MARK:
                end += 1
            value = date(data, i, end)
            if value == 0:
                value = written(data, i, end)
        if value:
            return value
    return np.int64(0)


_ISO = re.compile(r"([0-9]{4})(?:-([0-9][0-9])(?:-([0-9][0-9])(?:[T ].*)?)?)?\Z", re.DOTALL)
_YEAR_FIRST = re.compile(r"(?<![0-9])((?:19|20)[0-9][0-9])\s*(?:[-/.]|年)\s*([0-9]{1,2})\s*(?:[-/.]|月)\s*([0-9]{1,2})(?![0-9])")
_PLAIN = re.compile(r"((?:19|20)[0-9][0-9])([0-9][0-9])([0-9][0-9])(?:[0-9]{6}|T[0-9]{4,6}Z?)?\Z")
_YEAR_LAST = re.compile(r"(?<![0-9])([0-9]{1,2})[-/.]([0-9]{1,2})[-/.]((?:19|20)[0-9][0-9])(?![0-9])")
_NAME = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_WRITTEN = re.compile(
    rf"\b{_NAME}\s+(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?\b,?\s+(?P<year>(?:19|20)[0-9][0-9])"
    rf"|\b(?P<day2>[0-9]{{1,2}})(?:st|nd|rd|th)?[\s-]+(?:of\s+)?{_NAME.replace('month', 'month2')}[\s,-]+"
    r"(?P<year2>(?:19|20)[0-9][0-9])"
    rf"|\b{_NAME.replace('month', 'month3')}\s+(?P<day3>[0-9]{{1,2}})\s+[0-9][0-9]:[0-9][0-9](?::[0-9][0-9])?\s+"
    r"(?:[A-Z]{2,5}\s+)?(?P<year3>(?:19|20)[0-9][0-9])",
    re.IGNORECASE,
)
_SECONDS = re.compile(r"([0-9]{10})(?:[0-9]{3})?(?:\.[0-9]+)?\Z")
_NARROW = {ord(wide): plain for wide, plain in zip("０１２３４５６７８９", "0123456789", strict=True)}
_FAR = 400  # characters of a source's date that are looked at


def iso(text: str) -> str:
    """A date in any usual form in ISO 8601, or "": ISO itself (kept as it is), figures, English, Chinese, mail and Unix time."""
    text = text.strip()[:_FAR].translate(_NARROW)
    if (found := _ISO.match(text)) and _day(found[1], found[2] or "1", found[3] or "1"):
        return text
    if found := _YEAR_FIRST.search(text) or _PLAIN.match(text):
        return _day(found[1], found[2], found[3])
    if found := _WRITTEN.search(text):
        k = "" if found["year"] else "2" if found["year2"] else "3"
        month = [m[:3] for m in _MONTHS].index(found[f"month{k}"][:3].casefold()) + 1
        return _day(found[f"year{k}"], str(month), found[f"day{k}"])
    if found := _YEAR_LAST.search(text):
        one, two = int(found[1]), int(found[2])
        if one > 12 or one == two:
            return _day(found[3], found[2], found[1])
        return _day(found[3], found[1], found[2]) if two > 12 else ""
    if found := _SECONDS.match(text):  # or milliseconds
        moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=int(found[1]))
        return moment.date().isoformat() if moment.year < 2100 else ""
    try:
        parsed = email.utils.parsedate(text)
    except (ValueError, OverflowError, IndexError):
        return ""
    return _day(str(parsed[0]), str(parsed[1]), str(parsed[2])) if parsed else ""


def _day(year: str, month: str, day: str) -> str:
    try:
        return datetime.date(int(year), int(month), int(day)).isoformat()
    except (ValueError, OverflowError):
        return ""
