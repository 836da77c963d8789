"""Parallel text: whole paragraphs of pages that exist in English and in Chinese (report 3.1, item 6).

Input: EXTRACTED shards. Output: documents of English paragraphs, each followed by its Chinese one. Pages pair by the key of
their source or by their addresses (`urls.py`). Two versions of a page have the same structure, mostly: a paragraph may be
missing, split or left untranslated. So paragraphs are aligned by the cheapest monotone path (Gale and Church 1993;
`alignment.py`), where pairing costs by lengths, by tags, and by how well the words of one side explain those of the other. What
translates what is learnt from the corpus itself, in three rounds over at most LEARN pages: pairs by lengths, tags, numbers and
names give a first lexicon (`lexicon.py`), pairs by that lexicon a second one, and that one judges all. A pair is written only
if it is likely by itself, in both directions, and the Chinese side is Chinese.

Rows of kind "parallel" are ready pairs (translation memories, catalogues; `sources/readers/pairs.py`): their lines are an English
text, its Chinese one, the next English text and so on. They teach the lexicon, and are judged as the others, without position.

Memory: for each page 17 bytes, for each couple its key and place (400 bytes); the pairs of LEARN pages; what the lexicon states
(0.7 GB at most).
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from skyloom.core.engine import Done, Engine, Task
from skyloom.core.kernels import GOLDEN
from skyloom.core.progress import Progress
from skyloom.core.records import DOCUMENT, DocumentRow, domain_of, record_id
from skyloom.core.store import Store
from skyloom.corpus.bitext.alignment import Lexicons, Path, Side, best_path, doubts, fits, length_costs
from skyloom.corpus.bitext.config import BitextConfig
from skyloom.corpus.bitext.lexicon import LATIN, NUMBER, Lexicon, learn
from skyloom.corpus.bitext.urls import pair_keys
from skyloom.corpus.text import string_hashes

PAGES_A_TASK = 100
LEARN = 4000  # pages that teach the lexicon, chosen by the hash of their key
ENOUGH = 300  # pairs; fewer teach nothing
TEACH = (1.0, 2.0)  # highest cost of the pairs that teach in the first and the second round
NEUTRAL = 2 * math.log(2.0)  # cost of no evidence in either direction
WAYS = ("forward", "backward")
LEARNING = "learning"  # the folder of what only leads to the lexicons
PAIRS = pa.schema([("english", pa.string()), ("chinese", pa.string())])
READY = "parallel"  # the kind of rows that are ready pairs


@dataclass(frozen=True)
class Pair:
    """Two paragraphs that say the same, and the `cost` of pairing them (0: as likely as can be)."""

    english: str
    chinese: str
    cost: float


def align_blocks(
    english: list[str],
    english_tags: list[str],
    chinese: list[str],
    chinese_tags: list[str],
    config: BitextConfig,
    lexicons: Lexicons | None = None,
) -> list[Pair]:
    """The pairs of two block lists, in order; none of pages that do not fit (`alignment.fits`).

    Two blocks of one tag may together be one side of a pair; they are joined by a space. Code listings (tag "pre") take part in the
    path and are never pairs. Without `lexicons` only lengths, tags, numbers and names speak, and no evidence is not held against a
    pair.
    """
    if not english or not chinese or not fits(len(english), len(chinese)):
        return []
    lexicons = lexicons or Lexicons.empty()
    left, right = Side.of(english), Side.of(chinese)
    kinds = {t: i for i, t in enumerate(sorted({*english_tags, *chinese_tags}))}
    tags = [np.array([kinds[t] for t in side], np.int64) for side in (english_tags, chinese_tags)]
    path = best_path(left, tags[0], right, tags[1], lexicons.forward)
    pairs = []
    for (a, b), (c, d), cost in zip(path.left.tolist(), path.right.tolist(), _costs(path, left, right, lexicons), strict=True):
        if cost > config.max_cost or "pre" in (english_tags[a], chinese_tags[c]):
            continue
        if _translated(left, right, (a, b), (c, d), config):
            pairs.append(Pair(_one_line(english[a:b]), _one_line(chinese[c:d]), float(cost)))
    return pairs


def judge_pairs(english: pa.Array, chinese: pa.Array, config: BitextConfig, lexicons: Lexicons) -> npt.NDArray[np.float64]:
    """The cost of each given pair, row by row, infinite where one side is not in its language: float64[rows]."""
    left, right = Side.of(english), Side.of(chinese)
    rows = np.stack([np.arange(len(left.size)), np.arange(1, len(left.size) + 1)], axis=1)
    cost = length_costs(left.size, right.size) + _doubts(left, right, rows, rows, lexicons)
    good = [_translated(left, right, (k, k + 1), (k, k + 1), config) for k in range(len(rows))]
    return np.where(good, cost, np.inf)


def align(extracted: Store, out: Store, config: BitextConfig, *, engine: Engine, progress: Progress) -> BitextSummary:
    """Write `parallel-NNNNN.parquet`, `lexicon.parquet` and `parallel.json`; returns the latter: `pages` that exist in both
    languages, of them `too_large` to align, `documents` and `pairs` written, `score` (mean likelihood of a pair, 0 to 1),
    `words` in the lexicon, `ready` pairs that came as such."""
    couples = _couples(extracted)
    ready = [name for name in extracted.names("extracted-") if _count_ready(extracted, name)]
    taught = sorted(couples, key=lambda couple: record_id("lexicon", *map(str, couple)))[:LEARN]
    for number, limit in enumerate(TEACH):
        lessons = [Lesson(extracted, group, None, limit, number) for group in _groups(sorted(taught))]
        lessons += [Lesson(extracted, [], name, limit, number) for name in ready]
        taking = [Task(f"{number}-{n:05d}", lesson) for n, lesson in enumerate(lessons)]
        taken = engine.map(_teach, taking, out, progress=progress, label=f"parallel text, lexicon {number + 1}", result=Taught)
        engine.map(
            _learn,
            [Task(f"{number}", Learning([found.file for found in taken], number))],
            out,
            progress=progress,
            label=f"parallel text, lexicon {number + 1} learned",
        )
    groups = [Alignment(extracted, group, None, config) for group in _groups(couples) or [[]]]
    groups += [Alignment(extracted, [], name, config) for name in ready]
    tasks = [Task(f"{n:05d}", group) for n, group in enumerate(groups)]
    results = engine.map(_align_group, tasks, out, progress=progress, label="parallel text", result=Aligned)
    pairs = sum(r.pairs for r in results)
    summary: BitextSummary = {
        "pages": len(couples),
        "too_large": sum(r.too_large for r in results),
        "documents": sum(r.documents for r in results),
        "pairs": pairs,
        "score": round(sum(r.score for r in results) / max(pairs, 1), 4),
        "words": len(read_lexicons(out).forward.words),
        "ready": sum(r.ready for r in results),
    }
    out.write_json("parallel.json", summary)
    engine.discard(out, LEARNING)
    if pairs and not summary["words"]:
        progress.log(
            f"parallel text: fewer than {ENOUGH} likely pairs to learn from, so lengths, tags, numbers and names decide alone"
        )
    progress.log(f"parallel text: {pairs:,} pairs of paragraphs from {len(couples):,} pages in both languages")
    return summary


Where = tuple[str, int]
Couple = tuple[Where, Where]


@dataclass(frozen=True)
class Lesson:
    """What a task gathers pairs from: pages in two versions, or the ready pairs of the shard `ready`; `limit`: the highest cost."""

    extracted: Store
    couples: list[Couple]
    ready: str | None
    limit: float
    number: int


@dataclass(frozen=True)
class Taught:
    """The result of a lesson: its file of pairs."""

    file: str


@dataclass(frozen=True)
class Learning:
    """The files of pairs of a round, and its number."""

    files: list[str]
    number: int


@dataclass(frozen=True)
class Alignment:
    """What a task aligns: pages in two versions, or the ready pairs of the shard `ready`."""

    extracted: Store
    couples: list[Couple]
    ready: str | None
    config: BitextConfig


@dataclass(frozen=True)
class Aligned:
    """The result of an alignment: counts, and the sum of the likelihoods of its pairs."""

    documents: int
    pairs: int
    score: float
    too_large: int
    ready: int


class BitextSummary(TypedDict):
    """`parallel.json`."""

    pages: int
    too_large: int
    documents: int
    pairs: int
    score: float
    words: int
    ready: int


class Version(TypedDict):
    """A page in one language: columns of EXTRACTED."""

    id: str
    source: str
    url: str
    date: str | None
    license: str | None
    blocks: list[str]
    tags: list[str]


class ReadyVersion(Version):
    """A row of ready pairs, with the texts of its two sides."""

    english: list[str]
    chinese: list[str]


def _couples(extracted: Store) -> list[Couple]:
    """(shard, row) of the English and of the Chinese version of each page that has both, in the order of their keys.

    First by hashes of the keys alone, 17 bytes a page; then the keys themselves of those that may have both.
    """
    names = extracted.names("extracted-")
    if not names:
        return []
    hashes, english, sizes = [np.zeros(0, np.uint64)], [np.zeros(0, bool)], []
    for name in names:
        _, part = _pages_of(extracted, name)
        keys = pair_keys(part.column("url"), part.column("meta"))
        hashes.append(string_hashes(keys) ^ (string_hashes(part.column("source")) * GOLDEN))
        english.append(np.asarray(pc.equal(part.column("lang"), "en").to_numpy(zero_copy_only=False), bool))
        sizes.append(len(part))
    every, first = np.concatenate(hashes), np.concatenate(english)
    both = np.isin(every, np.intersect1d(every[first], every[~first]))
    versions: dict[tuple[str, str], dict[str, Where]] = defaultdict(dict)
    for name, mine in zip(names, np.split(both, np.cumsum(sizes)[:-1]), strict=True):
        if not mine.any():
            continue
        rows, part = _pages_of(extracted, name)
        rows, part = rows[mine], part.filter(pa.array(mine))
        keys = pair_keys(part.column("url"), part.column("meta")).to_pylist()
        sources, langs = part.column("source").to_pylist(), part.column("lang").to_pylist()
        for row, source, lang, key in zip(rows.tolist(), sources, langs, keys, strict=True):
            versions[source, key].setdefault(lang, (name, row))
    couples = []
    for key in sorted(versions):
        found = versions[key]
        chinese = found.get("zh-Hans") or found.get("zh-Hant")
        if "en" in found and chinese:
            couples.append((found["en"], chinese))
    return couples


def _pages_of(extracted: Store, name: str) -> tuple[npt.NDArray[np.int64], pa.Table]:
    """The pages of a shard that may have another version: their rows, int64, and source, lang, url and meta."""
    table = extracted.read_table(name, ["source", "kind", "lang", "reason", "url", "meta"])
    good = pc.and_(pc.is_null(table.column("reason")), pc.not_equal(table.column("kind"), READY))
    good = pc.and_(good, pc.is_in(table.column("lang"), value_set=pa.array(["en", "zh-Hans", "zh-Hant"])))
    rows = pc.indices_nonzero(good)
    return np.asarray(rows.to_numpy(), np.int64), table.take(rows)


def _groups(couples: list[Couple]) -> list[list[Couple]]:
    return [couples[i : i + PAGES_A_TASK] for i in range(0, len(couples), PAGES_A_TASK)]


def _count_ready(extracted: Store, name: str) -> int:
    table = extracted.read_table(name, ["kind", "reason"])
    return int(pc.sum(pc.and_(pc.equal(table.column("kind"), READY), pc.is_null(table.column("reason")))).as_py() or 0)


def _teach(task: Task[Lesson], out: Store) -> Done[Taught]:
    """The likely pairs of a group of pages, or of a shard's ready pairs, for the lexicon."""
    lesson = task.payload
    extracted, couples, number = lesson.extracted, lesson.couples, lesson.number
    lexicons = read_lexicons(out, number - 1) if number else Lexicons.empty()
    english: list[str] = []
    chinese: list[str] = []
    rows = _rows(extracted, couples)
    for first, second in couples:
        en, zh = rows[first], rows[second]
        config = BitextConfig(max_cost=lesson.limit)
        for pair in align_blocks(en["blocks"], en["tags"], zh["blocks"], zh["tags"], config, lexicons):
            english.append(pair.english)
            chinese.append(pair.chinese)
    for row in _ready_rows(extracted, lesson.ready):
        english += row["english"]
        chinese += row["chinese"]
    name = f"{LEARNING}/pairs-{task.key}.parquet"
    table = pa.table([pa.array(english, pa.string()), pa.array(chinese, pa.string())], schema=PAIRS)
    return Done((out.write_table(name, table),), Taught(name))


