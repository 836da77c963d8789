"""`skyloom train lr-test`: choose the constant learning rate of a training stage (report Fig. 4, Stage 1 b)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import example, on_recipe, show, stage_named

if TYPE_CHECKING:
    from skyloom.run.run import Run


@click.command(
    "lr-test",
    epilog=example(
        "skyloom train lr-test demo",
        "skyloom train lr-test my.toml --stage stage1b --rates 6e-5,1.2e-4,2.5e-4 --tokens 10000000000",
        "skyloom train lr-test my.toml --from runs/my/stage1-…/checkpoints/step-0120000",
    ),
)
@on_recipe
@click.option("--stage", default=None, metavar="NAME", help="Stage to test. [default: the second]")
@click.option(
    "--from",
    "checkpoint",
    default=None,
    metavar="FOLDER",
    help="Checkpoint to start from. [default: the last one of the stage before]",
)
@click.option("--rates", default=None, metavar="R,R,…", help="Rates to try. [default: 1/2, 1, 2, 4 times the stage's]")
@click.option("--tokens", type=int, default=None, help="Tokens of each run. [default: a tenth of the stage, at least 50 steps]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def lr_test(run: Run, stage: str | None, checkpoint: str | None, rates: str | None, tokens: int | None, as_json: bool) -> None:
    """Test constant learning rates for a stage. Starts from one checkpoint, prints and plots the losses, and recommends a rate."""
    from skyloom.run import lr_test as test
    from skyloom.train.recover import NotFiniteError

    resolved = test.prepare(run.resolve(stage_named(run, stage)), stage=stage, rates=rates, tokens=tokens, checkpoint=checkpoint)
    if not resolved.run(test.NAME):
        return  # not rank 0: only rank 0 prints
    folder = resolved.folder(test.NAME)
    found = folder.read_json(test.NUMBERS)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        show(test.table(found), False, f"{found['stage']}, {found['tokens']:,} tokens from {found['from']}, nats per token")
        click.echo(f"{found['reason']}\n{found['reason_zh']}\nfigure: {folder.url(test.FIGURE)}")
    if found["recommended"] is None:
        raise NotFiniteError("no rate can be recommended: all of them diverged or spiked")
