"""Learning-rate schedules, and the steps of a stage at which it is watched and its checkpoint is kept. Report 2.1, Fig. 2.

Stage 1 warms up linearly and decays along half a cosine to a tenth of its peak; Stage 1 b and Stage 2 stay constant
(the report tried higher constants and saw the loss rise). Warm-up, stable, decay (Hu et al. 2024, arXiv 2404.06395) stays at
the peak and falls linearly over the last part, so that a stage can be made longer without knowing its end when it begins.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError
from skyloom.core.records import Json
from skyloom.train.config import StageConfig


def learning_rate(stage: StageConfig, step: int, steps: int) -> float:
    """Rate of update `step` (0 to steps − 1) of a stage. The last update of one that falls has `peak · min_ratio`."""
    if stage.schedule == "constant" and step >= stage.warmup_steps:
        return stage.peak
    if step < stage.warmup_steps:
        return stage.peak * (step + 1) / stage.warmup_steps
    low = stage.peak * stage.min_ratio
    if stage.schedule == "warmup-stable-decay":
        falling = max(1, round(stage.decay_share * (steps - stage.warmup_steps)))
        return low + (stage.peak - low) * min(1.0, (steps - 1 - step) / falling)
    done = (step + 1 - stage.warmup_steps) / (steps - stage.warmup_steps)
    return low + (stage.peak - low) * (1 + math.cos(math.pi * done)) / 2


def evenly(points: int, steps: int) -> list[int]:
    """`points` numbers of finished steps, evenly spaced, the last being `steps`; fewer if there are fewer steps."""
    return sorted({max(1, round(i * steps / points)) for i in range(1, points + 1)})


@dataclass(frozen=True)
class Calendar:
    """A stage in steps. `first_step` and `first_tokens`: what was trained before it. Steps below count within the stage."""

    stage: StageConfig
    steps: int
    first_step: int
    first_tokens: int
    tokens_per_step: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ConfigError(f"stage {self.stage.name} has no steps: give it at least {self.tokens_per_step:,} tokens")
        if self.stage.warmup_steps >= self.steps:
            raise ConfigError(
                f"stage {self.stage.name} warms up for {self.stage.warmup_steps} steps but has only {self.steps}; "
                "shorten warmup_steps or give the stage more tokens"
            )

    @property
    def monitored(self) -> list[int]:
        """Finished steps after which held-out sets are scored; 0 (before any step) in the first stage only."""
        points = evenly(self.stage.monitor_points, self.steps)
        return points if self.first_step else [0, *points]

    @property
    def released(self) -> list[int]:
        """Finished steps whose checkpoints are kept; the last becomes `final/`."""
        return evenly(self.stage.releases, self.steps)

    def rate(self, step: int) -> float:
        return learning_rate(self.stage, step, self.steps)

    def total_step(self, step: int) -> int:
        """Finished steps since the start of the first stage."""
        return self.first_step + step

    def total_tokens(self, step: int) -> int:
        """Tokens read since the start of the first stage."""
        return self.first_tokens + step * self.tokens_per_step

    def to_json(self) -> dict[str, Json]:
        return {
            "stage": plain(self.stage),
            "steps": self.steps,
            "first_step": self.first_step,
            "first_tokens": self.first_tokens,
            "tokens_per_step": self.tokens_per_step,
            "tokens": self.steps * self.tokens_per_step,
            "monitored": self.monitored,
            "released": self.released,
        }