def _lexicon(number: int, way: str) -> str:
    """The file of a lexicon; those of the last round stay."""
    return f"lexicon-{way}.parquet" if number == len(TEACH) - 1 else f"{LEARNING}/lexicon-{number}-{way}.parquet"


def _learn(task: Task[Learning], out: Store) -> Done[None]:
    """The lexicons from the pairs of a round."""
    names, number = task.payload.files, task.payload.number
    pairs = pa.concat_tables([out.read_table(name) for name in names]) if names else PAIRS.empty_table()
    found = (Lexicon.empty(), Lexicon.empty())
    if len(pairs) >= ENOUGH:
        found = learn(pairs.column("english"), pairs.column("chinese"))
    files = tuple(out.write_table(_lexicon(number, way), one.to_table()) for way, one in zip(WAYS, found, strict=True))
    return Done(files, None)


def read_lexicons(out: Store, number: int = len(TEACH) - 1) -> Lexicons:
    """The lexicons that `align` wrote to a store, those of an earlier round while it is at work."""
    return Lexicons(*(Lexicon.from_table(out.read_table(_lexicon(number, way))) for way in WAYS))


def _align_group(task: Task[Alignment], out: Store) -> Done[Aligned]:
    extracted, couples, config = task.payload.extracted, task.payload.couples, task.payload.config
    lexicons = read_lexicons(out)
    rows = _rows(extracted, couples)
    documents: list[DocumentRow] = []
    costs: list[float] = []
    too_large = given = 0
    for first, second in couples:
        en, zh = rows[first], rows[second]
        too_large += not fits(len(en["blocks"]), len(zh["blocks"]))
        pairs = align_blocks(en["blocks"], en["tags"], zh["blocks"], zh["tags"], config, lexicons)
        if pairs and len(pairs) >= config.min_cover * min(_prose(en), _prose(zh)):
            documents.append(_document(en, zh, pairs))
            costs += [p.cost for p in pairs]
    for row in _ready_rows(extracted, task.payload.ready):
        english, chinese = row["english"], row["chinese"]
        judged = judge_pairs(pa.array(english, pa.string()), pa.array(chinese, pa.string()), config, lexicons)
        if not lexicons.known:
            judged = np.maximum(judged - NEUTRAL, 0.0)
        pairs = [
            Pair(_one_line([e]), _one_line([c]), float(cost))
            for e, c, cost in zip(english, chinese, judged, strict=True)
            if cost <= config.max_cost
        ]
        given += len(english)
        if pairs:
            documents.append(_document(row, row, pairs))
            costs += [p.cost for p in pairs]
    files = []
    if documents or task.key == "00000":  # the first shard is there even if empty, so that a reader finds the schema
        files.append(out.write_table(f"parallel-{task.key}.parquet", pa.Table.from_pylist(documents, schema=DOCUMENT)))
    score = sum(math.exp(-c) for c in costs)
    return Done(tuple(files), Aligned(len(documents), len(costs), score, too_large, given))


