"""Tokenization for the learned quality judges: units of text in lower case, digits as 0, line by line.

Input: a string column. Output: the tokens' 64-bit hashes with the bounds of lines and texts, or, for tools that read text
(`lmplz`, `kenlm`), one string for each line with a space between tokens. Both are made by one compiled pass over the column's
bytes and agree token by token.

CCNet (Wenzek et al. 2020), which report 3.1 follows, feeds its language models SentencePiece pieces of normalised lines.
Here a token is our unit of text (`core.units`: a Han, kana or hangul character or a word of another script), in
lower case and with every digit as 0: the models need no second model to be read, one threshold has the same meaning in every
part of the corpus pipeline, Chinese needs no segmentation, and words that a model never saw cost what `<unk>` costs instead of
being spelt. Punctuation is no unit; the rules judge it.

Memory: eight bytes for each token and eight for each line beside a copy of the column in lower case.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.code_points import made_once
from skyloom.core.kernels import FNV_PRIME, FNV_START, Bools, Bytes, Hashes, Int, Ints, decode, kernel, mix
from skyloom.core.units import unit_classes, utf8_buffers
from skyloom.corpus.text import Texts

_SPLIT, _SINGLE, _WORD = 0, 1, 2  # the classes of `core.units`


@dataclass(frozen=True)
class Tokens:
    """Tokens of a column. Line i owns `hashes[lines[i]:lines[i + 1]]`, text j the lines `rows[j]` to `rows[j + 1]`.

    `hashes`: uint64[tokens]; `lines`: int64[lines + 1]; `rows`: int64[rows + 1]. Lines without a token are left out.
    """

    hashes: npt.NDArray[np.uint64]
    lines: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Tokens of each text, int64[rows]."""
        return np.diff(self.lines[self.rows])


def tokens(texts: Texts, *, zero_digits: bool = True) -> Tokens:
    """The tokens of each text of a string column; lines end at "\\n", a null has none. Digits may be kept apart."""
    data, offsets = utf8_buffers(_folded(texts))
    size = int(offsets[-1] - offsets[0])
    hashes, lines = np.empty(size, np.uint64), np.empty(size + 1, np.int64)  # pages that are not used are never touched
    rows = np.empty(len(offsets), np.int64)
    found, breaks = _tokens(data, offsets, unit_classes(), hashes, lines, rows, zero_digits)
    return Tokens(hashes[:found].copy(), lines[: breaks + 1].copy(), rows)


def token_lines(texts: Texts) -> pa.Array:
    """One string for each line that has a token, tokens in order and one space between them; large_string[lines]."""
    data, offsets = utf8_buffers(_folded(texts))
    size = int(offsets[-1] - offsets[0])
    out, ends = np.empty(2 * size, np.uint8), np.empty(size + 1, np.int64)
    used, lines = _spell(data, offsets, unit_classes(), out, ends)
    buffers = [None, pa.py_buffer(ends[: lines + 1].copy()), pa.py_buffer(out[:used].copy())]
    return pa.Array.from_buffers(pa.large_string(), lines, buffers)


def split_tokens(lines: Texts) -> Tokens:
    """White-space separated tokens as they stand, one text and one line for each string: what `kenlm` reads."""
    data, offsets = utf8_buffers(lines)
    hashes = np.empty(int(offsets[-1] - offsets[0]), np.uint64)
    ends = np.zeros(len(offsets), np.int64)
    found = _split(data, offsets, hashes, ends)
    return Tokens(hashes[:found].copy(), ends, np.arange(len(offsets), dtype=np.int64))


def hash_words(words: Texts) -> npt.NDArray[np.uint64]:
    """The hash of each string as if it were a token, uint64[rows]."""
    data, offsets = utf8_buffers(words)
    return _words(data, offsets)


def _folded(texts: Texts) -> Texts:
    """The column in NFC and lower case. Most rows are in NFC already, and seeing that is ten times cheaper than doing it."""
    data, offsets = utf8_buffers(texts)
    doubtful = _doubtful(data, offsets, _stable())
    if doubtful.any():
        column = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        column, mask = column.cast(pa.large_string()), pa.array(doubtful)
        texts = pc.replace_with_mask(column, mask, pc.utf8_normalize(column.filter(mask), form="NFC"))
    return pc.utf8_lower(texts)


