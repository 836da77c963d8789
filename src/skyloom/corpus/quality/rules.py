"""Quality statistics of a text column, and the table of rules: one row for each, with a limit per language.

Input: a text column. Output: measures, one number for each text and rule (`measure`), and the table of limits (`rule_table`)
that `stage.py` compares them with. All is counted in three compiled passes over the column: characters and lines
(`columns.shape`), units (`learned.tokens`), and what is asked of the units (function words, repeated 5-grams, phrases).

The Chinese rules are Chinese ones: the function characters 的 了 是 在 and others stand where English has stop words, sentence
marks count in full width too, a share of Han characters is asked for, and lines are measured in characters. No rule splits
Chinese at white space.

Memory: 8 bytes for each unit of the slice at hand (`columns.SLICE`), and 24 for each unit of its longest text.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.kernels import GOLDEN, Bytes, Hashes, Int, Ints, decode, kernel
from skyloom.core.units import utf8_buffers
from skyloom.corpus.quality.learned.tokens import tokens
from skyloom.corpus.text import Texts, shape

FUNCTION_WORDS = {
    "en": "the of and to a in is it that for on with as are was be by at this from or an not have has but which you he she we they "
    "his her their its if can will were been all one no so there when i my your do",
    "zh": "的 一 是 不 了 在 有 和 与 人 这 中 为 之 以 可 个 上 也 而 其 到 或 于 对 就 要 会 我 他 你 说 及 时 等 此 如 者 "
    "无 何 来 與 這 為 個 於 對 會 說 時 無 來",
}
"""Frequent words without which no text of the language runs; Chinese ones of both scripts, modern and classical."""

ADVERTS = (
    "no deposit bonus|casino bonus|free spins|online casino|buy viagra|buy cialis|buy followers|buy replica|replica watches|"
    "payday loan|payday loans|work from home and earn|escort service|click here to buy|click here to order|click here to claim|"
    "limited time offer|order now|100 satisfaction guaranteed|lose weight fast|cheap essay writing|"
    "代开发票|加微信|加我微信|微信号|扫码领取|扫码加群|注册送|彩金|百家乐|时时彩|六合彩|真人荷官|娱乐城|办证|刻章|包夜|上门服务|"
    "點擊購買|点击购买|立即抢购|限时特价|免费领取|日赚|刷单|贷款秒批|无抵押贷款|私服"
)
"""What adverts and spam say, not what texts about them discuss; units in this order, whatever stands between them."""

ERROR_PAGES = (
    "404 not found|page cannot be found|page can t be found|page was not found|page not found|enable javascript|access denied|"
    "please login to continue|please log in to continue|lorem ipsum dolor|页面不存在|页面未找到|页面找不到|您访问的页面|"
    "您请求的页面|您访问的网页|您请求的网页|请启用javascript|请开启javascript|請啟用javascript|登录后查看|登录后可见"
)
"""What a page says that is not the page one asked for."""

_NGRAM = 5
_FEW_LINES = 5  # so many lines do not tell that a page lists the beginnings of others
_ADVERT, _APOLOGY = 0, 1


@dataclass(frozen=True)
class Rule:
    """A measure's limit: `high` or `low` by which side is allowed. `limits` by language; others than texts of
    `from_units` to `below_units` units are spared."""

    reason: str
    measure: str
    side: str
    limits: dict[str, float]
    from_units: int = 0
    below_units: int = 1 << 62


@dataclass(frozen=True)
class Measures:
    """float64[rows] by name; shares are of characters that are not white space unless the name of the rule says otherwise."""

    units: npt.NDArray[np.float64]
    columns: dict[str, npt.NDArray[np.float64]]


def measure(texts: Texts) -> Measures:
    """Measure each text of a string column; everything that the table of rules names."""
    column, seen = tokens(texts, zero_digits=False), shape(texts)
    bounds = column.lines[column.rows]
    counts = np.diff(bounds)
    words, phrases, starts, kinds, sieve = _lists()
    function, repeated, adverts, apologies = _ask(column.hashes, bounds, words, phrases, starts, kinds, sieve)
    han, cut = _han_and_cut(*utf8_buffers(texts))
    solid, lines, units = (np.maximum(x, 1) for x in (seen.characters - seen.spaces, seen.lines, counts))
    return Measures(
        counts.astype(np.float64),
        {
            "broken": seen.broken / np.maximum(seen.characters, 1),
            "symbols": seen.symbols / solid,
            "digits": seen.digits / solid,
            "bullets": seen.bullet_lines / lines,
            "cut": cut / lines,
            "line_units": counts / lines,
            "repeated_lines": seen.repeated / solid,
            "repeated_ngrams": repeated / np.maximum(counts - _NGRAM + 1, 1),
            "function_words": function / units,
            "sentence_marks": seen.sentence_marks / units,
            "han": han / units,
            "unit_length": (seen.letters + seen.digits) / units,
            "adverts": np.where(adverts >= 3, 1000 * adverts / units, 0.0),
            "apology": np.minimum(apologies, 1).astype(np.float64),
        },
    )


def margins(found: Measures, languages: npt.NDArray[np.object_], rules: Sequence[Rule]) -> npt.NDArray[np.float64]:
    """How far inside its limit each measure is, float64[rules, rows]: 1 at the limit, less where the rule failed."""
    out = np.full((len(rules), len(languages)), np.inf)
    for k, rule in enumerate(rules):
        values = found.columns[rule.measure]
        for lang, limit in rule.limits.items():
            rows = (languages == lang) & (found.units >= rule.from_units) & (found.units < rule.below_units)
            part = values[rows]
            out[k, rows] = limit / np.maximum(part, 1e-12) if rule.side == "high" else part / max(limit, 1e-12)
    return out


@functools.cache
def _lists() -> tuple[npt.NDArray[np.uint64], ...]:
    """Function words as an open hash table; phrases one after the other, their bounds and kinds; a sieve of first words."""
    listed = tokens(pa.array([" ".join(FUNCTION_WORDS.values())])).hashes
    words = np.zeros(1024, np.uint64)
    for key in listed.tolist():
        slot = key & 1023
        while words[slot]:
            slot = (slot + 1) & 1023
        words[slot] = key
    spelt = [*ADVERTS.split("|"), *ERROR_PAGES.split("|")]
    kinds = np.array([_ADVERT] * len(ADVERTS.split("|")) + [_APOLOGY] * len(ERROR_PAGES.split("|")), np.uint64)
    column = tokens(pa.array(spelt), zero_digits=False)
    starts = column.lines[column.rows].astype(np.uint64)
    sieve = np.zeros(1024, np.uint64)
    sieve[(column.hashes[starts[:-1].astype(np.int64)] & np.uint64(1023)).astype(np.int64)] = 1
    return words, column.hashes, starts, kinds, sieve


@kernel
def _mask(count: Int) -> int:
    """The highest slot of a hash table, at most half full, for `count` entries; it rises with `count`."""
    mask = 15
    while mask < 2 * count:
        mask = 2 * mask + 1
    return mask


@kernel
def _ask(
    hashes: Hashes, bounds: Ints, words: Hashes, phrases: Hashes, starts: Hashes, kinds: Hashes, sieve: Hashes
) -> tuple[Ints, Ints, Ints, Ints]:
    """Function words, repeated 5-grams, adverts and apologies of each text."""
    rows = len(bounds) - 1
    function, repeated = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    adverts, apologies = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    longest = 1
    for row in range(rows):
        longest = max(longest, bounds[row + 1] - bounds[row])
    size = _mask(longest) + 1
    seen, stamps = np.zeros(size, np.uint64), np.zeros(size, np.int32)
    for row in range(rows):
        start, stop = bounds[row], bounds[row + 1]
        mask, free = _mask(stop - start), start
        for k in range(start, stop):
            slot = np.int64(hashes[k] & np.uint64(1023))
            if sieve[slot] and k >= free:
                kind, length = _phrase(hashes, k, stop, phrases, starts, kinds)
                if length:
                    free = k + length
                    adverts[row] += kind == _ADVERT
                    apologies[row] += kind == _APOLOGY
            while words[slot] != 0:
                if words[slot] == hashes[k]:
                    function[row] += 1
                    break
                slot = (slot + 1) & 1023
            if k + _NGRAM <= stop:
                key = np.uint64(0)
                for j in range(_NGRAM):
                    key = (key ^ hashes[k + j]) * GOLDEN
                    key ^= key >> np.uint64(29)
                slot = np.int64(key >> np.uint64(20)) & mask
                while stamps[slot] == row + 1 and seen[slot] != key:
                    slot = (slot + 1) & mask
                repeated[row] += stamps[slot] == row + 1
                stamps[slot], seen[slot] = row + 1, key
    return function, repeated, adverts, apologies


@kernel
def _phrase(hashes: Hashes, at: Int, stop: Int, phrases: Hashes, starts: Hashes, kinds: Hashes) -> tuple[np.uint64, Int]:
    """Kind and length of the phrase that stands at `at`; length 0 if none does."""
    for p in range(len(kinds)):
        first, last = np.int64(starts[p]), np.int64(starts[p + 1])
        if last - first <= stop - at:
            same = True
            for j in range(last - first):
                if hashes[at + j] != phrases[first + j]:
                    same = False
                    break
            if same:
                return kinds[p], last - first
    return np.uint64(0), 0


@kernel
def _han_and_cut(data: Bytes, offsets: Ints) -> tuple[Ints, Ints]:
    """Han characters, and lines that end with an ellipsis, of each text; a text of few lines has none cut off."""
    rows = len(offsets) - 1
    han, cut = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
    for row in range(rows):
        i, stop, dots, lines = offsets[row], offsets[row + 1], 0, 0
        while i <= stop:
            byte = data[i] if i < stop else np.uint8(10)
            length: Int = 1
            if byte >= 0xE2:
                point, length = decode(data, i)
                dots = 3 if point == 0x2026 else 0
                han[row] += 0x3400 <= point < 0xA000 or 0xF900 <= point < 0xFB00 or point >= 0x20000
            elif byte == 46:
                dots += 1
            elif byte == 10:
                cut[row] += dots >= 3
                lines += 1
                dots = 0
            elif byte > 32:
                dots = 0
            i += length
        if lines < _FEW_LINES:
            cut[row] = 0
    return han, cut
