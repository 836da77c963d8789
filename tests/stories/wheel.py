"""The program as a stranger has it: a wheel built from this checkout, installed into an empty environment.

The dependencies are those of the running interpreter, which the new environment sees behind its own packages, so that no network is
needed. The checkout is copied before the build, which would otherwise leave files in it, and nothing points back to it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy

ROOT = Path(__file__).parents[2]
ALONE = ("--no-deps", "--no-index", "--disable-pip-version-check", "--quiet")
WHAT_A_BUILD_NEEDS = ("pyproject.toml", "README.md", "LICENSE", "src")


def install(folder: Path) -> Path:
    """Build the wheel, install it below `folder`, and return the program `skyloom`."""
    tree = copied(folder / "tree")
    wheel = built(tree, folder / "wheels")
    shutil.rmtree(tree)
    return install_wheel(wheel, folder / "venv")


def copied(tree: Path) -> Path:
    """A copy of what a build of this checkout needs, in the new folder `tree`."""
    tree.mkdir(parents=True)
    for name in WHAT_A_BUILD_NEEDS:
        here, there = ROOT / name, tree / name
        leave = shutil.ignore_patterns("*.egg-info", "__pycache__", "build")
        shutil.copytree(here, there, ignore=leave) if here.is_dir() else shutil.copy(here, there)
    return tree


def built(tree: Path, wheels: Path) -> Path:
    """The wheel of the sources `tree`, built into the new folder `wheels`."""
    _pip("wheel", tree, "--wheel-dir", wheels, "--no-build-isolation", *ALONE)
    (wheel,) = wheels.glob("skyloom-*.whl")
    return wheel


def install_wheel(wheel: Path, home: Path) -> Path:
    """Install a wheel into a new environment in the folder `home`, and return the program `skyloom`."""
    venv.create(home, with_pip=False)
    _pip("--python", home / "bin" / "python", "install", wheel, *ALONE)
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    return home / "bin" / "skyloom"


def environment() -> dict[str, str]:
    """The variables of a run of the installed program: none that would lead Python to the checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"}
    return {**kept, "COLUMNS": "200", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}


def small_recipe(program: Path, work: Path, empty: Path) -> subprocess.CompletedProcess[str]:
    """Run the small recipe by its name, from the empty folder `empty`, to the end."""
    empty.mkdir(parents=True)
    command = [program, "run", "tiny", "--work", work, "--workers", "2", "--set", "train.precision=fp32"]
    return subprocess.run(command, cwd=empty, env=environment(), capture_output=True, text=True, check=False)


def _pip(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
