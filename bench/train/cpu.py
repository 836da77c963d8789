"""A training step on a CPU beside others' steps: the same shapes, weights, tokens and threads, in alternating rounds.

Input: none; four shapes, with first weights and tokens from seeded numbers. Everybody has a process of its own
(`peers.py`, where each is described), trains `WATCHED` steps that are not timed (they compile and warm up, and their losses
show that all train the same thing), and then takes turns of a few steps. A peer's turn stands directly beside one of ours, before
or after it from round to round, and the ratio of a round is that of these two turns: the speed of a shared machine changes within
seconds, so turns that lie further apart say less. The first step of a turn, after a process has slept, is not timed.
Output: tokens per second, the median of the rounds; the ratio ours over theirs, median, smallest and largest of the rounds. All
run with 2 threads and in the environment that `skyloom` gives itself (`cli.FOR_TORCH`), which helps peers too. The tables begin
with the rates of a matrix product in fp32, in which the Trainer computes, and in bf16, in which ours does: their ratio bounds what
ours can win.

    python -m bench.train.cpu [--peers PYTHON] [--shape NAME ...] [--only CONTENDER ...] [--rounds N]     the tables
    python -m bench.train.cpu [--peers PYTHON] --json trainer_ratio,best_ratio

The peers' environment is one of its own (`peers_train.txt`); `SKYLOOM_TRAIN_PEERS` names its interpreter where `--peers` does not.
`trainer_ratio`: the median over the rounds of our tokens per second over those of Hugging Face's Trainer as it comes, the smallest
over the shapes; `best_ratio`: the same over each of the others, which compute in bf16 and are compiled, the smallest of all.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from bench.answers import NotMeasuredError, answer, offer
from bench.turns import pairs
from bench.worker import Worker
from skyloom.cli import FOR_TORCH
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.model.hf import to_hf
from skyloom.model.init import initialise
from skyloom.train.step.machine import matmul_flops, settled

HERE = Path(__file__).resolve().parent
OURS, TRAINER = "skyloom", "trainer"
COMPILED = ("trainer-autocast", "trainer-bf16", "hf-loop", "hf-loop-bf16", "litgpt", "litgpt-bf16", "plain")
NEEDED = ("hf-loop", "litgpt", "plain")
"""Without these there is no best of the others."""
BARS = ("trainer_ratio", "best_ratio")
WATCHED, BATCHES, RATE = 8, 16, 1e-3
PEERS = os.environ.get("SKYLOOM_TRAIN_PEERS") or sys.executable
TURN = 2.0
"""Seconds of a turn, about."""
SURROUNDINGS = {"OMP_NUM_THREADS": "2", "TOKENIZERS_PARALLELISM": "false", **FOR_TORCH}
"""Environment of every process."""


@dataclass(frozen=True)
class Shape:
    """A model and how many sequences of its context one step has."""

    model: ModelConfig
    batch: int

    @property
    def tokens(self) -> int:
        return self.batch * self.model.context

    def __str__(self) -> str:
        model = self.model
        size = f"{model.parameters / 1e6:.1f} M parameters, width {model.hidden}, {model.layers} layers"
        return f"{size}, vocabulary {model.vocabulary:,}, {self.batch} × {model.context} tokens"


SHAPES = {
    "demo": Shape(ModelConfig(vocabulary=8_192, hidden=128, layers=4, heads=4, ffn=352, context=256), 8),
    "small": Shape(ModelConfig(vocabulary=16_384, hidden=256, layers=6, heads=8, ffn=704, context=256), 8),
    "wide": Shape(ModelConfig(vocabulary=16_384, hidden=512, layers=8, heads=8, ffn=1_376, context=512), 4),
    "vocabulary": Shape(ModelConfig(vocabulary=65_536, hidden=256, layers=6, heads=8, ffn=704, context=256), 8),
}
"""The demo's model; the shape of our first trial; a wider one with longer sequences; the report's vocabulary."""


def worker_of(contender: str, peers: str) -> Worker:
    """A way to train in a process of its own, see `peers.py`."""
    return Worker(HERE / "peers.py", contender, sys.executable if contender == OURS else peers, SURROUNDINGS)


@dataclass
class Measured:
    """Of one contender at one shape. `rates`: tokens per second of each turn; `ratios`: ours over this one's in the turn beside it,
    one for each round (of ours: empty); `losses`: of the first steps."""

    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return median(self.rates)

    @property
    def ratio(self) -> float:
        """Ours over this one's: the median of the rounds."""
        return median(self.ratios)


def task_of(shape: Shape, folder: Path) -> dict[str, Any]:
    """First weights and tokens on disk: each token mostly decides the next, so that there is something to learn."""
    folder.mkdir(parents=True)
    draw = np.random.default_rng(5)
    vocabulary, rows = shape.model.vocabulary, BATCHES * shape.batch
    follower = draw.permutation(vocabulary)
    tokens = np.minimum(draw.zipf(1.2, (rows, shape.model.context + 1)) - 1, vocabulary - 1)
    for place in range(1, tokens.shape[1]):
        bound = draw.random(rows) < 0.7
        tokens[bound, place] = follower[tokens[bound, place - 1]]
    np.save(folder / "tokens.npy", tokens.reshape(BATCHES, shape.batch, -1).astype(np.int64))
    weights = to_hf(initialise(Decoder(shape.model), 1).state_dict(), shape.model)
    save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / "weights.safetensors")
    table = {name: getattr(shape.model, name) for name in ("vocabulary", "hidden", "layers", "heads", "ffn", "context")}
    files = {"tokens": str(folder / "tokens.npy"), "weights": str(folder / "weights.safetensors")}
    return {"shape": table, "batch": shape.batch, "rate": RATE, "watched": WATCHED, **files}


