"""The model of structural extraction: how src/skyloom/corpus/extract/model.json was trained, and how good it is on other sites.

    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_model            (in the project's root; needs lightgbm, about 3 minutes)
    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_model --write    writes the model file as well

Input: marked pages whose marks are MIT, Apache-2.0 or CC-BY (`FITTED` of bench/corpus/extraction.py), and pages that we
marked ourselves (studies/extraction_pages.py). Output: the model, a plain file of numbers, and F1 tables. Collections of
other licences are not trained on; where they are present they measure only.

Method: the compiled pass of the corpus room cuts a page into blocks and describes them. A block is text if more than 0.7 of
its units stand in 4-grams of the page that the marked text has too, so that a short block is judged with its neighbours.
Blocks weigh the root of their units, and a page the root of what its blocks weigh together, so that neither long blocks nor long
pages rule; pages of our own weigh `WEIGHTS`. Gradient boosting (LightGBM) makes TREES small trees over all features. In
cross-validation pages of one site stay in one of five folds; texts are made by `extract_column` itself with the fold's model,
so the rules for comments, rows and headings take part. F1 is that of bench/corpus/extraction.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bench.corpus.extraction import FITTED, NotMeasuredError, Page, Scores, counted, f1, interval, mean, read_pages
from studies import extraction_pages

from skyloom.core.kernels import entry
from skyloom.core.units import UnitColumn, hash_units, ngrams
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract import select as extract_select
from skyloom.corpus.extract.column import extract_column
from skyloom.corpus.extract.features import FEATURES, ROLES, describe, describe_page, prepare
from skyloom.corpus.extract.tag_tables import tables
from skyloom.corpus.extract.walk import walk

Floats = npt.NDArray[np.float64]

FILE = Path(extract_select.__file__).with_name("model.json")
N = 4
SHARE = 0.7
TREES, LEAVES, RATE, FOLDS = 120, 16, 0.09, 5
PARAMETERS = {
    "objective": "binary", "num_leaves": LEAVES, "learning_rate": RATE, "feature_fraction": 0.35, "min_data_in_leaf": 60,
    "max_bin": 127,     "seed": 1, "num_threads": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
WEIGHTS = {"samples": 1.0, "invented": 0.2, "docs": 0.05}
INVENTED = 180


@dataclass(frozen=True)
class Sample:
    """A page as the trees see it. `lines`: float32[blocks, features]; `labels`, `weights`: float64[blocks]."""

    page: Page
    lines: npt.NDArray[np.float32]
    labels: Floats
    weights: Floats


@entry
def _lines(data, page, table, roles, out):  # type: ignore[no-untyped-def]
    """Fill out[blocks, features] with the lines of a page; returns its blocks."""
    walk(data, 0, len(data), page, table)
    count = page.state[pg.BLOCKS]
    if count:
        prepare(page, table, roles)
        describe_page(page, roles, page.row)
    for i in range(min(count, len(out))):
        describe(page, i, roles, page.row)
        for k in range(len(page.row)):
            out[i, k] = page.row[k]
    return count


def sample(page: Page) -> Sample:
    """Cut, describe and label one page."""
    data = np.frombuffer(page.html.encode("utf-8", "replace") or b" ", np.uint8)
    scratch = pg.scratch(len(data), len(FEATURES))
    out = np.zeros((len(data) // 3 + 16, len(FEATURES)), np.float32)
    count = _lines(data, scratch, tables(), np.zeros(ROLES), out)
    text = scratch.text[: scratch.state[pg.TEXT_END]].tobytes()
    texts = [text[a:b].decode() for a, b in scratch.blocks[:count, [pg.START, pg.END]].tolist()]
    truth, units = labels(texts, page.gold)
    weights = np.sqrt(units)
    total = max(float(weights.sum()), 1e-9)
    return Sample(page, out[:count].copy(), truth, weights / total**0.5 * WEIGHTS.get(page.bench, 1.0))


def labels(texts: Sequence[str], gold: str) -> tuple[Floats, Floats]:
    """1 for each block that is part of the marked text, else 0, and the units of each: float64[blocks] both."""
    column = hash_units(pa.array(texts, pa.string()), fold=False)
    whole = UnitColumn(column.hashes, np.array([0, len(column.hashes)], np.int64))
    wanted = ngrams(hash_units(pa.array([gold]), fold=False), N).hashes
    hits = np.isin(ngrams(whole, N).hashes, wanted)
    inside = np.zeros(len(column.hashes), np.bool_)
    for k in range(N):  # a unit counts if any 4-gram that it is part of does
        inside[k : k + len(hits)] |= hits
    sums = np.concatenate([[0], np.cumsum(inside)])
    share = (sums[column.offsets[1:]] - sums[column.offsets[:-1]]) / np.maximum(column.counts, 1)
    return (share > SHARE).astype(np.float64), column.counts.astype(np.float64)


def fit(samples: Sequence[Sample]) -> dict[str, Any]:
    """A model file's content, see `extract_select.pack`."""
    lines, truth, weights = (np.concatenate([getattr(s, k) for s in samples]) for k in ("lines", "labels", "weights"))
    data = lgb.Dataset(lines, truth, weight=weights / weights.mean())
    return exported(lgb.train(PARAMETERS, data, TREES))


