"""Compiled kernels are kept under a name made of all their sources, so that an edit of an inner one leaves no old one in use."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import skyloom

ASK = "import os, skyloom; print(os.environ.get('NUMBA_CACHE_DIR', ''))"


def cache_of(root: Path, home: Path, **more: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
    environment |= {"PYTHONPATH": str(root), "XDG_CACHE_HOME": str(home), **more}
    return subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_the_cache_moves_with_the_kernels_and_only_with_them(tmp_path: Path) -> None:
    package = tmp_path / "src" / "skyloom"
    shutil.copytree(Path(skyloom.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    first = cache_of(package.parent, tmp_path / "home")
    assert first.startswith(str(package)) and Path(first).is_dir()
    (package / "cli" / "common.py").open("a").write("# 没有内核\n")
    assert cache_of(package.parent, tmp_path / "home") == first
    (package / "core" / "units.py").open("a").write("# another kernel 内核\n")
    second = cache_of(package.parent, tmp_path / "home")
    assert second != first and Path(second).is_dir()


def test_a_user_s_own_folder_is_left_alone(tmp_path: Path) -> None:
    root = Path(skyloom.__file__).parent.parent
    assert cache_of(root, tmp_path, NUMBA_CACHE_DIR="/somewhere") == "/somewhere"


def test_a_package_that_cannot_be_written_uses_the_home_folder(tmp_path: Path) -> None:
    package = tmp_path / "src" / "skyloom"
    shutil.copytree(Path(skyloom.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__pycache__").write_text("a file stands where the folder would be")
    assert cache_of(package.parent, tmp_path / "home").startswith(str(tmp_path / "home" / "skyloom"))
