"""A run on many processes that torchrun started: rank 0 runs every step; the other ranks only join for training.

Every process reads the recipe and knows the steps. The other ranks wait until rank 0 names a training stage, run it together
with rank 0, and exit when rank 0 has finished. Collecting and cleaning text is distributed in other ways (`--shard`,
`--engine ray`). All processes must see the same work folder.
"""

from __future__ import annotations

from collections.abc import Mapping

from skyloom.core.config import environment_number
from skyloom.core.engine import Engine
from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.step import Step, StepContext
from skyloom.core.store import Store
from skyloom.run.recipe import Recipe, stage_train

DAYS = 86_400.0 * 7
"""Time limit of a collective: the other ranks wait this long while rank 0 cleans pages. The watchdog ends training that hangs."""
MEETING = 1200.0
"""Seconds within which all processes must have joined; torchrun starts them together."""


def processes() -> int:
    """Processes that torchrun started, 1 without it."""
    return environment_number("WORLD_SIZE", 1)


def follows() -> bool:
    """Whether this process is not rank 0, so that it waits for rank 0."""
    return environment_number("RANK") > 0 and processes() > 1


def meet(recipe: Recipe) -> None:
    """Join the other processes, before anything else is done: a missing one is noticed now, not after days of cleaning.

    ConfigError if there are more or fewer than the recipe's layout needs.
    """
    layout = stage_train(recipe, recipe.stages[0].name).layout if recipe.stages else recipe.train.layout
    if layout.world != processes():
        raise ConfigError(
            f"train.layout {layout} needs {layout.world} processes, {processes()} are running: start "
            "them with torchrun --nproc-per-node, or change train.layout"
        )
    import torch.distributed as dist

    from skyloom.train.distributed import join
    from skyloom.train.recover import Watchdog, lost_processes

    if not dist.is_initialized():  # all processes make a mesh together, so each must make it equally often
        with lost_processes(), Watchdog(MEETING, None):
            join(layout, timeout_seconds=DAYS)


def call(recipe: Recipe, name: str) -> None:
    """On rank 0: tell the other ranks that a training stage begins. On another rank this does nothing."""
    if processes() > 1 and not follows():
        _share(name)


def dismiss() -> None:
    """Tell the other ranks that no training is left, so that they exit."""
    if processes() > 1:
        from skyloom.train.distributed import leave

        _share("")
        leave()


def follow(steps: Mapping[str, Step], work: Store, engine: Engine) -> None:
    """On another rank: run each training stage that rank 0 names, until rank 0 has none left."""
    from skyloom.train.distributed import leave

    while name := _share(""):
        step = steps[name]
        inputs = {need.name: work.child(need.folder) for need in step.needs}
        step.run(StepContext(step, work.child(step.folder), inputs, engine, Progress.silent()))
    leave()


def _share(name: str) -> str:
    """The name that rank 0 gives, on all ranks."""
    from skyloom.train.distributed import Ranks
    from skyloom.train.recover import lost_processes

    with lost_processes():
        return str(Ranks.here().share(name))
