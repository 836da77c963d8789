"""The finished seeds of a study, a JSON object in a line for each: read again after any interruption, and added to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_seeds(path: Path, recipe: dict[str, int | float]) -> list[Any]:
    """The whole lines of a file, none if there is no file. ValueError if one is of another recipe."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    found = [json.loads(line) for line in lines if line.endswith("\n")]
    if any(line["recipe"] != recipe for line in found):
        raise ValueError(f"{path} holds seeds of another recipe; give another folder")
    return found


def append_seed(path: Path, line: str) -> None:
    """Add a line; what an interruption left of another is taken away first."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if text and not text.endswith("\n"):
        path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
