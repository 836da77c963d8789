"""Muon's step with its orthogonalisation compiled, beside the same step as it is.

Input: none; two shapes of `bench.train.cpu`, seeded tokens. Two learners with equal weights, whose forward and backward passes
are compiled in both, take turns of a few steps; who begins changes from round to round. Output: seconds of a whole step (median),
what the compiled one takes as a share of the other (median, smallest and largest of the rounds' ratios), the share of a step that
the orthogonalisation takes, seconds that its compilation takes once, and the largest difference of a loss.

    python -m bench.train.muon_compiled [--shapes demo small] [--rounds N] [--threads N]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from bench.train.cpu import SHAPES, Shape
from skyloom.cli import FOR_TORCH
from skyloom.core.progress import Progress
from skyloom.model.init import first_weights
from skyloom.train.config import TrainConfig
from skyloom.train.step import SingleLearner, choose_compile, orthogonalise, settled

STEPS, BATCHES, RATE = 4, 16, 1e-3
WARM = 2


def compiled_wholes() -> Callable[[dict[str, Tensor]], dict[str, Tensor]]:
    """`orthogonalised` with the iteration compiled, once for each shape."""
    one = torch.compile(orthogonalise, dynamic=False)

    def wholes(parts: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: one(matrix) for name, matrix in parts.items()}

    return wholes


def turn(learner: SingleLearner, batches: Tensor, first: int) -> tuple[list[float], list[float]]:
    """Seconds and losses of `STEPS` steps from step `first` on."""
    seconds, losses = [], []
    for step in range(first, first + STEPS):
        begun = time.perf_counter()
        loss, _ = learner.measure(batches[step % BATCHES], step)
        learner.apply(RATE)
        seconds.append(time.perf_counter() - begun)
        losses.append(loss)
    return seconds, losses


def measure(shape: Shape, rounds: int, threads: int) -> list[str]:
    """The cells of a row."""
    config = TrainConfig(optimizer="muon", batch=shape.batch, context=shape.model.context, threads=threads)
    size = (BATCHES, shape.batch, shape.model.context + 1)
    batches = torch.randint(shape.model.vocabulary, size, generator=torch.Generator().manual_seed(1))
    with settled(threads):
        whole = choose_compile("auto", None, Progress())
        learners = {name: SingleLearner(config, shape.model, compiled=whole, bos_id=1) for name in ("plain", "compiled")}
        for learner in learners.values():
            learner.begin(first_weights(shape.model, 1))
        muon = learners["compiled"].optimiser.muon
        muon._wholes = compiled_wholes()
        ahead = {name: matrix.to(muon._dtype) for name, matrix in muon.matrices.items()}
        begun = time.perf_counter()
        muon._wholes(ahead)
        cold = time.perf_counter() - begun
        own = learners["plain"].optimiser.muon
        alone = []
        for _ in range(10):
            begun = time.perf_counter()
            own._wholes(ahead)
            alone.append(time.perf_counter() - begun)
        took: dict[str, list[float]] = {name: [] for name in learners}
        ratios, apart = [], 0.0
        for number in range(rounds + WARM):
            names = list(learners) if number % 2 else list(learners)[::-1]
            found = {name: turn(learners[name], batches, number * STEPS) for name in names}
            apart = max(apart, *(abs(a - b) for a, b in zip(found["plain"][1], found["compiled"][1], strict=True)))
            if number < WARM:
                continue
            middle = {name: statistics.median(found[name][0]) for name in learners}
            ratios.append(middle["compiled"] / middle["plain"])
            for name in learners:
                took[name] += found[name][0]
    plain, other = (statistics.median(took[name]) for name in ("plain", "compiled"))
    return [
        f"{plain * 1e3:.0f} ms", f"{other * 1e3:.0f} ms", 
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
        f"{statistics.median(alone) / plain:.0%}", f"{cold:.1f} s", f"{apart:.1e}",
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shapes", nargs="+", default=["demo", "small"], choices=list(SHAPES), help="default: demo small")
    parser.add_argument("--rounds", type=int, default=15, help="default: 15")
    parser.add_argument("--threads", type=int, default=2, help="default: 2")
    options = parser.parse_args()
    os.environ.update(FOR_TORCH)
    print("| shape | a step | with it compiled | ratio | of a step | compilation | losses apart |\n|---|---|---|---|---|---|---|")
    for name in options.shapes:
        print(
            "| " + " | ".join([f"{name}: {SHAPES[name]}", *measure(SHAPES[name], options.rounds, options.threads)]) + " |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
