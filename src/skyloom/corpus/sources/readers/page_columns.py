"""PAGE tables from columns of strings: many small records at once.

Input: the columns of a block of JSON lines or of a Parquet batch. Output: the PAGE table that `rows.page_row` would have given
row by row (a property test compares them). Ten million one-line documents are common; the checks go over Arrow columns and only
the id, a BLAKE2b of each row, is taken in a loop. Memory: the block.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.records import PAGE
from skyloom.corpus.sources.readers.rows import MAGIC_STARTS, NO_TEXT, About, not_text

FIELDS = ("html", "text", "content", "url", "date", "license", "id", "title", "pair")
_NAMED = ("id", "pair", "title")


def fields(about: About) -> tuple[str, ...]:
    """The columns or keys that a record of this source may have."""
    return FIELDS if not about.text_field else (*FIELDS, about.text_field)


def page_table(about: About, file: str, columns: Mapping[str, pa.Array | pa.ChunkedArray], places: Sequence[str]) -> pa.Table:
    """PAGE rows of records given by column (string or null arrays of one length). `places` tells the records apart.

    A record's body is its `html`, else the source's text field, else `text`, else `content`; one that has none, or a body
    beyond the limit, is a row with its reason.
    """
    rows = len(places)
    given = {k: _strings(columns[k]) for k in fields(about) if k in columns}
    html = given.get("html", pa.nulls(rows, pa.large_string()))
    texts = [given[k] for k in (about.text_field, "text", "content") if k in given]
    body = pc.coalesce(html, *texts).cast(pa.large_binary()) if texts else html.cast(pa.large_binary())
    sizes = pc.binary_length(body)
    error, over = _errors(about, body, sizes)
    kept = pc.if_else(pc.is_null(error), body, pa.scalar(b"", pa.large_binary()))
    place = pa.array(places, pa.large_string())
    url = _or(given.get("url"), place, rows)
    license_name = _or(given.get("license"), pa.nulls(rows, pa.large_string()), rows)
    if about.license:
        license_name = pc.fill_null(license_name, about.license)
    date = _or(given.get("date"), pa.nulls(rows, pa.large_string()), rows)
    kind = pc.if_else(pc.is_null(html), "code" if about.category == "code" else "text", "html")
    kind = pc.if_else(pc.is_null(body), "html", kind)
    found = {
        "id": _ids(about.source, url.to_pylist(), places, kept), "source": _constant(about.source, rows),
        "category": _categories(about, url), "kind": kind, "url": url, "date": date, "license": license_name,
        "charset": pc.if_else(pc.is_null(body), pa.scalar(None, pa.string()), "utf-8"),
        "body": kept, "error": error, "meta": _meta(file, given, rows, over),
    }  # fmt: skip
    return pa.table([_cast(found[f.name], f.type) for f in PAGE], schema=PAGE)


def _strings(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.cast(pa.large_string())


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    return column if column.type == kind else column.cast(kind)


def _constant(value: str, rows: int) -> pa.Array:
    return pa.repeat(value, rows)


def _or(column: pa.Array | None, other: pa.Array, rows: int) -> pa.Array:
    """A column where it is neither null nor empty, else the other."""
    if column is None:
        return other
    return pc.if_else(pc.fill_null(pc.greater(pc.binary_length(column), 0), False), column, other)


def _errors(about: About, body: pa.Array, sizes: pa.Array) -> tuple[pa.Array, dict[int, int]]:
    """The reason of each row (null: none), and the true sizes of bodies that are left out, by row."""
    error = pc.if_else(pc.is_null(body), NO_TEXT, pa.scalar(None, pa.string()))
    large = pc.fill_null(pc.greater(sizes, about.max_body), False)
    error = pc.if_else(large, about.too_large, error)
    over = {int(i): sizes[int(i)].as_py() for i in np.flatnonzero(large.to_numpy(zero_copy_only=False))}
    starts = pc.is_in(pc.binary_slice(body, 0, 2), value_set=pa.array(sorted(MAGIC_STARTS), pa.large_binary()))
    odd = pc.or_(pc.or_(starts, pc.fill_null(pc.match_substring_regex(body, r"\A(?s:.{4}ftyp)|\A\s|\x00"), False)), False)
    told = {
        i: what
        for i in np.flatnonzero(pc.and_not(odd, large).to_numpy(zero_copy_only=False)).tolist()
        if (what := not_text(body[i].as_py()))
    }
    if told:
        over |= {i: sizes[i].as_py() for i in told}
        reasons: list[str | None] = error.to_pylist()
        for i, what in told.items():
            reasons[i] = f"not text: {what}"
        error = pa.array(reasons, pa.string())
    return error, over


def _ids(source: str, urls: list[str], places: Sequence[str], bodies: pa.Array) -> pa.Array:
    """`core.records.record_id(source, url, place, body)` of each row."""
    start = hashlib.blake2b(digest_size=16)
    for part in (source.encode(),):
        start.update(len(part).to_bytes(8, "little"))
        start.update(part)
    offsets = np.frombuffer(bodies.buffers()[1], np.int64)[bodies.offset : bodies.offset + len(bodies) + 1].tolist()
    data = memoryview(bodies.buffers()[2] or b"")
    found = []
    for url, place, a, b in zip(urls, places, offsets, offsets[1:], strict=False):
        raw_url, raw_place = url.encode(), place.encode("utf-8", "surrogatepass")
        digest = start.copy()
        digest.update(
            b"".join(
                (
                    len(raw_url).to_bytes(8, "little"), raw_url, len(raw_place).to_bytes(8, "little"), raw_place,
                    (b - a).to_bytes(8, "little"), data[a:b],
                )
            )
        )  # fmt: skip
        found.append(digest.hexdigest())
    return pa.array(found, pa.string())


def _categories(about: About, url: pa.Array) -> pa.Array:
    if about.hosts is None:
        return _constant(about.category, len(url))
    return pa.array([about.category_of(u) for u in url.to_pylist()], pa.string())


_quote = json.encoder.encode_basestring  # as json.dumps(…, ensure_ascii=False) writes a string


def _meta(file: str, given: Mapping[str, pa.Array], rows: int, over: Mapping[int, int]) -> pa.Array:
    """`{"file", "id", "pair", "size", "title"}` of each row, as JSON with sorted keys and without what is not there."""
    head = f'{{"file": {_quote(file)}'
    named = [(k, given[k].to_pylist()) for k in _NAMED if k in given and given[k].null_count < rows]
    if not named and not over:
        return _constant(head + "}", rows)
    texts = []
    for i in range(rows):
        parts = [(k, _quote(v[i])) for k, v in named if v[i] is not None]
        if i in over:
            parts = sorted([*parts, ("size", str(over[i]))])
        texts.append(head + "".join(f', "{k}": {v}' for k, v in parts) + "}")
    return pa.array(texts, pa.string())
