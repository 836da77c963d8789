"""Structural extraction over whole columns: a shard's pages in, a shard's passages out, without a Python object for a page.

Input: an Arrow column of page bodies. Output: Arrow columns: lists of passages and tags, titles, dates, reasons. The compiled
passes run over the column's own buffer, one page after the other in one scratch; pages that are not plain UTF-8 are decoded one
by one before. Memory: the column, its text (at most as large), and the scratch of its largest page.
"""

# ruff: noqa: SIM109 (a compiled `in` and `all` cost more than they say)

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.kernels import Bools, Bytes, Floats, Int, Ints, Ints32, entry, inner
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.features import ROLES
from skyloom.corpus.extract.judge.ensemble import COLUMNS, Model, model
from skyloom.corpus.extract.rewrite import embedded
from skyloom.corpus.extract.scan import copy, find
from skyloom.corpus.extract.select import heading_end, render, room, select
from skyloom.corpus.extract.tag_tables import TAG, TAGS, Tables, tables
from skyloom.corpus.extract.walk import OK, TOO_MANY, walk
from skyloom.corpus.extract.written_dates import line_date, marked_date
from skyloom.corpus.text import charset

USABLE, EMPTY, NO_PASSAGES, MANY_TAGS, MUCH_WORK, CHARSET, LARGE, NO_HTML = range(8)
REASONS = (None, "empty", "no passages", "too many tags", "too much work", "charset", "too large", "not HTML")
"""Why a page has no passages, by its status."""

FEW_HEADINGS = 8  # that are compared with the title
_H1 = TAG["h1"]


Kind = TypeVar("Kind", bound=np.generic)


class Out(NamedTuple):
    """Where the compiled code writes what it found; `Sink` makes it larger when it is full."""

    text: Bytes  # uint8: all passages
    ends: Ints  # int64: where each passage ends
    tags: Bytes  # uint8: its tag
    titles: Bytes  # uint8
    title_ends: Ints  # int64[rows]
    headed: Bools  # bool[rows]: the title is that of the page's <h1>
    dates: Ints32  # int32[rows]: 20230630, or 0
    status: Bytes  # uint8[rows]
    counts: Ints  # int64[rows]: passages
    at: Ints  # int64[4]: how much of text, passages, titles is used


@entry
def _pages(
    data: Bytes, offsets: Ints, first: int, last: int, page: pg.Page, table: Tables, trees: Model, roles: Floats, comments: bool,
    out: Out,
) -> int:  # fmt: skip
    """Extract the rows first..last - 1; returns the row that `out` has no room for, or `last`."""
    for row in range(first, last):
        used, done, titled = out.at[0], out.at[1], out.at[2]
        status = walk(data, offsets[row], offsets[row + 1], page, table)
        kept = 0
        if status == OK:
            status = EMPTY
            if page.state[pg.BLOCKS]:
                kept = select(page, table, trees, roles, comments)
                status = USABLE if kept else NO_PASSAGES
        else:
            status = MANY_TAGS if status == TOO_MANY else MUCH_WORK
        if used + room(page) > len(out.text) or done + kept > len(out.ends) or titled + pg.TITLE_BYTES > len(out.titles):
            return row
        out.headed[row] = False
        if status == USABLE or status == NO_PASSAGES or status == EMPTY:
            titled = _title(page, out, titled, row)
        out.title_ends[row] = out.at[2] = titled
        out.dates[row] = _date(data, offsets[row], offsets[row + 1], page)
        out.counts[row] = -done
        if status == USABLE:
            used, done = render(page, out.text, used, out.ends, out.tags, done)
        out.at[0], out.at[1] = used, done
        out.counts[row] += done
        out.status[row] = status
    return last


@inner
def _title(page: pg.Page, out: Out, at: Int, row: Int) -> Int:
    """Write the page's title: an <h1> that the <title> repeats (or that stands for it), else the <title> as it is."""
    size, headings = page.state[pg.TITLE_END], 0
    for i in range(page.state[pg.BLOCKS]):
        if page.blocks[i, pg.BTAG] == _H1 and headings < FEW_HEADINGS:
            headings += 1
            a, b = page.blocks[i, pg.START], heading_end(page, i)
            if b - a >= pg.TITLE_BYTES:
                continue
            if size == 0 or (b - a <= size and find(page.title, 0, size, page.text[a:b]) < size):
                out.headed[row] = True
                return copy(out.titles, at, page.text, a, b)
    return copy(out.titles, at, page.title, 0, size)


