"""Forward and backward passes over micro-batches, on one process or through a pipeline of stages. Report 3.5.

Two runners do the same: `Whole` where one process (or one group of tensor parallelism) has all blocks, `Pipeline` where
stages hand hidden states to each other under a schedule of torch.distributed.pipelining: 1F1B (Narayanan et al. 2019),
interleaved 1F1B (Narayanan et al. 2021) or zero bubble (Qi et al. 2023; torch's ScheduleInterleavedZeroBubble, which is
their ZB1P).

**Exact mean.** Every micro-batch has the same number of tokens, so the loss of one is its mean divided by the number of
micro-batches; their gradients add up to those of the replica's mean, and data parallelism averages over replicas of equal
size. So schedules must not scale gradients again.

**Gradients** add up whole and in fp32 on each process until the last micro-batch, and are reduced once (as in Megatron-LM's
ZeRO-1): 4 bytes for each parameter that the process has, which `plan` counts. Only a step of one micro-batch without a
pipeline reduces each block's gradient as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule
from torch.distributed.pipelining import (
    PipelineStage,
    Schedule1F1B,
    ScheduleInterleaved1F1B,
    ScheduleInterleavedZeroBubble,
)
from torch.distributed.pipelining.schedules import _PipelineSchedule
from torch.distributed.tensor import DTensor
from torch.distributed.tensor.parallel import loss_parallel

from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.score.nll import token_losses
from skyloom.train.distributed.mesh import PIPELINE, Place

SCHEDULES: dict[str, Callable[..., _PipelineSchedule]] = {
    "1f1b": Schedule1F1B,
    "interleaved": ScheduleInterleaved1F1B,
    "zero-bubble": ScheduleInterleavedZeroBubble,
}


Reading = Callable[[Tensor, Tensor], Tensor]
"""Logits and targets to fp32[rows, width]: `losses_of` or `likeliest_of`. The same on all processes that share the logits."""


class Runner(Protocol):
    """Tokens are int64[rows, width + 1], of this process's replica; rows are a multiple of the micro-batch's."""

    def train(self, tokens: Tensor, documents: Tensor | None) -> Tensor:
        """Forward and backward; gradients are reduced over replicas. Mean nats per token, 0 where the last stage is elsewhere.

        `documents`: int64[rows, width], see `Decoder.forward`.
        """
        ...

    def score(self, tokens: Tensor, rows: int, reading: Reading) -> Tensor:
        """What `reading` gives, fp32[rows, width], without gradients, `rows` at a time; 0 where the last stage is elsewhere."""
        ...


class Whole:
    """All blocks are here."""

    def __init__(self, model: Decoder, micro_batch: int) -> None:
        self.model, self.micro_batch = model, micro_batch

    def train(self, tokens: Tensor, documents: Tensor | None) -> Tensor:
        micro = torch.split(tokens, self.micro_batch)
        masks = [None] * len(micro) if documents is None else torch.split(documents, self.micro_batch)
        total = torch.zeros((), device=tokens.device)
        for number, (chunk, mask) in enumerate(zip(micro, masks, strict=True)):
            self._synchronise(number == len(micro) - 1)
            with loss_parallel():
                loss = losses_of(self.model(chunk[:, :-1], mask), chunk[:, 1:]).mean() / len(micro)
                torch.autograd.backward(loss)
            total += loss.detach()
        return total

    def _synchronise(self, last: bool) -> None:
        """Before the last micro-batch, keep weights gathered and gradients here."""
        assert isinstance(self.model, FSDPModule)
        self.model.set_requires_gradient_sync(last)
        self.model.set_reshard_after_backward(last)
        self.model.set_is_last_backward(last)

    def score(self, tokens: Tensor, rows: int, reading: Reading) -> Tensor:
        with _scoring([self.model]):
            return torch.cat([reading(self.model(chunk[:, :-1]), chunk[:, 1:]) for chunk in torch.split(tokens, rows)])


class Pipeline:
    """Some stages are here, the others on the other processes of the mesh's pp dimension."""

    def __init__(self, parts: dict[int, Decoder], place: Place, config: ModelConfig, micro_batch: int, dtype: torch.dtype) -> None:
        """`dtype`: of the hidden states that stages exchange."""
        self.parts, self.place, self.config, self.micro_batch, self.dtype = parts, place, config, micro_batch, dtype
        self.first = 0 in parts
        self._reading: Reading = losses_of
        self._schedules: dict[bool, tuple[tuple[int, int, int], _PipelineSchedule]] = {}  # one to train and the last one to score

    def train(self, tokens: Tensor, documents: Tensor | None) -> Tensor:
        count, width = len(tokens) // self.micro_batch, tokens.shape[1] - 1
        schedule = self._schedule(True, (count, self.micro_batch, width))
        losses: list[Tensor] = []
        inputs, targets = self._inputs(tokens), tokens[:, 1:]
        with loss_parallel():
            if documents is None:
                schedule.step(*inputs, target=targets, losses=losses, return_outputs=False)
            else:
                schedule.step(*inputs, target=targets, losses=losses, return_outputs=False, documents=documents)
        return torch.stack(losses).sum().detach() if losses else torch.zeros((), device=tokens.device)

    def score(self, tokens: Tensor, rows: int, reading: Reading) -> Tensor:
        self._reading = reading
        pipeline, (count, width) = self.place.layout.pipeline, tokens.shape
        rows = min(rows, -(-count // pipeline))  # the schedules need at least as many micro-batches as processes, in rounds of them
        padded = torch.cat((tokens, tokens.new_zeros(-count % (rows * pipeline), width)))
        schedule = self._schedule(False, (len(padded) // rows, rows, width - 1))
        losses: list[Tensor] = []
        with _scoring(self.parts.values()):
            schedule.eval(*self._inputs(padded), target=padded[:, 1:], losses=losses, return_outputs=False)
        return torch.cat(losses)[:count] if losses else torch.zeros(count, width - 1, device=tokens.device)

    def _inputs(self, tokens: Tensor) -> tuple[Tensor, ...]:
        return (tokens[:, :-1],) if self.first else ()

    def _schedule(self, training: bool, shape: tuple[int, int, int]) -> _PipelineSchedule:
        """The schedule for so many micro-batches of [rows, width]."""
        if training not in self._schedules or self._schedules[training][0] != shape:
            count, rows, width = shape

            def loss(logits: Tensor, targets: Tensor) -> Tensor:
                return losses_of(logits, targets).mean() / count if training else self._reading(logits, targets)

            stages = [self._stage(number, rows, width) for number in self.parts]
            kind = self.place.layout.schedule
            made = SCHEDULES[kind](stages[0] if kind == "1f1b" else stages, count, loss_fn=loss, scale_grads=False)
            self._schedules[training] = shape, made
        return self._schedules[training][1]

    def _stage(self, number: int, rows: int, width: int) -> PipelineStage:
        """A stage told what it receives and sends; otherwise torch would find out by a trial run."""
        layout = self.place.layout
        tokens = torch.empty(rows, width, dtype=torch.int64, device="meta")
        hidden = torch.empty(rows, width // layout.tensor, self.config.hidden, dtype=self.dtype, device="meta", requires_grad=True)
        logits = torch.empty(rows, width, self.config.vocabulary, dtype=self.dtype, device="meta", requires_grad=True)
        last = number == layout.stages - 1
        return PipelineStage(
            self.parts[number],
            number,
            layout.stages,
            self.place.device,
            input_args=tokens if number == 0 else hidden,
            output_args=logits if last else hidden,
            group=self.place.mesh.get_group(PIPELINE),
        )


def losses_of(logits: Tensor, targets: Tensor) -> Tensor:
    """`token_losses`, also of logits that are split by vocabulary (within `loss_parallel`)."""
    losses = token_losses(logits, targets)
    return losses.to_local() if isinstance(losses, DTensor) else losses


def likeliest_of(logits: Tensor, targets: Tensor) -> Tensor:
    """The number of the largest logit at each place; fp32 holds numbers below 2²⁴ exactly."""
    whole = logits.full_tensor() if isinstance(logits, DTensor) else logits
    return whole.argmax(-1).float()


@contextmanager
def _scoring(parts: Collection[Decoder]) -> Iterator[None]:
    """No gradients, no dropout, uncompiled (any shape).

    Afterwards gathered weights are let go, for an update may follow, and gradients are put back, which torch clears where it
    prepares a schedule.
    """
    gradients = [(weight, weight.grad) for part in parts for weight in part.parameters()]
    for part in parts:
        part.eval()
    try:
        with torch.no_grad(), loss_parallel(), torch.compiler.set_stance("force_eager"):
            yield
    finally:
        for part in parts:
            part.train()
            for module in part.modules():
                if isinstance(module, FSDPModule):
                    module.reshard()
        for weight, gradient in gradients:
            weight.grad = gradient
