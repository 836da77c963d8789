"""An n-gram language model with modified Kneser-Ney smoothing (Chen and Goodman 1998, interpolated), by counting columns.

Input: lines of tokens (`tokens.token_lines`). Output: an ARPA file. Where KenLM's `lmplz` is on the PATH it is the trainer: it
sorts on disk and has no limit of size. Elsewhere (the `kenlm` package does not bring it) this module counts in memory with
numpy and Arrow, by the same formulas in float64: counts of the highest order and of n-grams that begin a line as they are, of
the others the number of words that stand before them; three discounts for each order; interpolation down to 1 / V. N-grams seen
at most `prune` times give their mass to the backoff, as lmplz does it.

An n-gram is known by its rank among the n-grams of its order, and the rank of the next longer one follows from (rank, next
word): one sort for each order, no n-gram is ever spelt out.

Memory: about 300 bytes for each training token, as measured: 1 GB for 18 MB of English or 10 MB of Chinese;
`LmConfig.train_mb` bounds the text (report 3.1).
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.store import Store
from skyloom.corpus.quality.learned.arpa import BEGIN, END, UNKNOWN, NgramTable, write_arpa
from skyloom.corpus.quality.learned.config import LmConfig
from skyloom.corpus.quality.learned.tokens import token_lines
from skyloom.corpus.text import Texts, slices

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts for counts of 1, 2, 3 and more where a small text has no n-gram with some count from 1 to 4; as lmplz's."""


def train_lm(texts: Texts, out: Store, name: str, config: LmConfig) -> str:
    """Train on a text column and write `name` (ARPA) to `out`; returns the trainer, "lmplz" or "ours".

    Of more than `config.train_mb` of text only the beginning is read: hand over a sample. DataError without any token.
    """
    stop = next((stop for _, stop in slices(texts, config.train_mb * 1_000_000)), 0)
    lines = token_lines(texts.slice(0, stop))
    if not len(lines):
        raise DataError("the text to train a language model on has no words: name another reference text")
    program = shutil.which("lmplz") if config.trainer != "ours" else None
    if program:
        _lmplz(program, lines, out, name, config)
        return "lmplz"
    if config.trainer == "lmplz":
        raise ConfigError("lm.trainer is lmplz, but there is no lmplz on the PATH: install KenLM's programs or set it to ours")
    write_arpa(kneser_ney(lines, config), out, name)
    return "ours"


def kneser_ney(lines: Texts, config: LmConfig) -> NgramTable:
    """The model of lines of white-space separated tokens; ids 0, 1, 2 are <unk>, <s>, </s>, then words as they first come."""
    words, stream, room = _stream(lines)
    orders = _count(stream, room, len(words), config.order)
    adjusted = _adjusted(orders)
    pruned = [order.counts <= limit for order, limit in zip(orders, config.thresholds, strict=True)]
    below: Floats = np.full(1, 1.0 / (len(words) - 1))  # every word but <s> may come next
    logs: list[npt.NDArray[np.float32]] = []
    for n, order in enumerate(orders):
        weights = _discounts(adjusted[n])[np.minimum(adjusted[n], 3)]
        weights = np.where(pruned[n], adjusted[n], weights)
        contexts = len(orders[n - 1].counts) if n else 1
        mass = np.bincount(order.prefix, adjusted[n], contexts)
        with np.errstate(invalid="ignore"):
            gamma = np.bincount(order.prefix, weights, contexts) / mass
        here = (adjusted[n] - weights) / mass[order.prefix] + gamma[order.prefix] * below[order.suffix]
        if n:
            logs[n - 1][:, 1] = np.log10(np.where(np.isnan(gamma), 1.0, gamma))
        else:
            here[1] = 1.0  # <s> is given, never predicted
        logs.append(np.stack([np.minimum(np.log10(here), 0.0), np.zeros(len(here))], axis=1).astype(np.float32))
        below = here
    return _table(words, orders, logs, pruned)


@dataclass(frozen=True)
class _Order:
    """The n-grams of one order by rank: rank of all but the last word, last word, rank of all but the first, times seen."""

    prefix: Ints
    word: Ints
    suffix: Ints
    counts: Ints


