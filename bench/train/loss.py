"""The loss from features alone, forward and backward, beside torch's own: the output matrix, cross-entropy and both gradients.

Input: none; bf16 features, an output matrix and targets from seeded numbers, at the shapes of `bench.train.cpu` and at one of a
model that is published. Everybody has a process of its own (`loss_peers.py`, where each is described) and takes turns; a turn of
a peer stands directly beside one of ours, and the ratio of a round is that of these two. The first pass of a turn is not timed, and
one that takes over four times as long as ours has one round only.
Output: milliseconds of a pass (median), theirs over ours (median, smallest and largest of the rounds), the most memory that a pass
adds, and how far the gradients are from those of fp32. Only Linux tells the memory.

    python -m bench.train.loss [--shape NAME ...] [--only CONTENDER ...] [--rounds N] [--threads N]
    python -m bench.train.loss --json loss_ratio

`loss_ratio`: the time of the fastest of torch's over ours, the smallest over the shapes. With `bench.versions --only loss` two
versions of ours take turns.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median

from bench.answers import NotMeasuredError, answer, offer
from bench.train.cpu import SURROUNDINGS
from bench.turns import pairs
from bench.worker import Worker

OURS, OTHERS = "skyloom", ("torch", "torch-chunked")
BARS = ("loss_ratio",)
SHAPES = {
    "demo": (2_048, 128, 8_192),
    "small": (2_048, 256, 16_384),
    "wide": (2_048, 512, 16_384),
    "vocabulary": (2_048, 256, 65_536),
    "smollm2": (1_024, 576, 49_152),
    "long": (8_192, 576, 49_152),
}
"""Rows, width and vocabulary. `smollm2`: those of SmolLM2-135M; `long`: with so many rows that the budget of memory asks for
chunks."""
USUAL = [name for name in SHAPES if name != "long"]
TURN = 1.0
"""Seconds of a turn, about."""
SLOW = 4
"""A contender that takes so many times as long as ours is measured in one round only."""


@dataclass
class Measured:
    """Of one contender at one shape. `apart`: of its gradients from fp32's; `seconds`: of a pass, each turn's median; `ratios`: its
    seconds over ours in the turn beside it; `mib`: of each turn."""

    apart: float
    seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return median(self.ratios)


def worker_of(contender: str) -> Worker:
    return Worker(Path(__file__).with_name("loss_peers.py"), contender, sys.executable, SURROUNDINGS)


def begin(worker: Worker, shape: str, threads: int) -> tuple[float, int]:
    """Give a shape and warm up: how far the gradients are from fp32, and how many passes take about `TURN` seconds."""
    rows, hidden, vocabulary = SHAPES[shape]
    apart = worker.ask({"rows": rows, "hidden": hidden, "vocabulary": vocabulary, "threads": threads})["apart"]
    return apart, max(round(TURN / worker.ask({"passes": 1})["seconds"][0]), 2)


def turns_of(shape: str, workers: Sequence[Worker], threads: int) -> Callable[[Worker], float]:
    """All workers warm at one shape, and the function that gives one of them a turn: passes per second."""
    passes = {worker: begin(worker, shape, threads)[1] for worker in workers}
    return lambda worker: 1 / median(worker.ask({"passes": passes[worker] + 1})["seconds"][1:])


@dataclass(frozen=True)
class Bench:
    """Which shapes and contenders, and what was measured when it was first asked for."""

    rounds: int
    threads: int
    shapes: Sequence[str]
    contenders: Sequence[str]

    def measure(self, shape: str) -> dict[str, Measured]:
        with ExitStack() as processes:
            workers = {name: processes.enter_context(worker_of(name)) for name in (OURS, *self.contenders)}
            for name in [name for name, worker in workers.items() if worker.missing]:
                print(f"{name}: this torch does not have it ({workers.pop(name).missing})", file=sys.stderr)
            if OURS not in workers:
                raise NotMeasuredError("there is no ratio without our own loss")
            begun = {}
            for name, worker in workers.items():
                begun[name] = begin(worker, shape, self.threads)
                print(f"{shape}: {name} {worker.version} is warm", file=sys.stderr)
            found = {name: Measured(apart) for name, (apart, _) in begun.items()}

            def turn(name: str) -> float:
                told = workers[name].ask({"passes": begun[name][1] + 1})
                found[name].seconds.append(median(told["seconds"][1:]))
                found[name].mib.append(told["mib"])
                return found[name].seconds[-1]

            others = [name for name in workers if name != OURS]
            for name, pair in pairs(OURS, others, self.rounds):
                if found[name].ratios and found[name].ratios[0] > SLOW:
                    continue
                took = {who: turn(who) for who in pair}
                found[name].ratios.append(took[name] / took[OURS])
        return found

    @cached_property
    def found(self) -> Mapping[str, dict[str, Measured]]:
        return {shape: self.measure(shape) for shape in self.shapes}

    def loss_ratio(self) -> float:
        ratios = [one.ratio for here in self.found.values() for name, one in here.items() if name != OURS]
        if not ratios:
            raise NotMeasuredError("no other loss was measured")
        return min(ratios)

    def tables(self) -> None:
        print(f"{self.threads} threads; {self.rounds} rounds of turns side by side")
        head = "| shape | loss | a pass | theirs over ours (smallest to largest) | memory added | gradients from fp32's |\n|"
        print(head + "---|" * 6)
        for shape, here in self.found.items():
            rows, hidden, vocabulary = SHAPES[shape]
            label = f"{shape}: {rows:,} × {hidden:,}, vocabulary {vocabulary:,}"
            for name, one in here.items():
                ratio = f"{one.ratio:.2f} ({min(one.ratios):.2f} to {max(one.ratios):.2f})" if one.ratios else "1"
                took, memory = f"{median(one.seconds) * 1e3:.0f} ms", f"{median(one.mib):,.0f} MiB"
                cells = [label, name, took, ratio, memory, f"{one.apart:.1e}"]
                print("| " + " | ".join(cells) + " |", flush=True)
        print(f"\nloss_ratio {self.loss_ratio():.2f}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=USUAL, help="default: all but long")
    parser.add_argument("--only", nargs="+", choices=OTHERS, default=list(OTHERS), help="beside ours")
    offer(parser, BARS)
    options = parser.parse_args()
    bench = Bench(options.rounds, options.threads, options.shape, options.only)
    return answer(options.json, lambda name: float(getattr(bench, name)()), bench.tables)


if __name__ == "__main__":
    sys.exit(main())
