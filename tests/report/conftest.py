from __future__ import annotations

from pathlib import Path

import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.report.config import ReportConfig
from skyloom.report.page import write
from tests.report import demo_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    return demo_run.build(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def page(run: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = Store(tmp_path_factory.mktemp("report"))
    write(run, out, ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    return out.path("report.html")
