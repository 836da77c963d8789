"""The commands `leak …`: the leakage audit of a run, and of any text or model (report 5.2)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import WithUsual, example, on_recipe, show

if TYPE_CHECKING:
    from skyloom.run.run import Run


class _Leak(WithUsual):
    usual = "run"


@click.group("leak", cls=_Leak, epilog=example("skyloom leak demo", "skyloom leak corpus texts/ --benchmark gsm8k.jsonl.gz"))
def leak_group() -> None:
    """Audit data leakage: of a run (`run`, which may be left out), or of any texts; write the page of an audit."""


@leak_group.command("run", epilog=example("skyloom leak demo", "skyloom leak run demo --json"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def leak_run(run: Run, as_json: bool) -> None:
    """Audit data leakage (report 5.2). Prints losses on the splits, their gaps with intervals, and a positive control."""
    resolved = run.resolve("leakage")
    resolved.run("leakage")
    found = resolved.folder("leakage").read_json("leakage.json")
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        from skyloom.run.summary import leakage_tables

        for title, rows in leakage_tables(resolved):
            show(rows, False, title)
