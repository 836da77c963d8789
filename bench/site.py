"""The documentation: dead links of all pages, and pages whose commands do not run as they are written.

    python -m bench.site dead-links
    python -m bench.site failing-pages

Each prints {"value": number} on its last line. Links are relative ones with their anchors, on every page of docs/ and of the root.
The pages are those of docs/get-started, docs/tutorials and docs/howto that show commands; `tests/site` runs them, as `make test`
does.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from tests.site.pages import dead, documents
from tests.stories.program import ROOT

TESTS = "tests/site/test_tutorials.py"


def dead_links() -> int:
    found = {page: dead(page) for page in documents()}
    for page, targets in found.items():
        for target in targets:
            print(f"{page.relative_to(ROOT)}: {target}")
    return sum(map(len, found.values()))


def failing_pages() -> int:
    """Tests of pages that failed, or were skipped, which is no pass."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        subprocess.run(
            [sys.executable, "-m", "pytest", "-n", "0", TESTS, f"--junitxml={report}"], cwd=ROOT, stdout=sys.stderr, check=False
        )
        cases = list(ET.parse(report).getroot().iter("testcase"))
    if not cases:
        raise SystemExit(f"{TESTS} has no tests")
    return sum(len(case) > 0 for case in cases)


def main() -> None:
    print(json.dumps({"value": {"dead-links": dead_links, "failing-pages": failing_pages}[sys.argv[1]]()}))


if __name__ == "__main__":
    main()
