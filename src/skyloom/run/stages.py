"""The inputs of a training stage, as every process prepares them: model shape, sample stream, held-out sets, tokenizer, weights.

Input: the recipe and the folders of the steps before. Used by the training stages and by the short runs of the learning rate test
(`lr_test`), so that both read the same samples and are scored on the same texts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from skyloom.core.progress import Progress
from skyloom.core.step import StepContext
from skyloom.core.store import Store
from skyloom.data.loader import Loader
from skyloom.model.adopt import Adopted
from skyloom.model.config import ModelConfig
from skyloom.run.recipe import Recipe, stage_of, stage_shape, stage_train, stages
from skyloom.suites import HeldOut, heldout_sets
from skyloom.tokenizer import Tokenizer
from skyloom.train.distributed import share_of_many
from skyloom.train.loop import MakeLearner, one_process
from skyloom.train.rate_schedule import evenly
from skyloom.train.stage_list import RESET
from skyloom.train.step import Weights
from skyloom.train.watch import Scores


@dataclass(frozen=True)
class StageInputs:
    """What `train.loop.train_stage` is handed. `weights`: what the first stage begins with, None for seeded random ones."""

    shape: ModelConfig
    feed: Loader
    heldout: Mapping[str, HeldOut]
    tokenizer: Tokenizer
    make: MakeLearner
    weights: Weights | None


def open_stage(recipe: Recipe, name: str, ctx: StepContext, *, begins: bool) -> StageInputs:
    """The inputs of the stage `name`. `begins`: it is the first stage, so it starts from `train.init_from` if that is given."""
    tokenizer = Tokenizer.load(ctx.need("tokenizer"))
    shape = replace(stage_shape(recipe, name), vocabulary=tokenizer.vocab_size)
    feed = open_stream(recipe, name, ctx.need("tokens"), ctx.progress, vocabulary=shape.vocabulary)
    weights: Weights | None = None
    if recipe.train.init_from and begins:
        ends = (tokenizer.bos_id, tokenizer.eos_id)
        adopted = Adopted(Path(recipe.train.init_from), tokenizer.pieces, tokenizer.spelled, ends)
        ctx.progress.log(f"continuing {recipe.train.init_from}: {adopted.summary()}")
        if adopted.passed_over:
            ctx.progress.log(f"keys of its config.json that change nothing here: {', '.join(adopted.passed_over)}")
        weights = adopted
    make: MakeLearner = share_of_many if stage_train(recipe, name).layout.world > 1 else one_process
    heldout = heldout_sets(ctx.need("corpus"), ctx.need("exercises"), recipe.heldout_sets)
    return StageInputs(shape, feed, heldout, tokenizer, make, weights)


def train_stage_step(recipe: Recipe, name: str, ctx: StepContext) -> None:
    """Trains one stage, on this process alone or as one of many ranks."""
    from skyloom.data.mixture_table import mixture_table, show_mixture
    from skyloom.train.loop import train_stage

    before = stages(recipe)[: stages(recipe).index(name)]
    inputs = open_stage(recipe, name, ctx, begins=not before)
    stage = stage_of(recipe, name)
    for told in boundary(recipe, before[-1], name) if before else ():
        ctx.progress.log(f"{name}: {told}")
    train_stage(
        stage_train(recipe, name),
        stage.rate,
        inputs.shape,
        inputs.feed,
        inputs.heldout,
        inputs.tokenizer,
        ctx.need(before[-1]) if before else None,
        ctx.out,
        progress=ctx.progress,
        make=inputs.make,
        weights=inputs.weights,
        scores=checkpoint_scores(recipe, name, ctx, inputs),
        moments=stage.moments,
    )
    ctx.progress.log(f"{name}: what was read of each part, in shares of the stage and in passes with earlier stages")
    for told in show_mixture(mixture_table(inputs.feed.plan, inputs.feed.realised(inputs.feed.steps))).splitlines():
        ctx.progress.log(told)


def boundary(recipe: Recipe, before: str, name: str) -> list[str]:
    """What changes where a stage begins, besides its data and its rate, and what follows from it, in sentences."""
    old, new = stage_train(recipe, before), stage_train(recipe, name)
    was, now = stage_shape(recipe, before), stage_shape(recipe, name)
    told: list[str] = []
    if old.context != new.context:
        told.append(
            f"sequences of {new.context:,} tokens after {old.context:,}: the tokens are cut into other windows, in another order; "
            "what was read before counts against the repeat cap, and may be read again before all of a source was. Held-out losses "
            "are measured in the new context"
        )
    if was.rope_theta != now.rope_theta:
        told.append(f"RoPE base {now.rope_theta:g} after {was.rope_theta:g}: the first losses rise until the weights have adapted")
    if old.batch * old.context != new.batch * new.context:
        told.append(f"{new.batch * new.context:,} tokens a step after {old.batch * old.context:,}")
    changed = [key for key in ("beta1", "beta2", "eps", "weight_decay", "clip") if getattr(old, key) != getattr(new, key)]
    told += [f"{key} {getattr(new, key):g} after {getattr(old, key):g}" for key in changed]
    if old.optimizer != new.optimizer:
        told.append(f"optimizer {new.optimizer} after {old.optimizer}: all moments begin at zero")
    if stage_of(recipe, name).moments == RESET:
        told.append("the moments of the optimizer begin at zero; a warm-up (warmup_steps) keeps the first steps small")
    return told


def checkpoint_scores(recipe: Recipe, stage: str, ctx: StepContext, inputs: StageInputs) -> dict[str, Scores]:
    """What the released checkpoints are scored with: our exercises, and the tasks of `train.score_tasks`."""
    from skyloom.evaluate.tasks import scorer
    from skyloom.train.recording import TASKS

    found: dict[str, Scores] = {}
    if (exercises := scorer(ctx.need("exercises"), inputs.tokenizer, stage_train(recipe, stage))) is not None:
        found["exercises"] = exercises
    if recipe.train.score_tasks:
        import torch

        from skyloom.evaluate.benchmarks import scores_in_training

        between = math.inf
        for name, feed in open_streams(recipe, ctx.need("tokens"), Progress.silent()).items():
            released = evenly(stage_of(recipe, name).rate.releases, feed.steps)
            steps = min(after - before for before, after in pairwise([0, *released]))
            own = stage_train(recipe, name)
            between = min(between, steps * own.batch * own.context)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        tasks = scores_in_training(stage_train(recipe, stage), inputs.tokenizer, inputs.shape.hidden, between, device, ctx.progress)
        if tasks is not None:
            found[TASKS] = tasks
    return found


def open_stream(recipe: Recipe, stage: str, tokens: Store, progress: Progress, *, vocabulary: int | None = None) -> Loader:
    """The stream of samples of a stage, see `open_streams`."""
    return open_streams(recipe, tokens, progress, vocabulary=vocabulary)[stage]


def open_streams(recipe: Recipe, tokens: Store, progress: Progress, *, vocabulary: int | None = None) -> dict[str, Loader]:
    """The stream of samples of each stage, which continues in each source where the stage before stopped.

    `vocabulary`: of the model that will read it. ConfigError if that is not the one of the tokens, or a stage cannot work.
    All stages are planned, so that one that cannot work is refused before the first is trained, not after. A stage with another
    context than the one before cuts the tokens into windows of its own, which it reads in an order of its own: what was read before
    counts against the cap, by its tokens, but not which text that was.
    """
    from skyloom.data.mixture import resolve

    manifest = tokens.read_json("tokens.json")
    made: dict[str, Loader] = {}
    used: dict[str, float] = {}
    for name in stages(recipe):
        plan = resolve(stage_of(recipe, name).data, manifest, progress=progress, name=f"stages.{name}.data", used=used)
        train = stage_train(recipe, name)
        made[name] = Loader(tokens, plan, seed=train.seed, batch=train.batch, context=train.context, vocabulary=vocabulary)
        used |= made[name].consumed(made[name].steps)
    return made
