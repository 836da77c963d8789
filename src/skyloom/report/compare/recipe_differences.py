"""What differs between the recipes of runs: every setting that does not have the same value in all of them.

Input: resolved recipes as plain values. Output: rows of a setting's name and its value in each run. Lists of tables with names
(stages, sources) are compared by these names, so that one more source does not make all later ones differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from skyloom.core.json_files import PlainTable, PlainValue

ABSENT = "–"


def differences_of(recipes: Sequence[PlainTable]) -> list[tuple[str, list[str]]]:
    """(setting, its value in each run) for each that differs, in the order of the first recipe; `ABSENT` where a run has none."""
    flat = [dict(_flat("", recipe)) for recipe in recipes]
    keys = dict.fromkeys(key for settings in flat for key in settings)
    rows = [(key, [settings.get(key, ABSENT) for settings in flat]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _flat(name: str, value: PlainValue) -> Iterator[tuple[str, str]]:
    """Settings by their names with dots; an empty table or list is a value."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}".lstrip("."), inner)
    elif isinstance(value, list) and value and all(isinstance(item, Mapping) and item.get("name") for item in value):
        for item in value:
            if isinstance(item, Mapping):
                yield from _flat(f"{name}.{item['name']}", {key: inner for key, inner in item.items() if key != "name"})
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
