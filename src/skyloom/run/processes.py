"""Many processes on one road: what torchrun started enters; one leads, the others come along for the training.

Every process reads the recipe and knows the steps. The leading one (rank 0) does the road as ever; the others wait until it
calls them to a session of training, do that with it, and leave when it dismisses them. Finding and cleaning text is
spread by other means (`--shard`, `--engine ray`). All processes must see the same work folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.step import Step, StepContext
from skyloom.core.store import Store
from skyloom.run.recipe import Recipe

DAYS = 86_400.0 * 7
"""A collective's own time limit: the others wait this long for pages to be cleaned. Hung training is the watchdog's to end."""
MEETING = 1200.0
"""Seconds in which all processes must have come; torchrun starts them together."""


def processes() -> int:
    """Processes that torchrun started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def follows() -> bool:
    """Whether this process waits for another to lead."""
    return int(os.environ.get("RANK", "0")) > 0 and processes() > 1


def meet(recipe: Recipe) -> None:
    """Meet the other processes, before anything else is done: one that never comes is noticed now, not after days of cleaning.

    ConfigError if there are more or fewer than the recipe's layout needs.
    """
    if recipe.train.layout.world != processes():
        raise ConfigError(
            f"train.layout {recipe.train.layout} needs {recipe.train.layout.world} processes, {processes()} are running: start "
            "them with torchrun --nproc-per-node, or change train.layout"
        )
    import torch.distributed as dist

    from skyloom.train.distributed import join
    from skyloom.train.recover import Watchdog, lost_processes

    if not dist.is_initialized():  # a mesh is made by all processes together, so as often by each
        with lost_processes(), Watchdog(MEETING, None):
            join(recipe.train.layout, timeout_seconds=DAYS)


def call(recipe: Recipe, name: str) -> None:
    """Tell the others that a session of training begins; for one of the others, nothing: it was told."""
    if processes() > 1 and not follows():
        _share(name)


def dismiss() -> None:
    """Tell the others that nothing is left for them."""
    if processes() > 1:
        from skyloom.train.distributed import leave

        _share("")
        leave()


def follow(steps: Mapping[str, Step], work: Store, engine: Engine) -> None:
    """Come along for each session that the leading process calls, until it dismisses us."""
    from skyloom.train.distributed import leave

    while name := _share(""):
        step = steps[name]
        inputs = {need.name: work.child(need.folder) for need in step.needs}
        step.run(StepContext(step, work.child(step.folder), inputs, engine, Progress.silent()))
    leave()


def _share(name: str) -> str:
    """The name that the leading process gives, on all."""
    from skyloom.train.distributed import Ranks
    from skyloom.train.recover import lost_processes

    with lost_processes():
        return str(Ranks.here().share(name))
