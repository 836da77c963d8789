"""The bench and the studies are measured by hand, so a test looks whether what they import is there."""

from __future__ import annotations

import ast
import importlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("skyloom", "bench", "tests", "studies")
FILES = sorted(path for folder in ("bench", "studies", "tests/planted") for path in (ROOT / folder).rglob("*.py"))
BY_PATH = ("*_peers.py", "peers.py", "extractors.py", "corpus_peer.py")
"""Scripts that an interpreter without skyloom runs by their path: they import nothing of ours when they start."""


def imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, name) of what is imported from our packages; the name is "" for a module as a whole."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            yield from ((str(node.module), alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.split(".")[0] in OURS)


def exists(module: str, name: str) -> bool:
    if not name or hasattr(importlib.import_module(module), name):
        return True
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


def used(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """(module, attribute) of what is taken from modules of ours by a dot, where no other value has the module's name."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            for alias in node.names:
                if importlib.util.find_spec(str(node.module)) and isinstance(
                    getattr(importlib.import_module(str(node.module)), alias.name, None), ModuleType
                ):
                    modules[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            modules.pop(node.id, None)
        elif isinstance(node, ast.arg):
            modules.pop(node.arg, None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield modules[node.value.id], node.attr


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_imported_exists(path: Path) -> None:
    pytest.importorskip("lightgbm") if path.parent.name == "studies" else None
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [f"{module} {name}" for module, name in imported(tree) if not exists(module, name)] == []
    assert [f"{module}.{name}" for module, name in used(tree) if not exists(module, name)] == []
    if any(path.match(pattern) for pattern in BY_PATH):
        first = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
        assert list(imported(first)) == []


def test_no_script_changes_the_search_path() -> None:
    assert [str(path) for path in FILES if "sys.path" in path.read_text(encoding="utf-8").replace("`sys.path`", "")] == []
