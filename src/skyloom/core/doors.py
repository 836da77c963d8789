"""Lazy package interfaces: a package's `__init__` names its public functions, and a module is imported when a name is first used.

Reading a recipe needs the settings of every package and none of their compiled kernels. So a package imports its settings at once
and everything else through `lazy` (PEP 562). A package must not give a function the name of one of its modules: importing that
module would put the module in the function's place (tests/core/test_imports.py checks it).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping


def lazy(package: str, names: Mapping[str, tuple[str, ...]]) -> Callable[[str], object]:
    """A module's `__getattr__`. `names`: by module below `package`, the names that it defines; "" holds modules themselves.

    AttributeError for another name, as Python has it.
    """
    homes = {name: module for module, owned in names.items() for name in owned}

    def __getattr__(name: str) -> object:  # noqa: N807
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = homes[name]
        if not module:
            return importlib.import_module(f"{package}.{name}")
        value: object = getattr(importlib.import_module(f"{package}.{module}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
