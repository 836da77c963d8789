"""The memory check: refuse settings and a shape whose training cannot fit into memory, before anything is allocated.

An accelerator that is too small says so when a step is rehearsed; a computer that is too small does not: the system kills the
process without a word. So the least that training needs by first principles (`planner.memory`, without logits, which are computed
in chunks, and without what no formula counts) is compared with what is there. What passes may still not fit: `skyloom plan`
says what a layout is expected to take.
"""

from __future__ import annotations

from pathlib import Path

import psutil
import torch

from skyloom.core.config import environment_number
from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.planner.machines import GIB
from skyloom.planner.memory import FUSED, memory
from skyloom.train.config import TrainConfig

CGROUP = Path("/sys/fs/cgroup/memory.max")


def least_bytes(config: TrainConfig, model: ModelConfig) -> float:
    """Bytes that the process which needs most cannot do without: weights, gradients, optimiser, activations."""
    parts = memory(model, config.layout, config.batch, config.context, FUSED, 0.0, optimizer=config.optimizer)
    twice = config.precision == "bf16"  # in fp32 the weights are their own masters
    once = config.layout.micro_batches(config.batch) == 1  # nothing is added up, so gradients stay as narrow as the weights
    gradients = parts.gradients / 2 if once and twice else parts.gradients
    if once and config.layout.zero and config.layout.pipeline == 1:  # reduced block by block: fp32, but each replica's own part
        gradients = min(gradients, parts.gradients / config.layout.data)
    return (parts.weights if twice else 0.0) + gradients + parts.optimiser + parts.activations


def memory_here() -> tuple[float, str]:
    """Bytes that one process may take, and of what: its card, or its share of this computer's (a container's) memory."""
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(environment_number("LOCAL_RANK") % torch.cuda.device_count())
        return float(card.total_memory), card.name
    there = float(psutil.virtual_memory().total)
    limit = CGROUP.read_text().strip() if CGROUP.exists() else "max"
    if limit.isdecimal():
        there = min(there, float(limit))
    processes = max(environment_number("LOCAL_WORLD_SIZE", 1), 1)
    return there / processes, "this machine" if processes == 1 else f"each of the {processes} processes on this machine"


def check_memory(config: TrainConfig, model: ModelConfig) -> None:
    """ConfigError if training needs more memory than there is, saying what to change."""
    needed = least_bytes(config, model)
    there, whose = memory_here()
    if needed > there:
        raise ConfigError(
            f"training {model.parameters:,} parameters with {config.layout.micro(config.batch)} sequences of {config.context:,} "
            f"tokens at once takes at least {needed / GIB:,.1f} GiB on each process, {whose} has {there / GIB:,.1f} GiB: make "
            "train.layout.micro_batch smaller, set train.layout.recompute, use more processes or a smaller model (skyloom plan "
            "says which layouts fit)"
        )
