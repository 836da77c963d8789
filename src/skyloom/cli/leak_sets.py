"""The commands `leak twins` and `leak family`: what the leakage of any model is measured against."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import example, logging, make_progress, show
from skyloom.cli.evaluate import batch_tokens_option, on_models
from skyloom.core.json_files import Cell

if TYPE_CHECKING:
    from skyloom.evaluate.opened import OpeningOptions

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "twins",
    epilog=example(
        "skyloom leak twins test.jsonl.gz --train train.jsonl.gz --out twins.jsonl",
        "skyloom leak twins 测试.jsonl --out twins.jsonl",
    ),
)
@click.argument("benchmark", type=_FILE)
@click.option("--train", type=_FILE, default=None, help="Train split, from whose questions numbers are drawn. [default: BENCHMARK]")
@click.option("--out", type=_OUT, required=True, help="File of the twins: .jsonl or .jsonl.gz.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the numbers and names.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def leak_twins(benchmark: Path, train: Path | None, out: Path, seed: int, as_json: bool) -> None:
    """Write twins of a benchmark's items: the same wording with other numbers and names.

    BENCHMARK is JSONL, also gzipped, with `question` and `answer`. Solutions with calculator notes (<<16-3-4=9>>) are computed
    anew; of items without a solution the question alone gets a twin. Items that cannot be changed safely are counted.
    """
    from skyloom.leakage.twins import write_twins

    report = write_twins(benchmark, train, out, seed)
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    counts: list[dict[str, Cell]] = [{"language": lang, **found} for lang, found in report["by_lang"].items()]
    show(
        counts, False, f"{report['twins']:,} twins of {report['items']:,} items, {report['question_only']:,} of them question only"
    )
    if report["skipped"]:
        show([{"items": n, "no twin because": why} for why, n in report["skipped"].items()], False)
    told = report["blind"]
    if told["auc"] is not None:
        click.echo(
            f"words alone tell twins from originals with an AUC of {told['auc']:.3f} "
            f"(95 %: {told['low']:.3f} to {told['high']:.3f}; 0.5: not at all)"
        )
    click.echo(f"twins: {out}, {out.name}.report.json")


@click.command(
    "family",
    epilog=example(
        "skyloom leak family ./a ./b … --benchmark test.jsonl.gz --reference new.jsonl --ability news.jsonl --out family.jsonl \\\n"
        "    --benchmark-date 2021-10-27 --released a=2021-03-21 --lineage b=pythia --clean b"
    ),
)
@on_models
@click.option("--benchmark", type=_FILE, required=True, help="Items of the benchmark: .jsonl, .jsonl.gz.")
@click.option("--reference", type=_FILE, required=True, help="Items that are compared with the benchmark's.")
@click.option("--ability", type=_FILE, required=True, help="Third set: items or texts on which ability is measured.")
@click.option("--out", type=_OUT, required=True, help="The family file, JSON lines.")
@click.option("--released", multiple=True, metavar="NAME=DATE", help="When a model was released. May be repeated.")
@click.option(
    "--lineage", multiple=True, metavar="NAME=L", help="Models of one lineage count once. May be repeated. [default: NAME]"
)
@click.option("--benchmark-date", default=None, metavar="DATE", help="Models released before it are clean by date.")
@click.option("--clean", multiple=True, metavar="NAME", help="Declare that a model has not read the benchmark. May be repeated.")
@click.option("--template", default="{question}\\n{answer}", show_default=True, help="What is scored of an item.")
@batch_tokens_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def leak_family(
    models: tuple[str, ...],
    opening: OpeningOptions,
    benchmark: Path,
    reference: Path,
    ability: Path,
    out: Path,
    released: tuple[str, ...],
    lineage: tuple[str, ...],
    benchmark_date: str | None,
    clean: tuple[str, ...],
    template: str,
    batch_tokens: int,
    as_json: bool,
) -> None:
    """Score clean models on a benchmark, a reference set and a third set, so that a suspect can be compared with them.

    MODEL as in `skyloom eval perplexity`. An interrupted command goes on with the model that is not done.
    """
    from skyloom.leakage.family import FamilyRequest, read_family, write_family_of

    sets = {"benchmark": benchmark, "reference": reference, "ability": ability}
    text = template.replace("\\n", "\n")
    asked = FamilyRequest(models, sets, released, lineage, clean, benchmark_date, text, batch_tokens, opening)
    write_family_of(asked, out, progress=make_progress())
    rows: list[dict[str, Cell]] = [
        {
            "model": m.model,
            "lineage": m.lineage,
            "released": m.released,
            "clean": m.clean,
            "bits per byte, ability": -m.ability,
            "gap": m.gap,
        }
        for m in read_family(out).members
    ]
    show(rows, as_json, "gap: benchmark minus reference, bits per byte")
    if not as_json:
        click.echo(f"family: {out}")
