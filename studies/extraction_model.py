"""The model of structural extraction: how corpus/extract/judge/model.json was trained, and how good it is on other sites.

    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_model            (in the project's root; needs lightgbm)
    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_model --write    writes the model file as well
    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_model --pages 20 --trees 20    a small trial of the study itself

Input: marked pages whose marks are MIT, Apache-2.0 or CC-BY (`FITTED` of bench/corpus/extraction.py), and pages that we
marked ourselves (studies/extraction_pages.py). Output: the model, a plain file of numbers, and F1 tables. Collections of
other licences are not trained on; where they are present they measure only. Sites of the blind part (`extraction_pages.blind`) and
the blind half of our Chinese pages take part in nothing here; studies/extraction_blind.py measures them, at the end and once.

Method: the compiled pass of the corpus room cuts a page into blocks and describes them. A block is text if more than 0.7 of
its units stand in 4-grams of the page that the marked text has too, so that a short block is judged with its neighbours.
Blocks weigh the root of their units, and a page the root of what its blocks weigh together, so that neither long blocks nor long
pages rule; a page also weighs what `WEIGHTS` says of its benchmark, language and kind. Gradient boosting (LightGBM) makes TREES
small trees over all features. In cross-validation pages of one site (of one shape, for our Chinese pages) stay in one of five
folds; texts are made by `extract_column` itself with the fold's model, so the rules for comments, rows and headings take part.
For the scores see studies/extraction_scores.py.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bench.answers import answer, offer
from bench.corpus.extraction import FITTED, Page, read_pages
from studies import extraction_evidence as evidence
from studies import extraction_pages, extraction_small_pages
from studies.extraction_scores import GOODS, KINDS, language_mean, score
from studies.extraction_scores import tables as score_tables

from skyloom.core.kernels import entry
from skyloom.core.units import UnitColumn, hash_units, ngrams
from skyloom.corpus.extract import scratch as pg
from skyloom.corpus.extract.column import extract_column
from skyloom.corpus.extract.features import FEATURES, ROLES, describe, describe_page, prepare
from skyloom.corpus.extract.hidden import DROP, settle_hidden
from skyloom.corpus.extract.judge import ensemble
from skyloom.corpus.extract.judge.ensemble import COLUMNS
from skyloom.corpus.extract.judge.second_pass import CONTEXT, NO_BLOCK, look_around, surroundings
from skyloom.corpus.extract.rewrite import embedded
from skyloom.corpus.extract.tag_tables import tables
from skyloom.corpus.extract.walk import walk

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Lines = npt.NDArray[np.float32]

FILE = Path(ensemble.__file__).with_name("model.json")
THIN_PAGES = Path(__file__).with_name("extraction_thin_pages.txt")
N = 4
SHARE = 0.7
TREES, LEAVES, RATE, FOLDS = 120, 16, 0.09, 5
FIRST_TREES, PARTS = 60, 2
KEPT_RULES = ("comments",)
"""The rules of `select` that the model leaves on."""
PARAMETERS = {
    "objective": "binary", "num_leaves": LEAVES, "learning_rate": RATE, "feature_fraction": 0.35, "min_data_in_leaf": 60,
    "max_bin": 127,     "seed": 1, "num_threads": 1, "deterministic": True, "verbose": -1,
}  # fmt: skip
WEIGHTS = {
    "samples": 1.0, "invented": 0.2, "small": 1.0, "docs": 0.05, "wcxb": 0.5, "own_zh": 1.0, "zh": 4.0, "goods": 2.2, "forum": 1.2,
}  # fmt: skip
"""What a page weighs by its benchmark; times "zh" if it is Chinese and others marked it, because there are few; times "goods"
(product, collection, listing) or "forum" if it is one of WCXB's. `--weights` changes them."""
INVENTED, SMALL = 180, 480
DRAWN = frozenset(("invented", "small"))
"""Pages whose names and words are drawn from lists: no evidence of other sites."""
BATCH = 64
SCORED = {"wcxb": frozenset(KINDS), "wcxb-forum": frozenset(("forum",)), "wcxb-goods": GOODS}
BARS = (*SCORED, "other-en", "other-zh")
"""Figures for `--json`: word F1 on WCXB, cross-validated by site, and F1 of 4-grams on sets not trained on."""


