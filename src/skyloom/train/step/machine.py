"""Machine-dependent choices of training: threads, deterministic algorithms, compilation; and the speed of matrix products.

These change the last bits of a result, never its meaning. So they are settled before the first step, written into every
checkpoint, and a run that goes on under others says so.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.model.decoder import Decoder
from skyloom.score.linear_loss import linear_loss

Loss = Callable[[Decoder, Tensor, Tensor | None], Tensor]


def batch_loss(model: Decoder, tokens: Tensor, documents: Tensor | None = None) -> Tensor:
    """Mean nats per token, fp32 scalar, for int64[batch, context + 1]: each row predicts its own next tokens.

    `documents`: int64[batch, context], to keep attention inside them (`Decoder.forward`).
    """
    assert model.head is not None
    features = model.features(tokens[:, :-1], documents)
    return linear_loss(features, model.head.weight.to(features.dtype), tokens[:, 1:])


def loss_function(compiled: bool) -> Loss:
    """`batch_loss`, compiled for one fixed shape if asked. The whole pass with its loss is one graph."""
    if not compiled:
        return batch_loss
    torch.compiler.reset()
    return torch.compile(batch_loss, dynamic=False, fullgraph=True)


def choose_compile(wish: str, recorded: bool | None, progress: Progress) -> bool:
    """Whether to compile. `recorded`: what the checkpoint we go on from did; it is kept where this machine can.

    `wish` is "auto", "on" or "off". ConfigError for "on" on a machine that cannot.
    """
    if wish == "off" or recorded is False:
        return False
    problem = _compile_problem()
    if problem is None:
        return True
    if wish == "on":
        raise ConfigError(f"train.compile is 'on' but torch cannot compile here ({problem}); install g++ or set it to 'off'")
    again = "; the checkpoint was compiled, so the last bits may differ" if recorded else ""
    progress.log(f"warning: torch cannot compile here ({problem}): training runs uncompiled, several times slower{again}")
    return False


def _compile_problem() -> str | None:
    """Why a small function cannot be compiled and run on this machine, or None. Takes seconds the first time."""
    try:
        result = torch.compile(lambda x: (x * 2 + 1).sum(), dynamic=False)(torch.ones(64))
        return None if float(result) == 192.0 else "it computes wrong results"
    except Exception as problem:  # anything at all may be wrong with a compiler; its first line tells the user what
        return f"{type(problem).__name__}: {str(problem).strip().splitlines()[0][:120] if str(problem).strip() else ''}"


def physical_cores() -> int:
    """Cores that this process may use: hardware threads of one core count once, a container's quota is respected."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    usable = os.sched_getaffinity(0)
    topology = {_topology(cpu) for cpu in usable}
    count = len(usable) if None in topology else len(topology)
    with contextlib.suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, max(1, int(quota) // int(period)))
    return count


def _topology(cpu: int) -> tuple[str, str] | None:
    folder = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        return (folder / "physical_package_id").read_text(), (folder / "core_id").read_text()
    except OSError:
        return None


_LONGEST_PRODUCT = 0.05
"""Seconds that one product may take where the speed of the processor is measured."""


@contextlib.contextmanager
def settled(threads: int) -> Iterator[int]:
    """Deterministic algorithms on `threads` threads (0: physical cores) within the block; yields the number of threads.

    Memory that is not written yet is not filled, as torch does beside deterministic algorithms: nothing here reads it, and it
    costs 3 % of a step.
    """
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    filling = torch._C._get_deterministic_fill_uninitialized_memory()  # what `torch.utils.deterministic` reads and sets
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it CUDA's matrix products are refused
    torch.set_num_threads(threads or physical_cores())
    torch.use_deterministic_algorithms(True)
    torch._C._set_deterministic_fill_uninitialized_memory(False)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(strict)
        torch._C._set_deterministic_fill_uninitialized_memory(filling)


def matmul_flops(precision: str, size: int = 1024) -> float:
    """FLOP/s of a square matrix product on this machine now: what utilisation is measured against. Takes about 0.1 s.

    Products grow up to `size`. A processor that emulates bf16 needs seconds for the largest, so they stop growing there earlier.
    """
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    side = min(128, size)
    while True:
        a, b = torch.ones(side, side, dtype=dtype), torch.ones(side, side, dtype=dtype)
        best = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            torch.mm(a, b)
            best = min(best, time.perf_counter() - started)
        if 2 * side > size or 8 * best > _LONGEST_PRODUCT:
            return 2 * side**3 / best
        side *= 2


def emulates_bf16() -> bool:
    """Whether this processor has no instructions for bf16: products then take over four times as long as in fp32."""
    return 4 * matmul_flops("bf16") < matmul_flops("fp32")


def probe(device: torch.device, size: int = 4096, times: int = 8) -> float:
    """Seconds of a few square bf16 products on `device`, which are done when what was asked of it before is done.

    On a card they take milliseconds and 100 MB. A card that is hot, throttled or shared takes longer than its neighbours.
    """
    a = torch.ones(size, size, dtype=torch.bfloat16, device=device)
    wait = torch.cuda.synchronize if device.type == "cuda" else torch.cpu.synchronize
    torch.mm(a, a)
    wait(device)
    started = time.perf_counter()
    for _ in range(times):
        torch.mm(a, a)
    wait(device)
    return time.perf_counter() - started


def peak_memory() -> int:
    """Most memory this process has held so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
