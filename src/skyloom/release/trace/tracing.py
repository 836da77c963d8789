"""Which training documents have the longest n-grams of a text, where these are from, and how often they occur.

Input: an index and a text, for example what a model wrote. Output: the longest stretches of the text that stand word for word in
training documents, and for each some of these documents with source, address and licence. A stretch is maximal: it stands in the
corpus, and made longer on either side it does not. This is what OLMoTrace shows (J. Liu et al., OLMoTrace: Tracing Language Model
Outputs Back to Trillions of Training Tokens, ACL 2025 demonstrations), without its ranking by rareness: here longer comes first.

That a text stands in a document does not say that the model learnt it there.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from skyloom.core.errors import DataError
from skyloom.core.kernels import Ints32
from skyloom.core.units import hash_units, unit_bounds
from skyloom.release.trace.suffixes import longest, occurrences
from skyloom.release.trace.trace_index import IndexPart, TraceIndex

LEAST = 6
MOST_UNITS = 10_000
_LOOKED = 10_000
"""Occurrences of a stretch in a part of the index among which documents are looked for; all are counted."""
_AROUND = 60


@dataclass(frozen=True)
class TracedDocument:
    """A training document that has a stretch. `before`, `matched`, `after`: the document's own words at the first place.

    `occurrences`: in this document, among the first 10,000 of each part of the index.
    """

    id: str
    source: str
    url: str
    license: str | None
    lang: str
    occurrences: int
    before: str
    matched: str
    after: str


@dataclass(frozen=True)
class TracedSpan:
    """A stretch of the text. `start`, `stop`: characters of the text in NFC. `units`: its length. `occurrences`: in the corpus."""

    text: str
    start: int
    stop: int
    units: int
    occurrences: int
    documents: tuple[TracedDocument, ...]


@dataclass(frozen=True)
class Traced:
    """What was found for a text (`text`: in NFC), longest first. `units`: of the text; `traced`: those in stretches that were
    found, all of at least `least` units."""

    text: str
    units: int
    traced: int
    least: int
    spans: tuple[TracedSpan, ...]


def trace(index: TraceIndex, text: str | bytes, *, least: int = LEAST, spans: int = 5, documents: int = 3) -> Traced:
    """The longest stretches of `text` in the corpus: at most `spans`, of at least `least` units, with at most `documents` each.

    Case, punctuation and space do not count. DataError for a text that is empty, no UTF-8, shorter than `least` units, or longer
    than 10,000 units; IntegrityError if the index is damaged.
    """
    composed = composed_text(text, least)
    data = composed.encode("utf-8")
    hashes = hash_units(pa.array([composed])).hashes
    starts, stops = unit_bounds(data)
    queries = [part.numbered(hashes) for part in index.parts]
    lengths = np.zeros(len(hashes), np.int32)
    for part, query in zip(index.parts, queries, strict=True):
        np.maximum(lengths, longest(part.units_array, part.order, part.starts, query), out=lengths)
    chosen = _maximal(lengths, least)
    covered = np.zeros(len(hashes), bool)
    for first in chosen:
        covered[first : first + lengths[first]] = True
    found = []
    for first in sorted(chosen, key=lambda at: (-lengths[at], at))[:spans]:
        last = first + int(lengths[first])
        total, documented = _documents(index, [query[first:last] for query in queries], documents)
        words = data[starts[first] : stops[last - 1]].decode("utf-8")
        start = len(data[: starts[first]].decode("utf-8"))
        found.append(TracedSpan(words, start, start + len(words), last - first, total, documented))
    return Traced(composed, len(hashes), int(covered.sum()), least, tuple(found))


def composed_text(text: str | bytes, least: int) -> str:
    """A text in NFC, if it can be traced; DataError as `trace` raises it."""
    try:
        composed = unicodedata.normalize("NFC", text.decode("utf-8") if isinstance(text, bytes) else text)
        units = len(unit_bounds(composed.encode("utf-8"))[0])
    except UnicodeError as problem:
        raise DataError(f"the text is not UTF-8: {problem}") from problem
    if not units:
        raise DataError("the text has no words and no characters: there is nothing to trace")
    if units < least:
        raise DataError(f"the text has {units} units (words or Han characters); n-grams of at least {least} are traced (--least)")
    if units > MOST_UNITS:
        raise DataError(f"the text has {units:,} units (words or Han characters); cut it into texts of at most {MOST_UNITS:,}")
    return composed


def _maximal(lengths: Ints32, least: int) -> list[int]:
    """Where stretches begin that no other contains."""
    found, reached = [], 0
    for first, length in enumerate(lengths.tolist()):
        if length >= least and first + length > reached:
            found.append(first)
        reached = max(reached, first + length)
    return found


def _documents(index: TraceIndex, queries: list[Ints32], wanted: int) -> tuple[int, tuple[TracedDocument, ...]]:
    """How often a stretch occurs in all parts, and the first documents that have it."""
    total = 0
    found: list[TracedDocument] = []
    for part, query in zip(index.parts, queries, strict=True):
        first, last = occurrences(part.units_array, part.order, part.starts, query)
        total += last - first
        if last > first and len(found) < wanted:
            found += _of_part(part, part.order[first : min(last, first + _LOOKED)], len(query), wanted - len(found))
    return total, tuple(found)


def _of_part(part: IndexPart, positions: Ints32, length: int, wanted: int) -> list[TracedDocument]:
    places = np.sort(positions)
    bounds = part.bounds
    rows = np.searchsorted(bounds, places, side="right") - 1
    distinct, at, counts = np.unique(rows, return_index=True, return_counts=True)
    found = []
    for row, one, count in zip(distinct[:wanted].tolist(), at.tolist(), counts.tolist(), strict=False):
        about, text = part.document(row)
        data = unicodedata.normalize("NFC", text).encode("utf-8")
        starts, stops = unit_bounds(data)
        first = int(places[one] - bounds[row])
        start, stop = int(starts[first]), int(stops[first + length - 1])
        found.append(
            TracedDocument(
                about["id"] or "", about["source"] or "", about["url"] or "", about["license"], about["lang"] or "", count,
                _cut(data[:start], end=True), data[start:stop].decode("utf-8"), _cut(data[stop:], end=False),
            )
        )  # fmt: skip
    return found


def _cut(data: bytes, *, end: bool) -> str:
    """The last or first characters of UTF-8."""
    wide = data[-4 * _AROUND :] if end else data[: 4 * _AROUND]
    text = wide.decode("utf-8", "ignore")
    return text[-_AROUND:] if end else text[:_AROUND]
