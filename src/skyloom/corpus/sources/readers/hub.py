"""Hugging Face data sets by name and split, streamed; and local folders that the `datasets` library can load.

Input: `owner/name` (or `owner/name@revision`, or a folder). Output: PAGE tables of its records, whose columns are named as
those of JSON lines. The library is the extra `[hub]` and is imported only here. A data set is read in its own shards, one task
for each, and never stored whole. Its identity is the revision and fingerprint that the library reports, so a run is done again
when the data set changed. Memory: one batch of 1,000 records, or of 32 MB and a record.

A data set is another's work and may be hostile. Its card may name any path or address as its data: files that are not its own are
refused, and columns of images, sound and the like are not opened. Of a shard that breaks, the records before the break are kept,
and a row says why.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from skyloom.core.errors import ConfigError, DataError, SkyloomError, StorageError
from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.page_columns import fields, page_table
from skyloom.corpus.sources.readers.rows import About, broken_row

_BATCH = 1_000
_SERVICES = ("aiohttp.", "httpcore", "httpx", "huggingface_hub.", "requests.", "urllib3.")
"""Modules whose exceptions say that a service cannot be used; not all are OSErrors."""
_WRONG_NAMES = ("BuilderConfig", "Config name", "Bad split", "Unknown split", "Split name", "Unrecognized instruction")
"""How the library's messages begin that say that a subset or split is not there."""
_PACKED = ("zip", "tar", "gzip", "bz2", "xz", "zstd", "lz4")
_BATCH_BYTES = 32 << 20


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
    try:
        builder = _builder(name, subset, revision)
        count = int(builder.as_streaming_dataset(split=split).num_shards)
    except (DataError, StorageError) as problem:
        raise type(problem)(f"source '{source}': {problem}") from problem
    except Exception as problem:
        if _is_damage(problem):  # of its first file, which the library looks at; whoever reads tells so
            part = HubPart(name, revision, subset, split, 0, 1)
            return (part,), f"{shown(name)} {subset} {split} {revision} {_first_line(problem)}"
        raise _told(problem, source, path, subset, split) from problem
    identity = f"{shown(name)} {subset} {split} {revision or builder.hash} {builder.config.create_config_id({})} {count} shards"
    return tuple(HubPart(name, revision, subset, split, i, count) for i in range(count)), identity


def _told(problem: Exception, source: str, path: str, subset: str, split: str) -> SkyloomError:
    """What the library raised for a data set, as a sentence."""
    first = _first_line(problem)
    if isinstance(problem, FileNotFoundError):  # as the library's own are
        return DataError(f"source '{source}': no data set '{path}': {first}")
    if _is_away(problem):
        return StorageError(f"source '{source}': cannot reach data set '{path}': {first}")
    if isinstance(problem, ValueError) and first.startswith(_WRONG_NAMES):
        return ConfigError(f"source '{source}': data set '{path}', subset '{subset}', split '{split}': {first}")
    return DataError(f"source '{source}': '{path}' cannot be read as a data set: {first}")


def _builder(name: str, subset: str, revision: str) -> Any:
    """The library's builder of a data set. DataError if the data set names files that are not its own."""
    builder = _library().load_dataset_builder(_location(name), name=subset or None, revision=revision or None)
    for files in (builder.config.data_files or {}).values():
        for file in files:
            if not is_own(str(file), str(builder.base_path or "")):
                raise DataError(f"data set '{name}' names a file that is not its own, {str(file)!r}: it is not read")
    return builder


def is_own(file: str, base: str) -> bool:
    """Does a data file, as the library names it, lie below the place of its data set (a folder, or `hf://…` with a revision)?

    `zip://member::file` is a member of a packed file; what else stands before `::` is a place of its own.
    """
    *members, place = file.split("::")
    if any(member.partition("://")[0] not in _PACKED for member in members):
        return False
    if "://" not in base:
        folder = Path(base).expanduser().resolve()
        return "://" not in place and Path(os.path.normpath(place)).is_relative_to(folder)
    root, at, _ = base.partition("@")
    return place.startswith(root + (at or "/")) and ".." not in place.split("/")


