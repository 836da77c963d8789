"""A training step on one CUDA card: tokens per second, utilisation and memory of large shapes, beside others' steps.

Input: none; shapes of 1 B and 7 B parameters, a slice of Skywork-13B (its width and vocabulary, a quarter of its layers), and
today's open families in their published shapes, two of them as slices: Llama 3.1 (scaled rotation, shared key heads, a vocabulary
of 128,256), Qwen2 (biases, tied), Qwen3 (norms of heads, tied), Mistral (a window). Sequences of 4,096 tokens, of Mistral 8,192, so
that its window cuts; random weights and tokens. Everybody has a process of its own (`peers.py`, where each is
described), one after the other, because no two of them fit beside each other. Each takes the largest micro-batch that fits, from
the shape's first guess down by halves; ours then computes activations again ("selective", "full"). A step is one micro-batch with
its update, which is the worst case: in a run an update serves many.

    python -m bench.train.gpu [--peers PYTHON] [--shape NAME ...] [--only CONTENDER ...] [--rounds N] [--profile FOLDER]
    python -m bench.train.gpu --json mfu-slice,mfu-7b
    python -m bench.train.gpu --tiny --device cpu [--eager]      the same code at tiny shapes

Utilisation (MFU) is `ModelConfig.flops_per_token` × tokens per second ÷ the data sheet's bf16 peak without sparsity, and beside
it with only the half of the scores counted that a causal mask leaves. `--profile` writes what our step spends its time on:
shares by kind and the largest kernels. transformers and litgpt hold bf16 weights without fp32 masters (8 bytes of state for a
parameter instead of our 14), so they may fit where we recompute. Never run on a card so far; on a CPU at the tiny shapes only.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from bench.answers import NotMeasuredError, answer, offer
from bench.train.cpu import OURS, PEERS, Shape, worker_of
from bench.worker import Worker
from skyloom.model.config import ModelConfig, RopeScaling
from skyloom.model.hf_config import to_hf_config
from skyloom.model.presets import preset
from skyloom.train.step import matmul_flops
from skyloom.train.watch.peak import peak_flops

CONTENDERS = (OURS, "hf-loop-bf16", "litgpt-bf16")
BARS = ("mfu-slice", "mfu-7b")
SHAPES = {
    "1b": Shape(preset("llama-1b"), 16),
    "7b": Shape(preset("llama-7b"), 4),
    "slice": Shape(ModelConfig(vocabulary=65_536, hidden=4_608, layers=13, heads=36, ffn=12_288), 8),
    "llama3-slice": Shape(
        ModelConfig(
            vocabulary=128_256, hidden=4_096, layers=8, heads=32, key_heads=8, ffn=14_336, rope_theta=500_000.0,
            rope_scaling=RopeScaling(kind="llama3", factor=8.0, original_context=8_192),
        ),
        8,
    ),
    "qwen2": Shape(
        ModelConfig(
            vocabulary=151_936, hidden=1_536, layers=28, heads=12, key_heads=2, ffn=8_960, rope_theta=1e6, norm_eps=1e-6,
            tied=True, query_bias=True,
        ),
        8,
    ),
    "qwen3": Shape(
        ModelConfig(
            vocabulary=151_936, hidden=2_048, layers=28, heads=16, key_heads=8, head_width=128, ffn=6_144, rope_theta=1e6,
            norm_eps=1e-6, tied=True, head_norm=True,
        ),
        8,
    ),
    "mistral-slice": Shape(
        ModelConfig(vocabulary=32_000, hidden=4_096, layers=8, heads=32, key_heads=8, ffn=14_336, window=4_096, context=8_192), 4
    ),
}  # fmt: skip
TINY = {
    "tiny": Shape(ModelConfig(vocabulary=512, hidden=64, layers=2, heads=4, ffn=176, context=64), 2),
    "tiny-qwen3": Shape(
        ModelConfig(
            vocabulary=512, hidden=64, layers=2, heads=4, key_heads=2, head_width=32, ffn=176, context=64, tied=True, head_norm=True
        ),
        2,
    ),
}  # fmt: skip
PLAIN = ("vocabulary", "hidden", "layers", "heads", "ffn", "context")
"""What a shape of LLaMA 1 has, which every contender can build."""
WARM, STEPS, BATCHES = 4, 5, 4


@dataclass(frozen=True)
class Measured:
    """Of one contender at one shape: what it took to fit, tokens per second of each round, and GiB on the card."""

    batch: int
    recompute: str
    rates: list[float]
    gib: float

    @property
    def rate(self) -> float:
        return median(self.rates)


@dataclass(frozen=True)
class Bench:
    """Which shapes and contenders on which device, and what was measured when it was first asked for."""

    work: Path
    peers: str
    device: str
    shapes: dict[str, Shape]
    contenders: Sequence[str]
    rounds: int
    compiled: bool
    profile: Path | None

    @cached_property
    def peak(self) -> float:
        """FLOP/s that utilisation is a share of; on a CPU those of a matrix product now."""
        return matmul_flops("bf16") if self.device == "cpu" else peak_flops(self.device, "bf16").flops

    @cached_property
    def found(self) -> dict[str, dict[str, Measured]]:
        if self.device == "cuda" and not torch.cuda.is_available():
            raise NotMeasuredError("no CUDA device")
        found: dict[str, dict[str, Measured]] = {}
        for name, shape in self.shapes.items():
            found[name] = {}
            for contender in self.contenders:
                if not is_plain(shape.model) and contender not in (OURS, "hf-loop-bf16"):
                    print(f"{name}: {contender} cannot build this shape here", file=sys.stderr)
                    continue
                measured = self.fitted(name, shape, contender)
                if measured is not None:
                    found[name][contender] = measured
        return found

    def fitted(self, name: str, shape: Shape, contender: str) -> Measured | None:
        """The first of the ways that fits; None, and a line that says so, where none does or it is not installed."""
        for batch, recompute in ways(shape, contender):
            with worker_of(contender, self.peers) as worker:
                if worker.missing:
                    print(f"{contender}: {worker.missing} is not installed (bench/peers_train.txt)", file=sys.stderr)
                    return None
                worker.tell({"task": self.task(name, shape, batch, recompute)})
                measured = self.measure(name, shape, worker, batch, recompute)
            if measured is not None:
                return measured
            print(f"{name}: {contender} does not fit with {batch} sequences, recompute {recompute}", file=sys.stderr)
        print(f"{name}: {contender} does not fit at all", file=sys.stderr)
        return None

    def measure(self, name: str, shape: Shape, worker: Worker, batch: int, recompute: str) -> Measured | None:
        rates: list[float] = []
        said: dict[str, Any] = worker.ask({"steps": WARM})
        for _ in range(self.rounds):
            if "out_of_memory" in said:
                return None
            said = worker.ask({"steps": STEPS})
            if "seconds" in said:
                rates.append(batch * shape.model.context * STEPS / sum(said["seconds"]))
        if "out_of_memory" in said:
            return None
        if self.profile is not None and worker.name == OURS:
            self.profile.mkdir(parents=True, exist_ok=True)
            worker.ask({"steps": 2, "profile": str(self.profile / f"{name}.txt")})
        return Measured(batch, recompute, rates, said["gib"])

    def task(self, name: str, shape: Shape, batch: int, recompute: str) -> dict[str, Any]:
        model = shape.model
        tokens = self.work / f"{name}-{batch}.npy"
        np.save(tokens, np.random.default_rng(1).integers(0, model.vocabulary, (BATCHES, batch, model.context + 1)))
        return {
            "shape": {key: getattr(model, key) for key in PLAIN},
            "config": None if is_plain(model) else to_hf_config(model, bos_id=0, eos_id=0, dtype="float32"),
            "tokens": str(tokens),
            "weights": None,
            "batch": batch,
            "rate": 1e-4,
            "watched": WARM,
            "device": self.device,
            "compile": self.compiled,
            "recompute": recompute,
        }

    def utilisation(self, shape: Shape, rate: float, *, causal: bool = False) -> float:
        return shape.model.flops_per_token(shape.model.context, causal=causal) * rate / self.peak

    def bar(self, name: str) -> float:
        shape = name.removeprefix("mfu-")
        here = self.found.get(shape, {})
        if OURS not in here:
            raise NotMeasuredError(f"the shape {shape} does not fit on this card, or was not asked for")
        return self.utilisation(SHAPES[shape], here[OURS].rate)

    def tables(self) -> None:
        where = "this CPU" if self.device == "cpu" else torch.cuda.get_device_name() if torch.cuda.is_available() else "no card"
        found = self.found
        print(f"{where}, torch {torch.__version__}, peak {self.peak / 1e12:.1f} TFLOP/s, median of {self.rounds} rounds")
        head = (
            "| | sequences | recompute | tokens/s | smallest to largest | MFU | causal | GiB |\n|---|---|---|---|---|---|---|---|"
        )
        for name, here in found.items():
            model = self.shapes[name].model
            print(f"\n{name}: {model.parameters / 1e9:.2f} B parameters, {model.context:,} tokens\n\n{head}")
            for contender, one in here.items():
                full = self.utilisation(self.shapes[name], one.rate)
                causal = self.utilisation(self.shapes[name], one.rate, causal=True)
                spread = f"{min(one.rates):,.0f} to {max(one.rates):,.0f}"
                row = f"{contender} | {one.batch} | {one.recompute} | {one.rate:,.0f} | {spread} | {full:.1%} | {causal:.1%}"
                print(f"| {row} | {one.gib:.1f} |", flush=True)


def is_plain(model: ModelConfig) -> bool:
    """Whether `PLAIN` and a small number in the norms is all that makes the shape."""
    return replace(ModelConfig(**{key: getattr(model, key) for key in PLAIN}), norm_eps=model.norm_eps) == model


def ways(shape: Shape, contender: str) -> Iterator[tuple[int, str]]:
    """Sequences of a micro-batch and what is computed again, the fastest first."""
    batch = shape.batch
    while batch:
        yield batch, "none"
        batch //= 2
    if contender == OURS:
        yield from ((2, "selective"), (2, "full"), (1, "full"))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure a training step on one CUDA card beside its peers.")
    parser.add_argument("--peers", default=PEERS, metavar="PYTHON", help="the interpreter that has the peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--only", nargs="+", choices=[*CONTENDERS, "plain"], default=list(CONTENDERS))
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes instead")
    parser.add_argument("--eager", action="store_true", help="compile nothing")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="write there what our step spends its time on")
    offer(parser, BARS)
    options = parser.parse_args(arguments)
    shapes = TINY if options.tiny else {name: SHAPES[name] for name in options.shape}
    if options.json:
        shapes = {name: SHAPES[name] for name in SHAPES if f"mfu-{name}" in options.json}
    only = [OURS] if options.json else options.only
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(Path(work), options.peers, options.device, shapes, only, options.rounds, not options.eager, options.profile)
        return answer(options.json, bench.bar, bench.tables)


if __name__ == "__main__":
    sys.exit(main())
