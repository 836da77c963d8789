"""Training on many ranks: mesh, data, tensor and pipeline parallelism, and the exchanges between ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.train.distributed.mesh import DATA, OWNERS, PIPELINE, TENSOR, Place, join, leave
    from skyloom.train.distributed.parallel_learner import ParallelLearner, share_of_many
    from skyloom.train.distributed.ranks import Ranks
    from skyloom.train.distributed.shard import materialise, parallelize
else:
    __getattr__ = lazy(__name__, {
        "mesh": ("DATA", "OWNERS", "PIPELINE", "Place", "TENSOR", "join", "leave",),
        "parallel_learner": ("ParallelLearner", "share_of_many",),
        "ranks": ("Ranks",),
        "shard": ("materialise", "parallelize",),
    })  # fmt: skip

__all__ = [
    "DATA",
    "OWNERS",
    "PIPELINE",
    "TENSOR",
    "ParallelLearner",
    "Place",
    "Ranks",
    "join",
    "leave",
    "materialise",
    "parallelize",
    "share_of_many",
]  # fmt: skip
