"""Scoring whole columns with an n-gram language model: log10 probabilities of lines, perplexities of texts.

Input: a text column and a model per language. Output: a float32 perplexity for each text. A text's perplexity is CCNet's: each
line is a sentence between <s> and </s>, log probabilities are summed over lines and divided by the number of tokens and line
ends. The lower, the more a text runs like what the model was trained on.

The scorer keeps each order's n-grams in an open hash table of 16-byte entries (63 bits of hash, a bit that tells whether a
longer n-gram ends in this one, probability and backoff), the layout that KenLM found fast. It differs in the order of work:
all positions of a batch look up their bigrams, those that found one their trigrams, and so on, so that the cache misses of
neighbouring positions overlap instead of waiting for one another. Two n-grams share a key with probability 2^-63.

`kenlm.LanguageModel` scores the same where the extra [kenlm] is installed: it is the way to use its binary files.

Memory: 32 to 64 bytes for each n-gram; while a model is read, twice that.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.kernels import GOLDEN, Bools, Floats32, Hashes, Int, Ints, Ints32, kernel
from skyloom.core.store import Store
from skyloom.corpus.quality.learned.arpa import BEGIN, END, UNKNOWN, NgramTable, read_arpa
from skyloom.corpus.quality.learned.tokens import Tokens, hash_words, token_lines, tokens
from skyloom.corpus.text import Texts

Floats: TypeAlias = npt.NDArray[np.float64]

_BATCH = 512  # positions that look up one order together
_NEVER = -100.0  # log10 of the probability of <unk> in a model without it, as kenlm has it
_SPREAD = np.uint64(0xD6E8FEB86659FD93)
_LOW = np.uint64(1)


class LanguageModel(Protocol):
    """What scores lines: log10 of each line's probability with its </s>, and the number of its tokens and its </s>."""

    def score(self, texts: Texts) -> tuple[Floats, npt.NDArray[np.int64]]:
        """float64[rows], int64[rows]; both 0 for a text without a token."""


@dataclass(frozen=True)
class NgramModel:
    """A model laid out for scoring; make one with `load_model` or `compile_model`.

    `vocabulary`: uint64[slots, 2], a word's hash and its id; `unigrams`: float32[V, 2]; `table`: uint64[slots, 2], the key
    with its lowest bit telling whether it is a longer n-gram's ending, and two float32; order n owns slots[n - 2] to
    slots[n - 1] of it. `longer`: bool[V], the same for words.
    """

    order: int
    vocabulary: npt.NDArray[np.uint64]
    unigrams: npt.NDArray[np.float32]
    longer: npt.NDArray[np.bool_]
    table: npt.NDArray[np.uint64]
    slots: npt.NDArray[np.int64]

    def lines(self, column: Tokens) -> Floats:
        """log10 probability of each line of `column`, its </s> included; float64[lines]."""
        values = self.table.view(np.float32)
        logs, _ = _score(
            column.hashes, column.lines, self.vocabulary, self.unigrams, self.longer, self.table, values, self.slots, self.order
        )
        return logs

    def score(self, texts: Texts) -> tuple[Floats, npt.NDArray[np.int64]]:
        """See `LanguageModel`."""
        column = tokens(texts)
        return _per_row(self.lines(column), column.rows), column.counts + np.diff(column.rows)


class KenlmModel:
    """A model that the `kenlm` package scores, from an ARPA or binary file. ConfigError without the package."""

    def __init__(self, path: str) -> None:
        try:
            kenlm: Any = importlib.import_module("kenlm")
        except ImportError as problem:
            raise ConfigError(f"{path} is for kenlm: pip install 'skyloom[kenlm]', or bring an ARPA file") from problem
        try:
            self._model = kenlm.LanguageModel(path)
        except OSError as problem:
            raise DataError(f"kenlm cannot read {path}: {problem}") from problem

    def score(self, texts: Texts) -> tuple[Floats, npt.NDArray[np.int64]]:
        """See `LanguageModel`."""
        column = tokens(texts)
        found = np.array([self._model.score(line) for line in token_lines(texts).to_pylist()], np.float64)
        return _per_row(found, column.rows), column.counts + np.diff(column.rows)


