"""One optimizer step on one process: the learner, AdamW, compilation, activation recomputation, and measured CPU speed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.train.step.activations import recompute
    from skyloom.train.step.cpu_speed import measure_cpu
    from skyloom.train.step.learner import Learner, SingleLearner, Weights, split_state
    from skyloom.train.step.machine import choose_compile, emulates_bf16, matmul_flops, peak_memory, probe, settled
    from skyloom.train.step.muon import Muon, orthogonalise, takes_muon
    from skyloom.train.step.optim import MEAN, SQUARE
else:
    __getattr__ = lazy(__name__, {
        "activations": ("recompute",),
        "cpu_speed": ("measure_cpu",),
        "learner": ("Learner", "SingleLearner", "Weights", "split_state",),
        "machine": ("choose_compile", "emulates_bf16", "matmul_flops", "peak_memory", "probe", "settled",),
        "muon": ("Muon", "orthogonalise", "takes_muon",),
        "optim": ("MEAN", "SQUARE",),
    })  # fmt: skip

__all__ = [
    "MEAN",
    "SQUARE",
    "Learner",
    "Muon",
    "SingleLearner",
    "Weights",
    "choose_compile",
    "emulates_bf16",
    "matmul_flops",
    "measure_cpu",
    "orthogonalise",
    "peak_memory",
    "probe",
    "recompute",
    "settled",
    "split_state",
    "takes_muon",
]  # fmt: skip
