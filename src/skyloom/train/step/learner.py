"""One optimisation step of a model: forward, backward, update. Report 3.6.

The loop knows a `Learner` and not how a step is spread over processes: one process (`SingleLearner`, here) or this process's
part of many (`distributed.ParallelLearner`) are driven by the same lines. A step is two calls, because what a batch did to the
loss is judged before it may change the weights: `measure`, then `apply` or `discard`.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor

from skyloom.core.errors import IntegrityError
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder, holding
from skyloom.score.nll import token_losses
from skyloom.train.config import TrainConfig
from skyloom.train.step.activations import recompute
from skyloom.train.step.machine import loss_function
from skyloom.train.step.optim import MEAN, SQUARE, MasterOptimizer, to_precision

Weights = Callable[[str], Tensor]
"""The whole first weight of a name, fp32."""


class Learner(Protocol):
    """A model in training, whole or this process's part of it. All processes call the same methods in the same order."""

    rank: int
    world: int
    replica: int
    """This process reads the rows replica, replica + replicas, … of each global batch."""
    replicas: int

    @property
    def busy(self) -> float:
        """Seconds that this process takes for what all do alike, waiting for no other: to find the slow ones by."""
        ...

    def begin(self, weights: Weights) -> None:
        """Set the weights, with moments of zero and no updates."""
        ...

    def measure(self, tokens: Tensor, step: int) -> tuple[float, float]:
        """Mean nats per token of the global batch, and the norm of the whole gradient before clipping; the same everywhere.

        tokens: int64[batch / replicas, context + 1]; `step`: a number that seeds the dropout, if the model has any.
        """
        ...

    def apply(self, rate: float) -> None:
        """Clip, update, and clear the gradient that was measured."""
        ...

    def discard(self) -> None:
        """Clear the gradient without an update."""
        ...

    def token_losses(self, tokens: Tensor) -> Tensor:
        """Nats of each token but the first, fp32[rows, width] on the host, for int64[rows, width + 1], the same everywhere."""
        ...

    def likeliest(self, tokens: Tensor) -> Tensor:
        """The token that each one is followed by most likely, int64[rows, width] on the host, the same everywhere."""
        ...

    def whole(self) -> Decoder | None:
        """The model with its fp32 masters (not copies), or None where no process has all of it."""
        ...

    def state(self) -> dict[str, Tensor]:
        """The fp32 masters by name and the moments as `<name>.mean` and `<name>.square` (Muon has no square): not copies;
        DTensors where cut."""
        ...

    def load(self, updates: int) -> None:
        """Go on after the tensors of `state` were filled from a checkpoint that was made after so many updates."""
        ...

    @property
    def updates(self) -> int:
        """Updates applied so far, all stages together."""
        ...


class SingleLearner:
    """The whole model in one process, on `device`. See `Learner`."""

    rank, world, replica, replicas = 0, 1, 0, 1

    def __init__(
        self, config: TrainConfig, model: ModelConfig, *, compiled: bool, bos_id: int, device: torch.device | str = "cpu"
    ) -> None:
        with torch.device(device):
            self.model = Decoder(model)
        recompute(self.model, config.layout.recompute)
        self.busy = 0.0
        self._seed, self._bos = config.seed, bos_id if config.mask_documents else None
        self._micro = config.layout.micro(config.batch)
        self._device = torch.device(device)
        masters = {name: weight.detach() for name, weight in self.model.named_parameters()}
        self.optimiser = MasterOptimizer(to_precision(self.model, config.precision), masters, config)
        self.optimiser.restart()
        self._loss = loss_function(compiled)

    def begin(self, weights: Weights) -> None:
        with torch.no_grad():
            for name, master in self.optimiser.weights().items():
                master.copy_(weights(name))
        self.optimiser.restart()
        self.load(0)

    def measure(self, tokens: Tensor, step: int) -> tuple[float, float]:
        started = time.perf_counter()
        if self.model.config.dropout:
            torch.manual_seed(int.from_bytes(hashlib.sha256(f"{self._seed}:dropout:{step}".encode()).digest()[:8], "little"))
        total = torch.zeros((), device=self._device)
        pieces = torch.split(tokens.to(self._device), self._micro)
        for piece in pieces:
            value = self._loss(self.model, piece, documents_of(piece, self._bos))
            share = len(piece) / len(tokens)
            torch.autograd.backward(value if len(pieces) == 1 else value * share)
            if len(pieces) > 1:
                self.optimiser.collect()
            total += value.detach() * share
        norm = self.optimiser.norm()
        self.busy = time.perf_counter() - started
        return float(total), norm

    def apply(self, rate: float) -> None:
        self.optimiser.apply(rate)

    def discard(self) -> None:
        self.optimiser.discard()

    @torch.no_grad()
    def token_losses(self, tokens: Tensor) -> Tensor:
        """With the fp32 masters, which are what is released, and plain eager code, which takes windows of any length."""
        tokens = tokens.to(self._device)
        return token_losses(self._logits(tokens[:, :-1]), tokens[:, 1:]).cpu()

    @torch.no_grad()
    def likeliest(self, tokens: Tensor) -> Tensor:
        return self._logits(tokens.to(self._device)).argmax(-1).cpu()

    def _logits(self, tokens: Tensor) -> Tensor:
        self.model.eval()
        logits: Tensor = torch.func.functional_call(self.model, self.optimiser.weights(), (tokens,))
        self.model.train()
        return logits

    def whole(self) -> Decoder:
        return holding(self.model.config, self.optimiser.weights())

    def state(self) -> dict[str, Tensor]:
        return {**self.optimiser.weights(), **self.optimiser.moments()}

    def load(self, updates: int) -> None:
        self.optimiser.refresh(updates)

    @property
    def updates(self) -> int:
        return self.optimiser.updates


def documents_of(tokens: Tensor, bos_id: int | None) -> Tensor | None:
    """int64[rows, width]: which document each input token belongs to, for int64[rows, width + 1]; None without a `bos_id`."""
    return None if bos_id is None else (tokens[:, :-1] == bos_id).cumsum(1)


def split_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights and moments of what `Learner.state` gives. IntegrityError if a weight lacks its mean (Muon keeps no mean square)."""
    ends = (f".{MEAN}", f".{SQUARE}")
    weights = {name: tensor for name, tensor in state.items() if not name.endswith(ends)}
    moments = {name: tensor for name, tensor in state.items() if name.endswith(ends)}
    means, every = ({f"{name}.{end}" for name in weights for end in kept} for kept in ((MEAN,), (MEAN, SQUARE)))
    if not means <= set(moments) <= every:
        raise IntegrityError("weights and moments of a checkpoint do not belong together")
    return weights, moments
