"""Path lists of a crawl: which archives a part of it has, checked line by line.

Input: a list as Common Crawl publishes it (`warc.paths.gz`, `wet.paths.gz`: one path in each line), also as `sha256sum` or `md5sum`
write it (checksum, two blanks, path), plain or packed. Output: the archives of the wanted segments and numbers. A segment is a
folder `segments/NAME` of the crawl, or where a path has none the folder of the archive; segments are numbered from 0 in the order
in which the list names them, archives in the order of the list. The list is another machine's word: its size, its lines and the
names in it are bounded.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from skyloom.core.errors import ConfigError, DataError

LARGEST = 256_000_000
"""Bytes of a list, unpacked; a crawl of 90,000 archives has 12 million."""
_LINE = re.compile(r"(?:(?P<sum>[0-9a-fA-F]{32}|[0-9a-fA-F]{64})[ \t]+\*?)?(?P<path>\S[^\x00-\x1f\x7f]{0,1022})")
_SEGMENT = re.compile(r"(?:^|/)segments/([^/]+)/")
_PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?")
_GZIP = b"\x1f\x8b"
_LONGEST_NAME = 230
"""Bytes of a file's name: file systems take 255, and its receipt has more around it while it is written."""
_OURS = ("plan.jsonl", "receipts")
"""Names in the folder of a fetch that are no archives, beside hidden ones and those that end with .json."""


@dataclass(frozen=True)
class Archive:
    """An archive of a crawl: its `path` on the service, the `name` of its file here, and its checksum (MD5 or SHA-256 in hex), ""
    where the list has none."""

    path: str
    name: str
    checksum: str = ""


def read_numbers(text: str, what: str) -> list[tuple[int, int]]:
    """The ranges of "0-9,20" with both ends; "" stands for all and gives none. ConfigError for another text."""
    ranges = []
    for part in text.replace(" ", "").split(",") if text.strip() else []:
        found = _PART.fullmatch(part)
        if found is None:
            raise ConfigError(f"{what} {text!r} is no list of numbers: write it as 0-9 or 0-9,20")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise ConfigError(f"{what} {text!r} counts backwards: write the smaller number first")
        ranges.append((first, last))
    return ranges


def _within(number: int, ranges: Sequence[tuple[int, int]]) -> bool:
    return not ranges or any(first <= number <= last for first, last in ranges)


def chosen_archives(data: bytes, segments: str, files: str, origin: str) -> tuple[list[Archive], dict[str, int]]:
    """The archives of a list in the wanted segments, of these the wanted numbers; and the lines that are no paths, by reason.

    DataError if the list cannot be read, or nothing is left; it says how many segments and archives there are.
    """
    wanted, numbers = read_numbers(segments, "segments"), read_numbers(files, "files")
    lines, refused = _lines(_unpacked(data, origin), origin)
    known: dict[str, int] = {}
    inside = [(path, told) for path, told in lines if _within(known.setdefault(_segment(path), len(known)), wanted)]
    if not lines:
        raise DataError(f"{origin} has no path of an archive: is it a list of paths, as warc.paths.gz?")
    if not inside:
        raise DataError(f"{origin} has {len(known):,} segments, numbered from 0; none of them is in {segments}")
    found = [pair for number, pair in enumerate(inside) if _within(number, numbers)]
    if not found:
        raise DataError(f"{origin} has {len(inside):,} archives in these segments, numbered from 0; none of them is in {files}")
    names = Counter(path.rsplit("/", 1)[-1] for path, _ in found)
    archives = []
    for path, told in found:
        name = path.rsplit("/", 1)[-1]
        archives.append(Archive(path, name if names[name] == 1 else _shortened(path), told))
    if len({archive.name for archive in archives}) < len(archives):
        raise DataError(f"{origin} has archives whose long names end alike, so that their files would have one name")
    return archives, dict(refused)


def _segment(path: str) -> str:
    found = _SEGMENT.search(path)
    return found[1] if found else path.rpartition("/")[0]


def _lines(text: str, origin: str) -> tuple[list[tuple[str, str]], Counter[str]]:
    """Path and checksum of each line, each path once."""
    found: dict[str, str] = {}
    refused: Counter[str] = Counter()
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        path = match["path"] if match else ""
        if not path or path.startswith(("/", ".")) or "://" in path or "\\" in path or {"", ".", ".."} & set(path.split("/")):
            refused["line without a path"] += 1
        elif not _is_file_name(path.rsplit("/", 1)[-1]):
            refused["name that no archive can have here"] += 1
        elif path in found:
            refused["path that stands there twice"] += 1
        else:
            found[path] = ((match["sum"] if match else "") or "").lower()
    return list(found.items()), refused


def _is_file_name(name: str) -> bool:
    """Whether an archive may lie under that name: it is not hidden, none of the files of the fetch itself, and short enough."""
    own = name.casefold() in _OURS or name.casefold().endswith(".json")  # some file systems tell no capitals from small letters
    return not (name.startswith(".") or own or len(os.fsencode(name)) > _LONGEST_NAME)


def _shortened(path: str) -> str:
    """The end of a path as one name, of at most so many bytes as a file system takes."""
    name = path.replace("/", "+")
    while len(os.fsencode(name)) > _LONGEST_NAME:
        name = name[1:]
    return name.lstrip(".")


def _members(data: bytes, origin: str) -> bytes:
    """What gzip members behind each other hold, up to a byte more than LARGEST."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read(LARGEST + 1)
    except EOFError as problem:
        raise DataError(f"{origin} is cut off or damaged; fetch it again") from problem
    except (OSError, zlib.error) as problem:
        raise DataError(f"{origin} is damaged: {problem}") from problem


def _unpacked(data: bytes, origin: str) -> str:
    if data.startswith(_GZIP):
        data = _members(data, origin)
    if len(data) > LARGEST:
        raise DataError(f"{origin} has more than {LARGEST // 1_000_000} MB of paths")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise DataError(f"{origin} is no text in UTF-8, so it is no list of paths") from problem
