"""Parts of pages that are written otherwise before the pass over their tags: formulas, readings, listings, adverts.

Input: a column of page bodies in any charset in which ASCII is ASCII. Output: the column; only pages that hold one of the marks
change. MathML without TeX beside it gets the TeX that it means (mathml.py), and a formula that cannot be converted goes as a
whole; readings of ruby stand in parentheses behind their word; listings lose the numbers of their lines and keep the ends of
them; adverts and boxes about the author, which nothing but their names tells from text, are cut out with all that is in them.
Each page is looked through a fixed number of times. Memory: the pages that change, twice.
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import Bytes
from skyloom.corpus.extract.rewrite.marks import BACKLINK, BOX, LISTING, MATH, RUBY, box_tags, find_marks
from skyloom.corpus.extract.rewrite.mathml import with_tex
from skyloom.corpus.text import charset

_RUBY = re.compile(rb"<ruby\b[^<>]*+>(?:[^<]++|<(?!/?ruby\b))*+</ruby\s*+>", re.IGNORECASE)
_RP = re.compile(rb"<rp\b[^<>]*+>[^<]*+(?:</rp\s*+>)?", re.IGNORECASE)
_RT = re.compile(rb"<(rt|rtc)\b[^<>]*+>([^<]*+)(?:</\1\s*+>)?", re.IGNORECASE)
_PRE = re.compile(rb"<pre\b[^<>]*+>(?:[^<]++|<(?!/?pre\b))*+</pre\s*+>", re.IGNORECASE)
_NUMBER = re.compile(
    rb"<(span|a|i|b|em|td|div)\b([^<>]{0,600}+)>\s*+(\d{0,6})[.:|]?\s*+</\1\s*+>",
    re.IGNORECASE,
)
_NAMED = re.compile(
    rb"\b(?:class|id)=[\"']?[^\"'<>]{0,120}?"
    rb"(gutter|linenum|line-num|lineno|line_no|\bln\b|\blnt\b|\blnr\b|hljs-ln|blob-num|\bnum\b|rownum|codeline-num)",
    re.IGNORECASE,
)
_BLANKS = (b" ", b"\t", b"\r", b"\n", b"")
_LINE = re.compile(
    rb"(</(?:span|code)\s*>)[ \t]*(?=<(?:span|code)\b[^>]{0,80}\bclass=[\"']?(?:[\w-]{1,40} ){0,6}"
    rb"(?:line|code-line|cl|view-line|token-line|row)"
    rb"[\"'> ])",
    re.IGNORECASE,
)
_CODES = re.compile(rb"(</code\s*>)[ \t]*(?=<code\b)", re.IGNORECASE)
_BACKLINK = re.compile(rb"<span class=\"mw-cite-backlink\">(?:(?!</span>).){0,400}</span>", re.DOTALL)
_BOX = re.compile(
    rb"<(amp-ad|amp-embed|amp-sticky-ad)(?=[\s/>])|<(table)\b[^>]{0,200}\bclass=[\"']files[\"']"  # files of a repository
    rb"|<(div|section|aside|ul|p|td)\b[^>]{0,200}\b(?:class|id)=[\"']?(?:[\w-]{1,60} ){0,10}"
    rb"(?:author-?box|author-?bio|about-?(?:the-)?author|post-author-(?:box|bio|info)|entry-author|"
    rb"author-(?:card|description|about)|"
    rb"related-?(?:posts?|articles?|items?|stories|content|links?)|jp-relatedposts|yarpp-related|post-?signature|signature|forum-?signature|"
    rb"user-signature|sign-?off-sig|post_?-?sig|user_?-?sig|signatures|forum_?-?sign|bbs_?-?sign|(sig|sign))(?=[ \"'>])",
    re.IGNORECASE,
)
_SIGN = re.compile(rb"\bclass=[\"']?(?:[\w-]{1,60} ){0,10}sign?(?=[ \"'>])", re.IGNORECASE)
_FORUM = re.compile(rb"forum|bbs|discuz|phpbb|vbulletin|thread|tieba|luntan", re.IGNORECASE)
_LONGEST_SIGN = 2000  # bytes of a box whose short name may mean something else
_TAG = {name: re.compile(rb"<(/?)" + name + rb"(?=[\s/>])", re.IGNORECASE) for name in (
    b"amp-ad", b"amp-embed", b"amp-sticky-ad", b"div", b"section", b"aside", b"ul", b"p", b"table", b"td",
)}  # fmt: skip
_EMPTY = re.compile(rb"<(a|span)\b[^<>]*+></\1\s*+>", re.IGNORECASE)
_LINE_BEGINS = re.compile(  # at a tag: lines, rows and cells begin with it
    rb"<(?:pre|code|tbody|table|ol|ul|br)\b|</?(?:tr|td|th|div|p|li)\b"
    rb"|<span\b[^<>]{0,80}\bclass=[\"']?(?:[\w-]{1,40} ){0,6}(?:line|code-line|cl|view-line|token-line|row)[\"'> ]",
    re.IGNORECASE,
)
_BEFORE = 400  # bytes before a number in which its line must begin
_TRIES = 8  # boxes that turn out to be too large or without an end
_SHARE = 0.4  # of a page that a box may be: more is the text itself


def prepared(bodies: pa.Array | pa.ChunkedArray, max_page_mb: float = 16.0) -> pa.Array:
    """The column (binary or string) with the parts above written otherwise; a page of more than `max_page_mb` (MB) stays."""
    column = bodies.combine_chunks() if isinstance(bodies, pa.ChunkedArray) else bodies
    data, offsets = charset.binary_buffers(column)
    marks = find_marks(data, offsets)
    marks[np.diff(offsets) > max_page_mb * 1e6] = 0
    rows = np.flatnonzero(marks)
    if not len(rows):
        return column
    changed: dict[int, bytes] = {}
    for row, bits in zip(rows.tolist(), marks[rows].tolist(), strict=True):
        old = data[offsets[row] : offsets[row + 1]].tobytes()
        new = rewritten(old, bits)
        if new is not old:
            changed[row] = new
    return _with_rows(data, offsets, changed) if changed else column


def _with_rows(data: Bytes, offsets: npt.NDArray[np.int64], changed: dict[int, bytes]) -> pa.Array:
    """The column (large_binary) with some rows replaced; a null is empty."""
    sizes = np.diff(offsets)
    for row, page in changed.items():
        sizes[row] = len(page)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    out, begin = np.empty(bounds[-1], np.uint8), 0
    for row, page in [*changed.items(), (len(sizes), b"")]:  # the rows between two changed ones are copied as they are
        out[bounds[begin] : bounds[row]] = data[offsets[begin] : offsets[row]]
        if row < len(sizes):
            out[bounds[row] : bounds[row + 1]] = np.frombuffer(page, np.uint8)
        begin = row + 1
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(sizes), [None, pa.py_buffer(bounds), pa.py_buffer(out)])


def prepared_page(page: bytes) -> bytes:
    """One page; the same object if nothing in it changes."""
    marks = find_marks(np.frombuffer(page, np.uint8), np.array([0, len(page)], np.int64))
    return rewritten(page, int(marks[0]))


def rewritten(page: bytes, marks: int) -> bytes:
    """A page that has these marks (marks.py); the same object if nothing in it changes."""
    found = page
    if marks & MATH:
        found = with_tex(found)
    if marks & RUBY:
        found = _RUBY.sub(_reading, found)
    if marks & LISTING:
        found = _PRE.sub(_listing, found)
    if marks & BACKLINK:
        found = _BACKLINK.sub(b"", found)
    if marks & BOX:
        found = _without_boxes(found)
    return found if len(found) != len(page) or found != page else page


def _reading(match: re.Match[bytes]) -> bytes:
    """A word with its reading in parentheses behind it."""
    inner = _RP.sub(b"", match[0])
    return _RT.sub(lambda m: b"(" + m[2].strip() + b")" if m[2].strip() else b"", inner)


def _listing(match: re.Match[bytes]) -> bytes:
    """A listing without the numbers of its lines, each line with its end."""
    text = match[0]
    numbers = _numbers(text)
    padded = all(text[number.end() : number.end() + 1] in _BLANKS for number in numbers)
    parts, start = list[bytes](), 0
    for number in numbers:
        parts.append(text[start : number.start()])
        start = number.end()
        if padded and text[start : start + 1] in (b" ", b"\t"):  # a blank behind every number belongs to the numbers
            start += 1
    text = b"".join([*parts, text[start:]])
    return _CODES.sub(rb"\1\n", _LINE.sub(rb"\1\n", text))


def _numbers(text: bytes) -> list[re.Match[bytes]]:
    """The elements of a listing that number its lines: they begin lines, and those of a name rise by one.

    Such a name may also mark numbers in the code itself: a single one is left there if its name is but "num".
    """
    by_name: dict[bytes, list[re.Match[bytes]]] = {}
    for element in _NUMBER.finditer(text):
        named = _NAMED.search(element[2])
        if named and _begins_line(text[max(element.start() - _BEFORE, 0) : element.start()]):
            by_name.setdefault(named[1].lower(), []).append(element)
    found = list[re.Match[bytes]]()
    for name, elements in by_name.items():
        values = [int(element[3]) for element in elements if element[3]]
        rising = all(b == a + 1 for a, b in itertools.pairwise(values))
        if rising and (len(values) != 1 or name != b"num"):
            found += elements
    return sorted(found, key=lambda element: element.start())


def _begins_line(before: bytes) -> bool:
    """Does a line begin after these bytes of a listing, but for blanks, empty elements and opening tags?"""
    before = _EMPTY.sub(b"", before)
    while True:
        before = before.rstrip(b" \t\r")
        if not before.endswith(b">"):
            return before.endswith(b"\n")
        begin = max(before.rfind(b"<"), 0)
        if _LINE_BEGINS.match(before, begin):
            return True
        if not before[begin : begin + 2].lower().startswith((b"<a", b"<s", b"<b", b"<i", b"<e")):  # no inline element opens
            return False
        before = before[:begin]


def _without_boxes(page: bytes) -> bytes:
    parts, start, place, large = list[bytes](), 0, 0, 0
    signed: bool | None = None  # "sign" has other meanings where there are no posts
    for first, last in box_tags(page).tolist():
        while large < _TRIES and place < last and (box := _BOX.search(page, max(first, place), last)):
            name = (box[1] or box[2] or box[3]).lower()
            place = box.end()
            if box[4] and signed is None:
                signed = len(_SIGN.findall(page)) >= 2 and _FORUM.search(page) is not None
            if box[4] and not signed:
                continue
            depth, end = 1, -1
            for tag in _TAG[name].finditer(page, place, place + _LONGEST_SIGN if box[4] else len(page)):
                depth += -1 if tag[1] else 1
                if depth == 0:
                    end = page.find(b">", tag.end()) + 1 or -1
                    break
            if end >= 0 and end - box.start() <= _SHARE * len(page):
                parts.append(page[start : box.start()])
                start = place = end
            elif not box[4]:
                large += 1
    return b"".join([*parts, page[start:]]) if parts else page