def load_model(store: Store, name: str) -> LanguageModel:
    """A model from a file: ARPA (gzipped or not) by our scorer, kenlm's binary files by kenlm."""
    with store.reading(name) as file:
        magic = file.read(64)
    if magic.startswith(b"mmap lm http://kheafield.com/code"):
        return KenlmModel(str(store.path(name)))
    return compile_model(read_arpa(store, name))


def lm_score(texts: Texts, langs: npt.NDArray[np.object_], models: Mapping[str, LanguageModel]) -> npt.NDArray[np.float32]:
    """Perplexity of each text by its language's model, float32[rows]; NaN for texts without tokens or without a model.

    `langs`: object[rows], keys of `models` ("en", "zh") or others.
    """
    out = np.full(len(texts), np.nan, np.float32)
    for lang, model in models.items():
        rows = np.flatnonzero(langs == lang)
        if len(rows):
            whole = len(rows) == len(out)
            logs, sizes = model.score(texts if whole else texts.take(rows))
            with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
                out[rows] = 10.0 ** (-logs / np.where(sizes > 0, sizes, np.nan))
    return out


def compile_model(model: NgramTable) -> NgramModel:
    """Lay a model out for scoring; endings that the file lacks (SRILM prunes them) are put in. DataError without <s> or </s>."""
    hashes = hash_words(model.words)
    renumber = _renumber(model)
    scores = np.zeros((max(int(renumber.max()) + 1, 3), 2), np.float32)
    scores[0, 0] = _NEVER
    scores[renumber] = model.logs[0]
    grams = [renumber[g] for g in model.grams[1:]]
    sizes = [_slots(len(g)) for g in grams]
    slots = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    table = np.zeros((int(slots[-1]), 2), np.uint64)
    longer = np.zeros(len(scores), np.bool_)
    for n, (gram, logs) in enumerate(zip(grams, model.logs[1:], strict=True)):
        _insert(table, table.view(np.float32), slots[n], slots[n + 1], _keys(gram), logs)
        if n == 0:
            longer[gram[:, 1]] = True
        elif not _mark(table, slots[n - 1], slots[n], _keys(gram[:, 1:])):
            return compile_model(_closed(model))
    vocabulary = np.zeros((_slots(len(hashes)), 2), np.uint64)
    _enter(vocabulary, hashes, renumber)
    return NgramModel(len(model.grams), vocabulary, scores, longer, table, slots)


def _renumber(model: NgramTable) -> npt.NDArray[np.int64]:
    """The id of each word: <unk>, <s>, </s> are 0, 1, 2."""
    at = [pc.index(model.words, mark).as_py() for mark in (UNKNOWN, BEGIN, END)]
    if at[1] < 0 or at[2] < 0:
        raise DataError(f"the language model has no {BEGIN} or {END}: train it on lines of text")
    ids = np.arange(3, len(model.words) + 3)
    marks = np.array([k for k in at if k >= 0])
    ids[np.setdiff1d(np.arange(len(ids)), marks)] = np.arange(3, len(ids) + 3 - len(marks))
    for number, k in enumerate(at):
        if k >= 0:
            ids[k] = number
    return ids


