"""Starting and resuming a stage of training: its settings, its last whole checkpoint, and the state of the learner.

A stage resumes from the newest checkpoint in its folder that is whole, has the same settings and was not undone by a later
rollback. If there is none, it begins with the weights, moments and number of updates of the stage before it; the first stage
begins with seeded weights, or with those of a model that is continued (report 2.1).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from skyloom.core.config import plain
from skyloom.core.errors import ConfigError, IntegrityError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.model.config import ModelConfig
from skyloom.planner.muon_cost import matrix_parameters
from skyloom.train import checkpoint as disk
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import Ranks
from skyloom.train.inputs import Batches
from skyloom.train.rate_schedule import Calendar
from skyloom.train.recover import Rollback
from skyloom.train.stage_list import KEEP, RESET
from skyloom.train.step import Learner, Weights, choose_compile, split_state


class StagePlanJson(disk.StageSettings):
    """`plan.json`: what a stage will do, before it does it."""

    parameters: int
    flops_per_token: int
    flops: int


_BETWEEN_STAGES = ("context", "rope_theta")
"""What may differ in the shape of the stage before: no weight has another form for it. Learnt positions (gpt) have."""


def _continues(model: ModelConfig, before: Mapping[str, object], now: Mapping[str, object]) -> bool:
    """Whether weights of the shape `before` can be trained on as `model`, which is `now` as plain values."""
    free = () if model.block == "gpt" else _BETWEEN_STAGES
    return all(before.get(key) == now.get(key) for key in {*before, *now} - set(free))


@dataclass(frozen=True)
class StageSpec:
    """What a stage trains, and how: a checkpoint of other settings does not belong to it."""

    config: TrainConfig
    calendar: Calendar
    model: ModelConfig

    @property
    def name(self) -> str:
        return self.calendar.stage.name

    def settings(self) -> disk.StageSettings:
        return {
            "stage": self.name,
            "train": plain(self.config, identity_only=True),
            "calendar": self.calendar.to_json(),
            "model": plain(self.model, identity_only=True),
        }

    def check(self, state: disk.SealedState, out: Store) -> None:
        """IntegrityError if the checkpoint with this state is of other settings."""
        recorded = dict(state)
        for name, value in self.settings().items():
            if recorded[name] != value:
                raise IntegrityError(f"{out.root} holds a run of other {name} settings; give this run a folder of its own")

    def plan(self) -> StagePlanJson:
        per_token = self.model.flops_per_token(self.config.context)
        return {
            **self.settings(),
            "parameters": self.model.parameters,
            "flops_per_token": per_token,
            "flops": per_token * self.calendar.steps * self.calendar.tokens_per_step,
        }


@dataclass(frozen=True)
class Opening:
    """The folder of a stage, and what the stage begins with if the folder holds no checkpoint."""

    spec: StageSpec
    loader: Batches
    start: Store | None
    out: Store
    weights: Weights
    ranks: Ranks
    progress: Progress
    moments: str = KEEP

    def find(self, rollbacks: Sequence[Rollback]) -> disk.Found | None:
        """The checkpoint to resume from, or None. `rollbacks`: all so far; checkpoints of steps that they undid do not count."""

        def valid(state: disk.SealedState) -> bool:
            return all(state["stage_step"] <= later.first for later in rollbacks[state["rollbacks"] :])

        found = disk.find(self.out, self.progress, self.ranks, valid)
        if found is not None:
            self.spec.check(found.state, self.out)
            self.loader.check_identity(found.state.get("stream", {}))
        return found

    def choose_compile(self, found: disk.Found | None, threads: int) -> bool:
        """Whether the step is compiled. Tells what differs from the machine that wrote the checkpoint."""
        config, recorded = self.spec.config, found.state if found else None
        if recorded is None:
            return choose_compile(config.compile, None, self.progress)
        for what, before, now in (
            ("threads", recorded["threads"], threads),
            ("torch", recorded["torch"], torch.__version__),
            ("layout", recorded["layout"], plain(config.layout)),
        ):
            if before != now:
                self.progress.log(f"this run began with {what} {before} and goes on with {now}: the last bits may differ")
        if recorded["stage_step"] < self.spec.calendar.steps:
            return choose_compile(config.compile, recorded["compiled"], self.progress)
        return recorded["compiled"]

    def fill(self, learner: Learner, found: disk.Found | None) -> None:
        """Set the learner as a checkpoint says, or as the stage begins."""
        if found is not None:
            disk.fill(found.folder, found.state, learner.state(), self.ranks)
            learner.load(found.state["updates"])
        elif self.start is None:
            learner.begin(self.weights)
        else:
            folder = disk.beginning(self.start)
            state = disk.read_state(folder)
            if not _continues(self.spec.model, state["model"], self.spec.settings()["model"]):
                raise ConfigError(f"{self.start.root} trained a model of another shape: {state['model']}")
            disk.verify(folder, state, self.ranks)
            before, now = state["train"].get("optimizer", "adamw"), self.spec.config.optimizer
            changed, reset = before != now, self.moments == RESET
            if changed or reset:
                disk.fill(folder, state, split_state(learner.state())[0], self.ranks, moments=False)
            else:
                disk.fill(folder, state, learner.state(), self.ranks)
            learner.load(0 if changed or reset else state["updates"])
            if changed:
                self.progress.log(f"{self.spec.name}: the optimizer changes from {before} to {now}, so all moments begin at zero")

    def warn_of_space(self) -> None:
        """Say so at once if the checkpoints of the stage will not fit on the disk."""
        if not self.out.local or not self.ranks.is_main:
            return
        model = self.spec.model
        saved = 4 * model.layers * matrix_parameters(model) if self.spec.config.optimizer == "muon" else 0
        one = 12 * model.parameters - saved
        wanted = one * (4 + self.spec.calendar.stage.releases)
        free = shutil.disk_usage(self.out.path()).free
        if free < wanted:
            self.progress.log(
                f"the checkpoints of this stage may take {wanted / 1e9:,.1f} GB, the disk has {free / 1e9:,.1f} GB left"
            )
