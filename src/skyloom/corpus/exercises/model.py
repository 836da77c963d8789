"""A linear classifier of exercises, English and Chinese, over whole columns in one compiled pass.

Input: spans of a text column (an exercise with its solution, or a passage of prose). Output: the probability of each to be an
exercise. A span is read as tokens: a word of ASCII without case, any number, one Han character, one sign. The weights of all
tokens and of all neighbouring pairs, found by their hash, are averaged; flags of the span's form (options, a blank to fill in,
an equation, formula marks, a question mark, an answer's mark) are added. Neither length nor source has a weight of its own.

The weights stand in `model.json` as signed bytes, with what they were trained on; `studies/exercises_model.py` trains
them, on texts of permissive licences only. Memory: the weights, 128 KB.
"""

from __future__ import annotations

import base64
import functools
import importlib.resources
import json

import numpy as np
import numpy.typing as npt

from skyloom.core.kernels import FNV_PRIME, FNV_START, GOLDEN, Bools, Bytes, Floats, Floats32, Int, Ints, Ints32, fnv, kernel, mix
from skyloom.corpus.exercises.lines import match, word_table

BUCKETS = 1 << 15
FLAGS = ("options", "blank", "equations", "formulas", "question", "answer", "number words")
OPTIONS, BLANK, EQUATIONS, FORMULAS, QUESTION, ANSWER, NUMERIC = range(7)
SHORT = 8.0  # tokens' worth of no evidence that every span begins with

_NUMBER, _LINE, _SEED = np.uint64(3), np.uint64(5), GOLDEN


@functools.cache
def weights() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """The model that ships: a weight for each bucket (float32[BUCKETS]), and those of the flags with the bias last (float64[8])."""
    text = importlib.resources.files("skyloom.corpus.exercises").joinpath("model.json").read_text(encoding="utf-8")
    model = json.loads(text)
    whole = np.frombuffer(base64.b64decode(model["weights"]), np.int8)
    return (whole * np.float32(model["scale"])).astype(np.float32), np.array([*model["flags"], model["bias"]], np.float64)


def scores(data: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The probability that bytes starts[k]..stops[k] of UTF-8 are an exercise: float64[k]; of an empty span that of no evidence."""
    table, flags = weights()
    return _scores(data, starts, stops, table, flags)


def features(data: npt.NDArray[np.uint8], start: int, stop: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Buckets of a span's tokens and pairs (int32[k], with repetitions) and its flags (bool[7]): what the training reads."""
    buckets, flags, _ = _features(data, start, stop, np.zeros(0, np.float32))
    return buckets, flags


_ANSWER_WORDS, _ANSWER_BOUNDS = word_table(
    ("answer:", "solution:", "answer is", "solution.", "rationale:", "explanation:", "答案", "解析", "解：", "解:", "答：", "答:",
     "【解", "【分析", "故选")
)  # fmt: skip


@kernel
def _features(data: Bytes, start: Int, stop: Int, table: Floats32) -> tuple[Ints32, Bools, float]:
    """Buckets (if `table` is empty), flags, and the mean weight of the span's tokens and pairs."""
    keep = len(table) == 0
    buckets = np.empty(2 * (stop - start) if keep else 0, np.int32)
    flags = np.zeros(7, np.bool_)
    total, count, digits = 0.0, 0, 0
    spaces_in_brackets: Int
    before, options, equals, dollars, spaces_in_brackets = np.uint64(0), 0, 0, 0, 0
    i = start
    while i < stop:
        b = int(data[i])
        begin = i
        if b < 0x80:
            if b == 32 or b == 9 or b == 13:
                i += 1
                continue
            if 97 <= (b | 32) <= 122:
                state = FNV_START
                while i < stop and 97 <= (data[i] | 32) <= 122:
                    state = fnv(state, data[i] | 32)
                    i += 1
                bare = begin == start or not (48 <= data[begin - 1] <= 57 or data[begin - 1] == 95 or data[begin - 1] == 36)
                if i - begin == 1 and 65 <= b <= 72 and bare and i < stop:
                    c = data[i]
                    if (c == 46 or c == 41 or c == 58 or c == 0xEF or c == 0xE3) and b - 65 == options:
                        options += 1
                    elif b == 65 and (c == 46 or c == 41) and options < 3:
                        options = 1
            elif 48 <= b <= 57:
                while i < stop and (
                    48 <= data[i] <= 57 or ((data[i] == 46 or data[i] == 44) and i + 1 < stop and 48 <= data[i + 1] <= 57)
                ):
                    i += 1
                state = _NUMBER
                digits += 1
            else:
                i += 1
                state = _LINE if b == 10 else np.uint64(b)
                equals += b == 61
                dollars += b == 36 or b == 92
                if b == 63:
                    flags[QUESTION] = True
                if b == 95:
                    while i < stop and data[i] == 95:
                        i += 1
                    if i - begin >= 2:
                        flags[BLANK] = True
                if b == 40:
                    spaces_in_brackets = i
                    while spaces_in_brackets < stop and (data[spaces_in_brackets] == 32 or data[spaces_in_brackets] == 0xE3):
                        spaces_in_brackets += 1 if data[spaces_in_brackets] == 32 else 3
                    if spaces_in_brackets < stop and data[spaces_in_brackets] == 41:
                        flags[BLANK] = True
        else:
            length = 2 if b < 0xE0 else (3 if b < 0xF0 else 4)
            state = np.uint64(0x100)
            k: Int
            for k in range(length):
                state = (state << np.uint64(8)) | np.uint64(data[i + k])
            i += length
            if length == 3 and b == 0xEF and data[begin + 1] == 0xBC:
                if data[begin + 2] == 0x9F:
                    flags[QUESTION] = True
                if data[begin + 2] == 0x88:  # a full-width bracket with nothing in it
                    k = i
                    while k < stop and (data[k] == 32 or (data[k] == 0xE3 and k + 2 < stop and data[k + 1] == 0x80)):
                        k += 1 if data[k] == 32 else 3
                    if k + 2 < stop and data[k] == 0xEF and data[k + 1] == 0xBC and data[k + 2] == 0x89:
                        flags[BLANK] = True
        if (
            not flags[ANSWER]
            and (b >= 0x80 or 97 <= (b | 32) <= 122)
            and match(data, begin, stop, _ANSWER_WORDS, _ANSWER_BOUNDS) > 0
        ):
            flags[ANSWER] = True
        one = mix(state * _SEED)
        two = mix((before * FNV_PRIME) ^ one)
        before = one
        first, second = np.int64(one % np.uint64(BUCKETS)), np.int64(two % np.uint64(BUCKETS))
        if keep:
            buckets[2 * count], buckets[2 * count + 1] = first, second
        else:
            total += table[first] + table[second]
        count += 1
    flags[OPTIONS], flags[EQUATIONS], flags[FORMULAS] = options >= 3, equals >= 2, dollars >= 3
    flags[NUMERIC] = digits * 20 > count
    return buckets[: 2 * count], flags, total / (count + SHORT)


@kernel
def _scores(data: Bytes, starts: Ints, stops: Ints, table: Floats32, flag_weights: Floats) -> Floats:
    out = np.empty(len(starts))
    for k in range(len(starts)):
        _, flags, value = _features(data, starts[k], stops[k], table)
        value += flag_weights[len(flags)]
        for f in range(len(flags)):
            if flags[f]:
                value += flag_weights[f]
        out[k] = 1.0 / (1.0 + np.exp(-value))
    return out
