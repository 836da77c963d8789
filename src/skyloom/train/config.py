"""The settings of training: once for the run (`TrainConfig`), once for each stage (`StageConfig`). Report 2.1 and 3.6.

The defaults are the report's where it names them: AdamW with β 0.9 and 0.95, weight decay 0.1, clipping at 1.0, bf16,
cosine from 6e-4 to a tenth of it, then constant. What a stage reads (shares, ramps, passes) belongs to `data.mixture`.
"""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.planner.layout import Layout
from skyloom.planner.muon_cost import OPTIMIZERS

MUON_SCALES = ("match-rms-adamw", "original")
"""How the rate of a matrix follows its shape under Muon: as in Moonlight (arXiv 2502.16982), or as in Jordan 2024."""


@dataclass(frozen=True)
class RecoverConfig:
    """When a batch is not trained on, when training goes back, and when it is given up (see `recover`)."""

    window: int = setting(64, doc="last steps that a loss is compared with", unit="steps", low=8, high=1_000_000)
    spike_deviations: float = setting(
        8.0, doc="a loss this many robust deviations above their median is a spike; 0: none is", low=0.0
    )
    spike_rise: float = setting(0.2, doc="and above it by at least this part of the median", low=0.0)
    skips: int = setting(3, doc="bad batches in a row after which training goes back", unit="steps", low=1)
    back: int = setting(
        32, doc="steps before the first bad batch that are skipped too, doubled with each time", unit="steps", low=0
    )
    rollbacks: int = setting(3, doc="times that training goes back in a stage before it gives up", low=0)
    hang_seconds: float = setting(
        1800.0, doc="a step or a look at held-out sets that takes longer hangs; 0: never", unit="seconds", low=0.0, identity=False
    )
    straggler: float = setting(1.5, doc="a replica this many times slower than the median is named", low=1.0, identity=False)


@dataclass(frozen=True)
class ScoreTaskConfig:
    """A benchmark task of lm-evaluation-harness that released checkpoints are scored with (extra `eval`)."""

    task: str = setting(doc="name of the task or group, as `skyloom eval tasks --tasks` takes it")
    data: str = setting("", doc="file or folder of its items, as `--data` takes it; empty: from the hub")
    items: int = setting(50, doc="items of each task, the first ones; fewer where score_share asks for it", unit="items", low=1)
    shots: int = setting(-1, doc="examples before each item; -1: the task's own number", unit="examples", low=-1, high=1000)


