"""Recipes that begin with `base`: the tables of a recipe file, laid over those of another recipe.

Input: a file, and the type of a recipe. Output: its tables, as if all were written in one file. Tables of settings are merged key
by key, as deep as they go. What is one value for a reader replaces the value of the base whole: a list (so `[[corpus.sources]]`),
and a table whose names are the user's own (so `shares`). A `preset` of the model replaces the base's shape.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path

from skyloom.core.config import TomlTable, read_toml
from skyloom.core.errors import ConfigError
from skyloom.run.packaged import find_recipe

BASE = "base"
_DEEPEST = 20  # bases of bases


def read_tables(path: Path, kind: type[object]) -> TomlTable:
    """The tables of a recipe file with those of its bases below them. ConfigError if one of these cannot be read, or is its own."""
    table = read_toml(path)
    chain = [path]
    overlays = [table]
    while BASE in table:
        named = table.pop(BASE)
        if not isinstance(named, str) or not named:
            raise ConfigError(f"{chain[-1]}: 'base' must be the name or the file of a recipe, as text")
        try:
            found = find_recipe(named, beside=chain[-1].absolute().parent)
        except ConfigError as problem:
            raise ConfigError(f"{chain[-1]}: base: {problem}") from problem
        if len(chain) == _DEEPEST or found.resolve() in [earlier.resolve() for earlier in chain]:
            raise ConfigError(f"{chain[-1]}: base: {' → '.join(str(p) for p in (*chain, found))} has no end")
        table = read_toml(found)
        if isinstance(table.get("samples"), str):
            table["samples"] = str(found.absolute().parent / table["samples"])
        chain.append(found)
        overlays.append(table)
    result = overlays.pop()
    if overlays:
        result.pop("name", None)  # the name is the recipe's own, so that two recipes do not share a work folder
    while overlays:
        result = _merged(result, overlays.pop(), kind)
    return result


def _merged(below: TomlTable, above: Mapping[str, object], kind: type[object]) -> TomlTable:
    hints = typing.get_type_hints(kind)
    result = dict(below)
    if "preset" in above and "preset" not in hints:  # the name of a whole shape
        result = {}
    for name, value in above.items():
        inner, mine = _settings(hints.get(name)), result.get(name)
        if inner is not None and isinstance(mine, dict) and isinstance(value, Mapping):
            result[name] = _merged(mine, value, inner)
        else:
            result[name] = value
    return result


def _settings(hint: object) -> type[object] | None:
    """The dataclass that a setting holds, if it holds one."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return next((o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o)), None)
