"""The page in a real browser: no error, no request, nothing cut off at the width of a phone, figures under the pointer."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skyloom.core.store import Store
from skyloom.report.dashboard import Dashboard
from skyloom.report.serve import Server
from skyloom.train.watch.journal import METRICS
from tests.report import demo_run
from tests.report.browser import Browser, find, running
from tests.report.test_dashboard import begun, metric

pytestmark = pytest.mark.browser

CONTRAST = """(() => {
    const linear = (v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const light = (color) => {
        const [r, g, b] = color.match(/[0-9]+/g).map((v) => linear(v / 255));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const body = getComputedStyle(document.body), lead = getComputedStyle(document.querySelector(".lead"));
    const paper = light(body.backgroundColor);
    const contrast = (c) => (Math.max(light(c), paper) + 0.05) / (Math.min(light(c), paper) + 0.05);
    return [paper, contrast(body.color), contrast(lead.color)];
})()"""
"""Luminance of the page, and contrast of its ink and its softer ink, by the rules of WCAG 2."""


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


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_renders_without_errors_requests_or_overflow(browser: Browser, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    assert browser.problems() == []
    assert set(browser.requests()) == {page.resolve().as_uri()}
    assert browser.value("document.title") == "demo · Skyloom run page"
    assert browser.value("document.documentElement.scrollWidth") <= width
    outside = browser.value("""(() => {
        const edge = document.documentElement.clientWidth;
        const scrolls = (e) => e.closest(".scroll, nav ul, pre, .text");
        return [...document.querySelectorAll("main *")].filter((e) => !scrolls(e) && e.getBoundingClientRect().right > edge + 1)
            .map((e) => e.outerHTML.slice(0, 120));
    })()""")
    assert outside == []


def test_opened_details_do_not_overflow_either(browser: Browser, page: Path) -> None:
    browser.open(page, width=390)
    browser.value("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert browser.value("document.documentElement.scrollWidth") <= 390
    assert browser.value("document.title") == "demo · Skyloom run page"


def test_the_pages_colours_follow_the_theme_and_can_be_read(browser: Browser, page: Path) -> None:
    ratios = []
    for dark in (False, True):
        browser.open(page, width=1280, dark=dark)
        ratios.append(browser.value(CONTRAST))
    assert ratios[0][0] > 0.8 and ratios[1][0] < 0.05
    assert all(contrast >= 4.5 for theme in ratios for contrast in theme[1:])


def test_the_figures_of_a_point_appear_under_the_pointer(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    place = browser.value("""(() => {
        const chart = document.querySelector("svg.chart");
        chart.scrollIntoView({ block: "center", behavior: "instant" });
        const dot = [...chart.querySelectorAll("circle.tone-stage2")].at(-1).getBoundingClientRect();
        return [dot.x + dot.width / 2, dot.y + dot.height / 2];
    })()""")
    assert browser.value("document.querySelector('.tip').hidden") is True
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    assert browser.value("document.querySelector('.tip').hidden") is False
    assert browser.value("document.querySelector('.tip').textContent").startswith("Stage 2, 1.966M: ")


def test_an_empty_run_renders_too(browser: Browser, tmp_path: Path) -> None:
    from skyloom.core.progress import Progress
    from skyloom.report.config import ReportConfig
    from skyloom.report.page import write

    write({}, Store(tmp_path), ReportConfig(), {"name": "空" * 80}, progress=Progress.silent())
    browser.open(tmp_path / "report.html", width=390)
    assert browser.problems() == [] and browser.value("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [390, 1280])
def test_the_dashboard_redraws_what_changed(browser: Browser, run: dict[str, Store], tmp_path: Path, width: int) -> None:
    for name in ("stage1", "stage2"):
        shutil.copytree(run[name].root, tmp_path / name)
    live = begun(tmp_path / "stage2")
    dashboard = Dashboard("演示", {name: Store(tmp_path / name) for name in ("stage1", "stage2")}, run["references"])
    with Server(dashboard, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        browser.open(f"{server.url}?lang=zh", width=width)
        assert browser.value("document.documentElement.scrollWidth") <= width
        drawn = browser.value("document.querySelectorAll('svg.chart').length")
        live.add(METRICS, {**metric(481), "stage": "stage2"})
        end = time.monotonic() + 60
        while "第 241 步" not in browser.value("document.getElementById('said').textContent"):
            assert time.monotonic() < end, "the page does not ask for news"
            time.sleep(0.2)
        assert "241" in browser.value("document.getElementById('now').textContent")
        assert browser.value("document.querySelectorAll('svg.chart').length") == drawn == len(demo_run.SETS) + 3
        assert browser.value("document.querySelectorAll('#training circle').length") > 100
        assert browser.value("document.querySelectorAll('#training circle title').length") == 0, (
            "a redrawn chart has its reading line"
        )
        assert browser.problems() == [] and all(url.startswith(server.url) for url in browser.requests())
        server.shutdown()
        thread.join()