@dataclass(frozen=True)
class Sample:
    """A page as the trees see it. `lines`: float32[blocks, FEATURES]; `labels`, `weights`, `units`: float64[blocks].

    `shown`: bool[blocks], not hidden; `entries`: what it knows of evidence.
    """

    page: Page
    lines: Lines
    labels: Floats
    weights: Floats
    units: Floats
    shown: npt.NDArray[np.bool_]
    entries: evidence.Entries


@entry
def _lines(data, page, table, roles, out, shown):  # type: ignore[no-untyped-def]
    """Fill out[blocks, FEATURES] with the lines of a page and shown[blocks]; returns its blocks."""
    walk(data, 0, len(data), page, table)
    count = page.state[pg.BLOCKS]
    if count:
        settle_hidden(page)
        prepare(page, table, roles)
        describe_page(page, roles, page.row)
    for i in range(min(count, len(out))):
        shown[i] = not page.nodes[page.blocks[i, pg.NODE], pg.HIDE] & DROP
        describe(page, i, roles, page.row)
        for k in range(out.shape[1]):
            out[i, k] = page.row[k]
    return count


@entry
def _context(data, page, table, roles, odds, out):  # type: ignore[no-untyped-def]
    """Fill out[blocks, CONTEXT] with what the second pass is told, from the odds of a first one."""
    walk(data, 0, len(data), page, table)
    prepare(page, table, roles)
    for i in range(page.state[pg.BLOCKS]):
        page.z[i], page.p[i] = odds[i], 1 / (1 + np.exp(-odds[i])) if odds[i] > NO_BLOCK else 0
    look_around(page)
    for i in range(page.state[pg.BLOCKS]):
        surroundings(page, i, out[i], 0)


@entry
def _odds(lines, forest, out):  # type: ignore[no-untyped-def]
    for i in range(len(lines)):
        out[i] = ensemble.odds(lines[i], forest)


