from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.config import ReleaseConfig
from skyloom.release.weights import release
from tests.release import demo_run

CONFIG = ReleaseConfig(name="Demo 示例", authors=("甲", "B"), contact="mail@example.org", shard_megabytes=0.02)
RECIPE = {"name": "demo", "note": None, "train": {"seed": 1, "语言": ["en", "zh"]}}


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    return demo_run.build(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def released(run: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("release")
    release(
        run,
        Store(out),
        CONFIG,
        {"name": "demo", "note": None, "train": {"seed": 1, "语言": ["en", "zh"]}},
        progress=Progress.silent(),
    )
    return out


@pytest.fixture
def copy(released: Path, tmp_path: Path) -> Path:
    """A release to break."""
    return Path(shutil.copytree(released, tmp_path / "release"))


@pytest.fixture
def sign() -> Callable[[Path], None]:
    """Write SHA256SUMS anew, so that a check looks past the changed bytes at what they say."""

    def again(folder: Path) -> None:
        store = Store(folder)
        sums.write([store.describe(name) for name in store.names() if name != sums.SUMS], store)

    return again
