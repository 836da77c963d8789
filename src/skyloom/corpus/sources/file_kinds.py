"""File discovery: which files of a path belong to a source, and of what kind they are.

Input: a kind (or "auto") and a path. Output: a kind and its files. "auto" looks at what files hold, not at what they are
called; names only choose among many files and tell apart what content cannot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from skyloom.core.errors import DataError
from skyloom.corpus.sources.readers.byte_streams import BROKEN, MARK, File, listing, open_file, opened, utf16_of

_PACKED = r"(\.gz|\.zst|\.bz2|\.xz)?$"
_NAMES = {
    "html": re.compile(r"\.x?html?" + _PACKED, re.IGNORECASE),
    "warc": re.compile(r"\.warc(\.gz|\.zst)?$", re.IGNORECASE),
    "wet": re.compile(r"\.(warc\.wet|wet)(\.gz|\.zst)?$", re.IGNORECASE),
    "jsonl": re.compile(r"\.(jsonl?|ndjson)" + _PACKED, re.IGNORECASE),
    "parquet": re.compile(r"\.parquet$", re.IGNORECASE),
    "csv": re.compile(r"\.(csv|tsv)" + _PACKED, re.IGNORECASE),
    "text": re.compile(r"\.(txt|md|rst|text)" + _PACKED, re.IGNORECASE),
    "tar": re.compile(r"\.(tar(\.gz|\.bz2|\.xz|\.zst)?|tgz|tbz2?|txz)$", re.IGNORECASE),
    "parallel": re.compile(r"\.(tsv|tmx|po|jsonl)" + _PACKED, re.IGNORECASE),
    "mediawiki": re.compile(r"\.xml(-p\d+p\d+)?" + _PACKED, re.IGNORECASE),
    "latex": re.compile(r"\.(tex|ltx|tar|tgz|gz)$", re.IGNORECASE),
    "epub": re.compile(r"\.epub$", re.IGNORECASE),
}
_GUESSED = [k for k in _NAMES if k != "latex"]  # whose names count as evidence; `.gz` alone says nothing
FILE_KINDS = tuple(_NAMES)
_HEAD = 4096


def find(name: str, kind: str, path: str, *, code: bool, text_field: str = "") -> tuple[str, list[File], int]:
    """The kind of the files at a path or URL, the files of that kind in the order of their names, and how many others there
    are. `text_field`: the column or key that holds the text, if it has another name than usual. DataError if none.

    Files and folders whose names begin with a point are passed over, and not counted.
    """
    files = [f for f in listing(name, path) if not any(p.startswith(".") for p in PurePosixPath(f.name).parts)]
    total = len(files)
    if kind == "auto":
        kind = _guess(files, text_field)
    wanted = "html" if kind == "samples" else kind
    if len(files) > 1 and not (wanted == "text" and code):
        files = [f for f in files if _NAMES[wanted].search(f.name)]
    if not files:
        raise DataError(f"source '{name}': no {wanted} files at {path}")
    if not any(f.size for f in files):
        raise DataError(f"source '{name}': all files at {path} are empty")
    return kind, files, total - len(files)


def _guess(files: Sequence[File], text_field: str) -> str:
    """The commonest kind among the first files, by content; unreadable names (images, style sheets) do not count."""
    votes: Counter[str] = Counter()
    for file in [f for f in files if f.size][:200]:
        if len(files) > 1 and not any(_NAMES[k].search(file.name) for k in _GUESSED):
            continue
        votes[_content_kind(file, text_field)] += 1
    return votes.most_common(1)[0][0] if votes else "text"


def _content_kind(file: File, text_field: str) -> str:
    with open_file(file) as raw:
        head = raw.read(64)
    if head.startswith(b"PAR1"):
        return "parquet"
    if b"application/epub+zip" in head or _NAMES["epub"].search(file.name):
        return "epub"
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:  # a zstd dictionary, which only web archives begin with
        return "wet" if _NAMES["wet"].search(file.name) else "warc"
    try:
        with opened(file, ratio=1e9) as stream:  # a few kilobytes: no bomb can do harm here
            head = stream.read(_HEAD)
    except BROKEN:
        return next((k for k in ("jsonl", "csv", "warc", "tar", "mediawiki") if _NAMES[k].search(file.name)), "text")
    if head[257:262] == b"ustar":
        return "tar"
    return _text_kind(file, head, text_field)


def _as_utf8(head: bytes) -> bytes:
    """The beginning of a file without its mark, of UTF-16 as UTF-8."""
    charset = utf16_of(head)
    return head.decode(charset, "replace").encode("utf-8", "replace").removeprefix(MARK) if charset else head.removeprefix(MARK)


def _text_kind(file: File, head: bytes, text_field: str) -> str:
    start = _as_utf8(head).lstrip().lower()
    if head[:5].upper() == b"WARC/":
        return "wet" if b"conversion" in head or _NAMES["wet"].search(file.name) else "warc"
    if start.startswith(b"{") or (start.startswith(b"[") and _NAMES["jsonl"].search(file.name)):
        return "parallel" if b'"en":' in start and b'"zh":' in start and b'"text":' not in start else "jsonl"
    if b"<mediawiki" in start[:1024]:
        return "mediawiki"
    if re.search(r"\.csv" + _PACKED, file.name, re.IGNORECASE):
        return "csv"
    if re.search(r"\.tsv" + _PACKED, file.name, re.IGNORECASE):
        from skyloom.corpus.sources.readers.delimited import (
            TEXTS,
            columns,
        )  # brings kernels, which who reads a recipe does not need

        names = columns(file, head)
        if text_field in names or {*TEXTS} & {name.lower() for name in names}:
            return "csv"
    if b"<tmx" in start[:1024] or re.search(r"\.(po|tsv)(\.gz)?$", file.name, re.IGNORECASE):
        return "parallel"
    if b"\\documentclass" in head or b"\\documentstyle" in head:
        return "latex"
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")) or b"<html" in start or b"<body" in start:
        return "html"
    return "html" if _NAMES["html"].search(file.name) else "text"
