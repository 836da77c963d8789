"""Parallel text: how many of the pairs that are found are right, on pages that do not quite agree and in shuffled lists.

Input: aligned paragraphs of documentation (`text/parallel` in SKYLOOM_BENCH_DATA). Output: two tables.
"pages": each document of at least five pairs becomes a noisy page pair (tests/planted/bitext.py), all pages together one corpus for
`align`, which learns its lexicon from them as it does in a run. A pair is right if both sides are exactly those of a true pair:
half of a merged paragraph is wrong. "shuffled": the pairs of half of the documents, and single sides of others, in random order;
the lexicon is learnt from the pages of the other half. Intervals: 95 % bootstrap over pages, and over pairs.

    python -m bench.corpus.bitext                                      the tables
    python -m bench.corpus.bitext --json pages|shuffled                the precision of one reading
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tests.planted.bitext import Pages, Pair, page_pair, shuffled_lists

from bench.answers import NotMeasuredError, answer, offer
from bench.corpus.bitext_find import find_pairs
from skyloom.core.engine import Engine
from skyloom.core.progress import Progress
from skyloom.core.records import EXTRACTED, record_id
from skyloom.core.store import Store
from skyloom.corpus.bitext.alignment import Lexicons
from skyloom.corpus.bitext.config import BitextConfig
from skyloom.corpus.bitext.stage import align, read_lexicons

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
FILES = {"documentation": "docs_en_zh", "games": "game_en_zh", "news": "news_commentary_sample"}
SEED, BOOTSTRAPS, FEW, LONGEST = 2023, 1000, 5, 60
SHUFFLED, ALONE, MARGIN = 5000, 1000, 0.1


def documents(name: str) -> dict[str, list[Pair]]:
    """The pairs of each document, in order; files without documents are cut into pages of LONGEST pairs."""
    folder = os.environ.get(DATA_VARIABLE)
    path = Path(folder or "", "text", "parallel", f"{FILES[name]}.jsonl.gz")
    if not folder or not path.exists():
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds text/parallel/*.jsonl.gz")
    found: dict[str, list[Pair]] = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for number, row in enumerate(map(json.loads, lines)):
            place = row["id"].rsplit("/", 1)[0] if name == "documentation" else f"{row['source']}/{number // LONGEST}"
            found[place].append((row["en"], row["zh"]))
    return {place: pairs for place, pairs in found.items() if len(pairs) >= FEW}


def half(place: str) -> int:
    """0 or 1: the half of the documents that a document belongs to."""
    return hashlib.sha256(place.encode()).digest()[0] % 2


def noisy(found: dict[str, list[Pair]]) -> dict[str, Pages]:
    """A noisy page pair of each document."""
    rng = random.Random(SEED)
    everything = [pair for pairs in found.values() for pair in pairs]
    return {place: page_pair(rng, pairs, everything) for place, pairs in found.items()}


def run(pages: dict[str, Pages], config: BitextConfig) -> tuple[dict[str, list[Pair]], Lexicons, dict[str, Any]]:
    """The pairs that `align` writes for each page, its lexicons, and its summary with `seconds` of CPU."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Store(f"{folder}/in"), Store(f"{folder}/out")
        rows = []
        for place, page in pages.items():
            for lang, blocks in (("en", page.english), ("zh-Hans", page.chinese)):
                rows.append({
                    "id": record_id(lang, place), "source": "bench", "category": "web", "kind": "html", "url": place, "date": None,
                    "license": None, "title": None, "lang": lang, "lang_score": 1.0, "blocks": blocks, "tags": ["p"] * len(blocks),
                    "bytes_in": 1, "reason": None, "meta": json.dumps({"pair": place}),
                })  # fmt: skip
        source.write_table("extracted-00000.parquet", pa.Table.from_pylist(rows, schema=EXTRACTED))
        started = time.process_time()
        summary = align(source, out, config, engine=Engine(), progress=Progress.silent())
        summary["seconds"] = time.process_time() - started
        found: dict[str, list[Pair]] = defaultdict(list)
        for name in out.names("parallel-"):
            for row in out.read_table(name).to_pylist():
                pairs = [tuple(block.split("\n")) for block in row["text"].split("\n\n")]
                found[row["url"]] += [(en, zh) for en, zh in pairs]
        return found, read_lexicons(out), summary


