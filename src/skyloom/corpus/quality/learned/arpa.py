"""The ARPA format of n-gram models, read and written as whole columns.

Input or output: an `NgramTable`: the words, and for each order the word ids of its n-grams with their log10
probabilities and backoff weights. Every toolkit (SRILM, KenLM, IRSTLM and ours) writes and reads this format, so a model can
come from anywhere and be looked at with `less`. Numbers are parsed by our own compiled code, because Python reads a million
n-grams in seconds where this takes tenths.

Memory: the file (unpacked) and 16 to 28 bytes for each n-gram.
"""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.errors import DataError
from skyloom.core.kernels import Bool, Bytes, Floats32, Int, Ints, kernel
from skyloom.core.store import Store

UNKNOWN, BEGIN, END = "<unk>", "<s>", "</s>"
MAX_ORDER = 9
_COUNT = re.compile(rb"ngram\s+(\d{1,3})\s*=\s*(\d{1,15})\s*")
_CHUNK = 1 << 20  # n-grams that are written at once


@dataclass(frozen=True)
class NgramTable:
    """An n-gram model as ARPA has it.

    `words`: large_string[V]; `grams[n - 1]`: int32[count, n], ids of words, oldest first; `logs[n - 1]`: float32[count, 2],
    log10 of the probability and of the backoff weight (0 where there is none).
    """

    words: pa.Array
    grams: tuple[npt.NDArray[np.int32], ...]
    logs: tuple[npt.NDArray[np.float32], ...]


def write_arpa(table: NgramTable, store: Store, name: str) -> None:
    """Write the model to `store`. The highest order has no backoff column, as the format wants it."""
    with store.writing(name) as file:
        counts = "".join(f"ngram {n}={len(g)}\n" for n, g in enumerate(table.grams, 1))
        file.write(f"\\data\\\n{counts}".encode())
        for n, (grams, logs) in enumerate(zip(table.grams, table.logs, strict=True), 1):
            file.write(f"\n\\{n}-grams:\n".encode())
            for start in range(0, len(grams), _CHUNK):
                part = slice(start, start + _CHUNK)
                file.write(_section(table.words, grams[part], logs[part], highest=n == len(table.grams)))
        file.write(b"\n\\end\\\n")


def read_arpa(store: Store, name: str) -> NgramTable:
    """Read a model, gzipped or not. DataError that names the section if the file is not whole or not ARPA."""
    data = store.read_bytes(name)
    place = store.url(name)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as problem:
            raise DataError(f"{place} is not a whole gzip file: {problem}") from problem
    at: Int
    counts, at = _header(data, place)
    raw = np.frombuffer(data, np.uint8)
    sections = []
    for n, count in enumerate(counts, 1):
        title = f"\\{n}-grams:".encode()
        start = data.find(title, int(at))
        if start < 0:
            raise DataError(f"{place} has no section {title.decode()}: it was cut off; copy or train it again")
        spans, logs = np.zeros((count, n, 2), np.int64), np.zeros((count, 2), np.float32)
        at, read = _parse(raw, start + len(title), spans, logs)
        if np.isnan(logs).any() or np.isposinf(logs).any():
            raise DataError(f"{place}: a number in section {title.decode()} is infinite or none; train it again")
        if read != count:
            raise DataError(f"{place}: {read:,} good lines in section {title.decode()}, its header says {count:,}; train it again")
        sections.append((spans, logs))
    words = _cut(data, sections[0][0].reshape(-1, 2))
    if pc.count_distinct(words).as_py() != len(words):
        raise DataError(f"{place}: a word stands twice among the 1-grams; train it again")
    grams = [np.arange(len(words), dtype=np.int32)[:, None]]
    for n, (spans, _) in enumerate(sections[1:], 2):
        ids = pc.index_in(_cut(data, spans.reshape(-1, 2)), value_set=words)
        if ids.null_count:
            raise DataError(f"{place}: the {n}-grams hold a word that is not among the 1-grams; train it again")
        grams.append(np.asarray(ids.to_numpy(), np.int32).reshape(-1, n))
    return NgramTable(words, tuple(grams), tuple(logs for _, logs in sections))


def _section(words: pa.Array, grams: npt.NDArray[np.int32], logs: npt.NDArray[np.float32], *, highest: bool) -> pa.Buffer:
    spelt = pc.binary_join_element_wise(*(words.take(pa.array(column)) for column in grams.T), pa.scalar(" ", pa.large_string()))
    parts = [pa.array(logs[:, 0]).cast(pa.large_string()), spelt]
    if not highest:
        parts.append(pa.array(logs[:, 1]).cast(pa.large_string()))
    tab, newline = pa.scalar("\t", pa.large_string()), pa.scalar("\n", pa.large_string())
    lines = pc.binary_join_element_wise(pc.binary_join_element_wise(*parts, tab), pa.scalar("", pa.large_string()), newline)
    return lines.buffers()[2]