def _closed(model: NgramTable) -> NgramTable:
    """The model with every ending of an n-gram as an n-gram of its own, scored as the backoff would score it."""
    grams, logs = list(model.grams), [x.copy() for x in model.logs]
    for n in range(len(grams) - 1, 1, -1):
        endings = grams[n][:, 1:]
        missing = np.flatnonzero(~np.isin(_keys(endings), _keys(grams[n - 1])))
        if len(missing):
            new = np.unique(endings[missing], axis=0)
            grams[n - 1] = np.concatenate([grams[n - 1], new])
            logs[n - 1] = np.concatenate([logs[n - 1], np.array([[np.nan, 0.0]], np.float32).repeat(len(new), axis=0)])
    for n in range(1, len(grams)):
        blank = np.flatnonzero(np.isnan(logs[n][:, 0]))
        keys = _keys(grams[n - 1])
        order = np.argsort(keys)
        ending, context = (_rows(keys, order, _keys(grams[n][blank, cut])) for cut in (slice(1, None), slice(None, -1)))
        logs[n][blank, 0] = logs[n - 1][ending, 0] + np.where(context < 0, 0, logs[n - 1][context, 1])
    return NgramTable(model.words, tuple(grams), tuple(logs))


def _rows(keys: npt.NDArray[np.uint64], order: npt.NDArray[np.int64], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Where each of `wanted` stands in `keys` (`order` sorts them), -1 where it does not."""
    at = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[at] == wanted, at, -1)


def _slots(count: int) -> int:
    """Slots of a hash table for `count` entries: a power of two, at most two thirds full."""
    return max(4, 1 << (3 * count // 2).bit_length())


@kernel
def _per_row(lines: Floats, rows: Ints) -> Floats:
    """Sums of the lines of each text, each by itself: a text's score does not depend on its neighbours."""
    out = np.zeros(len(rows) - 1, np.float64)
    for row in range(len(rows) - 1):
        for k in range(rows[row], rows[row + 1]):
            out[row] += lines[k]
    return out


@kernel
def _longer_key(key: np.uint64, word: Int) -> np.uint64:
    """The key of an n-gram from that of its ending and the word before it."""
    key = (key ^ ((np.uint64(word) + np.uint64(1)) * _SPREAD)) * GOLDEN
    return key ^ (key >> np.uint64(32))


@kernel
def _keys(grams: Ints | Ints32) -> Hashes:
    out = np.zeros(len(grams), np.uint64)
    for k in range(len(grams)):
        key = np.uint64(0)
        for j in range(grams.shape[1] - 1, -1, -1):
            key = _longer_key(key, grams[k, j])
        out[k] = key
    return out


@kernel
def _find(table: Hashes, start: Int, stop: Int, shift: np.uint64, key: np.uint64) -> Int:
    """The slot of an n-gram, or -1."""
    slot: Int = start + np.int64(key >> shift)
    while True:
        found = table[slot, 0]
        if found | _LOW == key | _LOW:
            return slot
        if found == 0:
            return np.int64(-1)
        slot += 1
        if slot == stop:
            slot = start


@kernel
def _shift(start: Int, stop: Int) -> np.uint64:
    bits = 0
    while (1 << bits) < stop - start:
        bits += 1
    return np.uint64(64 - bits)


@kernel
def _insert(table: Hashes, values: Floats32, start: Int, stop: Int, keys: Hashes, logs: Floats32) -> None:
    shift = _shift(start, stop)
    for k in range(len(keys)):
        slot: Int = start + np.int64(keys[k] >> shift)
        while table[slot, 0] != 0 and table[slot, 0] | _LOW != keys[k] | _LOW:
            slot = slot + 1 if slot + 1 < stop else start
        table[slot, 0] = keys[k] & ~_LOW
        values[slot, 2], values[slot, 3] = logs[k, 0], logs[k, 1]


@kernel
def _mark(table: Hashes, start: Int, stop: Int, endings: Hashes) -> bool:
    """Set the lowest bit of n-grams that are endings of longer ones; False if one is not there."""
    shift = _shift(start, stop)
    for k in range(len(endings)):
        slot = _find(table, start, stop, shift, endings[k])
        if slot < 0:
            return False
        table[slot, 0] |= _LOW
    return True


@kernel
def _enter(vocabulary: Hashes, hashes: Hashes, ids: Ints) -> None:
    shift = _shift(0, len(vocabulary))
    for k in range(len(hashes)):
        slot: Int = np.int64(hashes[k] >> shift)
        while vocabulary[slot, 0] != 0:
            slot = slot + 1 if slot + 1 < len(vocabulary) else 0
        vocabulary[slot, 0], vocabulary[slot, 1] = hashes[k], np.uint64(ids[k])


@kernel
def _word(vocabulary: Hashes, shift: np.uint64, key: np.uint64) -> Int:
    """The id of a word, 0 if the model does not know it."""
    slot: Int = np.int64(key >> shift)
    while True:
        found = vocabulary[slot, 0]
        if found == key:
            return np.int64(vocabulary[slot, 1])
        if found == 0:
            return np.int64(0)
        slot += 1
        if slot == len(vocabulary):
            slot = 0


@kernel
def _score(
    hashes: Hashes, lines: Ints, vocabulary: Hashes, unigrams: Floats32, longer: Bools, table: Hashes, values: Floats32,
    slots: Ints, order: Int,
) -> tuple[Floats, np.uint64]:  # fmt: skip
    out = np.zeros(len(lines) - 1, np.float64)
    widest = 0
    for k in range(len(lines) - 1):
        widest = max(widest, lines[k + 1] - lines[k] + 2)
    room = _BATCH + widest
    ids, place = np.empty(room, np.int64), np.empty(room, np.int64)  # place: positions since <s>
    keys, depth = np.empty(room, np.uint64), np.empty(room, np.int64)
    logs, backoffs = np.empty(room, np.float32), np.zeros((room, order + 1), np.float32)
    active = np.empty(room, np.int64)
    words_shift = _shift(0, len(vocabulary))
    line, touched = 0, np.uint64(0)
    while line < len(lines) - 1:
        first, size, ahead = line, 0, line
        while ahead < len(lines) - 1 and lines[ahead] - lines[first] + 2 * (ahead - first) < _BATCH:
            for k in range(lines[ahead], lines[ahead + 1]):
                touched ^= vocabulary[np.int64(hashes[k] >> words_shift), 0]
            ahead += 1
        while line < ahead:
            ids[size], place[size] = 1, 0
            size += 1
            for k in range(lines[line], lines[line + 1]):
                ids[size], place[size] = _word(vocabulary, words_shift, hashes[k]), k - lines[line] + 1
                size += 1
            ids[size], place[size] = 2, lines[line + 1] - lines[line] + 1
            size += 1
            line += 1
        going = 0
        for i in range(size):
            word = ids[i]
            logs[i], backoffs[i, 1], depth[i] = unigrams[word, 0], unigrams[word, 1], 1
            if longer[word] and place[i] > 0 and order > 1:
                keys[i] = _longer_key(np.uint64(0), word)
                active[going] = i
                going += 1
        for n in range(2, order + 1):
            start, stop = slots[n - 2], slots[n - 1]
            shift = _shift(start, stop)
            went, going = going, 0
            for a in range(went):  # nothing here waits for the memory, so that many slots are fetched at once
                i = active[a]
                keys[i] = _longer_key(keys[i], ids[i - n + 1])
                touched ^= table[start + np.int64(keys[i] >> shift), 0]
            for a in range(went):
                i = active[a]
                slot = _find(table, start, stop, shift, keys[i])
                if slot >= 0:
                    logs[i], backoffs[i, n], depth[i] = values[slot, 2], values[slot, 3], n
                    if table[slot, 0] & _LOW != 0 and place[i] >= n:
                        active[going] = i
                        going += 1
        at, total = first, 0.0
        for i in range(size):
            if place[i] == 0:
                continue
            total += logs[i]
            for n in range(depth[i], min(depth[i - 1], order - 1) + 1):
                total += backoffs[i - 1, n]
            if i + 1 == size or place[i + 1] == 0:
                out[at] = total
                at, total = at + 1, 0.0
    return out, touched  # returned, or the compiler would leave the fetching out
