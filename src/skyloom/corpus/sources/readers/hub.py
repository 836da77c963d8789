"""Hugging Face data sets by name and split, streamed; and local folders that the `datasets` library can load.

Input: `owner/name` (or `owner/name@revision`, or a folder). Output: PAGE tables of its records, whose columns are named as
those of JSON lines. The library is the extra `[hub]` and is imported only here. A data set is read in its own shards, one task
for each, and never stored whole. Its identity is the revision and fingerprint that the library reports, so a run is done again
when the data set changed. Memory: one batch of 1,000 records.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyloom.core.errors import ConfigError, DataError, StorageError
from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.page_columns import fields, page_table
from skyloom.corpus.sources.readers.rows import About

_BATCH = 1_000


@dataclass(frozen=True)
class HubPart:
    """Shard `index` of `count` of a data set's split."""

    path: str
    revision: str
    subset: str
    split: str
    index: int
    count: int


def find(source: str, path: str, subset: str, split: str) -> tuple[tuple[HubPart, ...], str]:
    """The shards of a split and the data set's identity. ConfigError for an unknown subset or split, DataError for a data set
    that is not there, StorageError without the library or the network."""
    name, _, revision = path.partition("@")
    library = _library()
    try:
        builder = library.load_dataset_builder(_location(name), name=subset or None, revision=revision or None)
        stream = builder.as_streaming_dataset(split=split)
        count = int(stream.num_shards)
    except (FileNotFoundError, library.exceptions.DatasetNotFoundError) as problem:
        raise DataError(f"source '{source}': no data set '{path}': {_first_line(problem)}") from problem
    except ValueError as problem:
        what = f"data set '{path}', subset '{subset}', split '{split}'"
        raise ConfigError(f"source '{source}': {what}: {_first_line(problem)}") from problem
    except OSError as problem:
        raise StorageError(f"source '{source}': cannot reach data set '{path}': {_first_line(problem)}") from problem
    identity = f"{shown(name)} {subset} {split} {revision or builder.hash} {builder.config.create_config_id({})} {count} shards"
    return tuple(HubPart(name, revision, subset, split, i, count) for i in range(count)), identity


def pages(part: HubPart, about: About) -> Iterator[pa.Table | PageRow]:
    """PAGE tables of one shard's records, in its order. StorageError if the data set cannot be reached any more."""
    number, name = 0, f"{shown(part.path)}/{part.split}-{part.index:05d}"
    try:
        stream = _library().load_dataset(
            _location(part.path), name=part.subset or None, revision=part.revision or None, split=part.split, streaming=True
        )
        records = iter(stream.shard(part.count, part.index) if part.count > 1 else stream)
        while batch := list(itertools.islice(records, _BATCH)):
            yield from _rows(batch, number, name, about)
            number += len(batch)
    except OSError as problem:
        raise StorageError(f"source '{about.source}': data set '{part.path}': {_first_line(problem)}; run it again") from problem


def _rows(batch: list[dict[str, Any]], before: int, file: str, about: About) -> Iterator[pa.Table | PageRow]:
    known = [k for k in fields(about) if k in batch[0]]
    if not {"html", "text", "content", about.text_field} & set(known):
        raise DataError(
            f"source '{about.source}': the data set has no column 'text' or 'html'; set text_field to one of: {', '.join(batch[0])}"
        )
    try:
        columns = {k: pa.array([r[k] for r in batch], pa.string()) for k in known}
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):  # values that are no strings
        for i, record in enumerate(batch):
            yield record_row(record, before + i + 1, file, about)
        return
    yield page_table(about, file, columns, [f"{file}#{before + i + 1}" for i in range(len(batch))])


def shown(path: str) -> str:
    """A data set's name; of a local folder only the last part, since addresses are published."""
    return Path(path).name if Path(path).expanduser().exists() else path


def _location(name: str) -> str:
    folder = Path(name).expanduser()
    return str(folder) if folder.exists() else name


def _library() -> Any:
    try:
        import datasets  # type: ignore[import-untyped]
    except ImportError as problem:
        raise StorageError(f"kind 'hub' needs the datasets library: pip install 'skyloom[hub]' ({problem})") from problem
    datasets.disable_progress_bars()
    return datasets


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