def _header(data: bytes, place: str) -> tuple[list[int], int]:
    start = data.find(b"\\data\\")
    stop = data.find(b"\\1-grams:", max(start, 0))
    if start < 0 or stop < 0:
        raise DataError(f"{place} is no ARPA file (no \\data\\ or \\1-grams: section); kenlm binaries need the extra [kenlm]")
    counts: list[int] = []
    for line in data[start:stop].splitlines():
        if line.startswith(b"ngram "):
            match = _COUNT.fullmatch(line)
            if match is None or int(match[1]) != len(counts) + 1:
                raise DataError(f"{place}: cannot read the header line {line[:200].decode(errors='replace')!r}")
            counts.append(int(match[2]))
    if sum(counts) > len(data):
        raise DataError(f"{place}: its header says {sum(counts):,} n-grams, more than it has bytes; copy or train it again")
    if not 1 <= len(counts) <= MAX_ORDER:
        raise DataError(f"{place} has {len(counts)} orders; from 1 to {MAX_ORDER} can be read")
    return counts, stop


def _cut(data: bytes, spans: npt.NDArray[np.int64]) -> pa.Array:
    """The strings at spans (start, stop) of the file, large_string[spans]."""
    ends = np.concatenate([[0], np.cumsum(spans[:, 1] - spans[:, 0])]).astype(np.int64)
    out = np.empty(int(ends[-1]), np.uint8)
    _gather(np.frombuffer(data, np.uint8), spans, ends, out)
    return pa.Array.from_buffers(pa.large_string(), len(spans), [None, pa.py_buffer(ends), pa.py_buffer(out)])


@kernel
def _gather(data: Bytes, spans: Ints, ends: Ints, out: Bytes) -> None:
    for k in range(len(spans)):
        for j in range(spans[k, 1] - spans[k, 0]):
            out[ends[k] + j] = data[spans[k, 0] + j]


@kernel
def _parse(data: Bytes, at: Int, spans: Ints, logs: Floats32) -> tuple[Int, Int]:
    """Read the lines of a section; returns where it stopped and how many lines were whole."""
    count, n = spans.shape[0], spans.shape[1]
    while at < len(data) and data[at] != 10:  # the rest of the title's line
        at += 1
    for k in range(count):
        while at < len(data) and (data[at] <= 32):
            at += 1
        value, at, good = _number(data, at)
        if not good:
            return at, k
        logs[k, 0] = value
        for j in range(n):
            while at < len(data) and (data[at] == 32 or data[at] == 9):
                at += 1
            spans[k, j, 0] = at
            while at < len(data) and data[at] > 32:
                at += 1
            spans[k, j, 1] = at
            if spans[k, j, 0] == at:
                return at, k
        while at < len(data) and (data[at] == 32 or data[at] == 9 or data[at] == 13):
            at += 1
        if at < len(data) and data[at] != 10:
            value, at, good = _number(data, at)
            if not good:
                return at, k
            logs[k, 1] = value
    return at, count


@kernel
def _number(data: Bytes, at: Int) -> tuple[float, Int, Bool]:
    """A decimal number at byte `at`: its value, the byte after it, and whether there was one. Exact to float32."""
    negative = at < len(data) and data[at] == 45
    if at < len(data) and (data[at] == 45 or data[at] == 43):
        at += 1
    if at + 2 < len(data) and (data[at] | 32) == 105:  # "inf"
        return (-np.inf if negative else np.inf), at + 3, True
    digits, scale, seen = 0.0, 0, False
    fraction = False
    while at < len(data) and (48 <= data[at] <= 57 or (data[at] == 46 and not fraction)):
        if data[at] == 46:
            fraction = True
        else:
            if digits < 1e15:
                digits = digits * 10 + (data[at] - 48)
                scale -= fraction
            elif not fraction:
                scale += 1
            seen = True
        at += 1
    if seen and at + 1 < len(data) and (data[at] | 32) == 101:
        down = data[at + 1] == 45
        at += 2 if data[at + 1] == 45 or data[at + 1] == 43 else 1
        power, any_digit = 0, False
        while at < len(data) and 48 <= data[at] <= 57:
            power = min(power * 10 + (data[at] - 48), 9999)
            any_digit = True
            at += 1
        seen = any_digit
        scale += -power if down else power
    scale = scale if digits else 0  # no power of ten makes anything of nothing
    value = digits * 10.0**scale if scale >= 0 else digits / 10.0**-scale
    return (-value if negative else value), at, seen and (at >= len(data) or data[at] <= 32)
