"""Redaction: how much personal data is found, how much else is taken for it, and how fast.

Input: generated texts with personal data and hard negatives (tests/planted/redaction.py, frozen before the rules were
written) and, where SKYLOOM_BENCH_DATA has it, prose (`text/`). Output: tables: recall and precision by kind and by form,
with the place exactly right; finds in the prose, to be read; MB per CPU-second of the whole and of the compiled scan alone.

    python -m bench.corpus.redaction [--split test] [--show N]                   the tables, and N finds of each kind in each file
    python -m bench.corpus.redaction --json recall|precision|speed               one bar, on the split "test" or over the prose
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from tests.planted.redaction import SPLITS, Case, cases

from bench.answers import NotMeasuredError, answer, offer
from skyloom.core.units import utf8_buffers
from skyloom.corpus.redact.config import KINDS, RedactConfig
from skyloom.corpus.redact.replace import find
from skyloom.corpus.redact.scan import scan

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
COUNT, SEED = 12_000, 2023
CONFIG = RedactConfig()
PER_FILE = 8_000_000  # bytes of text
Spans = set[tuple[int, int, str]]


def found_in(generated: Sequence[Case]) -> list[Spans]:
    """What is found in each case, in characters."""
    table = find(pa.array([c.text for c in generated]), CONFIG)
    found: list[Spans] = [set() for _ in generated]
    for row, start, stop, kind in zip(*(c.to_pylist() for c in table.columns), strict=True):
        data = generated[row].text.encode()
        found[row].add((len(data[:start].decode()), len(data[:stop].decode()), kind))
    return found


def rates(generated: Sequence[Case], found: Sequence[Spans], kind: str = "") -> tuple[float, float]:
    """Recall and precision over the spans of a kind, "" for all."""
    wanted = [{s for s in c.spans if kind in ("", s[2])} for c in generated]
    given = [{s for s in spans if kind in ("", s[2])} for spans in found]
    right = sum(len(w & g) for w, g in zip(wanted, given, strict=True))
    return right / max(sum(map(len, wanted)), 1), right / max(sum(map(len, given)), 1)


def read_prose() -> dict[str, pa.Array]:
    """Up to `PER_FILE` bytes of each file of prose."""
    folder = Path(os.environ.get(DATA_VARIABLE, ""))
    files = sorted(folder.glob("text/[ez]*/*.jsonl.gz")) if os.environ.get(DATA_VARIABLE) else []
    if not files:
        raise NotMeasuredError(f"set {DATA_VARIABLE} to the folder that holds text/ (bench/data.toml lists it)")
    prose = {}
    for path in files:
        texts, size = [], 0
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                texts.append(json.loads(line)["text"])
                size += len(texts[-1].encode())
                if size > PER_FILE:
                    break
        prose[f"{path.parent.name}/{path.name.removesuffix('.jsonl.gz')}"] = pa.array(texts, pa.large_string())
    return prose


def size_of(texts: pa.Array) -> float:
    """MB of UTF-8."""
    return float(pa.compute.sum(pa.compute.binary_length(texts)).as_py()) / 1e6


def seconds(texts: pa.Array) -> tuple[float, float]:
    """CPU seconds of the search and of its scan alone."""
    started = time.process_time()
    find(texts, CONFIG)
    middle = time.process_time()
    scan(*utf8_buffers(texts))
    return middle - started, time.process_time() - middle


def bar(what: str) -> float:
    if what == "speed":
        prose = read_prose()
        find(pa.array(["warm up: 13800138000"]), CONFIG)
        return sum(map(size_of, prose.values())) / sum(seconds(texts)[0] for texts in prose.values())
    generated = cases("test", COUNT, SEED)
    return rates(generated, found_in(generated))[what == "precision"]


def tables(split: str, show: int) -> None:
    generated = cases(split, COUNT, SEED)
    found = found_in(generated)
    print("| kind | recall | precision |\n|---|---|---|")
    for kind in (*KINDS, ""):
        recall, precision = rates(generated, found, kind)
        print(f"| {kind or 'all'} | {recall:.4f} | {precision:.4f} |")
    total, wrong = (
        Counter(c.about for c in generated),
        Counter(c.about for c, f in zip(generated, found, strict=True) if set(c.spans) != f),
    )
    print(
        f"\n{len(generated)} cases of the split {split}; wrong: "
        + (", ".join(f"{a} {n} of {total[a]}" for a, n in wrong.items()) or "none")
    )
    print("\n| prose | MB | found | MB per CPU-second | scan alone |\n|---|---|---|---|---|")
    passages = []
    for name, texts in read_prose().items():
        whole, alone = seconds(texts)
        table, size = find(texts, CONFIG), size_of(texts)
        kinds = Counter(table["kind"].to_pylist())
        print(f"| {name} | {size:.1f} | {dict(sorted(kinds.items()))} | {size / whole:.0f} | {size / alone:.0f} |")
        shown: Counter[str] = Counter()
        for row, start, stop, kind in zip(*(c.to_pylist() for c in table.columns), strict=True):
            shown[kind] += 1
            if shown[kind] <= show:
                data = texts[row].as_py().encode()
                around = (data[max(start - 40, 0) : start], data[start:stop], data[stop : stop + 20])
                passages.append("\t".join([name, kind, *(repr(part.decode("utf-8", "ignore")) for part in around)]))
    print("\n".join(["", *passages]))


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure redaction.")
    offer(parser, ("recall", "precision", "speed"))
    parser.add_argument("--split", choices=SPLITS, default="test")
    parser.add_argument("--show", type=int, default=0, help="finds of each kind to print of each file of prose")
    options = parser.parse_args()
    return answer(options.json, bar, lambda: tables(options.split, options.show))


if __name__ == "__main__":
    sys.exit(main())
