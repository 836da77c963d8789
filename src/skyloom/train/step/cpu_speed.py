"""Speed of this CPU for a model of a given shape, measured now: the planner's `Machine` and `Calibration`.

A CPU has no data sheet that holds for a container on a shared machine. So the planner asks this one: the rate of the very
matrix products and attention that a step of this model makes, the bandwidth of its memory, and what the process holds
before it begins. Nothing is fitted; a plan for a CPU is worth what these seconds were worth. This is the one part of the
planner that imports torch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import psutil
import torch
from torch import Tensor

from skyloom.core.progress import Progress
from skyloom.model.attention import attend
from skyloom.model.config import ModelConfig
from skyloom.planner.machines import CPU, GIB, Calibration, Machine
from skyloom.train.step.machine import choose_compile, matmul_flops, settled

ROUNDS = 5
COPIED = 1 << 26
"""Bytes copied to measure the memory's bandwidth: more than the caches hold."""


def measure_cpu(model: ModelConfig, rows: int, context: int, threads: int = 0) -> tuple[Machine, Calibration]:
    """The machine, and which share of its square matrix product this model's own shapes reach. Takes seconds.

    `rows`: sequences of a micro-batch; `threads`: 0 takes the physical cores, as training does.
    """
    with settled(threads):
        peak = matmul_flops("bf16")
        flops, seconds = _block_and_head(model, rows, context)
        rate = _copy_rate()
    machine = Machine(
        name=CPU,
        tflops=peak / 1e12,
        memory_gib=psutil.virtual_memory().total / GIB,
        memory_gbs=rate / 1e9,
        link_gbs=rate / 1e9,
        network_gbits=1.0,
        watts=0.0,
        per_node=1,
        source="measured now: a square matrix product, a copy of 64 MB",
    )
    held = psutil.Process(os.getpid()).memory_info().rss
    return machine, Calibration(matmul=flops / seconds / peak, link=1.0, network=1.0, fixed_gib=held / GIB)


def _block_and_head(model: ModelConfig, rows: int, context: int) -> tuple[float, float]:
    """FLOPs as the planner counts them, and seconds, of all blocks' products and attention and of the head's."""
    tokens = rows * context
    wide, queries, keys = model.hidden, model.query_width, model.key_width
    sides = [(wide, queries), (wide, keys), (wide, keys), (queries, wide), (wide, model.ffn), (model.ffn, wide)]
    sides += [(wide, model.ffn)] * (model.block == "llama")
    seconds = {side: _products(tokens, *side) for side in {*sides, (wide, model.vocabulary)}}
    block = sum(seconds[side] for side in sides) + _attention(model, rows, context)
    total = model.layers * block + seconds[wide, model.vocabulary]
    flops = 6 * model.multiplied_parameters + 7 * model.layers * context * queries
    return flops * tokens, total


def _products(tokens: int, inner: int, outer: int) -> float:
    """Seconds of a matrix's three products: forward, the input's gradient, its own."""
    x, weight = torch.ones(tokens, inner, dtype=torch.bfloat16), torch.ones(outer, inner, dtype=torch.bfloat16)
    grad = torch.ones(tokens, outer, dtype=torch.bfloat16)
    return sum(_fastest(product) for product in (lambda: x @ weight.T, lambda: grad @ weight, lambda: grad.T @ x))


def _attention(model: ModelConfig, rows: int, context: int) -> float:
    """Seconds of causal attention in one block, forward and backward, compiled as the step is where this machine can."""

    def heads(count: int) -> Tensor:
        return torch.ones(rows, count, context, model.head_dim, dtype=torch.bfloat16).requires_grad_()

    query, key, value = heads(model.heads), heads(model.grouped_heads), heads(model.grouped_heads)
    grad = torch.ones_like(query)
    compiled = choose_compile("auto", None, Progress.silent())
    mixed = torch.compile(attend, dynamic=False, fullgraph=True) if compiled else attend

    def both() -> None:
        torch.autograd.backward(mixed(query, key, value, None, 0.0, model.window), grad)

    return _fastest(both)


def _copy_rate() -> float:
    """Bytes read and written per second by a copy."""
    source = torch.ones(COPIED // 4)
    target = torch.empty_like(source)
    return 2 * COPIED / _fastest(lambda: target.copy_(source))


def _fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of a few rounds, after one that warms up."""
    work()
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best
