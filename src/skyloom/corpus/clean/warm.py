"""Preloading for worker processes: libraries, tables and compiled kernels, loaded once before workers are forked.

Nothing enters and nothing leaves: importing this module imports the judges and has each of them look at two tiny pages, one English
and one Chinese, so that its tables are built and its compiled kernels are in memory, which all workers then share. Results do not
depend on it. It starts no thread and leaves no file open, because the program is forked afterwards.
"""

from __future__ import annotations

import pyarrow as pa

from skyloom.core.units import count_units
from skyloom.corpus import candidates
from skyloom.corpus.candidates import CANDIDATE
from skyloom.corpus.clean import phases  # noqa: F401
from skyloom.corpus.code import CodeConfig, count_code
from skyloom.corpus.dedup import band_keys, fingerprints, shingle_sets
from skyloom.corpus.distribution import DistributionConfig, judge_blocks, sketch_blocks
from skyloom.corpus.exercises import ExerciseConfig, judge_exercises
from skyloom.corpus.extract import ExtractConfig, extract_pages
from skyloom.corpus.heldout import HeldoutIndex
from skyloom.corpus.quality import QualityConfig, cheap_reasons, judge_quality
from skyloom.corpus.redact import RedactConfig, redact
from skyloom.corpus.sources import READERS  # noqa: F401
from skyloom.corpus.text import (
    inspect_column,
    language,
)

_EN = "The river rose for three days before anyone in the valley moved the animals to the high field. "
_ZH = "河水连涨了三天，山谷里的人才把牲口赶到高处的草地上，老人们说往年并不是这样。"


def _page(title: str, sentence: str, tag: str) -> bytes:
    text = "".join(f"<{tag}>{sentence * 4}</{tag}>" for _ in range(4))
    return f"<html><head><meta charset=utf-8><title>{title}</title></head><body><div>{text}</div></body></html>".encode()


def _load() -> None:
    bodies = pa.array([_page("River", _EN, "p"), _page("河", _ZH, "p")], pa.binary())
    inspect_column(bodies)
    found = extract_pages(bodies, pa.array([None, None], pa.string()), ExtractConfig())
    blocks = found.column("blocks").cast(CANDIDATE.field("blocks").type)
    texts = candidates.joined(blocks)
    langs = pa.array(["en", "zh-Hans"])
    language.identify(texts)
    cheap_reasons(texts, langs, QualityConfig())
    judge_quality(texts, langs, QualityConfig())
    judge_exercises(texts, langs, ExerciseConfig())
    count_units(texts)
    band_keys(texts, 5, 14, 8)
    fingerprints(texts)
    shingle_sets(texts, 5)
    names = pa.array(["a", "b"])
    count_code(texts, names, names, CodeConfig())
    table = pa.table({"id": names, "source": names, "lang": langs, "blocks": blocks, "tags": found.column("tags")})
    judge_blocks(table, sketch_blocks(table, DistributionConfig()), DistributionConfig())
    HeldoutIndex(texts).near(texts, 0.5)
    redact(texts, RedactConfig())


_load()