@dataclass(frozen=True)
class TrainConfig:
    """Optimiser, precision and bookkeeping, the same for all stages."""

    seed: int = setting(1, doc="seed of the first weights", low=0, high=2**63 - 1)
    batch: int = setting(8, doc="sequences of one step", unit="sequences", low=1, high=1 << 30)
    context: int = setting(256, doc="tokens of one sequence", unit="tokens", low=2, high=1 << 24)
    precision: str = setting(
        "bf16", doc="of the matrices in the forward and backward pass; master weights are fp32", choices=("bf16", "fp32")
    )
    compile: str = setting(
        "auto", doc="compile the step; auto: if a C++ compiler works here (the last bits differ)", choices=("auto", "on", "off")
    )
    threads: int = setting(0, doc="torch threads; 0: physical cores (the last bits may differ)", low=0, high=4096, identity=False)
    beta1: float = setting(0.9, doc="AdamW: decay of the gradient's mean", low=0.0, high=1.0)
    beta2: float = setting(0.95, doc="AdamW: decay of the gradient's mean square", low=0.0, high=1.0)
    eps: float = setting(1e-8, doc="AdamW: added to the root of the mean square", low=0.0, high=1.0)
    weight_decay: float = setting(0.1, doc="AdamW: decay of matrices; gains are not decayed", low=0.0, high=1000.0)
    clip: float = setting(1.0, doc="largest norm of the whole gradient", low=0.0)
    optimizer: str = setting(
        "adamw", doc="of the blocks' matrices; embedding, head, biases and gains always take AdamW", choices=OPTIMIZERS, later=True
    )
    muon_momentum: float = setting(0.95, doc="Muon: decay of the gradient's mean", low=0.0, high=1.0, later=True)
    muon_rate: float = setting(
        1.0, doc="Muon: rate of the matrices as a multiple of the stage's, which all else takes", low=0.0, high=1e6, later=True
    )
    muon_scale: str = setting(
        "match-rms-adamw",
        doc="Muon: by its shape [rows, columns] a matrix's rate is multiplied by 0.2·√max(rows, columns) (match-rms-adamw, "
        "Moonlight), or by √max(1, rows/columns) (original, Jordan)",
        choices=MUON_SCALES,
        later=True,
    )
    monitor_bytes: int = setting(16_000, doc="text scored of each held-out set at a monitoring point", unit="bytes", low=1)
    monitor_document_bytes: int = setting(800, doc="a monitored document is cut to so much", unit="bytes", low=16)
    checkpoint_seconds: float = setting(
        15.0, doc="work between two checkpoints, the most a killed run loses", unit="seconds", low=0.0, identity=False
    )
    log_every: int = setting(10, doc="steps of one line of telemetry/speed.jsonl", unit="steps", low=1, identity=False)
    trackers: tuple[str, ...] = setting(
        (), doc="services that get the curves too (extras of the same names)", choices=("wandb", "mlflow"), identity=False
    )
    score_items: int = setting(
        20, doc="multiple-choice items of each language scored at released checkpoints; 0: none", unit="items", low=0
    )
    score_shots: int = setting(1, doc="worked examples before each of them", unit="examples", low=0)
    score_tasks: tuple[ScoreTaskConfig, ...] = setting(
        (), doc="benchmark tasks scored at released checkpoints, on the same few items each time", identity=False
    )
    score_share: float = setting(
        0.02, doc="most of the training time between two released checkpoints that score_tasks may take", low=0.0, high=1.0,
        identity=False,
    )  # fmt: skip
    mask_documents: bool = setting(False, doc="keep attention inside the documents of a packed sequence")
    init_from: str = setting(
        "",
        doc="folder of a Hugging Face model, or GGUF file, to continue; the model's shape is then its own",
        identity=False,
    )
    layout: Layout = setting(factory=Layout, doc="how a step is spread over processes (the last bits may differ)", identity=False)
    recover: RecoverConfig = setting(factory=RecoverConfig, doc="what is done about bad batches and hung processes")

    def __post_init__(self) -> None:
        if max(self.beta1, self.beta2) >= 1:
            raise ConfigError(f"train.beta1 {self.beta1:g} and train.beta2 {self.beta2:g} must be below 1: at 1 no gradient counts")
        if self.muon_momentum >= 1:
            raise ConfigError(f"train.muon_momentum {self.muon_momentum:g} must be below 1: at 1 no gradient counts")
        if self.muon_rate <= 0:
            raise ConfigError(f"train.muon_rate is {self.muon_rate:g}, which trains no matrix; give a positive multiple")
        if self.clip <= 0:
            raise ConfigError(f"train.clip is {self.clip:g}, which cuts every gradient to nothing; give a positive norm")


@dataclass(frozen=True)
class StageConfig:
    """One stage: its learning rate, and how often it is watched and kept. The loader says how many steps it has."""

    name: str = setting(doc="name in the metrics: that of the stage, which fills it in")
    schedule: str = setting(
        "warmup-cosine",
        doc="after the warm-up: half a cosine, a constant rate, or a constant rate that falls near the end (wsd), to min_ratio",
        choices=("warmup-cosine", "constant", "warmup-stable-decay"),
    )
    peak: float = setting(6e-4, doc="highest learning rate", low=0.0, high=1000.0)
    min_ratio: float = setting(0.1, doc="last learning rate of a falling schedule, as a part of the peak", low=0.0, high=1.0)
    decay_share: float = setting(0.1, doc="last part of a warmup-stable-decay stage, in which the rate falls", low=0.0, high=1.0)
    warmup_steps: int = setting(0, doc="steps in which the rate rises linearly", unit="steps", low=0)
    monitor_points: int = setting(
        10, doc="evenly spaced points at which held-out sets are scored, besides step 0", low=1, high=1_000_000
    )
    releases: int = setting(2, doc="evenly spaced checkpoints that are kept, the last one included", low=1, high=100_000)

    def __post_init__(self) -> None:
        if self.peak <= 0:
            raise ConfigError(f"stage {self.name}: a peak learning rate of {self.peak} trains nothing; give a positive one")
