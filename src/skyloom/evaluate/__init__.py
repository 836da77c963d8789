"""Evaluation: perplexity by domain, multiple-choice accuracy and text samples, beside baselines (report 4).

Two things are named `skyloom.evaluate`: this package, and the function of the public library. Python binds a package to its name
in the package above, so the package can be called: `skyloom.evaluate(models, sets)` is the library's function.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


class CallablePackage(ModuleType):
    """This package, which can be called as the function `evaluate` of the library."""

    def _function(self) -> Any:
        return importlib.import_module("skyloom.library.judged_models").evaluate

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self._function()(*args, **options)

    @property
    def __signature__(self) -> Any:
        import inspect

        return inspect.signature(self._function())


sys.modules[__name__].__class__ = CallablePackage
