"""Typed configuration: TOML tables become frozen dataclasses; unknown keys and wrong types are errors.

Each package declares its own part of the recipe as a frozen dataclass whose fields are made with `setting`, which carries
a description and a unit. `build` turns plain TOML tables into such a tree and refuses whatever it does not know, with an
error that names the file, the key and the nearest valid key. Nothing is coerced silently: an integer is taken where a
float is wanted, and nothing else. Tables of names (shares, weights) are kept in the order of their keys, so that no sum and no
hash follows the order in which somebody wrote them.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from skyloom.core.errors import ConfigError

T = TypeVar("T")
Hint: typing.TypeAlias = Any  # a type annotation as an object: a class, a union, tuple[int, ...]
Field = dataclasses.Field[Any]
TomlTable = dict[str, Any]
"""A TOML table as `tomllib` gives it, before `build` has checked it."""
_MISSING = dataclasses.MISSING
LARGEST = 2**53
"""The bound of settings that name none. Float64 and most readers of JSON hold whole numbers exactly up to here."""
DEPTH = 64
"""Tables and lists that may lie in each other, and parts of a key."""
_BYTES = 16 << 20  # of a file of settings
_SHOWN = 200  # characters of a value or a key in a message
# The parser's time grows with the square of a key's parts.
_LONG_KEY = re.compile(rf"""(?<!\w)(?:["']?[\w-]+["']?[ \t]*\.[ \t]*){{{DEPTH}}}""")


def setting(
    default: Any = _MISSING,
    *,
    doc: str,
    unit: str = "",
    choices: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    factory: Any = _MISSING,
    identity: bool = True,
    later: bool = False,
) -> Any:
    """A config field: description, unit, allowed values and inclusive bounds; without `high` numbers end at `LARGEST`.

    `identity=False` marks a setting that changes how fast or where a step runs but not what it writes; such settings
    are left out of the step's hash. `later=True` marks one that was added after runs had been made: the hash holds it only where
    it is not its default, so that what was finished before stays finished. That default may never change again.
    """
    metadata = {
        "doc": doc, "unit": unit, "choices": tuple(choices), "low": low, "high": high, "identity": identity, "later": later,
    }  # fmt: skip
    if factory is not _MISSING:
        if later:
            raise TypeError("a setting that came later needs a plain default: the hash leaves out what equals it")
        return dataclasses.field(default_factory=factory, metadata=metadata)
    if default is not _MISSING:
        return dataclasses.field(default=default, metadata=metadata)
    return dataclasses.field(metadata=metadata)


def build(kind: type[T], table: Mapping[str, object], *, origin: str, key: str = "") -> T:
    """Build a frozen config of `kind` from a TOML table; `origin` is the file named in errors."""
    if not isinstance(table, Mapping):
        raise ConfigError(f"{origin}: {key or 'the recipe'} must be a table, found {_name_of(table)}")
    hints = typing.get_type_hints(kind)
    fields = _fields(kind)
    for name in table:
        if name not in fields:
            raise ConfigError(f"{origin}: unknown key '{_short(_join(key, name))}'{_nearest(name, list(fields))}")
    values = {}
    for name, field in fields.items():
        where = _join(key, name)
        if name in table:
            values[name] = _convert(hints[name], table[name], origin, where)
            _check(field, values[name], origin, where)
        elif field.default is _MISSING and field.default_factory is _MISSING:
            raise ConfigError(f"{origin}: missing key '{where}' ({field.metadata.get('doc', '')})")
    try:
        return kind(**values)
    except ConfigError as problem:
        raise ConfigError(f"{origin}: {key + ': ' if key else ''}{problem}") from problem


def read_toml(path: str | Path) -> TomlTable:
    """The tables of a TOML file. ConfigError with line and column if it is not TOML, or not there, or too large or too deep."""
    try:
        with open(path, "rb") as file:
            data = file.read(_BYTES + 1)
    except (OSError, ValueError) as problem:  # ValueError: a path with a NUL in it
        raise ConfigError(f"cannot read {path}: {getattr(problem, 'strerror', None) or problem}") from problem
    if len(data) > _BYTES:
        raise ConfigError(f"{path} has more than {_BYTES >> 20} MB; a file of settings is far smaller")
    try:
        text = data.decode()
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{path}: not UTF-8: {problem}") from problem
    try:
        return parse_toml(text, str(path))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{path}: not valid TOML: {problem}") from problem


def parse_toml(text: str, origin: str) -> TomlTable:
    """The tables of a TOML text. `tomllib.TOMLDecodeError` if it is not TOML, ConfigError for what no setting can be: nesting
    or keys beyond `DEPTH`, numbers beyond 64 bits, text that is not Unicode or holds NUL."""
    table = _parse(text, origin)
    _check_plain(table, origin)
    return table


def _parse(text: str, origin: str) -> TomlTable:
    if _LONG_KEY.search(text):
        raise ConfigError(f"{origin}: a key has more than {DEPTH} parts")
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError:
        raise
    except RecursionError as problem:
        raise ConfigError(f"{origin}: lists or tables lie in each other more than {DEPTH} deep") from problem
    except ValueError as problem:
        raise ConfigError(f"{origin}: a number has too many digits, thousands of them") from problem


def _check_plain(value: object, origin: str, where: str = "", depth: int = 0) -> None:
    """ConfigError if a value of TOML is one that no setting can be, whatever its key."""
    if depth > DEPTH:
        raise ConfigError(f"{origin}: '{_short(where)}' lies in more than {DEPTH} lists or tables")
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_plain(str(name), origin, where)
            _check_plain(inner, origin, _join(where, str(name)), depth + 1)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            _check_plain(inner, origin, f"{where}[{i}]", depth + 1)
    elif isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise ConfigError(
                f"{origin}: '{_short(where) or 'a key'}' holds a character that no text has (NUL, or bytes that are not UTF-8)"
            )
    elif isinstance(value, int):
        _check_width(value, origin, where)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _check_width(value: int, origin: str, where: str) -> None:
    if not -(2**63) <= value < 2**63:  # TOML's own limit, and that of every library below
        raise ConfigError(f"{origin}: '{_short(where)}' is a number beyond 64 bits")


def override(table: Mapping[str, object], assignments: Sequence[str]) -> TomlTable:
    """A copy of `table` with `a.b=value` applied, values read as TOML and otherwise as strings.

    Lists of tables are reached by index or by their `name`: `corpus.sources.docs.weight=2`.
    """
    result = {name: _copy(value) for name, value in table.items()}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        parts, origin = path.strip().split("."), f"--set {_short(assignment)}"
        if not equals or not path.strip():
            raise ConfigError(f"{origin}: write it as key=value, for example train.seed=2")
        if len(parts) > DEPTH:
            raise ConfigError(f"{origin}: the key has more than {DEPTH} parts")
        try:
            table = _parse(f"v = {text}", origin)
        except tomllib.TOMLDecodeError:
            table = {}
        value = table["v"] if len(table) == 1 else text  # a text of several lines may read as several settings
        _check_plain({path: value}, origin)
        _assign(result, parts, value, origin)
    return result


def plain(config: object, *, identity_only: bool = False) -> Any:
    """The config as plain dicts, lists and scalars, in field order; what `json` and TOML writers take.

    With `identity_only` the fields marked `identity=False` are left out, and those marked `later` that have their default: this is
    what a step's hash is made of.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {
            f.name: plain(getattr(config, f.name), identity_only=identity_only)
            for f in dataclasses.fields(config)
            if not identity_only or _identifies(f, getattr(config, f.name))
        }
    if isinstance(config, Mapping):
        return {str(k): plain(v, identity_only=identity_only) for k, v in config.items()}
    if isinstance(config, (list, tuple)):
        return [plain(v, identity_only=identity_only) for v in config]
    if isinstance(config, Path):
        return str(config)
    return config


def _identifies(field: Field, value: object) -> bool:
    """Whether a setting with this value is part of a step's hash."""
    return field.metadata.get("identity", True) and not (field.metadata.get("later") and value == field.default)


def describe(kind: type[object], key: str = "") -> list[tuple[str, str, str, str]]:
    """Rows (key, type, default, description) of all settings of a config, for `--help` and the docs."""
    rows: list[tuple[str, str, str, str]] = []
    hints = typing.get_type_hints(kind)
    for field in _fields(kind).values():
        hint, where = hints[field.name], _join(key, field.name)
        inner = _element(hint)
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            many = any(typing.get_origin(a) in (tuple, list, dict) for a in (hint, *typing.get_args(hint)))
            rows += describe(inner, where + ("[]" if many else ""))
            continue
        default = "" if field.default is _MISSING else repr(field.default)
        unit = field.metadata.get("unit", "")
        text = field.metadata.get("doc", "") + (f" [{unit}]" if unit else "")
        rows.append((where, _type_name(hint), default, text))
    return rows


def _fields(kind: type[object]) -> dict[str, Field]:
    if not dataclasses.is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is no dataclass")
    return {f.name: f for f in dataclasses.fields(kind)}


def _convert(hint: Hint, value: Any, origin: str, where: str) -> Any:
    kind: Any = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        options = [a for a in arguments if a is not type(None)]
        if value is None and len(options) < len(arguments):  # TOML has no null; tables that `plain` gives have
            return None
        if len(options) == 1:
            return _convert(options[0], value, origin, where)
        for option in options:
            if isinstance(value, option):
                return value
    elif kind is tuple and isinstance(value, (list, tuple)):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_convert(arguments[0], v, origin, f"{where}[{i}]") for i, v in enumerate(value))
        if len(arguments) == len(value):
            return tuple(_convert(a, v, origin, f"{where}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))
    elif kind in (dict, Mapping) or kind is typing.get_origin(Mapping[str, int]):
        if isinstance(value, Mapping):
            return {k: _convert(arguments[1], v, origin, _join(where, k)) for k, v in sorted(value.items())}
    elif kind is list and isinstance(value, list):
        return [_convert(arguments[0], v, origin, f"{where}[{i}]") for i, v in enumerate(value)]
    elif typing.is_typeddict(hint) and isinstance(value, Mapping):  # of our own files: its keys are not looked at
        return dict(value)
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else build(hint, value, origin=origin, key=where)
    elif hint is float and isinstance(value, int) and not isinstance(value, bool):
        _check_width(value, origin, where)
        return float(value)
    elif (hint in (int, float, str, bool) and type(value) is hint) or hint is Any:
        return value
    raise ConfigError(f"{origin}: '{where}' must be {_type_name(hint)}, found {_name_of(value)} {_shown(value)}")


def _check(field: Field, value: object, origin: str, where: str) -> None:
    choices, low, high = (field.metadata.get(k) for k in ("choices", "low", "high"))
    bounded = "doc" in field.metadata  # else it is a record of our own files, in which any number may stand
    for key, item in _leaves(value, where):
        if choices and item is not None and item not in choices:
            raise ConfigError(f"{origin}: '{key}' is {_shown(item)}{_nearest(str(item), list(choices))}")
        if not isinstance(item, (int, float)) or isinstance(item, bool):
            continue
        if bounded and isinstance(item, int):
            _check_width(item, origin, key)
        if math.isnan(item):
            raise ConfigError(f"{origin}: '{key}' is not a number (nan)")
        if low is not None and item < low:
            raise ConfigError(f"{origin}: '{key}' is {item}, it must be at least {low}")
        if high is not None and item > high:
            raise ConfigError(f"{origin}: '{key}' is {item}, it must be at most {high}")
        if bounded and (math.isinf(item) or abs(item) > (LARGEST if high is None else max(abs(high), LARGEST))):
            raise ConfigError(f"{origin}: '{key}' is {item}; a setting is a finite number, at most {LARGEST:,}")


def _leaves(value: object, where: str) -> Iterator[tuple[str, object]]:
    """The single values in tuples, lists and tables of names, each with the key that a message names."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, _join(where, str(name)))
    elif isinstance(value, (tuple, list)):
        for inner in value:
            yield from _leaves(inner, where)
    else:
        yield where, value


def _assign(table: TomlTable | list[TomlTable], path: list[str], value: Any, origin: str) -> None:
    for depth, part in enumerate(path[:-1]):
        table = _enter(table, part, origin, ".".join(path[: depth + 1]))
    last = path[-1]
    if isinstance(table, list):
        table[_index(table, last, origin)] = value
    else:
        table[last] = value


def _enter(table: TomlTable | list[TomlTable], part: str, origin: str, where: str) -> TomlTable | list[TomlTable]:
    inner = table[_index(table, part, origin)] if isinstance(table, list) else table.setdefault(part, {})
    if not isinstance(inner, (dict, list)):
        raise ConfigError(f"{origin}: '{where}' is a value, not a table")
    return inner


def _index(items: list[TomlTable], part: str, origin: str) -> int:
    if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(items):
        return int(part)
    names = [str(i.get("name", "")) if isinstance(i, dict) else "" for i in items]
    if part in names:
        return names.index(part)
    raise ConfigError(f"{origin}: no entry '{_short(part)}'{_nearest(part, names)}")


def _copy(value: object) -> Any:
    if isinstance(value, Mapping):
        return {k: _copy(v) for k, v in value.items()}
    return [_copy(v) for v in value] if isinstance(value, list) else value


def _element(hint: Hint) -> Hint:
    arguments = [a for a in typing.get_args(hint) if a not in (type(None), Ellipsis)]
    return _element(arguments[-1]) if arguments else hint


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _shown(value: object) -> str:
    """A value in a message: short, whatever it is."""
    try:
        return _short(repr(value))
    except (ValueError, RecursionError):  # thousands of digits, deep nesting
        return "…"


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _nearest(name: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"; did you mean '{close[0]}'?" if close else f"; valid: {', '.join(valid)}"


def _name_of(value: object) -> str:
    return {dict: "a table", list: "a list", str: "text", int: "an integer", float: "a number", bool: "true/false"}.get(
        type(value), type(value).__name__
    )


def _type_name(hint: Hint) -> str:
    names = {int: "an integer", float: "a number", str: "text", bool: "true or false"}
    if hint in names:
        return names[hint]
    return str(hint).replace("typing.", "").replace("skyloom.", "")


def environment_number(name: str, usual: int = 0) -> int:
    """A whole number that a launcher (torchrun) gives in an environment variable; ConfigError if it is something else."""
    text = os.environ.get(name, str(usual)).strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise ConfigError(f"the environment variable {name} is '{text[:80]}'; it must be a whole number, as torchrun sets it")
    return int(text)


def to_toml(recipe: Mapping[str, object]) -> str:
    """TOML of a recipe. TOML has no null: what is None is left out, and reads back as the setting's default."""
    return tomli_w.dumps({str(k): _without_none(v) for k, v in recipe.items() if v is not None})


def _without_none(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(v) for v in value if v is not None]
    return value
