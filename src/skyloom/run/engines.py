"""Makes the engine that a command asks for: this machine's processes or a Ray cluster, whole or one shard of many."""

from __future__ import annotations

from skyloom.core.engine import Engine, Shard
from skyloom.run.doctor import usable_cores


def make_engine(
    kind: str, workers: int | None = None, *, shard: str | None = None, patience: float = 0.0, verify: str = "full", memory: int = 0
) -> Engine:
    """The engine "local" or "ray" with `workers` (None: one for each usable core). `memory`: bytes for all of them, 0 for no limit.

    ConfigError for a shard that is not i/n.
    """
    count = usable_cores() if workers is None else workers
    made: type[Engine] = Engine
    if kind == "ray":
        from skyloom.core.engine_ray import RayEngine

        made = RayEngine
    share = Shard.parse(shard) if shard else None
    preload = ("skyloom.corpus.clean.warm",)
    return made(count, shard=share, patience=patience, verify=verify, memory=memory // max(count, 1), preload=preload)
