"""The training stages of a recipe: a list, in the order in which they are trained (report 2.1, 3.5, 3.6).

The report's Stage 1 a, Stage 1 b and Stage 2 are one instance, an annealing or a long-context stage another. A stage says what it
reads and how its rate runs; of `[train]` it may change what `CHANGED` names, of the model the RoPE base. What a stage does not say
is that of `[train]`; a RoPE base holds for all stages from that one on, because the weights are then made for it.

Input: the settings. Output: the settings and the shape of one stage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.data.config import CANARY, SPECIAL, Phase
from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout
from skyloom.planner.muon_cost import OPTIMIZERS
from skyloom.train.config import MUON_SCALES, StageConfig, TrainConfig

CHANGED = (
    "context", "batch", "layout", "beta1", "beta2", "eps", "weight_decay", "clip", "optimizer", "muon_momentum", "muon_rate",
    "muon_scale",
)  # fmt: skip
"""Settings of `[train]` that a stage may have of its own."""
KEEP, RESET = "keep", "reset"
FINAL = "final"
"""Name of the last stage's model in tables."""
EARLIER = ("stage1", "stage1b", "stage2")
"""Stages of recipes before there was a list; releases that were made then have them."""
_NAME = re.compile(r"\w[\w.]{0,39}")
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


@dataclass(frozen=True)
class Stage:
    """One stage of training: what it reads, how it learns, and what is done with its models."""

    name: str = setting(doc="name of the stage: of its folder, its curves and its models", identity=False)  # the rate has it too
    data: Phase = setting(doc="what the stage reads")
    rate: StageConfig = setting(doc="its learning rate, and how often it is watched")
    release: bool = setting(True, doc="publish its models, and compare the last one with those of the other stages", identity=False)
    context: int | None = setting(
        None, doc="tokens of one sequence, at most model.context [train's]", unit="tokens", low=2, high=1 << 24, later=True
    )
    batch: int | None = setting(None, doc="sequences of one step [train's]", unit="sequences", low=1, high=1 << 30, later=True)
    layout: Layout | None = setting(None, doc="how a step is spread over as many processes [train's]", identity=False)
    rope_theta: float | None = setting(
        None, doc="base of the rotary wavelengths from this stage on [the model's]", low=1.0, high=1e12, later=True
    )
    moments: str = setting(
        KEEP, doc="moments of the optimizer at its beginning: those of the stage before, or zero", choices=(KEEP, RESET), later=True
    )
    beta1: float | None = setting(None, doc="AdamW: decay of the gradient's mean [train's]", low=0.0, high=1.0, later=True)
    beta2: float | None = setting(None, doc="AdamW: decay of the gradient's mean square [train's]", low=0.0, high=1.0, later=True)
    eps: float | None = setting(None, doc="AdamW: added to the root of the mean square [train's]", low=0.0, high=1.0, later=True)
    weight_decay: float | None = setting(None, doc="AdamW: decay of matrices [train's]", low=0.0, high=1000.0, later=True)
    clip: float | None = setting(None, doc="largest norm of the whole gradient [train's]", low=0.0, later=True)
    optimizer: str | None = setting(
        None, doc="of the blocks' matrices; where it changes, all moments begin at zero [train's]", choices=OPTIMIZERS, later=True
    )
    muon_momentum: float | None = setting(None, doc="Muon: decay of the gradient's mean [train's]", low=0.0, high=1.0, later=True)
    muon_rate: float | None = setting(
        None, doc="Muon: rate of the matrices as a multiple of the stage's [train's]", low=0.0, high=1e6, later=True
    )
    muon_scale: str | None = setting(
        None, doc="Muon: how a matrix's rate follows its shape [train's]", choices=MUON_SCALES, later=True
    )
    samples_tokens: int = setting(
        0,
        doc="length of the stage when sample pages must stand in for a source; 0: as data.tokens says",
        unit="tokens",
        low=0,
        identity=False,
    )

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"a stage is named {self.name!r}; a name has up to 40 letters, digits, dots and underscores, because folders and "
                "tables are named after it"
            )
        if self.rate.name != self.name:
            raise ConfigError(f"stage {self.name}: rate.name is {self.rate.name!r}; leave it out, the name is the stage's")


