"""The command `leak corpus`: benchmark items in any texts, as the decontamination of a corpus finds them (report 3.1, 5.2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pyarrow as pa

from skyloom.cli.common import example, logging, make_progress, show
from skyloom.core.json_files import Rows

if TYPE_CHECKING:
    from skyloom.corpus.decontaminate import CorpusLeaks

SHOWN = 20
"""Matches that are printed for people; all of them stand in the output file."""


@click.command(
    "corpus",
    epilog=example(
        "skyloom leak corpus texts.jsonl.gz --benchmark gsm8k.jsonl.gz --summary",
        "skyloom leak corpus shards/ --benchmark gsm8k=test.jsonl --benchmark cmath=cmath/test.jsonl --out matches.jsonl",
        "skyloom leak corpus 网页.parquet --benchmark ceval.parquet --text-field content --json",
    ),
)
@click.argument("texts", nargs=-1, required=True)
@click.option(
    "--benchmark",
    "benchmarks",
    multiple=True,
    required=True,
    metavar="FILE",
    help="Items: FILE or NAME=FILE (.jsonl, .jsonl.gz or .parquet). May be repeated.",
)
@click.option("--text-field", default="text", show_default=True, metavar="F", help="Field of the texts.")
@click.option("--id-field", default="id", show_default=True, metavar="F", help="Field of ids; rows without one are numbered.")
@click.option(
    "--item-field",
    "item_fields",
    multiple=True,
    metavar="F",
    help="Field of an item's text. May be repeated. [default: question or text, and the choices]",
)
@click.option("--summary", is_flag=True, help="Print only the table of benchmarks, not the matches.")
@click.option("--workers", type=click.IntRange(0), default=None, help="Worker processes. [default: usable cores]")
@click.option(
    "--out", type=click.Path(dir_okay=False), default=None, metavar="FILE", help="All matches: .jsonl (.gz, .zst), .parquet."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def leak_corpus(
    texts: tuple[str, ...],
    benchmarks: tuple[str, ...],
    text_field: str,
    id_field: str,
    item_fields: tuple[str, ...],
    summary: bool,
    workers: int | None,
    out: str | None,
    as_json: bool,
) -> None:
    """Find items of benchmarks in TEXTS: JSON lines (plain, .gz, .zst), Parquet, or what `corpus extract` wrote; files or folders.

    A match is a place in a document with the item, its share, and "exact" (the whole item) or "near" (a part of it, or some of it
    changed). Items are compared without case, punctuation, white space and width.
    """
    from skyloom.core.engine import Engine
    from skyloom.corpus.decontaminate import CorpusSearch, DecontaminationConfig, search_corpus
    from skyloom.run.doctor import usable_cores

    asked = CorpusSearch(texts, benchmarks, text_field, id_field, item_fields)
    engine = Engine(usable_cores() if workers is None else workers)
    engine.prepare()
    shown: Rows = []
    try:
        found = search_corpus(
            asked,
            Path(out) if out else None,
            DecontaminationConfig(),
            engine=engine,
            progress=make_progress(),
            sink=None if summary else _sink(shown, None if as_json else SHOWN),
        )
    finally:
        engine.close()
    if as_json:
        click.echo(json.dumps(_as_json(found, None if summary else shown), ensure_ascii=False, indent=1))
    else:
        _tell(found, shown, summary, out)


def _sink(shown: Rows, most: int | None) -> Callable[[pa.Table], None]:
    def take(table: pa.Table) -> None:
        shown.extend((table if most is None else table.slice(0, max(most - len(shown), 0))).to_pylist())

    return take


def _as_json(found: CorpusLeaks, matches: Rows | None) -> dict[str, object]:
    told: dict[str, object] = {
        "documents": found.documents,
        "bytes": found.bytes,
        "rejected": found.rejected,
        "rejected_rows": found.examples,
        "benchmarks": found.benchmarks,
    }
    return told if matches is None else {**told, "matches": matches}


def _tell(found: CorpusLeaks, shown: Rows, summary: bool, out: str | None) -> None:
    if not summary:
        show(shown, False, "matches" if len(shown) == found.matches else f"the first {len(shown)} of {found.matches:,} matches")
    show(found.rows(), False, "benchmarks (found: items that a document holds; exact and near: places)")
    lost = "".join(f"; {count:,} rows rejected: {reason}" for reason, count in found.rejected.items())
    click.echo(f"{found.documents:,} documents, {found.bytes / 1e6:,.1f} MB searched, {found.matches:,} matches{lost}")
    if found.examples:
        named = ", ".join(f"{row['file']} row {row['row']}" for row in found.examples[:5])
        more = sum(found.rejected.values()) - len(found.examples[:5])
        click.echo(
            f"rejected: {named}{f' and {more:,} more' if more > 0 else ''}{f' (all in {out}.rejected.jsonl)' if out else ''}"
        )
    if out:
        click.echo(f"matches: {out}")
