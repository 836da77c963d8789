"""The bars: each numeric promise of the project, measured by one command and judged by one threshold.

Input: `bars.toml`, where a row says what is measured, by which command and what is good enough. Output: a
table of measured values, thresholds and pass, fail or not measured. A command prints one JSON object on its last line:
{"value": number} or {"not_measured": "why"}. `{work}` in a command is the work folder of a finished run, `{python}` this
interpreter. Bars of one command that differ only in what follows `--json` are measured by one process, as `--json NAME,NAME`,
which prints {"values": {name: number}}. A bar that could not be measured is not a pass, and says why.
A row whose direction is "recorded" has no threshold.

    python -m bench.bars [--work runs/demo] [--only ID ...] [--json] [--data]

Exit code 0: nothing failed; 1: a bar failed or its command broke. Data sets of others are found through
SKYLOOM_BENCH_DATA; `--data` compares them with the checksums in `data.toml` and measures nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA_VARIABLE = "SKYLOOM_BENCH_DATA"
PEERS_VARIABLE = "SKYLOOM_PEERS"
"""The interpreter that has the peers of peers.txt; without it, ours, and what is not installed there is not measured."""
PASS, FAIL, BROKEN, NOT_MEASURED, RECORDED = "pass", "fail", "broken", "not measured", "recorded"
DIRECTIONS = ("at most", "at least", "below", "recorded")
"""How a value must stand to the threshold; what is only recorded has none and neither passes nor fails."""


@dataclass(frozen=True)
class Bar:
    """A row of `bars.toml`. `direction`: how the value must stand to the threshold, one of `DIRECTIONS`."""

    id: str
    issue: int
    measures: str
    command: str
    direction: str
    threshold: float | None = None
    unit: str = ""

    def judge(self, value: float) -> str:
        """`PASS`, `FAIL` or `RECORDED`."""
        return RECORDED if self.threshold is None else PASS if self.met(value) else FAIL

    def met(self, value: float) -> bool:
        assert self.threshold is not None
        if self.direction == "at least":
            return value >= self.threshold
        return value <= self.threshold if self.direction == "at most" else value < self.threshold


@dataclass(frozen=True)
class Result:
    """A measured bar: `value` is None unless the status is `PASS`, `FAIL` or `RECORDED`, and `note` then says why."""

    bar: Bar
    status: str
    value: float | None = None
    note: str = ""


def read_bars(path: Path) -> list[Bar]:
    """The rows of a TOML file. ValueError names the row that is wrong, or an id that is there twice."""
    bars = []
    for row in tomllib.loads(path.read_text(encoding="utf-8"))["bar"]:
        try:
            bar = Bar(**row)
        except TypeError as problem:
            raise ValueError(f"{path}: bar {row.get('id', '?')}: {problem}") from problem
        if bar.direction not in DIRECTIONS:
            raise ValueError(f"{path}: bar {bar.id}: the direction is one of {', '.join(DIRECTIONS)}, not {bar.direction!r}")
        if (bar.threshold is None) != (bar.direction == RECORDED):
            raise ValueError(f"{path}: bar {bar.id}: a threshold stands with every direction but {RECORDED!r}")
        if bar.id in {b.id for b in bars}:
            raise ValueError(f"{path}: two bars are named {bar.id}")
        bars.append(bar)
    return bars


def measure(bars: Sequence[Bar], work: Path) -> Iterator[Result]:
    """Run the bars' commands in the project's root, one after the other, and judge what they print.

    Bars whose commands are alike but for the name after `--json` are asked of one process, which prints all of their values.
    """
    groups: dict[tuple[str, ...], list[tuple[Bar, str]]] = {}
    for bar in bars:
        command, name = _split(bar, work)
        groups.setdefault(command, []).append((bar, name))
    for command, asked in groups.items():
        names = ",".join(name for _, name in asked)
        yield from _run([names if part == NAME else part for part in command], asked)


NAME = "{name}"


def _split(bar: Bar, work: Path) -> tuple[tuple[str, ...], str]:
    """A bar's command with `NAME` in the place of what follows `--json`, and that."""
    peers = os.environ.get(PEERS_VARIABLE) or sys.executable
    command = [part.format(work=work, python=sys.executable, peers=peers) for part in shlex.split(bar.command)]
    if "--json" not in command[:-1]:
        return tuple(command), ""
    place = command.index("--json") + 1
    name, command[place] = command[place], NAME
    return tuple(command), name