@made_once
def _stable() -> npt.NDArray[np.bool_]:
    """Code points that NFC neither changes nor joins with a neighbour, bool[0x110000]."""
    table = np.ones(0x110000, np.bool_)
    for point in range(0x300, 0x30000):
        character = chr(point)
        table[point] = unicodedata.combining(character) == 0 and unicodedata.is_normalized("NFC", "a" + character)
    table[0x1100:0x1200] = False  # hangul letters join into syllables
    for point in (*range(0x900, 0x1100), *range(0x1B00, 0x1B50)):  # Indic vowel signs of class 0 that join
        table[point] = False
    table[0x11000:0x12000] = False
    return table


@kernel
def _doubtful(data: Bytes, offsets: Ints, stable: Bools) -> Bools:
    out = np.zeros(len(offsets) - 1, np.bool_)
    for row in range(len(offsets) - 1):
        i = offsets[row]
        while i < offsets[row + 1]:
            if data[i] < 0xCC:  # below U+0300
                i += 1
                continue
            point, length = decode(data, i)
            if not stable[point]:
                out[row] = True
                break
            i += length
    return out


@kernel
def _tokens(
    data: Bytes, offsets: Ints, classes: Bytes, hashes: Hashes, lines: Ints, rows: Ints, zero_digits: bool
) -> tuple[int, int]:
    found, breaks = 0, 0
    lines[0], rows[0] = 0, 0
    for row in range(len(offsets) - 1):
        i, stop, inside = offsets[row], offsets[row + 1], False
        state = FNV_START
        while i < stop:
            byte = data[i]
            if byte < 0x80:
                length: Int
                kind, length = classes[byte], 1
            else:
                point, length = decode(data, i)
                kind = classes[point]
            if inside and kind != _WORD:
                hashes[found] = mix(state)
                found += 1
                inside = False
            if kind == _WORD:
                if not inside:
                    state, inside = FNV_START, True
                if length == 1:
                    state = (state ^ np.uint64(48 if zero_digits and 48 <= byte <= 57 else byte)) * FNV_PRIME
                else:
                    for k in range(i, i + length):
                        state = (state ^ np.uint64(data[k])) * FNV_PRIME
            elif kind == _SINGLE:
                state = FNV_START
                for k in range(i, i + length):
                    state = (state ^ np.uint64(data[k])) * FNV_PRIME
                hashes[found] = mix(state)
                found += 1
            elif byte == 10 and found > lines[breaks]:
                breaks += 1
                lines[breaks] = found
            i += length
        if inside:
            hashes[found] = mix(state)
            found += 1
        if found > lines[breaks]:
            breaks += 1
            lines[breaks] = found
        rows[row + 1] = breaks
    return found, breaks


@kernel
def _spell(data: Bytes, offsets: Ints, classes: Bytes, out: Bytes, ends: Ints) -> tuple[int, int]:
    used, lines = 0, 0
    ends[0] = 0
    for row in range(len(offsets) - 1):
        i, stop, inside = offsets[row], offsets[row + 1], False
        while i <= stop:
            byte = data[i] if i < stop else np.uint8(10)
            point, length = (np.int64(byte), 1) if byte < 0x80 else decode(data, i)
            kind = classes[point]
            if (kind == _SINGLE or (kind == _WORD and not inside)) and used > ends[lines]:
                out[used] = 32
                used += 1
            if kind != _SPLIT:
                for k in range(i, i + length):
                    out[used] = 48 if 48 <= data[k] <= 57 else data[k]
                    used += 1
            elif byte == 10 and used > ends[lines]:
                lines += 1
                ends[lines] = used
            inside = kind == _WORD
            i += length
    return used, lines


@kernel
def _split(data: Bytes, offsets: Ints, hashes: Hashes, ends: Ints) -> int:
    found = 0
    for row in range(len(offsets) - 1):
        state, inside = FNV_START, False
        for i in range(offsets[row], offsets[row + 1]):
            byte = data[i]
            if byte == 32 or 9 <= byte <= 13:
                if inside:
                    hashes[found] = mix(state)
                    found += 1
                inside = False
            else:
                if not inside:
                    state, inside = FNV_START, True
                state = (state ^ np.uint64(byte)) * FNV_PRIME
        if inside:
            hashes[found] = mix(state)
            found += 1
        ends[row + 1] = found
    return found


@kernel
def _words(data: Bytes, offsets: Ints) -> Hashes:
    out = np.empty(len(offsets) - 1, np.uint64)
    for row in range(len(offsets) - 1):
        state = FNV_START
        for i in range(offsets[row], offsets[row + 1]):
            state = (state ^ np.uint64(data[i])) * FNV_PRIME
        out[row] = mix(state)
    return out
