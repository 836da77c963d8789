"""Robustness of the readers: how many damaged files end in anything but pages or counted reasons.

Input: none; `tests.planted.mutants` makes damaged files of every kind of source, one for each number. Output: the number of
mutants that raised, crashed the process, or took longer than two minutes, and each of them in a line. The mutants are read in
child processes, since a crash of a native library would end the measurement too.

    python -m bench.corpus.sources_mutants [--first N] [--count N]      each mutant that escapes
    python -m bench.corpus.sources_mutants --json escapes               their number
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from bench.answers import answer, offer

COUNT = 20_000
_PATIENCE = 120  # seconds for one mutant of some kilobytes


def child(first: int, count: int) -> int:
    """Read mutants and print a line before each, and one for each that escapes."""
    from tests.planted.mutants import ending

    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            print(number, flush=True)
            if told := ending(number, Path(folder)):
                print(f"! {told}", flush=True)
    return 0


def escapes(first: int, count: int) -> Iterator[str]:
    """A sentence for each mutant that ends in something else."""
    end = first + count
    while first < end:
        command = [
            sys.executable,
            "-m",
            "bench.corpus.sources_mutants",
            "--child",
            "--first",
            str(first),
            "--count",
            str(end - first),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            at = first - 1
            watch = threading.Timer(_PATIENCE + 60, process.kill)
            watch.start()
            for line in process.stdout:
                watch.cancel()
                watch = threading.Timer(_PATIENCE, process.kill)
                watch.start()
                if line.startswith("! "):
                    yield line[2:].rstrip()
                elif line.strip().isdigit():
                    at = int(line)
            watch.cancel()
        if process.returncode == 0:
            return
        if at < first:
            raise SystemExit(f"the mutants cannot be made: exit code {process.returncode}")
        yield f"mutant {at}: the process ended with {process.returncode}"
        first = at + 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    offer(parser, ("escapes",))
    options = parser.parse_args()
    if options.child:
        return child(options.first, options.count)

    def tables() -> None:
        found = 0
        for told in escapes(options.first, options.count):
            found += 1
            print(told, flush=True)
        print(f"{found} of {options.count:,} mutants ended in anything but pages or counted reasons")

    return answer(options.json, lambda _: float(sum(1 for _ in escapes(options.first, options.count))), tables)


if __name__ == "__main__":
    sys.exit(main())
