"""Tables of F1 for the model of structural extraction: by kind of page for WCXB and our Chinese pages, by benchmark for the others.

Input: pages and the texts that were found on them. Output: lines of Markdown. WCXB is scored by its own measure, F1 of words; the
others by F1 of 4-grams. Intervals are those of bench/corpus/extraction.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from bench.answers import NotMeasuredError
from bench.corpus.extraction import Page, Scores, counted, f1, interval, mean, word_f1

Floats = npt.NDArray[np.float64]

KINDS = ("article", "documentation", "service", "forum", "collection", "listing", "product")
GOODS = frozenset(("product", "collection", "listing"))
BY_KIND = {"wcxb": word_f1, "own_zh": f1}
HEAD = "| benchmark | pages | F1 (95 % interval) |\n|---|---|---|"
ALL = (("all", frozenset(KINDS)), ("product, collection and listing", GOODS))


def grouped(pages: Sequence[Page], values: Sequence[float]) -> Scores:
    """The values of all pages by benchmark and language."""
    keys = [(p.bench, p.lang) for p in pages]
    return {key: np.array([v for k, v in zip(keys, values, strict=True) if k == key]) for key in sorted(set(keys))}


def line(name: str, groups: Sequence[Floats]) -> str:
    low, high = interval(groups)
    return f"| {name} | {sum(len(g) for g in groups)} | {mean(groups):.3f} ({low:.3f}–{high:.3f}) |"


def by_benchmark(pages: Sequence[Page], texts: Sequence[str]) -> list[str]:
    """F1 of 4-grams by benchmark and language, and for each language as bench/corpus/extraction.py averages it."""
    found = grouped(pages, [f1(text, page.gold) for text, page in zip(texts, pages, strict=True)])
    lines = [line(f"{bench} {lang}", [values]) for (bench, lang), values in found.items()]
    groups = {lang: counted(found, lang) for lang in ("en", "zh") if any(of == lang for _, of in found)}
    return lines + [line(f"**{lang}**", chosen) for lang, chosen in groups.items() if chosen]


def by_kind(bench: str, pages: Sequence[Page], texts: Sequence[str]) -> list[str]:
    """F1 of the pages of one benchmark by kind of page, by its own measure, and of all and of the three kinds of goods together."""
    found = [(p.kind, BY_KIND[bench](text, p.gold)) for p, text in zip(pages, texts, strict=True) if p.bench == bench]
    lines = []
    for name, kinds in (*((kind, frozenset((kind,))) for kind in KINDS), *ALL):
        values = np.array([value for kind, value in found if kind in kinds])
        if len(values):
            lines.append(line(f"{bench}, {name}", [values]))
    return lines


def tables(pages: Sequence[Page], texts: Sequence[str]) -> str:
    """All tables of these pages as one."""
    kinds = [row for bench in BY_KIND for row in by_kind(bench, pages, texts)]
    return "\n".join([HEAD, *by_benchmark(pages, texts), *kinds])


def score(pages: Sequence[Page], texts: Sequence[str], bench: str, kinds: frozenset[str]) -> float:
    """Mean F1 of the pages of a benchmark that are of some kinds, by the benchmark's own measure."""
    found = [BY_KIND[bench](t, p.gold) for p, t in zip(pages, texts, strict=True) if p.bench == bench and p.kind in kinds]
    if not found:
        raise NotMeasuredError(f"there is no page of {bench} of the kinds {', '.join(sorted(kinds))}")
    return float(np.mean(found))


def language_mean(pages: Sequence[Page], texts: Sequence[str], lang: str) -> float:
    """F1 of 4-grams of the pages of one language, averaged as bench/corpus/extraction.py averages it."""
    chosen = counted(grouped(pages, [f1(text, page.gold) for text, page in zip(texts, pages, strict=True)]), lang)
    if not chosen:
        raise NotMeasuredError(f"there are no pages in {lang} that the model was not trained on")
    return mean(chosen)
