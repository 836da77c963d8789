"""A session of training as every process reads it: recipe and folders of the steps before enter; what the loop needs leaves.

Used by the sessions themselves (`crew.train`) and by the short runs that look for their learning rate (`lr_test`), so that both
read the same samples and are judged by the same texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from skyloom.core.step import StepContext
from skyloom.data.loader import Loader
from skyloom.model.adopt import Adopted
from skyloom.model.config import ModelConfig
from skyloom.run.recipe import Recipe
from skyloom.run.road import loader
from skyloom.suites import HeldOut, heldout_sets
from skyloom.tokenizer import Tokenizer
from skyloom.train.learner import Weights
from skyloom.train.loop import MakeLearner, one_process
from skyloom.train.parallel import share_of_many


@dataclass(frozen=True)
class Session:
    """What `train.loop.train_stage` is handed. `weights`: what the first session begins with, None for seeded ones."""

    shape: ModelConfig
    feed: Loader
    heldout: Mapping[str, HeldOut]
    tokenizer: Tokenizer
    make: MakeLearner
    weights: Weights | None


def open_session(recipe: Recipe, name: str, ctx: StepContext, *, begins: bool) -> Session:
    """The session `name`. `begins`: nothing was trained before it, so it begins with a model that is continued, if there is one."""
    tokenizer = Tokenizer.load(ctx.need("tokenizer"))
    shape = replace(recipe.model, vocabulary=tokenizer.vocab_size)
    feed = loader(recipe, name, ctx.need("tokens"), ctx.progress, vocabulary=shape.vocabulary)
    weights: Weights | None = None
    if recipe.train.init_from and begins:
        adopted = Adopted(Path(recipe.train.init_from), tokenizer.pieces)
        ctx.progress.log(f"continuing {recipe.train.init_from}: {adopted.summary()}")
        weights = adopted
    make: MakeLearner = share_of_many if recipe.train.layout.world > 1 else one_process
    heldout = heldout_sets(ctx.need("corpus"), ctx.need("exercises"), recipe.heldout)
    return Session(shape, feed, heldout, tokenizer, make, weights)
