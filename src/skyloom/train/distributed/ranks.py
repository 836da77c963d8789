"""The ranks of a training run, and agreement among them: all-reduced flags, gathered and broadcast objects.

Signals, timers and full disks happen to one process; a checkpoint or a stop must happen to all at the same step. So whatever
is not a pure function of the run is agreed on once a step, by one all-reduce of a few integers. With one process nothing is sent.
Rank 0 is the main one: it writes the journals and the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """`rank` of `world` processes; of one if torch.distributed is not running."""

    rank: int = 0
    world: int = 1

    @classmethod
    def here(cls) -> Ranks:
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_available() and dist.is_initialized() else cls()

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Of each flag, whether any process has it set."""
        if self.world == 1:
            return flags
        raised = torch.tensor([int(f) for f in flags])  # on the host: no accelerator has to wait for it
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(bool(f) for f in raised.tolist())

    def gather(self, value: T) -> Sequence[T]:
        """The value of each process, in the order of ranks, on all of them."""
        if self.world == 1:
            return [value]
        values: list[T] = [value] * self.world
        dist.all_gather_object(values, value)
        return values

    def share(self, value: T) -> T:
        """The value of rank 0, on all."""
        if self.world == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Until all are here."""
        if self.world > 1:
            dist.barrier()
