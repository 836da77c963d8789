"""The layout planner: memory, speed, days and kWh of a training run before it is begun. Report 3.5.

`predict` answers for one layout, `search` for all that the machines allow: the best of each split of the machines, and why
the others fail, in groups. The parts are `planner.memory` (bytes), `planner.time` (seconds) and `planner.machines` (figures of
machines and the four fitted constants). `planner.table10` holds all of it against the report's measurements; every prediction
carries the error that was found there, or says that nothing was. Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NotRequired, TypedDict

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.planner.layout import RECOMPUTE, SCHEDULES, Layout
from skyloom.planner.layout_text import layout_text
from skyloom.planner.machines import CPU, GIB, TABLE10
from skyloom.planner.memory import EAGER, FUSED, Kernels, Memory, memory
from skyloom.planner.table10 import CONTEXT, MACHINE, PREDICTED, rows, validate
from skyloom.planner.time import Cluster, Seconds, step_seconds

CHUNKS = (2, 4)
"""Parts of the model on each rank that `search` tries for interleaved and zero-bubble pipelines."""
MICRO_BATCHES = (1, 2, 4, 8, 16, 32)
"""Sequences of a micro-batch that `search` tries."""


@dataclass(frozen=True)
class TrainingJob:
    """What is to be trained, on what. `batch`: sequences of a step; `tokens`: of the whole run. ConfigError if they contradict."""

    model: ModelConfig
    cluster: Cluster
    batch: int
    context: int
    tokens: float
    kernels: Kernels = FUSED
    optimizer: str = "adamw"

    def __post_init__(self) -> None:
        if self.context > self.model.context:
            raise ConfigError(f"a context of {self.context}, but the model is made for at most {self.model.context} tokens")
        if self.tokens < self.batch * self.context:
            raise ConfigError(
                f"{self.tokens:,.0f} tokens are less than one step of {self.batch} sequences of {self.context} tokens; "
                "give more tokens or a smaller batch"
            )

    def kernels_of(self, layout: Layout) -> Kernels:
        """A zero-bubble pipeline splits each backward pass, which compiled blocks cannot: it runs operation by operation."""
        return EAGER if layout.schedule == "zero-bubble" and layout.pipeline > 1 else self.kernels


class ErrorNote(TypedDict):
    """How far a prediction may be off, and what of the plan lies outside of what was measured."""

    validated: bool
    note: str
    outside: NotRequired[list[str]]
    table10: NotRequired[dict[str, float]]


class PlanJson(TypedDict):
    """What `skyloom plan --json` prints of a layout. Speeds of one that does not fit into memory are null."""

    layout: str
    name: str
    fits: bool
    tokens_per_gpu_per_s: float | None
    mfu: float | None
    tflops: float | None
    memory_gib: float
    days: float | None
    kwh: float | None
    step_seconds: float | None
    reason: str
    memory: dict[str, float]
    seconds: dict[str, float] | None
    error: ErrorNote


@dataclass(frozen=True)
class LayoutPlan:
    """One layout: whether it fits, and what a step takes and needs."""

    job: TrainingJob
    layout: Layout
    memory: Memory
    seconds: Seconds
    reason: str

    @property
    def memory_gib(self) -> float:
        """On the process that needs most."""
        return self.memory.total / GIB

    @property
    def fits(self) -> bool:
        return self.memory_gib <= self.job.cluster.machine.memory_gib

    @property
    def tokens_per_gpu_per_s(self) -> float:
        return self.job.batch * self.job.context / self.job.cluster.world / self.seconds.total

    @property
    def tflops(self) -> float:
        """Of one accelerator: 6·(N − input embedding) + 12·layers·heads·head_dim·context FLOPs for each token."""
        return self.tokens_per_gpu_per_s * self.job.model.flops_per_token(self.job.context) / 1e12

    @property
    def mfu(self) -> float:
        return self.tflops / self.job.cluster.machine.tflops

    @property
    def days(self) -> float:
        return self.job.tokens / (self.tokens_per_gpu_per_s * self.job.cluster.world) / 86400

    @property
    def kwh(self) -> float:
        return self.days * 24 * self.job.cluster.world * self.job.cluster.machine.watts / 1000

    def to_json(self) -> PlanJson:
        """What `skyloom plan --json` prints. Speeds of a layout that does not fit are null."""

        def speed(value: float, digits: int) -> float | None:
            return round(value, digits) if self.fits else None

        return {
            "layout": layout_text(self.layout),
            "name": str(self.layout),
            "fits": self.fits,
            "tokens_per_gpu_per_s": speed(self.tokens_per_gpu_per_s, 4),
            "mfu": speed(self.mfu, 4),
            "tflops": speed(self.tflops, 4),
            "memory_gib": round(self.memory_gib, 3),
            "days": speed(self.days, 4),
            "kwh": speed(self.kwh, 1),
            "step_seconds": speed(self.seconds.total, 5),
            "reason": self.reason,
            "memory": {name: round(value, 3) for name, value in self.memory.gib().items()},
            "seconds": {name: round(value, 5) for name, value in vars(self.seconds).items()} if self.fits else None,
            "error": error_note(self),
        }


class FailedLayouts(TypedDict):
    """Layouts that failed for the same reason: how many, one of them, and the least memory that one of them needs."""

    reason: str
    layouts: int
    example: str
    least_gib: NotRequired[float]


@dataclass(frozen=True)
class Search:
    """All layouts of a job: the fastest of each split that fits, fastest first, and the reasons of the others."""

    best: list[LayoutPlan]
    failed: list[FailedLayouts] = field(default_factory=list)
    nearest: LayoutPlan | None = None
    """The layout that needs least memory, where none fits."""
    tried: int = 0


def predict(job: TrainingJob, layout: Layout) -> LayoutPlan:
    """ConfigError for a layout that these machines or this batch cannot have; one that only lacks memory gives its reason."""
    if layout.world != job.cluster.world:
        raise ConfigError(
            f"{layout_text(layout)} is {layout.data} x {layout.tensor} x {layout.pipeline} = {layout.world} processes, but there "
            f"are {job.cluster.world} ({job.cluster.nodes} nodes of {job.cluster.per_node}); change one of them"
        )
    layout.check(job.model, job.batch, job.context)
    plan = _plan(job, layout)
    return plan if plan.fits else replace(plan, reason=_too_large(plan))


def _plan(job: TrainingJob, layout: Layout) -> LayoutPlan:
    kernels = job.kernels_of(layout)
    needed = memory(
        job.model, layout, job.batch, job.context, kernels, job.cluster.achieved.fixed_gib * GIB, optimizer=job.optimizer
    )
    seconds = step_seconds(job.model, layout, job.batch, job.context, kernels, job.cluster, job.optimizer)
    return LayoutPlan(job, layout, needed, seconds, "")


def search(job: TrainingJob, micro_batch: int = 0) -> Search:
    """All degrees, schedules, ways to compute again, and micro-batches (unless one is given)."""
    found: dict[tuple[int, int, int], LayoutPlan] = {}
    failed: dict[str, FailedLayouts] = {}
    nearest: LayoutPlan | None = None
    tried = 0
    for layout in _layouts(job, micro_batch):
        tried += 1
        try:
            layout.check(job.model, job.batch, job.context)
        except ConfigError as problem:
            _group(failed, str(problem), layout)
            continue
        plan = _plan(job, layout)
        if plan.fits:
            split = layout.data, layout.tensor, layout.pipeline
            if split not in found or plan.seconds.total < found[split].seconds.total:
                found[split] = plan
            continue
        largest = next(iter(plan.memory.gib()))
        needs = f"needs more than the {job.cluster.machine.memory_gib:.1f} GiB of {job.cluster.machine.name}, most of it {largest}"
        _group(failed, needs, layout, plan.memory_gib)
        if nearest is None or plan.memory.total < nearest.memory.total:
            nearest = plan
    best = sorted(found.values(), key=lambda plan: plan.seconds.total)
    if not best and nearest is not None:
        nearest = replace(nearest, reason=_too_large(nearest))
    return Search(best, sorted(failed.values(), key=lambda row: -row["layouts"]), None if best else nearest, tried)


def _group(failed: dict[str, FailedLayouts], reason: str, layout: Layout, gib: float | None = None) -> None:
    """Count a failure under its reason; reasons that differ only in numbers are one, told by the first example."""
    key = re.sub(r"[\d,.]+", "#", reason)
    row = failed.setdefault(key, {"reason": reason, "layouts": 0, "example": layout_text(layout)})
    row["layouts"] += 1
    if gib is not None:
        row["least_gib"] = round(min(gib, row.get("least_gib", gib)), 1)


def _layouts(job: TrainingJob, micro_batch: int) -> Iterator[Layout]:
    world = job.cluster.world
    for tensor in _divisors(world):
        if tensor > job.cluster.per_node:
            continue  # every block would wait for the network eight times
        for pipeline in _divisors(world // tensor):
            if pipeline > job.model.layers:
                continue
            data = world // tensor // pipeline
            mine = job.batch // data
            micros = [micro_batch] if micro_batch else [size for size in MICRO_BATCHES if size <= max(1, mine)]
            for micro in micros:
                for schedule, chunks in _orders(pipeline):
                    for again in RECOMPUTE:
                        yield Layout(
                            data=data, tensor=tensor, pipeline=pipeline, micro_batch=micro,
                            schedule=schedule, chunks=chunks, recompute=again,
                        )  # fmt: skip


def _orders(pipeline: int) -> list[tuple[str, int]]:
    """Schedules with their chunks; a pipeline of one stage has one."""
    if pipeline == 1:
        return [("1f1b", 2)]
    return [("1f1b", 2), *((schedule, chunks) for schedule in SCHEDULES if schedule != "1f1b" for chunks in CHUNKS)]


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _too_large(plan: LayoutPlan) -> str:
    """Why a layout does not fit, its largest parts, and the changes that would make it fit."""
    machine = plan.job.cluster.machine
    parts = ", ".join(f"{name} {gib:.1f}" for name, gib in list(plan.memory.gib().items())[:3])
    head = f"needs {plan.memory_gib:.1f} GiB, {machine.name} has {machine.memory_gib:.1f} ({parts} GiB)"
    ways = [text for text, layout in _changes(plan.layout, plan.job) if _would_fit(plan.job, layout)]
    if ways:
        return f"{head}; it fits with {', or '.join(ways[:3])}"
    return f"{head}; no single change of the layout makes it fit: split the model further, or take more or larger accelerators"


def _changes(layout: Layout, job: TrainingJob) -> list[tuple[str, Layout]]:
    """One thing changed at a time, cheapest first."""
    micro = layout.micro(job.batch)
    changes = []
    if micro > 1:
        changes.append((f"micro={micro // 2}", replace(layout, micro_batch=micro // 2)))
    if not layout.zero and layout.data > 1:
        changes.append(("zero=true", replace(layout, zero=True)))
    for factor in (2, 4, 8):
        if layout.data % factor == 0:
            fewer = layout.data // factor
            for name, wider in (("pp", "pipeline"), ("tp", "tensor")):
                degree = getattr(layout, wider) * factor
                if name == "pp" or degree <= job.cluster.per_node:
                    changes.append((f"dp={fewer},{name}={degree}", replace(layout, **{"data": fewer, wider: degree})))
    return [*changes, *((f"recompute={r}", replace(layout, recompute=r)) for r in RECOMPUTE[1:] if layout.recompute == "none")]


def _would_fit(job: TrainingJob, layout: Layout) -> bool:
    try:
        layout.check(job.model, job.batch, job.context)
    except ConfigError:
        return False
    return _plan(job, layout).fits


@cache
def _table10_errors() -> dict[str, float]:
    found = validate()
    return {
        "throughput_mean_percent": round(100 * found.tokens_mean, 2),
        "throughput_max_percent": round(100 * found.tokens_most, 2),
        "memory_mean_percent": round(100 * found.memory_mean, 2),
        "memory_max_percent": round(100 * found.memory_most, 2),
    }


def error_note(plan: LayoutPlan) -> ErrorNote:
    """How far this prediction may be off: the error on Table 10's Skywork rows, and what of this plan lies outside of them."""
    job, layout = plan.job, plan.layout
    machine, found = job.cluster.machine, _table10_errors()
    outside = []
    if machine.name == CPU:
        return {
            "validated": False,
            "note": "not validated for this model and machine: from this CPU's own rates, measured just now; two small models on "
            "two cores were predicted 8 % too fast (docs/11-planner.md)",
        }
    if machine != MACHINE:
        outside.append(f"machine {machine.name}" if machine.name != MACHINE.name else "other figures of the machine")
    if job.cluster.achieved != TABLE10:
        outside.append("other constants than the fitted ones")
    if job.kernels_of(layout) is not FUSED:
        outside.append("kernels eager")
    if layout.pipeline > 1 and layout.schedule != "1f1b":
        outside.append(f"schedule {layout.schedule}")
    if layout.recompute != "none":
        outside.append(f"recompute {layout.recompute}")
    if not layout.zero:
        outside.append("no ZeRO-1")
    if job.optimizer != "adamw":
        outside.append(f"optimizer {job.optimizer}")
    if job.cluster.world < 2 * job.cluster.per_node:
        outside.append("a single node")
    usual = rows(PREDICTED)[0].layout
    if layout.micro(job.batch) != usual.micro_batch or job.context != CONTEXT:
        outside.append("another micro-batch or context")
    if not 0.5 < job.model.parameters / 13.4e9 < 2:
        outside.append("a model of another size than 13 B")
    where = (
        f"constants fitted on Table 10's LLaMA2-13B; on its Skywork-13B throughput is off by {found['throughput_mean_percent']} % "
        f"on average and {found['throughput_max_percent']} % at most, memory by {found['memory_mean_percent']} % and "
        f"{found['memory_max_percent']} %"
    )
    note = f"not validated: outside of what was measured by {', '.join(outside)} ({where})" if outside else f"validated: {where}"
    spare = 1 - plan.memory_gib / machine.memory_gib
    if 0 <= spare < found["memory_max_percent"] / 100:
        note += f"; it fits with only {machine.memory_gib - plan.memory_gib:.1f} GiB to spare, less than that error: try it first"
    return {"validated": not outside, "note": note, "outside": outside, "table10": found}
