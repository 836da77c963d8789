"""The direction of imports is law: a room imports only from rooms above it, and no module hides an import."""

import ast
from pathlib import Path

import skyloom

ROOMS = "core suites corpus tokenizer data model score train evaluate leakage release report run cli".split()
ROOT = Path(skyloom.__file__).parent


def imported_rooms(path: Path) -> set[str]:
    """Rooms of `skyloom` that a module imports anywhere in it, also inside functions and TYPE_CHECKING blocks."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide their room"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "skyloom" else [node.module or ""]
        found |= {name.split(".")[1] for name in names if name.startswith("skyloom.")}
    return found


def test_every_module_belongs_to_a_room():
    rooms = {p.relative_to(ROOT).parts[0].removesuffix(".py") for p in ROOT.rglob("*.py")} - {"__init__", "__main__"}
    assert rooms <= set(ROOMS)


def test_a_room_imports_only_from_rooms_above_it():
    wrong = []
    for path in ROOT.rglob("*.py"):
        room = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if room not in ROOMS:
            continue
        for other in imported_rooms(path) - {"__version__"}:
            if ROOMS.index(other) > ROOMS.index(room):
                wrong.append(f"{path.relative_to(ROOT)} imports {other}")
    assert wrong == []


def test_every_module_says_what_it_is_for():
    silent = [
        str(p.relative_to(ROOT))
        for p in ROOT.rglob("*.py")
        if p.stat().st_size > 2 and not ast.get_docstring(ast.parse(p.read_text()))
    ]
    assert silent == []
