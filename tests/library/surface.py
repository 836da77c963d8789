"""The public surface of the library as plain values: names with their signatures, methods, and the fields of what they return."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import json
import pkgutil
from types import ModuleType
from typing import Any

import skyloom
import skyloom.library


def public(name: str) -> Any:
    """What a public name stands for; of `evaluate` the function, not the package that is called for it."""
    found = getattr(skyloom, name)
    return importlib.import_module("skyloom.library.judged_models").evaluate if isinstance(found, ModuleType) else found


def members(kind: type[Any]) -> dict[str, Any]:
    """The public methods and properties of a class, as functions."""
    found = {}
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        if isinstance(value, classmethod | staticmethod):
            found[name] = value.__func__
        elif isinstance(value, property):
            found[name] = value.fget
        elif inspect.isfunction(value):
            found[name] = value
        elif isinstance(value, functools.cached_property):
            found[name] = value.func
    return found


def results() -> dict[str, type[Any]]:
    """The dataclasses that the functions return."""
    modules = [importlib.import_module(f"skyloom.library.{found.name}") for found in pkgutil.iter_modules(skyloom.library.__path__)]
    classes = {n: c for m in modules for n, c in vars(m).items() if inspect.isclass(c) and c.__module__ == m.__name__}
    told = " ".join(
        str(inspect.signature(public(name)).return_annotation) for name in skyloom.__all__ if not inspect.isclass(public(name))
    )
    named = {name: c for name, c in classes.items() if name in told.replace("|", " ").split()}
    return {name: c for name, c in named.items() if dataclasses.is_dataclass(c) and name not in skyloom.__all__}


def surface() -> dict[str, Any]:
    """All of it, in the order of `__all__`."""
    found: dict[str, Any] = {}
    for name in skyloom.__all__:
        value = public(name)
        found[name] = _class(value) if inspect.isclass(value) else str(inspect.signature(value))
    return found | {name: _class(value) for name, value in sorted(results().items())}


def _class(kind: type[Any]) -> dict[str, str]:
    fields = {f.name: f"field: {f.type}" for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
    return fields | {name: str(inspect.signature(function)) for name, function in members(kind).items()}


def as_text() -> str:
    return json.dumps(surface(), ensure_ascii=False, indent=1) + "\n"
