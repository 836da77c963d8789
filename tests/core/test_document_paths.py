"""Every file and every module that the documents and docstrings name is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLANNED = "0021-packages-and-interfaces.md"  # its table names files as they were planned
PAGES = [
    *(p for p in (ROOT / "docs").rglob("*.md") if p.name != PLANNED),
    *(ROOT / n for n in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]
CODE = [path for folder in ("src", "bench", "studies", "tests") for path in (ROOT / folder).rglob("*.py")]
TOP = "bench|studies|tests|src"
ROOMS = "|".join(sorted(p.name for p in (ROOT / "src" / "skyloom").iterdir() if (p / "__init__.py").exists()))
# `run/models.json` is a file of a release, and a user's own recipes may lie in `recipes/`.
NAMED = re.compile(rf"(?<![\w/.~-])(?:(?:{TOP}|{ROOMS})/[\w/]+\.(?:py|toml)|(?:{TOP})/[\w/]+\.json)\b(?!\.)")
STARTED = re.compile(r"python -m\s+((?:bench|studies|tests|skyloom)(?:\.\w+)+)")
BESIDE = re.compile(r"(?<![\w/.~'\"-])\w+\.py\b(?!\.)")


def missing(text: str) -> list[str]:
    """What a text names and the project does not have: paths from the root or from src/skyloom, and modules to start."""
    paths = {name for name in NAMED.findall(text) if not any((base / name).exists() for base in (ROOT, ROOT / "src" / "skyloom"))}
    return sorted(paths) + sorted({name for name in STARTED.findall(text) if importlib.util.find_spec(name) is None})


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    assert missing(page.read_text(encoding="utf-8")) == []


def test_what_the_code_names_exists() -> None:
    found = {str(path.relative_to(ROOT)): missing(path.read_text(encoding="utf-8")) for path in CODE if path != Path(__file__)}
    assert {name: names for name, names in found.items() if names} == {}


def test_a_docstring_names_files_beside_it() -> None:
    """A name without a folder (`survivors.py`) is of the same folder."""
    wrong = []
    for path in (ROOT / "src").rglob("*.py"):
        for name in sorted(set(BESIDE.findall(path.read_text(encoding="utf-8")))):
            if not (path.parent / name).exists():
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []


def test_steps_of_the_design_name_functions_that_exist() -> None:
    """The second column of the table of steps: `package.module.function(…)`."""
    page = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `\w+`[^|]*\| `([\w.]+)\(", page, re.MULTILINE)
    assert len(rows) >= 12
    for name in rows:
        module, _, function = name.rpartition(".")
        assert callable(getattr(importlib.import_module(f"skyloom.{module}"), function)), name
