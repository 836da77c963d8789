"""The commands `leak twins` and `leak family`: what the leakage of any model is measured against."""

from __future__ import annotations

import json
from pathlib import Path

import click

from skyloom.cli.common import example, logging, show
from skyloom.core.json_files import Cell

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
    click.echo(f"twins: {out}, {out.name}.report.json")
