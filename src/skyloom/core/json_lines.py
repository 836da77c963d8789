"""JSON lines: files of one JSON value a line.

Input: bytes. Output: Python values. Two rules stand here once: a complete file of our own, where a line that is not JSON is an
error with its number, and a line of somebody else's file, which is an object or says why it is none, so that the caller can count
it. Large input is parsed by Arrow in blocks first (`corpus.sources`); these functions are for what is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from skyloom.core.errors import DataError

NOT_JSON, NOT_OBJECT = "not JSON", "not a JSON object"


def json_lines(data: bytes, origin: str) -> Iterator[Any]:
    """The values of a complete file. Only "\\n" ends a line: a text may hold other separators of lines.

    DataError names the file (`origin`) and the number of a line that is not JSON. Files that are still being written are read
    elsewhere, each by its own rule.
    """
    lines = data.split(b"\n")
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        try:
            yield json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{origin}, line {number}: not JSON ({problem})") from problem


def json_object(line: str | bytes) -> dict[str, Any] | str:
    """The object of a line, or NOT_JSON or NOT_OBJECT. Nesting that is too deep for the parser is NOT_JSON."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return NOT_JSON
    return value if isinstance(value, dict) else NOT_OBJECT