_WANTED = ["id", "source", "url", "date", "license", "blocks", "tags"]


def _rows(extracted: Store, couples: list[Couple]) -> dict[Where, Version]:
    """The pages of all couples. One shard is read at a time."""
    rows: dict[Where, Version] = {}
    for name in sorted({shard for couple in couples for shard, _ in couple}):
        numbers = [row for couple in couples for shard, row in couple if shard == name]
        for row, record in zip(numbers, extracted.read_table(name, _WANTED).take(numbers).to_pylist(), strict=True):
            rows[name, row] = record
    return rows


def _ready_rows(extracted: Store, name: str | None) -> list[ReadyVersion]:
    """The rows of ready pairs of a shard, with `english` and `chinese`; a last text without its partner is left."""
    if name is None:
        return []
    table = extracted.read_table(name, [*_WANTED, "kind", "reason"])
    chosen = pc.and_(pc.equal(table.column("kind"), READY), pc.is_null(table.column("reason")))
    rows: list[ReadyVersion] = table.filter(chosen).to_pylist()
    for row in rows:
        lines = [line for block in row["blocks"] for line in block.split("\n") if line.strip()]
        row["chinese"] = lines[1::2]
        row["english"] = lines[0::2][: len(row["chinese"])]
    return rows


def _costs(path: Path, left: Side, right: Side, lexicons: Lexicons) -> npt.NDArray[np.float64]:
    """The cost of each pair of a path in both directions. What is joined must be said by each of its two parts."""
    cost = path.cost + _doubts(left, right, path.left, path.right, lexicons) - path.doubt
    joined = np.flatnonzero((path.left[:, 1] - path.left[:, 0] == 2) | (path.right[:, 1] - path.right[:, 0] == 2))
    whole = cost[joined]
    for part in (0, 1):
        a, b = _part(path.left[joined], part), _part(path.right[joined], part)
        lengths = whole - _doubts(left, right, path.left[joined], path.right[joined], lexicons)
        cost[joined] = np.maximum(cost[joined], lengths + _doubts(left, right, a, b, lexicons))
    if lexicons.known:
        return cost
    return np.maximum(cost - NEUTRAL, 0.0)


