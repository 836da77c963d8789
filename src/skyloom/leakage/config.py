"""Settings of the leakage audit. They have their own module so that reading a recipe does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class LeakageConfig:
    """How much is scored, and how the intervals are made."""

    items: int = setting(420, doc="exercises of the train split that are scored, evenly by family (0: all)", unit="items", low=0)
    resamples: int = setting(2000, doc="bootstrap resamples behind each interval", low=200, high=1_000_000)
    seed: int = setting(1, doc="seed of the resampling", low=0)
    batch_tokens: int = setting(1024, doc="positions scored at once, padding included", unit="tokens", low=1)
