"""Parallel text: whole paragraphs of pages that exist in English and in Chinese (report 3.1, item 6).

What enters are EXTRACTED shards whose pages carry a `pair` in their `meta` (equal for the two versions of one page), what
leaves are documents of English paragraphs, each followed by its Chinese one. Two versions of a page have the same structure,
mostly: a paragraph may be missing, split or left untranslated. So paragraphs are aligned as sentences are in Gale and Church
(1993): the cheapest monotone path, where pairing two blocks costs by how unlikely their lengths and tags are together, and by
how many of the numbers, names and commands in the Chinese text the English one lacks. A pair is written only if it is likely
by itself and the Chinese side is Chinese.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from skyloom.core.config import setting
from skyloom.core.engine import Done, Engine, Task
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, domain_of, record_id
from skyloom.core.store import Store
from skyloom.corpus.language import count_scripts

PAGES_A_TASK = 500
RATIO = 1.75  # Chinese characters for one English word, in documentation
SPREAD = 0.35  # standard deviation of the log of that ratio for a long paragraph
SKIP = 3.0  # cost of leaving a block of either side without partner
TAG = 2.0  # cost of pairing blocks of different tags
ANCHOR = 5.0  # cost of pairing when the English block has none of the Chinese one's numbers and names
BAND = 60  # blocks that a path may stray from the diagonal
CELLS = 16_000_000  # of the path's table, 17 bytes each: two pages of 4,000 blocks; larger ones are not aligned


@dataclass(frozen=True)
class ParallelConfig:
    """Settings of the alignment of parallel pages."""

    max_cost: float = setting(2.5, doc="write pairs that cost at most this", unit="negative log likelihood", low=0)
    min_units: int = setting(3, doc="shortest English paragraph of a pair", unit="words", low=1)
    min_cover: float = setting(
        0.4, doc="leave out pages of which a smaller share of the shorter side found a partner", unit="share", low=0, high=1
    )


@dataclass(frozen=True)
class Pair:
    """Two paragraphs that say the same, and the `cost` of pairing them (0: as likely as can be)."""

    english: str
    chinese: str
    cost: float


def align_blocks(
    english: list[str], english_tags: list[str], chinese: list[str], chinese_tags: list[str], config: ParallelConfig
) -> list[Pair]:
    """The pairs of two block lists, in order; none of pages beyond CELLS.

    Code listings (tag "pre") take part in the path and are never pairs.
    """
    if not english or not chinese or (len(english) + 1) * (len(chinese) + 1) > CELLS:
        return []
    left, right = _Side.of(english, english_tags), _Side.of(chinese, chinese_tags)
    kinds = {t: i for i, t in enumerate(sorted({*english_tags, *chinese_tags}))}
    path = _path(
        left.size, np.array([kinds[t] for t in english_tags]), left.words, left.bounds,
        right.size, np.array([kinds[t] for t in chinese_tags]), right.words, right.bounds,
    )  # fmt: skip
    pairs = []
    for i, j, cost in zip(*path, strict=True):
        if english_tags[i] == "pre" or chinese_tags[j] == "pre" or cost > config.max_cost:
            continue
        if left.latin[i] < config.min_units or left.han[i] > 0.1 * left.total[i]:
            continue
        if right.han[j] < 2 or right.han[j] < 0.35 * right.total[j]:
            continue  # not translated
        pairs.append(Pair(_one_line(english[i]), _one_line(chinese[j]), float(cost)))
    return pairs


def align(extracted: Store, out: Store, config: ParallelConfig, *, engine: Engine, progress: Progress) -> dict[str, Any]:
    """Write `parallel-NNNNN.parquet` and `parallel.json`; returns the latter: `pages` that exist in both languages,
    `documents` and `pairs` written, `score` (mean likelihood of a pair, 0 to 1)."""
    couples = _couples(extracted)
    groups = [couples[i : i + PAGES_A_TASK] for i in range(0, len(couples), PAGES_A_TASK)] or [[]]
    tasks = [Task(f"{n:05d}", (extracted, group, config)) for n, group in enumerate(groups)]
    results = engine.map(_align_group, tasks, out, progress=progress, label="parallel text")
    pairs = sum(r["pairs"] for r in results)
    summary = {
        "pages": len(couples),
        "documents": sum(r["documents"] for r in results),
        "pairs": pairs,
        "score": round(sum(r["score"] for r in results) / max(pairs, 1), 4),
    }
    out.write_json("parallel.json", summary)
    progress.log(f"parallel text: {pairs:,} pairs of paragraphs from {len(couples):,} pages in both languages")
    return summary


Where = tuple[str, int]


def _couples(extracted: Store) -> list[tuple[Where, Where]]:
    """(shard, row) of the English and of the Chinese version of each page that has both, in the order of their keys."""
    versions: dict[tuple[str, str], dict[str, Where]] = defaultdict(dict)
    for name in extracted.names("extracted-"):
        table = extracted.read_table(name, ["source", "lang", "reason", "meta"])
        for row, (source, lang, reason, meta) in enumerate(zip(*(c.to_pylist() for c in table.columns), strict=True)):
            pair = json.loads(meta).get("pair") if '"pair"' in meta else None
            if pair and reason is None and lang in ("en", "zh-Hans", "zh-Hant"):
                versions[source, str(pair)].setdefault(lang, (name, row))
    couples = []
    for key in sorted(versions):
        found = versions[key]
        chinese = found.get("zh-Hans") or found.get("zh-Hant")
        if "en" in found and chinese:
            couples.append((found["en"], chinese))
    return couples


def _align_group(task: Task, out: Store) -> Done:
    extracted, couples, config = task.payload
    wanted = ["id", "source", "url", "date", "license", "blocks", "tags"]
    rows: dict[Where, dict[str, Any]] = {}
    for name in sorted({shard for couple in couples for shard, _ in couple}):
        numbers = [row for couple in couples for shard, row in couple if shard == name]
        for row, record in zip(numbers, extracted.read_table(name, wanted).take(numbers).to_pylist(), strict=True):
            rows[name, row] = record
    documents, count, score = [], 0, 0.0
    for english, chinese in couples:
        en, zh = rows[english], rows[chinese]
        pairs = align_blocks(en["blocks"], en["tags"], zh["blocks"], zh["tags"], config)
        if not pairs or len(pairs) < config.min_cover * min(_prose(en), _prose(zh)):
            continue
        documents.append(_document(en, zh, pairs))
        count += len(pairs)
        score += sum(math.exp(-p.cost) for p in pairs)
    files = []
    if documents or task.key == "00000":  # the first shard is there even if empty, so that a reader finds the schema
        files.append(out.write_table(f"parallel-{task.key}.parquet", pa.Table.from_pylist(documents, schema=DOCUMENT)))
    return Done(tuple(files), {"documents": len(documents), "pairs": count, "score": score})


def _prose(row: dict[str, Any]) -> int:
    return sum(tag != "pre" for tag in row["tags"])


def _document(en: dict[str, Any], zh: dict[str, Any], pairs: list[Pair]) -> dict[str, Any]:
    text = "\n\n".join(f"{p.english}\n{p.chinese}" for p in pairs)
    meta = {
        "pairs": len(pairs),
        "url_en": en["url"],
        "url_zh": zh["url"],
        "cost": round(sum(p.cost for p in pairs) / len(pairs), 3),
    }
    return {
        "id": record_id("parallel", en["id"], zh["id"]), "text": unicodedata.normalize("NFC", text), "lang": "en",
        "source": en["source"], "domain": domain_of("parallel", "en"), "category": "parallel", "url": en["url"],
        "date": en["date"], "license": en["license"], "split": "train",
        "meta": json.dumps(meta, ensure_ascii=False, sort_keys=True),
    }  # fmt: skip


def _one_line(text: str) -> str:
    return " ".join(text.split())


_ANCHOR_WORD = re.compile(r"[A-Za-z0-9_]{2,}|\d")


@dataclass(frozen=True)
class _Side:
    """Blocks of one page as arrays: `size` in English words or what equals them, `words` sorted hashes of its ASCII words."""

    size: npt.NDArray[np.float64]
    latin: npt.NDArray[np.int64]
    han: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    words: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]

    @staticmethod
    def of(blocks: list[str], tags: list[str]) -> _Side:
        scripts = count_scripts(pa.array(blocks, pa.string()))
        size = scripts.latin + scripts.other + (scripts.han + scripts.kana + scripts.hangul) / RATIO
        words: list[int] = []
        bounds = [0]
        for block in blocks:
            found = {w.lower() for w in _ANCHOR_WORD.findall(block)}
            words += sorted(int(record_id(w)[:15], 16) for w in found)
            bounds.append(len(words))
        return _Side(size, scripts.latin, scripts.han, scripts.total, np.array(words, np.int64), np.array(bounds, np.int64))


@numba.njit(cache=True, nogil=True)
def _pair_cost(size_a, tag_a, words_a, size_b, tag_b, words_b):  # type: ignore[no-untyped-def]
    """Negative log likelihood, up to a constant, that two blocks say the same. `words`: sorted hashes."""
    spread = SPREAD * (1.0 + 2.0 / math.sqrt(size_a + 1.0))  # short paragraphs vary more
    distance = (math.log(size_b + 1.0) - math.log(size_a + 1.0)) / spread
    cost = 0.5 * distance * distance + (TAG if tag_a != tag_b else 0.0)
    if len(words_b) > 0:
        common = i = j = 0
        while i < len(words_a) and j < len(words_b):
            if words_a[i] == words_b[j]:
                common += 1
                i += 1
                j += 1
            elif words_a[i] < words_b[j]:
                i += 1
            else:
                j += 1
        cost += ANCHOR * (1.0 - common / len(words_b)) * min(1.0, len(words_b) / 3.0)
    return cost


@numba.njit(cache=True, nogil=True)
def _path(size_a, tag_a, words_a, bounds_a, size_b, tag_b, words_b, bounds_b):  # type: ignore[no-untyped-def]
    """The cheapest monotone path: int64[k] of left blocks, int64[k] of right blocks, float64[k] of their costs."""
    n, m = len(size_a), len(size_b)
    band = max(BAND, abs(n - m) + 20)
    best = np.full((n + 1, m + 1), np.inf)
    pair = np.full((n + 1, m + 1), np.inf)
    step = np.zeros((n + 1, m + 1), np.uint8)
    best[0, 0] = 0.0
    for i in range(n + 1):
        middle = i * m // max(n, 1)
        for j in range(max(0, middle - band), min(m, middle + band) + 1):
            if i > 0 and best[i - 1, j] + SKIP < best[i, j]:
                best[i, j], step[i, j] = best[i - 1, j] + SKIP, 1
            if j > 0 and best[i, j - 1] + SKIP < best[i, j]:
                best[i, j], step[i, j] = best[i, j - 1] + SKIP, 2
            if i > 0 and j > 0 and best[i - 1, j - 1] < np.inf:
                cost = _pair_cost(
                    size_a[i - 1], tag_a[i - 1], words_a[bounds_a[i - 1] : bounds_a[i]],
                    size_b[j - 1], tag_b[j - 1], words_b[bounds_b[j - 1] : bounds_b[j]],
                )  # fmt: skip
                pair[i, j] = cost
                if best[i - 1, j - 1] + cost < best[i, j]:
                    best[i, j], step[i, j] = best[i - 1, j - 1] + cost, 3
    left, right, costs = [], [], []
    i, j = n, m
    while i > 0 or j > 0:
        if step[i, j] == 3:
            left.append(i - 1)
            right.append(j - 1)
            costs.append(pair[i, j])
            i -= 1
            j -= 1
        elif step[i, j] == 1:
            i -= 1
        else:
            j -= 1
    return np.array(left[::-1]), np.array(right[::-1]), np.array(costs[::-1])
