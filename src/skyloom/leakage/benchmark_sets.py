"""The items of a benchmark that a model may have been trained on, and of the sets it is compared with (report 5.2).

Input: a file of items (JSON lines, plain or .gz; Parquet and CSV too) with `question` and `answer`, or with `text` alone as the
report's published reference set; and a template. Output: a `BenchmarkSet` with the text of each item, which is what a model reads
behind its begin token. A set with an item missing is another set, so whatever cannot be scored is an error that names the item.
"""

from __future__ import annotations

import hashlib
import math
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType

from skyloom.core.errors import ConfigError, DataError
from skyloom.evaluate.benchmarks import Item, read_items

TEMPLATE = "{question}\n{answer}"
"""How question and answer become one text, in either language."""
FEWEST = 20
"""Items that a set must have: with fewer, no interval of any detector means much."""
FIELDS = ("question", "answer")

_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]")
_LETTER = re.compile(r"[^\W\d_]")
HAN_SHARE = 0.2
"""Of the letters of a text: from here on it is Chinese, where the file does not say."""


@dataclass(frozen=True)
class BenchmarkItem:
    """An item. `text`: what is scored, after the template; `question` and `answer` are empty where the file has `text` alone.
    `order`: its place in the published file; `twin_of`: the id of the item that it is a twin of, "" for none."""

    id: str
    lang: str
    question: str
    answer: str
    text: str
    choices: tuple[str, ...] = ()
    order: float | None = None
    twin_of: str = ""

    @property
    def pair(self) -> str:
        """What it shares with its twin."""
        return self.twin_of or self.id


@dataclass(frozen=True)
class BenchmarkSet:
    """The items of a file, in its order. `sha256`: of the file as it lies on the disk, hex."""

    name: str
    path: str
    sha256: str
    items: tuple[BenchmarkItem, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(item.id for item in self.items)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(item.text for item in self.items)

    def only(self, items: Sequence[BenchmarkItem]) -> BenchmarkSet:
        """The same file with some of its items."""
        return BenchmarkSet(self.name, self.path, self.sha256, tuple(items))


def read_benchmark(path: Path | str, template: str = TEMPLATE, *, fewest: int = FEWEST) -> BenchmarkSet:
    """The items of a file.

    ConfigError for a template that names no field of an item or another one; DataError, with the item's id, for a file that
    cannot be read, fields that are missing, ids that stand twice, a text that is empty, or fewer than `fewest` items.
    """
    wanted = fields_of(template)
    path = Path(path)
    rows = read_items(path)
    items = tuple(_item(row, number, template, wanted, path) for number, row in enumerate(rows, 1))
    seen: set[str] = set()
    for item in items:  # an id may also be the number of another item's line
        if item.id in seen:
            raise DataError(f"{path}: the id '{item.id}' stands more than once; each item needs an id of its own")
        seen.add(item.id)
    if len(items) < fewest:
        raise DataError(f"{path} holds {len(items)} items; a set needs at least {fewest}")
    name = re.sub(r"(\.(jsonl|ndjson|json|csv|parquet))?(\.gz)?$", "", path.name)
    return BenchmarkSet(name or path.name, str(path), hashlib.sha256(path.read_bytes()).hexdigest(), items)


def fields_of(template: str) -> tuple[str, ...]:
    """The fields that a template names. ConfigError if it names none, or one that is not of FIELDS, or is not of this form."""
    try:
        parts = [(name, spec, how) for _, name, spec, how in string.Formatter().parse(template) if name is not None]
    except ValueError as problem:
        raise ConfigError(f"--template {template!r} cannot be read ({problem}); write {TEMPLATE!r}") from problem
    wrong = [name for name, spec, how in parts if name not in FIELDS or spec or how]
    if wrong or not parts:
        what = f"names {{{wrong[0]}}}" if wrong else "names no field"
        raise ConfigError(f"--template {template!r} {what}; it may name {{question}} and {{answer}}, such as {TEMPLATE!r}")
    return tuple(dict.fromkeys(name for name, _, _ in parts))


def language_of(text: str) -> str:
    """ "zh" where at least HAN_SHARE of the letters are Han characters, else "en"."""
    letters = len(_LETTER.findall(text))
    return "zh" if letters and len(_HAN.findall(text)) >= HAN_SHARE * letters else "en"


def _item(row: Item, number: int, template: str, wanted: Sequence[str], path: Path) -> BenchmarkItem:
    if not isinstance(row.get("id"), (str, int, float, NoneType)):
        raise DataError(f"{path}, item {number}: its field 'id' is neither text nor a number")
    name = str(row["id"]) if row.get("id") is not None else str(number)
    where = f"{path}, item {name}"
    whole = row.get("question") is None and isinstance(row.get("text"), str)
    values = {field: _value(row, field, where, needed=field in wanted and not whole) for field in FIELDS}
    text = str(row["text"]) if whole else template.format_map(values).strip()
    if not text.strip() or not (whole or any(values[field].strip() for field in wanted)):
        raise DataError(f"{where}: its text is empty" + ("" if whole else f" after the template {template!r}"))
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        raise DataError(f"{where}: its text is not Unicode ({problem.reason})") from problem
    lang = str(row.get("lang") or language_of(text))
    lang = "zh" if lang.lower().startswith("zh") else lang
    choices, order, twin = _choices(row.get("choices"), where), _order(row.get("order"), where), row.get("twin_of")
    return BenchmarkItem(name, lang, values["question"], values["answer"], text, choices, order, "" if twin is None else str(twin))


def _value(row: Item, field: str, where: str, *, needed: bool) -> str:
    value = row.get(field)
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    if not needed:
        return ""
    there = ", ".join(sorted(row)) or "none"
    if value is not None:
        raise DataError(f"{where}: its field '{field}' is no text; its fields are {there}")
    hint = "" if field == "question" else " (--template '{question}' scores questions alone)"
    raise DataError(f"{where}: it has no '{field}'; its fields are {there}{hint}")


def _choices(value: object, where: str) -> tuple[str, ...]:
    """A list of texts, or an object with one under "text", as some public files have it."""
    found = value.get("text") if isinstance(value, Mapping) else value
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(one, (str, int, float)) for one in found):
        raise DataError(f"{where}: its field 'choices' is no list of texts")
    return tuple(map(str, found))


def _order(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise DataError(f"{where}: its field 'order' is no number")
    return float(value)