def exported(booster: lgb.Booster) -> dict[str, Any]:
    """The trees as plain lists. A limit is rounded down to float32, so that float32 values fall on the same side as before."""
    found = [t["tree_structure"] for t in booster.dump_model()["tree_info"]]
    used = sorted({f for tree in found for f in _splits(tree)})
    return {"features": [FEATURES[f] for f in used], "trees": [_tree(t, {f: n for n, f in enumerate(used)}) for t in found]}


def _splits(node: dict[str, Any]) -> Iterator[int]:
    if "split_feature" in node:
        yield node["split_feature"]
        yield from _splits(node["left_child"])
        yield from _splits(node["right_child"])


def _tree(root: dict[str, Any], number: dict[int, int]) -> dict[str, list[Any]]:
    tree: dict[str, list[Any]] = {k: [] for k in ("feature", "limit", "low", "high", "value")}

    def add(node: dict[str, Any]) -> int:
        if "split_feature" not in node:
            tree["value"].append(float(f"{node['leaf_value']:.6g}"))
            return -len(tree["value"])
        place, limit = len(tree["feature"]), np.float32(node["threshold"])
        if float(limit) > node["threshold"]:
            limit = np.nextafter(limit, np.float32(-np.inf))
        for key, value in (("feature", number[node["split_feature"]]), ("limit", float(limit)), ("low", 0), ("high", 0)):
            tree[key].append(value)
        tree["low"][place], tree["high"][place] = add(node["left_child"]), add(node["right_child"])
        return place

    add(root)
    return tree


def fold(page: Page) -> int:
    """Which of the folds a page is in: all pages of a site in the same."""
    return int.from_bytes(hashlib.sha256(page.site.encode()).digest()[:8]) % FOLDS


def scores(pages: Sequence[Page], data: dict[str, Any]) -> list[float]:
    """F1 of each page, extracted with a model."""
    found = extract_column(
        pa.array([p.html.encode("utf-8", "replace") for p in pages], pa.large_binary()), trees=extract_select.pack(data)
    )
    return [f1("\n\n".join(blocks), p.gold) for blocks, p in zip(found.column("blocks").to_pylist(), pages, strict=True)]


def cross_validated(samples: Sequence[Sample], own: Sequence[Sample]) -> list[float]:
    """F1 of each page with a model trained on the sites of the other folds and on our own pages."""
    found = dict.fromkeys((s.page.id for s in samples), 0.0)
    for k in range(FOLDS):
        inside = [s.page for s in samples if fold(s.page) == k]
        data = fit([s for s in samples if fold(s.page) != k] + list(own))
        found |= dict(zip((p.id for p in inside), scores(inside, data), strict=True))
    return list(found.values())


def grouped(pages: Sequence[Page], values: Sequence[float]) -> Scores:
    """The values of all pages by benchmark and language."""
    keys = [(p.bench, p.lang) for p in pages]
    return {key: np.array([v for k, v in zip(keys, values, strict=True) if k == key]) for key in sorted(set(keys))}


def table(found: Scores) -> str:
    """Mean F1 by benchmark and language, and for each language as bench/corpus/extraction.py averages it, with 95 % intervals."""
    rows = [(f"{bench} {lang}", [values]) for (bench, lang), values in found.items()]
    rows += [(f"**{lang}**", counted(found, lang)) for lang in ("en", "zh") if any(of == lang for _, of in found)]
    lines = ["| benchmark | pages | F1 (95 % interval) |", "|---|---|---|"]
    for name, groups in rows:
        low, high = interval(groups)
        lines.append(f"| {name} | {sum(len(g) for g in groups)} | {mean(groups):.3f} ({low:.3f}–{high:.3f}) |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train and cross-validate the model of structural extraction.")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    options = parser.parse_args()
    try:
        pages = read_pages()
    except NotMeasuredError as why:
        print(why, file=sys.stderr)
        return 1
    marked = [sample(p) for p in pages if p.bench in FITTED]
    others = [p for p in pages if p.bench not in FITTED]
    own = [sample(p) for p in (*extraction_pages.samples(), *extraction_pages.docs(), *extraction_pages.invented(INVENTED))]
    data = fit(marked + own)
    blocks = sum(len(s.labels) for s in marked), sum(len(s.labels) for s in own)
    print(f"{len(marked)} marked pages with {blocks[0]:,} blocks, {len(own)} of our own with {blocks[1]:,}, {TREES} trees")
    print(f"\nTrained on, cross-validated by site:\n{table(grouped([s.page for s in marked], cross_validated(marked, own)))}")
    unseen = scores(others, data)
    if others:
        print(f"\nNot trained on:\n{table(grouped(others, unseen))}")
    if options.write:
        FILE.write_text(json.dumps(data, separators=(",", ":")) + "\n", "utf-8")
        print(f"\nwrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
