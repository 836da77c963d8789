"""Extraction of HTML pages, for Python: the main text of pages, with title and date.

Input: one page, a list, an Arrow column or table, or the Path of files as `skyloom corpus extract` takes them. Output: for one page
a dataclass, else an Arrow table with a row for each page. It is the extraction of a run (`corpus.extract`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Engine
from skyloom.core.errors import DataError
from skyloom.core.store import Store
from skyloom.corpus.extract import BROKEN_PAGE, ExtractConfig, extract_files, extract_pages, page_texts
from skyloom.library.given_texts import BATCH, GivenTexts, given_texts
from skyloom.library.logged_progress import LoggedProgress

Pages: TypeAlias = Iterable[str | bytes | None] | pa.Array | pa.ChunkedArray | pa.Table
"""Pages by row: a list of strings or bytes, an Arrow column of either, or an Arrow table with a column `html`."""

PAGE_TEXTS = pa.schema(
    [("id", pa.string()), ("text", pa.large_string()), ("title", pa.string()), ("date", pa.string()), ("reason", pa.string())]
)


@dataclass(frozen=True)
class PageText:
    """`text`: the blocks of the page with an empty line between them. `date`: "2023-09-01" or None. `reason`: why there is no text,
    None where there is."""

    text: str
    title: str
    date: str | None
    reason: str | None


@overload
def extract_html(pages: str | bytes, *, charset: str | None = ..., comments: bool = ...) -> PageText: ...
@overload
def extract_html(pages: Path | Pages, *, charset: str | None = ..., comments: bool = ..., workers: int = ...) -> pa.Table: ...
def extract_html(
    pages: str | bytes | Path | Pages, *, charset: str | None = None, comments: bool = False, workers: int = 0
) -> PageText | pa.Table:
    """The main text of HTML pages, without navigation, adverts and other furniture (report 3.1).

    `pages`: one page; or a list, an Arrow column (of strings or bytes) or a table with a column `html` and perhaps `id`; or a Path
    (JSON lines with `id` and `html`, web archives, Parquet, a folder of HTML). `charset`: of pages that are bytes, None to find it
    in them. `comments`: keep readers' comments. `workers`: processes, for files.

    Returns a `PageText` for one page, else a table with a row for each: `id` string (its own, or the row's number from 0), `text`
    large_string, `title` string, `date` string (null where none is stated), `reason` string (null where there is text). A row that
    is None has the reason "broken: no html".

    DataError for rows that are no page, and for a path without pages; ConfigError for a path that holds none of these kinds.

    >>> import skyloom
    >>> page = "<html><title>Tea</title><body><nav>Home</nav><article><p>Boil the water, and wait a minute before you pour it.</p>"
    >>> skyloom.extract_html(page + "</article></body></html>").text
    'Boil the water, and wait a minute before you pour it.'
    >>> page = "<body><article><p>先把水烧开，等一分钟再倒进茶壶，茶叶就不会烫坏，味道更好。</p></article></body>"
    >>> skyloom.extract_html([page, None])["reason"].to_pylist()
    [None, 'broken: no html']
    """
    config = ExtractConfig(comments=comments)
    if isinstance(pages, str | bytes):
        row = _extracted(_bodies([pages]), charset, config).to_pylist()[0]
        return PageText(row["text"], row["title"], row["date"], row["reason"])
    if not isinstance(pages, Path):
        return _extracted(_given(pages), charset, config)
    with tempfile.TemporaryDirectory(prefix="skyloom-") as folder:
        engine = Engine(workers)
        try:
            extract_files(str(pages), Path(folder, "texts.jsonl"), config, LoggedProgress(), engine)
        finally:
            engine.close()
        rows = list(Store(folder).read_json_lines("texts.jsonl"))
    columns = [[str(row["id"]) if name == "id" else row[name] for row in rows] for name in PAGE_TEXTS.names]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, PAGE_TEXTS, strict=True)], PAGE_TEXTS)


@dataclass(frozen=True)
class _GivenPages:
    """`ids`: string[rows]; `bodies`: large_binary[rows] with nulls; `texts`: whether they were strings, which are UTF-8."""

    ids: pa.Array
    bodies: pa.ChunkedArray
    texts: pa.Array


def _given(pages: Pages) -> _GivenPages:
    if isinstance(pages, pa.RecordBatch):
        pages = pa.Table.from_batches([pages])
    if isinstance(pages, pa.Table):
        if "html" not in pages.column_names:
            raise DataError(f"the table has no column 'html'; it has {', '.join(pages.column_names) or 'none'}")
        ids = pages.select(["id"]) if "id" in pages.column_names else pages.select([])
        found = _given(pages.column("html"))
        named = given_texts(ids.append_column("text", pa.nulls(len(pages), pa.string())))
        return _GivenPages(named.ids, found.bodies, found.texts)
    if isinstance(pages, pa.Array | pa.ChunkedArray) and _binary(pages.type):
        column = pages if isinstance(pages, pa.ChunkedArray) else pa.chunked_array([pages])
        return _GivenPages(_numbers(len(column)), column.cast(pa.large_binary()), pa.array(np.zeros(len(column), bool)))
    if isinstance(pages, pa.Array | pa.ChunkedArray):
        return _of_texts(given_texts(pages))
    return _bodies(pages)


def _bodies(pages: Iterable[str | bytes | None]) -> _GivenPages:
    rows = list(pages)
    for number, page in enumerate(rows):
        if page is not None and not isinstance(page, str | bytes):
            raise DataError(f"row {number} is {type(page).__name__}, not a page")
    bodies = [page.encode("utf-8", "replace") if isinstance(page, str) else page for page in rows]
    told = pa.array([isinstance(page, str) for page in rows], pa.bool_())
    return _GivenPages(_numbers(len(rows)), pa.chunked_array([pa.array(bodies, pa.large_binary())]), told)


def _of_texts(given: GivenTexts) -> _GivenPages:
    return _GivenPages(given.ids, given.texts.cast(pa.large_binary()), pa.array(np.ones(len(given), bool)))


def _binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _numbers(count: int) -> pa.Array:
    return pa.array(np.arange(count)).cast(pa.string())


def _extracted(given: _GivenPages, charset: str | None, config: ExtractConfig) -> pa.Table:
    """The text of pages, in batches of bounded size."""
    charsets = pc.if_else(given.texts, "utf-8", pa.scalar(charset, pa.string()))
    parts = [PAGE_TEXTS.empty_table()]
    ends = np.cumsum(pc.fill_null(pc.binary_length(given.bodies), 0).to_numpy())
    start = 0
    while start < len(given.bodies):
        done = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, done + BATCH, side="right")), start + 1)
        bodies = given.bodies.slice(start, stop - start).combine_chunks()
        found = page_texts(extract_pages(pc.fill_null(bodies, b""), charsets.slice(start, stop - start), config))
        reasons = pc.if_else(bodies.is_null(), BROKEN_PAGE, found["reason"])
        columns = [given.ids.slice(start, stop - start), found["text"], found["title"], found["date"], reasons]
        parts.append(pa.table(columns, PAGE_TEXTS.names).cast(PAGE_TEXTS))
        start = stop
    return pa.concat_tables(parts)
