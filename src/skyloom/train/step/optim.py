"""AdamW, or Muon with AdamW, over fp32 master weights for a model that computes in bf16. Report 3.6.

The matrices that are multiplied are kept twice: in bf16 for the forward and backward pass, in fp32 where the optimiser
adds its small steps, which bf16's 8 bits of mantissa would lose. The embedding and the gains stay in fp32 only: they are
not multiplied, and the gradient of a frequent token is a sum of hundreds of terms. In fp32 training nothing is kept
twice. AdamW's update is torch's fused kernel: one vectorised pass over weights and moments. Muon takes the matrices of the blocks
where it is chosen (`step.muon`).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from skyloom.core.errors import IntegrityError
from skyloom.model.decoder import Decoder
from skyloom.train.config import TrainConfig
from skyloom.train.step.muon import Muon, takes_muon

MEAN, SQUARE = "mean", "square"
PART = 1 << 26
"""Numbers that are updated at a time: their gradients take 256 MiB in fp32, and not 27 GB beside a model of 7 B."""


def to_precision(model: Decoder, precision: str) -> Decoder:
    """Round all multiplied matrices of `model`, and their biases, to bf16 in place ("bf16"), or leave the model as it is ("fp32").

    An embedding that is the output matrix too (`tied`) stays in fp32 and is rounded where it is multiplied.
    """
    if precision == "bf16":
        for module in model.modules():
            if isinstance(module, torch.nn.Linear) and not (module is model.head and model.config.tied):
                for weight in module.parameters():
                    weight.data = weight.data.bfloat16()
    return model


class MasterOptimizer:
    """AdamW (Loshchilov and Hutter 2019), or Muon for the blocks' matrices: decay of matrices, clipping of the whole gradient, fp32
    masters."""

    def __init__(self, model: Decoder, masters: Mapping[str, Tensor], config: TrainConfig) -> None:
        """`masters`: fp32 weights by name; the model's weights are set to them, rounded to their dtype.

        Those of weights in another dtype are kept, not copied. Everything lies where the model's weights lie.
        """
        self.clip = config.clip
        self.parameters = dict(model.named_parameters())
        if set(masters) != set(self.parameters):
            raise IntegrityError(f"weights and model differ: {sorted(set(masters) ^ set(self.parameters))[:5]}")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(masters[name])
        self.masters: dict[str, Tensor] = {
            name: parameter
            if parameter.dtype == torch.float32
            else masters[name].detach().to(parameter.device, torch.float32).requires_grad_()
            for name, parameter in self.parameters.items()
        }
        matrices = {n: m for n, m in self.masters.items() if config.optimizer == "muon" and takes_muon(n, m)}
        others = [m for n, m in self.masters.items() if n not in matrices]
        groups = [
            {"params": [m for m in others if m.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [m for m in others if m.dim() < 2], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)
        means = {n: torch.zeros_like(m, requires_grad=False) for n, m in matrices.items()}
        self.muon = Muon(
            {n: m.detach() for n, m in matrices.items()}, means, {n: tuple(m.shape) for n, m in matrices.items()}, config
        )
        self._parts = _parts(self.parameters)
        self._norm = 0.0

    def step(self, rate: float) -> float:
        """One update from the gradients of the model's weights, which are then cleared. Returns the norm before clipping.

        Where the norm is not finite nothing is updated.
        """
        norm = self.norm()
        self.apply(rate) if norm - norm == 0 else self.discard()
        return norm

    def collect(self) -> None:
        """Add the gradients of the model's weights to those of the masters, in fp32, and clear them: once a micro-batch.

        A step that has only one micro-batch need not: its gradients are widened a part at a time.
        """
        for name, parameter in self.parameters.items():
            master = self.masters[name]
            if parameter is master or parameter.grad is None:
                continue
            master.grad = parameter.grad.float() if master.grad is None else master.grad.add_(parameter.grad)
            parameter.grad = None

    def norm(self) -> float:
        """The norm of the whole gradient, added up in fp32; `apply` clips by it."""
        if any(m.grad is not None for name, m in self.masters.items() if m is not self.parameters[name]):
            self.collect()
        norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in self._gradients().values()]
        self._norm = float(torch.linalg.vector_norm(torch.stack(norms)))
        return self._norm

    @torch.no_grad()
    def apply(self, rate: float) -> None:
        """Clip the gradient that `norm` measured to its largest norm, update by it, and clear it."""
        scale = min(1.0, self.clip / (self._norm + 1e-6))
        for group in self.adam.param_groups:
            group["lr"] = rate
        gradients = self._gradients()
        self.discard()
        for part in self._parts:
            wide = {name: gradients.pop(name).float() for name in part if name in gradients}
            if scale < 1:
                torch._foreach_mul_(list(wide.values()), scale)
            self.muon.step(rate, {name: wide.pop(name) for name in part if name in wide and name in self.muon.means})
            for name, gradient in wide.items():
                self.masters[name].grad = gradient
            self.adam.step()
            for name in wide:
                self.masters[name].grad = None
        self._round()

    def discard(self) -> None:
        """Clear all gradients without an update."""
        for parameter in (*self.parameters.values(), *self.masters.values()):
            parameter.grad = None

    def _gradients(self) -> dict[str, Tensor]:
        """What has been collected by name, or else the gradients of the model's weights."""
        found = {
            name: parameter.grad if self.masters[name].grad is None else self.masters[name].grad
            for name, parameter in self.parameters.items()
        }
        return {name: gradient for name, gradient in found.items() if gradient is not None}

    @torch.no_grad()
    def _round(self) -> None:
        """The model's weights: the masters, in the dtype that they are multiplied in."""
        for name, parameter in self.parameters.items():
            if parameter is not self.masters[name]:
                parameter.copy_(self.masters[name])

    def weights(self) -> dict[str, Tensor]:
        """The fp32 master weights by name (not copies)."""
        return {name: master.detach() for name, master in self.masters.items()}

    def moments(self) -> dict[str, Tensor]:
        """Mean and mean square of the gradients, fp32, as `<name>.mean` and `<name>.square` (not copies); Muon has no square."""
        result = {}
        for name, master in self.masters.items():
            if name in self.muon.means:
                result[f"{name}.{MEAN}"] = self.muon.means[name]
                continue
            state = self.adam.state[master]
            result[f"{name}.{MEAN}"], result[f"{name}.{SQUARE}"] = state["exp_avg"], state["exp_avg_sq"]
        return result

    @property
    def updates(self) -> int:
        """Updates applied so far; AdamW corrects its bias by them."""
        return int(next(iter(self.adam.state.values()))["step"]) if self.adam.state else 0

    def refresh(self, updates: int) -> None:
        """Go on after `weights` and `moments` were filled in place with those of a run that made so many updates."""
        for state in self.adam.state.values():
            state["step"].fill_(updates)
        self._round()

    def restart(self) -> None:
        """Moments of zero and no updates, as before the first one."""
        for name, master in self.masters.items():
            if name in self.muon.means:
                self.muon.means[name].zero_()
                continue
            self.adam.state[master] = {
                "step": torch.zeros((), device=master.device),
                "exp_avg": torch.zeros_like(master, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(master, requires_grad=False),
            }


def _parts(parameters: Mapping[str, Tensor]) -> list[list[str]]:
    """Names of `parameters` in order, cut where a part would have more than `PART` numbers (one parameter at least)."""
    parts: list[list[str]] = [[]]
    held = 0
    for name, parameter in parameters.items():
        if parts[-1] and held + parameter.numel() > PART:
            parts.append([])
            held = 0
        parts[-1].append(name)
        held += parameter.numel()
    return parts
