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
import difflib
import functools
import importlib
import importlib.metadata
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

GROUP = "skyloom.filters"
"""The group of entry points under which packages register filters."""
COLUMNS = (*DOCUMENT.names, "origin")
"""The columns of the table that a function is given."""
MOST_REASONS = 1000
"""Different reasons that a filter may give in one shard: the ledger has a line for each."""
_SHOWN = 300  # characters of an exception in a message

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
        raise FilterError(f"{_where(own, shard)} failed with {_told(problem)}{more}") from problem
    return _checked(given, len(table), own, shard)


def _where(own: OwnFilter, shard: str) -> str:
    return f"the filter {own.name} ({own.config.use}), on shard {shard},"


def _told(problem: BaseException) -> str:
    said = " ".join(str(problem).split())[:_SHOWN]
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__


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


@functools.cache
def _ready(use: str, given: str, version: str) -> Judge:
    """The function in this process, which must be of the version with which the run was started."""
    function, package = _load(use)
    found = given or _version(function, package)
    if found != version:
        raise FilterError(f"{use} is version {found or 'unknown'} here and {version} where the run was started; install the same")
    return function


def _resolved(config: FilterConfig) -> OwnFilter:
    function, package = _load(config.use)
    version = config.version or _version(function, package)
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


def _version(function: Judge, package: str) -> str:
    """The version of a function, "" if nothing tells it."""
    told = getattr(function, "version", "")
    if told:
        return str(told)
    module = str(getattr(function, "__module__", "") or "")
    for name in dict.fromkeys((module, module.partition(".")[0])):
        told = getattr(importlib.import_module(name), "__version__", "") if name else ""
        if told:
            return str(told)
    if package:
        return package
    try:
        return importlib.metadata.version(module.partition(".")[0]) if module else ""
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return ""


def _load(use: str) -> tuple[Judge, str]:
    """The function that `use` names, and its distribution's version where an entry point names it. ConfigError if there is none."""
    package = ""
    if ":" not in use:
        use, package = _entry_point(use)
    name, _, path = use.partition(":")
    try:
        found: object = importlib.import_module(name)
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"the filter {use} is not found: {problem}; install its package, or add its folder to PYTHONPATH"
        ) from problem
    except (Exception, SystemExit) as problem:  # whatever the module does when it is imported
        said = _told(problem) if isinstance(problem, Exception) else "SystemExit"
        raise ConfigError(f"the filter {use} cannot be imported: {said}") from problem
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [n for n in dir(found) if not n.startswith("_")], 1)
            raise ConfigError(
                f"the filter {use} is not found: {name} has no {part!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(f"the filter {use} is no function, it is {type(found).__name__}")
    return found, package


def _entry_point(name: str) -> tuple[str, str]:
    """What an entry point names ("module:function"), and the version of its distribution."""
    there = importlib.metadata.entry_points(group=GROUP)
    found = {(point.value, point.dist.version if point.dist is not None else "") for point in there.select(name=name)}
    if len(found) > 1:
        raise ConfigError(f"the filter {name} is registered by several packages: {', '.join(sorted(v for v, _ in found))}")
    if not found:
        names = ", ".join(sorted(there.names)) or "none"
        raise ConfigError(
            f"the filter {name} is not registered: name it package.module:function, or an entry point of the group {GROUP} "
            f"(installed: {names})"
        )
    (value, version), *_ = found
    if ":" not in value:
        raise ConfigError(f"the filter {name} is registered as {value!r}, which names no function (package.module:function)")
    return value.partition("[")[0].strip(), version
