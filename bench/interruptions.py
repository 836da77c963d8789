"""Commands that are stopped by Ctrl-C, SIGTERM or SIGHUP at random moments: how they end, and how long it takes.

Input: none; the small recipe on the sample pages. Output: faults among 40 interruptions (a process that is left, a wrong exit
code, no sentence or several, a traceback; `tests/stories/interruption.py`), and the longest time from the signal to the end of
all processes. Training finishes its step and writes a checkpoint first. Linux only.

    python -m bench.interruptions [--seed N] [--count N]      one line for each interruption
    python -m bench.interruptions --json faults,seconds
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.stories.interruption import Interruption, interruptions

from bench.answers import NotMeasuredError, answer, offer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=14, help="of the moments (default 14)")
    parser.add_argument("--count", type=int, default=40, help="interruptions (default 40)")
    offer(parser, ["faults", "seconds"])
    asked = parser.parse_args()

    @cache
    def ends() -> list[Interruption]:
        if not sys.platform.startswith("linux"):
            raise NotMeasuredError("reads /proc, which only Linux has")
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for one in interruptions(asked.count, Path(folder), asked.seed):
                print(
                    f"{one.verb}: {one.number.name} after {one.after:.2f} s, ended in {one.took:.2f} s {one.fault}", file=sys.stderr
                )
                found.append(one)
        return found

    def value(name: str) -> float:
        return max(one.took for one in ends()) if name == "seconds" else sum(bool(one.fault) for one in ends())

    def tables() -> None:
        faults, seconds = value("faults"), value("seconds")
        print(f"{faults:.0f} of {asked.count} ended in a fault; the slowest took {seconds:.1f} s (seed {asked.seed})")

    return answer(asked.json, value, tables)


if __name__ == "__main__":
    sys.exit(main())
