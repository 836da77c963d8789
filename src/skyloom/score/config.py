"""Settings of sampling. They have their own module so that reading a recipe does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class SamplingConfig:
    """How the next token is chosen. Temperature 0 is greedy."""

    tokens: int = setting(64, doc="longest continuation", unit="tokens", low=1)
    temperature: float = setting(0.8, doc="divides the logits; 0 takes the likeliest token", low=0.0)
    top_p: float = setting(0.95, doc="share of the probability, likeliest first, that is drawn from", low=0.0, high=1.0)
    seed: int = setting(1, doc="seed of the draws", low=0)
