"""One optimisation step spread over many processes: data, tensor and pipeline parallel AdamW or Muon. Report 3.5.

What one process computes with `optim.MasterOptimizer`, a mesh of processes computes here, whatever the layout: the same first
weights, the same loss and gradient norm (up to the order of additions), the same update. Masters and moments are DTensors
under the names of the whole model, so a checkpoint of one layout can be read by any other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from skyloom.core.errors import ConfigError
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder
from skyloom.planner.layout import Layout
from skyloom.train.config import TrainConfig
from skyloom.train.distributed.mesh import Place, join
from skyloom.train.distributed.pipeline import Pipeline, Reading, Runner, Whole, likeliest_of, losses_of
from skyloom.train.distributed.shard import materialise, parallelize
from skyloom.train.distributed.whole_matrices import Exchange
from skyloom.train.step import MEAN, SQUARE, Muon, Weights, probe, takes_muon


class ParallelLearner:
    """One process's share of a model in training. All processes make the same calls in the same order."""

    def __init__(
        self, config: TrainConfig, model: ModelConfig, place: Place, parts: dict[int, Decoder], bos_id: int | None
    ) -> None:
        layout = place.layout
        self.config, self.model, self.place, self.parts, self.bos_id = config, model, place, parts, bos_id
        self.rank, self.world = place.rank, layout.world
        self.replica, self.replicas = place.replica, layout.data
        self.updates = 0
        self._busy = self._norm = 0.0
        micro = layout.micro(config.batch)
        self.runner: Runner
        if layout.pipeline == 1:
            self.runner = Whole(parts[0], micro)
        else:
            dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
            self.runner = Pipeline(parts, place, model, micro, dtype)
        self.masters = dict(self._named())
        matrices = {
            n: m for n, m in self.masters.items() if config.optimizer == "muon" and takes_muon(n, m) and isinstance(m, DTensor)
        }
        self.means = {name: torch.zeros_like(matrix, requires_grad=False) for name, matrix in matrices.items()}
        self.muon = self._muon(matrices)
        others = {name: master for name, master in self.masters.items() if name not in matrices}
        groups = [
            {"params": [m for m in others.values() if m.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [m for m in others.values() if m.dim() < 2], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(
            [g for g in groups if g["params"]], lr=0.0, betas=(config.beta1, config.beta2), eps=config.eps, fused=True
        )
        for master in others.values():  # AdamW would make them at its first step; a checkpoint is read before it
            self.adam.state[master] = {
                "step": torch.zeros((), dtype=torch.float32, device=place.device),
                "exp_avg": torch.zeros_like(master),
                "exp_avg_sq": torch.zeros_like(master),
            }

    def _muon(self, matrices: Mapping[str, DTensor]) -> Muon | None:
        """Muon over this process's parts, or None where AdamW takes all."""
        if self.config.optimizer != "muon":
            return None
        return Muon(
            {name: matrix.to_local().detach() for name, matrix in matrices.items()},
            {name: mean.to_local() for name, mean in self.means.items() if isinstance(mean, DTensor)},
            {name: tuple(matrix.shape) for name, matrix in matrices.items()},
            self.config,
            Exchange(matrices, self.place),
        )

    @classmethod
    def build(
        cls,
        config: TrainConfig,
        model: ModelConfig,
        place: Place,
        *,
        bos_id: int | None = None,
        compiled: bool = False,
        blank: bool = False,
    ) -> ParallelLearner:
        """The share of the process that stands at `place`. ConfigError if its layout cannot train this model on this batch.

        `bos_id`: attention stays within documents, which begin with this token; None: it crosses their borders. `blank`: leave
        the weights to a checkpoint.
        """
        place.layout.check(model, config.batch, config.context)
        if compiled:
            _check_compiled(place.layout)
        parts = parallelize(model, place, config.precision, compiled)
        for part in parts.values():
            materialise(part, place.device, None if blank else config.seed)
        return cls(config, model, place, parts, bos_id)

    def begin(self, weights: Weights) -> None:
        """Set this process's share of the weights `weights(name)`, with moments of zero and no updates."""
        with torch.no_grad():
            for name, master in self.masters.items():
                assert isinstance(master, DTensor)
                whole = weights(name).to(self.place.device)
                master.copy_(distribute_tensor(whole, master.device_mesh, master.placements, src_data_rank=None))
        for name, tensor in self.state().items():
            if name not in self.masters:
                tensor.zero_()
        self.load(0)

    def measure(self, tokens: Tensor, step: int = 0) -> tuple[float, float]:
        """Forward and backward for this replica's rows int64[batch / replicas, context + 1]; nothing is updated yet.

        Returns mean nats per token over the whole batch and the norm of the whole gradient, the same on all processes.
        """
        started = time.process_time()  # not the clock on the wall, by which all wait for the slowest
        mean, square = self.backward(tokens, step).tolist()
        self._norm = square**0.5
        self._busy = time.process_time() - started
        return mean, self._norm

    def backward(self, tokens: Tensor, step: int = 0) -> Tensor:
        """What `measure` does, before its result is looked at: float64[2], the mean and the square of the norm."""
        if self.model.dropout:  # a function of seed, step and rank, so that a run that goes on draws the same
            torch.manual_seed((self.config.seed * 1_000_003 + step) * 100_003 + self.rank)
        tokens = tokens.to(self.place.device)
        documents = None if self.bos_id is None else (tokens[:, :-1] == self.bos_id).cumsum(1)
        loss = self.runner.train(tokens, documents) / (self.replicas * self.place.layout.tensor)
        totals = torch.stack((loss.double(), self._square()))
        dist.all_reduce(totals)
        return totals

    @property
    def busy(self) -> float:
        """See `Learner`. An accelerator's share of a step cannot be told from its waiting, so it is given a task of its own."""
        return self._busy if self.place.device.type == "cpu" else probe(self.place.device)

    def _square(self) -> Tensor:
        """This process's share of the gradient's squared norm, float64: what several processes hold counts once in all."""
        weights, gradients = [], []
        for master in self.masters.values():
            if isinstance(master.grad, DTensor):
                mesh, placements = master.grad.device_mesh, master.grad.placements
                copies = [mesh.size(dim) for dim, placement in enumerate(placements) if placement.is_replicate()]
                weights.append(1 / math.prod(copies))
                gradients.append(master.grad.to_local())
        norms = torch.stack(torch._foreach_norm(gradients)).double()
        return (norms.square() * torch.tensor(weights, dtype=torch.float64, device=norms.device)).sum()

    def apply(self, rate: float) -> None:
        """Clip the gradient that `measure` left, update masters and moments, clear the gradient."""
        scale = min(1.0, self.config.clip / (self._norm + 1e-6))
        torch._foreach_mul_([m.grad.to_local() for m in self.masters.values() if isinstance(m.grad, DTensor)], scale)
        for group in self.adam.param_groups:
            group["lr"] = rate
        if self.muon is not None:
            gradients = {name: self.masters[name].grad for name in self.means}
            self.muon.step(rate, {n: g.to_local() for n, g in gradients.items() if isinstance(g, DTensor)})
            for name in self.means:
                self.masters[name].grad = None
        self.adam.step()
        self.updates += 1
        self.discard()

    def discard(self) -> None:
        """Clear the gradient without an update."""
        for master in self.masters.values():
            master.grad = None

    def token_losses(self, tokens: Tensor) -> Tensor:
        """Nats fp32[rows, width] of int64[rows, width + 1], both the same on all processes; replicas share the rows.

        In the precision of training, unlike a single process's monitor, which scores with the fp32 masters.
        """
        return self._read(tokens, losses_of)

    def likeliest(self, tokens: Tensor) -> Tensor:
        """See `Learner`; as `token_losses`."""
        behind = torch.nn.functional.pad(tokens, (0, 1))  # what is read is one shorter than what is handed over
        return self._read(behind, likeliest_of).round().long()

    def whole(self) -> None:
        """No process has all of the model."""

    def _read(self, tokens: Tensor, reading: Reading) -> Tensor:
        """What is read of the logits before each token but the first, fp32[rows, width] for int64[rows, width + 1]."""
        count, width = tokens.shape[0], tokens.shape[1] - 1
        rows = max(
            1, self.place.layout.micro(self.config.batch) * self.config.context // max(width, 1)
        )  # no larger than in training
        padded = torch.zeros(
            count + -count % self.replicas,
            width + 1 + -width % self.place.layout.tensor,
            dtype=torch.int64,
            device=self.place.device,
        )
        padded[:count, : width + 1] = tokens
        found = torch.zeros(len(padded), padded.shape[1] - 1, device=self.place.device)
        found[self.replica :: self.replicas] = self.runner.score(padded[self.replica :: self.replicas], rows, reading)
        dist.all_reduce(found)
        return (found[:count, :width] / self.place.layout.tensor).cpu()

    def state(self) -> dict[str, Tensor]:
        """fp32 masters `<name>` and moments `<name>.mean`, `<name>.square` (not copies; Muon has no square) of its stages."""
        result: dict[str, Tensor] = {}
        for name, master in self.masters.items():
            if name in self.means:
                result |= {name: master.detach(), f"{name}.{MEAN}": self.means[name]}
                continue
            state = self.adam.state[master]
            result |= {name: master.detach(), f"{name}.{MEAN}": state["exp_avg"], f"{name}.{SQUARE}": state["exp_avg_sq"]}
        return result

    def load(self, updates: int) -> None:
        """Go on after `updates` updates; the tensors of `state()` were filled in place."""
        self.updates = updates
        for state in self.adam.state.values():
            state["step"].fill_(float(updates))

    def _named(self) -> Iterator[tuple[str, nn.Parameter]]:
        for part in self.parts.values():
            yield from part.named_parameters()


def share_of_many(config: TrainConfig, model: ModelConfig, compiled: bool, bos_id: int) -> ParallelLearner:
    """This process's part of `model` under the layout of `config`; the loop sets its weights. See `loop.MakeLearner`."""
    masked = bos_id if config.mask_documents else None
    return ParallelLearner.build(config, model, join(config.layout), bos_id=masked, compiled=compiled, blank=True)


def _check_compiled(layout: Layout) -> None:
    """ConfigError where torch cannot compile what the layout needs (found with torch 2.13)."""
    if layout.pipeline > 1 and layout.schedule == "zero-bubble":
        raise ConfigError(
            "a compiled block gives all its gradients at once, and a zero-bubble pipeline lives from taking them apart; set "
            "train.compile to 'off' or use another schedule"
        )
    if layout.tensor > 1 and layout.recompute == "selective":
        raise ConfigError(
            "torch cannot compile selective recomputation under tensor parallelism; set train.compile to 'off', or recompute "
            "to 'none' or 'full'"
        )
