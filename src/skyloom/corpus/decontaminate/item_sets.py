"""Benchmark items for decontamination: every test and validation set that the recipe names, as one table.

Input: files of items (JSON Lines, plain or .gz, or Parquet), each with a name and the fields that hold an item's id and text.
Output: one table (ITEMS). The report holds its models against C-Eval, CMMLU, MMLU, GSM8K and others (4) and shows what it means
if they were trained on (5.2); these sets are third-party data, so the recipe names where they lie.

Memory: all items, some 100 MB for the sets in use today.
"""

from __future__ import annotations

import gzip
import json
import zlib
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
