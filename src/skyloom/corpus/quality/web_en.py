"""The published rules for English web text as a named preset, `web-en`: Gopher's, C4's and FineWeb's.

Input: a column of English texts. Output: for each, the first rule that failed (null if none did) and the text that C4's line
rules leave of it. The rules and limits are those of the papers (Rae et al. 2021, Raffel et al. 2020, Penedo et al. 2024) as
datatrove's filters define them, computed on the words that it counts (`english.py`), in the order of FineWeb's recipe: Gopher's
repetition, Gopher's quality, C4's lines and documents, FineWeb's own. So a verdict can be compared with published corpora;
`bench/corpus/quality.py` does so. For a corpus of both languages our own table (`rules.py`) is the default: these limits
were set on English web pages, drop much that is good elsewhere, and say nothing about Chinese.

Repeats are counted by 64-bit hashes in open hash tables that are cleared by a stamp. Memory: 60 bytes for each character of the
longest text, and a copy of the text that is left.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import Bools, Bytes, Hashes, Int, Ints, decode, kernel
from skyloom.core.units import utf8_buffers
from skyloom.corpus.quality.config import FILTERS, WebConfig
from skyloom.corpus.quality.english import split_words
from skyloom.corpus.quality.english_tables import LETTERS, PUNCTUATION, SPACE, STOP, Book, book, hash_points
from skyloom.corpus.quality.gopher import add_up, clear, find_slot, next_line, piece_hash, quality, repetition, stripped, table_mask
from skyloom.corpus.text import Texts

REASONS = (
    "", "empty", "repeated paragraphs", "characters in repeated paragraphs", "repeated lines", "characters in repeated lines",
    "top 2-gram", "top 3-gram", "top 4-gram", "repeated 5-grams", "repeated 6-grams", "repeated 7-grams", "repeated 8-grams",
    "repeated 9-grams", "repeated 10-grams", "too few words", "too many words", "words too short", "words too long",
    "too many hashes", "too many ellipses", "too many bullets", "lines cut off", "too few words with letters", "too few stop words",
    "lorem ipsum", "curly bracket", "too few sentences", "lines without closing marks", "short lines", "repeated characters",
    "a list",
)  # fmt: skip
"""The rules in the order in which they are asked; a text's reason is the first that fails."""

_STOP_WORDS = "the be to of and that have with".split()
_PHRASES = (
    "lorem ipsum",
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)


Constants = tuple[Book, Hashes, npt.NDArray[np.uint32], Ints]


@dataclass(frozen=True)
class WebVerdict:
    """`reason`: string[rows], null where no rule failed. `text`: large_string[rows], what C4 leaves of those."""

    reason: pa.Array
    text: pa.Array


def judge_web_en(texts: Texts, config: WebConfig) -> WebVerdict:
    """Ask the preset's rules of each text of a string column."""
    data, offsets = utf8_buffers(texts)
    wanted = np.array([name in config.filters for name in FILTERS])
    size = int(offsets[-1] - offsets[0])
    out, ends = np.empty(size, np.uint8), np.zeros(len(offsets), np.int64)
    codes = _judge(data, offsets, wanted, config.closing_marks, _tables(), out, ends)
    reasons = pa.array(np.array([None, *REASONS[1:]], object)[codes], pa.string())
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(out[: ends[-1]].copy())]
    return WebVerdict(reasons, pa.Array.from_buffers(pa.large_string(), len(ends) - 1, buffers))


@functools.cache
def _tables() -> Constants:
    listed = [np.array([ord(c) for c in word], np.uint32) for word in _STOP_WORDS]
    stops = np.array([hash_points(points, 0, len(points)) for points in listed], np.uint64)
    phrases = np.zeros((len(_PHRASES), 16), np.uint32)
    for k, phrase in enumerate(_PHRASES):
        phrases[k, : len(phrase)] = [ord(c) for c in phrase]
    rare = np.array([next(phrase.index(c) for c in "vkfp" if c in phrase) for phrase in _PHRASES])
    return book(), stops, phrases, rare


@kernel
def _without_citations(points: npt.NDArray[np.uint32], a: Int, b: Int, out: npt.NDArray[np.uint32], size: Int) -> Int:
    """Copy points[a:b] to `out` from `size` on without [1], [], [edit] and [citation needed]; returns the new size."""
    k = a
    while k < b:
        if points[k] == 91:
            stop = k + 1
            while stop < b and 48 <= points[stop] <= 57:
                stop += 1
            if stop == b or points[stop] != 93:
                stop = k + 1
                while stop < b and stop < k + 17 and points[stop] != 93:
                    stop += 1
                if not (stop < b and points[stop] == 93 and (_spells(points, k, stop, 0) or _spells(points, k, stop, 1))):
                    stop = k - 1
            if stop > k:
                k = stop + 1
                continue
        out[size] = points[k]
        size += 1
        k += 1
    return size


