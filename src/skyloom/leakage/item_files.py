"""Files of benchmark items: one JSON object a line, also gzipped.

Input: a path. Output: its items with id, language, question and answer, in the order of the file. An item is a question with an
answer, or a text as a whole. Ids are those of the file, else the number of the line from 1, so that results of several runs over
one file can be joined item by item. What cannot be used is an error that names the line: a set of which lines are missing would
no longer be the benchmark.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import DataError, StorageError
from skyloom.core.json_lines import json_object

CHINESE, ENGLISH = "zh", "en"
DEFAULT_TEMPLATE = "{question}\n{answer}"
_HAN = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class FiledItem:
    """An item. `question` is "" where the file has a text as a whole (`text`); `answer` is "" where there is none."""

    id: str
    lang: str
    question: str
    answer: str
    text: str = ""

    def rendered(self, template: str = DEFAULT_TEMPLATE) -> str:
        """What a model is scored on: the template with question and answer, or the whole text."""
        if self.text:
            return self.text
        return template.replace("{question}", self.question).replace("{answer}", self.answer).strip()


@dataclass(frozen=True)
class ItemFile:
    """The items of a file, and its checksum (of the bytes as they are, compressed or not)."""

    path: Path
    sha256: str
    items: tuple[FiledItem, ...]


def read_item_file(path: Path) -> ItemFile:
    """The items of a JSONL(.gz) file. StorageError if it cannot be read; DataError, with the line, for damaged lines, items
    without text, ids given twice, or a file without items."""
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise StorageError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    items: list[FiledItem] = []
    seen: set[str] = set()
    for number, line in enumerate(_unpacked(data, path).split(b"\n"), 1):
        if not line.strip():
            continue
        item = _item(line, number, path)
        if item.id in seen:
            raise DataError(f"{path}, line {number}: there is an item {item.id!r} already")
        seen.add(item.id)
        items.append(item)
    if not items:
        raise DataError(f"{path} holds no items")
    return ItemFile(path, hashlib.sha256(data).hexdigest(), tuple(items))


def _unpacked(data: bytes, path: Path) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as problem:
        raise DataError(f"{path} is damaged or cut short: {problem}") from problem


def _item(line: bytes, number: int, path: Path) -> FiledItem:
    row = json_object(line)
    if isinstance(row, str):
        raise DataError(f"{path}, line {number}: {row}")
    key = row.get("id", number)
    if not isinstance(key, str | int):
        raise DataError(f"{path}, line {number}: the field id is neither text nor a whole number")
    fields = {name: row.get(name) for name in ("question", "answer", "text", "lang")}
    question, answer, text, lang = (value if isinstance(value, str) else "" for value in fields.values())
    if not question.strip() and not text.strip():
        raise DataError(f"{path}, line {number}: no text in the field question or text; there are {', '.join(map(str, row))}")
    if question.strip():
        text = ""
    return FiledItem(str(key), lang or (CHINESE if _HAN.search(question or text) else ENGLISH), question, answer, text)