def train_of(train: TrainConfig, stage: Stage) -> TrainConfig:
    """The settings of training in a stage: `[train]` with what the stage says itself. ConfigError if they do not go together."""
    own = {name: value for name in CHANGED if (value := getattr(stage, name)) is not None}
    try:
        return replace(train, **own)
    except ConfigError as problem:
        raise ConfigError(f"stage {stage.name}: {problem}") from problem


def shape_in(model: ModelConfig, train: TrainConfig, stages: Sequence[Stage], name: str, begun: int = 0) -> ModelConfig:
    """The model's shape as the checkpoints of the stage `name` have it.

    The RoPE base is the last that was set. Where stages have contexts of their own, the context of a shape, which an export writes
    as `max_position_embeddings`, is the longest one that was trained so far, or that a continued model came with (`begun`);
    learnt positions (gpt) have the model's.
    """
    so_far = [*_until(stages, name)]
    theta = next((stage.rope_theta for stage in reversed(so_far) if stage.rope_theta is not None), model.rope_theta)
    context = model.context
    if model.block != "gpt" and any(stage.context is not None for stage in stages):
        context = max(begun, *(train_of(train, stage).context for stage in so_far))
    return replace(model, rope_theta=theta, context=context)


def _until(stages: Sequence[Stage], name: str) -> list[Stage]:
    names = [stage.name for stage in stages]
    return list(stages[: names.index(name) + 1])


def check_stages(stages: Sequence[Stage], taken: Sequence[str]) -> None:
    """ConfigError if a name stands twice or is one of `taken`, or the last stage is not to be released."""
    names = [stage.name for stage in stages]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise ConfigError(f"two stages are named {name}; give each its own name")
        if name in taken:
            raise ConfigError(f"a stage is named {name}, which is the name of something else in a run; give it another")
    if stages and not stages[-1].release:
        raise ConfigError(f"stages.{names[-1]}.release is false, but the last stage gives the model that is released")


def reads_canaries(data: Phase) -> bool:
    """Whether a stage asks for the planted exercises."""
    return any(getattr(data, kind).get(CANARY) for kind in ("shares", *SPECIAL))


@dataclass(frozen=True)
class Planting:
    """Where the planted exercises were read: `names` of all stages in order, the first that read them, and `before`, the last
    released model of a stage before it ("" if there is none)."""

    names: tuple[str, ...] = ("stage1", "stage2")
    planted: str = "stage2"
    before: str = "stage1"

    def place(self, name: str) -> str:
        """`stage2` of two stages: "the second stage"."""
        number = self.names.index(name)
        return f"the {_ORDINALS[number]} stage" if number < len(_ORDINALS) else f"stage {number + 1} ({name})"


def planting(stages: Sequence[Stage]) -> Planting:
    """Which stage reads the canaries first, and which model is compared as the one before. If none reads them, the last counts."""
    names = tuple(stage.name for stage in stages)
    place = next((n for n, stage in enumerate(stages) if reads_canaries(stage.data)), len(stages) - 1)
    return Planting(names, names[place], next((s.name for s in reversed(stages[:place]) if s.release), ""))


def released_names(recipe: Mapping[str, Any]) -> list[str]:
    """Names of the stages of a resolved recipe (plain tables) whose models are published, in order."""
    return [str(stage["name"]) for stage in stage_tables(recipe) if stage.get("release", True)]


def stage_tables(recipe: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The stages of a resolved recipe, also of one that was published before there was a list."""
    listed = recipe.get("stages")
    if isinstance(listed, list):
        return [stage for stage in listed if isinstance(stage, Mapping)]
    return [{"name": name, **recipe[name]} for name in EARLIER if isinstance(recipe.get(name), Mapping)]
