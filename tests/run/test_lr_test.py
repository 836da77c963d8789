"""What `skyloom train lr-test` refuses before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from skyloom.cli import main

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--rates", "6e-4,-1"], "-1 is no learning rate"),
        (["--tokens", "100", "--stage", "stage1"], "--tokens 100 is less than one step, which reads 1,024"),
        (["--tokens", "2048", "--stage", "stage1"], "a test of 2 steps from the beginning of stage1 would end in its warm-up of"),
        (["--stage", "stage1b"], "the recipe has no session stage1b; it has stage1, stage2"),
        ([], "stage1 has no checkpoint yet"),
        (["--from", "没有"], "--from 没有: there is no checkpoint"),
    ],
)
def test_what_cannot_be_tried_is_told_at_once(options: list[str], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "lr-test", str(TINY), "--work", str(tmp_path), *options])
    assert result.exit_code == 2 and told in result.output.replace("\n", " "), result.output
    assert not list(tmp_path.glob("pages-*"))


def test_the_verb_beside_it_still_takes_a_recipe() -> None:
    for arguments in (["train", "没有.toml"], ["train", "lr-test", "没有.toml"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2 and "没有.toml" in result.output and "Traceback" not in result.output
    assert "lr-test" in CliRunner().invoke(main, ["train", "--help"]).output
