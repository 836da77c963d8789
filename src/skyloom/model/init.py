"""First weights: a seed enters, the same weights leave on every machine.

Every matrix is drawn from a normal distribution of deviation 0.02; those that write into the residual stream (attention
output and FFN down) are divided by √(2·layers), so that the stream's variance does not grow with depth (Radford et al.
2019, as Megatron-LM does it). Gains begin at 1. The report does not name its initialisation.

Each weight has its own stream of numpy's counter-based Philox generator, keyed by the seed and the weight's name. So
weights do not depend on torch's version or on the order in which modules are made, and a model with one more layer has
the same first layers up to the residual scale.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch

from skyloom.model.decoder import Decoder

DEVIATION = 0.02


@torch.no_grad()
def initialise(model: Decoder, seed: int) -> Decoder:
    """Fill the weights of `model` in place (drawn in fp32, rounded to each weight's dtype) and return it."""
    residual = DEVIATION / math.sqrt(2 * model.config.layers)
    for name, weight in model.named_parameters():
        if weight.dim() == 1:
            weight.fill_(1.0)
            continue
        digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
        stream = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
        scale = residual if name.endswith(("attention.output.weight", "ffn.down.weight")) else DEVIATION
        draw = stream.standard_normal(tuple(weight.shape), dtype=np.float32) * np.float32(scale)
        weight.copy_(torch.from_numpy(draw))
    return model
