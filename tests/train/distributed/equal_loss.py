"""Equal loss: every layout of processes trains as one process does.

Input: a small decoder with seeded weights and a learnable stream of tokens. Output: for every layout, how far
its losses over 20 steps are from those of one process that knows nothing of layouts (`MasterOptimizer` and the whole batch).
The processes are started by torchrun and talk through gloo. The rate warms up over 10 steps to 1e-3, above the report's peak.
At half time each run goes on in a second learner, filled from the first one's state.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from skyloom.model.config import ModelConfig, RopeScaling
from skyloom.model.decoder import Decoder
from skyloom.model.init import initialise
from skyloom.planner.layout import Layout
from skyloom.score.nll import token_losses
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import mesh
from skyloom.train.distributed.parallel_learner import ParallelLearner
from skyloom.train.step.optim import MasterOptimizer, to_precision

ROOT = Path(__file__).resolve().parents[3]
SHAPE = {"vocabulary": 64, "hidden": 32, "layers": 2, "heads": 4, "ffn": 96, "context": 32}
BATCH, STEPS, BOS = 8, 20, 0
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Case:
    """A layout, what differs in the model, and whether attention stays within documents."""

    layout: Layout
    model: tuple[tuple[str, Any], ...] = ()
    documents: bool = False
    compiled: bool = False
    precisions: tuple[str, ...] = field(default=PRECISIONS)
    optimizer: str = "adamw"


QWEN3 = (("key_heads", 2), ("head_width", 12), ("head_norm", True))
QWEN2 = (("query_bias", True), ("window", 9), ("rope_scaling", RopeScaling("yarn", 2.0, 16)))
GPT, GROUPED, TIED, DEEPER = (("block", "gpt"),), (("key_heads", 2),), (("tied", True),), (("layers", 4),)
CASES = {
    "single": Case(Layout(micro_batch=2)),
    "DP2": Case(Layout(data=2, zero=False, micro_batch=2)),
    "ZeRO-1 x2": Case(Layout(data=2, micro_batch=2)),
    "ZeRO-1 x2, one micro-batch": Case(Layout(data=2), precisions=("fp32",)),
    "PP2 1F1B": Case(Layout(pipeline=2, micro_batch=2), DEEPER),
    "PP2 interleaved": Case(Layout(pipeline=2, micro_batch=2, schedule="interleaved"), DEEPER),
    "PP2 zero-bubble": Case(Layout(pipeline=2, micro_batch=2, schedule="zero-bubble"), DEEPER),
    "TP2": Case(Layout(tensor=2)),
    "TP2, grouped heads, tied": Case(Layout(tensor=2, micro_batch=4), GROUPED + TIED, precisions=("fp32",)),
    "TP2, norms of heads": Case(Layout(tensor=2, micro_batch=4), QWEN3),
    "TP2, biases and a window": Case(Layout(tensor=2, micro_batch=4), QWEN2, precisions=("fp32",)),
    "PP2, norms of heads, biases, a window": Case(Layout(pipeline=2, micro_batch=2), QWEN3 + QWEN2, True, precisions=("fp32",)),
    "TP2, gpt block": Case(Layout(tensor=2), GPT),
    "TP2, selective recomputation": Case(Layout(tensor=2, recompute="selective"), precisions=("fp32",)),
    "PP2, documents apart": Case(Layout(pipeline=2, micro_batch=2), documents=True, precisions=("fp32",)),
    "PP2 zero-bubble, gpt block, full recomputation": Case(
        Layout(pipeline=2, micro_batch=4, schedule="zero-bubble", recompute="full"), GPT + DEEPER, precisions=("fp32",)
    ),
    "ZeRO-1 x2, tied, documents apart": Case(Layout(data=2, micro_batch=2), TIED, documents=True, precisions=("bf16",)),
    "DP2+PP2": Case(Layout(data=2, pipeline=2, micro_batch=2)),
    "DP2+TP2": Case(Layout(data=2, tensor=2)),
    "DP2+TP2, uneven shards": Case(Layout(data=2, tensor=2), (("vocabulary", 66), ("ffn", 90)), precisions=("fp32",)),
    "DP2+TP2 without ZeRO": Case(Layout(data=2, tensor=2, zero=False), precisions=("fp32",)),
    "PP2+TP2": Case(Layout(pipeline=2, tensor=2, micro_batch=4, schedule="interleaved"), DEEPER),
    "Muon, single": Case(Layout(micro_batch=2), optimizer="muon"),
    "Muon, DP2": Case(Layout(data=2, zero=False, micro_batch=2), precisions=("fp32",), optimizer="muon"),
    "Muon, ZeRO-1 x2": Case(Layout(data=2, micro_batch=2), GROUPED, optimizer="muon"),
    "Muon, PP2 interleaved": Case(
        Layout(pipeline=2, micro_batch=2, schedule="interleaved"), DEEPER, precisions=("fp32",), optimizer="muon"
    ),
    "Muon, TP2": Case(Layout(tensor=2), optimizer="muon"),
    "Muon, DP2+TP2, uneven shards": Case(
        Layout(data=2, tensor=2), (("vocabulary", 66), ("ffn", 90)), precisions=("fp32",), optimizer="muon"
    ),
    "Muon, DP2+TP2 without ZeRO": Case(Layout(data=2, tensor=2, zero=False), precisions=("fp32",), optimizer="muon"),
    "Muon, PP2+TP2": Case(Layout(pipeline=2, tensor=2, micro_batch=4), GPT + DEEPER, precisions=("fp32",), optimizer="muon"),
    "Muon, DP2+PP2": Case(Layout(data=2, pipeline=2, micro_batch=2), QWEN3, precisions=("fp32",), optimizer="muon"),
    "PP4": Case(Layout(pipeline=4, micro_batch=2), DEEPER, precisions=("fp32",)),
}


COMPILED = {
    "TP2, full recomputation, compiled": Case(Layout(tensor=2, recompute="full"), compiled=True, precisions=("fp32",)),
    "ZeRO-1 x2, selective recomputation, compiled": Case(
        Layout(data=2, micro_batch=2, recompute="selective"), compiled=True, precisions=("bf16",)
    ),
    "Muon, ZeRO-1 x2, compiled": Case(Layout(data=2, micro_batch=2), compiled=True, precisions=("fp32",), optimizer="muon"),
}
"""Only where torch finds a C++ compiler; no part of the bars."""


@dataclass(frozen=True)
class Rate:
    """A linear warm-up over `warmup` steps, then constant."""

    peak: float = 1e-3
    warmup: int = 10

    def __call__(self, step: int) -> float:
        return self.peak * min(1.0, (step + 1) / max(self.warmup, 1))


def tokens(step: int, rows: int = BATCH, width: int = SHAPE["context"]) -> Tensor:
    """int64[rows, width + 1]: each token mostly decides the next; about one in eight begins a document."""
    stream = np.random.Generator(np.random.Philox(key=[7, step]))
    follower = np.random.Generator(np.random.Philox(key=3)).permutation(SHAPE["vocabulary"])
    result = np.empty((rows, width + 1), np.int64)
    result[:, 0] = stream.integers(1, SHAPE["vocabulary"], rows)
    for place in range(1, width + 1):
        drawn = stream.integers(0, SHAPE["vocabulary"], rows)
        result[:, place] = np.where(stream.random(rows) < 0.8, follower[result[:, place - 1]], drawn)
        result[:, place][stream.random(rows) < 0.125] = BOS
    return torch.from_numpy(result)


@dataclass
class Trained:
    """Of each step the loss and the gradient's norm; nats of some other rows at half time, and by how much the token that is called
    likeliest is less likely than the reference's (the reference: its logits); weights and moments in the end."""

    steps: list[tuple[float, float]]
    scores: Tensor
    likeliest: Tensor
    state: dict[str, Tensor]


