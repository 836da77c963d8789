"""What the bars of the pages measure: findings of axe-core on all pages in both schemes, and printed pages of the run page.

    python -m bench.report.pages axe --work runs/demo      # SKYLOOM_AXE names a file axe.min.js
    python -m bench.report.pages print --work runs/demo

Input: the work folder of a finished run. The pages are its run page (English and Chinese), its dashboard as it stands, the
comparison of the run with itself, and, of results that are put together for tests, the audit page and the pages of evaluations.
Prints {"value": number} or {"not_measured": "why"}; with `--verbose` each finding on standard error. A page takes seconds on an
idle core, minutes on a busy one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.report.browser import Browser, find, running
from tests.report.evaluations import benchmarks, perplexities
from tests.report.leaks import leak

from skyloom.core.store import Store
from skyloom.report.compare.compare_page import write_comparison
from skyloom.report.compare.runs_read import read_runs
from skyloom.report.dashboard import Dashboard
from skyloom.report.evaluated.evaluation_page import write_perplexity_page, write_tasks_page
from skyloom.report.leak_page import write_leak_page

AXE = "SKYLOOM_AXE"
PATIENCE = 1800.0
"""Seconds that the browser may take for one page: axe-core computes the contrast of every text."""
WIDTHS = (1280, 390)
RUN = """axe.run(document, {resultTypes: ["violations"]}).then((found) => JSON.stringify(found.violations.map(
    (v) => [v.id, v.impact, v.nodes.map((n) => n.html.slice(0, 160))])))"""


class NotMeasuredError(Exception):
    """Why a figure cannot be had, in a sentence."""


def run_page(work: Path) -> Path:
    """The newest finished run page in a work folder."""
    found = sorted(work.glob("report-*/report.html"), key=lambda page: page.stat().st_mtime)
    if not found:
        raise NotMeasuredError(f"{work} holds no finished run page; run `make demo` first")
    return found[-1]


def all_pages(work: Path, out: Path) -> Iterator[tuple[Path, str]]:
    """The files of the pages, with the fragment that is shown."""
    page = run_page(work)
    yield page, ""
    yield page, "#zh"
    stages = {name: folders[-1] for name in ("stage1", "stage2") if (folders := sorted(work.glob(f"{name}-*")))}
    dashboard = Dashboard(work.name, {name: Store(folder) for name, folder in stages.items()})
    (out / "dashboard.html").write_text(dashboard.page("zh"), encoding="utf-8")
    yield out / "dashboard.html", ""
    write_comparison(read_runs([page.parent, page.parent]), out / "compare.html")
    yield out / "compare.html", ""
    write_leak_page(leak("leaked"), out / "leak.html", "en", True)
    yield out / "leak.html", ""
    write_perplexity_page(perplexities(), Store(out), out / "perplexity.html")  # type: ignore[arg-type]  # a dictionary of a test
    yield out / "perplexity.html", ""
    write_tasks_page(benchmarks(), Store(out), out / "tasks.html")  # type: ignore[arg-type]  # a dictionary of a test
    yield out / "tasks.html", "#zh"


def axe_findings(browser: Browser, script: str, page: Path, fragment: str, *, dark: bool) -> list[tuple[str, str, list[str]]]:
    """(rule, impact, elements) of each rule that the page breaks."""
    browser.open(page.resolve().as_uri() + fragment, width=WIDTHS[0], dark=dark)
    browser.value(f"{script}; 0")
    answer = browser.call("Runtime.evaluate", expression=RUN, awaitPromise=True, returnByValue=True)
    found: list[tuple[str, str, list[str]]] = json.loads(answer["result"]["value"])
    return found


def count_findings(work: Path, verbose: bool) -> int:
    """Elements that break a rule, over all pages and both schemes."""
    place = os.environ.get(AXE, "")
    if not place or not Path(place).is_file():
        raise NotMeasuredError(f"{AXE} does not name a file axe.min.js (npm pack axe-core gets it)")
    script, total = Path(place).read_text(encoding="utf-8"), 0
    with tempfile.TemporaryDirectory() as folder, running(_browser(), patience=PATIENCE) as browser:
        for page, fragment in all_pages(work, Path(folder)):
            for dark in (False, True):
                for rule, impact, elements in axe_findings(browser, script, page, fragment, dark=dark):
                    total += len(elements)
                    if verbose:
                        print(
                            f"{page.name}{fragment} {'dark' if dark else 'light'}: {rule} ({impact})",
                            *elements[:5],
                            sep="\n  ",
                            file=sys.stderr,
                        )
    return total


def printed_pages(work: Path) -> int:
    """A4 pages of the run page, the longer of both languages."""
    page = run_page(work)
    numbers = []
    with running(_browser(), patience=PATIENCE) as browser:
        for fragment in ("", "#zh"):
            browser.open(page.resolve().as_uri() + fragment, width=WIDTHS[0])
            numbers.append(browser.pages())
    return max(numbers)


def _browser() -> str:
    executable = find()
    if executable is None:
        raise NotMeasuredError("no Chromium found; install it (Debian: apt install chromium)")
    return executable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["axe", "print"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    told: dict[str, Any]
    try:
        told = {"value": count_findings(given.work, given.verbose) if given.what == "axe" else printed_pages(given.work)}
    except NotMeasuredError as problem:
        told = {"not_measured": str(problem)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
