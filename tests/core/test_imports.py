"""The direction of imports is law: packages in one order, no circle between files, and one interface for each box of a package."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import skyloom

PACKAGES = "core suites corpus tokenizer data model planner score train evaluate leakage release report run library cli".split()
BOXES = {
    "corpus": (
        ("text",),
        ("candidates", "own_function"),
        ("notices",),
        ("sources", "quality", "bitext", "exercises", "redact", "code", "dedup", "stem", "filters", "lists"),
        ("decontaminate",),
        ("extract", "distribution", "heldout", "export", "alone"),
        ("clean",),
    ),
    "evaluate": (
        ("config",),
        ("models", "paired", "perplexity", "figures"),
        ("baselines", "samples", "tasks", "opened"),
        ("reference", "report", "texts", "benchmarks"),
    ),
    "leakage": (
        ("config", "audit_items", "contrast", "verdict", "benchmark_sets"),
        ("control_words", "corpus_overlap", "blind"),
        ("twins", "family", "new_items"),
        ("gap", "suspect"),
    ),
    "train": (
        ("config",),
        ("stage_list",),
        ("rate_schedule", "recover", "inputs"),
        ("step",),
        ("watch", "distributed"),
        ("checkpoint", "memory_check", "rates"),
        ("opening",),
        ("recording",),
        ("loop", "dryrun"),
    ),
}
"""What a package consists of, in the order of imports: a row imports from rows above it. Folders are boxes; names without one are files."""
ROOT = Path(skyloom.__file__).parent
MOST_FILES = 20
SHARED_MODULE_NAMES = {
    "config": "the settings of its package",
    "stage": "what a step of a run, or the cleaning, calls of its box",
    "command": "a stage by itself, on files that the command line names",
    "scan": "the compiled pass over the bytes of a text column",
    "lr_test": "the command `train lr-test`, and what it does",
    "tokenizer": "the commands `tokenizer …`, and the tokenizer",
}
"""Modules that share a name because they mean the same thing, each in its package; the command line's are named after their commands."""


@cache
def modules() -> Mapping[str, Path]:
    """Every module of the program by its name without `skyloom.`, but for `__main__`, which only starts the command line."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if path == ROOT / "__main__.py":
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
        found[name] = path
    return found


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[tuple[str, str]]:
    """(module, name) of all that a module imports from skyloom anywhere in it, also inside functions and TYPE_CHECKING blocks.

    The name is "" for a module as a whole."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "skyloom":
                    yield alias.name.removeprefix("skyloom").removeprefix("."), ""
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide their package"
            if (node.module or "").split(".")[0] == "skyloom":
                source = (node.module or "").removeprefix("skyloom").removeprefix(".")
                for alias in node.names:
                    inner = f"{source}.{alias.name}".removeprefix(".")
                    yield (inner, "") if inner in modules() else (source, alias.name)


def box_of(module: str) -> str:
    """The box that a module lies in ("corpus.dedup"), or "" if it lies in none."""
    package, *rest = module.split(".")
    folders = {name for row in BOXES.get(package, ()) for name in row}
    return f"{package}.{rest[0]}" if rest and rest[0] in folders and (ROOT / package / rest[0]).is_dir() else ""


def test_every_module_belongs_to_a_package():
    assert {name.split(".")[0] for name in modules()} - {""} == set(PACKAGES)


def test_a_package_imports_only_from_packages_above_it():
    wrong = []
    for module in filter(None, modules()):
        mine = PACKAGES.index(module.split(".")[0])
        wrong += [
            f"{module} imports {other}" for other, _ in imports(module) if other and PACKAGES.index(other.split(".")[0]) > mine
        ]
    assert wrong == []


def test_boxes_import_only_from_boxes_above_them():
    wrong = []
    for package, rows in BOXES.items():
        order = {name: place for place, row in enumerate(rows) for name in row}
        parts = {m.split(".")[1] for m in modules() if m.startswith(f"{package}.")}
        assert parts == set(order), f"{package} consists of {sorted(parts ^ set(order))} too, or no longer"
        for module in modules():
            mine = module.split(".")
            for other, _ in imports(module) if mine[0] == package and len(mine) > 1 else ():
                theirs = other.split(".")
                if theirs[0] == package and len(theirs) > 1 and theirs[1] != mine[1] and order[theirs[1]] >= order[mine[1]]:
                    wrong.append(f"{module} imports {other}")
    assert wrong == []


