"""An extractor of one's own: a Python function that gives the text of HTML pages, in the place of the built-in one.

    def extract(pages: pa.Table, settings: dict) -> pa.Array | pa.Table

Input: the pages of a shard with the columns `body` (bytes), `charset` (null if not told), and where they are known `url`,
`date` and `meta`; and the settings of the recipe. Output: string[rows], the text of each page, its blocks parted by empty
lines; or a table with `text` and, if it likes, `title`, `date` and `reason`. A page without text must leave: its reason is the
function's, else "no text", and the ledger counts it. A date is read as `iso` reads it; what is none becomes "". What a function
gives may follow from the table and the settings alone; its version is part of the step's identity.

Memory: a shard, and what the function takes.
"""

from __future__ import annotations

import copy
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.corpus.extract.config import ExtractConfig
from skyloom.corpus.extract.written_dates import iso
from skyloom.corpus.own_function import OwnFunctionError, identity_of, ready_function, told_of

GROUP = "skyloom.extractors"
"""The group of entry points under which packages register extractors."""
NO_TEXT = "no text"
MOST_REASONS = 1000
_COLUMNS = ("body", "charset", "url", "date", "meta")


def extractor_identity(config: ExtractConfig) -> str:
    """All that the texts of one's own extractor follow from, "" without one. ConfigError if it is not found or has no version."""
    if not config.use:
        return ""
    return json.dumps([config.use, extractor_version(config), config.settings], ensure_ascii=False, sort_keys=True)


def extractor_version(config: ExtractConfig) -> str:
    """The version of one's own extractor, "" without one; tasks are given it. ConfigError if it is not found or has no version."""
    return identity_of(config.use, config.version, "extractor", GROUP) if config.use else ""


def own_pages(pages: pa.Table, config: ExtractConfig, version: str) -> pa.Table:
    """The columns of `extract_column` as the function gives them. `version`: that with which the run was started. OwnFunctionError
    if it is of another version here, fails, or gives anything else."""
    rows = len(pages)
    function = ready_function(config.use, config.version, version, "extractor", GROUP)
    given: object = pa.nulls(0, pa.string())
    if rows:
        try:
            given = function(pages.select([n for n in _COLUMNS if n in pages.column_names]), copy.deepcopy(config.settings))
        except (Exception, SystemExit) as problem:  # whatever the function raises is told in one sentence
            raise OwnFunctionError(f"the extractor {config.use} failed with {told_of(problem)}") from problem
    table = (
        given
        if isinstance(given, pa.Table)
        else pa.table({"text": given})
        if isinstance(given, (pa.Array, pa.ChunkedArray))
        else None
    )
    if table is None or "text" not in table.column_names or len(table) != rows:
        raise OwnFunctionError(
            f"the extractor {config.use} must give a text for each of {rows:,} pages, or a table with the column text"
        )
    columns = {name: _strings(table, name, config.use) for name in ("text", "title", "date", "reason")}
    _check_reasons(columns["reason"], config.use)
    texts = pc.utf8_normalize(pc.fill_null(columns["text"], ""), form="NFC")
    blocks = pc.split_pattern_regex(texts, r"\n[ \t\x{3000}]*\n\s*")
    flat = pc.utf8_trim_whitespace(blocks.flatten())
    owner = np.repeat(np.arange(rows), pc.list_value_length(blocks).to_numpy())
    filled = pc.greater(pc.utf8_length(flat), 0).to_numpy(zero_copy_only=False)
    empty = pa.array(np.bincount(owner[filled], minlength=rows) == 0)
    reasons = pc.if_else(empty, pc.coalesce(columns["reason"], pa.scalar(NO_TEXT)), columns["reason"])
    kept = filled & ~pc.is_valid(reasons).to_numpy(zero_copy_only=False)[owner]  # a page that leaves has no blocks
    offsets = pa.array(np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=rows))]).astype(np.int32))
    left = flat.filter(pa.array(kept))
    tags = pa.array(["p"] * len(left), pa.string())
    return pa.table({
        "blocks": pa.ListArray.from_arrays(offsets, left), "tags": pa.ListArray.from_arrays(offsets, tags),
        "title": pc.fill_null(columns["title"], ""), "date": _dates(columns["date"]), "reason": reasons,
    })  # fmt: skip


def _check_reasons(reasons: pa.Array, use: str) -> None:
    """OwnFunctionError for reasons by which the ledger cannot count the pages that leave."""
    different = pc.unique(reasons.drop_null())
    if "" in different.to_pylist():  # in the ledger, an empty reason stands for what stays
        raise OwnFunctionError(f"the extractor {use} gave an empty reason; a page that stays has null")
    if len(different) > MOST_REASONS:
        raise OwnFunctionError(
            f"the extractor {use} gave more than {MOST_REASONS:,} different reasons; the ledger counts by reason"
        )


def _dates(given: pa.Array) -> pa.Array:
    """Dates in ISO 8601, "" for what is none."""
    told = given.dictionary_encode()
    known = pa.array([iso(text) for text in told.dictionary.to_pylist()], pa.string())
    return pc.fill_null(known.take(told.indices), "")


def _strings(table: pa.Table, name: str, use: str) -> pa.Array:
    """A column of text, nulls where there is none."""
    if name not in table.column_names:
        return pa.nulls(len(table), pa.string())
    column = table.column(name)
    try:
        found = (
            pa.concat_arrays([chunk.cast(pa.string()) for chunk in column.chunks])
            if column.num_chunks
            else pa.nulls(0, pa.string())
        )
        found.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as problem:
        raise OwnFunctionError(f"the extractor {use} gave the column {name} of type {column.type}; it must hold text") from problem
    return found