_EDIT = np.array([ord(c) for c in "[edit"], np.uint32)
_NEEDED = np.array([ord(c) for c in "[citation needed"], np.uint32)


@kernel
def _spells(points: npt.NDArray[np.uint32], a: Int, b: Int, which: Int) -> bool:
    text = _NEEDED if which else _EDIT
    if b - a != len(text):
        return False
    for k in range(len(text)):  # noqa: SIM110 (all() is slower in numba)
        if points[a + k] != text[k]:
            return False
    return True


@kernel
def _says(points: npt.NDArray[np.uint32], a: Int, b: Int, phrases: npt.NDArray[np.uint32], rare: Ints) -> int:
    """Which of the phrases (ASCII small letters) points[a:b] hold in any case, as bits; found by their rarest letters."""
    found = 0
    for k in range(a, b):
        point = points[k] | 32
        if point != 118 and point != 107 and point != 102 and point != 112:  # v, k, f, p
            continue
        for p in range(len(phrases)):
            begin = k - rare[p]
            if phrases[p, rare[p]] != point or begin < a:
                continue
            j = 0
            while phrases[p, j] and begin + j < b:
                letter = points[begin + j]
                if (letter | 32 if 65 <= letter <= 90 else letter) != phrases[p, j]:
                    break
                j += 1
            if phrases[p, j] == 0:
                found |= 1 << p
    return found


@kernel
def _sentences(
    points: npt.NDArray[np.uint32], starts: Ints, ends: Ints, flags: Bytes, first: Int, words: Int, kinds: npt.NDArray[np.uint16]
) -> int:
    """Sentences of words first to `words`: one begins at the first word that is no punctuation after a stop."""
    found, closed = 1 if words > first else 0, False
    for k in range(first, words):
        single = ends[k] - starts[k] == 1
        if single and kinds[points[starts[k]]] & STOP:
            closed = True
        elif closed:
            mark = flags[k] & LETTERS == 0
            for j in range(starts[k], ends[k]):
                mark = mark and kinds[points[j]] & PUNCTUATION != 0
            if not mark:
                found, closed = found + 1, False
    return found


@kernel
def _c4(
    points: npt.NDArray[np.uint32], n: Int, tables: Constants, closing: bool, words: Int,
    scratch: tuple[Ints, Ints, Hashes, Bytes], out: npt.NDArray[np.uint32],
) -> tuple[Int, Int, Int]:  # fmt: skip
    """C4's rules: the code of the one that fails, or 0; the size and the words of the lines that stay, which go to `out`."""
    words_book, _, phrases, rare = tables
    kinds = words_book[0]
    starts, ends, hashes, flags = scratch
    at: Int
    size: Int
    total: Int
    size, sentences, total, at, word = 0, 0, 0, 0, 0
    while at < n:
        stop, following = next_line(points, at, n, kinds)
        a, b = stripped(points, at, stop, kinds)
        at, first = following, word
        while word < words and starts[word] < b:
            word += 1
        chunks, longest, brace, bracket = _chunks(points, a, b, kinds)
        if longest > 1000:
            continue
        begin = size
        if bracket:
            size = _without_citations(points, a, b, out, size)
        else:
            size += b - a
            out[begin:size] = points[a:b]
        keep = chunks >= 3
        if closing and keep:
            last = out[size - 1] if size > begin else 0
            dots = size - begin > 2 and last == out[size - 2] == out[size - 3] == 46
            keep = (last == 46 or last == 63 or last == 33 or last == 34 or last == 39) and not dots
        said = _says(out, begin, size, phrases, rare) if keep else 0
        if said & 1:
            return 25, size, total
        if keep and said & 2 == 0 and brace:
            return 26, size, total
        if said or not keep:
            size = begin
            continue
        if size - begin == b - a:
            sentences += _sentences(points, starts, ends, flags, first, word, kinds)
            total += word - first
        else:  # cut citations change the words; what stands beyond `words` is free
            part = split_words(out, begin, size, words_book, starts[words:], ends[words:], hashes[words:], flags[words:])
            sentences += _sentences(out, starts[words:], ends[words:], flags[words:], 0, part, kinds)
            total += part
        out[size] = 10
        size += 1
    return (27 if sentences < 5 else 0), size, total


