"""Quality rules: a small set, each with a threshold per language, that tells running text from debris.

What enters is the text column of the documents with their languages; what leaves is a verdict for each: a score in 0..1
and the rule that failed, or null. Report 3.1 sorts pages into quality groups by learned judges; these rules stand before
any such judge and take what no judge should have to read: word lists, menus, tables of numbers, repeated lines, adverts.

Each rule compares one measured property with a limit. Its margin is 1 at the limit and larger inside; the score is half
the smallest margin, at most 1, so that 0.5 is where documents begin to be dropped and a gate could move without
measuring again. Limits differ by language because the measures do: a Chinese text has half as many function words
("的", "是") for each unit as an English one, and its lines count more units. Rules that need statistics wait for length.

The limits err on the side of keeping: they were set by reading what each rule drops from prose, laws, poems, reviews,
dialogue and documentation in both languages, and loosened until what it drops is debris.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import setting
from skyloom.core.units import UnitColumn, count_units, hash_units, ngrams
from skyloom.corpus.columns import Texts, distinct_counts, shape, slices

FUNCTION_WORDS = {
    "en": "the of and to a in is it that for on with as are was be by at this from or an not have has but which you he she we they "
    "his her their its if can will were been all one no so there when i my your do",
    "zh": "的 一 是 不 了 在 有 和 与 人 这 中 为 之 以 可 个 上 也 而 其 到 或 于 对 就 要 会 我 他 你 说 及 时 等 此 如 者 "
    "无 何 来 與 這 為 個 於 對 會 說 時 無 來",
}
"""Frequent words without which no text of the language runs; Chinese ones of both scripts, modern and classical."""

ADVERTS = {
    "en": r"(?i)\b(?:no deposit bonus|casino bonus|free spins|online casino|buy (?:viagra|cialis|followers|replica)|"
    r"replica watches|payday loans?|work from home and earn|escort service|click here to (?:buy|order|claim)|"
    r"limited time offer|order now|100% satisfaction guaranteed|lose weight fast|cheap essay writing)\b",
    "zh": r"代开发票|加(?:我)?微信|微信号|扫码(?:领取|加群)|注册送|彩金|百家乐|时时彩|六合彩|真人荷官|娱乐城|办证|刻章|"
    r"包夜|上门服务|點擊購買|点击购买|立即抢购|限时特价|免费领取|日赚|刷单|贷款秒批|无抵押贷款|私服",
}
"""What adverts and spam say, not what texts about them discuss (RE2)."""

ERROR_PAGES = (
    r"(?i)\b404 not found\b|\bpage (?:can(?:no|')t be|was not|not) found\b|\benable javascript\b|\baccess denied\b|"
    r"\bplease log ?in to continue\b|lorem ipsum dolor|页面(?:不存在|未找到|找不到)|您(?:访问|请求)的(?:页面|网页)|"
    r"请(?:启用|开启) ?JavaScript|請啟用 ?JavaScript|登录后(?:查看|可见)"
)
"""What a page says that is not the page one asked for (RE2)."""


@dataclass(frozen=True)
class LanguageRules:
    """The limits that depend on the language; these are English's, and those of documents of neither language."""

    minimum_units: int = setting(25, doc="shortest document", unit="units", low=1)
    function_words: float = setting(0.05, doc="lowest share of units that are function words", low=0.0, high=1.0)
    line_units: float = setting(2.5, doc="lowest mean length of lines", unit="units", low=0.0)


@dataclass(frozen=True)
class ChineseRules(LanguageRules):
    """The same limits for Chinese in both scripts."""

    minimum_units: int = setting(25, doc="shortest document", unit="units", low=1)
    function_words: float = setting(0.02, doc="lowest share of units that are function words", low=0.0, high=1.0)
    line_units: float = setting(3.0, doc="lowest mean length of lines", unit="units", low=0.0)


@dataclass(frozen=True)
class QualityConfig:
    """The quality rules' limits. Shares are of characters that are not white space unless they say otherwise."""

    en: LanguageRules = setting(factory=LanguageRules, doc="limits for English")
    zh: ChineseRules = setting(factory=ChineseRules, doc="limits for Chinese")
    broken: float = setting(0.005, doc="highest share of replacement, control and private-use characters", low=0.0, high=1.0)
    symbols: float = setting(0.3, doc="highest share of symbols other than sentence marks", low=0.0, high=1.0)
    digits: float = setting(0.4, doc="highest share of digits", low=0.0, high=1.0)
    bullets: float = setting(0.9, doc="highest share of lines that begin with a bullet", low=0.0, high=1.0)
    repeated_lines: float = setting(
        0.5, doc="highest share of characters in lines that stood before in the document", low=0.0, high=1.0
    )
    repeated_ngrams: float = setting(
        0.6, doc="highest share of 5-grams of units that stood before in the document", low=0.0, high=1.0
    )
    sentence_marks: float = setting(0.01, doc="fewest sentence marks for each unit", low=0.0, high=1.0)
    function_words_from: int = setting(60, doc="shorter documents may do without function words", unit="units", low=0)
    sentence_marks_from: int = setting(
        200, doc="shorter documents may do without sentence marks (reviews, verse)", unit="units", low=0
    )
    adverts: float = setting(10.0, doc="most advertising phrases in 1,000 units, of those with three or more", low=0.0)
    error_page_units: int = setting(120, doc="a shorter document that says it is an error page is one", unit="units", low=0)

    def of(self, language: str) -> LanguageRules:
        """The limits of a language; documents of neither language are judged as English without function words."""
        return self.zh if language == "zh" else self.en


