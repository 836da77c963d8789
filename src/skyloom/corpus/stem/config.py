"""Settings of the generated exercises: how many of each split, and the seed."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class StemConfig:
    """How many exercises to write: for each of the two languages, except for the canaries.

    The defaults are multiples of the number of families, so that each family is met equally often.
    """

    train: int = setting(936, doc="training exercises per language", unit="exercises", low=1, high=10_000_000)
    valid: int = setting(104, doc="held-out exercises per language", unit="exercises", low=1, high=10_000_000)
    test: int = setting(208, doc="test exercises per language", unit="exercises", low=1, high=10_000_000)
    ref: int = setting(
        208, doc="reference exercises per language, exchangeable with the test", unit="exercises", low=1, high=10_000_000
    )
    canaries: int = setting(
        50, doc="planted exercises, half of them Chinese; as many are held back", unit="exercises", low=0, high=10_000_000
    )
    seed: int = setting(1, doc="seed of all draws", low=0)
