"""Which keys or columns of a source hold text: for the message when none of its records has its text where it was looked for.

Input: a source of JSON lines, CSV or TSV. Output: the names of the keys of its first records that hold text. Memory: one block of
lines.
"""

from __future__ import annotations

import re

from skyloom.core.json_lines import json_object
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, opened
from skyloom.corpus.sources.readers.delimited import columns
from skyloom.corpus.sources.readers.jsonl import line_blocks
from skyloom.corpus.sources.readers.rows import About, spelt
from skyloom.corpus.sources.resolved import ResolvedSource

_RECORDS = 100
_NAMES = 20
_LONGEST = 60
_HEAD = 1 << 16
_NAME = re.compile(r"\w{1,40}")


def text_keys(source: ResolvedSource) -> list[str]:
    """Names of the keys that hold text in the first records, in the order of the file; none where a source has no keys."""
    files = [part for part in source.parts if isinstance(part, File)]
    if not files or source.kind not in ("jsonl", "csv", "parallel"):
        return []
    try:
        found = _of_lines(files[0], source) if source.kind == "jsonl" else _of_table(files[0], source)
    except BROKEN:
        return []
    return [spelt(name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…") for name in found[:_NAMES] if name.isprintable()]


def _of_lines(file: File, source: ResolvedSource) -> list[str]:
    about = About(source.config.name, "web", None, int(source.config.max_body_mb * 1e6), source.config.max_ratio)
    names: dict[str, None] = {}
    for _, block, _ in line_blocks(file, about):
        for line in block.splitlines()[:_RECORDS]:
            record = json_object(line)
            if not isinstance(record, str):
                names |= dict.fromkeys(key for key, value in record.items() if isinstance(value, str) and value)
        break
    return list(names)


def _of_table(file: File, source: ResolvedSource) -> list[str]:
    if source.kind == "parallel" and ".tsv" not in file.name.lower():
        return []
    with opened(file, source.config.max_ratio) as stream:
        names = [name for name in columns(file, stream.read(_HEAD)) if name]
    if source.kind == "parallel" and not all(_NAME.fullmatch(name) for name in names):
        return []  # the first line is no header but a pair
    return names
