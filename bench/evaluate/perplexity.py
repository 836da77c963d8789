"""Perplexity of any model: does a paired interval hold the true difference as often as it says?

Input: none; simulated documents, whose costs differ much between documents and little between models. Output: the share, in
percent, of 95 % intervals of a paired difference that hold the true one. A table names it for several numbers of documents.

    python -m bench.evaluate.perplexity                                 the table
    python -m bench.evaluate.perplexity --json coverage                 1,000 pairs of 120 documents
    python -m bench.evaluate.perplexity --json coverage-distance        how far that is from 95 %, in points
"""

from __future__ import annotations

import argparse
import math
import sys

import numpy as np

from bench.answers import answer, offer
from skyloom.evaluate.paired import differences, set_figures
from skyloom.score.nll import TextLosses

PAIRS, DOCUMENTS, RESAMPLES = 1000, 120, 400
TRUE = 0.01  # bits per byte
SEED = 7


def coverage(documents: int, pairs: int = PAIRS) -> float:
    """Percent of the intervals that hold the true difference. A document costs 1 ± .3 bits per byte, and ± .05 more or less under
    the other model; its size is 200 to 2,000 bytes."""
    stream, hits = np.random.default_rng(SEED), 0
    for pair in range(pairs):
        sizes = stream.integers(200, 2000, documents).astype(np.int64)
        base, noise = stream.normal(1.0, 0.3, documents), stream.normal(TRUE, 0.05, documents)
        found = [
            {"set": set_figures("set", TextLosses(bits * sizes * math.log(2), sizes, sizes, sizes), seed=pair, resamples=RESAMPLES)}
            for bits in (base + noise, base)
        ]
        row = differences({"a": found[0], "b": found[1]})[0]
        low, high = row["bits_per_byte_low"], row["bits_per_byte_high"]
        assert low is not None and high is not None
        hits += low <= TRUE <= high
    return 100 * hits / pairs


def table() -> None:
    print("| documents | intervals that hold the true difference |\n|---|---|")
    for documents in (30, 120, 500):
        print(f"| {documents} | {coverage(documents):.1f} % |", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the intervals of paired differences.")
    offer(parser, ("coverage", "coverage-distance"))
    options = parser.parse_args()

    def value(name: str) -> float:
        found = coverage(DOCUMENTS)
        return found if name == "coverage" else abs(found - 95)

    return answer(options.json, value, table)


if __name__ == "__main__":
    sys.exit(main())
