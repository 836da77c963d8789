"""What comes with the program: recipes that can be called by name, and the sample pages.

Input: what a user gives as RECIPE. Output: the path of a file. A file that exists wins over a name, so that no file of the user's
can be hidden by one of ours. A folder is no recipe, so a name wins over a folder.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from skyloom.core.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]
RECIPES = _PACKAGE / "recipes"
SAMPLES = _PACKAGE / "samples"
"""The folder of the sample pages; they are in `web` below it."""


def recipe_names() -> tuple[str, ...]:
    """The recipes that come with the program, in the order of their names."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.toml")))


def asked_as(name: str) -> str:
    """What commands call the recipe of this name on a page: its name where it comes with the program, else its file."""
    return name if name in recipe_names() else f"{name}.toml"


def packaged(name: str) -> Path | None:
    """The recipe of that name that comes with the program, or None."""
    return RECIPES / f"{name}.toml" if name in recipe_names() else None


def find_recipe(given: str | Path, beside: Path | None = None) -> Path:
    """The file that a user means by a path or a name. `beside`: the folder that a relative path starts from, else the current one.

    ConfigError if there is no such file and no recipe of that name.
    """
    path = (beside / given if beside else Path(given)).expanduser()
    if os.path.isfile(path):  # noqa: PTH113  # unlike a Path's own it does not raise for a name that no file can have
        return path
    found = packaged(str(given))
    if found is not None:
        return found
    names = ", ".join(recipe_names())
    if os.path.isdir(path):  # noqa: PTH112
        raise ConfigError(f"{given} is a folder; give the file of a recipe, or a recipe that comes with Skyloom: {names}")
    try:
        path.stat()
    except (OSError, ValueError) as problem:
        close = difflib.get_close_matches(path.stem, recipe_names(), n=1, cutoff=0.7)
        hint = f"Did you mean '{close[0]}'? " if close else ""
        why = getattr(problem, "strerror", None) or problem
        raise ConfigError(f"cannot read {given}: {why}. {hint}Recipes that come with Skyloom: {names}") from problem
    return path  # a pipe; reading it tells


def samples_folder(recipe: Path, setting: str, default: str) -> Path:
    """The folder of the sample pages: as a recipe says, from its own folder on. Where it says nothing and none lies there, those of
    the program."""
    own = recipe.absolute().parent / setting
    return SAMPLES if setting == default and not (own / "web").is_dir() else own