@inner
def _date(data: Bytes, start: Int, stop: Int, page: pg.Page) -> Int:
    """The date that the page gives for machines, else that of a line about the text, else of the first <time> or <abbr>."""
    found: Int
    found = np.int64(page.state[pg.DATE])
    if found == 0:
        found = line_date(page)
    return found if found else marked_date(data, start, stop, page.found)


@dataclass
class Sink:
    """The growing columns of a batch of pages."""

    rows: int
    size: int  # bytes of all pages; a guess at the text is made from it
    trees: Model
    comments: bool

    def __post_init__(self) -> None:
        passages = self.size // 200 + (1 << 10)
        self.out = Out(
            np.empty(self.size // 2 + (1 << 16), np.uint8),
            np.empty(passages, np.int64), np.empty(passages, np.uint8), np.empty(60 * self.rows + (1 << 13), np.uint8),
            np.zeros(self.rows, np.int64), np.zeros(self.rows, np.bool_),
            np.zeros(self.rows, np.int32), np.zeros(self.rows, np.uint8),
            np.zeros(self.rows, np.int64), np.zeros(4, np.int64),
        )  # fmt: skip
        self.kinds: dict[int, str] = {}

    def run(self, data: Bytes, offsets: npt.NDArray[np.int64], first: int, last: int) -> None:
        """Extract rows first..last - 1; row i is data[offsets[i]:offsets[i + 1]]."""
        largest = int(np.diff(offsets[first : last + 1]).max(initial=0))
        page, roles = pg.scratch(largest, len(COLUMNS)), np.zeros(ROLES)
        while first < last:
            stopped = _pages(data, offsets, first, last, page, tables(), self.trees, roles, self.comments, self.out)
            if stopped < last:
                self._grow(largest)
            first = stopped

    def fail(self, row: int, status: int) -> None:
        """A row that is not read."""
        self.out.status[row], self.out.title_ends[row] = status, self.out.at[2]

    def _grow(self, largest: int) -> None:
        out, passages = self.out, min(largest // 3, pg.MAX_BLOCKS)
        self.out = out._replace(
            text=_larger(out.text, 6 * largest), ends=_larger(out.ends, passages), tags=_larger(out.tags, passages),
            titles=_larger(out.titles, pg.TITLE_BYTES),
        )  # fmt: skip

    def table(self) -> pa.Table:
        """The rows so far as `extract_column` returns them."""
        out, (used, done, titled, _) = self.out, self.out.at
        texts = _strings(out.text[:used], np.concatenate([[0], out.ends[:done]]))
        offsets = pa.array(np.concatenate([[0], np.cumsum(out.counts)]).astype(np.int32))
        tags = pa.DictionaryArray.from_arrays(pa.array(out.tags[:done]), pa.array(TAGS)).cast(pa.string())
        titles = _strings(out.titles[:titled], np.concatenate([[0], out.title_ends])).to_pylist()
        titles = [t if headed else page_part(t) for t, headed in zip(titles, out.headed.tolist(), strict=True)]
        reasons = [f"{REASONS[s]}: {self.kinds[i]}" if i in self.kinds else REASONS[s] for i, s in enumerate(out.status.tolist())]
        return pa.table({
            "blocks": pa.ListArray.from_arrays(offsets, texts), "tags": pa.ListArray.from_arrays(offsets, tags),
            "title": pa.array(titles, pa.string()), "date": _dates(out.dates), "reason": pa.array(reasons, pa.string()),
        })  # fmt: skip


def extract_column(
    bodies: pa.Array | pa.ChunkedArray,
    declared: pa.Array | pa.ChunkedArray | None = None,
    *,
    max_replaced: float = 0.02,
    max_page_mb: float = 16.0,
    comments: bool = False,
    trees: Model | None = None,
) -> pa.Table:
    """The passages of a column of HTML pages (binary or string), one row for each, in order.

    `declared`: what the transport said of each page's charset (string or null). Columns: `blocks` and `tags` (list<string>),
    `title` ("" if unknown), `date` (ISO 8601, "" if unknown), `reason` (null for a usable page, see `REASONS`; the others have
    no blocks). A page of more than `max_page_mb`, or of 715 MB as UTF-8, is too large. `trees`: another
    model than the one that ships, for studies.
    """
    column = bodies.combine_chunks() if isinstance(bodies, pa.ChunkedArray) else bodies
    pages = Pages(column, declared, max_replaced, min(max_page_mb * 1e6, pg.LARGEST))
    found = pages.read(trees or model(), comments)
    return _with_embedded(found, pages, trees or model(), comments)


@dataclass
class Pages:
    """A column of pages. `declared`, `max_replaced`: see `extract_column`; `limit`: the bytes of the largest that is read."""

    column: pa.Array
    declared: pa.Array | pa.ChunkedArray | None
    max_replaced: float
    limit: float

    def __post_init__(self) -> None:
        self.data, self.offsets = charset.binary_buffers(self.column)
        self.states = charset.inspect(self.data, self.offsets)
        self.states[np.diff(self.offsets) > self.limit] = _LARGE

    def decoded(self, row: int) -> charset.Decoded:
        """The text of a page that is not plain UTF-8."""
        body = self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()
        return charset.decode(body, None if self.declared is None else self.declared[row].as_py())

    def utf8(self, row: int) -> bytes:
        """A page as UTF-8."""
        if self.states[row] != charset.PLAIN:
            return self.decoded(row).text.encode("utf-8", "replace")
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes()

    def read(self, trees: Model, comments: bool) -> pa.Table:
        """What the pages show, as `extract_column` returns it."""
        column, data, offsets, states = self.column, self.data, self.offsets, self.states
        sink = Sink(len(column), len(data), trees, comments)
        edges = np.flatnonzero((states != charset.PLAIN)[1:] | (states != charset.PLAIN)[:-1]) + 1
        bounds = [0, *edges.tolist(), len(column)] if len(column) else [0]
        for first, last in itertools.pairwise(bounds):
            if states[first] == charset.PLAIN:
                sink.run(data, offsets, first, last)
            elif states[first] == _LARGE:
                sink.fail(first, LARGE)
            elif states[first] == charset.NO_TEXT:
                sink.kinds[first] = charset.kind_of(data[offsets[first] : offsets[last]].tobytes())
                sink.fail(first, NO_HTML)
            else:
                self._mended(first, sink)
        return sink.table()

    def _mended(self, row: int, sink: Sink) -> None:
        decoded = self.decoded(row)
        if decoded.replaced > self.max_replaced:
            sink.fail(row, CHARSET)
            return
        page = np.frombuffer(decoded.text.encode("utf-8", "replace"), np.uint8)
        if len(page) > pg.LARGEST:
            sink.fail(row, LARGE)
            return
        one = np.zeros(len(self.column) + 1, np.int64)
        one[row + 1] = len(page)
        one.flags.writeable = False  # as a column's offsets are: one type, for which the kernels are compiled once
        sink.run(page, one, row, row + 1)


_READ = pa.array([None, REASONS[EMPTY], REASONS[NO_PASSAGES]], pa.string())


def _with_embedded(found: pa.Table, pages: Pages, trees: Model, comments: bool) -> pa.Table:
    """The columns with the text that thin pages hold for their scripts, where that is much more than what they show."""
    ends = found["blocks"].combine_chunks()
    sizes = np.concatenate([[0], np.cumsum(pc.binary_length(ends.flatten()).to_numpy(zero_copy_only=False))])
    bounds = ends.offsets.to_numpy()
    shown = sizes[bounds[1:]] - sizes[bounds[:-1]]
    read = pc.is_in(found["reason"], value_set=_READ).to_numpy()
    owners: list[int] = []
    others: list[bytes] = []
    for row in np.flatnonzero(read & (shown < embedded.THIN) & (np.diff(pages.offsets) > shown + embedded.THIN)).tolist():
        for page in embedded.alternatives(pages.utf8(row)):
            owners.append(row)
            others.append(page)
    if not owners:
        return found
    more = Pages(pa.array(others, pa.large_binary()), None, 1.0, pg.LARGEST).read(trees, comments)
    best: dict[int, int] = {}
    length = [sum(n for b in blocks if (n := len(b.encode())) >= embedded.PASSAGE) for blocks in more["blocks"].to_pylist()]
    for n, row in enumerate(owners):
        enough = length[n] >= max(2 * shown[row], shown[row] + embedded.THIN)
        if enough and (row not in best or length[n] > length[best[row]]):
            best[row] = n
    order = np.arange(len(found))
    for row, n in best.items():
        order[row] = len(found) + n
    texts = {name: pa.chunked_array([*found[name].chunks, *more[name].chunks]).take(order) for name in ("blocks", "tags", "reason")}
    return pa.table({name: texts.get(name, found[name]) for name in found.column_names})


_LARGE = 9
_SITE = re.compile(r"\s+[-–—|·»«›>:]+\s+|\s*[|_｜]\s*|::|--+|\s*[«»]\s*")
_UNREAD = re.compile(r"^\s*[(（\[][0-9]{1,4}[)）\]]\s+")
_SITE_NAME = re.compile(
    r"(?:网|網|网站|官网|论坛|論壇|频道|頻道|新闻|新聞|在线|百科|百科全书|知道|知乎|贴吧|博客|部落格|门户|日报|日報|晚报|早报|周刊|杂志|社区|社區|"
    r"文库|图书馆|人民政府|豆瓣|微博|首页|首頁|维基百科，自由的百科全书|維基百科，自由的百科全書)$"
    r"|(?i:\b(?:forums?|news|blog|wiki|wikipedia(?:, the free encyclopedia)?|times|magazine|journal|community|online|official site|"
    r"home|homepage)$)"
    r"|(?i:\.(?:com|org|net|io|cn|edu|gov)(?:\.[a-z]{2})?$)"
)
_HAN_DASH = re.compile(r"^(.*[^\s\d])[-—–]([^\s-]{2,12})$")


def page_part(title: str) -> str:
    """What a <title> says beside the site's name: its first part, or the second where the first is the name of a site."""
    title = _UNREAD.sub("", title)
    parts = [p.strip() for p in _SITE.split(title) if p.strip()]
    if len(parts) > 1 and _is_site(parts[0]) and not any(_is_site(part) for part in parts[1:]) and _is_title(parts[1]):
        return parts[1]
    first = parts[0] if parts and _is_title(parts[0]) else title
    dash = _HAN_DASH.match(first)
    return dash[1].strip() if dash and _is_title(dash[1]) and _is_site(dash[2]) and not dash[2].isascii() else first


def _is_title(part: str) -> bool:
    """Whether a part is long enough to be a title: four letters, or two Chinese characters."""
    return len(part.encode()) >= 4


def _is_site(part: str) -> bool:
    """Whether a part of a <title> names a site."""
    return len(part) <= 40 and _SITE_NAME.search(part) is not None


def _strings(text: Bytes, offsets: npt.NDArray[np.int64]) -> pa.Array:
    """The strings between offsets of a buffer."""
    bounds = pa.py_buffer(np.ascontiguousarray(offsets, np.int64))
    array = pa.LargeStringArray.from_buffers(len(offsets) - 1, bounds, pa.py_buffer(np.ascontiguousarray(text).copy()))
    return array.cast(pa.string())


def _dates(dates: npt.NDArray[np.int32]) -> pa.Array:
    """20230630 as "2023-06-30", 0 as ""."""
    texts = [f"{d // 10000:04}-{d // 100 % 100:02}-{d % 100:02}" if d else "" for d in dates.tolist()]
    return pa.array(texts, pa.string())


def _larger(array: npt.NDArray[Kind], least: int) -> npt.NDArray[Kind]:
    """A copy with room for as much again, and for `least` more."""
    grown = np.empty(2 * len(array) + least, array.dtype)
    grown[: len(array)] = array
    return grown