@cache
def reference(model: ModelConfig, precision: str, documents: bool, rate: Rate, optimizer: str) -> Trained:
    """One process, the whole batch at once, no layout."""
    config = TrainConfig(batch=BATCH, context=SHAPE["context"], precision=precision, optimizer=optimizer)
    decoder = initialise(Decoder(model), config.seed)
    masters = {name: weight.detach().clone() for name, weight in decoder.named_parameters()}
    optimiser = MasterOptimizer(to_precision(decoder, precision), masters, config)
    steps, scores, logits = [], torch.empty(0), torch.empty(0)
    for step in range(STEPS):
        batch = tokens(step)
        mask = (batch[:, :-1] == BOS).cumsum(1) if documents else None
        loss = token_losses(decoder(batch[:, :-1], mask), batch[:, 1:]).mean()
        loss.backward()
        if step == STEPS // 2:
            with torch.no_grad():
                other = tokens(99, 3, 13)
                logits = decoder(other).float()
                scores = token_losses(decoder(other[:, :-1]), other[:, 1:])
        steps.append((float(loss.detach()), optimiser.step(rate(step))))
    return Trained(steps, scores, logits, {**optimiser.weights(), **optimiser.moments()})


def train(case: Case, precision: str, rate: Rate) -> tuple[ParallelLearner, Trained]:
    """The same on the processes of the case's layout."""
    config = TrainConfig(batch=BATCH, context=SHAPE["context"], precision=precision, optimizer=case.optimizer)
    model = ModelConfig(**{**SHAPE, **dict(case.model)})
    bos = BOS if case.documents else None
    place = mesh.join(case.layout, timeout_seconds=120)
    learner = ParallelLearner.build(config, model, place, bos_id=bos, compiled=case.compiled)
    steps, scores, likeliest = [], torch.empty(0), torch.empty(0)
    for step in range(STEPS):
        if step == STEPS // 2:
            state = learner.state()
            learner = ParallelLearner.build(config, model, place, bos_id=bos, compiled=case.compiled, blank=True)
            for name, tensor in learner.state().items():
                tensor.copy_(state[name])
            learner.load(step)
        steps.append(learner.measure(tokens(step)[learner.replica :: learner.replicas]))
        if step == STEPS // 2:  # between gradient and update: neither may notice
            scores = learner.token_losses(tokens(99, 3, 13))
            likeliest = learner.likeliest(tokens(99, 3, 13))
        learner.apply(rate(step))
    return learner, Trained(steps, scores, likeliest, learner.state())