def page_scores(pages: dict[str, Pages], found: dict[str, list[Pair]]) -> npt.NDArray[np.int64]:
    """Right, found and true pairs of each page, int64[pages, 3]."""
    rows = []
    for place, page in pages.items():
        given = found.get(place, [])
        rows.append((sum(pair in page.truth for pair in given), len(given), len(page.truth)))
    return np.array(rows, np.int64)


def table_row(label: str, scores: npt.NDArray[np.int64]) -> str:
    """Precision and recall with intervals over the rows of `scores`."""
    rng = np.random.default_rng(SEED)
    draws = scores[rng.integers(0, len(scores), (BOOTSTRAPS, len(scores)))].sum(axis=1)
    right, given, true = scores.sum(axis=0)
    cells = []
    for top, column in ((right / max(given, 1), 1), (right / max(true, 1), 2)):
        low, high = np.quantile(draws[:, 0] / np.maximum(draws[:, column], 1), (0.025, 0.975))
        cells.append(f"{top:.3f} ({low:.3f}–{high:.3f})")
    return f"| {label} | {true} | {given} | {' | '.join(cells)} |"


def shuffled(found: dict[str, list[Pair]]) -> tuple[npt.NDArray[np.int64], float]:
    """Right, found and true (a row for each true pair, then one for each pair found that is none), and CPU seconds."""
    first = {place: pairs for place, pairs in found.items() if half(place) == 0}
    second = sorted({pair for place, pairs in found.items() if half(place) == 1 for pair in pairs})
    _, lexicons, _ = run(noisy(first), BitextConfig())
    rng = random.Random(SEED)
    rng.shuffle(second)
    lists = shuffled_lists(rng, second[:SHUFFLED], second[SHUFFLED : SHUFFLED + ALONE])
    started = time.process_time()
    pairs = find_pairs(pa.array(lists.english), pa.array(lists.chinese), lexicons, BitextConfig().max_cost, MARGIN)
    seconds = time.process_time() - started
    given = {(lists.english[i], lists.chinese[j]) for i, j in zip(pairs.english, pairs.chinese, strict=True)}
    rows = [(1, 1, 1) if pair in given else (0, 0, 1) for pair in sorted(lists.truth)] + [(0, 1, 0)] * len(given - lists.truth)
    return np.array(rows, np.int64), seconds


def tables() -> None:
    """Measure everything and print."""
    print("| reading | true pairs | found | precision | recall |\n|---|---|---|---|---|")
    for name in FILES:
        found = documents(name)
        pages = noisy(found)
        for cost in (1.0, 1.5, 2.0) if name == "documentation" else (1.5,):
            given, _, summary = run(pages, BitextConfig(max_cost=cost))
            print(table_row(f"pages, {name}, cost at most {cost}", page_scores(pages, given)))
        print(f"| | | | {2 * len(pages) / summary['seconds']:.0f} pages per CPU-second, {summary['words']} words learnt | |")
        scores, seconds = shuffled(found)
        print(table_row(f"shuffled, {name}", scores))
        print(f"| | | | {scores[:, 2].sum() / seconds:.0f} pairs per CPU-second | |")


def bar(what: str) -> float:
    """The precision of one reading, on documentation."""
    found = documents("documentation")
    if what == "shuffled":
        scores, _ = shuffled(found)
    else:
        pages = noisy(found)
        scores = page_scores(pages, run(pages, BitextConfig())[0])
    return float(scores[:, 0].sum() / scores[:, 1].sum())


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the alignment of parallel text.")
    offer(parser, ("pages", "shuffled"))
    options = parser.parse_args()
    return answer(options.json, bar, tables)


if __name__ == "__main__":
    sys.exit(main())