def _doubts(
    left: Side, right: Side, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64], lexicons: Lexicons
) -> npt.NDArray[np.float64]:
    forward = doubts(left.terms, right.terms, rows, columns, lexicons.forward, LATIN)
    return forward + doubts(right.terms, left.terms, columns, rows, lexicons.backward, NUMBER)


def _part(ranges: npt.NDArray[np.int64], part: int) -> npt.NDArray[np.int64]:
    """Of ranges of two blocks the first or the second; of one block the block."""
    if part:
        return np.stack([ranges[:, 1] - 1, ranges[:, 1]], axis=1)
    return np.stack([ranges[:, 0], ranges[:, 0] + 1], axis=1)


def _translated(left: Side, right: Side, rows: tuple[int, int], columns: tuple[int, int], config: BitextConfig) -> bool:
    """Whether the English blocks are English, long enough, and the Chinese ones Chinese."""
    (a, b), (c, d) = rows, columns
    if left.latin[a:b].sum() < config.min_units or left.han[a:b].sum() > 0.1 * left.total[a:b].sum():
        return False
    return bool(right.han[c:d].sum() >= max(2, 0.35 * right.total[c:d].sum()))


def _prose(row: Version) -> int:
    return sum(tag != "pre" for tag in row["tags"])


def _document(en: Version, zh: Version, pairs: list[Pair]) -> DocumentRow:
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


def _one_line(texts: list[str]) -> str:
    return " ".join(" ".join(texts).split())
