"""Examples of docstrings for the site: lines of a doctest become a code block, as they stand.

Griffe, which reads the package for mkdocstrings, calls `Doctests` for each object (`extensions` in mkdocs.yml). Without it `>>>`
would be read as a quotation and `x["y"][0]` as a link.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)


def fenced(text: str) -> str:
    """A docstring in which each doctest, to the next empty line, is a code block."""
    return DOCTEST.sub(lambda found: f"```pycon\n{found[0]}\n```", text)


class Doctests(griffe.Extension):
    """Fences the doctests of every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)