def deviations(case: Case, precision: str, rate: Rate) -> dict[str, float]:
    """How far the layout is from one process; computed by all of its processes together, the same on each."""
    learner, found = train(case, precision, rate)
    expected = reference(learner.model, precision, case.documents, rate, case.optimizer)
    assert found.scores.shape == expected.scores.shape
    logits = expected.likeliest
    named = logits.gather(-1, found.likeliest[..., None])[..., 0]

    def weights(name: str) -> float:
        tensor = found.state[name]
        assert isinstance(tensor, DTensor)
        return float((tensor.full_tensor() - expected.state[name]).abs().max())

    moments = [n for n in found.state if n.endswith((".mean", ".square"))]
    own = torch.tensor([
        max(abs(a[0] - b[0]) for a, b in zip(found.steps, expected.steps, strict=True)),
        max(abs(a[1] / b[1] - 1) for a, b in zip(found.steps, expected.steps, strict=True)),
        float((found.scores - expected.scores).abs().max()),
        float((logits.amax(-1) - named).max()),
        max(weights(name) for name in found.state if name not in moments),
        max(weights(name) for name in moments),
    ])  # fmt: skip
    count = torch.tensor(float(sum(found.state[n].numel() for n in found.state if n not in moments)))
    if learner.place.layout.pipeline > 1:  # stages hold different weights: all of them once
        torch.distributed.all_reduce(count, group=learner.place.mesh.get_group(mesh.PIPELINE))
    torch.distributed.all_reduce(own, torch.distributed.ReduceOp.MAX)
    names = ("loss", "norm", "scores", "likeliest", "weights", "moments")
    return {**dict(zip(names, own.tolist(), strict=True)), "missing": learner.model.parameters - float(count)}


def measure(
    names: Iterable[str], precisions: Sequence[str] = PRECISIONS, rate: Rate = Rate()
) -> dict[tuple[str, str], dict[str, float]]:
    """Deviations by (case, precision); all cases of one number of processes share a torchrun."""
    every = CASES | COMPILED
    wanted = [(n, p) for n in names for p in precisions if p in every[n].precisions]
    result = {}
    for world in sorted({every[name].layout.world for name, _ in wanted}):
        mine = [pair for pair in wanted if every[pair[0]].layout.world == world]
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "deviations.json"
            command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(world)]
            command += ["-m", "tests.train.distributed.equal_loss", str(out), json.dumps(mine), str(rate.peak), str(rate.warmup)]
            env = {**os.environ, "OMP_NUM_THREADS": "1"}
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, check=False)
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-6000:]}")
            result |= dict(zip(mine, json.loads(out.read_text()), strict=True))
    return result


def work(out: Path, pairs: list[list[str]], rate: Rate) -> None:
    """What each process of a torchrun does: every case in turn; the first process writes the result."""
    torch.use_deterministic_algorithms(True)  # as training does
    torch.manual_seed(0)
    found = [deviations((CASES | COMPILED)[name], precision, rate) for name, precision in pairs]
    if torch.distributed.get_rank() == 0:
        out.write_text(json.dumps(found))
    mesh.leave()


if __name__ == "__main__":
    work(Path(sys.argv[1]), json.loads(sys.argv[2]), Rate(float(sys.argv[3]), int(sys.argv[4])))
