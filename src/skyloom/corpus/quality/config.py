"""Settings of the quality rules for each language, of the published English filters, and of the learned judges."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.corpus.quality.learned.config import JudgesConfig

FILTERS = ("gopher-repetition", "gopher-quality", "c4", "fineweb")


@dataclass(frozen=True)
class WebConfig:
    """The preset's choices; its limits are the published ones."""

    filters: tuple[str, ...] = setting(FILTERS, doc="which filters are applied, in FineWeb's order", choices=FILTERS)
    closing_marks: bool = setting(False, doc="C4 drops lines that do not end a sentence (FineWeb's recipe does without)")


@dataclass(frozen=True)
class LanguageRules:
    """The limits that depend on the language; these are English's, and those of documents of neither language."""

    minimum_units: int = setting(25, doc="shortest document", unit="units", low=1)
    function_words: float = setting(0.05, doc="lowest share of units that are function words", low=0.0, high=1.0)
    line_units: float = setting(2.5, doc="lowest mean length of lines", unit="units", low=0.0)
    unit_length: float = setting(12.0, doc="longest mean length of words; not asked of Chinese", unit="characters", low=1.0)


@dataclass(frozen=True)
class ChineseRules(LanguageRules):
    """The same limits for Chinese in both scripts."""

    minimum_units: int = setting(25, doc="shortest document", unit="units", low=1)
    function_words: float = setting(0.02, doc="lowest share of units that are function words", low=0.0, high=1.0)
    line_units: float = setting(3.0, doc="lowest mean length of lines", unit="units", low=0.0)
    han: float = setting(0.1, doc="lowest share of units that are Han characters; not asked of English", low=0.0, high=1.0)


@dataclass(frozen=True)
class QualityConfig:
    """The quality rules' limits. Shares are of characters that are not white space unless they say otherwise."""

    en: LanguageRules = setting(factory=LanguageRules, doc="limits for English")
    zh: ChineseRules = setting(factory=ChineseRules, doc="limits for Chinese")
    broken: float = setting(0.005, doc="highest share of replacement, control and private-use characters", low=0.0, high=1.0)
    symbols: float = setting(0.3, doc="highest share of symbols other than sentence marks", low=0.0, high=1.0)
    digits: float = setting(0.4, doc="highest share of digits", low=0.0, high=1.0)
    bullets: float = setting(0.9, doc="highest share of lines that begin with a bullet", low=0.0, high=1.0)
    cut_lines: float = setting(0.6, doc="highest share of lines that end with an ellipsis", low=0.0, high=1.0)
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

    web_en: tuple[str, ...] = setting((), doc="published filters that documents in English must pass too (web_en)", choices=FILTERS)
    judges: JudgesConfig = setting(factory=JudgesConfig, doc="learned judges and quality groups")

    def of(self, language: str) -> LanguageRules:
        """The limits of a language; documents of neither language are judged as English without function words."""
        return self.zh if language == "zh" else self.en
