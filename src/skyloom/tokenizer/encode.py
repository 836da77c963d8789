"""BPE encoder with SentencePiece's ids, over whole Arrow columns, in compiled code (numba).

The ids are those of SentencePiece itself, which joins, of all adjacent pairs whose concatenation is a piece, the one with
the best score, the leftmost of equals, until none is left. Doing that over a whole text is slow; it need not be done. If
two neighbouring characters stand beside each other in no piece, no merge ever crosses between them, so the text falls into
independent chunks there: nearly always a word with the space in front of it, or a few Chinese characters. Chunks are looked
up in a small memory of recent ones (compared character by character, not only by hash) and joined otherwise: short ones by
looking for the best pair again and again, long ones with a heap, so that a megabyte of dashes takes n log n steps like any
other text.

A model that has what this code does not know (normalisation, user-defined or unused pieces, no byte pieces) is not taken:
`Encoder.of` gives None, and the caller uses SentencePiece. tests/tokenizer/test_encode.py holds both against each other.

Memory: the tables take about 120 bytes a piece and 5 MB; a call takes 4 to 12 bytes for each byte of text that is being
encoded, which is a slice of 4 MB, or one row, for each thread, and the ids themselves; a column in chunks is copied once.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import GOLDEN, Bools, Bytes, Hashes, Int, Ints, Ints32, kernel
from skyloom.core.units import utf8_buffers
from skyloom.tokenizer.pieces import SPACE, TYPE, ParsedModel, without_surrogates

SLICE = 4 << 20
"""Bytes of text that a thread is given at once."""

_SPACE = ord(SPACE)
_MISSING = 0xFFFD  # what a byte that is no UTF-8 is read as, as SentencePiece does
_SHORT = 48  # symbols of a chunk that is joined by looking for the best pair again and again
_KEPT = 15  # symbols of the longest chunk that is remembered
_MEMORY = 1 << 15  # chunks that are remembered


@dataclass(frozen=True)
class Encoder:
    """The tables of one model. Symbols are numbers: the ids of pieces, and behind them characters that only stand inside pieces.

    `symbols`: int32[0x110000], the symbol of each code point, -1 where no piece holds it. `bytes_`: int32[256], the ids of
    the byte pieces. `ascii_`: bool[128, 128], which ASCII
    characters stand beside each other in a piece; `beside`: the same for all others, a hash table of uint64 keys.
    `merges`: uint64[slots, 2], a hash table of pairs of symbols with rank << 32 | symbol of what they make (rank 0 is
    joined first). `prefix`: a space is put in front of a text.
    """

    symbols: npt.NDArray[np.int32]
    bytes_: npt.NDArray[np.int32]
    pieces: int
    ascii_: npt.NDArray[np.bool_]
    beside: npt.NDArray[np.uint64]
    merges: npt.NDArray[np.uint64]
    prefix: bool

    @staticmethod
    def of(model: ParsedModel) -> Encoder | None:
        """The tables of a parsed model (`pieces.read_model`); None if this code does not know something that the model has."""
        trainer, normal = model.trainer_spec, model.normalizer_spec
        known = {TYPE.NORMAL, TYPE.UNKNOWN, TYPE.CONTROL, TYPE.BYTE}
        if (
            trainer.model_type != 2
            or trainer.treat_whitespace_as_suffix
            or normal.precompiled_charsmap
            or normal.remove_extra_whitespaces
            or not normal.escape_whitespaces
            or not {p.type for p in model.pieces} <= known
            or sum(p.type == TYPE.BYTE for p in model.pieces) != 256
            or any(" " in p.piece or "\0" in p.piece for p in model.pieces)  # SentencePiece takes NUL for unused
        ):
            return None
        return _tables(model)

    def encode(
        self, column: pa.Array | pa.ChunkedArray, *, threads: int = 1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Ids of all texts, int32[total], and offsets, int64[rows + 1]. A null is an empty text, and an empty text has no ids."""
        data, offsets = utf8_buffers(column)
        bounds = _slices(offsets)
        work = [(data, offsets[a : b + 1]) for a, b in itertools.pairwise(bounds)]
        if threads > 1 and len(work) > 1:
            with ThreadPoolExecutor(threads) as pool:
                parts = list(pool.map(self._slice, work))
        else:
            parts = [self._slice(w) for w in work]
        ends = np.zeros(len(offsets), np.int64)
        if parts:
            np.cumsum(np.concatenate([counts for _, counts in parts]), out=ends[1:])
        return (np.concatenate([ids for ids, _ in parts]) if parts else np.zeros(0, np.int32)), ends

    def _slice(
        self, work: tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        data, offsets = work
        # The most there can be: a byte that is no UTF-8, or a space without a piece, becomes a character of three byte pieces.
        ids = np.empty(3 * (int(offsets[-1] - offsets[0]) + len(offsets)), np.int32)
        counts = np.empty(len(offsets) - 1, np.int64)
        total = _encode(
            data,
            offsets,
            (self.symbols, self.ascii_, self.beside),
            self.merges,
            np.append(self.bytes_, np.int32(self.pieces)),
            self.prefix,
            ids,
            counts,
        )
        return ids[:total].copy(), counts


def _slices(offsets: npt.NDArray[np.int64]) -> list[int]:
    """Where slices of at most SLICE bytes, or of one row, begin, and the number of rows."""
    bounds = [0]
    while bounds[-1] < len(offsets) - 1:
        start = bounds[-1]
        stop = int(np.searchsorted(offsets, offsets[start] + SLICE, side="right")) - 1
        bounds.append(max(stop, start + 1))
    return bounds


def _tables(model: ParsedModel) -> Encoder:
    pieces = [(i, p.piece, p.score) for i, p in enumerate(model.pieces) if p.type == TYPE.NORMAL]
    number = {text: i for i, text, _ in pieces}
    inside: dict[str, None] = {}
    for _, text, _ in pieces:
        inside.update(dict.fromkeys(text))
    symbols = np.full(0x110000, -1, np.int32)
    loose = len(model.pieces)  # characters that are no piece get numbers from here on
    code = dict(number)
    for char in inside:
        if char not in code:
            code[char] = loose
            loose += 1
        symbols[ord(char)] = code[char]
    # Equal scores are equal in float32, which is what SentencePiece compares: LLaMA's runs of spaces all score -1e9.
    order = np.unique(-np.array([score for _, _, score in pieces], np.float32), return_inverse=True)[1]
    rank = {i: int(r) for (i, _, _), r in zip(pieces, order, strict=True)}
    lefts, rights, made = [], [], []
    ascii_ = np.zeros((128, 128), np.bool_)
    beside = set()
    for i, text, _ in pieces:
        for cut in range(1, len(text)):
            left, right = code.get(text[:cut], -1), code.get(text[cut:], -1)
            if left >= 0 and right >= 0:
                lefts.append(left)
                rights.append(right)
                made.append(i)
            a, b = ord(text[cut - 1]), ord(text[cut])
            a, b = 32 if a == _SPACE else a, 32 if b == _SPACE else b
            if a < 128 and b < 128:
                ascii_[a, b] = True
            else:
                beside.add(int(symbols[ord(text[cut - 1])]) << 32 | int(symbols[ord(text[cut])]))
    pairs = np.array(lefts, np.uint64) << np.uint64(32) | np.array(rights, np.uint64)
    keys, slots = _table(pairs)
    merges = np.zeros((len(keys), 2), np.uint64)
    merges[:, 0] = keys
    merges[slots, 1] = np.array([rank[i] << 32 | i for i in made], np.uint64)
    bytes_ = np.full(256, -1, np.int32)
    for i, piece in enumerate(model.pieces):
        if piece.type == TYPE.BYTE:
            bytes_[int(piece.piece[3:5], 16)] = i
    normal = model.normalizer_spec
    return Encoder(
        symbols, bytes_, len(model.pieces), ascii_, _table(np.array(sorted(beside), np.uint64))[0],
        merges, bool(normal.add_dummy_prefix),
    )  # fmt: skip


def _table(keys: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """An open hash table of keys + 1 (0 is empty), at most a quarter full, and the slot of each key."""
    table = np.zeros(max(1 << int(np.ceil(np.log2(4 * len(keys) + 1))), 16), np.uint64)
    slots = np.empty(len(keys), np.int64)
    _fill(table, keys, slots)
    return table, slots


@kernel
def _slot(key: np.uint64) -> np.uint64:
    return ((key ^ (key >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)) >> np.uint64(32)


@kernel
def _beside(table: Hashes, key: np.uint64) -> bool:
    there: bool = table[_place(table, key)] != 0
    return there


@kernel
def _place(table: Hashes, key: np.uint64) -> np.uint64:
    """The slot of a key, or the empty slot where it would be."""
    mask = np.uint64(len(table) - 1)
    slot = _slot(key) & mask
    while table[slot] != 0 and table[slot] != key + np.uint64(1):
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def _fill(table: Hashes, keys: Hashes, slots: Ints) -> None:
    for i in range(len(keys)):
        slot = _place(table, keys[i])
        table[slot] = keys[i] + np.uint64(1)
        slots[i] = slot


@kernel
def _pair(left: Int | np.int32, right: Int | np.int32) -> np.uint64:
    return (np.uint64(left) << np.uint64(32)) | np.uint64(right)


@kernel
def _decode(data: Bytes, i: Int, stop: Int) -> tuple[Int, Int]:
    """Code point at byte i and its length; a byte that begins no UTF-8 is U+FFFD of one byte."""
    b = np.int64(data[i])
    if b < 0x80:
        return b, 1
    if 0xC2 <= b < 0xE0 and i + 1 < stop and data[i + 1] & 0xC0 == 0x80:
        return ((b & 0x1F) << 6) | np.int64(data[i + 1] & 0x3F), 2
    if 0xE0 <= b < 0xF0 and i + 2 < stop and data[i + 1] & 0xC0 == 0x80 and data[i + 2] & 0xC0 == 0x80:
        point = ((b & 0x0F) << 12) | (np.int64(data[i + 1] & 0x3F) << 6) | np.int64(data[i + 2] & 0x3F)
        if point >= 0x800 and not 0xD800 <= point <= 0xDFFF:
            return point, 3
    if (
        (0xF0 <= b < 0xF5 and i + 3 < stop)
        and (data[i + 1] & 0xC0 == 0x80 and data[i + 2] & 0xC0 == 0x80)
        and data[i + 3] & 0xC0 == 0x80
    ):
        point = ((b & 0x07) << 18) | (np.int64(data[i + 1] & 0x3F) << 12)
        point |= (np.int64(data[i + 2] & 0x3F) << 6) | np.int64(data[i + 3] & 0x3F)
        if 0x10000 <= point <= 0x10FFFF:
            return point, 4
    return np.int64(_MISSING), 1


@kernel
def _encode(
    data: Bytes, offsets: Ints, characters: tuple[Ints32, Bools, Hashes], merges: Hashes, fallback: Ints32, prefix: bool,
    ids: Ints32, counts: Ints,
) -> Int:  # fmt: skip
    """Fill `ids` and the `counts` of ids of each row; the number of ids in all. `ids` has room for three ids a byte and row."""
    symbols, ascii_, beside = characters
    # The chunk that is being read: its symbols, their code points, and room for `_join_few`.
    chunk = np.empty((3, 1 << 12), np.int32)
    # Recent chunks: how many symbols, how many ids, the symbols, the ids.
    recent = np.zeros((_MEMORY, 2 + 2 * _KEPT), np.int32)
    out: Int = 0
    for row in range(len(offsets) - 1):
        first = out
        i, stop = offsets[row], offsets[row + 1]
        point: Int
        last: Int
        last_point: Int
        length, last, last_point = 0, np.int64(-1), np.int64(0)
        mixed = np.uint64(0)
        pending = prefix and i < stop
        while i < stop or pending:
            if pending:
                point, pending = np.int64(_SPACE), False
            elif data[i] < 0x80:
                point = np.int64(data[i])
                i += 1
            else:
                point, width = _decode(data, i, stop)
                i += width
            if point == 32:
                point = np.int64(_SPACE)
            symbol = np.int64(symbols[point])
            joined = False
            if length and symbol >= 0:
                a = np.int64(32) if last_point == _SPACE else last_point
                b = np.int64(32) if point == _SPACE else point
                if a < 128 and b < 128:
                    joined = ascii_[a, b]
                else:
                    joined = _beside(beside, _pair(last, symbol))
            if not joined:
                if length:
                    out = _flush(chunk, length, mixed, merges, fallback, recent, ids, out)
                length, mixed = 0, np.uint64(0)
                if symbol < 0:
                    out = _as_bytes(point, fallback, ids, out)
                    continue
            if length == chunk.shape[1]:
                bigger = np.empty((3, 2 * length), np.int32)
                bigger[:, :length] = chunk
                chunk = bigger
            chunk[0, length], chunk[1, length] = symbol, point
            mixed = (mixed ^ np.uint64(symbol)) * GOLDEN
            mixed ^= mixed >> np.uint64(32)
            length += 1
            last, last_point = symbol, point
        if length:
            out = _flush(chunk, length, mixed, merges, fallback, recent, ids, out)
        counts[row] = out - first
    return out


@kernel
def _flush(
    chunk: Ints32, length: Int, mixed: np.uint64, merges: Hashes, fallback: Ints32, recent: Ints32, ids: Ints32, out: Int
) -> Int:
    """The ids of a chunk, from memory if it is there; where the next id goes. The chunk is used up."""
    pieces = fallback[256]
    if length == 1:
        if chunk[0, 0] < pieces:
            ids[out] = chunk[0, 0]
            return out + 1
        return _as_bytes(np.int64(chunk[1, 0]), fallback, ids, out)
    kept = recent[np.int64(mixed >> np.uint64(40)) & (_MEMORY - 1)]
    small = length <= _KEPT
    if small and kept[0] == length:
        same = True
        for k in range(length):
            same = same and kept[2 + k] == chunk[0, k]
        if same:
            number: Int = kept[1]
            for k in range(number):
                ids[out + k] = kept[2 + _KEPT + k]
            return out + number
    if small:
        kept[0] = 0
        for k in range(length):
            kept[2 + k] = chunk[0, k]
    first = out
    left = _join_few(chunk, length, merges) if length <= _SHORT else _join_many(chunk, length, merges)
    for k in range(left):
        if chunk[0, k] < pieces:
            ids[out] = chunk[0, k]
            out += 1
        else:  # a character that is no piece and was not joined
            out = _as_bytes(np.int64(chunk[1, k]), fallback, ids, out)
    if small and out - first <= _KEPT:
        for k in range(out - first):
            kept[2 + _KEPT + k] = ids[first + k]
        kept[0], kept[1] = length, out - first
    return out


@kernel
def _as_bytes(point: Int, fallback: Ints32, ids: Ints32, out: Int) -> Int:
    """The byte pieces of a code point. `fallback`: their 256 ids, and the number of pieces."""
    if point < 0x80:
        ids[out] = fallback[point]
        return out + 1
    if point < 0x800:
        ids[out] = fallback[0xC0 | (point >> 6)]
        ids[out + 1] = fallback[0x80 | (point & 0x3F)]
        return out + 2
    if point < 0x10000:
        ids[out] = fallback[0xE0 | (point >> 12)]
        ids[out + 1] = fallback[0x80 | ((point >> 6) & 0x3F)]
        ids[out + 2] = fallback[0x80 | (point & 0x3F)]
        return out + 3
    ids[out] = fallback[0xF0 | (point >> 18)]
    ids[out + 1] = fallback[0x80 | ((point >> 12) & 0x3F)]
    ids[out + 2] = fallback[0x80 | ((point >> 6) & 0x3F)]
    ids[out + 3] = fallback[0x80 | (point & 0x3F)]
    return out + 4


@kernel
def _join_few(chunk: Ints32, length: Int, merges: Hashes) -> Int:
    """Join a short chunk in place, the best pair first; the number of symbols that are left."""
    slots = chunk[2]  # of the pair that begins at each symbol, -1: no piece
    for k in range(length - 1):
        slots[k] = _merge(merges, chunk[0, k], chunk[0, k + 1])
    while length > 1:
        best, where = np.uint64(1 << 63), -1
        for k in range(length - 1):
            if slots[k] >= 0:
                value = merges[slots[k], 1] >> np.uint64(32)
                if value < best:
                    best, where = value, k
        if where < 0:
            break
        chunk[0, where] = _made(merges, slots[where])
        length -= 1
        for k in range(where + 1, length):
            chunk[0, k], chunk[1, k] = chunk[0, k + 1], chunk[1, k + 1]
            slots[k - 1] = slots[k]  # moved by one; the two beside the new symbol are set anew below
        if where > 0:
            slots[where - 1] = _merge(merges, chunk[0, where - 1], chunk[0, where])
        if where < length - 1:
            slots[where] = _merge(merges, chunk[0, where], chunk[0, where + 1])
    return length


@kernel
def _made(merges: Hashes, slot: Int) -> np.int32:
    return np.int32(merges[slot, 1] & np.uint64(0xFFFFFFFF))


@kernel
def _merge(merges: Hashes, left: np.int32, right: np.int32) -> Int:
    """Where the pair stands in the table of merges, -1 if it makes no piece."""
    key = _pair(left, right)
    mask = np.uint64(len(merges) - 1)
    slot = _slot(key) & mask
    while merges[slot, 0] != 0:
        if merges[slot, 0] == key + np.uint64(1):
            return np.int64(slot)
        slot = (slot + np.uint64(1)) & mask
    return np.int64(-1)


@kernel
def _join_many(chunk: Ints32, length: Int, merges: Hashes) -> int:
    """The same with a heap of rank and position: n log n steps for a chunk of any length."""
    symbols = chunk[0]
    before = np.arange(-1, length - 1)
    after = np.arange(1, length + 1)
    heap = np.empty((3 * length, 2), np.int64)  # the pair's slot beside it: an entry is stale if another pair stands there now
    size: Int = 0
    for k in range(length - 1):
        size = _offer(heap, size, merges, symbols, k, k + 1)
    while size:
        entry, slot = heap[0]
        size = _drop(heap, size)
        k = entry & ((1 << 32) - 1)
        right = after[k]
        if symbols[k] < 0 or right >= length or _merge(merges, symbols[k], symbols[right]) != slot:
            continue
        symbols[k] = _made(merges, slot)
        symbols[right] = -1
        after[k] = after[right]
        if after[k] < length:
            before[after[k]] = k
            size = _offer(heap, size, merges, symbols, k, after[k])
        if before[k] >= 0:
            size = _offer(heap, size, merges, symbols, before[k], k)
    left = 0
    for k in range(length):
        if symbols[k] >= 0:
            symbols[left], chunk[1, left] = symbols[k], chunk[1, k]
            left += 1
    return left


@kernel
def _offer(heap: Ints, size: Int, merges: Hashes, symbols: Ints32, left: Int, right: Int) -> Int:
    """Put the pair at (left, right) on the heap if it makes a piece; the heap's new size."""
    slot = _merge(merges, symbols[left], symbols[right])
    if slot < 0:
        return size
    entry = np.int64(merges[slot, 1] >> np.uint64(32)) << 32 | np.int64(left)
    k = size
    while k and heap[(k - 1) >> 1, 0] > entry:
        heap[k] = heap[(k - 1) >> 1]
        k = (k - 1) >> 1
    heap[k, 0], heap[k, 1] = entry, slot
    return size + 1


@kernel
def _drop(heap: Ints, size: Int) -> Int:
    """Take the first entry off the heap; the heap's new size."""
    size -= 1
    entry, slot = heap[size]
    k = 0
    while 2 * k + 1 < size:
        child = 2 * k + 1
        if child + 1 < size and heap[child + 1, 0] < heap[child, 0]:
            child += 1
        if heap[child, 0] >= entry:
            break
        heap[k] = heap[child]
        k = child
    heap[k, 0], heap[k, 1] = entry, slot
    return size


def texts_column(texts: Sequence[str]) -> pa.Array:
    """A column of texts; a lone surrogate, which is no character, becomes U+FFFD."""
    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        return pa.array([without_surrogates(t) for t in texts], pa.large_string())
