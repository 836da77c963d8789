"""The commands `eval …`: the models of a run, or any model on any documents and benchmarks (report 4)."""

from __future__ import annotations

import functools
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import WithUsual, example, logging, make_progress, on_recipe, show
from skyloom.core.json_files import Cell

if TYPE_CHECKING:
    from skyloom.evaluate.opened import OpeningOptions
    from skyloom.evaluate.texts import PerplexityJson
    from skyloom.run.run import Run

Decorator = Callable[[Callable[..., None]], Callable[..., None]]


class _Eval(WithUsual):
    usual = "run"


@click.group(
    "eval",
    cls=_Eval,
    epilog=example("skyloom eval demo", "skyloom eval perplexity ./TinyLlama ./model.gguf --sets ./texts"),
)
def eval_group() -> None:
    """Evaluate the models of a run (`run`, which may be left out), or any model: perplexity by set of documents, benchmarks."""


page_option = click.option(
    "--page",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    metavar="FILE.html",
    help="Also write the results as a page, in English and Chinese.",
)


@eval_group.command("run", epilog=example("skyloom eval demo --json", "skyloom eval run demo --page evaluation.html"))
@on_recipe
@page_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def eval_run(run: Run, page: Path | None, as_json: bool) -> None:
    """Evaluate RECIPE's models (report 4). Prints perplexity by domain with baselines, and accuracy with its interval."""
    resolved = run.resolve("evaluate")
    resolved.run("evaluate")
    folder = resolved.folder("evaluate")
    if page is not None:
        from skyloom.report.evaluated.evaluation_page import write_run_page
        from skyloom.run.packaged import asked_as
        from skyloom.run.recipe import stages

        steps = [name for name in ("evaluate", "references", *stages(resolved.recipe)) if name in resolved.steps]
        name = resolved.recipe.name
        write_run_page(name, asked_as(name), {step: resolved.folder(step) for step in steps}, page)
    if as_json:
        tables = {name: folder.read_json(f"{name}.json")["rows"] for name in ("perplexity", "choice")}
        click.echo(json.dumps(tables, ensure_ascii=False, indent=1))
    else:
        from skyloom.run.summary import choice_rows, perplexity_rows

        show(
            perplexity_rows(resolved),
            False,
            "perplexity; a reference token is a unit of text unless evaluate.reference says otherwise",
        )
        show(choice_rows(resolved), False, "multiple choice")
        told_page(page)


_OPENING = (
    click.option(
        "--dtype",
        type=click.Choice(["auto", "float32", "bfloat16", "float16", "float64"]),
        default="auto",
        show_default=True,
        help="Numbers that the model computes in; auto: float32 on the CPU, the weights' own on CUDA.",
    ),
    click.option("--device", default="cpu", show_default=True, metavar="DEVICE", help="cpu, cuda or cuda:1."),
    click.option(
        "--context", type=click.IntRange(1), default=None, help="Tokens of a window. [default: the model's, at most 4,096]"
    ),
    click.option("--offline", is_flag=True, help="Use local files only; no network call is made."),
    click.option("--trust-code", is_flag=True, help="Run code that the model's folder brings."),
)


batch_tokens_option = click.option(
    "--batch-tokens", type=click.IntRange(1), default=2048, show_default=True, help="Positions computed at once."
)


def on_models(function: Callable[..., None], *, required: bool = True) -> Callable[..., None]:
    """Add MODEL... and the options of opening models to a command: it gets `models` and `opening`, an `OpeningOptions`."""
    return _opening(function, click.argument("models", nargs=-1, required=required, metavar="MODEL..."))


def on_model(function: Callable[..., None]) -> Callable[..., None]:
    """As `on_models`, for one MODEL: `model`."""
    return _opening(function, click.argument("model", metavar="MODEL"))


def _opening(function: Callable[..., None], subject: Decorator) -> Callable[..., None]:
    @functools.wraps(function)
    def verb(dtype: str, device: str, context: int | None, offline: bool, trust_code: bool, **more: object) -> None:
        function(opening=_opening_of(dtype, device, context, offline, trust_code), **more)

    decorated: Callable[..., None] = verb
    options: list[Decorator] = [*reversed(_OPENING), subject]
    for option in options:
        decorated = option(decorated)
    return decorated


def _opening_of(dtype: str, device: str, context: int | None, offline: bool, trust_code: bool) -> OpeningOptions:
    """How the models are opened. With `offline` the libraries are told as well, before they are imported."""
    if offline:
        import os

        os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
    from skyloom.evaluate.opened import OpeningOptions

    return OpeningOptions(dtype, device, context, offline, trust_code)


def told_page(page: Path | None) -> None:
    """Print where a page was written, if one was."""
    if page is not None:
        click.echo(f"page: {page.resolve().as_uri()}")


def command_line() -> str:
    """What was typed, for the record."""
    return shlex.join(["skyloom", *sys.argv[1:]])


