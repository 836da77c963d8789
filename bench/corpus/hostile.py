"""Hostile sources: how much longer a reader takes when a file that was made to be slow is twice as large.

Input: the families of the tests (unclosed marks of LaTeX and wikitext, tags with many attributes, members that are not there,
lines of one kind of mark, archives of nothing but heads, …), at a size and four times that. Output: a table of CPU-seconds and
of the growth for each doubling (the root of their ratio), slowest first. A growth of 2 is linear time, 4 is quadratic. Families
that take less than a twentieth of a second at the smaller size are left out: their ratio says nothing. The smaller file is read
four times in a row where the larger is read once, so that both readings last equally long: on a machine that is now and then half
as fast, a short reading meets a fast moment more often, and the ratio would be too large. The least of several rounds in turns is
taken, since other programs only add time; a family above SUSPECT is measured in up to AGAIN times as many, at both sizes alike.

    python -m bench.corpus.hostile [--size BYTES] [--rounds N]     the table
    python -m bench.corpus.hostile --json growth                   the largest growth
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.planted import hostile, hostile_records

from bench.answers import NotMeasuredError, answer, offer

LEAST = 0.05  # seconds
SUSPECT, AGAIN = 2.2, 5
RECORDS = frozenset(hostile_records.families())


def seconds(family: str, size: int, folder: Path, times: int = 1) -> float:
    """The CPU-seconds of reading a file of a family, the mean of `times` readings in a row."""
    start = time.process_time()
    for _ in range(times):
        (hostile_records if family in RECORDS else hostile).read(family, size, folder)
    return (time.process_time() - start) / times


def growth(size: int, rounds: int) -> list[tuple[float, str, float, float]]:
    """(growth when doubled, family, seconds at the size, seconds at four times the size), the largest growth first."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for family in [*hostile.families(), *RECORDS]:
            small = large = float("inf")
            for done in range(AGAIN * rounds):
                if done >= rounds and (large / small) ** 0.5 <= SUSPECT:
                    break
                small = min(small, seconds(family, size, Path(folder), 4))
                if small < LEAST:
                    break
                large = min(large, seconds(family, 4 * size, Path(folder)))
            if small >= LEAST:
                rows.append(((large / small) ** 0.5, family, small, large))
    if not rows:
        raise NotMeasuredError(f"no family takes {LEAST} seconds at {size} bytes; take a larger --size")
    return sorted(rows, reverse=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=50_000, help="bytes of the smaller file")
    parser.add_argument("--rounds", type=int, default=3)
    offer(parser, ("growth",))
    options = parser.parse_args()

    def tables() -> None:
        print("| family | seconds | at four times the size | growth when doubled |\n|---|---:|---:|---:|")
        for ratio, family, small, large in growth(options.size, options.rounds):
            print(f"| `{family!r}` | {small:.2f} | {large:.2f} | {ratio:.2f} |")

    return answer(options.json, lambda _: round(growth(options.size, options.rounds)[0][0], 2), tables)


if __name__ == "__main__":
    sys.exit(main())
