"""The page in a real browser: no error, no request, nothing cut off at the width of a phone, figures under the pointer."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from skyloom.core.store import Store
from skyloom.report.dashboard import Dashboard
from skyloom.report.serve import Server
from skyloom.train.watch.journal import METRICS
from tests.report import demo_run
from tests.report.browser import CONTRAST, Browser
from tests.report.test_dashboard import begun, metric

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_needs_sideways_scrolling_on_a_phone_and_both_languages_fit(browser: Browser, page: Path, width: int) -> None:
    browser.open(f"{page.resolve().as_uri()}#zh", width=width)
    shown = "(() => ['en', 'zh'].map((id) => document.getElementById(id).offsetHeight > 0))()"
    assert browser.value(shown) == [False, True]
    assert browser.value("document.querySelector('.tools').innerText").split() == ["数据", "配方", "对比", "打印", "English"]
    wide = browser.value("""(() => [...document.querySelectorAll(".scroll, nav ul, pre")]
        .filter((e) => e.offsetHeight && e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML.slice(0, 160)))()""")
    assert wide == []
    browser.value("location.hash = '#leakage'")
    assert browser.value(shown) == [True, False], "a link into the English part shows it"


def test_keys_reach_every_value_of_a_chart(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    points = browser.value("""(() => {
        const chart = document.querySelector("svg.chart");
        chart.focus();
        return new Set([...chart.querySelectorAll("circle.dot")].map((dot) => dot.getAttribute("cx"))).size;
    })()""")
    told = []
    for _ in range(points + 1):
        for kind in ("rawKeyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="ArrowRight", code="ArrowRight", windowsVirtualKeyCode=39)
        told.append(browser.value("document.querySelector('.tip').textContent"))
    assert len(set(told)) == points and told[-1] == told[-2] and told[0].startswith("Stage 1, 245.8K: 2.")
    everything = browser.value("""[...document.querySelectorAll("#en svg.chart, #en svg.forest")].every((c) => c.tabIndex === 0)""")
    assert everything and browser.value("document.querySelector('.tip').getAttribute('role')") == "status"


def test_the_values_of_a_figure_open_and_drops_can_be_narrowed(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    browser.value("document.getElementById('data-of-heldout-web_en').open = true")
    end = time.monotonic() + 60
    while not (rows := browser.value("document.querySelectorAll('#data-of-heldout-web_en tbody tr').length")):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert rows == 16
    counts = browser.value("""(() => {
        const form = document.querySelector("[data-browser=drops]");
        const shown = () => [...document.getElementById("drops").children].filter((d) => d.offsetHeight).length;
        const before = shown();
        form.querySelector("[data-by=reason]").value = "near copy";
        form.dispatchEvent(new Event("change"));
        return [before, shown(), form.querySelector(".count").textContent];
    })()""")
    assert counts == [15, 2, "2 / 15"]
    flows = browser.value("""(() => {
        const shown = () => [...document.querySelectorAll("#en svg.flowchart")].map((f) => f.getBoundingClientRect().height > 0);
        const before = shown();
        document.querySelector("#en [name=flow][value=documents]").click();
        return [before, shown()];
    })()""")
    assert flows == [[True, False, False], [False, True, False]]


def test_it_prints_on_few_pages(browser: Browser, page: Path) -> None:
    browser.open(page, width=1280)
    assert 4 <= browser.pages() <= 10
    browser.call("Emulation.setEmulatedMedia", media="print")
    cut = browser.value("""[...document.querySelectorAll("#en .scroll")].filter((e) => e.scrollWidth > e.clientWidth + 1).length""")
    browser.call("Emulation.setEmulatedMedia", media="")
    assert cut == 0


def test_axe_finds_nothing(browser: Browser, page: Path) -> None:
    """axe-core is not ours to ship: SKYLOOM_AXE names a file axe.min.js (`npm pack axe-core`). All pages: bench.report.pages."""
    place = os.environ.get("SKYLOOM_AXE", "")
    if not Path(place).is_file():
        pytest.skip("SKYLOOM_AXE does not name a file axe.min.js (npm pack axe-core gets it)")
    browser.open(page, width=1280)
    browser.value(Path(place).read_text("utf-8") + "; 0")
    asked = "axe.run('header, #en', {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) => v.id)))"
    answer = browser.call("Runtime.evaluate", expression=asked, awaitPromise=True, returnByValue=True)
    assert answer["result"]["value"] == "[]"


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
