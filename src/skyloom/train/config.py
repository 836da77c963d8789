"""What training is told: once for the run (`TrainConfig`), once for each stage (`StageConfig`). Report 2.1 and 3.6.

The defaults are the report's where it names them: AdamW with β 0.9 and 0.95, weight decay 0.1, clipping at 1.0, bf16,
cosine from 6e-4 to a tenth of it, then constant. What a stage reads (shares, ramps, passes) belongs to `data.mixture`.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError


@dataclass(frozen=True)
class TrainConfig:
    """Optimiser, precision and bookkeeping, the same for all stages."""

    seed: int = setting(1, doc="seed of the first weights", low=0)
    batch: int = setting(8, doc="sequences of one step", unit="sequences", low=1)
    context: int = setting(256, doc="tokens of one sequence", unit="tokens", low=2)
    precision: str = setting(
        "bf16", doc="of the matrices in the forward and backward pass; master weights are fp32", choices=("bf16", "fp32")
    )
    compile: str = setting(
        "auto", doc="compile the step; auto: if a C++ compiler works here (the last bits differ)", choices=("auto", "on", "off")
    )
    threads: int = setting(0, doc="torch threads; 0: physical cores (the last bits may differ)", low=0, identity=False)
    beta1: float = setting(0.9, doc="AdamW: decay of the gradient's mean", low=0.0, high=1.0)
    beta2: float = setting(0.95, doc="AdamW: decay of the gradient's mean square", low=0.0, high=1.0)
    eps: float = setting(1e-8, doc="AdamW: added to the root of the mean square", low=0.0)
    weight_decay: float = setting(0.1, doc="AdamW: decay of matrices; gains are not decayed", low=0.0)
    clip: float = setting(1.0, doc="largest norm of the whole gradient", low=0.0)
    monitor_bytes: int = setting(16_000, doc="text scored of each held-out set at a monitoring point", unit="bytes", low=1)
    monitor_document_bytes: int = setting(800, doc="a monitored document is cut to so much", unit="bytes", low=16)
    checkpoint_seconds: float = setting(
        15.0, doc="work between two checkpoints, the most a killed run loses", unit="seconds", low=0.0, identity=False
    )

    def __post_init__(self) -> None:
        if max(self.beta1, self.beta2) >= 1:
            raise ConfigError(f"train.beta1 {self.beta1:g} and train.beta2 {self.beta2:g} must be below 1: at 1 no gradient counts")
        if self.clip <= 0:
            raise ConfigError(f"train.clip is {self.clip:g}, which cuts every gradient to nothing; give a positive norm")


@dataclass(frozen=True)
class StageConfig:
    """One stage: its learning rate, and how often it is watched and kept. The loader says how many steps it has."""

    name: str = setting(doc="name in the metrics: stage1, stage2")
    schedule: str = setting(
        "warmup-cosine", doc="warm-up and cosine decay, or a constant rate", choices=("warmup-cosine", "constant")
    )
    peak: float = setting(6e-4, doc="highest learning rate", low=0.0)
    min_ratio: float = setting(0.1, doc="last learning rate of the cosine, as a part of the peak", low=0.0, high=1.0)
    warmup_steps: int = setting(0, doc="steps in which the rate rises linearly", unit="steps", low=0)
    monitor_points: int = setting(10, doc="evenly spaced points at which held-out sets are scored, besides step 0", low=1)
    releases: int = setting(2, doc="evenly spaced checkpoints that are kept, the last one included", low=1)

    def __post_init__(self) -> None:
        if self.peak <= 0:
            raise ConfigError(f"stage {self.name}: a peak learning rate of {self.peak} trains nothing; give a positive one")
