"""The examples of docs/python.md give what the page says; its table names every public name and a command that exists."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path

import pytest

import skyloom

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "python.md").read_text("utf-8")


@pytest.mark.xdist_group("library")
def test_the_examples_of_the_page(here, capsys):
    """All blocks in their order, with one set of names."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(verbose=False)
    for number, block in enumerate(blocks):
        test = doctest.DocTestParser().get_doctest(block, names, f"block {number}", "docs/python.md", 0)
        runner.run(test, clear_globs=False)
        names.update(test.globs)
    assert not runner.failures, capsys.readouterr().out
    assert len(blocks) >= 6 and re.search(r"[\u4e00-\u9fff]", "".join(blocks))


def test_the_table_names_everything_that_is_public():
    rows = re.findall(r"^\| (`[^|]+) \| [^|]+ \| `skyloom ([a-z -]+)` \|$", PAGE, re.MULTILINE)
    assert {name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)} == set(skyloom.__all__)
    verbs = json.loads((ROOT / "tests" / "cli.json").read_text("utf-8"))
    assert [verb for _, verb in rows if f"skyloom {verb}" not in verbs] == []
