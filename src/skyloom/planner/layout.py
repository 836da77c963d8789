"""The parallel layout of a training step: degrees, schedule, recomputation, and what they must satisfy.

world = data · pipeline · tensor. The global batch is the same for every layout: each of the `data` replicas takes
batch / data sequences, in micro-batches of `micro_batch`. It stands by itself so that reading a recipe and planning do not
import torch. Report 3.5, appendix B.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig

SCHEDULES = ("1f1b", "interleaved", "zero-bubble")
RECOMPUTE = ("none", "selective", "full")


@dataclass(frozen=True)
class Layout:
    """Degrees of parallelism. ConfigError if they contradict each other."""

    data: int = setting(1, doc="data-parallel replicas", low=1)
    zero: bool = setting(True, doc="ZeRO-1: replicas share the master weights and the optimiser's moments")
    pipeline: int = setting(1, doc="pipeline stages, each with a part of the blocks", low=1)
    tensor: int = setting(1, doc="tensor parallelism: processes that share each matrix, with sequence parallelism", low=1)
    micro_batch: int = setting(
        0, doc="sequences that go through the model at once; 0: all that a replica has", unit="sequences", low=0
    )
    schedule: str = setting("1f1b", doc="order of micro-batches in the pipeline", choices=SCHEDULES)
    chunks: int = setting(2, doc="parts of the model on each rank of an interleaved or zero-bubble pipeline", low=1)
    recompute: str = setting(
        "none", doc="activations computed again in the backward pass: none, selective (attention and norms), full (whole blocks)",
        choices=RECOMPUTE,
    )  # fmt: skip

    @property
    def world(self) -> int:
        """Processes, one for each accelerator."""
        return self.data * self.pipeline * self.tensor

    @property
    def stages(self) -> int:
        """Parts that the blocks are cut into."""
        return self.pipeline * (self.chunks if self.schedule != "1f1b" and self.pipeline > 1 else 1)

    def __str__(self) -> str:
        """As in the report's Table 10: DP128+TP2+PP2."""
        parts = [f"DP{self.data}", f"TP{self.tensor}" if self.tensor > 1 else "", f"PP{self.pipeline}" if self.pipeline > 1 else ""]
        return "+".join(p for p in parts if p)

    def micro(self, batch: int) -> int:
        """Sequences of a micro-batch, for a global batch of `batch` sequences."""
        return self.micro_batch or batch // self.data

    def micro_batches(self, batch: int) -> int:
        """Micro-batches of a replica in one step."""
        return batch // self.data // self.micro(batch)

    def check(self, model: ModelConfig, batch: int, context: int) -> None:
        """ConfigError that says what to change if this layout cannot train `model` on batches of that shape."""
        if batch % self.data:
            raise ConfigError(f"a batch of {batch} sequences cannot be shared by {self.data} replicas; make it a multiple of them")
        if (batch // self.data) % self.micro(batch):
            raise ConfigError(
                f"{batch // self.data} sequences of a replica cannot be cut into micro-batches of {self.micro_batch}; "
                "give a micro_batch that divides them"
            )
        if self.stages > model.layers:
            raise ConfigError(f"{model.layers} blocks cannot be cut into {self.stages} stages; use fewer stages or chunks")
        if self.pipeline > 1 and model.tied:
            raise ConfigError("a tied embedding would lie on two stages of the pipeline; use pipeline = 1 or an untied model")
        if self.pipeline > 1 and self.micro_batches(batch) < self.pipeline:
            raise ConfigError(
                f"a pipeline of {self.pipeline} needs at least as many micro-batches, a replica has {self.micro_batches(batch)}; "
                "make micro_batch smaller or the batch larger"
            )
        if self.pipeline > 1 and self.schedule != "1f1b" and self.micro_batches(batch) % self.pipeline:
            raise ConfigError(
                f"schedule {self.schedule} works in rounds of {self.pipeline} micro-batches, a replica has "
                f"{self.micro_batches(batch)}; make them a multiple, or use 1f1b"
            )
        for what, size in (("heads", model.heads), ("key heads", model.grouped_heads), ("vocabulary", model.vocabulary)):
            if size % self.tensor:
                raise ConfigError(f"tensor = {self.tensor} does not divide the {what} ({size:,}) evenly; choose a divisor of it")
        for what, size in (("ffn", model.ffn), ("train.context", context)):
            if size % self.tensor:
                raise ConfigError(f"tensor = {self.tensor} does not divide {what} ({size:,}) evenly; choose a divisor of it")


def cut(model: ModelConfig, stages: int) -> list[range]:
    """Numbers of the blocks of each stage of a pipeline: contiguous, and so that the slowest stage is as fast as it can be.

    The head costs the last stage the time of some blocks (1.03 for Skywork-13B), while looking up the embedding costs
    none; so the last stage gets fewer blocks if that gains at least 1 %. Where the others cannot be equal, the later ones
    get more: the first holds the embedding and most micro-batches in flight.
    """
    if stages == 1:
        return [range(model.layers)]
    head = model.embedding_parameters / (model.block_parameters + 2 * model.query_width * model.context)  # 1/6 of each one's FLOPs
    best, least = 0, float("inf")
    for last in range(max(1, model.layers // stages), 0, -1):
        slowest = max(-(-(model.layers - last) // (stages - 1)), last + head)
        if slowest < 0.99 * least:
            best, least = last, slowest
    few, more = divmod(model.layers - best, stages - 1)
    sizes = [few + (stage >= stages - 1 - more) for stage in range(stages - 1)] + [best]
    return [range(sum(sizes[:stage]), sum(sizes[: stage + 1])) for stage in range(stages)]
