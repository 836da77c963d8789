"""Tables as text: CSV and TSV files whose first line names the columns.

Input: a file. Output: a PAGE row for each record, whose columns are named as the keys of JSON lines. The delimiter is a tab in a
`.tsv`, else the commonest of `,` `;` tab and `|` in the first line. A quoted cell may hold line ends. UTF-8, UTF-16 with or
without its mark, or another charset, in which case it is decided for each cell as for any page. A record beyond the limit is a
row with its reason, and reading goes on after the line in which its last quote is closed; so is what follows a quote that is
never closed. Memory: one record of at most the page limit, twice.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from skyloom.core.records import PageRow
from skyloom.corpus.sources.readers.byte_streams import BROKEN, File, opened, reason_of, utf16_of
from skyloom.corpus.sources.readers.jsonl import record_row
from skyloom.corpus.sources.readers.page_columns import FIELDS, fields
from skyloom.corpus.sources.readers.rows import About, broken_row
from skyloom.corpus.text import charset

TEXTS = ("html", "text", "content")
UNCLOSED = "broken: a quote that is never closed"
_DELIMITERS = ",;\t|"
_SEPARATOR, _QUOTED = re.compile(r'"?sep=(.)"?\s*\Z'), re.compile(r'"[^"]*"')
_EXTRA = 1 << 16


def pages(file: File, about: About) -> Iterator[PageRow]:
    """PAGE rows of a file's records, in their order. Records are told apart by the number of their first line."""
    lines: _Lines | None = None
    try:
        with opened(file, about.max_ratio) as stream:
            lines = _Lines(stream, about.max_body + _EXTRA)
            yield from _records(file, about, lines)
    except BROKEN as problem:
        yield broken_row(about, file.name, f"{lines.number if lines else 0}+", reason_of(problem))
    except (csv.Error, _TooLongError):  # the first line
        yield broken_row(about, file.name, 1, about.too_large)


def columns(file: File, head: bytes) -> list[str]:
    """The names of the columns, from the beginning of a file."""
    lines = _Lines(io.BytesIO(head), len(head) + 1)
    try:
        return _opened(file, lines)[0]
    except csv.Error:
        return []


def _records(file: File, about: About, lines: _Lines) -> Iterator[PageRow]:
    csv.field_size_limit(max(csv.field_size_limit(), lines.limit))  # `lines` keeps the limit; this one is of the whole process
    names, rows, delimiter = _opened(file, lines)
    keys = [name if name == about.text_field or name.lower() not in FIELDS else name.lower() for name in names]
    texts = {*TEXTS, about.text_field}
    wanted = [(i, key) for key, i in {key: i for i, key in reversed(list(enumerate(keys)))}.items() if key in fields(about)]
    while True:
        place = lines.begin()
        try:
            row = next(rows, None)
        except (csv.Error, _TooLongError):
            yield broken_row(about, file.name, place, about.too_large)
            lines.skip()
            rows = csv.reader(lines, delimiter=delimiter)
            continue
        if row is None:
            return
        if row and lines.done:  # the reader asked for another line: it is in a quoted cell
            yield broken_row(about, file.name, place, UNCLOSED)
        elif row:
            yield record_row(_record(wanted, row, texts, lines), place, file.name, about)


def _record(wanted: Sequence[tuple[int, str]], row: Sequence[str], texts: set[str], lines: _Lines) -> dict[str, str | bytes]:
    """The cells that a record may have, by name; of two columns of one name the first."""
    found = ((key, row[i]) for i, key in wanted if i < len(row))
    return {key: lines.body(cell) if key in texts else lines.text(cell) for key, cell in found}


def _opened(file: File, lines: _Lines) -> tuple[list[str], Iterator[list[str]], str]:
    """The names of the columns, the records below them, and the delimiter."""
    first = next(lines, "")
    delimiter = _delimiter(file, first)
    if said := _SEPARATOR.match(first):  # as Excel writes it above the names
        delimiter, first = said[1], next(lines, "")
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter)
    return lines.texts(next(rows, [])), rows, delimiter


def _delimiter(file: File, line: str) -> str:
    if ".tsv" in file.name.lower():
        return "\t"
    return max(_DELIMITERS, key=_QUOTED.sub("", line).count)


class _TooLongError(ValueError):
    """A record beyond the limit."""


class _Lines:
    """The lines of a stream as characters for the csv module: those of UTF-16, else one for each byte.

    `number` counts lines, `done` says that there are no more.
    """

    def __init__(self, stream: BinaryIO, limit: int) -> None:
        buffered = io.BufferedReader(cast(io.RawIOBase, stream))
        head = bytes(buffered.peek(4)[:4])
        wide = utf16_of(head)
        self._wide = bool(wide)
        if head[:3] == codecs.BOM_UTF8:
            buffered.read(3)
        self._text = io.TextIOWrapper(buffered, wide or "latin-1", errors="replace", newline="")
        self.limit, self.number, self.done = limit, 0, False
        self._size, self._quotes, self._ended = 0, 0, True  # of the record so far; whether its last line is whole

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._line()
        if not line:
            raise StopIteration
        if self._size > self.limit:
            raise _TooLongError
        return line

    def begin(self) -> int:
        """A record begins; the number of its first line, from 1."""
        self._size = self._quotes = 0
        return self.number + 1

    def skip(self) -> None:
        """Pass over the rest of a record that is too long: to the end of the line after which as many quotes are closed as open."""
        while not self._ended or self._quotes % 2:
            if not self._line():
                return

    def _line(self) -> str:
        line = self._text.readline(self.limit + 1)
        self.done = not line
        self._ended = line.endswith(("\n", "\r"))
        self.number += self._ended
        self._size += len(line)
        self._quotes += line.count('"')
        return line

    def body(self, cell: str) -> str | bytes:
        """A cell as text, or as bytes where it is not UTF-8."""
        if self._wide:
            return cell
        data = cell.encode("latin-1")
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data

    def text(self, cell: str) -> str:
        """A cell as text in any charset, without spaces around it."""
        found = self.body(cell)
        return (found if isinstance(found, str) else charset.decode(found).text).strip()

    def texts(self, cells: Sequence[str]) -> list[str]:
        """Cells as `text` gives them, where those that are not UTF-8 have one charset: a few bytes say little of theirs."""
        found = [self.body(cell) for cell in cells]
        odd = [" ".join(cell.splitlines()) for cell, known in zip(cells, found, strict=True) if not isinstance(known, str)]
        read = iter(charset.decode("\n".join(odd).encode("latin-1")).text.split("\n"))
        return [(known if isinstance(known, str) else next(read, "")).strip() for known in found]
