"""The index of benchmark tasks: every name that lm-evaluation-harness knows, and our own, to the YAML file that defines it.

Input: the folders of definitions (YAML); output: lm-eval's `Entry` objects by name (tasks, groups, tags). lm-eval's own index
parses 14,000 files with all that they include each time, which takes half a minute; this one reads only the lines that name
things, and each included file once. What it finds is the same (tests/evaluate/benchmarks/test_task_index.py compares them). A
file that the quick reading does not understand is parsed as lm-eval does it.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from skyloom.core.errors import ConfigError

if TYPE_CHECKING:
    from lm_eval.tasks._index import Entry

OWN = Path(__file__).parent / "definitions"
"""Our own task files."""
HARNESS = "0.4.13"
"""The version of lm-evaluation-harness whose definitions these are."""
NEAREST = 5
"""How many names are offered for one that is unknown."""

_KEYS = ("task", "group", "tag", "class", "include")
_LINE = re.compile(r"""^(["']?)(task|group|tag|class|include)\1[ \t]*:[ \t]*(.*?)[ \t]*$""", re.M)
_SCALAR = re.compile(r"""^(?:"([^"\\]*)"|'([^']*)'|([^\s"'#\[\]{}&*!|>%@`,][^#"'\[\]{}:]*?))(?:\s+#.*)?$""")
_ITEM = re.compile(r"""^[ \t]*-[ \t]+(.*?)[ \t]*$""")


@dataclass(frozen=True)
class _Named:
    """What a file says of names: scalars as they are, lists of names as tuples."""

    values: Mapping[str, str | tuple[str, ...]]

    def one(self, key: str) -> str | None:
        value = self.values.get(key)
        return value if isinstance(value, str) else None

    def many(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, ())
        return (value,) if isinstance(value, str) else value


@functools.cache
def index() -> dict[str, Entry]:
    """All tasks, groups and tags by name. ConfigError if lm-eval is not installed."""
    require_harness()
    import lm_eval.tasks

    found: dict[str, Entry] = {}
    for root in (Path(lm_eval.tasks.__file__).parent, OWN):
        found |= _entries(root)
    return found


def require_harness() -> None:
    """ConfigError with the command that installs it, if lm-eval is not there, or has another version."""
    try:
        found = version("lm-eval")
    except PackageNotFoundError as problem:
        raise ConfigError("benchmarks need the package lm-eval: pip install 'skyloom[eval]'") from problem
    if found != HARNESS:
        raise ConfigError(f"benchmarks need lm-eval {HARNESS}, {found} is installed: pip install 'skyloom[eval]'")


def find(names: Sequence[str]) -> list[str]:
    """Names of the index for what the user wrote; `*` and `?` match. ConfigError names the nearest ones for an unknown name."""
    known = index()
    found: list[str] = []
    for name in names:
        if name in known:
            matches = [name]
        elif set(name) & set("*?["):
            matches = sorted(fnmatch.filter(known, name))
        else:
            matches = []
        if not matches:
            near = difflib.get_close_matches(name, known, NEAREST, 0.6) or sorted(k for k in known if name and name in k)[:NEAREST]
            hint = f"; the nearest names are {', '.join(near)}" if near else ""
            raise ConfigError(
                f"unknown task '{name}'{hint} (lm-evaluation-harness {HARNESS} and skyloom have {len(known):,} names)"
            )
        found += [match for match in matches if match not in found]
    if not found:
        raise ConfigError("no task was named: give --tasks NAME,NAME")
    return found


def _entries(root: Path) -> dict[str, Entry]:
    from lm_eval.tasks._index import Entry, Kind

    found: dict[str, Entry] = {}
    for file in sorted(os.path.join(place, name) for place, _, names in os.walk(root) for name in names if name.endswith(".yaml")):
        named = _read(file)
        if named is None:
            continue
        path = Path(file)
        group, task, tags = named.one("group"), named.one("task"), named.many("tag")
        if "class" in named.values:
            name, kind = task, Kind.PY_TASK
        elif "group" in named.values:
            name, kind = group, Kind.GROUP
        else:
            name, kind = task, Kind.TASK
        if not name or name in found:
            continue
        found[name] = Entry(name=name, kind=kind, yaml_path=path, tags=set(tags))
        for tag in tags if kind is not Kind.GROUP else ():
            found.setdefault(tag, Entry(name=tag, kind=Kind.TAG, yaml_path=None, tags=set())).tags.add(name)
    return found


@functools.cache
def _read(path: str) -> _Named | None:
    """What a definition says, with what it includes; None if it is none."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return None
    quick = _quick(text)
    if quick is None or (set(_KEYS[:2]).isdisjoint(quick) and "include" not in quick):
        return _parsed(path) if quick is None else _Named(quick)
    merged: dict[str, str | tuple[str, ...]] = {}
    included = quick.pop("include", ())
    for name in (included,) if isinstance(included, str) else included:
        base = _read(os.path.normpath(f"{path.rpartition(os.sep)[0]}{os.sep}{name}"))
        merged |= base.values if base is not None else {}
    return _Named(merged | quick)


def _quick(text: str) -> dict[str, str | tuple[str, ...]] | None:
    """The values of `_KEYS` from lines that begin with one; None if a line is not plain."""
    found: dict[str, str | tuple[str, ...]] = {}
    for match in _LINE.finditer(text):
        key, value = match[2], match[3]
        if key == "class":
            found[key] = value
        elif not value or value.startswith("#"):
            members = _list(text[match.end() :]) if key != "task" else ()  # the members of a group are not needed
            if members is None:
                return None
            found[key] = members
        else:
            scalar = _SCALAR.match(value)
            if scalar is None:
                return None
            found[key] = next(part for part in scalar.groups() if part is not None).strip()
    return found


def _list(rest: str) -> tuple[str, ...] | None:
    found = []
    for line in rest.split("\n")[1:]:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        item = _ITEM.match(line)
        if item is None:
            break
        scalar = _SCALAR.match(item[1])
        if scalar is None:
            return None
        found.append(next(part for part in scalar.groups() if part is not None).strip())
    return tuple(found)


def _parsed(path: str) -> _Named | None:
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        read = load_yaml(path, resolve_func=False)
    except Exception:  # lm-eval skips such a file too, whatever is wrong with it
        return None
    found: dict[str, str | tuple[str, ...]] = {}
    for key in _KEYS:
        value = read.get(key)
        if isinstance(value, str):
            found[key] = value
        elif isinstance(value, list):
            found[key] = tuple(str(v) for v in value) if key != "task" else ()
    return _Named(found)
