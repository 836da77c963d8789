"""Training on many ranks: mesh, data, tensor and pipeline parallelism, and the exchanges between ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.train.distributed.learner import ParallelLearner, share_of_many
    from skyloom.train.distributed.mesh import DATA, PIPELINE, TENSOR, Place, join, leave
    from skyloom.train.distributed.ranks import Crew
    from skyloom.train.distributed.shard import materialise, parallelize
else:
    __getattr__ = lazy(__name__, {
        "learner": ("ParallelLearner", "share_of_many",),
        "mesh": ("DATA", "PIPELINE", "Place", "TENSOR", "join", "leave",),
        "ranks": ("Crew",),
        "shard": ("materialise", "parallelize",),
    })  # fmt: skip

__all__ = [
    "DATA",
    "PIPELINE",
    "TENSOR",
    "Crew",
    "ParallelLearner",
    "Place",
    "join",
    "leave",
    "materialise",
    "parallelize",
    "share_of_many",
]  # fmt: skip
