"""A stage on the toy corpus by several processes: `python toy_ranks.py OUT STEPS LAYOUT [STOP [KILLED]]`, in torchrun's
environment.

LAYOUT is JSON, and may name an `optimizer` too. At step STOP the last rank gets SIGTERM (or, as `-STOP`, hangs in the middle of a step for ever). With KILLED
there is a checkpoint after each step, and at STOP this rank gets SIGKILL, unless torchrun has started it again already.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import time

from skyloom.core.errors import SkyloomError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.planner.layout import Layout
from skyloom.train.config import RecoverConfig, StageConfig
from skyloom.train.distributed.mesh import join, leave
from skyloom.train.distributed.parallel_learner import share_of_many
from skyloom.train.loop import one_process
from tests.train.toy import CONFIG, MODEL, ToyBatch, ToyLoader, train

STAGE = StageConfig(name="stage1", peak=3e-3, warmup_steps=2, monitor_points=2, releases=2)
BASE = dataclasses.replace(CONFIG, precision="fp32", checkpoint_seconds=600.0, recover=RecoverConfig(hang_seconds=20.0))
DEEP = dataclasses.replace(MODEL, layers=4, vocabulary=MODEL.vocabulary + MODEL.vocabulary % 2)


@dataclasses.dataclass(frozen=True)
class Disturbed(ToyLoader):
    stop: int = 0
    killed: int | None = None

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> ToyBatch:
        if self.killed is not None:
            mine = int(os.environ.get("RANK", "0")) == self.killed and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
            if mine and step == self.stop:
                signal.raise_signal(signal.SIGKILL)
            return super().batch(step, rank=rank, world=world)
        last = int(os.environ.get("RANK", "0")) == int(os.environ.get("WORLD_SIZE", "1")) - 1
        if self.stop and step == abs(self.stop) and last:
            if self.stop < 0:
                time.sleep(600)
            signal.raise_signal(signal.SIGTERM)
        return super().batch(step, rank=rank, world=world)


def main(out: str, steps: int, layout: Layout, stop: int = 0, killed: int | None = None, optimizer: str = "adamw") -> None:
    config = dataclasses.replace(
        BASE, layout=layout, optimizer=optimizer, checkpoint_seconds=BASE.checkpoint_seconds if killed is None else 0.0
    )
    if stop < 0:
        config = dataclasses.replace(config, recover=RecoverConfig(hang_seconds=4.0))
    many = layout.world > 1
    if many:
        join(layout)
    leads = int(os.environ.get("RANK", "0")) == 0
    train(
        Store(out), steps, config=config, stage=STAGE, model=DEEP, 
        loader=Disturbed(steps, config.batch, stop=stop, killed=killed),
        progress=Progress() if leads else Progress.silent(), make=share_of_many if many else one_process,
    )  # fmt: skip
    if many:
        leave()


if __name__ == "__main__":
    try:
        given = json.loads(sys.argv[3])
        named = given.pop("optimizer", "adamw")
        main(sys.argv[1], int(sys.argv[2]), Layout(**given), *map(int, sys.argv[4:]), optimizer=named)
    except SkyloomError as problem:
        print(problem, file=sys.stderr, flush=True)
        os._exit(problem.exit_code)
