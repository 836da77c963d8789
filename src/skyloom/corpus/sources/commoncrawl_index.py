"""Answers of a crawl's index (CDX server): records of captured pages, checked field by field.

Input: an answer, JSON lines. Output: the records that can be used, and a count of the lines that cannot, by reason. The index is
another machine's word and may be wrong or hostile: numbers, names and nesting are bounded here, so that what comes after can trust
them. Memory: the records of an answer.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter

from skyloom.core.errors import DataError

FIELDS = ("url", "timestamp", "status", "mime-detected", "languages", "digest", "length", "offset", "filename")
PAGES = 100_000
"""Most pages of the index that are asked for a domain; the largest sites of a crawl have some thousand."""
LINES = 100_000
"""Most lines of an answer; the index gives 15,000."""
_LINE = 1 << 16
_NEEDED = ("url", "filename", "offset", "length")
_NUMBER = re.compile("[0-9]{1,15}")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,1024}")

CrawlRecord = dict[str, str]
"""What the index says of a page: `url`, `filename`, `offset`, `length` (both digits) and more of FIELDS, all of it text."""


def page_count(answer: bytes, domain: str) -> int:
    """How many pages the index has for a domain. DataError if it does not say it, or more than PAGES."""
    try:
        told = json.loads(answer)
        count = told["pages"] if isinstance(told, dict) else told
    except (ValueError, KeyError, RecursionError):
        count = None
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise DataError(f"the index does not say how many pages it has for {domain}: {answer[:80]!r}; check index_url")
    if count > PAGES:
        raise DataError(f"the index says that it has more than {PAGES:,} pages for {domain}: name parts of it, or check index_url")
    return count


def read_records(answer: bytes) -> tuple[list[CrawlRecord], Counter[str]]:
    """The records of an answer, and a count of the lines that are none, by reason."""
    records: list[CrawlRecord] = []
    refused: Counter[str] = Counter()
    for number, line in enumerate(io.BytesIO(answer)):
        found = "beyond the lines of an index page" if number >= LINES else _record(line)
        if isinstance(found, str):
            refused[found] += 1
        elif found:
            records.append(found)
    return records, refused


def _record(line: bytes) -> CrawlRecord | str:
    """A line's record, nothing for an empty line, or why it is none."""
    if len(line) > _LINE:
        return "index line too long"
    if not line.strip():
        return {}
    try:
        told = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):  # the index writes a line of plain text where it breaks off
        return "index line not JSON"
    if not isinstance(told, dict):
        return "index line not a record"
    record = {}
    for key in FIELDS:
        value = told.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and _is_unicode(value):
            record[key] = value
        elif value is not None:
            return "index line not a record"
    if not all(record.get(key) for key in _NEEDED):
        return "index line not a record"
    if not _NUMBER.fullmatch(record["offset"]) or not _NUMBER.fullmatch(record["length"]) or int(record["length"]) == 0:
        return "index record without a place"
    if not _NAME.fullmatch(record["filename"]) or {".", ".."} & set(record["filename"].split("/")):
        return "index record without a file name"
    return record


def _is_unicode(text: str) -> bool:
    """No half of a surrogate pair is in it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
