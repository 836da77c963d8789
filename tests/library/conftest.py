"""A finished run of the recipe `tiny` in runs/tiny, as a user has it who called `skyloom.Run.open("tiny").run()`."""

from __future__ import annotations

from pathlib import Path

import pytest

import skyloom


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which runs/tiny lies."""
    folder = tmp_path_factory.mktemp("图书馆")
    done = skyloom.Run.open("tiny", work=folder / "runs" / "tiny", workers=0).run()
    assert set(done["status"].to_pylist()) == {"done"}
    return folder


@pytest.fixture
def here(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, as the current folder."""
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def release(here: Path) -> Path:
    """The release of the run."""
    return skyloom.Run.open("tiny").folders()["release"]
