"""Recipes that begin with `base`: the tables of a recipe file, laid over those of another recipe.

Input: a file, and the type of a recipe. Output: its tables, as if all were written in one file. Tables of settings are merged key
by key, as deep as they go. What is one value for a reader replaces the value of the base whole: a list (so `[[corpus.sources]]`),
and a table whose names are the user's own (so `shares`). A `preset` of the model replaces the base's shape. `[[stages]]` tables
whose names all stand in the base change those stages and leave the others; a list with another name replaces the base's whole.
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
STAGES = "stages"
_DEEPEST = 20  # bases of bases


def read_tables(path: Path, kind: type[object]) -> TomlTable:
    """The tables of a recipe file with those of its bases below them. ConfigError if one of these cannot be read, or is its own."""
    table = read_toml(path)
    chain = [path]
    overlays = [table]
    refuse_earlier_form(table, str(path))
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
        refuse_earlier_form(table, str(found))
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


def refuse_earlier_form(table: Mapping[str, object], origin: str) -> None:
    """ConfigError that shows the new form, if a recipe has the tables that stages had before they were a list."""
    for name in ("stage1", "stage1b", "stage2"):
        if name in table:
            parts = [f"[{name}.{part}]" for part in table[name]] if isinstance(table[name], Mapping) else [name]  # type: ignore[attr-defined]
            raise ConfigError(
                f"{origin}: {' and '.join(parts)} is the form of earlier versions; stages are a list now. Write\n"
                f'    [[stages]]\n    name = "{name}"\n    [stages.data]\n    tokens = …\n    [stages.rate]\n    peak = …\n'
                f"for each stage, in order, and {STAGES}.{name}.rate.peak=… with --set"
            )
    if "samples_tokens" in table:
        raise ConfigError(f"{origin}: samples_tokens is now a setting of each stage: samples_tokens = … in its [[stages]] table")


def _merged(below: TomlTable, above: Mapping[str, object], kind: type[object]) -> TomlTable:
    hints = typing.get_type_hints(kind)
    result = dict(below)
    if "preset" in above and "preset" not in hints:  # the name of a whole shape
        result = {}
    for name, value in above.items():
        inner, mine = _settings(hints.get(name)), result.get(name)
        if inner is not None and isinstance(mine, dict) and isinstance(value, Mapping):
            result[name] = _merged(mine, value, inner)
        elif name == STAGES and (stages := _stages_merged(mine, value, hints.get(name))) is not None:
            result[name] = stages
        else:
            result[name] = value
    return result


def _stages_merged(below: object, above: object, hint: object) -> list[object] | None:
    """The base's stages with those of the same names laid over them; None if one has no namesake there."""
    kind = next((_settings(argument) for argument in typing.get_args(hint) if _settings(argument)), None)
    if not isinstance(below, list) or not isinstance(above, list) or kind is None:
        return None
    if not all(isinstance(stage, dict) for stage in (*below, *above)):
        return None
    changes = {stage.get("name"): stage for stage in above}
    if not above or not set(changes) <= {stage.get("name") for stage in below}:
        return None
    return [_merged(stage, changes.get(stage.get("name"), {}), kind) for stage in below]


def _settings(hint: object) -> type[object] | None:
    """The dataclass that a setting holds, if it holds one."""
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return next((o for o in options if isinstance(o, type) and dataclasses.is_dataclass(o)), None)
