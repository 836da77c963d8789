"""The notebooks run from a fresh clone: their code, in order, in one interpreter each, beside the sample pages.

The cells are run by a plain interpreter and not by nbclient, which would bring a Jupyter kernel and a dozen packages for what ten lines
do here: the notebooks use nothing of IPython. That they are notebooks is checked against nbformat's rules, by nbformat where it is
installed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROGRAM = """
import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] == "code":
        exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)
"""


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_there_are_three():
    assert [path.stem[0] for path in NOTEBOOKS] == ["1", "2", "3"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_well_formed_has_no_outputs_and_two_languages(path):
    book = read(path)
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 5) and book["metadata"]["kernelspec"]["language"] == "python"
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[\w-]{1,64}", one) for one in ids)
    for cell in book["cells"]:
        assert isinstance(cell["metadata"], dict) and all(isinstance(line, str) for line in cell["source"])
        if cell["cell_type"] == "code":
            assert (
                cell["outputs"] == []
                and cell["execution_count"] is None
                and set(cell) == {"cell_type", "id", "metadata", "source", "outputs", "execution_count"}
            )
        else:
            assert cell["cell_type"] == "markdown" and set(cell) == {"cell_type", "id", "metadata", "source"}
            assert re.search(r"[\u4e00-\u9fff]", "".join(cell["source"])) and re.search(r"[a-z]{3}", "".join(cell["source"]))
    if importlib.util.find_spec("nbformat"):
        import nbformat

        nbformat.validate(nbformat.reads(path.read_text("utf-8"), as_version=4))


@pytest.mark.xdist_group("library")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, place):
    if path.stem.startswith("3") and importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed")
    folder = place / "notebooks"
    folder.mkdir(exist_ok=True)
    if not (place / "samples").exists():
        (place / "samples").symlink_to((ROOT / "samples").resolve())
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "MPLBACKEND": "agg"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"[\u4e00-\u9fff]", done.stdout) or path.stem.startswith("3")