def _run(command: list[str], asked: Sequence[tuple[Bar, str]]) -> Iterator[Result]:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError as problem:
        yield from (Result(bar, BROKEN, note=f"{command[0]}: {problem.strerror}") for bar, _ in asked)
        return
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        yield from (Result(bar, BROKEN, note=f"exit code {done.returncode}: {last}") for bar, _ in asked)
        return
    for bar, name in asked:
        yield _judge(bar, lines[-1], name if len(asked) > 1 else "")


def _judge(bar: Bar, line: str, name: str = "") -> Result:
    """`name`: which of several values is the bar's."""
    try:
        found: Any = json.loads(line)
    except ValueError:
        return Result(bar, BROKEN, note=f"not JSON: {line[:120]}")
    if name:
        values = found.get("values") if isinstance(found, dict) else None
        found = values.get(name) if isinstance(values, dict) else None
        found = found if isinstance(found, dict) else {"value": found}
    if isinstance(found, dict) and isinstance(found.get("not_measured"), str):
        return Result(bar, NOT_MEASURED, note=found["not_measured"])
    value = found.get("value") if isinstance(found, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Result(bar, BROKEN, note=f'neither "value" nor "not_measured" in {line[:120]}')
    return Result(bar, bar.judge(value), float(value))


def table(results: Sequence[Result]) -> str:
    """The results as aligned text, one line each."""
    head = ("bar", "issue", "measured", "threshold", "result", "what")
    rows = [
        (
            r.bar.id,
            str(r.bar.issue),
            f"{r.value:.4g} {r.bar.unit}".strip() if r.value is not None else "–",
            "–" if r.bar.threshold is None else f"{r.bar.direction} {r.bar.threshold:g} {r.bar.unit}".strip(),
            r.status,
            r.bar.measures + (f" ({r.note})" if r.note else ""),
        )
        for r in results
    ]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head) - 1)]
    return "\n".join(
        "  ".join([*(cell.ljust(w) for cell, w in zip(row[:-1], widths, strict=True)), row[-1]]) for row in [head, *rows]
    )


def check_data(listing: Path, folder: Path) -> list[tuple[str, str]]:
    """(path, "ok", "missing" or "differs") of each file that `data.toml` lists, below `folder`."""
    found = []
    for row in tomllib.loads(listing.read_text(encoding="utf-8"))["file"]:
        path = folder / row["path"]
        if not path.is_file():
            state = "missing"
        else:
            state = "ok" if hashlib.sha256(path.read_bytes()).hexdigest() == row["sha256"] else "differs"
        found.append((row["path"], state))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the project's numeric bars.")
    parser.add_argument("--work", type=Path, default=Path("runs/demo"), help="work folder of a finished demo run")
    parser.add_argument("--only", nargs="*", metavar="ID", help="measure these bars only")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--data", action="store_true", help="compare the third-party data with its checksums")
    options = parser.parse_args(arguments)
    if options.data:
        return _data()
    bars = read_bars(HERE / "bars.toml")
    unknown = sorted(set(options.only or ()) - {b.id for b in bars})
    if unknown:
        parser.error(f"no bar is named {', '.join(unknown)}; there are {', '.join(b.id for b in bars)}")
    results = []
    for result in measure([bar for bar in bars if not options.only or bar.id in options.only], options.work):
        results.append(result)
        value = "" if result.value is None else f"{result.value:.4g} {result.bar.unit}"
        print(f"{result.bar.id}: {result.status} {value}{result.note}", file=sys.stderr, flush=True)
    results.sort(key=lambda result: bars.index(result.bar))
    if options.json:
        print(json.dumps([{**asdict(r.bar), "status": r.status, "value": r.value, "note": r.note} for r in results], indent=1))
    else:
        print(table(results))
    return int(any(r.status in (FAIL, BROKEN) for r in results))


def _data() -> int:
    folder = os.environ.get(DATA_VARIABLE)
    if not folder:
        print(f"{DATA_VARIABLE} names no folder; set it to where the files of bench/data.toml lie", file=sys.stderr)
        return 1
    found = check_data(HERE / "data.toml", Path(folder))
    print("\n".join(f"{state:8} {path}" for path, state in found))
    return int(any(state != "ok" for _, state in found))


if __name__ == "__main__":
    sys.exit(main())
