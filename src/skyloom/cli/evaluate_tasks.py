"""`skyloom eval tasks`: public benchmarks for any model, by lm-evaluation-harness' definitions and our engine."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import example, logging, make_progress, show
from skyloom.core.errors import ConfigError

if TYPE_CHECKING:
    from skyloom.evaluate.benchmarks.harness_model import BenchmarkModel
    from skyloom.evaluate.benchmarks.task_command import TaskReport
    from skyloom.score.likelihood import InferenceEngine


@click.command(
    "tasks",
    epilog=example(
        "skyloom eval tasks HuggingFaceTB/SmolLM2-135M --tasks arc_easy,cmmlu --shots 5 --limit 100",
        "skyloom eval tasks my-model --tasks gsm8k --data gsm8k=test.jsonl --data gsm8k:train=train.jsonl --offline",
        "skyloom eval tasks a b --tasks piqa --compare a b",
        "skyloom eval tasks --compare results/a results/b",
        "skyloom eval tasks --fields piqa",
    ),
)
@click.argument("models", nargs=-1, metavar="MODEL...")
@click.option("--tasks", default="", metavar="NAME,…", help="Tasks, groups or tags; * and ? match.")
@click.option("--shots", type=click.IntRange(0), default=None, help="Examples before each item. [default: each task's own number]")
@click.option("--limit", type=click.IntRange(1), default=None, help="Items of each task, from the first. [default: all]")
@click.option(
    "--data",
    multiple=True,
    metavar="NAME[:SPLIT]=PATH",
    help="Local items of a task in its own field names: JSON lines, Parquet or CSV, or a folder with a file for each split.",
)
@click.option("--fields", "wanted", default="", metavar="NAME", help="Print the fields that the items of a task need, and no more.")
@click.option("--offline", is_flag=True, help="Use nothing but local files; no network call is made.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of the results and of the journal from which a killed evaluation goes on. [default: eval-tasks]",
)
@click.option("--compare", nargs=2, default=None, metavar="A B", help="Two of the models, or folders of results (FOLDER[:MODEL]).")
@click.option("--cut", is_flag=True, help="Cut items that are longer than the context from the left. [default: an error]")
@click.option("--dtype", default="auto", show_default=True, help="float32, bfloat16, float16, float64 or auto.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--context", type=click.IntRange(2), default=None, help="Longest sequence. [default: the model's, at most 4,096]")
@click.option("--trust-code", is_flag=True, help="Run the program code that a model's folder brings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def tasks(
    models: tuple[str, ...],
    tasks: str,
    shots: int | None,
    limit: int | None,
    data: tuple[str, ...],
    wanted: str,
    offline: bool,
    out: Path | None,
    compare: tuple[str, str] | None,
    cut: bool,
    dtype: str,
    device: str,
    context: int | None,
    trust_code: bool,
    as_json: bool,
) -> None:
    """Ask each MODEL (a checkpoint or release of ours, a Hugging Face folder or name, a .gguf file) the items of benchmark tasks.

    Tasks and metrics are those of lm-evaluation-harness, and a few of our own (cmath, cmrc2018, gaokao). Every figure has its 95 %
    interval, the accuracy of guessing beside it, and the range that near ties leave. Needs the package lm-eval: pip install
    'skyloom[eval]'.
    """
    if offline:
        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", HF_EVALUATE_OFFLINE="1")
    names = [name.strip() for name in tasks.split(",") if name.strip()]
    if wanted:
        _print_fields(wanted, as_json)
        return
    from skyloom.evaluate.benchmarks.task_index import require

    require()
    from skyloom.evaluate.benchmarks.task_command import Asking, compare_two, comparison_table, evaluate_tasks

    if not models:
        if compare is None:
            raise ConfigError("name a MODEL (a folder, a hub name or a .gguf file), or two folders of results with --compare")
        rows = compare_two(compare, {})
        if as_json:
            click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
        else:
            show(comparison_table(rows), False)
        return
    from skyloom.evaluate.opened.any_model import Opening, open_model

    opening = Opening(dtype, device, context, offline, trust_code)

    def open_one(text: str) -> BenchmarkModel:
        return open_model(text, opening)

    report = evaluate_tasks(
        models,
        Asking(names, shots, limit, data, offline, cut),
        open_one=open_one,
        engine=_engine,
        out=out or Path("eval-tasks"),
        compared=compare,
        command=shlex.join(["skyloom", *sys.argv[1:]]),
        progress=make_progress(),
    )
    _print(report, as_json)


def _engine(model: BenchmarkModel) -> InferenceEngine:
    from skyloom.score.likelihood import InferenceEngine

    return InferenceEngine(model.cached(), batch_tokens=2048 if model.device.type == "cpu" else 32_768)


def _print(report: TaskReport, as_json: bool) -> None:
    from skyloom.evaluate.benchmarks.task_command import comparison_table, table

    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    show(table(report["rows"]), False)
    for noise in report["noise"]:
        click.echo(f"near ties of {noise['model']}: {noise['nats']:.3g} nats ({noise['how']})")
    if report["comparison"]:
        show(comparison_table(report["comparison"]), False, "paired differences")


def _print_fields(wanted: str, as_json: bool) -> None:
    from skyloom.evaluate.benchmarks.task_command import fields
    from skyloom.evaluate.benchmarks.task_index import require

    require()
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
