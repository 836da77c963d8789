"""Local data of benchmark tasks: files of items in the task's own field names, in place of a data set of the hub.

Input: what the user gives with --data (NAME=FILE, NAME:SPLIT=FILE, NAME=FOLDER), JSON lines (plain or gzip), Parquet or CSV.
Output: for each task the file of each of its splits, and rows as Python values. A benchmark with an item missing is another
benchmark, so whatever cannot be read is an error that names the file and the line; nothing is skipped.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.json_lines import json_object

JSON, PARQUET, CSV = (".jsonl", ".ndjson", ".json"), (".parquet",), (".csv",)
ENDINGS = tuple(f"{end}{packed}" for end in (*JSON, *CSV) for packed in ("", ".gz")) + PARQUET
FORMATS = "JSON lines (.jsonl, .jsonl.gz), Parquet (.parquet) or CSV (.csv, .csv.gz)"

_GIVEN = re.compile(r"^(?P<name>.+?)(?:(?<!:):(?P<split>[^:=]+))?=(?P<path>.+)$")
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")

Item = dict[str, object]


@dataclass
class Given:
    """What --data gives to one name: a file for each split ("" for the split that is scored), or a folder."""

    name: str
    files: dict[str, Path] = field(default_factory=dict)
    folder: Path | None = None

    def find(self, split: str, scored: bool, words: Sequence[str], alone: bool) -> Path | None:
        """The file of a split of a task that is also called `words`; `alone`: the name stands for this task and no other."""
        if split in self.files:
            return self.files[split]
        if scored and "" in self.files:
            return self.files[""]
        if self.folder is None:
            return None
        stems = [split] if alone else []
        stems += [f"{word}/{split}" for word in words] + [f"{split}/{word}" for word in words]
        for stem in stems:
            for ending in ENDINGS:
                if (path := self.folder / f"{stem}{ending}").is_file():
                    return path
        return None

    def listing(self) -> str:
        """What a folder holds, for an error."""
        if self.folder is None:
            return ", ".join(f"{split or 'scored split'}: {path}" for split, path in self.files.items())
        found = sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.name.endswith(ENDINGS))
        return f"{self.folder} holds {', '.join(found[:8]) or f'no {FORMATS}'}" + (" …" if len(found) > 8 else "")


def parse(values: Sequence[str]) -> dict[str, Given]:
    """What each name is given. ConfigError: another form, a path that is not there, a split that is given twice."""
    found: dict[str, Given] = {}
    for value in values:
        match = _GIVEN.match(value)
        if match is None:
            raise ConfigError(f"--data {value}: write NAME=FILE, NAME:SPLIT=FILE or NAME=FOLDER")
        name, split, path = match["name"], match["split"] or "", Path(match["path"]).expanduser()
        given = found.setdefault(name, Given(name))
        if path.is_dir():
            if split:
                raise ConfigError(f"--data {value}: {path} is a folder; give the file of the split '{split}'")
            if given.folder is not None:
                raise ConfigError(f"--data gives {name} two folders: {given.folder} and {path}")
            given.folder = path
        elif not path.exists():
            raise ConfigError(f"--data {value}: {path} does not exist")
        elif split in given.files:
            raise ConfigError(f"--data gives {name} two files for the same split: {given.files[split]} and {path}")
        else:
            given.files[split] = path
    return found


def read_items(path: Path) -> list[Item]:
    """All rows of a file. DataError: none of the formats, empty, damaged, a line that is no object, an `id` that stands twice."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith(JSON):
        rows = _json_rows(path)
    elif name.endswith(CSV):
        rows = _csv_rows(path)
    elif path.name.lower().endswith(PARQUET):
        rows = _parquet_rows(path)
    else:
        raise DataError(f"{path} is none of the formats that can be read: {FORMATS}")
    if not rows:
        raise DataError(f"{path} holds no item")
    _check_ids(path, rows)
    return rows


def _check_ids(path: Path, rows: Sequence[Item]) -> None:
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        if row.get("id") is None:
            continue
        name = str(row["id"])
        if name in seen:
            raise DataError(f"{path}: the id '{name}' stands in items {seen[name]} and {number}; each item needs an id of its own")
        seen[name] = number


def _text(path: Path) -> str:
    """The text of a file, plain or gzip. DataError if it cannot be read."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8 text (byte {problem.start:,})") from problem
    except (OSError, EOFError, ValueError) as problem:
        raise DataError(f"{path} cannot be read: {problem}") from problem


def _json_rows(path: Path) -> list[Item]:
    text = _text(path)
    if text.lstrip()[:1] == "[":
        return _json_array(path, text)
    rows = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        value = json_object(line)
        if isinstance(value, str):
            raise DataError(f'{path}, line {number}: {value}; each line must be an item, such as {{"question": "…"}}')
        rows.append(value)
    return rows


def _json_array(path: Path, text: str) -> list[Item]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{path} is not JSON: {problem}") from problem
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise DataError(f"{path}, item {number}: not a JSON object")
    return list(values)


def _csv_rows(path: Path) -> list[Item]:
    """Texts as they are; a column of which every value is a whole number without leading zeros becomes numbers (labels)."""
    try:
        head, *lines = list(csv.reader(io.StringIO(_text(path), newline=""), strict=True)) or [[]]
    except csv.Error as problem:
        raise DataError(f"{path} is not CSV: {problem}") from problem
    names = [name or f"column {number}" for number, name in enumerate(head, 1)]
    if len(set(names)) < len(names):
        raise DataError(f"{path}: two columns have the same name")
    lines = [line for line in lines if line]
    for number, line in enumerate(lines, 1):
        if len(line) != len(names):
            raise DataError(f"{path}, item {number}: {len(line)} values for {len(names)} columns ({', '.join(names)})")
    columns: dict[str, Sequence[object]] = {}
    for place, name in enumerate(names):
        values = [line[place] for line in lines]
        columns[name] = [int(v) for v in values] if values and all(map(_WHOLE.fullmatch, values)) else values
    return [{name: columns[name][row] for name in names} for row in range(len(lines))]


def _parquet_rows(path: Path) -> list[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows: list[Item] = pq.ParquetFile(path).read().to_pylist()
    except (pa.ArrowException, OSError) as problem:
        raise DataError(f"{path} is not a whole Parquet file: {problem}") from problem
    return rows


def columns_of(path: Path, rows: Sequence[Item]) -> Mapping[str, list[object]]:
    """The rows by field, None where a row lacks one. DataError names a field whose values have several types."""
    import pyarrow as pa

    names = list(dict.fromkeys(name for row in rows for name in row))
    found = {name: [row.get(name) for row in rows] for name in names}
    for name, values in found.items():
        try:
            pa.array(values)
        except (pa.ArrowException, OverflowError) as problem:
            raise DataError(f"{path}: the field '{name}' has values of several types ({problem})") from problem
    return found
