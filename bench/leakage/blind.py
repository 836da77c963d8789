"""How well words alone tell GSM8K's test split from the report's published reference set, and from its own train split.

Input: `eval/gsm8k` in SKYLOOM_BENCH_DATA. Output: AUCs of the blind baseline (`leakage.blind`); no model is read.

    python -m bench.leakage.blind                      the table
    python -m bench.leakage.blind --json published     test against the published reference set
    python -m bench.leakage.blind --json train         test against train: how far from one half
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from bench.answers import NotMeasuredError, answer, offer
from skyloom.leakage.benchmark_sets import read_benchmark
from skyloom.leakage.blind import BlindBaseline, blind_baseline

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
FILES = {"published": "skywork_mock_test.jsonl.gz", "train": "train_text.jsonl.gz"}
TEMPLATE = "{question} {answer}"


def measured(name: str) -> BlindBaseline:
    folder = Path(os.environ.get(DATA_VARIABLE, "/nowhere")) / "eval" / "gsm8k"
    if not (folder / FILES[name]).is_file():
        raise NotMeasuredError(f"{DATA_VARIABLE} names no folder with eval/gsm8k/{FILES[name]}")
    return blind_baseline(read_benchmark(folder / "test.jsonl.gz", TEMPLATE), read_benchmark(folder / FILES[name], TEMPLATE))


def table() -> None:
    print("| GSM8K test against | words | length alone | items | vetoes |\n|---|---|---|---|---|")
    for name in FILES:
        found = measured(name)
        cells = (f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in (found.words, found.length))
        print(f"| {name} | {' | '.join(cells)} | {found.n} | {'yes' if found.vetoes else 'no'} |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the blind baseline on GSM8K.")
    offer(parser, tuple(FILES))
    options = parser.parse_args()

    def value(name: str) -> float:
        found = measured(name).words.value
        return found if name == "published" else abs(found - 0.5)

    return answer(options.json, value, table)


if __name__ == "__main__":
    sys.exit(main())
