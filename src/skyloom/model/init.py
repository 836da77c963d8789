"""Initial weights from a seed, the same on every machine and for every layout.

Every matrix is drawn from a normal distribution of deviation 0.02; those that write into the residual stream (attention
output and FFN down) are divided by √(2·layers), so that the stream's variance does not grow with depth (Radford et al.
2019, as Megatron-LM does it). Gains begin at 1, biases at 0. The report does not name its initialisation.

Each weight has its own stream of numpy's counter-based Philox generator, keyed by the seed and the weight's name. So
weights do not depend on torch's version or on the order in which modules are made, a model with one more layer has the
same first layers up to the residual scale, and a part of a model on one rank has what the whole would have there.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder

DEVIATION = 0.02


def first_weight(name: str, shape: tuple[int, ...], config: ModelConfig, seed: int) -> Tensor:
    """The first value of the whole weight of that name, fp32."""
    if len(shape) == 1:
        return torch.zeros(shape) if name.endswith("bias") else torch.ones(shape)
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    residual = name.endswith(("attention.output.weight", "ffn.down.weight"))
    scale = DEVIATION / math.sqrt(2 * config.layers) if residual else DEVIATION
    return torch.from_numpy(stream.standard_normal(shape, dtype=np.float32) * np.float32(scale))


def first_weights(config: ModelConfig, seed: int) -> Callable[[str], Tensor]:
    """The first value of the whole weight of a name, for all names of a model of this shape."""
    with torch.device("meta"):
        sizes = {name: tuple(weight.shape) for name, weight in Decoder(config).named_parameters()}
    return lambda name: first_weight(name, sizes[name], config, seed)


@torch.no_grad()
def initialise(model: Decoder, seed: int) -> Decoder:
    """Fill the weights of `model` in place (drawn in fp32, rounded to each weight's dtype) and return it."""
    for name, weight in model.named_parameters():
        weight.copy_(first_weight(name, tuple(weight.shape), model.config, seed))
    return model
