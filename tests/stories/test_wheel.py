"""A wheel in an empty environment does the main job from an empty folder: recipes and sample pages come with it."""

from __future__ import annotations

import subprocess

from tests.stories import wheel
from tests.stories.program import contents


def test_the_installed_program_runs_the_small_recipe_from_an_empty_folder(tmp_path):
    program = wheel.install(tmp_path / "安装")
    where = [program.with_name("python"), "-c", "import skyloom; print(skyloom.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=wheel.environment(), capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(program.parents[1])), "the checkout must not be what runs"
    done = wheel.small_recipe(program, tmp_path / "work", tmp_path / "空的")
    assert done.returncode == 0, done.stderr
    assert "run page:" in done.stdout and "release:" in done.stdout
    assert len(contents(tmp_path / "work")) == 13
    assert list((tmp_path / "空的").iterdir()) == [], "what is written stands in the work folder"
    begun = subprocess.run(
        [program, "init", "我的", "--size", "laptop"], cwd=tmp_path / "空的", env=wheel.environment(), text=True, check=False
    )
    assert begun.returncode == 0
    shown = subprocess.run(
        [program, "recipe", "show", "我的/recipe.toml"],
        cwd=tmp_path / "空的",
        env=wheel.environment(),
        capture_output=True,
        check=False,
    )
    assert shown.returncode == 0 and b"debian-docs" in shown.stdout