def begin(worker: Worker, task: Mapping[str, Any]) -> tuple[list[float], int]:
    """Give a task and warm up: the losses of the first steps, and how many steps take about `TURN` seconds."""
    worker.tell({"task": task})
    first = worker.ask({"steps": WATCHED})
    return first["losses"][:WATCHED], max(round(TURN / median(first["seconds"][2:])), 2)


def speed(worker: Worker, shape: Shape, steps: int) -> float:
    """Tokens per second of so many steps, after one that is not timed: the process has slept."""
    seconds = worker.ask({"steps": steps + 1})["seconds"][1:]
    return shape.tokens * len(seconds) / sum(seconds)


def turns_of(shape: Shape, folder: Path, workers: Sequence[Worker]) -> Callable[[Worker], float]:
    """All workers warm at one shape, and the function that gives one of them a turn: tokens per second."""
    task = task_of(shape, folder)
    steps = {worker: begin(worker, task)[1] for worker in workers}
    return lambda worker: speed(worker, shape, steps[worker])


@dataclass(frozen=True)
class Bench:
    """Which shapes and contenders, and what was measured when it was first asked for."""

    work: Path
    peers: str
    rounds: int
    shapes: Sequence[str]
    contenders: Sequence[str]
    compiled: bool = True

    def measure(self, name: str) -> dict[str, Measured]:
        """All contenders at one shape, turn by turn; who is not installed is left out."""
        shape = SHAPES[name]
        task = task_of(shape, self.work / name) | {"compile": self.compiled}
        found: dict[str, Measured] = {}
        steps: dict[str, int] = {}
        with ExitStack() as processes:
            workers: dict[str, Worker] = {}
            for contender in self.contenders:
                worker = processes.enter_context(worker_of(contender, self.peers))
                if worker.missing:
                    print(f"{contender}: {worker.missing} is not installed (bench/peers_train.txt)", file=sys.stderr)
                    continue
                workers[contender] = worker
                losses, steps[contender] = begin(worker, task)
                found[contender] = Measured(losses=losses)
                print(f"{name}: {contender} {worker.version} is warm", file=sys.stderr)

            def turn(contender: str) -> float:
                rate = speed(workers[contender], shape, steps[contender])
                found[contender].rates.append(rate)
                return rate

            others = [contender for contender in workers if contender != OURS]
            if OURS not in workers:
                raise NotMeasuredError("there is no ratio without our own step")
            for contender, pair in pairs(OURS, others, self.rounds):
                rates = {who: turn(who) for who in pair}
                found[contender].ratios.append(rates[OURS] / rates[contender])
        return found

    @cached_property
    def found(self) -> dict[str, dict[str, Measured]]:
        return {name: self.measure(name) for name in self.shapes}

    def trainer_ratio(self) -> float:
        return min(self._of(here, TRAINER).ratio for here in self.found.values())

    def best_ratio(self) -> float:
        for here in self.found.values():
            for name in NEEDED:
                self._of(here, name)
        return min(measured.ratio for here in self.found.values() for name, measured in here.items() if name in COMPILED)

    def _of(self, here: Mapping[str, Measured], name: str) -> Measured:
        if name not in here:
            raise NotMeasuredError(f"{name} is not installed: give --peers an interpreter that has it (bench/peers_train.txt)")
        return here[name]

    def tables(self) -> None:
        settings = ", ".join(f"{name}={value}" for name, value in FOR_TORCH.items())
        print(f"tokens/s, median of the turns; ours over theirs in turns side by side, {self.rounds} rounds")
        print(f"2 threads, torch {torch.__version__}, {settings}")
        with settled(2):
            fp32, bf16 = (max(matmul_flops(precision) for _ in range(5)) / 1e9 for precision in ("fp32", "bf16"))
        print(f"this machine's square matrix product: {fp32:.0f} GFLOP/s in fp32, {bf16:.0f} in bf16 ({bf16 / fp32:.2f} times)")
        head = f"| | tokens/s | smallest to largest | ours is | smallest to largest | loss at step 1 | step {WATCHED} |"
        head += "\n|" + "---|" * 7
        for name, here in self.found.items():
            print(f"\n{name}: {SHAPES[name]}\n\n{head}")
            for contender, measured in here.items():
                spread = f"{min(measured.rates):,.0f} to {max(measured.rates):,.0f}"
                course = f"{measured.losses[0]:.3f} | {measured.losses[-1]:.3f}"
                ratio = (
                    f"{measured.ratio:.2f}x | {min(measured.ratios):.2f} to {max(measured.ratios):.2f}"
                    if measured.ratios
                    else "1 | –"
                )
                print(f"| {contender} | {measured.rate:,.0f} | {spread} | {ratio} | {course} |", flush=True)
        for name in BARS:
            try:
                print(f"\n{name} {getattr(self, name)():.2f}")
            except NotMeasuredError as error:
                print(f"\n{name}: {error}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure a training step on this CPU beside its peers.")
    parser.add_argument("--peers", default=PEERS, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--only", nargs="+", choices=[OURS, TRAINER, *COMPILED], default=[OURS, TRAINER, *COMPILED])
    offer(parser, BARS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(Path(work), options.peers, options.rounds, options.shape, options.only)
        return answer(options.json, lambda name: float(getattr(bench, name)()), bench.tables)


if __name__ == "__main__":
    sys.exit(main())
