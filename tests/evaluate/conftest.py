from __future__ import annotations

import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.evaluate.config import EvaluateConfig
from skyloom.evaluate.report import evaluate
from skyloom.score.config import SamplingConfig
from tests.evaluate.world import World, shared

CONFIG = EvaluateConfig(items=12, set_bytes=6_000, resamples=200, sampling=SamplingConfig(tokens=12))


@pytest.fixture(scope="session")
def world() -> World:
    return shared()


@pytest.fixture(scope="session")
def evaluated(world: World, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """What `evaluate` wrote for both models."""
    out = Store(str(tmp_path_factory.mktemp("evaluate")))
    run(world, out, CONFIG)
    return out


def run(world: World, out: Store, config: EvaluateConfig) -> None:
    models = {"stage1": world.stage1, "final": world.final}
    evaluate(models, world.corpus, world.exercises, world.tokens, world.tokenizer, out, config, progress=Progress.silent())
