"""Duplicate spans: lines that recur, and runs of units that stand in more than one place (substring deduplication).

Input: a text column. Output: spans to remove, in bytes of each text, so that the first place in which a line or a run stands
keeps it. Removing whole documents leaves what different pages share: a notice under every article, a paragraph that was quoted.
Lee et al. 2021 (Deduplicating Training Data Makes Language Models Better) remove repeated substrings of 50 tokens with a suffix
array over the corpus; a suffix array needs the corpus in memory, so runs are found here by hashes of 50 units, at places that
winnowing picks (Schleimer, Wilkerson and Aiken 2003): of any 50 units that stand twice, both places pick the same seed of 25,
hence none is missed, and seeds are 7 % of all places.

Units are compared as everywhere (case, spacing and punctuation do not count), but texts are taken as they are: bring them
to NFC first, which every document of the corpus is. Two different lines or runs are taken for one where 64-bit hashes
agree: fewer than three among 10^10.

Memory: these functions hold 60 bytes for each unit of the column; `spans_shards.py` does the same within a limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import FNV_START, GOLDEN, Bools, Bytes, Int, kernel, mix
from skyloom.core.units import utf8_buffers
from skyloom.corpus.dedup.config import SpanConfig
from skyloom.corpus.dedup.minhash import POINT_SHIFT, SINGLE, UNSEEN, WORD, code_points, decode, prepared_shingles
from skyloom.corpus.text import Texts

Words = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spans:
    """Bytes start to stop of text `row` are to be removed: four int64[spans], by row and start; `copies` in the corpus."""

    row: Rows
    start: Rows
    stop: Rows
    copies: Rows


@dataclass(frozen=True)
class Lines:
    """Lines that are compared: their hash, and where they stand. uint64[lines] and three int64[lines]."""

    key: Words
    row: Rows
    start: Rows
    stop: Rows


@dataclass(frozen=True)
class Places:
    """Units of a column: `hashes` uint64[units], `start` and `stop` int64[units] in bytes of the text, `bounds` int64[rows + 1]."""

    hashes: Words
    start: Rows
    stop: Rows
    bounds: Rows


def repeated_lines(texts: Texts, config: SpanConfig) -> Spans:
    """Lines that stand in at least `config.line_copies` places, but for the first of them."""
    found = lines(texts, config)
    first, copies = occurrences(found.key)
    gone = np.flatnonzero((copies >= config.line_copies) & ~first)
    return Spans(found.row[gone], found.start[gone], found.stop[gone], copies[gone])


def repeated_runs(texts: Texts, config: SpanConfig) -> Spans:
    """Runs of at least `config.run` units that stood before, in the same text or another."""
    found = places(texts)
    key, row, place = grams(found, config.run, np.ones(len(found.hashes), bool))
    first, copies = occurrences(key)
    some = np.flatnonzero(copies > 1)
    return covered(found, row[some], place[some], first[some], copies[some], config.run)


def without_spans(texts: Texts, spans: Spans) -> pa.Array:
    """The texts without the spans, large_string; a null becomes "". What is left on both sides of a cut is joined as it is."""
    data, offsets = utf8_buffers(texts)
    out, ends = _cut(data, offsets, spans.row, spans.start, spans.stop)
    return pa.Array.from_buffers(pa.large_string(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(out[: ends[-1]])])


def lines(texts: Texts, config: SpanConfig) -> Lines:
    """The lines of each text that have at least `config.line_units` units, in their order."""
    data, offsets = utf8_buffers(texts)
    return Lines(*_lines(data, offsets, code_points(), config.line_units))


def places(texts: Texts) -> Places:
    """The units of each text and where they stand."""
    data, offsets = utf8_buffers(texts)
    return Places(*_places(data, offsets, code_points()))


def seeds(found: Places, config: SpanConfig) -> tuple[Words, Rows]:
    """The picked seeds: their hashes, and the unit (of all units) at which each begins."""
    keys = prepared_shingles(found.hashes, found.bounds, config.seed)
    values, starts = _winnowed(keys, found.bounds, config.seed, config.window)
    return values, starts


def grams(found: Places, run: int, wanted: npt.NDArray[np.bool_]) -> tuple[Words, Rows, Rows]:
    """Hashes of the runs of `run` units that begin at the units where `wanted`, their rows, and their first units."""
    keys = prepared_shingles(found.hashes, found.bounds, run)
    inside = np.repeat(found.bounds[1:] - run, np.diff(found.bounds)) >= np.arange(len(found.hashes))
    place = np.flatnonzero(wanted & inside)
    return keys[place], np.searchsorted(found.bounds, place, side="right") - 1, place


def around(found: Places, starts: Rows, config: SpanConfig) -> npt.NDArray[np.bool_]:
    """The units at which a run may begin that holds one of the seeds that begin at `starts`, bool[units]."""
    change = np.zeros(len(found.hashes) + 1, np.int64)
    row = np.searchsorted(found.bounds, starts, side="right") - 1
    np.add.at(change, np.maximum(starts - (config.run - config.seed), found.bounds[row]), 1)
    np.add.at(change, starts + 1, -1)
    return np.asarray(np.cumsum(change)[:-1] > 0)


def occurrences(key: Words) -> tuple[npt.NDArray[np.bool_], Rows]:
    """Whether each key is the first of its kind, and how many there are of it."""
    order = np.argsort(key, kind="stable")
    new = np.ones(len(key), bool)
    new[1:] = key[order[1:]] != key[order[:-1]]
    first = np.zeros(len(key), bool)
    first[order[new]] = True
    copies = np.empty(len(key), np.int64)
    copies[order] = np.diff(np.append(np.flatnonzero(new), len(key)))[np.cumsum(new) - 1]
    return first, copies


def covered(found: Places, row: Rows, place: Rows, first: npt.NDArray[np.bool_], copies: Rows, run: int) -> Spans:
    """Spans over the runs that begin at units `place` and are not `first`; units of a first run stay where they overlap.

    All arrays in the order of `place`. `copies` of a span: of its first run.
    """
    count = np.zeros(len(found.hashes), np.int64)
    gone = _cover(place[~first], run, len(count)) & ~_cover(place[first], run, len(count))
    count[place[~first]] = copies[~first]
    return Spans(*_merged(gone, count, found.start, found.stop, found.bounds))


def _cover(place: Rows, run: int, size: int) -> npt.NDArray[np.bool_]:
    change = np.zeros(size + 1, np.int64)
    change[place] += 1
    change[place + run] -= 1
    return np.asarray(np.cumsum(change)[:-1] > 0)


@kernel
def _places(data: Bytes, offsets: Rows, table: npt.NDArray[np.uint32]) -> tuple[Words, Rows, Rows, Rows]:
    rows = len(offsets) - 1
    room = offsets[-1] - offsets[0]
    hashes, start, stop = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.int64)
    total: Int
    bounds, total = np.zeros(rows + 1, np.int64), 0
    for row in range(rows):
        total = _walk(data, offsets[row], offsets[row], offsets[row + 1], table, hashes, start, stop, total)
        bounds[row + 1] = total
    return hashes[:total].copy(), start[:total].copy(), stop[:total].copy(), bounds


@kernel
def _walk(
    data: Bytes, origin: Int, i: Int, end: Int, table: npt.NDArray[np.uint32], hashes: Words, start: Rows, stop: Rows, total: Int
) -> Int:
    """The units of bytes i..end as in `minhash`, with their places from `origin`; returns the new total."""
    in_word, state = False, np.uint64(0)
    while i < end:
        if data[i] < 0x80:
            entry, length = table[data[i]], 1
        else:
            point, length = decode(data, i)
            entry = table[point]
        kind = entry & np.uint32(3)
        if kind == WORD:
            if not in_word:
                state, in_word = FNV_START, True
                start[total] = i - origin
            state = (state ^ np.uint64(entry >> np.uint32(POINT_SHIFT))) * np.uint64(0x9FB21C651E98DF25)
        elif kind != UNSEEN:
            if in_word:
                hashes[total], stop[total] = mix(state), i - origin
                total += 1
                in_word = False
            if kind == SINGLE:
                hashes[total] = mix(np.uint64(entry >> np.uint32(POINT_SHIFT)) * GOLDEN)
                start[total], stop[total] = i - origin, i - origin + length
                total += 1
        i += length
    if in_word:
        hashes[total], stop[total] = mix(state), end - origin
        total += 1
    return total


@kernel
def _lines(data: Bytes, offsets: Rows, table: npt.NDArray[np.uint32], minimum: Int) -> tuple[Words, Rows, Rows, Rows]:
    rows, room, longest = len(offsets) - 1, 0, 0
    for row in range(rows):
        room += 1
        longest = max(longest, offsets[row + 1] - offsets[row])
        for i in range(offsets[row], offsets[row + 1]):
            room += data[i] == 10
    hashes, a, b = np.empty(longest + 1, np.uint64), np.empty(longest + 1, np.int64), np.empty(longest + 1, np.int64)
    key, owner = np.empty(room, np.uint64), np.empty(room, np.int64)
    start, stop, total = np.empty(room, np.int64), np.empty(room, np.int64), 0
    for row in range(rows):
        begin = offsets[row]
        for i in range(offsets[row], offsets[row + 1] + 1):
            if i < offsets[row + 1] and data[i] != 10:
                continue
            count = _walk(data, begin, begin, i, table, hashes, a, b, 0)
            if count >= minimum:
                state = np.uint64(count)
                for k in range(count):
                    state = mix((state ^ hashes[k]) * GOLDEN)
                key[total], owner[total] = state, row
                start[total] = begin - offsets[row]
                stop[total] = min(i + 1, offsets[row + 1]) - offsets[row]  # with its line end
                total += 1
            begin = i + 1
    return key[:total].copy(), owner[:total].copy(), start[:total].copy(), stop[:total].copy()


@kernel
def _winnowed(keys: Words, bounds: Rows, seed: Int, window: Int) -> tuple[Words, Rows]:
    """In each window of seeds the smallest, the last of equal ones; each once."""
    out, total = np.empty(len(keys), np.int64), 0
    for row in range(len(bounds) - 1):
        picked: Int
        end, picked = bounds[row + 1] - seed + 1, -1
        for last in range(bounds[row] + window - 1, end):
            first = last - window + 1
            if picked < first:
                picked = first
                for k in range(first + 1, last + 1):
                    if keys[k] <= keys[picked]:
                        picked = k
            elif keys[last] <= keys[picked]:
                picked = last
            if total == 0 or out[total - 1] != picked:
                out[total] = picked
                total += 1
    places = out[:total].copy()
    return keys[places], places


@kernel
def _merged(gone: Bools, count: Rows, start: Rows, stop: Rows, bounds: Rows) -> tuple[Rows, Rows, Rows, Rows]:
    """Spans of bytes over the units that go; one that reaches the next unit that goes takes what is between."""
    room = 0
    for k in range(len(gone)):
        room += gone[k] and (k == 0 or not gone[k - 1])
    room += len(bounds)
    row_of, first, last, copies = (
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
        np.empty(room, np.int64),
    )
    total = 0
    for row in range(len(bounds) - 1):
        open_span = False
        for k in range(bounds[row], bounds[row + 1]):
            if gone[k] and not open_span:
                row_of[total], first[total], copies[total] = row, start[k], count[k]
                open_span = True
            if gone[k]:
                last[total] = stop[k]
                copies[total] = max(copies[total], count[k])
            elif open_span:
                total += 1
                open_span = False
        if open_span:
            total += 1
    return row_of[:total].copy(), first[:total].copy(), last[:total].copy(), copies[:total].copy()


@kernel
def _cut(data: Bytes, offsets: Rows, row: Rows, start: Rows, stop: Rows) -> tuple[Bytes, Rows]:
    out, ends = np.empty(offsets[-1] - offsets[0], np.uint8), np.zeros(len(offsets), np.int64)
    total, span = 0, 0
    for text in range(len(offsets) - 1):
        i = offsets[text]
        while i < offsets[text + 1]:
            while span < len(row) and (row[span] < text or (row[span] == text and offsets[text] + stop[span] <= i)):
                span += 1
            if span < len(row) and row[span] == text and offsets[text] + start[span] <= i:
                i = offsets[text] + stop[span]
                continue
            out[total] = data[i]
            total += 1
            i += 1
        ends[text + 1] = total
    return out, ends
