"""Dry run: one training step of a large layout on a CPU, without its processes, to count traffic and memory. Report 3.5.

The trainer's own code runs (`parallelize`, `ParallelLearner`, torch's fully_shard, DTensor and pipeline schedules), for one rank
at a time, with two things pretended by torch: a process group of any size whose other members are not there, and fake
tensors, which have shapes and no numbers. So a CPU shows in minutes what 512 accelerators would be asked to do: every
shard, every exchange with its bytes (`traffic`), and the memory that is held. Forward and backward passes over micro-batches, the
norm of the gradient and the update are made, as in the loop.

**Which ranks.** Replicas differ only in their data, and processes of one tensor group only in which columns they hold; where a
dimension is not divisible, number 0 holds the larger shard. So rank 0 of both stands for all, at the first and last place
of the pipeline and at the one where the planner expects most.

**What it cannot see.** Fake tensors stand on the CPU, because torch without CUDA cannot make others: attention is the CPU's flash
kernel, which keeps the same tensors as CUDA's (queries, keys, values, output, log-sums). Blocks run operation by operation:
what torch.compile saves is not seen. Not seen are CUDA's context, NCCL's and cuBLAS's buffers, the allocator's slack, and
gathered weights that `fully_shard` holds a little longer where another stream still reads them. The numbers are the
trainer's plan, not a measurement: it was never run on NCCL with several GPUs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import active_children, get_context

import torch
import torch.distributed as dist
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.pipelining import PipelineStage, schedules
from torch.distributed.pipelining._utils import InferenceMode
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.debug import _clear_sharding_prop_cache
from torch.testing._internal.distributed.fake_pg import FakeStore

from skyloom.core.engine_pool import end_with
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout, cut
from skyloom.planner.memory import EAGER, FUSED, memory, shares
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import DATA, OWNERS, PIPELINE, TENSOR, ParallelLearner, Place, join, materialise, parallelize
from skyloom.train.dryrun.traffic import Held, Traffic, TrafficMeter, replaced

KINDS = ("weights", "gradients", "optimiser", "activations", "logits", "received", "other")
"""Of memory, as `planner.memory` counts them; other is what no formula counts."""


@dataclass(frozen=True)
class HeldWeight:
    """What a rank holds of one weight. `placement`: how each dimension of the mesh cuts it."""

    name: str
    whole: tuple[int, ...]
    placement: str
    local: tuple[int, ...]


@dataclass(frozen=True)
class StepTraffic:
    """What a step sends, by kind and dimension of the mesh, and the bytes by kind at its peak."""

    traffic: Mapping[tuple[str, str], Traffic]
    memory: Mapping[str, int]


@dataclass(frozen=True)
class Rank:
    """One step of one rank. `memory`: bytes by kind at the peak; `states`: bytes that it holds between steps."""

    rank: int
    place: int
    blocks: tuple[int, ...]
    shards: tuple[HeldWeight, ...]
    traffic: tuple[Traffic, ...]
    memory: Mapping[str, int]
    states: int
    seconds: float

    @property
    def peak(self) -> int:
        """Bytes held at once, at most."""
        return sum(self.memory.values())


@dataclass(frozen=True)
class DryRun:
    """A layout and the ranks of it that stand for all."""

    model: ModelConfig
    config: TrainConfig
    ranks: tuple[Rank, ...] = field(default=())

    @property
    def layout(self) -> Layout:
        return self.config.layout

    @property
    def fullest(self) -> Rank:
        """The rank that needs most memory."""
        return max(self.ranks, key=lambda rank: rank.peak)


def dry_run(
    config: TrainConfig,
    model: ModelConfig,
    layouts: Sequence[Layout],
    *,
    workers: int = 1,
    every: bool = False,
    progress: Progress | None = None,
) -> list[DryRun]:
    """One step of each layout. ConfigError, before anything is built, for one that cannot train this model on this batch.

    `workers`: processes that share the ranks; 1 does them here. `every`: make every micro-batch, see `_whole`.
    """
    if dist.is_initialized():
        raise ConfigError("a dry run pretends the processes; start it without torchrun")
    configs = [replace(config, layout=layout) for layout in layouts]
    for one in configs:
        one.layout.check(model, one.batch, one.context)
    jobs = [(one, model, rank, every) for one in configs for rank in representatives(model, one)]
    progress = progress or Progress()
    found: dict[tuple[Layout, int], Rank] = {}
    for one, rank in _each(jobs, workers):
        found[one.layout, rank.rank] = rank
        progress.log(f"dry run of {one.layout}: rank {rank.rank} of {one.layout.world}, {rank.seconds:.0f} s")
    return [DryRun(model, c, tuple(r for (layout, _), r in found.items() if layout == c.layout)) for c in configs]


def _each(jobs: Sequence[tuple[TrainConfig, ModelConfig, int, bool]], workers: int) -> Iterator[tuple[TrainConfig, Rank]]:
    if workers <= 1 or len(jobs) == 1:
        yield from ((job[0], run_rank(*job)) for job in jobs)
        return
    with ProcessPoolExecutor(
        min(workers, len(jobs)), get_context("spawn"), initializer=end_with, initargs=(os.getpid(),), max_tasks_per_child=1
    ) as pool:
        try:
            runs = [pool.submit(run_rank, *job) for job in jobs]
            for job, run in zip(jobs, runs, strict=True):
                yield job[0], run.result()
        except BaseException:
            for process in active_children():  # nobody waits for their results any more
                process.kill()
            raise


def representatives(model: ModelConfig, config: TrainConfig) -> list[int]:
    """Ranks that stand for all: see the module's docstring."""
    layout = config.layout
    kernels = FUSED if model.block == "gpt" else EAGER  # of the gpt block only these are known; the order of places is the same
    planned = [
        memory(model, layout, config.batch, config.context, kernels, 0.0, share, config.optimizer).total
        for share in shares(model, layout)
    ]
    places = sorted({0, planned.index(max(planned)), layout.pipeline - 1})
    return [place * layout.data * layout.tensor for place in places]


