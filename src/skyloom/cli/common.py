"""Shared parts of all commands: groups that print a user's mistake in one sentence, the options of a recipe, tables and JSON.

A command that takes a RECIPE gets it as a `Run`. Rows are printed as a table for people or as JSON for scripts.
"""

from __future__ import annotations

import functools
import json
import math
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import click
from click.shell_completion import CompletionItem

from skyloom.cli import ending
from skyloom.core.errors import SkyloomError, require_ok
from skyloom.core.json_files import Cell

if TYPE_CHECKING:
    from skyloom.core.progress import Progress
    from skyloom.run.run import Run

Options = ParamSpec("Options")

WIDE = 140
EPILOG_CODES = (
    "Exit codes: 0 done, 1 problem, 2 usage or recipe, 3 input, 4 integrity, 5 storage, 6 diverged, 7 hung, 129 hung up, "
    "130 interrupted, 143 terminated."
)


class FiniteRange(click.FloatRange):
    """A number within a range that is neither infinite nor none: "nan" is not below any limit."""

    def convert(self, value: float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value} is no number of which there can be so many.", param, ctx)
        return found


class Group(click.Group):
    """Lists commands in the order of the pipeline, and prints a user's mistake in one sentence."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SkyloomError as problem:
            if ctx.parent is not None:
                raise
            said = f"skyloom: {problem}"
            if ending.as_json():
                click.echo(ending.spoken(said), nl=False, err=True)
            else:
                click.secho(said, fg="red" if problem.exit_code else None, err=True)
            ctx.exit(problem.exit_code)
        except KeyboardInterrupt:  # where nobody called `ending.listen`, in tests
            click.secho(ending.sentence(signal.SIGINT), fg="red", err=True)
            ctx.exit(ending.code(signal.SIGINT))
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)


class WithUsual(Group):
    """A group whose usual command may be left out: `skyloom report RECIPE` is `skyloom report page RECIPE`.

    A command's name wins over a recipe's of the same name; `./name` is always a path.
    """

    usual = ""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        known = {*self.commands, *self.get_help_option_names(ctx)}
        return super().parse_args(ctx, [self.usual, *args] if args and args[0] not in known else args)


class Verb(click.Command):
    """A command that is also a group: both `skyloom train RECIPE` and `skyloom train lr-test RECIPE` work (see `also`)."""

    def __init__(
        self,
        name: str | None,
        callback: Callable[..., None] | None = None,
        params: list[click.Parameter] | None = None,
        help: str | None = None,
        epilog: str | None = None,
        also: Sequence[click.Command] = (),
    ) -> None:
        super().__init__(name, callback=callback, params=params, help=help, epilog=epilog)
        self.also = {command.name or "": command for command in also}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        if args and args[0] in self.also:
            return self.also[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str()) for name, command in self.also.items()])


def example(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _form(ctx: click.Context, parameter: click.Parameter, value: str) -> None:
    ctx.meta[_FORM] = value
    ending.speak_json(value == "json")


def _quiet(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta[_QUIET] = value


_FORM, _QUIET = "skyloom.log", "skyloom.quiet"
_LOGGING = (
    click.option(
        "--log",
        type=click.Choice(["auto", "text", "json"]),
        default="auto",
        show_default=True,
        expose_value=False,
        callback=_form,
        help="What is told on standard error: bars on a terminal, lines with time and level, or one JSON object in each line.",
    ),
    click.option("--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Tell only warnings and errors."),
)


def logging(function: Callable[..., None]) -> Callable[..., None]:
    """Add --quiet and --log to a command; `make_progress` follows them."""
    for option in _LOGGING:
        function = option(function)
    return function


def make_progress() -> Progress:
    """The progress of the current command, as its --quiet and --log say."""
    from skyloom.core.progress import Form, Progress

    told = click.get_current_context().meta
    form: Form = told.get(_FORM, "auto")
    return Progress(least="warning" if told.get(_QUIET) else "info", form=form)


class RecipeType(click.Path):
    """A recipe: a file, or the name of one that comes with the program. `find_recipe` says which it is."""

    name = "recipe"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from skyloom.run.packaged import recipe_names

        named = [CompletionItem(name) for name in recipe_names() if name.startswith(incomplete)]
        return [*named, *super().shell_complete(ctx, param, incomplete)]


_SOURCE = "Your own pages instead of the recipe's sources: WARC, WET, a folder of HTML, JSONL, Parquet, CSV or plain text."
_ENGINE = (
    click.option(
        "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Where shards are processed."
    ),
    click.option(
        "--shard", default=None, metavar="I/N", help="Process only this part of the shards, as one task of a job array: 3/48."
    ),
    click.option(
        "--patience", type=FiniteRange(0), default=0.0, help="Seconds to wait for the other shard runs at the end of a map."
    ),
    click.option("--memory", default=None, metavar="SIZE", help="Memory limit for deduplication and for Ray's tasks: 4GB."),
    click.option(
        "--verify",
        type=click.Choice(["full", "size"]),
        default="full",
        help="How finished files are checked: SHA-256 or size only.",
    ),
)
_OPTIONS = (
    *_LOGGING,
    *reversed(_ENGINE),
    click.option("--workers", type=click.IntRange(0), default=None, help="Worker processes. [default: usable cores]"),
    click.option(
        "--text-field",
        default=None,
        metavar="NAME",
        help="Column or key of --source that holds the text. [default: text, html, content]",
    ),
    click.option("--source", default=None, metavar="PATH", help=_SOURCE),
    click.option(
        "--init-from",
        default=None,
        metavar="FOLDER",
        help="Start from the Hugging Face model in FOLDER (or a GGUF file), with RECIPE's vocabulary.",
    ),
    click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting: --set train.seed=2."),
    click.option("--work", type=click.Path(file_okay=False), default=None, help="Work folder. [default: runs/<recipe name>]"),
    click.argument("recipe", type=RecipeType()),
)


def on_recipe(function: Callable[Concatenate[Run, Options], None]) -> Callable[..., None]:
    """Add RECIPE, --work, --set, --source, --log and the engine's options to a command, and pass it the `Run` that they say."""

    @functools.wraps(function)
    def verb(
        recipe: str,
        work: str | None,
        overrides: tuple[str, ...],
        source: str | None,
        text_field: str | None,
        init_from: str | None,
        workers: int | None,
        engine: str,
        shard: str | None,
        patience: float,
        memory: str | None,
        verify: str,
        *rest: Options.args,
        **more: Options.kwargs,
    ) -> None:
        from skyloom.corpus.dedup import memory_size
        from skyloom.run.engines import make_engine
        from skyloom.run.run import Run

        size = memory_size(memory) if memory else 0
        settings = (*overrides, f"corpus.clean.memory_gb={size / 1e9!r}") if size else overrides
        if init_from:
            settings = (*settings, f"train.init_from={json.dumps(str(Path(init_from).absolute()))}")
        made = make_engine(engine, workers, shard=shard, patience=patience, verify=verify, memory=size)
        told = make_progress()
        opened = Run.open(recipe, work=work, overrides=settings, source=source, text_field=text_field, engine=made, progress=told)
        function(opened, *rest, **more)

    decorated: Callable[..., None] = verb
    for option in _OPTIONS:
        decorated = option(decorated)
    return decorated


def stage_named(run: Run, name: str | None, *, first: bool = False) -> str:
    """A training stage of the recipe: `name`, or without one the last (or first). ConfigError if there is none such."""
    from skyloom.run.recipe import stage_of, stages

    run.require("training")
    return stage_of(run.recipe, name).name if name else stages(run.recipe)[0 if first else -1]


def show(rows: Sequence[Mapping[str, Cell]], as_json: bool, title: str = "") -> None:
    """Rows as a table for people ("none" where there is none), or as JSON for scripts."""
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    if not rows:
        click.echo(f"{title}: none" if title else "none")
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
    # A pipe or a log file has no width; the default of 80 columns would break every table.
    Console(width=console.width if console.is_terminal else max(console.width, WIDE)).print(table)


def verdict(rows: Sequence[Mapping[str, Cell]], as_json: bool, what: str) -> None:
    """Print findings; IntegrityError (exit code 4) if one is not ok."""
    show(rows, as_json)
    require_ok(rows, what)


def cell(value: Cell) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return "–" if value is None else str(value)
