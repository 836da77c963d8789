"""`skyloom eval tasks`: public benchmarks for any model, by lm-evaluation-harness' definitions and our engine."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import example, logging, make_progress, show
from skyloom.cli.evaluate import command_line, on_models, page_option, told_page
from skyloom.core.errors import ConfigError

if TYPE_CHECKING:
    from skyloom.evaluate.benchmarks import TaskReport
    from skyloom.evaluate.opened import OpeningOptions, OpenModel
    from skyloom.score.likelihood import InferenceEngine

OUT = "tasks"
"""The folder of results, unless another is given."""
BATCH_TOKENS = {"cpu": 2048}
OTHER_BATCH_TOKENS = 32_768
"""Tokens of a forward pass: more keep a GPU busy."""


@click.command(
    "tasks",
    epilog=example(
        "skyloom eval tasks HuggingFaceTB/SmolLM2-135M --tasks arc_easy,cmmlu --shots 5 --limit 100",
        "skyloom eval tasks my-model --tasks gsm8k --data gsm8k=test.jsonl --data gsm8k:train=train.jsonl --offline",
        "skyloom eval tasks a=runs/a/release-… b=./model.gguf --tasks piqa --compare a b",
        "skyloom eval tasks --compare results/a results/b --page compared.html",
        "skyloom eval tasks --fields piqa",
    ),
)
@functools.partial(on_models, required=False)
@click.option("--tasks", default="", metavar="NAME,…", help="Tasks, groups or tags; * and ? match.")
@click.option("--shots", type=click.IntRange(0), default=None, help="Examples before each item. [default: each task's own number]")
@click.option("--limit", type=click.IntRange(1), default=None, help="Items of each task, from the first. [default: all]")
@click.option(
    "--data",
    multiple=True,
    metavar="NAME=PATH",
    help="Local items of a task, in its own field names: NAME=FILE or NAME:SPLIT=FILE (JSON lines, Parquet or CSV), or NAME=FOLDER "
    "with a file for each split. May be repeated.",
)
@click.option("--fields", "wanted", default="", metavar="NAME", help="Print the fields that the items of a task need, and no more.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help=f"Folder of the results and of the journal from which a killed evaluation goes on. [default: ./{OUT}]",
)
@click.option(
    "--compare",
    nargs=2,
    default=None,
    metavar="A B",
    help="Compare two of the models, or folders of results (FOLDER or FOLDER:MODEL).",
)
@click.option("--cut", is_flag=True, help="Cut items that are longer than the context from the left. [default: an error]")
@page_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def tasks(
    models: tuple[str, ...],
    opening: OpeningOptions,
    tasks: str,
    shots: int | None,
    limit: int | None,
    data: tuple[str, ...],
    wanted: str,
    out: Path | None,
    compare: tuple[str, str] | None,
    cut: bool,
    page: Path | None,
    as_json: bool,
) -> None:
    """Ask models the items of public benchmarks, English and Chinese.

    MODEL is a checkpoint or release of ours, a folder or hub name of a Hugging Face model, or a .gguf file; NAME=MODEL names it.
    Tasks and metrics are those of lm-evaluation-harness, and a few of our own (cmath, cmrc2018, gaokao, mmlu_stem_18). Every figure
    has its 95 % interval, the accuracy of guessing beside it, and the range that near ties leave.

    Needs the package lm-eval: pip install 'skyloom[eval]'.
    """
    if opening.offline:
        os.environ["HF_EVALUATE_OFFLINE"] = "1"
    from skyloom.evaluate.benchmarks import require_harness

    require_harness()
    if wanted:
        _print_fields(wanted, as_json)
        return
    from skyloom.evaluate.benchmarks import Asking, compare_two, comparison_table, evaluate_tasks, only_compared

    if not models:
        if compare is None:
            raise ConfigError("name a MODEL (a folder, a hub name or a .gguf file), or two folders of results with --compare")
        rows = compare_two(compare, {})
        if page is not None:
            _write_page(only_compared(rows, command_line()), Path(), page)
        if as_json:
            click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        else:
            show(comparison_table(rows), False)
            told_page(page)
        return
    from skyloom.evaluate.opened import open_model
    from skyloom.evaluate.texts import named

    report = evaluate_tasks(
        named(models, opening),
        Asking([name.strip() for name in tasks.split(",") if name.strip()], shots, limit, data, opening.offline, cut),
        open_one=lambda name, place: open_model(place, opening, name),
        engine=_engine,
        out=out or Path(OUT),
        compared=compare,
        command=command_line(),
        progress=make_progress(),
    )
    if page is not None:
        _write_page(report, out or Path(OUT), page)
    _print(report, out or Path(OUT), as_json)
    if not as_json:
        told_page(page)


def _write_page(report: TaskReport, folder: Path, page: Path) -> None:
    from skyloom.core.store import Store
    from skyloom.report.evaluated.evaluation_page import write_tasks_page

    write_tasks_page(report, Store(folder), page)


def _engine(model: OpenModel) -> InferenceEngine:
    from skyloom.evaluate.opened import cached_network
    from skyloom.score.likelihood import InferenceEngine

    cached = cached_network(model.network, context=model.context)
    tokens = BATCH_TOKENS.get(model.device.type, OTHER_BATCH_TOKENS)
    return InferenceEngine(cached, batch_tokens=tokens, context=model.context)


def _print(report: TaskReport, out: Path, as_json: bool) -> None:
    from skyloom.evaluate.benchmarks import comparison_table, table

    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    show(table(report["rows"]), False)
    for noise in report["noise"]:
        click.echo(f"near ties of {noise['model']}: choices less than {noise['nats']:.3g} nats apart ({noise['how']})")
    if report["comparison"]:
        show(comparison_table(report["comparison"]), False, "paired differences, first minus second")
    click.echo(f"results: {out}/tasks.json, items.jsonl.gz")


def _print_fields(wanted: str, as_json: bool) -> None:
    from skyloom.evaluate.benchmarks import fields

    found = fields([name.strip() for name in wanted.split(",")])
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for entry in found:
        click.secho(entry["task"], bold=True)
        own = "" if entry["shots"] is None else f" ({entry['shots']} by default)"
        click.echo(f"  split that is scored: {entry['scored'] or 'its own'}")
        click.echo(f"  split that examples come from: {entry['examples'] or 'written in the task'}{own}")
        click.echo(f"  an item: {json.dumps(entry['item'], ensure_ascii=False)}")
        if entry["program"]:
            click.echo("  a part of this task is a program, which may need more fields or other forms of them")
