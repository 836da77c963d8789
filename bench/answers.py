"""What all benches share at their command line: bars by `--json`, and figures that cannot be had.

A bench names its bars and gives a function for each one's value; `--json NAME` prints {"value": number}, `--json NAME,NAME` (or
`all`) {"values": {name: number}}, from one process, so that what several bars rest on can be measured once. A figure that cannot
be had here raises `NotMeasuredError`, and its sentence stands in the number's place: {"not_measured": "why"}.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class NotMeasuredError(Exception):
    """Why a figure cannot be had, in a sentence."""


def offer(parser: argparse.ArgumentParser, bars: Sequence[str]) -> None:
    """Add `--json`, which takes some of `bars`."""

    def names(text: str) -> list[str]:
        asked = list(bars) if text == "all" else text.split(",")
        wrong = [name for name in asked if name not in bars]
        if wrong:
            raise argparse.ArgumentTypeError(f"no bar is named {', '.join(wrong)}; there are {', '.join(bars)}")
        return asked

    parser.add_argument("--json", type=names, metavar="BAR[,BAR]", help=f"print values as JSON: {', '.join(bars)}, or all")


def answer(names: Sequence[str] | None, value: Callable[[str], float], tables: Callable[[], None]) -> int:
    """Print the bars that are asked for, or the tables; the exit code."""
    if not names:
        try:
            tables()
        except NotMeasuredError as why:
            print(why, file=sys.stderr)
            return 1
        return 0
    found: dict[str, Any] = {}
    for name in names:
        try:
            found[name] = {"value": value(name)}
        except NotMeasuredError as why:
            found[name] = {"not_measured": str(why)}
    if len(names) == 1:
        print(json.dumps(found[names[0]]))
    else:
        print(json.dumps({"values": {name: said.get("value", said) for name, said in found.items()}}))
    return 0


def answer_measured(names: Sequence[str] | None, measure: Callable[[], Mapping[str, float]]) -> int:
    """`answer` for a bench whose figures all come from one measurement, which is made once; without bars a line for each figure."""
    values = functools.cache(measure)

    def lines() -> None:
        for name, value in values().items():
            print(f"{name}: {value:.6g}")

    return answer(names, lambda name: values()[name], lines)