def run_rank(config: TrainConfig, model: ModelConfig, rank: int, every: bool = False) -> Rank:
    """One step of this rank of `config.layout`; `every`: make every micro-batch."""
    started = time.monotonic()
    layout = config.layout
    with _pretended(layout, rank) as place:
        groups = {str(place.mesh.get_group(name).group_name): name for name in (PIPELINE, DATA, TENSOR)}
        if config.optimizer == "muon":  # made here, because fake tensors cannot tell which ranks are in a group
            groups.setdefault(str(place.owners.group_name), OWNERS)
        meter = TrafficMeter(groups)
        parts = parallelize(model, place, config.precision, compiled=False)
        with FakeTensorMode(allow_non_fake_inputs=True), meter.watching():
            for part in parts.values():
                materialise(part, place.device, None)
            learner = ParallelLearner(config, model, place, parts, 0 if config.mask_documents else None)
            states, held = frozenset(meter.live), meter.now
            shards = tuple(_shard(name, weight) for name, weight in learner.masters.items())

            def step(micro_batches: int) -> StepTraffic:
                tokens = torch.zeros(micro_batches * layout.micro(config.batch), config.context + 1, dtype=torch.int64)
                meter.begin()
                learner.backward(tokens)
                learner.apply(0.0)
                return StepTraffic(meter.traffic, _kinds(meter, states, shards, model, layout))

            whole = _whole(step, layout, layout.micro_batches(config.batch), every)
        return Rank(
            rank=rank,
            place=place.mesh.get_local_rank(PIPELINE),
            blocks=tuple(block for stage in place.stages for block in cut(model, layout.stages)[stage]),
            shards=shards,
            traffic=tuple(sorted(whole.traffic.values(), key=lambda row: (row.dimension, row.kind))),
            memory=whole.memory,
            states=held,
            seconds=time.monotonic() - started,
        )