def _stream(lines: Texts) -> tuple[pa.Array, Ints, Ints]:
    """Words, the ids of all lines in one row (each between <s> and </s>), and how many ids each position has up to its </s>."""
    split = pc.split_pattern(lines.cast(pa.large_string()), " ")
    if isinstance(split, pa.ChunkedArray):
        split = split.combine_chunks()
    coded = pc.list_flatten(split).dictionary_encode()
    words = coded.dictionary.cast(pa.large_string())
    if pc.any(pc.is_in(words, value_set=pa.array(["", UNKNOWN, BEGIN, END], pa.large_string()))).as_py():
        raise DataError(f"a training line has an empty token or one of {UNKNOWN}, {BEGIN}, {END}: take these out")
    sizes = np.asarray(pc.list_value_length(split).to_numpy(), np.int64)
    ends = np.cumsum(sizes + 2)
    stream = np.full(int(ends[-1]), -1, np.int64)
    stream[ends - 1], stream[ends - sizes - 2] = 2, 1
    stream[stream < 0] = np.asarray(coded.indices.to_numpy(), np.int64) + 3
    room = np.repeat(ends, sizes + 2) - np.arange(len(stream))
    return pa.concat_arrays([pa.array([UNKNOWN, BEGIN, END], pa.large_string()), words]), stream, room


def _count(stream: Ints, room: Ints, vocabulary: int, longest: int) -> list[_Order]:
    every = np.arange(vocabulary)
    zeros = np.zeros(vocabulary, np.int64)
    orders = [_Order(zeros, every, zeros, np.bincount(stream, minlength=vocabulary))]
    ranks = stream
    for n in range(2, longest + 1):
        at = np.flatnonzero(room >= n)
        keys = ranks[at] * vocabulary + stream[at + n - 1]
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
        counts = np.diff(np.append(first, len(keys)))
        distinct = keys[first]
        prefix = distinct // vocabulary
        orders.append(_Order(prefix, distinct - prefix * vocabulary, ranks[at[order[first]] + 1], counts))
        longer = np.full(len(stream), -1, np.int64)
        longer[at[order]] = np.repeat(np.arange(len(first)), counts)
        ranks = longer
    return orders


def _adjusted(orders: list[_Order]) -> list[Ints]:
    """Of the highest order and of n-grams that begin with <s> the counts; of others how many words stand before them."""
    found, begins = [], np.zeros(0, np.bool_)
    for n, order in enumerate(orders):
        begins = begins[order.prefix] if n else order.word == 1
        if n + 1 == len(orders):
            found.append(order.counts.copy())
        else:
            found.append(np.where(begins, order.counts, np.bincount(orders[n + 1].suffix, minlength=len(order.counts))))
    found[0][1] = 0
    return found


def _discounts(counts: Ints) -> Floats:
    """Discounts of n-grams counted 0, 1, 2, and 3 times or more: equation 26 of Chen and Goodman; float64[4]."""
    seen = np.bincount(np.minimum(counts, 5), minlength=6)[1:5].astype(np.float64)
    if (seen[:3] > 0).all():
        share = seen[0] / (seen[0] + 2 * seen[1])
        found = [j - (j + 1) * share * seen[j] / seen[j - 1] for j in (1, 2, 3)]
        if all(0 <= d <= j for j, d in enumerate(found, 1)):
            return np.array([0.0, *found])
    return np.array([0.0, *FALLBACK])


def _table(
    words: pa.Array, orders: list[_Order], logs: list[npt.NDArray[np.float32]], pruned: list[npt.NDArray[np.bool_]]
) -> NgramTable:
    """Spell the ranks out, without the pruned n-grams."""
    spelt: list[npt.NDArray[np.int32]] = []
    for n, order in enumerate(orders):
        last = order.word.astype(np.int32)[:, None]
        spelt.append(np.concatenate([spelt[-1][order.prefix], last], axis=1) if n else last)
    keep = [np.ones(len(words), np.bool_), *(~cut for cut in pruned[1:])]
    grams = tuple(gram[rows] for gram, rows in zip(spelt, keep, strict=True))
    return NgramTable(words, grams, tuple(log[rows] for log, rows in zip(logs, keep, strict=True)))


def _lmplz(program: str, lines: pa.Array, out: Store, name: str, config: LmConfig) -> None:
    with tempfile.TemporaryDirectory(prefix="skyloom-lmplz-") as folder:
        text, arpa = Path(folder, "text"), Path(folder, "arpa")
        with open(text, "wb") as file:
            newline = pa.scalar("\n", pa.large_string())
            file.write(pc.binary_join_element_wise(lines, pa.scalar("", pa.large_string()), newline).buffers()[2])
        order, prune = str(config.order), [str(k) for k in config.thresholds]
        command = [
            program,
            "-o",
            order,
            "--prune",
            *prune,
            "--discount_fallback",
            "-T",
            folder,
            "--text",
            str(text),
            "--arpa",
            str(arpa),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not arpa.exists():
            raise DataError(f"lmplz failed ({' '.join(done.stderr.split()[-40:])}); set lm.trainer to ours to do without it")
        out.write_bytes(name, arpa.read_bytes())