def cut(page: Page) -> tuple[list[str], Lines, npt.NDArray[np.bool_]]:
    """The texts of a page's blocks, their lines, float32[blocks, FEATURES], and whether they are shown, bool[blocks]."""
    data = evidence.page_bytes(page.html)
    scratch = pg.scratch(len(data), len(COLUMNS))
    out, shown = np.zeros((len(data) // 3 + 16, len(FEATURES)), np.float32), np.zeros(len(data) // 3 + 16, np.bool_)
    count = _lines(data, scratch, tables(), np.zeros(ROLES), out, shown)
    text = scratch.text[: scratch.state[pg.TEXT_END]].tobytes()
    texts = [text[a:b].decode() for a, b in scratch.blocks[:count, [pg.START, pg.END]].tolist()]
    return texts, out[:count].copy(), shown[:count].copy()


def sample(page: Page) -> Sample:
    """Cut, describe and label one page."""
    texts, lines, shown = cut(page)
    truth, units = labels(texts, page.gold)
    weights = np.sqrt(units)
    total = max(float(weights.sum()), 1e-9)
    weights = weights / total**0.5 * page_weight(page)
    return Sample(page, lines, truth, weights, units, shown, evidence.entries(page.site, page.html, truth, units))


def with_states(pages: Sequence[Page]) -> list[Page]:
    """The pages, and behind each of `THIN_PAGES` the page that is made of its scripts' state, under the same marks.

    Those are the pages of which the model before showed less than `embedded.THIN` bytes. They are a list, because each model
    shows a little more or less: so the file of the model is made again by the study alone.
    """
    thin = frozenset(THIN_PAGES.read_text("utf-8").split())
    found: list[Page] = []
    for page in pages:
        found.append(page)
        if page.id in thin:
            made = embedded.alternatives(page.html.encode("utf-8", "replace"))
            found += [replace(page, id=f"{page.id} state {n}", html=one.decode("utf-8", "replace")) for n, one in enumerate(made)]
    return found


def page_weight(page: Page) -> float:
    """What a page weighs by its benchmark, language and kind."""
    chinese = WEIGHTS["zh"] if page.lang == "zh" and page.bench in FITTED else 1.0
    of_kind = 1.0
    if page.bench == "wcxb":
        of_kind = WEIGHTS["goods"] if page.kind in GOODS else WEIGHTS["forum"] if page.kind == "forum" else 1.0
    return WEIGHTS.get(page.bench, 1.0) * chinese * of_kind


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


class Lot:
    """The shown blocks of samples with the lines that trees are told, put into bins once for several forests."""

    def __init__(self, samples: Sequence[Sample], lines: Sequence[Lines]) -> None:
        rows = np.concatenate([of[s.shown] for of, s in zip(lines, samples, strict=True)])
        truth, weights = (np.concatenate([getattr(s, k)[s.shown] for s in samples]) for k in ("labels", "weights"))
        self.data = lgb.Dataset(rows, truth, weight=weights, params=PARAMETERS, free_raw_data=False).construct()
        self.ends = np.cumsum([0, *(int(s.shown.sum()) for s in samples)])

    def fit(self, trees: int, chosen: Sequence[int] | None = None) -> dict[str, Any]:
        """A forest over all samples, or over those chosen by number."""
        part = self.data
        if chosen is not None:
            part = part.subset(np.concatenate([np.arange(self.ends[n], self.ends[n + 1]) for n in chosen]))
        return exported(lgb.train(PARAMETERS, part, trees))


def fit(samples: Sequence[Sample], trees: int = TREES, first_trees: int = FIRST_TREES) -> dict[str, Any]:
    """A model file's content, see `ensemble.pack`: evidence, a first forest, and a second that is told what the first thinks.

    What the first thinks of a training page comes from one that was trained without its site.
    """
    table = evidence.Table([s.entries for s in samples if s.page.bench not in DRAWN])
    told = [evidence.told(s.page.html, s.page.site, s.entries.keys, table, len(s.lines)) for s in samples]
    known = [np.concatenate([s.lines, t], axis=1) for s, t in zip(samples, told, strict=True)]
    lot = Lot(samples, known)
    made = lot.fit(first_trees)
    parts = np.array([_digest(f"part {s.page.site}") % PARTS for s in samples])
    odds: dict[int, Floats32] = {}
    for k in range(PARTS):
        forest = ensemble.pack(lot.fit(first_trees, np.flatnonzero(parts != k).tolist())).first
        odds |= {n: first_odds(known[n], samples[n].shown, forest) for n in np.flatnonzero(parts == k).tolist()}
    full = [np.concatenate([of, context(samples[n].page, odds[n])], axis=1) for n, of in enumerate(known)]
    second = Lot(samples, full).fit(trees)
    return {**made, "second": second, "evidence": table.exported(), "rules": list(KEPT_RULES)}


def first_odds(lines: Lines, shown: npt.NDArray[np.bool_], forest: ensemble.Forest) -> Floats32:
    """What the first pass thinks of each block."""
    out = np.zeros(len(lines), np.float32)
    _odds(lines, forest, out)
    return np.where(shown, out, np.float32(NO_BLOCK))


def context(page: Page, odds: Floats32) -> Lines:
    """What the second pass is told: float32[blocks, CONTEXT]."""
    data = evidence.page_bytes(page.html)
    out = np.zeros((len(odds), len(CONTEXT)), np.float32)
    if len(odds):
        _context(data, pg.scratch(len(data), len(COLUMNS)), tables(), np.zeros(ROLES), odds, out)
    return out


def exported(booster: lgb.Booster) -> dict[str, Any]:
    """The trees as plain lists. A limit is rounded down to float32, so that float32 values fall on the same side as before."""
    found = [t["tree_structure"] for t in booster.dump_model()["tree_info"]]
    used = sorted({f for tree in found for f in _splits(tree)})
    return {"features": [COLUMNS[f] for f in used], "trees": [_tree(t, {f: n for n, f in enumerate(used)}) for t in found]}


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
    return _digest(page.site) % FOLDS


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])


def texts_of(pages: Sequence[Page], data: dict[str, Any] | None) -> list[str]:
    """The text of each page, extracted with a model, or with the one that ships."""
    trees = ensemble.pack(data) if data else None
    found: list[str] = []
    for n in range(0, len(pages), BATCH):
        bodies = [p.html.encode("utf-8", "replace") for p in pages[n : n + BATCH]]
        made = extract_column(pa.array(bodies, pa.large_binary()), trees=trees)
        found += ["\n\n".join(blocks or ()) for blocks in made.column("blocks").to_pylist()]
    return found


