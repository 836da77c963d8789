"""Redaction: e-mail and IP addresses, phone, identity-card and bank-card numbers become placeholders.

Input: a text column. Output: the column with `<EMAIL>`, `<PHONE>`, `<ID_CARD>`, `<BANK_CARD>` and `<IP>` in place of what was
found, and a count for each kind and row. The report's release (3.2) warns that such data may still be in it and asks users to
filter again; we do it before anything is trained or released.

A number is only taken for what it seems when it proves it (numbering.py): phone numbers by the numbering plans in
`phonenumbers`, identity and bank cards by their check digits in `python-stdnum`, IP addresses by being public (192.168.0.1,
2001:db8::1 and 127.0.0.1 say nothing about anybody), e-mail addresses by a domain that can exist (user@example.com and
getty@tty1.service stay). Version and section numbers, ISBNs, order numbers, dates and hashes stay.

A compiled scan over the column's bytes (scan.py) proposes spans, and only these are seen by Python and the libraries.
Memory: the column, 25 bytes for each candidate and the texts that change. No state beyond the column: judge shard by shard.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.units import utf8_buffers
from skyloom.corpus.redact.config import KINDS, RedactConfig
from skyloom.corpus.redact.numbering import LEFT, RIGHT, spans
from skyloom.corpus.redact.scan import scan
from skyloom.corpus.text import Texts

SPANS = pa.schema([("row", pa.int64()), ("start", pa.int64()), ("stop", pa.int64()), ("kind", pa.string())])


@dataclass(frozen=True)
class Redacted:
    """`texts`: string[rows]. `counts`: by kind, int64[rows], how many were replaced."""

    texts: pa.Array
    counts: dict[str, npt.NDArray[np.int64]]


def find(texts: Texts, config: RedactConfig) -> pa.Table:
    """Where personal data stands: a table `SPANS`, ascending and without overlaps.

    `start` and `stop` are bytes of the text's UTF-8, so that a span can be cut out of the column without decoding it.
    """
    data, offsets = utf8_buffers(texts)
    candidates = scan(data, offsets)
    found: list[tuple[int, int, int, str]] = []
    columns = (candidates.rows, candidates.starts, candidates.stops, candidates.forms)
    for row, start, stop, form in zip(*(c.tolist() for c in columns), strict=True):
        low, high = int(offsets[row]), int(offsets[row + 1])
        left = data[max(low, start - 4 * LEFT) : start].tobytes().decode("utf-8", "ignore")[-LEFT:]
        right = data[stop : min(high, stop + 4 * RIGHT)].tobytes().decode("utf-8", "ignore")[:RIGHT]
        body = data[start:stop].tobytes().decode("utf-8")
        around = left + body + right
        for first, last, kind in spans(left, body, right, form, config.kinds):
            begin = start - _size(left[len(left) + first :]) if first < 0 else start + _size(body[:first])
            end = begin + _size(around[len(left) + first : len(left) + last])
            if found and found[-1][0] == row and begin < found[-1][2] + low:
                continue
            found.append((row, begin - low, end - low, kind))
    return pa.table(
        [pa.array(c, f.type) for c, f in zip(zip(*found, strict=True) if found else [[]] * 4, SPANS, strict=True)], SPANS
    )


def redact(texts: Texts, config: RedactConfig) -> Redacted:
    """Replace personal data in each text; a text without any comes back as it was, byte for byte."""
    column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
    counts = {kind: np.zeros(len(column), np.int64) for kind in KINDS}
    rows = np.arange(len(column))
    while len(rows):  # once more over what changed: a placeholder may free the number beside it
        changed: dict[int, list[tuple[int, int, str]]] = {}
        table = find(column if len(rows) == len(column) else column.take(pa.array(rows)), config)
        for row, start, stop, kind in zip(*(c.to_pylist() for c in table.columns), strict=True):
            changed.setdefault(int(rows[row]), []).append((start, stop, kind))
            counts[kind][rows[row]] += 1
        rows = np.array(sorted(changed), np.int64)
        if len(rows):
            old = column.take(pa.array(rows)).to_pylist()
            new = [_replaced(text, changed[row]) for row, text in zip(rows.tolist(), old, strict=True)]
            column = pc.replace_with_mask(column, pa.array(np.isin(np.arange(len(column)), rows)), pa.array(new, column.type))
    return Redacted(column, counts)


def _replaced(text: str, found: list[tuple[int, int, str]]) -> str:
    data, parts, done = text.encode("utf-8"), [], 0
    for start, stop, kind in found:
        parts += [data[done:start], f"<{kind.upper()}>".encode()]
        done = stop
    return b"".join([*parts, data[done:]]).decode("utf-8")


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