def _whole(step: Callable[[int], StepTraffic], layout: Layout, count: int, every: bool) -> StepTraffic:
    """The step of `count` micro-batches, from two short ones unless `every`.

    Once the pipeline is full each further micro-batch (each round, in schedules that work in rounds) does the same again: it
    sends as much, and keeps nothing but what torch's pipeline receives into. A test makes them all and finds the same. Under zero
    bubble a pipeline takes longer to fill, so all are made.
    """
    rounds = layout.pipeline if layout.schedule != "1f1b" else 1
    short = 2 * layout.pipeline if rounds > 1 else layout.pipeline + 1
    if every or layout.schedule == "zero-bubble" or count <= short + rounds:
        return step(count)
    first, second = step(short), step(short + rounds)
    times = (count - short) // rounds
    traffic = {}
    for key, row in second.traffic.items():
        before = first.traffic[key]
        traffic[key] = replace(
            row,
            count=before.count + times * (row.count - before.count),
            size=before.size + times * (row.size - before.size),
            sent=before.sent + times * (row.sent - before.sent),
        )
    return StepTraffic(
        traffic, {kind: first.memory[kind] + times * (size - first.memory[kind]) for kind, size in second.memory.items()}
    )


@contextmanager
def _pretended(layout: Layout, rank: int) -> Iterator[Place]:
    """This process as one of many that are not there."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=layout.world)
    try:
        with replaced(schedules._PipelineSchedule, "_warmup_p2p", _agreed):
            yield join(layout, torch.device("cpu"))
    finally:
        dist.destroy_process_group()
        _clear_sharding_prop_cache()  # type: ignore[no-untyped-call] # it knows groups that are gone, by the ranks that are in them


def _agreed(schedule: object, stages: Sequence[PipelineStage], has_backward: bool, p2p_done: bool) -> None:
    """What stages agree on by sending each other votes, which nobody would answer: all were told their shapes."""
    for stage in stages:
        stage._inference_mode = InferenceMode.STATIC


def _shard(name: str, weight: torch.Tensor) -> HeldWeight:
    assert isinstance(weight, DTensor)
    names = weight.device_mesh.mesh_dim_names or ()
    cuts = [f"{name} on {dim}" for dim, name in zip(names, map(_placement, weight.placements), strict=True)]
    return HeldWeight(name, tuple(weight.shape), ", ".join(cuts), tuple(weight.to_local().shape))


def _placement(placement: object) -> str:
    dim = getattr(placement, "dim", None)
    return "whole" if dim is None else f"cut {dim}"


def _kinds(
    meter: TrafficMeter, states: frozenset[int], shards: Sequence[HeldWeight], model: ModelConfig, layout: Layout
) -> dict[str, int]:
    """Bytes at the peak by the planner's kinds. What a storage is for is told by when it was made, and as what shape.

    fully_shard gathers weights into flat storages; the sum of a gradient has the shape of its weight; torch's pipeline keeps what
    it receives into for the next step. `other` is what backward passes have under way.
    """
    split = range(1, layout.tensor + 1, max(1, layout.tensor - 1))  # whole, or this process's part of one dimension
    weights = {
        tuple(size // (n if cut == place else 1) for place, size in enumerate(s.whole))
        for s in shards for n in split for cut in range(len(s.whole))
    }  # fmt: skip
    columns = {model.vocabulary, model.vocabulary // layout.tensor}

    def kind(number: int, held: Held) -> str:
        if number in states:
            return "optimiser"
        if held.backward and held.shape in weights and held.dtype == torch.float32:
            return "gradients"
        if len(held.shape) > 1 and held.shape[-1] in columns:
            return "logits"
        if held.backward:
            return "other"
        if len(held.shape) == 1:
            return "weights"
        return "received" if meter.live.get(number) is held else "activations"

    found = dict.fromkeys(KINDS, 0)
    for number, held in meter.at_peak().items():
        found[kind(number, held)] += held.size
    return found