def test_a_box_is_entered_by_its_interface_only():
    """Outside a box only names of its `__all__` are imported, and from the box itself; inside a box nothing imports its interface."""
    wrong = []
    for module in modules():
        for other, name in imports(module):
            box = box_of(other) or (box_of(f"{other}.{name}") if name else "")
            if not box:
                continue
            inside = box_of(module) == box
            through = other == box or (not name and other.startswith(f"{box}.") and other.count(".") == 2)
            if inside:
                if other == box and module != box:
                    wrong.append(f"{module} imports the interface of its own box")
            elif not through or (name or other.rpartition(".")[2]) not in public(box) | {box.rpartition(".")[2]}:
                wrong.append(f"{module} imports {other} {name}: not of the interface of {box}")
    assert wrong == []


@cache
def public(box: str) -> frozenset[str]:
    return frozenset(importlib.import_module(f"skyloom.{box}").__all__)


def test_an_interface_gives_what_it_names():
    """Each name of a box can be had, also after all of its modules were imported: no module stands in a function's place."""
    for box in sorted({box_of(m) for m in modules()} - {""}):
        package = importlib.import_module(f"skyloom.{box}")
        for module in modules():
            if box_of(module) == box:
                importlib.import_module(f"skyloom.{module}")
        inside = {m.removeprefix(f"{box}.") for m in modules() if m.startswith(f"{box}.")}
        for name in package.__all__:
            value = getattr(package, name)
            assert (name in inside) == (type(value) is type(sys)), f"{box}.{name} is {value}"


def test_no_circle_of_imports_between_files():
    graph = {module: {other for other, _ in imports(module) if other and other != module} for module in modules()}
    done: set[str] = set()
    path: list[str] = []

    def visit(module: str) -> None:
        if module in path:
            raise AssertionError(" → ".join([*path[path.index(module) :], module]))
        if module not in done:
            path.append(module)
            for other in sorted(graph.get(module, ())):
                visit(other)
            path.pop()
            done.add(module)

    for module in sorted(graph):
        visit(module)


def test_no_folder_is_crowded():
    folders = {path.parent for path in modules().values()}
    crowded = {str(f.relative_to(ROOT)): n for f in folders if (n := len(list(f.glob("*.py")))) > MOST_FILES + 1}  # and __init__
    assert crowded == {}


def test_modules_have_names_of_their_own():
    names = Counter(m.rpartition(".")[2] for m in modules() if modules()[m].name != "__init__.py")
    assert {name for name, count in names.items() if count > 1} == set(SHARED_MODULE_NAMES)


def test_public_classes_have_names_of_their_own():
    """Names of the public library may be those of what they stand for: users know no other."""
    names = Counter(n.name for m in modules() for n in tree(m).body if isinstance(n, ast.ClassDef) and not is_private(n.name))
    assert {name for name, count in names.items() if count > 1} == {"Recipe", "Run", "Tokenizer"}
    assert {"Recipe", "Run", "Tokenizer"} <= set(skyloom.__all__)


def test_every_module_says_what_it_is_for():
    silent = [name for name, path in modules().items() if path.stat().st_size > 2 and not ast.get_docstring(tree(name))]
    assert silent == []


def test_nobody_imports_a_private_name():
    wrong = [f"{module} imports {name} of {other}" for module in modules() for other, name in imports(module) if is_private(name)]
    wrong += [
        f"{module} imports {other}" for module in modules() for other, _ in imports(module) if is_private(other.split(".")[-1])
    ]
    assert wrong == []


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_a_recipe_is_read_without_kernels_and_torch():
    program = (
        "import sys; from pathlib import Path; from skyloom.run.recipe import load; load(Path('recipes/demo.toml'));"
        "print(sorted({'torch', 'numba', 'transformers', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT.parents[1], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_steps_of_a_corpus_do_without_torch(tmp_path):
    """Its import takes a second and 200 MB, in each process that reads pages."""
    page = "<html><title>页</title><body><p>" + "船在夜里过了三道闸门，天亮前到了湖边。" * 20 + "</p></body></html>"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    program = (
        "import sys; from skyloom.cli import main\n"
        "main(['corpus', 'build', 'demo', '--source', 'page.html', '--work', 'work', '--workers', '1'], standalone_mode=False)\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip().splitlines()[-1:] == ["[]"], done.stderr


def test_only_the_tests_of_the_bench_import_the_bench():
    """A test of the product must not need what only measures it; what both need is in tests/."""
    wrong = []
    for path in sorted((ROOT.parents[1] / "tests").rglob("*.py")):
        name = path.relative_to(ROOT.parents[1]).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            wrong += [f"{name} imports {of}" for of in found if of.split(".")[0] == "bench" and not name.startswith("tests/bench/")]
    assert wrong == []