def cross_validated(pages: Sequence[Page], samples: Sequence[Sample], own: Sequence[Sample], trees: int = TREES) -> list[str]:
    """The text of each page, found with a model trained on the samples of the sites of the other folds and on our own pages."""
    found = dict.fromkeys((p.id for p in pages), "")
    asked = frozenset(found)
    for k in range(FOLDS):
        inside = [s.page for s in samples if fold(s.page) == k and s.page.id in asked]
        if inside:
            data = fit([s for s in samples if fold(s.page) != k] + list(own), trees)
            found |= dict(zip((p.id for p in inside), texts_of(inside, data), strict=True))
    return list(found.values())


def seen(pages: Sequence[Page]) -> list[Page]:
    """The pages of sites that are not blind."""
    return [p for p in pages if not extraction_pages.blind(p.site)]


def spread(pages: Sequence[Page], most: int) -> list[Page]:
    """About `most` pages of each benchmark, language and kind, spread over it; all for 0."""
    if not most:
        return list(pages)
    groups: dict[tuple[str, str, str], list[Page]] = {}
    for page in pages:
        groups.setdefault((page.bench, page.lang, page.kind), []).append(page)
    return [p for group in groups.values() for p in group[:: max(1, -(-len(group) // most))]]


def weights(text: str) -> dict[str, float]:
    """`wcxb=0.7,zh=4` as a table."""
    found = {name: float(value) for name, _, value in (one.partition("=") for one in text.split(","))}
    if unknown := set(found) - set(WEIGHTS):
        raise argparse.ArgumentTypeError(f"no weight is named {', '.join(sorted(unknown))}; there are {', '.join(WEIGHTS)}")
    return found


@dataclass(frozen=True)
class Study:
    """What a run of the study gives: the model, and the text of each page, cross-validated where it was trained on."""

    data: dict[str, Any]
    fitted: Sequence[Page]
    texts: Sequence[str]
    others: Sequence[Page]
    other_texts: Sequence[str]
    about: str

    def value(self, bar: str) -> float:
        """A figure of `BARS`."""
        if bar.startswith("wcxb"):
            return score(self.fitted, self.texts, "wcxb", SCORED[bar])
        return language_mean(self.others, self.other_texts, bar.removeprefix("other-"))

    def show(self) -> None:
        """Print all tables."""
        print(f"{self.about}\n\nTrained on, cross-validated by site:\n{score_tables(self.fitted, self.texts)}")
        if self.others:
            print(f"\nNot trained on:\n{score_tables(self.others, self.other_texts)}")


def run(page_limit: int, trees: int) -> Study:
    """Train, cross-validate and measure. NotMeasuredError without the marked pages."""
    pages = spread(seen(read_pages()), page_limit)
    chinese = spread(extraction_pages.own_chinese(), page_limit)
    fitted = [*(p for p in pages if p.bench in FITTED), *chinese]
    marked = [sample(p) for p in with_states(fitted)]
    others = [p for p in pages if p.bench not in FITTED]
    invented = extraction_pages.invented(min(INVENTED, page_limit or INVENTED))
    small = extraction_small_pages.small(min(SMALL, page_limit or SMALL))
    own = [sample(p) for p in (*extraction_pages.samples(), *extraction_pages.docs(), *invented, *small)]
    data = fit(marked + own, trees)
    blocks = sum(len(s.labels) for s in marked), sum(len(s.labels) for s in own)
    about = f"{len(marked)} marked pages with {blocks[0]:,} blocks, {len(own)} of our own with {blocks[1]:,}, {trees} trees"
    return Study(data, fitted, cross_validated(fitted, marked, own, trees), others, texts_of(others, data), about)


def main() -> int:
    parser = argparse.ArgumentParser(description="Train and cross-validate the model of structural extraction.")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    parser.add_argument("--pages", type=int, default=0, help="at most so many pages of each benchmark, language and kind; 0: all")
    parser.add_argument("--trees", type=int, default=TREES, help="trees of each model")
    parser.add_argument("--weights", type=weights, default={}, metavar="NAME=VALUE,…", help=f"other than {WEIGHTS}")
    offer(parser, BARS)
    options = parser.parse_args()
    WEIGHTS.update(options.weights)
    found = cache(lambda: run(options.pages, options.trees))
    code = answer(options.json, lambda name: found().value(name), lambda: found().show())
    if options.write and not code:
        FILE.write_text(json.dumps(found().data, separators=(",", ":")) + "\n", "utf-8")
        print(f"\nwrote {FILE}", file=sys.stderr if options.json else sys.stdout)
    return code


if __name__ == "__main__":
    sys.exit(main())
