"""Code heuristics: how many files of each language pass, which planted files are found, which licences are read.

Input: source files (`text/code` in SKYLOOM_BENCH_DATA). Output: three tables. Planted files
(tests/planted/code.py) are made of the files that pass; "decoy" and "plain" ones must stay, the others must go. A licence is right
if it is one that its project gives; most files of some projects carry no notice, and none is read there. Speed is that of
`measure_code`, the median of rounds.

    python -m bench.corpus.code                              the tables
    python -m bench.corpus.code --json found|kept|speed      shares of planted files dropped, of others kept; MB per CPU-second
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from tests.planted.code import KINDS, plant

from bench.answers import NotMeasuredError, answer, offer
from skyloom.corpus.code.config import CodeConfig
from skyloom.corpus.code.heuristics import judge_code, measure_code

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
ENDINGS = {
    "python": "py", "javascript": "js", "typescript": "ts", "go": "go", "rust": "rs", "cpp": "cpp", "ruby": "rb", "php": "php",
    "perl": "pl", "c": "h", "java": "java",
}  # fmt: skip
BAD = ("minified", "generated", "blob")
SEED, ROUNDS = 2023, 9


Row = dict[str, str]


def files() -> list[Row]:
    """The source files, each with a `name` that ends as its language's files do."""
    folder = os.environ.get(DATA_VARIABLE)
    path = Path(folder or "", "text", "code", "code.jsonl.gz")
    if not folder or not path.exists():
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds text/code/code.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [{**row, "name": f"{row['id']}.{ENDINGS[row['lang']]}"} for row in rows]


def reasons(texts: list[str], names: list[str]) -> list[str | None]:
    """The verdict on each file."""
    found: list[str | None] = judge_code(pa.array(texts), pa.array(names), pa.array(names), CodeConfig()).to_pylist()
    return found


def planted(rows: list[Row]) -> dict[str, Counter[str]]:
    """How the planted files of each kind were judged."""
    good = [
        row for row, reason in zip(rows, reasons([r["text"] for r in rows], [r["name"] for r in rows]), strict=True) if not reason
    ]
    made = plant(random.Random(SEED), [(row["text"], row["name"]) for row in good])
    result: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for file, reason in zip(made, reasons([f.text for f in made], [f.name for f in made]), strict=True):
        result[file.kind][reason or "kept"] += 1
    return result


def share(counts: dict[str, Counter[str]], kinds: tuple[str, ...], kept: bool) -> float:
    """The share of the files of these kinds that were kept, or dropped."""
    total = sum(counts[kind].total() for kind in kinds)
    stayed = sum(counts[kind]["kept"] for kind in kinds)
    return (stayed if kept else total - stayed) / total


def speed(rows: list[Row]) -> float:
    """Megabytes of text per CPU-second."""
    texts, names = pa.array([row["text"] for row in rows]), pa.array([row["name"] for row in rows])
    size, seconds = sum(len(row["text"].encode()) for row in rows), []
    for _ in range(ROUNDS + 1):
        started = time.process_time()
        measure_code(texts, names)
        seconds.append(time.process_time() - started)
    return size / 1e6 / float(np.median(seconds[1:]))


def tables(rows: list[Row]) -> None:
    """Measure everything and print."""
    verdicts = reasons([row["text"] for row in rows], [row["name"] for row in rows])
    by_language: dict[str, Counter[str]] = defaultdict(Counter)
    for row, reason in zip(rows, verdicts, strict=True):
        by_language[row["lang"]][reason or "kept"] += 1
    print("| language | files | pass | dropped |\n|---|---|---|---|")
    for lang, counts in sorted(by_language.items()):
        dropped = ", ".join(f"{reason.removeprefix('code: ')} {n}" for reason, n in sorted(counts.items()) if reason != "kept")
        print(f"| {lang} | {counts.total()} | {counts['kept'] / counts.total():.3f} | {dropped} |")
    print("\n| planted | files | dropped | reasons |\n|---|---|---|---|")
    for kind, counts in planted(rows).items():
        why = ", ".join(f"{reason.removeprefix('code: ')} {n}" for reason, n in counts.most_common() if reason != "kept")
        print(f"| {kind} | {counts.total()} | {1 - counts['kept'] / counts.total():.3f} | {why} |")
    table = measure_code(pa.array([row["text"] for row in rows]), pa.array([row["name"] for row in rows]))
    read: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row, license_name in zip(rows, table.column("license").to_pylist(), strict=True):
        read[row["source"], row["license"]][license_name or "none"] += 1
    print("\n| project | its licence | read in the files |\n|---|---|---|")
    for (source, name), found in sorted(read.items()):
        print(f"| {source} | {name} | {', '.join(f'{k} {n}' for k, n in found.most_common())} |")
    print(f"\n{speed(rows):.0f} MB per CPU-second")


def bar(name: str) -> float:
    """The value of one bar."""
    rows = files()
    if name == "speed":
        return speed(rows)
    return share(planted(rows), ("plain", "decoy") if name == "kept" else BAD, name == "kept")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the code heuristics.")
    offer(parser, ("found", "kept", "speed"))
    options = parser.parse_args()
    return answer(options.json, bar, lambda: tables(files()))


if __name__ == "__main__":
    sys.exit(main())
