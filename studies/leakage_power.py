"""What the detectors of `leak model` can see: false positives and power, measured on small models that read planted items.

    python -m studies.leakage_power --out FOLDER                   runs the seeds that are missing, prints the table
    python -m studies.leakage_power --out FOLDER --table           only the table, of what is finished
    python -m studies.leakage_power --out FOLDER --json NAME,...   for the bars: {"values": {...}}
    python -m studies.leakage_power --out FOLDER --write-table     writes the table that verdicts quote, and the one of the docs

Input: the folder that SKYLOOM_BENCH_DATA names (eval/gsm8k, eval/cmath, eval/cmmlu). Output: in the folder a file of plain arrays
(.npz, never pickled) for each seed, and `seeds.jsonl` with its checksum, size and recipe; all figures are computed from these
afterwards, with the detectors and the rule of the product.

The order of the seeds makes every beginning of it useful: the first ones at 0.9 M parameters and some of the other sizes between
them. Nothing is chosen after a look at the measured seeds (1 to 20, 1 to 6): sizes, rates and numbers were chosen on the seeds from
101 on (docs/7-leakage.md). A run can be stopped at any moment; what is finished is not done again. A folder of another recipe is
refused, and so are raw results whose checksum is wrong.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from bench.answers import NotMeasuredError, answer, offer
from studies import leakage_power_figures
from studies.leakage_power_figures import PowerShare, SeedScores, figures
from studies.leakage_power_runs import SIZES, PowerRecipe, PowerSize, Raw, one_seed
from studies.leakage_power_table import BARS, bar_value, table, write_tables
from studies.leakage_power_texts import study_texts
from studies.seed_lines import append_seed, read_seeds

DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
SEEDS = {"0.9M": 20, "0.25M": 6, "1.9M": 6}


class PowerLine(TypedDict):
    """A line of `seeds.jsonl`. `file`: the raw results; `sha256`: of that file."""

    seed: int
    size: str
    recipe: dict[str, int | float]
    parameters: int
    file: str
    sha256: str


def planned() -> list[tuple[str, int]]:
    """Sizes and seeds in the order of the runs: after every third seed of the first size one of another."""
    first = [("0.9M", seed) for seed in range(1, SEEDS["0.9M"] + 1)]
    others = [("0.25M", seed) for seed in range(1, SEEDS["0.25M"] + 1)] + [("1.9M", seed) for seed in range(1, SEEDS["1.9M"] + 1)]
    found: list[tuple[str, int]] = []
    while first or others:
        found += first[:3] + others[: 1 if first else len(others)]
        first, others = first[3:], others[1:] if first else []
    return found


def packed(raw: Raw) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **raw)
    return file.getvalue()


def read_raw(folder: Path, line: PowerLine) -> Raw:
    """The arrays of a seed. ValueError if the file is not what was written."""
    data = (folder / line["file"]).read_bytes()
    if hashlib.sha256(data).hexdigest() != line["sha256"]:
        raise ValueError(f"{folder / line['file']} is damaged: its checksum is not that of seeds.jsonl")
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def read_lines(folder: Path, recipe: PowerRecipe) -> list[PowerLine]:
    """The finished seeds. ValueError if the folder holds seeds of another recipe."""
    found: list[PowerLine] = read_seeds(folder / "seeds.jsonl", asdict(recipe))
    return found


def run(folder: Path, wanted: list[tuple[str, int]], recipe: PowerRecipe) -> None:
    """Run the seeds one after the other, and write each down as it is done."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    texts = study_texts(Path(os.environ[DATA_VARIABLE]) / "eval", folder)
    for name, seed in wanted:
        size: PowerSize = SIZES[name]
        print(f"{name}, seed {seed}", flush=True)
        raw = one_seed(seed, size, recipe, texts, lambda text: print(text, flush=True))
        data, file = packed(raw), f"{name}-{seed:03d}.npz"
        (folder / file).write_bytes(data)
        line: PowerLine = {
            "seed": seed, "size": name, "recipe": asdict(recipe), "parameters": int(raw["parameters"][0]), "file": file,
            "sha256": hashlib.sha256(data).hexdigest(),
        }  # fmt: skip
        append_seed(folder / "seeds.jsonl", json.dumps(line, sort_keys=True) + "\n")


