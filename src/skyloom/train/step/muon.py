"""Muon: momentum made orthogonal, for the matrices of the blocks. Keller Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/.

Input: gradients of matrices and a rate; output: the matrices updated in place. One moment is kept, the mean of the gradients
(`muon_momentum`, with Nesterov's look ahead). What is orthogonalised is each matrix that the model's mathematics names, over all
heads: queries, keys, values and output of attention, each matrix of the feed-forward part (the decoder keeps none of them joined).
Embeddings, head, biases and gains are left to AdamW. Products are made in the precision of training: bf16 as its author has
it, fp32 where training is fp32, so that all layouts train alike to rounding.

Decay is AdamW's: the weight shrinks by rate · weight_decay, not scaled by shape (Moonlight, arXiv 2502.16982, equation 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from skyloom.planner.muon_cost import ITERATIONS
from skyloom.train.config import TrainConfig

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of X, X·Xᵀ·X and (X·Xᵀ)²·X in an iteration (Jordan 2024): a steep start; singular values end between about 0.7 and 1.2."""
SMALLEST = 1e-7
"""Norm of a momentum that counts as zero."""

Wholes = Callable[[dict[str, Tensor]], dict[str, Tensor]]
"""From this process's parts of matrices by name to the same parts of the orthogonal ones."""


def takes_muon(name: str, weight: Tensor) -> bool:
    """Whether Muon updates the weight: a matrix of a block."""
    return name.startswith("blocks.") and weight.dim() == 2


@torch.no_grad()
def orthogonalise(matrix: Tensor) -> Tensor:
    """U·S'·Vᵀ for matrix = U·S·Vᵀ, [rows, columns] in its dtype: singular values near 1, by Newton-Schulz iterations.

    Values far below the largest one stay smaller; a matrix of zeros stays one.
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / torch.linalg.vector_norm(x, dtype=torch.float32).clamp(min=SMALLEST).to(x.dtype)
    for _ in range(ITERATIONS):
        squared = x @ x.T
        x = torch.addmm(x, torch.addmm(squared, squared, squared, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def orthogonalised(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """`orthogonalise` of each of several whole matrices."""
    return {name: orthogonalise(matrix) for name, matrix in parts.items()}


def scale_of(shape: tuple[int, ...], scale: str) -> float:
    """What a matrix's rate is multiplied by, for its whole shape [rows, columns]. See `TrainConfig.muon_scale`."""
    rows, columns = shape
    if scale == "original":
        return math.sqrt(max(1.0, rows / columns))
    return 0.2 * math.sqrt(max(rows, columns))


class Muon:
    """The moments of `matrices` (this process's fp32 parts by name) and their update. `shapes`: of the whole matrices."""

    def __init__(
        self,
        matrices: Mapping[str, Tensor],
        means: Mapping[str, Tensor],
        shapes: Mapping[str, tuple[int, ...]],
        config: TrainConfig,
        wholes: Wholes = orthogonalised,
    ) -> None:
        """`means`: fp32 tensors of the same shapes as `matrices`, updated in place. `wholes`: see `Wholes`."""
        self.matrices, self.means, self._wholes = dict(matrices), dict(means), wholes
        self._scales = {name: scale_of(shapes[name], config.muon_scale) for name in self.matrices}
        self._momentum, self._ratio, self._decay = config.muon_momentum, config.muon_rate, config.weight_decay
        self._dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32

    @torch.no_grad()
    def step(self, rate: float, gradients: Mapping[str, Tensor]) -> None:
        """Update the matrices that `gradients` (clipped fp32 parts, overwritten) names. `rate`: the stage's."""
        rate *= self._ratio
        ahead = {}
        for name, gradient in gradients.items():
            mean = self.means[name].lerp_(gradient, 1 - self._momentum)
            ahead[name] = gradient.lerp_(mean, self._momentum).to(self._dtype)
        for name, update in self._wholes(ahead).items():
            matrix = self.matrices[name]
            matrix.mul_(1 - rate * self._decay).add_(update, alpha=-rate * self._scales[name])
