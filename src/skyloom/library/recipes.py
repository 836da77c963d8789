"""Recipes, for Python: a recipe is read, overridden and shown as on the command line.

Input: a file, or the name of a recipe that comes with the program. Output: `Recipe`, which does not change: `override` gives
another one. All checks of `skyloom recipe show` are made when it is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError
from skyloom.run.packaged import find_recipe
from skyloom.run.recipe import Recipe as Settings
from skyloom.run.recipe import load, stages, to_toml

Setting: TypeAlias = str | int | float | bool | Sequence["Setting"]
"""A value of a recipe. Tables are changed key by key."""


@dataclass(frozen=True)
class Recipe:
    """A recipe. `path`: its file; `overrides`: KEY=VALUE, in order; `source`: pages instead of its own, or None.

    >>> import skyloom
    >>> skyloom.Recipe.load("tiny").stages
    ('stage1', 'stage2')
    """

    path: Path
    settings: Settings = field(repr=False)
    overrides: tuple[str, ...] = ()
    source: str | None = None
    text_field: str | None = None
    origin: str = ""

    @classmethod
    def load(cls, recipe: str | Path, *, source: str | Path | None = None, text_field: str | None = None) -> Recipe:
        """Read a recipe: a file, or the name of one that comes with the program ("demo", "tiny", "tokenizer", "skywork-13b").

        `source`: pages instead of the recipe's sources, a path, a pattern or a URL; `text_field`: the field of its text. Nothing
        runs. ConfigError for whatever is wrong with it, with the key and the nearest valid one.

        >>> import skyloom
        >>> skyloom.Recipe.load("tiny", source="我的网页").source
        '我的网页'
        """
        path, place = find_recipe(recipe), None if source is None else str(source)
        return cls(path, load(path, (), place, text_field), (), place, text_field, str(recipe))

    @property
    def name(self) -> str:
        """Its name; a run lies in runs/NAME unless another folder is given."""
        return self.settings.name

    @property
    def stages(self) -> tuple[str, ...]:
        """The names of its training stages, in order."""
        return stages(self.settings)

    def override(self, *changes: str | Mapping[str, Setting]) -> Recipe:
        """Another recipe with changed settings: text such as "train.seed=2", as after --set, or keys with their values.

        Later changes win. ConfigError for a key that does not exist, or a value that does not fit.

        >>> import skyloom
        >>> changed = skyloom.Recipe.load("tiny").override("train.seed=2", {"name": "小模型"})
        >>> changed.name, changed.settings.train.seed
        ('小模型', 2)
        """
        more: list[str] = []
        for change in changes:
            more += [change] if isinstance(change, str) else [f"{key}={_toml(value)}" for key, value in change.items()]
        every = (*self.overrides, *more)
        found = load(self.path, every, self.source, self.text_field)
        return Recipe(self.path, found, every, self.source, self.text_field, self.origin)

    def show(self) -> str:
        """The whole recipe with all settings as TOML, as `skyloom recipe show` prints it; it can be loaded again.

        >>> import skyloom
        >>> print(skyloom.Recipe.load("tiny").override({"name": "小模型"}).show().splitlines()[0])
        name = "小模型"
        """
        return to_toml(self.settings)

    def table(self) -> Mapping[str, object]:
        """All settings as dicts, lists and plain values.

        >>> import skyloom
        >>> skyloom.Recipe.load("tiny").table()["model"]["hidden"]
        32
        """
        found: dict[str, object] = plain(self.settings)
        return found


def _toml(value: Setting) -> str:
    """A value as TOML writes it, which for these is as JSON does."""
    if not isinstance(value, str | int | float | bool | list | tuple):
        raise ConfigError(f"a setting is text, a number, true or false or a list of them, not {value!r}")
    return json.dumps(value, ensure_ascii=False)
