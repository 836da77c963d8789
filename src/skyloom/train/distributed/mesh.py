"""The device mesh: all processes that torchrun started, in the dimensions of a layout (pp, dp, tp). Report 3.5.

All process groups come from one DeviceMesh with the dimensions (pp, dp, tp), the last of which changes fastest from rank
to rank. torchrun numbers the processes of a node one after the other, so the order says what stays within a node:

- tp innermost: it exchanges activations four times in every block, forward and again backward, and waits for them. Only
  the links between the cards of one node are fast enough.
- dp in the middle: it moves each weight and each gradient once a step, the most bytes after tp, and hides most of them
  behind computation. Neighbours in a node let one ring use the node's links and all its network cards.
- pp outermost: it sends one activation per micro-batch from one process to one other, which the network between nodes
  carries easily.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from skyloom.core.config import environment_number
from skyloom.core.errors import ConfigError
from skyloom.planner.layout import Layout

PIPELINE, DATA, TENSOR = "pp", "dp", "tp"
OWNERS = "dp+tp"
"""All processes at one place of the pipeline."""


@dataclass(frozen=True)
class Place:
    """Where this process stands: its mesh of all processes, and the device that it computes on."""

    layout: Layout
    mesh: DeviceMesh
    device: torch.device

    @property
    def rank(self) -> int:
        """Number of this process among all; 0 is the main one."""
        return dist.get_rank()

    @property
    def replica(self) -> int:
        """Which data-parallel replica this process belongs to."""
        return self.mesh.get_local_rank(DATA)

    @property
    def owners(self) -> dist.ProcessGroup:
        """The processes at this place of the pipeline, replica by replica; all processes call it alike."""
        mesh = self.mesh[DATA, TENSOR]  # flattened once: torch knows it by its name from then on
        return mesh._flatten(OWNERS).get_group()

    @property
    def stages(self) -> tuple[int, ...]:
        """Numbers of the pipeline's stages that this process holds: every pipeline-th one, so that neighbours are elsewhere."""
        return tuple(range(self.mesh.get_local_rank(PIPELINE), self.layout.stages, self.layout.pipeline))


def join(layout: Layout, device: torch.device | None = None, *, timeout_seconds: float = 600.0) -> Place:
    """Meet the other processes that torchrun started; without torchrun this process is alone.

    `device`: by default the card of torchrun's LOCAL_RANK, or the CPU where there is none. A collective that does not
    finish within `timeout_seconds` ends the process. ConfigError if there are more or fewer processes than the layout
    needs, or more on this node than cards.
    """
    running = dist.get_world_size() if dist.is_initialized() else environment_number("WORLD_SIZE", 1)
    if running != layout.world:
        raise ConfigError(
            f"the layout {layout} needs {layout.world} processes, but {running} {'is' if running == 1 else 'are'} running; start "
            f"them with torchrun (--nnodes times --nproc-per-node = {layout.world}), or change the layout"
        )
    device = device or _own_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        _check_restarts()
        # gloo beside NCCL: asynchronous checkpoints and small agreements travel as CPU tensors, beside the training's own traffic
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        limit = timedelta(seconds=timeout_seconds)
        if "WORLD_SIZE" in os.environ:
            dist.init_process_group(backend, timeout=limit, device_id=device if device.type == "cuda" else None)
        else:
            dist.init_process_group(backend, timeout=limit, store=HashStore(), rank=0, world_size=1)
    return Place(layout, _mesh(device.type, (layout.pipeline, layout.data, layout.tensor)), device)


_made: dict[tuple[str, tuple[int, int, int]], tuple[dist.ProcessGroup, DeviceMesh]] = {}


def _mesh(kind: str, shape: tuple[int, int, int]) -> DeviceMesh:
    """The mesh of a shape, made once while the processes stay together: each takes communicators, and memory for them."""
    world = dist.group.WORLD
    known = _made.get((kind, shape))
    if known is None or known[0] is not world:
        assert world is not None
        known = _made[kind, shape] = (world, init_device_mesh(kind, shape, mesh_dim_names=(PIPELINE, DATA, TENSOR)))
    return known[1]


def leave() -> None:
    """Part from the other processes at the normal end of a run, together: the first one holds the store that all talk to.

    After an error do not call it, the others may wait elsewhere; torchrun ends them.
    """
    if dist.is_initialized():
        _made.clear()
        dist.barrier()
        dist.destroy_process_group()
        # gloo's threads still let go of tensors; one that meets the end of the interpreter aborts (3 % of exits without this)
        time.sleep(0.1)


def _check_restarts() -> None:
    """ConfigError where torchrun would start the workers again on a store that still holds the addresses of dead ones.

    Its agents keep one store over all restarts (pytorch issue 135712), and a new gloo or NCCL group then waits for ever for a
    process of the life before. `TORCHELASTIC_RESTART_COUNT` cannot tell the lives apart: each agent counts for itself.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and environment_number("TORCHELASTIC_MAX_RESTARTS"):
        raise ConfigError(
            "torchrun --max-restarts would keep the addresses of dead workers, and a restart would hang: set "
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun and give it --rdzv-backend c10d --rdzv-endpoint HOST:PORT"
        )


def _own_device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    local, cards = environment_number("LOCAL_RANK"), torch.cuda.device_count()
    if local >= cards:
        raise ConfigError(
            f"process {local} of this node has no card: there are {cards}; start torchrun with --nproc-per-node {cards}"
        )
    return torch.device("cuda", local)
