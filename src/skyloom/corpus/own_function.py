"""Functions of one's own, which a recipe names: how they are found, and what version they have.

Input: "package.module:function", or the name of an entry point. Output: the function and its version: its attribute `version`, else
`__version__` of its module or package, else that of the installed distribution. Filters, extractors and sources of one's own are
found here, so that one sentence says what is wrong with any of them.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import json
from collections.abc import Callable
from typing import Any, TypeAlias

from skyloom.core.errors import ConfigError, SkyloomError

_SHOWN = 300  # characters of an exception in a message

OwnFunction: TypeAlias = Callable[..., Any]


class OwnFunctionError(SkyloomError):
    """A function of one's own failed, gave what it cannot give, or is of another version here."""


def check_settings(use: str, settings: dict[str, Any]) -> None:
    """ConfigError for settings that name no results, because they are more than numbers, text, lists and tables."""
    try:
        json.dumps(settings)
    except TypeError as problem:
        raise ConfigError(f"settings of {use} holds a date or a time; write it as text") from problem


def identity_of(use: str, version: str, what: str, group: str) -> str:
    """The version of a function that a recipe names: the recipe's, else its own. ConfigError if there is none."""
    function, package = load_function(use, what, group)
    found = version or version_of(function, package)
    if not found:
        raise ConfigError(f"{use} has no version: set version beside use, or the function's attribute version")
    return found


@functools.cache
def ready_function(use: str, given: str, version: str, what: str, group: str) -> OwnFunction:
    """The function in this process, found once. `given`: the version in the recipe, "" where the function has its own; `version`:
    that of `identity_of` where the run was started. OwnFunctionError if it is of another version here."""
    function, package = load_function(use, what, group)
    found = given or version_of(function, package)
    if found != version:
        raise OwnFunctionError(
            f"the {what} {use} is of another version here: {found or 'unknown'}, and {version} where the run was started; "
            "install the same"
        )
    return function


def told_of(problem: BaseException) -> str:
    said = " ".join(str(problem).split())[:_SHOWN]
    return f"{type(problem).__name__}: {said}" if said else type(problem).__name__


def version_of(function: OwnFunction, package: str) -> str:
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


def load_function(use: str, what: str, group: str) -> tuple[OwnFunction, str]:
    """The function that `use` names, and its distribution's version where an entry point names it. `what` it is ("filter"), and the
    `group` of its entry points. ConfigError if there is none."""
    package = ""
    if ":" not in use:
        use, package = _entry_point(use, what, group)
    name, _, path = use.partition(":")
    try:
        found: object = importlib.import_module(name)
    except ModuleNotFoundError as problem:
        raise ConfigError(
            f"the {what} {use} is not found: {problem}; install its package, or add its folder to PYTHONPATH"
        ) from problem
    except (Exception, SystemExit) as problem:  # whatever the module does when it is imported
        said = told_of(problem) if isinstance(problem, Exception) else "SystemExit"
        raise ConfigError(f"the {what} {use} cannot be imported: {said}") from problem
    for part in path.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, [n for n in dir(found) if not n.startswith("_")], 1)
            raise ConfigError(
                f"the {what} {use} is not found: {name} has no {part!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        found = getattr(found, part)
    if not callable(found):
        raise ConfigError(f"the {what} {use} is no function, it is {type(found).__name__}")
    return found, package


def _entry_point(name: str, what: str, group: str) -> tuple[str, str]:
    """What an entry point names ("module:function"), and the version of its distribution."""
    there = importlib.metadata.entry_points(group=group)
    found = {(point.value, point.dist.version if point.dist is not None else "") for point in there.select(name=name)}
    if len(found) > 1:
        raise ConfigError(f"the {what} {name} is registered by several packages: {', '.join(sorted(v for v, _ in found))}")
    if not found:
        names = ", ".join(sorted(there.names)) or "none"
        raise ConfigError(
            f"the {what} {name} is not registered: name it package.module:function, or an entry point of the group {group} "
            f"(installed: {names})"
        )
    (value, version), *_ = found
    if ":" not in value:
        raise ConfigError(f"the {what} {name} is registered as {value!r}, which names no function (package.module:function)")
    return value.partition("[")[0].strip(), version
