"""Processes of `test_dryrun`: what really is there of a layout, under gloo. Started by torchrun; writes JSON beside its argument."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import torch

from skyloom.model.config import ModelConfig
from skyloom.planner.layout import Layout
from skyloom.train.config import TrainConfig
from skyloom.train.distributed import mesh
from skyloom.train.distributed.parallel_learner import ParallelLearner
from skyloom.train.dryrun.traffic import TrafficMeter

MODEL = ModelConfig(vocabulary=66, hidden=32, layers=4, heads=4, ffn=90, context=32)
"""Sizes that two processes cannot share evenly after two others did."""
CONFIG = TrainConfig(batch=8, context=32)
LAYOUTS = (Layout(data=2, tensor=2, micro_batch=2), Layout(data=2, pipeline=2, micro_batch=1))


def main(folder: Path) -> None:
    found = []
    for layout in LAYOUTS:
        place = mesh.join(layout, torch.device("cpu"))
        learner = ParallelLearner.build(dataclasses.replace(CONFIG, layout=layout), MODEL, place)
        tokens = torch.zeros(CONFIG.batch // layout.data, CONFIG.context + 1, dtype=torch.int64)
        learner.measure(tokens)  # the first time, a pipeline's stages agree on what they send
        learner.apply(1e-3)
        groups = {str(place.mesh.get_group(name).group_name): name for name in ("pp", "dp", "tp")}
        meter = TrafficMeter(groups)
        with meter.watching():
            learner.backward(tokens)
            learner.apply(1e-3)
        found.append(
            {
                "shapes": {name: list(weight.to_local().shape) for name, weight in learner.masters.items()},  # type: ignore[attr-defined]
                "traffic": sorted([row.dimension, row.kind, row.count, row.size] for row in meter.traffic.values()),
            }
        )
    (folder / f"{place.rank}.json").write_text(json.dumps(found))
    mesh.leave()


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main(Path(sys.argv[1]))
