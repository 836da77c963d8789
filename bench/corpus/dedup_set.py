"""Planted near-copies, frozen before the detector that is measured on them was written.

    python -m bench.corpus.dedup_set OUT [--documents 44000]            real passages with planted copies, en and zh half each
    python -m bench.corpus.dedup_set OUT --growth [--documents 44000]   cheap synthetic documents with cluster sizes as on the web

Both write Parquet shards `documents-NNNNN.parquet` with the columns `id`, `text`, `lang`, `family` (copies of one
original share it) and `kind` (how the row came about; "original" or the edits). Equal arguments give equal rows.

`planted` cuts passages of 60 to 400 units from the prose in SKYLOOM_BENCH_DATA (text/en, text/zh) and copies about half of
them with edits that web pages show: scattered words changed, a run of words deleted, inserted or replaced, sentences
moved, a frame of site text put around it, spacing, case and punctuation changed, and copies of copies that drift away
in a chain. Strengths are drawn so that Jaccard similarities spread over .3 to 1. Hard negatives are pages of one template:
most of their words agree, and yet each says something of its own.

`growth` draws documents of 60 to 120 random words or Han characters in families whose sizes follow Zipf's law (exponent
1.1, the largest with 5 % of all documents); each copy has none to 3 of its units drawn anew, 0.9 on average. Half are
Chinese. No two families share a shingle, save by chance.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SEED = 20231030
SHARD = 11_000  # rows in a shard of the planted set
GROWTH_SHARD = 110_000
SIZES = (1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 4, 8, 24)  # documents in a family; one of these is drawn for each
PIECES = {"en": re.compile(r"\S+\s*"), "zh": re.compile(r"[A-Za-z0-9_]+\s*|.", re.DOTALL)}
SENTENCE = {"en": re.compile(r"[^.!?]+[.!?]*\s*"), "zh": re.compile(r"[^。！？]+[。！？]*")}
FRAMES = {
    "en": (
        "Home | News | About us | Contact. Share this page with your friends. ",
        " Copyright of the authors. All rights reserved.",
    ),
    "zh": ("首页 > 新闻中心 > 正文 分享到微信朋友圈 ", " 版权所有，未经许可不得转载。责任编辑："),
}
TEMPLATES = {
    "en": (
        "Welcome to the page about {0}. On this page you find opening hours, prices and directions for {0}. The visitors of "
        "{1} often ask how long a visit takes; we advise {2} to plan at least half a day. Tickets for {3} are sold at the "
        "gate, and children below six years do not pay. Please read the rules of the house before you come to {4}."
    ),
    "zh": (
        "欢迎来到{0}的介绍页面。您可以在这里查询{0}的开放时间、门票价格和交通路线。许多前往{1}的游客询问游览需要多长时间，"
        "我们建议{2}至少安排半天。{3}的门票在入口处出售，六岁以下儿童免票。来到{4}之前，请您仔细阅读参观须知并妥善保管随身物品。"
    ),
}


def passages(lang: str) -> Iterator[list[str]]:
    """Passages of 60 to 400 pieces (words with the space behind them, or Han characters), from all files in turn."""
    folder = os.environ.get("SKYLOOM_BENCH_DATA")
    files = sorted((Path(folder) / "text" / lang).glob("*.jsonl.gz")) if folder else []
    if not files:
        raise SystemExit(f"set SKYLOOM_BENCH_DATA to the folder that holds text/{lang}/*.jsonl.gz")
    rng = random.Random(f"{SEED} {lang}")
    waiting = [_cuts(path, lang, random.Random(f"{SEED} {path.name}")) for path in files]
    while waiting:
        source = rng.choice(waiting)
        passage = next(source, None)
        if passage is None:
            waiting.remove(source)
        else:
            yield passage


def _cuts(path: Path, lang: str, rng: random.Random) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            pieces = PIECES[lang].findall(json.loads(line)["text"])
            start = 0
            while len(pieces) - start >= 60:
                size = rng.randint(60, 400)
                yield pieces[start : start + size]
                start += size


def edited(pieces: list[str], lang: str, pool: list[str], rng: random.Random) -> tuple[str, list[str]]:
    """One copy: the name of the edit and the pieces after it. `pool` holds pieces of other passages."""
    kind = rng.choice(("scatter", "scatter", "scatter", "delete", "insert", "replace", "move", "frame", "surface"))
    copy, size = list(pieces), len(pieces)
    if kind == "scatter":
        share = rng.choice((0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1))
        for place in rng.sample(range(size), max(1, round(share * size))):
            copy[place] = rng.choice(pool)
    elif kind in ("delete", "insert", "replace"):
        count = max(1, round(rng.choice((0.01, 0.02, 0.05, 0.08, 0.12, 0.2, 0.3)) * size))
        start = rng.randrange(size - count)
        fresh = [] if kind == "delete" else [rng.choice(pool) for _ in range(count)]
        copy[start : start if kind == "insert" else start + count] = fresh
    elif kind == "move":
        sentences = SENTENCE[lang].findall("".join(copy))
        if len(sentences) > 2:
            sentences.append(sentences.pop(rng.randrange(len(sentences) - 1)))
        copy = PIECES[lang].findall("".join(sentences))
    elif kind == "frame":
        before, after = FRAMES[lang]
        copy = [before, *copy, after, f"{rng.randrange(10**6)}"]
    else:
        text = "".join(copy)
        text = text.upper() if rng.random() < 0.5 else text.translate({ord(a): b for a, b in zip(",.，。", ";!；！", strict=True)})
        copy = PIECES[lang].findall(text.replace("\n", "\n\n"))
    return kind, copy


def planted(lang: str, documents: int) -> list[dict[str, str]]:
    """`documents` rows of one language, shuffled; 4 % are pages of a template, the rest families of 1 to 24."""
    rng = random.Random(f"{SEED} planted {lang}")
    source = passages(lang)
    rows: list[dict[str, str]] = []
    pool = [piece for _ in range(50) for piece in next(source)]

    def add(family: str, kind: str, text: str) -> None:
        rows.append({"id": "", "text": text, "lang": lang, "family": family, "kind": kind})

    for k in range(documents // 25):
        slots = ["".join(rng.choice(pool) for _ in range(rng.randint(2, 9))).strip() for _ in range(5)]
        add(f"{lang}-t{k:05d}", "template", TEMPLATES[lang].format(*slots))
    number = 0
    while len(rows) < documents:
        original, family = next(source), f"{lang}-{number:06d}"
        number += 1
        add(family, "original", "".join(original))
        chain, drift = rng.random() < 0.15, original
        for _ in range(rng.choice(SIZES) - 1):
            if len(rows) == documents:
                break
            kind, copy = edited(drift if chain and len(drift) >= 60 else original, lang, pool, rng)
            drift = copy
            add(family, f"chain {kind}" if chain else kind, "".join(copy))
    rng.shuffle(rows)
    for k, row in enumerate(rows):
        row["id"] = f"{lang}-{k:06d}"
    return rows


def write_planted(out: Path, documents: int) -> None:
    """Shards of both languages mixed."""
    rows = planted("en", documents - documents // 2) + planted("zh", documents // 2)
    random.Random(SEED).shuffle(rows)
    out.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(rows), SHARD)):
        pq.write_table(pa.Table.from_pylist(rows[start : start + SHARD]), out / f"documents-{number:05d}.parquet")


def family_sizes(documents: int) -> npt.NDArray[np.int64]:
    """Sizes of families as on the web: Zipf with exponent 1.1, the largest 5 % of all; those of one document last."""
    largest = documents * 0.05
    ranked = np.maximum(largest / np.arange(1, documents + 1) ** 1.1, 1).astype(np.int64)
    ends = np.cumsum(ranked)
    return np.asarray(ranked[: int(np.searchsorted(ends, documents, side="right"))], np.int64)


def write_growth(out: Path, documents: int) -> None:
    """Shards of synthetic documents; memory: one shard."""
    out.mkdir(parents=True, exist_ok=True)
    sizes = family_sizes(documents)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    owner = np.concatenate([owner, np.arange(len(sizes), len(sizes) + documents - len(owner))])
    np.random.default_rng(SEED).shuffle(owner)
    letters = np.array(list("aeioubcdfghklmnprstvw"))
    drawn = np.random.default_rng(SEED + 1)
    english = ["".join(letters[drawn.integers(0, len(letters), drawn.integers(3, 9))]) + " " for _ in range(20_000)]
    words = {"en": pa.array(english), "zh": pa.array([chr(0x4E00 + k) for k in range(20_000)])}
    for number, start in enumerate(range(0, documents, GROWTH_SHARD)):
        part = owner[start : start + GROWTH_SHARD]
        tables = []
        for lang, chosen in (("en", part % 2 == 0), ("zh", part % 2 == 1)):
            rows = np.flatnonzero(chosen)
            text = _synthetic(part[rows], start + rows, words[lang])
            tables.append(
                pa.table(
                    {
                        "id": pa.array([f"g{k:09d}" for k in (start + rows).tolist()]),
                        "text": text,
                        "lang": pa.array([lang] * len(rows)),
                        "family": pa.array([f"f{k:09d}" for k in part[rows].tolist()]),
                        "kind": pa.array(["growth"] * len(rows)),
                    }
                )
            )
        pq.write_table(pa.concat_tables(tables).sort_by("id"), out / f"documents-{number:05d}.parquet")


def _synthetic(family: npt.NDArray[np.int64], row: npt.NDArray[np.int64], words: pa.Array) -> pa.Array:
    """Texts of 60 to 120 words: word k of a family is a hash of both; none to 3 places of each row are drawn anew."""
    base, own = _mixed(family.astype(np.uint64) + np.uint64(7)), _mixed(row.astype(np.uint64) + np.uint64(1 << 40))
    lengths = (60 + base % np.uint64(61)).astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    place = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths)
    ids = _mixed(np.repeat(base, lengths) + place.astype(np.uint64)) % np.uint64(len(words))
    for k in range(3):
        draw = _mixed(own + np.uint64(k))
        at = ends[:-1] + (draw % lengths.astype(np.uint64)).astype(np.int64)
        changed = (draw >> np.uint64(40)) % np.uint64(2 << k) == 0
        ids[at[changed]] = (draw >> np.uint64(20))[changed] % np.uint64(len(words))
    pieces = words.take(pa.array(ids.astype(np.int64)))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends.astype(np.int32)), pieces), "")


def _mixed(value: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(value ^ (value >> np.uint64(31)), np.uint64)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write documents with planted near-copies.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--documents", type=int, default=44_000)
    parser.add_argument("--growth", action="store_true")
    options = parser.parse_args()
    (write_growth if options.growth else write_planted)(options.out, options.documents)
    return 0


if __name__ == "__main__":
    sys.exit(main())
