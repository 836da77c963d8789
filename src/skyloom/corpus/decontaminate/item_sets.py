"""Benchmark items for decontamination: every test and validation set that the recipe names, as one table.

Input: files of items (JSON Lines, plain or .gz, or Parquet), each with a name and the fields that hold an item's id and text; a
command line names files only, and the fields are the usual ones (`read_benchmarks`). Output: one table (ITEMS). The report holds
its models against C-Eval, CMMLU, MMLU, GSM8K and others (4) and shows what it means if they were trained on (5.2); these sets are
third-party data, so the recipe names where they lie.

Memory: all items, some 100 MB for the sets in use today.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.errors import ConfigError, DataError
from skyloom.corpus.decontaminate.config import ItemSet

ITEMS = pa.schema([("benchmark", pa.string()), ("item", pa.string()), ("text", pa.large_string())])


def read_items(sets: Sequence[ItemSet]) -> pa.Table:
    """All items, a table ITEMS in the order of the sets; empty texts are left out.

    ConfigError for two sets of one name or a pattern that no file matches, DataError for a file or an item that cannot be read.
    """
    names = [s.name for s in sets]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"two item sets are named {name!r}: give each benchmark a name of its own, and a pattern for its files"
            )
    rows = [row for one in sets for row in _read_set(one)]
    return items_table(rows)


def items_table(rows: Sequence[tuple[str, str, str]]) -> pa.Table:
    """Items as a table ITEMS; each is the name of its benchmark, its id and its text."""
    return pa.table([pa.array([r[k] for r in rows], f.type) for k, f in enumerate(ITEMS)], ITEMS)


def files_of(items: ItemSet) -> list[Path]:
    """The files of a set, in order. ConfigError if there is none."""
    path = Path(items.path)
    files = [path] if path.is_file() else sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
    if not files:
        raise ConfigError(f"the item set {items.name!r} names {items.path}, where no file is: correct its path")
    return files


def _read_set(items: ItemSet) -> Iterator[tuple[str, str, str]]:
    for file in files_of(items):
        for number, record in enumerate(_records(file)):
            text = "\n".join(part for field in items.text for part in _parts(record, field, f"{file}, item {number + 1}"))
            if text.strip():
                yield items.name, str(record.get(items.id, f"{file.name}/{number}")), text


QUESTIONS = ("question", "text", "problem", "prompt", "content")
"""Fields of an item's text on a command line: the first of them that the file's first item has."""
CHOICES = ("choices", "options", *"ABCDEF")
"""Fields that belong to the question, where an item has them. Answers do not: a question leaks without its answer, too."""


def read_benchmarks(files: Sequence[str], fields: Sequence[str] = ()) -> pa.Table:
    """The items of benchmark files, a table ITEMS; each is FILE or NAME=FILE. Items without text are there with an empty one.

    `fields`: what makes up an item; none: one of QUESTIONS, and CHOICES. An item without `id` is named by its number from 1.
    ConfigError for a file that is not there, of another kind, or of the name of another; DataError for one that cannot be read,
    has no item with text, an item without the fields, or an id twice.
    """
    given = [_named(file) for file in files]
    stems = Counter(_stem(path) for name, path in given if not name)
    named = [
        (name or (_stem(path) if stems[_stem(path)] == 1 else f"{path.parent.name}/{_stem(path)}"), path) for name, path in given
    ]
    for name, count in Counter(name for name, _ in named).items():
        if count > 1:
            raise ConfigError(f"{count} benchmark files are named {name!r}: name them apart, as NAME=FILE")
    rows = [row for name, path in named for row in _benchmark(name, path, fields)]
    return items_table(rows)


def _named(given: str) -> tuple[str, Path]:
    """Name ("" if none is given) and path. A file that is there with a "=" in its path wins over a name."""
    name, sign, rest = given.partition("=")
    path = Path(given) if not sign or Path(given).is_file() else Path(rest)
    if not path.is_file():
        raise ConfigError(f"the benchmark file {path} {'is a folder' if path.is_dir() else 'does not exist'}: name files of items")
    return ("" if path == Path(given) else name), path


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").rpartition(".")[0] or path.name


def _benchmark(name: str, path: Path, fields: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    asked, seen, filled = list(fields), set[str](), False
    for number, record in enumerate(_records(path), 1):
        where = f"{path}, item {number}"
        asked = asked or [next((f for f in QUESTIONS if f in record), QUESTIONS[0])]
        if asked[0] not in record:
            told = f"none of the fields {', '.join(QUESTIONS)}" if not fields else f"no field {asked[0]!r}"
            names = ", ".join(record)
            raise DataError(f"{where}: it has {told} (there are: {names}); name the fields of its text (--item-field)")
        own = asked if fields else [*asked, *(f for f in CHOICES if f in record)]
        text = "\n".join(part for field in own for part in _parts(record, field, where))
        item = str(record["id"]) if record.get("id") is not None else str(number)
        if item in seen:
            raise DataError(f"{where}: its id {item!r} is that of an item before it; give each item an id of its own")
        seen.add(item)
        filled = filled or bool(text.strip())
        yield name, item, text
    _check_filled(str(path), bool(seen), filled)


def given_items(name: str, texts: Sequence[str | None]) -> list[tuple[str, str, str]]:
    """Items whose texts are in memory, for `items_table`; each is named by its number from 1, and null is an empty text.

    DataError if none has a text.
    """
    _check_filled(name, bool(texts), any(text and text.strip() for text in texts))
    return [(name, str(number), text or "") for number, text in enumerate(texts, 1)]


def _check_filled(origin: str, some: bool, filled: bool) -> None:
    if not filled:
        raise DataError(f"{origin} has {'only items without text' if some else 'no item'}: there is nothing to search for")


Field = str | int | float | bool | None
Item = Mapping[str, Field | Sequence[Field] | Mapping[str, Field]]
"""An item of a benchmark as its file has it."""


def _records(file: Path) -> Iterator[Item]:
    kind = file.name.removesuffix(".gz")
    if kind.endswith(".parquet"):
        try:
            table = pq.read_table(file)
        except (pa.ArrowInvalid, OSError) as problem:
            raise DataError(f"{file} cannot be read as Parquet: {problem}") from problem
        yield from table.to_pylist()
        return
    if not kind.endswith((".jsonl", ".json")):
        raise ConfigError(f"{file}: items are read from .jsonl, .jsonl.gz and .parquet files; convert it to one of these")
    opened = gzip.open(file, "rt", encoding="utf-8") if file.name.endswith(".gz") else open(file, encoding="utf-8")
    number = 0
    try:
        with opened as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    record = json.loads(line)
                    if not isinstance(record, dict):
                        raise DataError(f"{file}, line {number}: an item is a JSON object on one line")
                    yield record
    except (ValueError, RecursionError, EOFError, OSError, zlib.error) as problem:
        raise DataError(f"{file}, after line {number}: not JSON Lines in UTF-8: {problem}") from problem


def _parts(record: Item, field: str, where: str) -> list[str]:
    """The strings of a field, which may be a string, a number, a list or an object of them; null is none."""
    if field not in record:
        raise DataError(f"{where}: it has no field {field!r} (there are: {', '.join(record)}); set `text` of its item set")
    value = record[field]
    values = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return [str(v) for v in values if v is not None]
