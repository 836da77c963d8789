"""AdamW over fp32 master weights for a model that computes in bf16. Report 3.6.

The matrices that are multiplied are kept twice: in bf16 for the forward and backward pass, in fp32 where the optimiser
adds its small steps, which bf16's 8 bits of mantissa would lose. The embedding and the gains stay in fp32 only: they are
not multiplied, and the gradient of a frequent token is a sum of hundreds of terms. In fp32 training nothing is kept
twice. The update itself is torch's fused kernel: one vectorised pass over weights and moments.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from skyloom.core.errors import IntegrityError
from skyloom.model.decoder import Decoder
from skyloom.train.config import TrainConfig

MEAN, SQUARE = "mean", "square"


def to_precision(model: Decoder, precision: str) -> Decoder:
    """Round all multiplied matrices of `model` to bf16 in place ("bf16"), or leave the model as it is ("fp32")."""
    if precision == "bf16":
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and name != "embedding.weight":
                weight.data = weight.data.bfloat16()
    return model


class MasterAdamW:
    """Decoupled weight decay (Loshchilov and Hutter 2019) on matrices, clipping of the whole gradient, fp32 masters."""

    def __init__(self, model: Decoder, masters: Mapping[str, Tensor], config: TrainConfig) -> None:
        """`masters`: fp32 weights by name; the model's weights are set to them, rounded to their dtype."""
        self.clip = config.clip
        self.parameters = dict(model.named_parameters())
        if set(masters) != set(self.parameters):
            raise IntegrityError(f"weights and model differ: {sorted(set(masters) ^ set(self.parameters))[:5]}")
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(masters[name])
        self.masters: dict[str, Tensor] = {
            name: parameter if parameter.dtype == torch.float32 else masters[name].float().clone().requires_grad_()
            for name, parameter in self.parameters.items()
        }
        groups = [
            {"params": [m for m in self.masters.values() if m.dim() >= 2], "weight_decay": config.weight_decay},
            {"params": [m for m in self.masters.values() if m.dim() < 2], "weight_decay": 0.0},
        ]
        self.adam = torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)

    def step(self, rate: float) -> float:
        """One update from the gradients of the model's weights, which are then cleared. Returns the norm before clipping.

        Where the norm is not finite nothing is updated.
        """
        for name, parameter in self.parameters.items():
            if parameter is not self.masters[name]:
                self.masters[name].grad = None if parameter.grad is None else parameter.grad.float()
                parameter.grad = None
        norm = float(torch.nn.utils.clip_grad_norm_(self.masters.values(), self.clip))
        if norm - norm == 0:
            for group in self.adam.param_groups:
                group["lr"] = rate
            self.adam.step()
            with torch.no_grad():
                for name, parameter in self.parameters.items():
                    if parameter is not self.masters[name]:
                        parameter.copy_(self.masters[name])
        self.adam.zero_grad(set_to_none=True)
        return norm

    def weights(self) -> dict[str, Tensor]:
        """The fp32 master weights by name (not copies)."""
        return {name: master.detach() for name, master in self.masters.items()}

    def moments(self) -> dict[str, Tensor]:
        """Mean and mean square of the gradients, fp32, as `<name>.mean` and `<name>.square` (not copies)."""
        result = {}
        for name, master in self.masters.items():
            state = self.adam.state[master]
            result[f"{name}.{MEAN}"], result[f"{name}.{SQUARE}"] = state["exp_avg"], state["exp_avg_sq"]
        return result

    def load_moments(self, moments: Mapping[str, Tensor], updates: int) -> None:
        """Go on from `moments` after `updates` updates. IntegrityError if they are not this model's."""
        expected = {f"{name}.{kind}" for name in self.masters for kind in (MEAN, SQUARE)}
        if set(moments) != expected:
            raise IntegrityError(f"moments and model differ: {sorted(set(moments) ^ expected)[:5]}")
        for name, master in self.masters.items():
            self.adam.state[master] = {
                "step": torch.tensor(float(updates)),
                "exp_avg": moments[f"{name}.{MEAN}"].clone(),
                "exp_avg_sq": moments[f"{name}.{SQUARE}"].clone(),
            }
