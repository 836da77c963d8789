"""What `skyloom train lr-test` refuses before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from skyloom.cli import main

TINY = Path(__file__).parents[2] / "recipes" / "tiny.toml"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rates", "6e-4,-1"], ("-1", "learning rate")),
        (["--tokens", "100", "--stage", "stage1"], ("--tokens 100", "one step", "1,024")),
        (["--tokens", "2048", "--stage", "stage1"], ("2 steps", "stage1", "warm-up")),
        (["--stage", "stage1b"], ("stage1b", "stage1, stage2")),
        ([], ("stage1", "no checkpoint")),
        (["--from", "没有"], ("--from 没有", "no checkpoint")),
    ],
)
def test_what_cannot_be_tried_is_told_at_once(options: list[str], words: tuple[str, ...], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", "lr-test", str(TINY), "--work", str(tmp_path), *options])
    assert result.exit_code == 2 and all(word in result.output.replace("\n", " ") for word in words), result.output
    assert not list(tmp_path.glob("pages-*"))


def test_the_verb_beside_it_still_takes_a_recipe() -> None:
    for arguments in (["train", "没有.toml"], ["train", "lr-test", "没有.toml"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 2 and "没有.toml" in result.output and "Traceback" not in result.output
    assert "lr-test" in CliRunner().invoke(main, ["train", "--help"]).output
