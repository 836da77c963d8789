"""The stages that judge each text by itself, for Python: language, quality rules, redaction.

Input: one text, a list, an Arrow column or table, or the Path of files as the command line takes them. Output: for one text a
dataclass, else an Arrow table with a row for each text. The judges are those of `skyloom corpus language|quality|redact`
(`corpus.alone`), with the settings of a run. A `str` is always a text; files are named by a Path.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.store import Store
from skyloom.corpus.alone import LanguageVerdict, QualityVerdicts, Redaction, RowStage, judge_files
from skyloom.corpus.dedup import Columns
from skyloom.corpus.quality import QualityConfig
from skyloom.corpus.redact import KINDS, RedactConfig
from skyloom.library.given_texts import Rows, given_texts, one_text
from skyloom.library.logged_progress import LoggedProgress

NO_TEXT = "no text"
"""The reason of a row without a text, as in the rejected rows of the command line."""


@dataclass(frozen=True)
class TextLanguage:
    """`lang`: "en", "zh-Hans", "zh-Hant", "other", or "" for a text without letters. `score`: 0 to 1, the share of the text's units
    that speak for it."""

    lang: str
    score: float


@dataclass(frozen=True)
class TextQuality:
    """`score`: 0 to 1, below 0.5 where a rule failed. `reason`: that rule, None where none failed."""

    lang: str
    score: float
    reason: str | None

    @property
    def keep(self) -> bool:
        """Whether a run would keep the text."""
        return self.reason is None


@dataclass(frozen=True)
class RedactedText:
    """`text`: with placeholders such as <EMAIL>. `counts`: replaced places by kind."""

    text: str
    counts: Mapping[str, int]


@overload
def identify(texts: str) -> TextLanguage: ...
@overload
def identify(texts: Path | Rows, *, columns: tuple[str, str] = ..., workers: int = ...) -> pa.Table: ...
def identify(texts: str | Path | Rows, *, columns: tuple[str, str] = ("id", "text"), workers: int = 0) -> TextLanguage | pa.Table:
    """The language of texts: scripts first, then frequent words, a small model where neither can tell (report 3.1).

    `texts`: one text; or a list, an Arrow column or table; or a Path (files of JSON lines or Parquet, or a folder of them).
    `columns`: names of the columns of ids and texts, for tables and files. `workers`: processes, for files.

    Returns a `TextLanguage` for one text, else a table with a row for each: `id` string (its own, or the row's number from 0; in
    files without ids FILE:ROW), `lang` string ("en", "zh-Hans", "zh-Hant", "other", "" without letters), `score` float64, 0 to 1.
    A row that is None has null in both. Rows of files without a text are left out and logged as a warning.

    DataError for rows that are no text, and for files that are not there, are damaged or hold no text.

    >>> import skyloom
    >>> skyloom.identify("The printer is on the second floor, next to the stairs.").lang
    'en'
    >>> skyloom.identify(["打印机在二楼，楼梯旁边。", "打印機在二樓，樓梯旁邊。", None])["lang"].to_pylist()
    ['zh-Hans', 'zh-Hant', None]
    """
    stage = LanguageVerdict()
    if isinstance(texts, str):
        row = _one(texts, stage)
        return TextLanguage(row["lang"], row["score"])
    return _rows(texts, stage, columns, workers)


@overload
def quality(texts: str, *, web_en: Sequence[str] = ...) -> TextQuality: ...
@overload
def quality(texts: Path | Rows, *, web_en: Sequence[str] = ..., columns: tuple[str, str] = ..., workers: int = ...) -> pa.Table: ...
def quality(
    texts: str | Path | Rows, *, web_en: Sequence[str] = (), columns: tuple[str, str] = ("id", "text"), workers: int = 0
) -> TextQuality | pa.Table:
    """Texts judged by the quality rules of a run: length, words, symbols, repetition, adverts; for each language (report 3.1).

    `texts`, `columns`, `workers`: as of `identify`. `web_en`: published filters that English must pass too, of "gopher-repetition",
    "gopher-quality", "c4" and "fineweb".

    Returns a `TextQuality` for one text, else a table with a row for each: `id` string, `lang` string, `score` float64 (0 to 1,
    below 0.5 where a rule failed), `reason` string (that rule; null where none failed). A row that is None has the reason "no text"
    and null in `lang` and `score`.

    ConfigError for another filter; DataError as `identify`.

    >>> import skyloom
    >>> skyloom.quality("Buy now!").reason
    'too short'
    >>> good = "打印机在二楼的楼梯旁边。请先打开电源，等到绿灯亮了，再从电脑上发送文件。纸用完了，可以到一楼前台去领。"
    >>> skyloom.quality([good, None])["reason"].to_pylist()
    [None, 'no text']
    """
    stage = QualityVerdicts(build(QualityConfig, {"web_en": list(web_en)}, origin="quality"))
    if isinstance(texts, str):
        row = _one(texts, stage)
        return TextQuality(row["lang"], row["score"], row["reason"])
    found = _rows(texts, stage, columns, workers)
    reasons = pc.if_else(found["score"].is_null(), NO_TEXT, found["reason"])
    return found.set_column(found.schema.get_field_index("reason"), "reason", reasons)


@overload
def redact(texts: str, *, kinds: Sequence[str] = ...) -> RedactedText: ...
@overload
def redact(texts: Path | Rows, *, kinds: Sequence[str] = ..., columns: tuple[str, str] = ..., workers: int = ...) -> pa.Table: ...
def redact(
    texts: str | Path | Rows, *, kinds: Sequence[str] = (), columns: tuple[str, str] = ("id", "text"), workers: int = 0
) -> RedactedText | pa.Table:
    """Texts with placeholders for personal data: <EMAIL>, <ID_CARD>, <BANK_CARD>, <IP>, <PHONE> (report 3.2).

    A number is replaced only where it proves what it is: by a numbering plan, by its check digits, by being a public address.

    `texts`, `columns`, `workers`: as of `identify`. `kinds`: of "email", "id_card", "bank_card", "ip", "phone"; all if empty.

    Returns a `RedactedText` for one text, else a table with a row for each: `id` string, `text` large_string, and for each kind an
    int64 column with the number of places that were replaced. A row that is None has null in all but its id.

    ConfigError for another kind; DataError as `identify`.

    >>> import skyloom
    >>> skyloom.redact("Write to mary.jones@lumen-press.com.").text
    'Write to <EMAIL>.'
    >>> skyloom.redact(["请拨打13812345678联系我们。"])["text"].to_pylist()
    ['请拨打<PHONE>联系我们。']
    """
    stage = Redaction(build(RedactConfig, {"kinds": list(kinds or KINDS)}, origin="redact"))
    if isinstance(texts, str):
        row = _one(texts, stage)
        return RedactedText(row["text"], {kind: row[kind] for kind in KINDS})
    return _rows(texts, stage, columns, workers)


def _one(text: str, stage: RowStage) -> dict[str, Any]:
    found: dict[str, Any] = one_text(text).judged(lambda table: stage.say(table).table, stage.schema).to_pylist()[0]
    return found


def _rows(texts: Path | Rows, stage: RowStage, columns: tuple[str, str], workers: int) -> pa.Table:
    if not isinstance(texts, Path):
        return given_texts(texts, columns).judged(lambda table: stage.say(table).table, stage.schema)
    with tempfile.TemporaryDirectory(prefix="skyloom-") as folder:
        engine, progress = Engine(workers), LoggedProgress()
        try:
            report = judge_files(
                [texts], Path(folder, "said.parquet"), stage, engine=engine, progress=progress, columns=Columns(*columns)
            )
        finally:
            engine.close()
        for reason, count in report.rejected.items():
            progress.log(f"warning: {texts}: {count:,} rows left out: {reason}")
        return Store(folder).read_table("said.parquet")
