from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release.config import ReleaseConfig
from skyloom.release.weights import release
from tests.planted import small_release
from tests.release import demo_run

CONFIG = ReleaseConfig(name="Demo 示例", authors=("甲", "B"), contact="mail@example.org", shard_megabytes=0.02)
RECIPE = {
    "name": "demo",
    "note": None,
    "train": {"seed": 1, "语言": ["en", "zh"]},
    "stages": [{"name": "stage1"}, {"name": "stage2"}],
}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """A run whose figures are written by hand, with every kind of them."""
    return demo_run.build(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def released(run: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release")
    release(run, Store(out), CONFIG, RECIPE, progress=Progress.silent())
    return out


@pytest.fixture(scope="session")
def measured_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """A run whose figures are measured on its own text."""
    return small_release.build(tmp_path_factory.mktemp("measured-run"))


@pytest.fixture(scope="session")
def measured(measured_run: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its release."""
    return small_release.publish(measured_run, tmp_path_factory.mktemp("measured"))


@pytest.fixture
def copy(measured: Path, tmp_path: Path) -> Path:
    """A release to break."""
    return Path(shutil.copytree(measured, tmp_path / "release"))


@pytest.fixture
def sign() -> Callable[[Path], None]:
    """Write SHA256SUMS anew, so that a check looks past the changed bytes at what they say."""
    return small_release.resign
