"""Sets of documents that a user brings for perplexity: one set a file, or a folder of text files.

Input: files of JSON lines (plain or .gz), Parquet or text, or folders of them. Output: `Texts`: documents with ids. A record has
its text under `text`; `id`, `lang`, `url`, `published` and `license` are kept where they are given. A .txt file is one document; a
folder of .txt files is one set. What cannot be scored is an error that names the file and the record, because a set with holes is
another set.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.json_lines import json_object

KINDS = (".jsonl", ".jsonl.gz", ".parquet", ".txt")
KEPT = ("lang", "url", "published", "license")


@dataclass(frozen=True)
class Document:
    """`facts`: what else its record says of it."""

    id: str
    text: str
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Texts:
    """A set under its name, in the order of its file."""

    name: str
    documents: tuple[Document, ...]


def read_sets(given: Sequence[str]) -> list[Texts]:
    """Sets from words of the command line: FOLDER, FILE or NAME=FILE. ConfigError for names given twice, or what is not there."""
    found = [one for word in given for one in _read(word)]
    twice = [name for name, times in Counter(one.name for one in found).items() if times > 1]
    if twice:
        raise ConfigError(f"two sets are named '{twice[0]}': give NAME=FILE")
    return found


def as_set(name: str, ids: Sequence[str], texts: Sequence[str]) -> Texts:
    """A set from texts in memory, such as a run's held-out ones."""
    return _checked(name, [Document(i, t) for i, t in zip(ids, texts, strict=True)], name)


def _read(word: str) -> Iterator[Texts]:
    name, _, place = word.rpartition("=") if "=" in word and not Path(word).exists() else ("", "", word)
    path = Path(place)
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.name.endswith(KINDS))
        if not files:
            raise DataError(f"{path} holds no set: no file ends in {', '.join(KINDS)}")
        plain = [p for p in files if p.suffix == ".txt"]
        if name and len(plain) < len(files):
            raise ConfigError(f"{path} holds {len(files)} sets, which have the names of their files: leave '{name}=' out")
        if plain:
            yield _checked(name or path.resolve().name, [_text_file(p) for p in plain], str(path))
        yield from (_set_of(p.name[: -len(_kind(p))], p) for p in files if p not in plain)
        return
    if not path.exists():
        raise ConfigError(f"{place} is not there: --sets takes a folder, a file or NAME=FILE")
    yield _set_of(name or path.name.removesuffix(_kind(path)), path)


def _kind(path: Path) -> str:
    for kind in KINDS:
        if path.name.endswith(kind):
            return kind
    raise DataError(f"{path} is no set of documents: its name must end in {', '.join(KINDS)}")


def _set_of(name: str, path: Path) -> Texts:
    kind = _kind(path)
    try:
        if kind == ".txt":
            documents = [_text_file(path)]
        else:
            rows = _parquet(path) if kind == ".parquet" else _json_lines(path)
            documents = [_document(row, path, number) for number, row in rows]
    except (OSError, EOFError, zlib.error) as problem:
        raise StorageError(f"{path} cannot be read: {problem}") from problem
    return _checked(name, documents, str(path))


def _text_file(path: Path) -> Document:
    try:
        return Document(path.stem, path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as problem:
        raise DataError(f"{path} is not UTF-8: {problem.reason} at byte {problem.start}") from problem


def _json_lines(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                row = json_object(line)
                if isinstance(row, str):
                    raise DataError(f"{path}, line {number}: {row}")
                yield number, row


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, object]]]:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if "text" not in names:
            raise DataError(f"{path} has no column 'text'; it has {', '.join(names) or 'none'}")
        number = 0
        for batch in file.iter_batches(columns=[n for n in ("id", "text", *KEPT) if n in names]):
            for row in batch.to_pylist():
                number += 1
                yield number, row
    except pa.ArrowException as problem:
        raise DataError(f"{path} is not a whole Parquet file: {problem}") from problem


def _document(row: Mapping[str, object], path: Path, number: int) -> Document:
    text = row.get("text")
    name = str(row["id"]) if row.get("id") is not None else f"{number}"
    if not isinstance(text, str):
        there = ", ".join(sorted(row)) or "none"
        raise DataError(f"{path}, record {name}: no text under 'text'; its fields are {there}")
    return Document(name, text, {key: str(row[key]) for key in KEPT if row.get(key) is not None})


def _checked(name: str, documents: Sequence[Document], origin: str) -> Texts:
    if not documents:
        raise DataError(f"{origin} is empty: it holds no document")
    twice = [i for i, times in Counter(d.id for d in documents).items() if times > 1]
    if twice:
        raise DataError(f"{origin}: {len(twice)} ids stand more than once, the first is '{twice[0]}'")
    for document in documents:
        if not document.text.strip():
            raise DataError(f"{origin}, record {document.id}: its text is empty")
        try:
            document.text.encode()
        except UnicodeEncodeError as problem:
            raise DataError(f"{origin}, record {document.id}: its text is not Unicode ({problem.reason})") from problem
    return Texts(name, tuple(documents))
