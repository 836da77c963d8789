"""The weights of structural extraction: how the constants of src/skyloom/corpus/extract_judge.py were fitted.

    SKYLOOM_BENCH_DATA=DATA python -m studies.extraction_weights        (in the project's root)

What enters are 306 web pages whose main text people have marked, of four permissively licensed collections (bench/data.toml
says where each is from): scrapinghub article-extraction-benchmark (MIT), magic-html articles and forums (Apache-2.0), WCXB
(CC-BY-4.0). What leaves is printed: the weights, how they differ from those in the code, and F1 tables. Collections of
other licences are not fitted on; where they are present they measure only.

Method: a page is cut into blocks by `layout`, described by `features`. A block is text if more than 0.7 of its 4-grams of
units stand in the marked text; a shorter block, if the marked text has it literally. A logistic regression over the blocks,
ridge on standardised features, is minimised with L-BFGS. Blocks weigh the root of their length, and the weights of a page
sum to 1, so that a long page does not rule. Cross-validation is by site: pages of one site share a template and stay in one
of five folds. F1 is that of bench/extraction.py, after the rules of `select` (gaps, code, comments, headings).

Result (2026-11-23). The constants in the code are of a fit before the context of blocks (names and tags of the elements around
them) took its present form: on the features of that day, which are not kept, this fit gave all 30 of them to the last
decimal. On today's features (the same 65,641 blocks, 15 other labels, up to 5 % of a feature's values changed) it gives
others, 0.12 away on average and 0.6 at most (the bias). What comes out is nearly the same text: F1 of the code and of this
fit is .876 and .871 in English, .892 and .895 in Chinese on the pages fitted on (cross-validated .863, .895), .926 and .924,
.944 and .942 on the others; all differences are small beside the intervals. The new weights were not taken over: nothing
speaks for them. With a ridge of 1e-3 or 1e-4 these means change by .004 at most.

The collections not fitted on were looked at while rules and ridge were chosen: for those choices they are no blind test.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from unittest import mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from bench.extraction import FITTED, NotMeasuredError, Page, Scores, counted, f1, interval, mean, read_pages
from scipy.optimize import minimize

from skyloom.core.units import hash_units, ngrams
from skyloom.corpus import extract_judge
from skyloom.corpus.extract_blocks import Layout, layout

Floats = npt.NDArray[np.float64]

N = 4
SHARE = 0.7  # of a block's 4-grams that must stand in the marked text
RIDGE = 3e-4
DECIMALS = 2
FOLDS = 5


@dataclass(frozen=True)
class Sample:
    """A page as the regression sees it. `lines`: float64[blocks, features]; `labels`, `weights`: float64[blocks]."""

    page: Page
    layout: Layout
    lines: Floats
    labels: Floats
    weights: Floats


def sample(page: Page) -> Sample:
    """Cut, describe and label one page. The weights of its blocks sum to 1."""
    seen = layout(page.html)
    if not seen.texts:
        none = np.zeros(0)
        return Sample(page, seen, np.zeros((0, len(extract_judge.FEATURES))), none, none)
    lines, units = extract_judge.features(seen)
    root = np.sqrt(np.maximum(units, 1))
    return Sample(page, seen, lines, labels(seen.texts, page.gold), root / root.sum())


def labels(texts: Sequence[str], gold: str) -> Floats:
    """1 for each block that is part of the marked text, else 0: float64[blocks]."""
    column = hash_units(pa.array(texts, pa.string()), fold=False)
    grams = ngrams(column, N)
    wanted = ngrams(hash_units(pa.array([gold]), fold=False), N).hashes
    found = np.concatenate([[0], np.cumsum(np.isin(grams.hashes, wanted))])
    share = (found[grams.offsets[1:]] - found[grams.offsets[:-1]]) / np.maximum(grams.counts, 1)
    literal = [u > 0 and " ".join(t.split()) in gold for t, u in zip(texts, column.counts, strict=True)]
    return np.where(grams.counts > 0, share > SHARE, literal).astype(np.float64)


def fit(samples: Sequence[Sample]) -> Floats:
    """Weights of the features, float64[features], not rounded. The first feature is the constant 1 and has no ridge."""
    lines = np.concatenate([s.lines for s in samples])
    truth = np.concatenate([s.labels for s in samples])
    weights = np.concatenate([s.weights for s in samples])
    centre, scale = lines.mean(axis=0), lines.std(axis=0) + 1e-9
    centre[0], scale[0] = 0.0, 1.0
    standard = (lines - centre) / scale
    penalised = np.ones(lines.shape[1])
    penalised[0] = 0.0

    def loss(b: Floats) -> tuple[float, Floats]:
        score = standard @ b
        cross_entropy = np.logaddexp(0, score) - truth * score
        slope = weights * (1 / (1 + np.exp(-score)) - truth)
        value = weights @ cross_entropy / weights.sum() + RIDGE * (penalised * b) @ b
        return float(value), standard.T @ slope / weights.sum() + 2 * RIDGE * penalised * b

    best = minimize(loss, np.zeros(lines.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 5000})
    if not best.success:
        raise RuntimeError(f"the regression did not converge: {best.message}")
    result: Floats = best.x / scale
    result[0] -= (best.x * centre / scale).sum()
    return result


def fold(page: Page) -> int:
    """Which of the folds a page is in: all pages of a site in the same."""
    return int.from_bytes(hashlib.sha256(page.site.encode()).digest()[:8]) % FOLDS


def scores(samples: Sequence[Sample], weights: Floats) -> list[float]:
    """F1 of each page where `select` judges with these weights."""
    with mock.patch.object(extract_judge, "_WEIGHTS", weights):
        kept = [extract_judge.select(s.layout) for s in samples]
    texts = ["\n".join(t for t, k in zip(s.layout.texts, keep, strict=True) if k) for s, keep in zip(samples, kept, strict=True)]
    return [f1(text, s.page.gold) for text, s in zip(texts, samples, strict=True)]


def cross_validated(samples: Sequence[Sample]) -> list[float]:
    """F1 of each page with weights fitted, and rounded, on the sites of the other folds."""
    found = dict.fromkeys((s.page.id for s in samples), 0.0)
    for k in range(FOLDS):
        inside = [s for s in samples if fold(s.page) == k]
        weights = fit([s for s in samples if fold(s.page) != k]).round(DECIMALS)
        found |= dict(zip((s.page.id for s in inside), scores(inside, weights), strict=True))
    return list(found.values())


def grouped(samples: Sequence[Sample], values: Sequence[float]) -> Scores:
    """The values of all pages by benchmark and language."""
    keys = [(s.page.bench, s.page.lang) for s in samples]
    return {key: np.array([v for k, v in zip(keys, values, strict=True) if k == key]) for key in sorted(set(keys))}


def table(columns: dict[str, Scores]) -> str:
    """Mean F1 by benchmark and language, and for each language as bench/extraction.py averages it, with 95 % intervals."""
    first = next(iter(columns.values()))
    lines = [f"{'':20}{'pages':>6}" + "".join(f"{name:>26}" for name in columns)]
    rows = [(f"{bench} {lang}", [[c[bench, lang]] for c in columns.values()]) for bench, lang in first]
    rows += [(lang, [counted(c, lang) for c in columns.values()]) for lang in ("en", "zh")]
    for name, groups in rows:
        cells = [f"{mean(g):.3f} ({low:.3f}–{high:.3f})" for g, (low, high) in ((g, interval(g)) for g in groups)]
        lines.append(f"{name:20}{sum(len(g) for g in groups[0]):6}" + "".join(f"{c:>26}" for c in cells))
    return "\n".join(lines)


def main() -> int:
    try:
        pages = read_pages()
    except NotMeasuredError as why:
        print(why, file=sys.stderr)
        return 1
    samples = [sample(p) for p in pages]
    fitted = [s for s in samples if s.page.bench in FITTED]
    others = [s for s in samples if s.page.bench not in FITTED]
    weights, code = fit(fitted).round(DECIMALS), extract_judge._WEIGHTS
    blocks, text = sum(len(s.labels) for s in fitted), sum(s.labels.sum() for s in fitted)
    print(f"{len(fitted)} pages, {blocks} blocks, {text:.0f} of them text\n")
    print(" ".join(f'"{name}": {w:g},' for name, w in zip(extract_judge.FEATURES, weights, strict=True)))
    far = [(abs(w - c), name, w, c) for name, w, c in zip(extract_judge.FEATURES, weights, code, strict=True) if w != c]
    print(f"\n{len(far)} of {len(code)} weights differ from those in the code:")
    print("\n".join(f"  {name}: {w:g} here, {c:g} there" for _, name, w, c in sorted(far, reverse=True)))
    print("\nFitted on:")
    columns = {"code": scores(fitted, code), "this fit": scores(fitted, weights), "cross-validated": cross_validated(fitted)}
    print(table({name: grouped(fitted, values) for name, values in columns.items()}))
    if others:
        print("\nNot fitted on:")
        print(table({name: grouped(others, scores(others, w)) for name, w in (("code", code), ("this fit", weights))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
