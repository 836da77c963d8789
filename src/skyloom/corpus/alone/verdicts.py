"""What each stage says of rows by itself: language, quality by rules, redaction; the same judges and settings as in a run.

Input: a table of rows with `id` and `text`. Output: a table with a row for each (`schema`), a mark for those that stay, and counts
by what was said. A text is judged in NFC, as in a run; what is written is the text as it came, or redacted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.corpus.quality import QualityConfig, cheap_reasons, judge_quality
from skyloom.corpus.redact import KINDS, RedactConfig, redact
from skyloom.corpus.text import language

KEPT = "kept"


@dataclass(frozen=True)
class RowVerdicts:
    """`table`: a row for each row; `keep`: bool[rows]; `counts`: rows (of redaction: places) by what was said."""

    table: pa.Table
    keep: npt.NDArray[np.bool_]
    counts: Counter[str]


class RowStage(Protocol):
    """A stage that judges each row by its text alone."""

    @property
    def verb(self) -> str: ...
    @property
    def schema(self) -> pa.Schema: ...
    def say(self, table: pa.Table) -> RowVerdicts: ...


def _nfc(table: pa.Table) -> pa.ChunkedArray:
    return pc.utf8_normalize(table.column("text"), form="NFC")


@dataclass(frozen=True)
class LanguageVerdict:
    """The language of each text: "en", "zh-Hans", "zh-Hant", "other", or "" where there are no letters. `wanted`: those that stay,
    all if there is none."""

    wanted: tuple[str, ...] = ()
    verb: str = "language"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("id", pa.string()), ("lang", pa.string()), ("score", pa.float64())])

    def say(self, table: pa.Table) -> RowVerdicts:
        codes, scores = language.identify(_nfc(table))
        values = [table.column("id"), pa.array(codes, pa.string()), _rounded(scores)]
        keep = np.array([not self.wanted or code in self.wanted for code in codes], bool)
        return RowVerdicts(pa.table(values, self.schema), keep, Counter(code or "no letters" for code in codes))


@dataclass(frozen=True)
class QualityVerdicts:
    """The quality rules of a run: a score from 0 to 1, below .5 where a rule failed, and that rule, or null where none did."""

    config: QualityConfig = field(default_factory=QualityConfig)
    verb: str = "quality"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("id", pa.string()), ("lang", pa.string()), ("score", pa.float64()), ("reason", pa.string())])

    def say(self, table: pa.Table) -> RowVerdicts:
        texts = _nfc(table)
        langs = pa.array(language.identify(texts)[0], pa.string())
        cheap, verdict = cheap_reasons(texts, langs, self.config), judge_quality(texts, langs, self.config)
        reasons = pc.coalesce(cheap, verdict.reason)
        keep = np.asarray(reasons.is_null().to_numpy(zero_copy_only=False), bool)
        scores = np.where(np.asarray(cheap.is_null().to_numpy(zero_copy_only=False), bool), verdict.score, 0.0)
        said = pa.table([table.column("id"), langs, _rounded(scores), reasons], self.schema)
        return RowVerdicts(said, keep, Counter(reason or KEPT for reason in reasons.to_pylist()))


@dataclass(frozen=True)
class Redaction:
    """The texts with placeholders for personal data, and how many of each kind."""

    config: RedactConfig = field(default_factory=RedactConfig)
    verb: str = "redact"

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([("id", pa.string()), ("text", pa.large_string()), *((kind, pa.int64()) for kind in KINDS)])

    def say(self, table: pa.Table) -> RowVerdicts:
        found = redact(table.column("text"), self.config)
        texts = found.texts.cast(pa.large_string())
        said = pa.table([table.column("id"), texts, *(pa.array(found.counts[kind]) for kind in KINDS)], self.schema)
        counts = Counter({kind: int(count.sum()) for kind, count in found.counts.items() if count.sum()})
        return RowVerdicts(said, np.ones(len(table), bool), counts)


def _rounded(scores: npt.NDArray[np.floating]) -> pa.Array:
    return pa.array(np.round(np.asarray(scores, np.float64), 4))
