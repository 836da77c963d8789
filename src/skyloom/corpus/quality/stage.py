"""Rule-based quality filtering, with thresholds per language.

Input: the text column of the documents with their languages. Output: a verdict for each: a score in 0..1 and the rule that
failed, or null. Report 3.1 sorts pages into quality groups by learned judges (`learned.judges`); these rules stand before any
such judge and take what no judge should have to read: word lists, menus, tables of numbers, repeated lines, adverts. What is
measured, and how, is in `rules.py`; here are the limits and the verdict.

Each rule compares one measured property with a limit. Its margin is 1 at the limit and larger inside; the score is half
the smallest margin, at most 1, so that 0.5 is where documents begin to be dropped and a limit could move without
measuring again. Limits differ by language because the measures do: a Chinese text has half as many function words
("的", "是") for each unit as an English one, and its lines count more units. Rules that need statistics wait for length.

The limits err on the side of keeping: they were set by reading what each rule drops from prose, laws, poems, reviews,
dialogue and documentation in both languages, and loosened until what it drops is debris.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.corpus.quality.config import QualityConfig, WebConfig
from skyloom.corpus.quality.learned.tokens import tokens
from skyloom.corpus.quality.rules import Rule, margins, measure
from skyloom.corpus.quality.web_en import judge_web_en
from skyloom.corpus.text import Texts, shape, slices


@dataclass(frozen=True)
class QualityVerdict:
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
        view[tokens(part).counts < limits] = "too short"
        view[seen.broken > config.broken * np.maximum(seen.characters, 1)] = "broken characters"
    return pa.array(reasons, pa.string())


def judge_quality(texts: Texts, langs: Texts, config: QualityConfig) -> QualityVerdict:
    """Measure all rules on each document; of several that fail, the one that fails by most is the reason.

    Documents in English that pass are then asked the published filters that `config.web_en` names, if any.
    """
    languages = np.array([short_language(lang) for lang in langs.to_pylist()], object)
    rules = rule_table(config)
    scores: list[npt.NDArray[np.float64]] = [np.zeros(0)]
    reasons: list[str | None] = []
    for start, stop in slices(texts):
        part = texts.slice(start, stop - start)
        found = margins(measure(part), languages[start:stop], rules)
        worst = found.argmin(axis=0)
        smallest = found[worst, np.arange(found.shape[1])]
        failed = [rules[rule].reason if margin < 1 else None for rule, margin in zip(worst, smallest, strict=True)]
        if config.web_en:
            for row, reason in _web_en(part, (languages[start:stop] == "en") & (smallest >= 1), config.web_en):
                failed[row], smallest[row] = reason, 0.0
        scores.append(np.minimum(smallest / 2, 1.0))
        reasons += failed
    return QualityVerdict(np.concatenate(scores), pa.array(reasons, pa.string()))


def _web_en(texts: Texts, asked: npt.NDArray[np.bool_], filters: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """Rows among those `asked` that a published filter drops, and why."""
    verdict = judge_web_en(texts.filter(pa.array(asked)), WebConfig(filters))
    for row, reason in zip(np.flatnonzero(asked).tolist(), verdict.reason.to_pylist(), strict=True):
        if reason is not None:
            yield row, f"web-en: {reason}"


def failed_rules(texts: Texts, langs: Texts, config: QualityConfig) -> dict[str, npt.NDArray[np.bool_]]:
    """Which documents fail each rule by itself, bool[rows] by the rule's reason: for tables of pass rates."""
    languages = np.array([short_language(lang) for lang in langs.to_pylist()], object)
    rules = rule_table(config)
    parts = [np.zeros((len(rules), 0), np.bool_)]
    for start, stop in slices(texts):
        parts.append(margins(measure(texts.slice(start, stop - start)), languages[start:stop], rules) < 1)
    return {rule.reason: row for rule, row in zip(rules, np.concatenate(parts, axis=1), strict=True)}


def rule_table(config: QualityConfig) -> tuple[Rule, ...]:
    """The rules with their limits by language, "en", "zh" and "other" (which has no rule that asks for words of a language)."""
    both = {"en": config.en, "zh": config.zh}

    def each(limit: float) -> dict[str, float]:
        return {"en": limit, "zh": limit, "other": limit}

    return (
        Rule("too many symbols", "symbols", "high", each(config.symbols)),
        Rule("too many digits", "digits", "high", each(config.digits)),
        Rule("a list and nothing else", "bullets", "high", each(config.bullets)),
        Rule("lines too short", "line_units", "low", {**{k: v.line_units for k, v in both.items()}, "other": config.en.line_units}),
        Rule("lines cut off", "cut", "high", each(config.cut_lines)),
        Rule("repeated lines", "repeated_lines", "high", each(config.repeated_lines)),
        Rule("repeated phrases", "repeated_ngrams", "high", each(config.repeated_ngrams)),
        Rule(
            "hardly any function words", "function_words", "low", {k: v.function_words for k, v in both.items()},
            config.function_words_from,
        ),
        Rule("no punctuation", "sentence_marks", "low", each(config.sentence_marks), config.sentence_marks_from),
        Rule("hardly any Chinese", "han", "low", {"zh": config.zh.han}, config.function_words_from),
        Rule("words too long", "unit_length", "high", {"en": config.en.unit_length}),
        Rule("advertising", "adverts", "high", each(config.adverts)),
        Rule("an error page", "apology", "high", each(0.5), below_units=config.error_page_units),
    )  # fmt: skip