@kernel
def _chunks(points: npt.NDArray[np.uint32], a: Int, b: Int, kinds: npt.NDArray[np.uint16]) -> tuple[int, int, bool, bool]:
    """Chunks between white space, the length of the longest, and whether there is a curly and a square bracket."""
    chunks, longest, length, curly, square = 0, 0, 0, False, False
    for k in range(a, b):
        point = points[k]
        if kinds[point] & SPACE:
            longest, length = max(longest, length), 0
        else:
            chunks += length == 0
            length += 1
            curly = curly or point == 123
            square = square or point == 91
    return chunks, max(longest, length), curly, square


@kernel
def _fineweb(points: npt.NDArray[np.uint32], n: Int, kinds: npt.NDArray[np.uint16], words: Int, table: Hashes, clock: Ints) -> int:
    """FineWeb's own rules: the code of the first that fails, or 0."""
    clear(table, clock)
    mask = table_mask(n // 2 + 1)
    short: Int
    newlines: Int
    lines, closed, short, repeated, newlines, at = 0, 0, 0, 0, 0, 0
    while at <= n:
        stop, solid = at, False
        while stop < n and points[stop] != 10:
            solid = solid or kinds[points[stop]] & SPACE == 0
            stop += 1
        newlines += stop < n
        if solid:
            lines += 1
            closed += kinds[points[stop - 1]] & STOP != 0
            short += stop - at <= 30
            if find_slot(table, clock, mask, piece_hash(points, at, stop))[1]:
                repeated += stop - at
        at = stop + 1
    if lines == 0:
        return 1
    if closed / lines < 0.12:
        return 28
    if short / lines > 0.67:
        return 29
    if repeated / (n - newlines) > 0.01:
        return 30
    return 31 if newlines / max(words, 1) > 0.3 else 0


@kernel
def _judge(data: Bytes, offsets: Ints, wanted: Bools, closing: bool, tables: Constants, out: Bytes, bounds: Ints) -> Ints:
    rows = len(offsets) - 1
    words_book, stops = tables[0], tables[1]
    kinds = words_book[0]
    codes = np.zeros(rows, np.int64)
    longest = 0
    for row in range(rows):
        longest = max(longest, offsets[row + 1] - offsets[row])
    points, left = np.empty(longest + 2, np.uint32), np.empty(longest + 2, np.uint32)
    room = 2 * longest + 2  # the words of a text, and once more those of a line of it
    starts, ends = np.empty(room, np.int64), np.empty(room, np.int64)
    hashes, flags, sums = np.empty(room, np.uint64), np.empty(room, np.uint8), np.empty(longest + 2, np.uint64)
    slots = table_mask(longest) + 1
    table, counts = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    used: Int
    clock, used = np.zeros(1, np.int64), 0
    for row in range(rows):
        n: Int
        n, i = 0, offsets[row]
        while i < offsets[row + 1]:
            if data[i] < 0x80:
                length: Int
                points[n], length = data[i], 1
            else:
                points[n], length = decode(data, i)
            n, i = n + 1, i + length
        code: Int = 1 if n == 0 else 0
        words = split_words(points, 0, n, words_book, starts, ends, hashes, flags)
        if code == 0 and wanted[0]:
            add_up(hashes, words, sums)
            code = repetition(points, n, kinds, sums, starts, ends, words, table, counts, clock)
        if code == 0 and wanted[1]:
            code = quality(points, n, kinds, hashes, flags, starts, ends, words, stops)
        text, changed = points[:n], False
        if code == 0 and wanted[2]:
            size: Int
            code, size, words = _c4(points, n, tables, closing, words, (starts, ends, hashes, flags), left)
            begin, size = stripped(left, 0, size, kinds)
            text, n, changed = left[begin:size], size - begin, code == 0
        if code == 0 and wanted[3]:
            code = _fineweb(text, n, kinds, words, table, clock)
        codes[row] = code
        if changed and code == 0:
            used = _encode(text, n, out, used)
        else:
            size = offsets[row + 1] - offsets[row]
            out[used : used + size] = data[offsets[row] : offsets[row + 1]]
            used += size
        bounds[row + 1] = used
    return codes


@kernel
def _encode(points: npt.NDArray[np.uint32], n: Int, out: Bytes, used: Int) -> Int:
    for k in range(n):
        point = points[k]
        if point < 0x80:
            out[used] = point
            used += 1
            continue
        extra = 1 if point < 0x800 else (2 if point < 0x10000 else 3)
        out[used] = ((0xFF00 >> (extra + 1)) & 0xFF) | (point >> (6 * extra))
        for j in range(extra - 1, -1, -1):
            out[used + extra - j] = 0x80 | ((point >> (6 * j)) & 0x3F)
        used += extra + 1
    return used
