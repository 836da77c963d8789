from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.report.config import ReportConfig
from skyloom.report.page import write
from tests.report import demo_run
from tests.report.browser import Browser, find, running


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    return demo_run.build(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="session")
def page(run: dict[str, Store], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = Store(tmp_path_factory.mktemp("report"))
    write(run, out, ReportConfig(), demo_run.run_facts(), progress=Progress.silent())
    return out.path("report.html")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find()
    if executable is None:
        reason = "no Chromium found; install it (Debian: apt install chromium) to test the page in a browser"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with running(executable) as opened:
        yield opened
