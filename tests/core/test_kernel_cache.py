"""Compiled kernels are kept in a folder named after all their sources, so that an edit of an inner one leaves no old one in use."""

from __future__ import annotations

import ast
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import skyloom

ROOT = Path(skyloom.__file__).parent
ASK = "from skyloom.core.kernels import cache; print(cache())"


def ask(root: Path, home: Path, program: str = ASK, **more: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(home), **more}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    ).stdout.strip()


def copied(folder: Path) -> Path:
    package = folder / "src" / "skyloom"
    shutil.copytree(ROOT, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def test_the_cache_moves_with_the_kernels_and_only_with_them(tmp_path: Path) -> None:
    package = copied(tmp_path)
    first = ask(package.parent, tmp_path / "home")
    assert first.startswith(str(package)) and Path(first).is_dir()
    (package / "cli" / "common.py").open("a").write("# 没有内核\n")
    assert ask(package.parent, tmp_path / "home") == first
    (package / "core" / "units.py").open("a").write("# another kernel 内核\n")
    second = ask(package.parent, tmp_path / "home")
    assert second != first and Path(second).is_dir()
    # A table of constants that no kernel stands in: compiled kernels hold its values.
    (package / "corpus" / "quality" / "english_tables.py").open("a").write("# 词表\n")
    assert ask(package.parent, tmp_path / "home") not in (first, second)


def test_an_edited_inner_kernel_is_compiled_into_the_outer_one_again(tmp_path: Path) -> None:
    """The outer kernel's own file does not change; numba by itself would load the old code of both."""
    package = tmp_path / "src" / "skyloom"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in ("core/__init__.py", "core/kernels.py"):
        shutil.copy(ROOT / name, package / name)
    inner = "from skyloom.core.constants import ADDED\nfrom skyloom.core.kernels import kernel\n\n\n@kernel\ndef inner(x):\n    return x + ADDED * {}\n"
    outer = "from skyloom.core.inner import inner\nfrom skyloom.core.kernels import kernel\n\n\n@kernel\ndef outer(x):\n    return inner(x)\n"
    (package / "core" / "outer.py").write_text(outer)
    program = "from skyloom.core.outer import outer; print(outer(1), sum(outer.stats.cache_hits.values()))"

    def run(factor: int, added: int) -> str:
        (package / "core" / "inner.py").write_text(inner.format(factor))
        (package / "core" / "constants.py").write_text(f"ADDED = {added}\n")
        return ask(package.parent, tmp_path / "home", program)

    assert run(1, 1) == "2 0"
    assert run(1, 1) == "2 1", "the second process loads the compiled code"
    assert run(2, 1) == "3 0", "an edit of the inner kernel"
    assert run(2, 5) == "11 0", "an edit of a constant two modules away"


def test_compiled_kernels_that_the_package_brings_are_used_where_they_fit(tmp_path: Path) -> None:
    package = tmp_path / "src" / "skyloom"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in ("core/__init__.py", "core/kernels.py"):
        shutil.copy(ROOT / name, package / name)
    (package / "core" / "twice.py").write_text(
        "from skyloom.core.kernels import kernel\n\n\n@kernel\ndef twice(x):\n    return x * 2  # 两倍\n"
    )
    program = "from skyloom.core.twice import twice; print(twice(21), sum(twice.stats.cache_hits.values()))"
    told = "import json, numba; from skyloom.core import kernels as k; print(json.dumps([k._digest(k._ROOT), k.SHIPPED_CPU, numba.__version__]))"
    digest, cpu, numba = json.loads(ask(package.parent, tmp_path / "first", told))
    brought = package / "compiled"
    for_all = {"NUMBA_CPU_NAME": cpu, "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(brought / "kernels")}
    assert ask(package.parent, tmp_path / "first", program, **for_all) == "42 0"
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    target = {"digest": digest, "python": python, "numba": numba, "machine": platform.machine(), "needs": []}
    (brought / "target.json").write_text(json.dumps(target))

    def run(name: str) -> str:
        shutil.rmtree(package / "__pycache__", ignore_errors=True)
        return ask(package.parent, tmp_path / name, program)

    assert run("fits") == "42 1", "nothing is compiled on the first start"
    for key, other in (("needs", ["a_feature_of_no_processor"]), ("python", "3.9"), ("numba", "0.1"), ("machine", "z80")):
        (brought / "target.json").write_text(json.dumps(target | {key: other}))
        assert run(key) == "42 0", key
    (brought / "target.json").write_text(json.dumps(target))
    (package / "core" / "twice.py").write_text((package / "core" / "twice.py").read_text().replace("x * 2", "x * 3"))
    assert run("edited") == "63 0", "compiled from other sources"


def test_the_cache_is_ours_also_where_numba_was_imported_before(tmp_path: Path) -> None:
    program = f"import numba; {ASK}; from skyloom.core.kernels import decode; print(decode.stats.cache_path)"
    found, used = ask(ROOT.parent, tmp_path, program).split()
    assert found and used == str(Path(found, "core.kernels"))


def test_a_user_s_own_folder_is_left_alone(tmp_path: Path) -> None:
    mine = str(tmp_path / "我的")
    program = f"{ASK}; from skyloom.core.kernels import decode; print(decode.stats.cache_path)"
    assert ask(ROOT.parent, tmp_path, program, NUMBA_CACHE_DIR=mine).split() == [mine, str(Path(mine, "core.kernels"))]


def test_kernels_of_other_programs_are_kept_where_numba_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "别人.py").write_text("import numba\n\n\n@numba.njit(cache=True)\ndef half(x):\n    return x / 2\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from skyloom.core.kernels import cache; import 别人; print(别人.half(4.0), 别人.half.stats.cache_path)"
    found, used = ask(ROOT.parent, tmp_path / "home", program).split()
    assert found == "2.0" and used == str(tmp_path / "__pycache__")


def test_a_package_that_cannot_be_written_uses_the_home_folder(tmp_path: Path) -> None:
    package = copied(tmp_path)
    (package / "__pycache__").write_text("a file stands where the folder would be")
    assert ask(package.parent, tmp_path / "home").startswith(str(tmp_path / "home" / "skyloom"))


def test_importing_the_package_does_nothing(tmp_path: Path) -> None:
    """No folder is made, no variable is set; but for the standard library only what makes the lazy names is loaded."""
    package = copied(tmp_path)
    program = (
        "import os, sys; before = dict(os.environ), set(sys.modules); import skyloom;"
        "new = {name for name in set(sys.modules) - before[1] if name.split('.')[0] not in sys.stdlib_module_names};"
        "print(dict(os.environ) == before[0], sorted(new))"
    )
    doors = "['skyloom', 'skyloom.core', 'skyloom.core.doors', 'skyloom.evaluate']"
    assert ask(package.parent, tmp_path / "home", program) == f"True {doors}"
    assert not (tmp_path / "home").exists() and not list(package.rglob("kernels-*"))


def test_only_the_toolbox_imports_numba() -> None:
    importing = set()
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            if isinstance(node, ast.Import | ast.ImportFrom) and any(name.split(".")[0] == "numba" for name in names):
                importing.add(path.relative_to(ROOT).as_posix())
    assert importing == {"core/kernels.py"}