@eval_group.command(
    "perplexity",
    epilog=example(
        "skyloom eval perplexity ./TinyLlama --sets ./texts",
        "skyloom eval perplexity runs/demo/release-… base=./Qwen3-0.6B --sets web=web.jsonl.gz --sets law=law.parquet",
        "skyloom eval perplexity ./model.gguf --sets run:demo --cut third --windows disjoint",
        "skyloom eval perplexity ./a ./b --sets ./中文 --reference ./a --page 困惑度.html",
    ),
)
@on_models
@click.option(
    "--sets",
    "sets",
    multiple=True,
    required=True,
    metavar="SETS",
    help="Documents: FOLDER, NAME=FILE (.jsonl, .jsonl.gz, .parquet, .txt; field text) or run:RECIPE. May be repeated.",
)
@click.option("--out", type=click.Path(file_okay=False), default=None, help="Folder of the results. [default: ./perplexity]")
@click.option(
    "--reference",
    default="units",
    show_default=True,
    metavar="TOKENS",
    help="Tokens that losses are divided by to compare tokenizers: units, FILE.model or a MODEL.",
)
@click.option(
    "--cut",
    default="none",
    show_default=True,
    metavar="LENGTH",
    help="Characters that documents are cut to: third (of the smallest context, as in the report), a number, or none.",
)
@click.option(
    "--windows",
    type=click.Choice(["rolling", "disjoint"]),
    default="rolling",
    show_default=True,
    help="rolling: as lm-evaluation-harness; disjoint: as a run's monitor and published figures.",
)
@click.option("--stride", type=click.IntRange(1), default=None, help="New tokens of each window, which then overlap.")
@batch_tokens_option
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the intervals.")
@page_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def eval_perplexity(
    models: tuple[str, ...],
    opening: OpeningOptions,
    sets: tuple[str, ...],
    out: str | None,
    reference: str,
    cut: str,
    windows: str,
    stride: int | None,
    batch_tokens: int,
    seed: int,
    page: Path | None,
    as_json: bool,
) -> None:
    """Perplexity of models on sets of documents, comparable across tokenizers, with intervals and paired differences.

    MODEL is a checkpoint or release of ours, a folder or hub name of a Hugging Face model, or a .gguf file; NAME=MODEL names it.
    """
    from skyloom.core.store import Store
    from skyloom.evaluate.texts import PerplexityRequest, Scoring, perplexity
    from skyloom.run.named_sets import named_sets

    progress = make_progress()
    given = named_sets(sets, progress)
    scoring = Scoring(windows, stride, batch_tokens, seed=seed)
    asked = PerplexityRequest(models, cut, reference, scoring, opening, command_line())
    folder = Path(out or "perplexity")
    table = perplexity(asked, given, Store(folder), progress=progress)
    if page is not None:
        from skyloom.report.evaluated.evaluation_page import write_perplexity_page

        write_perplexity_page(table, Store(folder), page)
    if as_json:
        click.echo(json.dumps(table, ensure_ascii=False, indent=1))
        return
    for title, rows in _tables(table):
        show(rows, False, title)
    click.echo(f"results: {folder}/perplexity.json, perplexity.svg, documents.parquet")
    told_page(page)


def _tables(table: PerplexityJson) -> Iterator[tuple[str, Sequence[Mapping[str, Cell]]]]:
    """What people see: figures with intervals, sorted; averages; differences."""
    rows = sorted(table["rows"], key=lambda r: (r["set"], r["bits_per_byte"] if r["bits_per_byte"] is not None else 1e9))
    yield (
        f"95 % intervals over documents; reference: {table['reference']}",
        [
            {
                "set": r["set"],
                "model": r["model"],
                "bits per byte": r["bits_per_byte"],
                "interval": _ends(r["bits_per_byte_low"], r["bits_per_byte_high"]),
                "perplexity": r["perplexity"],
                "reference perplexity": r["reference_perplexity"],
                "documents": r["documents"],
                "tokens": r["tokens"],
                "cut": r["cut"],
                "changed": r["changed"],
            }
            for r in rows
        ],
    )
    if len({r["set"] for r in rows}) > 1:
        yield (
            "over the sets: exponential of the mean loss, as in the report's Table 6; over all documents as one set",
            [
                {
                    "model": r["model"],
                    "perplexity": r["perplexity"],
                    "reference perplexity": r["reference_perplexity"],
                    "bits per byte": r["bits_per_byte"],
                    "perplexity, documents": r["document_perplexity"],
                    "bits per byte, documents": r["document_bits_per_byte"],
                }
                for r in table["average"]
            ],
        )
    if table["paired"]:
        yield (
            f"difference to {table['models'][0]['model']} on the same documents, bits per byte (below 0: better)",
            [
                {
                    "set": r["set"] or "average",
                    "model": r["model"],
                    "difference": r["bits_per_byte"],
                    "interval": _ends(r["bits_per_byte_low"], r["bits_per_byte_high"]),
                    "apart": _apart(r["bits_per_byte_low"], r["bits_per_byte_high"]),
                }
                for r in table["paired"]
            ],
        )


def _ends(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def _apart(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else "yes" if low > 0 or high < 0 else "no"
