"""Filters of one's own: a Python function over an Arrow table gives each document a reason to be dropped, or a new text.

    def judge(table: pa.Table, settings: dict) -> pa.Array

Input: a table of documents with the columns `COLUMNS`, and the settings of the recipe. Output: string[rows], a reason (null: the
document stays), or a text (null: it stays as it is; empty: it is dropped). Which of both, a function says by its attribute `gives`
("reasons" or "texts"), or the recipe.

The function is found by its name in every process that does a task, so that it runs in any engine; it must be installed there, in
one version, which is part of the step's identity. The version is that of the recipe, else the function's attribute `version`,
else `__version__` of its module or package, else that of the installed distribution. What a function gives may follow from the
table and the settings alone. A wrong result and an exception inside it become one sentence, a FilterError.

Memory: what the function takes; it sees one shard at a time.
"""

from __future__ import annotations

import copy
import functools
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError, SkyloomError
from skyloom.core.json_files import PlainTable
from skyloom.core.records import DOCUMENT
from skyloom.corpus.filters.config import FilterConfig
from skyloom.corpus.own_function import load_function, told_of, version_of

GROUP = "skyloom.filters"
"""The group of entry points under which packages register filters."""
COLUMNS = (*DOCUMENT.names, "origin")
"""The columns of the table that a function is given."""
MOST_REASONS = 1000
"""Different reasons that a filter may give in one shard: the ledger has a line for each."""

Judge: TypeAlias = Callable[[pa.Table, PlainTable], object]


class FilterError(SkyloomError):
    """A filter of one's own failed, or gave what no filter can give."""


@dataclass(frozen=True)
class OwnFilter:
    """A filter that was found. `name`: in the ledger; `version`: of its code; `texts`: it gives texts, not reasons."""

    config: FilterConfig
    name: str
    version: str
    texts: bool

    def identity(self) -> PlainTable:
        """All that what it writes follows from, as plain values."""
        said: PlainTable = {
            **plain(self.config, identity_only=True),
            "name": self.name,
            "version": self.version,
            "texts": self.texts,
        }
        return said


def resolve(configs: Sequence[FilterConfig]) -> tuple[OwnFilter, ...]:
    """Find the functions. ConfigError where there is none, where it is no function, or where it has no version."""
    return tuple(_resolved(config) for config in configs)


def run_filter(own: OwnFilter, table: pa.Table, shard: str) -> pa.Array:
    """What the function gives for the documents of a table that has the columns COLUMNS, string[rows] or null.

    FilterError, which names the filter and the `shard`, if it fails or gives anything else.
    """
    if not len(table):
        return pa.nulls(0, pa.large_string())
    function = _ready(own.config.use, own.config.version, own.version)
    try:
        given = function(table.select(COLUMNS), copy.deepcopy(own.config.settings))
    except (Exception, SystemExit) as problem:  # whatever the function raises is told in one sentence
        more = "\n" + traceback.format_exc() if own.config.traceback else ""
        raise FilterError(f"{_where(own, shard)} failed with {told_of(problem)}{more}") from problem
    return _checked(given, len(table), own, shard)


def _where(own: OwnFilter, shard: str) -> str:
    return f"the filter {own.name} ({own.config.use}), on shard {shard},"


def _checked(given: object, rows: int, own: OwnFilter, shard: str) -> pa.Array:
    """The result as one array of strings."""
    where = _where(own, shard)
    if isinstance(given, pa.ChunkedArray):
        given = given.combine_chunks()
    if not isinstance(given, pa.Array):
        raise FilterError(f"{where} gave {type(given).__name__}; it must give an Arrow array of text")
    kind = given.type.value_type if pa.types.is_dictionary(given.type) else given.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not (is_text or pa.types.is_null(kind)):
        what = "texts" if own.texts else "reasons, or null for a document that stays"
        raise FilterError(f"{where} gave values of type {given.type}; it must give {what}")
    if len(given) != rows:
        raise FilterError(f"{where} gave {len(given):,} values for {rows:,} documents; it must give one for each")
    found = given.cast(pa.large_string())
    try:
        found.validate(full=True)
    except pa.ArrowInvalid as problem:
        raise FilterError(f"{where} gave text that is not valid UTF-8") from problem
    if own.texts:
        return pc.utf8_normalize(found, form="NFC")
    different = pc.unique(found.drop_null())
    if "" in different.to_pylist():
        raise FilterError(f"{where} gave an empty reason; a document that stays has null")
    if len(different) > MOST_REASONS:
        raise FilterError(
            f"{where} gave {len(different):,} different reasons, more than {MOST_REASONS:,}; the ledger counts by reason"
        )
    return found


def _load(use: str) -> tuple[Judge, str]:
    return load_function(use, "filter", GROUP)


@functools.cache
def _ready(use: str, given: str, version: str) -> Judge:
    """The function in this process, which must be of the version with which the run was started."""
    function, package = _load(use)
    found = given or version_of(function, package)
    if found != version:
        raise FilterError(f"{use} is version {found or 'unknown'} here and {version} where the run was started; install the same")
    return function


def _resolved(config: FilterConfig) -> OwnFilter:
    function, package = _load(config.use)
    version = config.version or version_of(function, package)
    if not version:
        raise ConfigError(
            f"{config.use} has no version: set version in its [[corpus.filters]] table, or the function's attribute version; "
            "what it changes is done again when the version changes"
        )
    says = str(getattr(function, "gives", "") or "")
    if says not in ("", "reasons", "texts"):
        raise ConfigError(f"{config.use} says that it gives {says!r}; it can give 'reasons' or 'texts'")
    if says and config.gives and says != config.gives:
        raise ConfigError(f"{config.use} gives {says}, and the recipe says gives = {config.gives!r}")
    return OwnFilter(config, config.called, version, (config.gives or says) == "texts")
