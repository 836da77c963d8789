"""Counts of characters, words and runs of Chinese in a text column, from which the vocabulary is chosen.

A text falls into stretches of Chinese characters (runs), stretches without any East Asian character, and the rest. The
stretches without are cut into words as SentencePiece cuts them: before each space that follows something else, so that a
word has its space in front and indentation stays whole. A digit of any script (², ① and ٣ among them) is a word by itself,
so that no piece joins it with anything. Line ends and tabs belong to no word. Everything is counted in one pass over the
UTF-8 bytes of whole columns in compiled code (numba); distinct words and runs are found by 64-bit hashes, so that two of
them are taken for one with a probability of 2^-64 for each pair (one in 10^6 for six million).

Each text has a weight (see `sample`), and beside the weighted count there is a plain one: a piece must have been seen. Both
are integers of 64 bits.

Memory is bounded, whatever the corpus: `WORDS` distinct words (those seen once are dropped when there are more, then those
seen twice, and so on; a word that comes again after that begins at 0), and runs of `RUNS` characters in all (when there are
more, a run stays if its hash is in the lower half, then in the lower quarter, and so on: a sample of distinct runs with
their full counts, the same for any order of the texts). A word longer than 255 bytes is not counted, because no piece is
that long; a run is cut after 85 characters.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.code_points import made_once
from skyloom.core.kernels import FNV_START, Bools, Bytes, Hashes, Int, Ints, decode, fnv, kernel, mix
from skyloom.core.units import utf8_buffers
from skyloom.tokenizer.words import Runs

WORDS = 6_000_000
"""Distinct words that are kept: about 500 MB."""

RUNS = 48_000_000
"""Characters of distinct runs that are kept: with what `words` needs for them about 2 GB."""

_OTHER, _EAST, _HAN, _BREAK, _DIGIT = 0, 1, 2, 3, 4
_LONGEST = 255
_EAST_ASIAN = (
    (0x2E80, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0xFE30, 0xFE4F), (0xFF00, 0xFFEF), (0x20000, 0x3FFFF),
)  # fmt: skip
"""Ideographs, kana, hangul, CJK and full-width punctuation: what the Latin base leaves to the added pieces."""


@dataclass
class _CountTable:
    """An open hash table of byte strings. `sums`: weight and plain count; `spans`: where the bytes stand in `text`."""

    keys: npt.NDArray[np.uint64] = field(default_factory=lambda: np.zeros(1 << 16, np.uint64))
    sums: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((1 << 16, 2), np.int64))
    spans: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((1 << 16, 2), np.int64))
    text: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(1 << 20, np.uint8))
    state: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))  # strings, bytes of text

    def reserve(self, strings: int, size: int) -> None:
        """Reserve memory for so many more strings of so many bytes in all."""
        slots = len(self.keys)
        while 2 * (self.state[0] + strings) > slots:
            slots *= 2
        if slots > len(self.keys):
            self._move(np.ones(len(self.keys), np.bool_), slots)
        if self.state[1] + size > len(self.text):
            grown = np.zeros(max(2 * len(self.text), int(self.state[1]) + size), np.uint8)
            grown[: self.state[1]] = self.text[: self.state[1]]
            self.text = grown

    def keep(self, wanted: npt.NDArray[np.bool_]) -> None:
        """Drop all strings but those of the wanted slots."""
        self._move(wanted, len(self.keys))

    def _move(self, wanted: npt.NDArray[np.bool_], slots: int) -> None:
        keys, sums, spans = np.zeros(slots, np.uint64), np.zeros((slots, 2), np.int64), np.zeros((slots, 2), np.int64)
        _move(self.keys, self.sums, self.spans, self.text, wanted, keys, sums, spans, self.state)
        self.keys, self.sums, self.spans = keys, sums, spans

    def sorted(self) -> tuple[pa.Array, npt.NDArray[np.int64]]:
        """The strings in the order of their bytes, large_string[n], and weight and count of each, int64[n, 2]."""
        slots = np.flatnonzero(self.keys != 0)
        slots = slots[np.argsort(self.spans[slots, 0])]  # as they stand in the text, so that it need not be copied in pieces
        ends = np.concatenate([[0], np.cumsum(self.spans[slots, 1])]).astype(np.int64)
        packed = _packed(self.text, self.spans[slots], int(ends[-1]))
        strings = pa.LargeStringArray.from_buffers(len(slots), pa.py_buffer(ends), pa.py_buffer(packed))
        order = pa.compute.sort_indices(strings)
        return strings.take(order), self.sums[slots[order.to_numpy()]]


@dataclass
class Counts:
    """Counts of everything that was added.

    `points`: int64[0x110000, 2], weight and plain count of each code point. `dropped_below`: words seen fewer times than this may
    be missing; `runs_share`: the share of distinct runs that is kept. `slice_bytes` are looked at between two looks at the memory.
    """

    words_limit: int = WORDS
    runs_limit: int = RUNS
    slice_bytes: int = 1 << 20
    points: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0x110000, 2), np.int64))
    dropped_below: int = 1
    runs_share: float = 1.0
    bytes: int = 0
    _words: _CountTable = field(default_factory=_CountTable)
    _runs: _CountTable = field(default_factory=_CountTable)

    def add(self, texts: pa.Array | pa.ChunkedArray, weight: int) -> None:
        """Count a column of texts, each of which weighs `weight`."""
        data, offsets = utf8_buffers(texts)
        row: Int
        at: Int
        row, at = 0, int(offsets[0])
        while row < len(offsets) - 1:
            # More cannot come before the slice ends: a word that is counted has a byte or more, and the last ends behind it.
            for table in (self._words, self._runs):
                table.reserve(self.slice_bytes + 1, self.slice_bytes + _LONGEST + 1)
            limit = np.uint64(min(int(self.runs_share * 2.0**64), 2**64 - 1))
            row, at = _scan(
                data, offsets, row, at, at + self.slice_bytes, np.int64(weight), _kinds(), self.points, limit,
                self._words.keys, self._words.sums, self._words.spans, self._words.text, self._words.state,
                self._runs.keys, self._runs.sums, self._runs.spans, self._runs.text, self._runs.state,
            )  # fmt: skip
            self._shrink()
        self.bytes += int(offsets[-1] - offsets[0])

    def _shrink(self) -> None:
        while self._words.state[0] > self.words_limit:
            self.dropped_below += 1
            self._words.keep(self._words.sums[:, 1] >= self.dropped_below)
        while self._runs.state[1] > 3 * self.runs_limit:
            self.runs_share /= 2
            self._runs.keep(self._runs.keys <= np.uint64(int(self.runs_share * 2.0**64)))

    def words(self) -> tuple[list[str], npt.NDArray[np.int64]]:
        """The distinct words, sorted, and weight and count of each, int64[words, 2]."""
        strings, sums = self._words.sorted()
        return strings.to_pylist(), sums

    def runs(self) -> Runs:
        """The distinct runs of two or more Han characters, sorted."""
        strings, sums = self._runs.sorted()
        data, offsets = utf8_buffers(strings)
        parts = data[offsets[0] : offsets[-1]].reshape(-1, 3).astype(np.int32)  # every one of them is three bytes of UTF-8
        points = (parts[:, 0] & 0x0F) << 12 | (parts[:, 1] & 0x3F) << 6 | (parts[:, 2] & 0x3F)
        return Runs(points.astype(np.int32), (offsets - offsets[0]) // 3, sums[:, 0].astype(np.float64), sums[:, 1])


@made_once
def _kinds() -> npt.NDArray[np.uint8]:
    """What each code point is: part of a word, East Asian, Han, or an end of words. uint8[0x110000]."""
    table = np.zeros(0x110000, np.uint8)
    for first, last in _EAST_ASIAN:
        table[first : last + 1] = _EAST
    table[0x4E00:0xA000] = _HAN
    table[0x3007] = _HAN  # 〇
    table[[ord("\n"), ord("\t")]] = _BREAK
    digits = [point for point in range(0x110000) if chr(point).isdigit()]
    table[[point for point in digits if table[point] == _OTHER]] = _DIGIT
    return table


@kernel
def _place(keys: Hashes, key: np.uint64) -> Int:
    mask = np.uint64(len(keys) - 1)
    slot = key & mask
    while keys[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)


@kernel
def _add(
    data: Bytes, start: Int, stop: Int, weight: Int, limit: np.uint64, keys: Hashes, sums: Ints, spans: Ints, text: Bytes,
    state: Ints,
) -> None:  # fmt: skip
    """Count the bytes from start to stop, unless their hash is above the limit."""
    if stop - start > _LONGEST:
        return
    key = FNV_START
    for i in range(start, stop):
        key = fnv(key, data[i])
    key = mix(key) | np.uint64(1)
    if key > limit:
        return
    slot = _place(keys, key)
    if keys[slot] == 0:
        keys[slot] = key
        spans[slot, 0], spans[slot, 1] = state[1], stop - start
        text[state[1] : state[1] + stop - start] = data[start:stop]
        state[0] += 1
        state[1] += stop - start
    sums[slot, 0] += weight
    sums[slot, 1] += 1


@kernel
def _scan(
    data: Bytes, offsets: Ints, row: Int, at: Int, end: Int, weight: Int, kinds: Bytes, points: Ints, limit: np.uint64,
    wkeys: Hashes, wsums: Ints, wspans: Ints, wtext: Bytes, wstate: Ints, rkeys: Hashes, rsums: Ints, rspans: Ints, rtext: Bytes,
    rstate: Ints,
) -> tuple[Int, Int]:  # fmt: skip
    """Count texts from byte `at` of `row` on, until the first border of a word or run behind byte `end`; where to go on."""
    everything = np.uint64(0xFFFFFFFFFFFFFFFF)
    while row < len(offsets) - 1:
        stop = offsets[row + 1]
        i = at
        word: Int
        run: Int
        word, run, spaced = -1, -1, False  # where a word and a run began; the last character was a space
        while i < stop:
            point, width = decode(data, i)
            kind = kinds[point]
            space = point == 32
            if word >= 0 and (kind != _OTHER or (space and not spaced)):
                _add(data, word, i, weight, everything, wkeys, wsums, wspans, wtext, wstate)
                word = -1
            if run >= 0 and (kind != _HAN or i - run >= _LONGEST):
                if i - run >= 6:
                    _add(data, run, i, weight, limit, rkeys, rsums, rspans, rtext, rstate)
                run = -1
            if i >= end and word < 0 and run < 0:  # nothing is open, and the character here has not been counted
                return row, i
            points[point, 0] += weight
            points[point, 1] += 1
            if kind == _OTHER and word < 0:
                word = i
            if kind == _DIGIT:
                _add(data, i, i + width, weight, everything, wkeys, wsums, wspans, wtext, wstate)
            if kind == _HAN and run < 0:
                run = i
            spaced = space
            i += width
        if word >= 0:
            _add(data, word, i, weight, everything, wkeys, wsums, wspans, wtext, wstate)
        if i - run >= 6 and run >= 0:
            _add(data, run, i, weight, limit, rkeys, rsums, rspans, rtext, rstate)
        row += 1
        at = stop
        if at >= end:
            break
    return row, at


@kernel
def _move(
    keys: Hashes, sums: Ints, spans: Ints, text: Bytes, wanted: Bools, new_keys: Hashes, new_sums: Ints, new_spans: Ints,
    state: Ints,
) -> None:  # fmt: skip
    """Put the wanted strings into new tables, and their bytes to the front of the text."""
    order = np.argsort(spans[:, 0])
    strings, size = 0, 0
    for old in order:
        if keys[old] == 0 or not wanted[old]:
            continue
        slot = _place(new_keys, keys[old])
        new_keys[slot] = keys[old]
        new_sums[slot, 0], new_sums[slot, 1] = sums[old, 0], sums[old, 1]
        start, length = spans[old, 0], spans[old, 1]
        for k in range(length):  # never beyond what was read: strings only move forward
            text[size + k] = text[start + k]
        new_spans[slot, 0], new_spans[slot, 1] = size, length
        strings += 1
        size += length
    state[0], state[1] = strings, size


@kernel
def _packed(text: Bytes, spans: Ints, size: Int) -> Bytes:
    out = np.empty(size, np.uint8)
    k = 0
    for i in range(len(spans)):
        start, length = spans[i, 0], spans[i, 1]
        out[k : k + length] = text[start : start + length]
        k += length
    return out