@dataclass(frozen=True)
class Verdict:
    """`score`: float64[rows] in 0..1, below 0.5 where a rule failed. `reason`: string[rows], null where none did."""

    score: npt.NDArray[np.float64]
    reason: pa.Array


def short_language(lang: str) -> str:
    """The language as the rules know it: "en", "zh" (either script) or "other"."""
    return {"en": "en", "zh-Hans": "zh", "zh-Hant": "zh"}.get(lang, "other")


def cheap_reasons(texts: Texts, langs: Texts, config: QualityConfig) -> pa.Array:
    """The rules that cost nothing, so that later stages never see what fails them: too short, broken. string[rows] or null."""
    reasons = np.full(len(texts), None, object)
    languages = np.array([short_language(lang) for lang in langs.to_pylist()], object)
    for start, stop in slices(texts):
        part, seen = texts.slice(start, stop - start), shape(texts.slice(start, stop - start))
        limits = np.array([config.of(name).minimum_units for name in languages[start:stop]])
        view = reasons[start:stop]
        view[count_units(part) < limits] = "too short"
        view[seen.broken > config.broken * np.maximum(seen.characters, 1)] = "broken characters"
    return pa.array(reasons, pa.string())


def judge_quality(texts: Texts, langs: Texts, config: QualityConfig) -> Verdict:
    """Measure all rules on each document; of several that fail, the one that fails by most is the reason."""
    languages = np.array([short_language(lang) for lang in langs.to_pylist()], object)
    scores: list[npt.NDArray[np.float64]] = [np.zeros(0)]
    reasons: list[str | None] = []
    for start, stop in slices(texts):
        names, margins = _margins(texts.slice(start, stop - start), languages[start:stop], config)
        worst = margins.argmin(axis=0)
        smallest = margins[worst, np.arange(margins.shape[1])]
        scores.append(np.minimum(smallest / 2, 1.0))
        reasons += [names[rule] if margin < 1 else None for rule, margin in zip(worst.tolist(), smallest.tolist(), strict=True)]
    return Verdict(np.concatenate(scores), pa.array(reasons, pa.string()))


def _margins(texts: Texts, languages: npt.NDArray[np.object_], config: QualityConfig) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Names of the rules and their margins, float64[rules, rows]; below 1 a rule has failed."""
    column, seen = hash_units(texts), shape(texts)
    units = np.maximum(column.counts, 1)
    solid = np.maximum(seen.characters - seen.spaces, 1)
    lines = np.maximum(seen.lines, 1)
    rules = [config.of(name) for name in languages]
    known = languages != "other"
    grams = ngrams(column, 5)
    hits = _adverts(texts)
    apology = np.asarray(pc.match_substring_regex(texts, ERROR_PAGES).to_numpy(zero_copy_only=False), bool)
    table = {
        "too many symbols": _at_most(seen.symbols / solid, config.symbols),
        "too many digits": _at_most(seen.digits / solid, config.digits),
        "a list and nothing else": _at_most(seen.bullet_lines / lines, config.bullets),
        "lines too short": _at_least(column.counts / lines, np.array([r.line_units for r in rules])),
        "repeated lines": _at_most(seen.repeated / solid, config.repeated_lines),
        "repeated phrases": _at_most(1 - distinct_counts(grams) / np.maximum(grams.counts, 1), config.repeated_ngrams),
        "hardly any function words": np.where(
            known & (units >= config.function_words_from),
            _at_least(_function_words(column), np.array([r.function_words for r in rules])),
            np.inf,
        ),
        "no punctuation": np.where(
            units >= config.sentence_marks_from, _at_least(seen.sentence_marks / units, config.sentence_marks), np.inf
        ),
        "advertising": np.where(hits >= 3, _at_most(1000 * hits / units, config.adverts), np.inf),
        "an error page": np.where(apology & (column.counts < config.error_page_units), 0.0, np.inf),
    }
    return list(table), np.stack(list(table.values()))


def _at_most(value: npt.NDArray[np.float64], limit: float) -> npt.NDArray[np.float64]:
    return np.asarray(limit / np.maximum(value, 1e-12))


def _at_least(value: npt.NDArray[np.float64], limit: npt.NDArray[np.float64] | float) -> npt.NDArray[np.float64]:
    return np.asarray(value / np.maximum(limit, 1e-12))


def _function_words(column: UnitColumn) -> npt.NDArray[np.float64]:
    """Share of each text's units that are function words of either language (pages mix them), float64[rows]."""
    words = hash_units(pa.array([" ".join(FUNCTION_WORDS.values())])).hashes
    sums = np.concatenate([[0], np.cumsum(np.isin(column.hashes, words))])
    hits = sums[column.offsets[1:]] - sums[column.offsets[:-1]]
    return np.asarray(hits / np.maximum(column.counts, 1), np.float64)


def _adverts(texts: Texts) -> npt.NDArray[np.int64]:
    """Advertising phrases of either language in each text, int64[rows]; a Chinese page may advertise in English."""
    return np.asarray(sum(pc.count_substring_regex(texts, pattern).to_numpy() for pattern in ADVERTS.values()), np.int64)
