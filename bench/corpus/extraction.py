"""Structural extraction beside its peers: how much of the marked text comes out, and how fast.

Input: pages whose main text people have marked (`html_gold/` in SKYLOOM_BENCH_DATA, see data.toml). Output:
two tables. Quality is the F1 of a page's 4-grams of units (a Han character or a word, `core.units`) against the marked text,
as multisets and with case, averaged over pages; intervals are 95 % percentile bootstraps over pages. English is the mean over
the benchmarks with at least 8 pages, so that a large one does not rule; Chinese, where nearly all pages are from one
benchmark, the mean over pages. Our model was trained on the benchmarks marked with *: see studies/extraction_model.py
for those cross-validated. Speed is pages per CPU-second without start-up, the median of alternating rounds over the same
decoded pages; "skyloom, bytes" includes the decision on the charset, which the peers are spared, and "skyloom, column" is what
the pipeline does: a column of bytes to a column of passages.

    python -m bench.corpus.extraction [--peers PYTHON] [--rounds N]      the tables
    python -m bench.corpus.extraction --json en|zh|speed                 one bar, of our extractor alone

Peers (peers.txt) are run by the interpreter that `--peers` names: their environment is best kept apart from ours.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bench.answers import NotMeasuredError, answer, offer
from bench.worker import Worker
from skyloom.core.units import hash_units, ngrams

Floats = npt.NDArray[np.float64]

HERE = Path(__file__).resolve().parent
DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
FITTED = frozenset(("scrapinghub", "magic_article", "magic_forum", "wcxb"))
OURS, FROM_BYTES, COLUMN = "skyloom", "skyloom, bytes", "skyloom, column"
PEERS = ("trafilatura", "trafilatura, fast", "readability-lxml", "jusText", "resiliparse")
N = 4
FEW_PAGES = 8  # an English benchmark with fewer does not count in the mean over benchmarks
SPEED_PAGES = 40
SIZES = {"18 KB": 18_000, "150 KB": 150_000}  # pages of documentation; large pages of the web
BOOTSTRAPS, SEED = 2000, 2023


@dataclass(frozen=True)
class Page:
    """A page whose main text is marked. `site` groups pages that share a template; `kind` is WCXB's kind of page, else ""."""

    id: str
    bench: str
    lang: str
    site: str
    html: str
    gold: str
    kind: str = ""

    @property
    def size(self) -> int:
        """Bytes of UTF-8."""
        return len(self.html.encode("utf-8", "replace"))