def pages(part: HubPart, about: About) -> Iterator[pa.Table | PageRow]:
    """PAGE tables of one shard's records, in its order, and a row with a reason where they are damaged.

    StorageError if the data set cannot be reached any more.
    """
    number, name = 0, f"{shown(part.path)}/{part.split}-{part.index:05d}"
    try:
        stream = _without_media(_builder(part.path, part.subset, part.revision).as_streaming_dataset(split=part.split))
        records = stream.shard(part.count, part.index) if part.count > 1 else stream
    except SkyloomError as problem:
        raise type(problem)(f"source '{about.source}': {problem}") from problem
    except Exception as problem:
        if _is_damage(problem):
            yield broken_row(about, name, 1, f"broken: data set: {type(problem).__name__}")
            return
        raise _told(problem, about.source, part.path, part.subset, part.split) from problem
    for batch, broken in _batches(records):
        if batch:
            yield from _rows(batch, number, name, about)
            number += len(batch)
        if broken and _is_away(broken):
            what = f"source '{about.source}': data set '{part.path}': {_first_line(broken)}"
            raise StorageError(f"{what}; run it again") from broken
        if broken:
            yield broken_row(about, name, number + 1, f"broken: data set: {type(broken).__name__}")


def _batches(records: Iterable[dict[str, Any]]) -> Iterator[tuple[list[dict[str, Any]], Exception | None]]:
    """Records by the thousand, or by 32 MB; with the last of them what ended the reading, if it did not end by itself."""
    batch: list[dict[str, Any]] = []
    size = 0
    try:
        for record in records:
            batch.append(record)
            size += sum(len(v) for v in record.values() if isinstance(v, (str, bytes)))
            if len(batch) == _BATCH or size >= _BATCH_BYTES:
                yield batch, None
                batch, size = [], 0
    except MemoryError:
        raise
    except Exception as problem:  # whatever the library makes of damaged data
        yield batch, problem
        return
    yield batch, None


def _without_media(stream: Any) -> Any:
    """A stream without the columns that hold images, sound and the like: to decode them, the library opens any path they name."""
    library = _library()
    features = stream.features or {}
    objects = [k for k, f in features.items() if type(f).__name__ == "Json"]  # decoded without opening anything
    plain = (library.Value, library.ClassLabel)
    media = [k for k, f in features.items() if not isinstance(f, plain) and k not in objects]
    if not media:
        return stream
    closed = stream.decode(False).remove_columns(media)
    for name in objects:
        closed = closed.cast_column(name, features[name])
    return closed


def _is_damage(problem: Exception) -> bool:
    """Whether what the library raised tells of the content of files: Arrow's errors, some of which are plain OSErrors."""
    return isinstance(problem, pa.ArrowException) or (type(problem) is OSError and problem.errno is None)


def _is_away(problem: BaseException | None) -> bool:
    """Does an exception, or one that caused it, say that data cannot be had, and not that it is damaged?"""
    while problem is not None:
        if any(kind.__module__.startswith(_SERVICES) for kind in type(problem).__mro__):
            return True
        bare = type(problem) in (OSError, gzip.BadGzipFile)  # Arrow's word for damage is an OSError without a number
        if isinstance(problem, OSError) and (problem.errno is not None or not bare):
            return True
        problem = problem.__cause__
    return False


def _rows(batch: list[dict[str, Any]], before: int, file: str, about: About) -> Iterator[pa.Table | PageRow]:
    known = [k for k in fields(about) if any(k in r for r in batch)]
    if not {"html", "text", "content", about.text_field} & set(known):
        names = ", ".join(list(batch[0])[:20])
        error = f"broken: no column 'text' or 'html'; set text_field to one of: {names}"[:500]
        for i in range(len(batch)):
            yield broken_row(about, file, before + i + 1, error)
        return
    try:
        columns = {k: pa.array([r.get(k) for r in batch], pa.string()) for k in known}
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
        import datasets
    except ImportError as problem:
        raise StorageError(f"kind 'hub' needs the datasets library: pip install 'skyloom[hub]' ({problem})") from problem
    datasets.disable_progress_bars()
    return datasets


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
