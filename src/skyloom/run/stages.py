"""A session of training as every process reads it: recipe and folders of the steps before enter; what the loop needs leaves.

Used by the sessions themselves (`crew.train`) and by the short runs that look for their learning rate (`lr_test`), so that both
read the same samples and are judged by the same texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skyloom.core.progress import Progress
from skyloom.core.step import StepContext
from skyloom.core.store import Store
from skyloom.data.loader import Loader
from skyloom.model.adopt import Adopted
from skyloom.model.config import ModelConfig
from skyloom.run.recipe import Recipe, stages
from skyloom.suites import HeldOut, heldout_sets
from skyloom.tokenizer import Tokenizer
from skyloom.train.distributed import share_of_many
from skyloom.train.loop import MakeLearner, one_process
from skyloom.train.step import Weights


@dataclass(frozen=True)
class StageInputs:
    """What `train.loop.train_stage` is handed. `weights`: what the first session begins with, None for seeded ones."""

    shape: ModelConfig
    feed: Loader
    heldout: Mapping[str, HeldOut]
    tokenizer: Tokenizer
    make: MakeLearner
    weights: Weights | None


def open_stage(recipe: Recipe, name: str, ctx: StepContext, *, begins: bool) -> StageInputs:
    """The session `name`. `begins`: nothing was trained before it, so it begins with a model that is continued, if there is one."""
    tokenizer = Tokenizer.load(ctx.need("tokenizer"))
    shape = replace(recipe.model, vocabulary=tokenizer.vocab_size)
    feed = open_stream(recipe, name, ctx.need("tokens"), ctx.progress, vocabulary=shape.vocabulary)
    weights: Weights | None = None
    if recipe.train.init_from and begins:
        adopted = Adopted(Path(recipe.train.init_from), tokenizer.pieces)
        ctx.progress.log(f"continuing {recipe.train.init_from}: {adopted.summary()}")
        weights = adopted
    make: MakeLearner = share_of_many if recipe.train.layout.world > 1 else one_process
    heldout = heldout_sets(ctx.need("corpus"), ctx.need("exercises"), recipe.heldout)
    return StageInputs(shape, feed, heldout, tokenizer, make, weights)


def train_stage_step(recipe: Recipe, name: str, ctx: StepContext) -> None:
    """One session of training, on this process or as its part of many."""
    from skyloom.data.mixture_table import mixture_table, show_mixture
    from skyloom.evaluate.tasks import scorer
    from skyloom.train.loop import train_stage

    before = [need for need in ctx.step.needs if need.name.startswith("stage")]
    session = open_stage(recipe, name, ctx, begins=not before)
    train_stage(
        recipe.train,
        getattr(recipe, name).rate,
        session.shape,
        session.feed,
        session.heldout,
        session.tokenizer,
        ctx.need(before[-1].name) if before else None,
        ctx.out,
        progress=ctx.progress,
        make=session.make,
        weights=session.weights,
        scores=scorer(ctx.need("exercises"), session.tokenizer, recipe.train),
    )
    ctx.progress.log(f"{name}: what was read of each part, in shares of the session and in passes with earlier sessions")
    for told in show_mixture(mixture_table(session.feed.plan, session.feed.realised(session.feed.steps))).splitlines():
        ctx.progress.log(told)


def open_stream(recipe: Recipe, stage: str, tokens: Store, progress: Progress, *, vocabulary: int | None = None) -> Any:
    """The stream of samples of a session, which goes on in each source where the one before stopped.

    `vocabulary`: of the model that will read it. ConfigError if that is not the one of the tokens, or a session cannot work.
    All sessions are planned, so that one that cannot work is refused before the first is trained, not after.
    """
    from skyloom.data.loader import Loader
    from skyloom.data.mixture import resolve

    manifest = tokens.read_json("tokens.json")
    train = recipe.train
    shape: dict[str, Any] = {"seed": train.seed, "batch": train.batch, "context": train.context, "vocabulary": vocabulary}
    made: dict[str, Loader] = {}
    used: dict[str, float] = {}
    for name in stages(recipe):
        plan = resolve(getattr(recipe, name).data, manifest, progress=progress, name=f"{name}.data", used=used)
        made[name] = Loader(tokens, plan, **shape)
        used |= made[name].consumed(made[name].steps)
    return made[stage]