def read_pages() -> list[Page]:
    """All marked pages, in the order of the files' names. NotMeasuredError if there are none."""
    folder = os.environ.get(DATA_VARIABLE)
    files = sorted((Path(folder) / "html_gold").glob("*.jsonl.gz")) if folder else []
    if not files:
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds html_gold/*.jsonl.gz (bench/data.toml lists it)")
    pages = []
    for path in files:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                kind = row.get("page_type", "")
                pages.append(Page(row["id"], row["bench"], row["lang"], row["site"], row["html"], row["gold_text"], kind))
    return pages


def f1(text: str, gold: str) -> float:
    """F1 of two texts' 4-grams as multisets, in 0..1; a text of fewer than 4 units is one n-gram. Two empty texts agree."""
    found, wanted = _grams(text), _grams(gold)
    if not len(found) and not len(wanted):
        return 1.0
    (a, in_a), (b, in_b) = (np.unique(g, return_counts=True) for g in (found, wanted))
    _, at_a, at_b = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return 2 * float(np.minimum(in_a[at_a], in_b[at_b]).sum()) / (len(found) + len(wanted))


def word_f1(text: str, gold: str) -> float:
    """F1 of two texts' words in lower case as multisets, in 0..1: the score of WCXB, whose words are runs of letters and digits."""
    found, wanted = (Counter(re.findall(r"\w+", side.lower())) for side in (text, gold))
    if not found or not wanted:
        return float(found == wanted)
    return 2 * (found & wanted).total() / (found.total() + wanted.total())


def _grams(text: str) -> npt.NDArray[np.uint64]:
    column = hash_units(pa.array([text]), fold=False)
    return ngrams(column, max(1, min(N, len(column.hashes)))).hashes


Scores = dict[tuple[str, str], Floats]  # (benchmark, language): F1 of each page


def counted(scores: Scores, lang: str) -> list[Floats]:
    """The groups of pages whose means are averaged for a language: its benchmarks in English, all pages in Chinese."""
    groups = [s for (_, of), s in sorted(scores.items()) if of == lang]
    return [g for g in groups if len(g) >= FEW_PAGES] if lang == "en" else [np.concatenate(groups)]


def mean(groups: Sequence[Floats]) -> float:
    """The mean of the groups' means."""
    return float(np.mean([g.mean() for g in groups]))


def interval(groups: Sequence[Floats]) -> tuple[float, float]:
    """95 % percentile bootstrap of `mean`: pages are drawn with replacement within each group."""
    random = np.random.default_rng(SEED)
    draws = [g[random.integers(0, len(g), (BOOTSTRAPS, len(g)))].mean(axis=1) for g in groups]
    low, high = np.quantile(np.mean(draws, axis=0), (0.025, 0.975))
    return float(low), float(high)


def extractor(name: str, python: str = sys.executable) -> Worker:
    """An extractor in a process of its own, see `extractors.py`."""
    return Worker(HERE / "extractors.py", name, python)


def give(worker: Worker, pages: Sequence[Page]) -> None:
    worker.ask({"pages": [[p.html, p.lang] for p in pages]})


def texts_of(worker: Worker) -> tuple[list[str], int]:
    """The texts of the pages given, and on how many of them the extractor raised."""
    found = worker.ask("texts")
    return found["texts"], found["failed"]


def seconds_of(worker: Worker) -> float:
    """CPU seconds for the pages given."""
    return float(worker.ask("seconds")["seconds"])


@dataclass
class Quality:
    """What an extractor got right: F1 by benchmark and language, and how many pages it raised on."""

    version: str
    scores: Scores = field(default_factory=dict)
    failed: int = 0


def measure_quality(worker: Worker, pages: Sequence[Page]) -> Quality:
    """Extract all pages and score them, one benchmark and language after the other."""
    found = Quality(worker.version)
    for key in sorted({(p.bench, p.lang) for p in pages}):
        group = [p for p in pages if (p.bench, p.lang) == key]
        give(worker, group)
        texts, failed = texts_of(worker)
        found.scores[key] = np.array([f1(text, page.gold) for text, page in zip(texts, group, strict=True)])
        found.failed += failed
    return found


def nearest(pages: Sequence[Page], size: int) -> list[Page]:
    """The pages whose size in bytes is nearest to `size`."""
    return sorted(pages, key=lambda p: (abs(p.size - size), p.id))[:SPEED_PAGES]


def measure_speed(workers: Sequence[Worker], pages: Sequence[Page], rounds: int) -> dict[str, Floats]:
    """Pages per CPU-second of each worker, float64[rounds]; the workers take turns, after a first round that does not count."""
    for worker in workers:
        give(worker, pages)
        seconds_of(worker)
    seconds = [[seconds_of(worker) for worker in workers] for _ in range(rounds)]
    return {w.name: len(pages) / column for w, column in zip(workers, np.array(seconds).T, strict=True)}


def quality_table(found: dict[str, Quality]) -> str:
    """Markdown: one line for each benchmark and language, one column for each extractor."""
    lines = [["benchmark", "pages", *(f"{name} {q.version}" for name, q in found.items())]]
    scores = [q.scores for q in found.values()]
    for key in sorted(scores[0], key=lambda k: (k[1], k[0])):
        name = f"{key[0]}{'*' if key[0] in FITTED else ''} {key[1]}"
        lines.append([name, str(len(scores[0][key])), *(_cell([s[key]]) for s in scores)])
    unseen = [{key: f for key, f in s.items() if key[0] not in FITTED} for s in scores]
    for lang, suffix, columns in [(of, *c) for of in ("en", "zh") for c in (("", scores), (", not fitted on", unseen))]:
        if any(of == lang for _, of in columns[0]):
            size = sum(len(g) for g in counted(columns[0], lang))
            lines.append([f"**{lang}{suffix}**", str(size), *(_cell(counted(s, lang)) for s in columns)])
    lines.append(["raised on", "", *(str(q.failed) for q in found.values())])
    return _markdown(lines)


def speed_table(found: dict[str, dict[str, Floats]]) -> str:
    """Markdown: one line for each extractor; the ratio is ours over theirs, the median over rounds."""
    lines = [["extractor", *(f"pages/CPU-s at {size} | ours / theirs" for size in found)]]
    for name in next(iter(found.values())):
        cells = []
        for rates in found.values():
            cells += [f"{np.median(rates[name]):.0f}", f"{np.median(rates[OURS] / rates[name]):.2f}"]
        lines.append([name, *cells])
    return _markdown(lines)


def _cell(groups: Sequence[Floats]) -> str:
    low, high = interval(groups)
    return f"{mean(groups):.3f} ({low:.3f}–{high:.3f})"


def _markdown(lines: list[list[str]]) -> str:
    rows = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([rows[0], "|" + "---|" * (rows[0].count("|") - 1), *rows[1:]])


def bar(what: str, rounds: int) -> float:
    """The value of one bar: mean F1 of a language, or pages of 150 KB per CPU-second from their bytes."""
    pages = read_pages()
    if what == "speed":
        with extractor(COLUMN) as worker:
            return float(np.median(measure_speed([worker], nearest(pages, SIZES["150 KB"]), rounds)[COLUMN]))
    with extractor(OURS) as worker:
        return mean(counted(measure_quality(worker, [p for p in pages if p.lang == what]).scores, what))


def tables(peers: str, rounds: int) -> None:
    """Measure everything and print both tables."""
    pages = read_pages()
    quality: dict[str, Quality] = {}
    missing: list[str] = []
    for name in (OURS, *PEERS):
        with extractor(name, sys.executable if name == OURS else peers) as worker:
            if worker.missing:
                missing.append(name)
            else:
                quality[name] = measure_quality(worker, pages)
    print(f"{quality_table(quality)}\n")
    speed: dict[str, dict[str, Floats]] = {}
    for label, size in SIZES.items():
        chosen = nearest(pages, size)
        with ExitStack() as processes:
            own = (OURS, FROM_BYTES, COLUMN)
            names = [*own, *(n for n in quality if n != OURS)]
            pythons = [sys.executable if n in own else peers for n in names]
            workers = [processes.enter_context(extractor(n, p)) for n, p in zip(names, pythons, strict=True)]
            speed[label] = measure_speed(workers, chosen, rounds)
        print(f"{label}: {len(chosen)} pages of {np.mean([p.size for p in chosen]) / 1e3:.0f} KB on average, {rounds} rounds")
    print(f"\n{speed_table(speed)}")
    if missing:
        print(f"\nnot installed: {', '.join(missing)}; see bench/peers.txt")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure structural extraction beside its peers.")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each extractor in the measurement of speed")
    offer(parser, ("en", "zh", "speed"))
    options = parser.parse_args()
    return answer(options.json, lambda name: bar(name, options.rounds), lambda: tables(options.peers, options.rounds))


if __name__ == "__main__":
    sys.exit(main())
