"""What all verbs share: groups that tell a user's mistake in one sentence, the options of a recipe, tables and JSON.

A verb that takes a RECIPE gets it as a `Road`; rows leave as a table for people or as JSON for scripts.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from skyloom.core.errors import SkyloomError

WIDE = 140
EPILOG_CODES = "Exit codes: 0 done, 1 problem, 2 usage or recipe, 3 input, 4 integrity, 5 storage, 6 diverged, 130 interrupted."


class Group(click.Group):
    """Shows commands in the order of the road, and tells a user's mistake in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SkyloomError as problem:
            if ctx.parent is not None:
                raise
            click.secho(f"skyloom: {problem}", fg="red", err=True)
            ctx.exit(problem.exit_code)
        except KeyboardInterrupt:
            click.secho("skyloom: interrupted; run the same command again to go on", fg="red", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)


def example(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


_SOURCE = "Your own pages instead of the recipe's own: WARC, WET, a folder of HTML, JSONL, Parquet or plain text."
_OPTIONS = (
    click.option("--workers", type=click.IntRange(0), default=None, help="Worker processes. [default: usable cores]"),
    click.option("--source", default=None, metavar="PATH", help=_SOURCE),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting: --set train.seed=2."),
    click.option("--work", type=click.Path(file_okay=False), default=None, help="Work folder. [default: runs/<recipe name>]"),
    click.argument("recipe", type=click.Path(dir_okay=False)),
)


def on_recipe(function: Callable[..., None]) -> Callable[..., None]:
    """Give a verb RECIPE, --work, --set, --source and --workers, and hand it the `Road` that they describe."""

    @functools.wraps(function)
    def verb(
        recipe: str, work: str | None, overrides: tuple[str, ...], source: str | None, workers: int | None, **rest: Any
    ) -> None:
        from skyloom.run.road import Road

        function(Road.open(Path(recipe), work=work, overrides=overrides, source=source, workers=workers), **rest)

    decorated: Callable[..., None] = verb
    for option in _OPTIONS:
        decorated = option(decorated)
    return decorated


def show(rows: list[dict[str, Any]], as_json: bool, title: str = "") -> None:
    """Rows as a table for people, or as JSON for scripts."""
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(title=title or None, header_style="bold")
    for name in columns:
        numeric = any(isinstance(row.get(name), (int, float)) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(row.get(name))) for name in columns))  # Text: a page's [brackets] are not markup
    console = Console()
    # A pipe or a log file has no width of its own; 80 columns would break every table.
    Console(width=console.width if console.is_terminal else max(console.width, WIDE)).print(table)


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None else str(value)
