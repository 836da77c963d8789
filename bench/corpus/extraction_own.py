"""Structural extraction on pages of our own: Chinese pages of all kinds, and pages whose text stands in a framework's state.

Input: the generated sets of tests/planted/pages_zh and tests/planted/state_pages, as bytes in each page's charset. Output: a
table of F1 of 4-grams, of the share of the snippets that a good text has (`with`), and of the share of those that it should
not have but has (`without`), by kind of page; means over pages. docs/extraction-sets.md says what the sets can show and what not.

    python -m bench.corpus.extraction_own                  the table: shapes for training, states, guards
    python -m bench.corpus.extraction_own --json BAR       zh, zh-blind, state-en, state-zh or guards: mean F1

The blind shapes (`zh-blind`) are measured at the end only, when rules, features and weights are settled; the table leaves them out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from tests.planted import pages_zh, state_pages
from tests.planted.pages_zh import MarkedPage

from bench.answers import answer, offer
from bench.corpus.extraction import f1
from skyloom.corpus.extract.column import extract_column

SETS: dict[str, Callable[[], list[MarkedPage]]] = {
    "zh": lambda: list(pages_zh.training()),
    "zh-blind": lambda: list(pages_zh.blind()),
    "state-en": lambda: [p for p in state_pages.exam() if p.lang == "en"],
    "state-zh": lambda: [p for p in state_pages.exam() if p.lang == "zh"],
    "guards": lambda: list(state_pages.guard_pages()),
}
LATE = "zh-blind"


def texts_of(pages: Sequence[MarkedPage]) -> list[str]:
    """What is extracted from the bytes of each page."""
    found = extract_column(pa.array([p.data for p in pages], pa.large_binary()))
    return ["\n\n".join(blocks or ()) for blocks in found.column("blocks").to_pylist()]


def share(text: str, snippets: Sequence[str]) -> float:
    """The share of snippets that stand in a text, spaces aside."""
    whole = "".join(text.split())
    return float(np.mean(["".join(s.split()) in whole for s in snippets])) if snippets else 0.0


def rows(name: str, pages: Sequence[MarkedPage]) -> list[str]:
    """Lines of the table: each kind of page of a set, and all."""
    texts = texts_of(pages)
    measured = [(f1(t, p.gold_text), share(t, p.with_), share(t, p.without)) for t, p in zip(texts, pages, strict=True)]
    lines = []
    kinds = sorted({p.page_type for p in pages})
    for kind in [*kinds, ""] if len(kinds) > 1 else [""]:
        some = np.array([m for m, p in zip(measured, pages, strict=True) if kind in ("", p.page_type)])
        told = " | ".join(f"{value:.3f}" for value in some.mean(axis=0))
        lines.append(f"| {name}{', ' + kind if kind else ''} | {len(some)} | {told} |")
    return lines


def bar(name: str) -> float:
    """Mean F1 of a set."""
    pages = SETS[name]()
    return float(np.mean([f1(t, p.gold_text) for t, p in zip(texts_of(pages), pages, strict=True)]))


def tables() -> None:
    """Print the table of all sets that may be looked at."""
    print("| pages | n | F1 of 4-grams | with | without |\n|---|---|---|---|---|")
    for name, pages in SETS.items():
        if name != LATE:
            print("\n".join(rows(name, pages())))


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure structural extraction on pages of our own.")
    offer(parser, tuple(SETS))
    return answer(parser.parse_args().json, bar, tables)


if __name__ == "__main__":
    sys.exit(main())