def rows_of_folder(folder: Path, lines: Sequence[PowerLine]) -> list[PowerShare]:
    """All figures of the finished seeds that are planned, whatever the order they were run in. They are kept in the folder, and
    computed anew when raw results or statistics change."""
    order = {one: place for place, one in enumerate(planned())}
    lines = sorted((one for one in lines if (one["size"], one["seed"]) in order), key=lambda one: order[one["size"], one["seed"]])
    root = Path(__file__).parents[1]
    code = [
        Path(leakage_power_figures.__file__),
        root / "studies/leakage_power_texts.py",
        root / "src/skyloom/score/intervals.py",
        root / "src/skyloom/leakage/blind.py",
    ]
    code += sorted(path for path in (root / "src/skyloom/leakage/suspect").glob("*.py") if path.name != "known_power.py")
    source = b"".join(path.read_bytes() for path in code)
    key = hashlib.sha256(source + json.dumps([line["sha256"] for line in lines]).encode()).hexdigest()
    path = folder / "figures.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if kept.get("key") != key:
        if DATA_VARIABLE not in os.environ:
            raise NotMeasuredError(f"{DATA_VARIABLE} names no folder, and the figures that are kept are of other code")
        torch.set_num_threads(1)
        seeds = [SeedScores(line["size"], line["seed"], read_raw(folder, line)) for line in lines]
        texts = study_texts(Path(os.environ[DATA_VARIABLE]) / "eval", folder)
        pools = {**texts.pools, "published": texts.published}
        kept = {"key": key, "rows": figures(seeds, pools, lambda text: print(text, file=sys.stderr, flush=True))}
        aside = path.with_suffix(".tmp")
        aside.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf-8")
        os.replace(aside, path)
    rows: list[PowerShare] = kept["rows"]
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure what the detectors of leak model can see.")
    offer(parser, tuple(BARS))
    parser.add_argument("--out", type=Path, default=Path("runs/leakage-power"))
    parser.add_argument("--table", action="store_true", help="print the table of what is finished")
    parser.add_argument("--write-table", action="store_true", help="write it to the product's table and to the docs")
    parser.add_argument("--seed", type=int, help="run this seed of 0.9M alone; from 101 on: to choose a recipe, never in the table")
    options, recipe = parser.parse_args(arguments), PowerRecipe()
    if DATA_VARIABLE not in os.environ and not options.json:
        print(f"{DATA_VARIABLE} names no folder", file=sys.stderr)
        return 1
    try:
        done = read_lines(options.out, recipe)
        finished = {(line["size"], line["seed"]) for line in done}
        if options.seed:
            run(options.out, [one for one in [("0.9M", options.seed)] if one not in finished], recipe)
            return 0
        missing = [one for one in planned() if one not in finished]
        if missing and not (options.json or options.table or options.write_table):
            run(options.out, missing, recipe)
            done = read_lines(options.out, recipe)
        return _shown(options, done, len(missing))
    except ValueError as problem:
        print(problem, file=sys.stderr)
        return 1


def _shown(options: argparse.Namespace, done: list[PowerLine], missing: int) -> int:
    """The bars, or the table; written into product and docs if that is asked."""
    cached = (options.out / "figures.json").is_file()

    def value(name: str) -> float:
        if missing:
            raise NotMeasuredError(f"{missing} of {len(planned())} seeds are not finished: run python -m studies.leakage_power")
        if DATA_VARIABLE not in os.environ and not cached:
            raise NotMeasuredError(f"{DATA_VARIABLE} names no folder")
        return bar_value(name, rows_of_folder(options.out, done))

    def tables() -> None:
        if not done:
            raise NotMeasuredError("no seed is finished")
        rows = rows_of_folder(options.out, done)
        print(table(rows))
        if options.write_table:
            write_tables(rows)

    return answer(options.json, value, tables)


if __name__ == "__main__":
    sys.exit(main())
