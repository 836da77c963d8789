"""The command `leak reference`: new items in the style of a benchmark's, written by a language model behind an endpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import FiniteRange, example, logging, make_progress, show
from skyloom.core.json_files import Cell

if TYPE_CHECKING:
    from skyloom.leakage.new_items import NewItemsReport

FEWEST = 20
"""As many as an audit needs at least."""


@click.command(
    "reference",
    epilog=example(
        "skyloom leak reference test.jsonl.gz --endpoint http://localhost:8000/v1 --model Qwen3-8B --out new.jsonl",
        "skyloom leak reference 测试.jsonl --endpoint https://host/v1 --key-env API_KEY --model m --lang zh --out 新题.jsonl",
    ),
)
@click.argument("benchmark", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", required=True, metavar="URL", help="Address of an OpenAI-compatible service, up to /chat/completions.")
@click.option("--model", required=True, metavar="NAME", help="Name by which the service knows the model.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File of the items: .jsonl or .jsonl.gz."
)
@click.option("--items", type=click.IntRange(FEWEST, 100_000), default=300, show_default=True, help="Items to be written.")
@click.option(
    "--key-env",
    default="",
    metavar="NAME",
    help="Environment variable that holds the key. The key is written nowhere. [default: no key]",
)
@click.option(
    "--lang", type=click.Choice(["en", "zh"]), default=None, help="Language of the items. [default: the benchmark's, in its shares]"
)
@click.option("--examples", type=click.IntRange(1, 50), default=4, show_default=True, help="Benchmark items shown in each prompt.")
@click.option("--temperature", type=FiniteRange(0, 2), default=1.0, show_default=True, help="Of the model's sampling.")
@click.option("--max-tokens", type=click.IntRange(1), default=1024, show_default=True, help="Tokens of an answer.")
@click.option("--requests", type=click.IntRange(1), default=None, help="Answers to ask for at most. [default: 3 for each item]")
@click.option(
    "--timeout", type=FiniteRange(0, 86_400, min_open=True), default=120.0, show_default=True, help="Seconds to wait for an answer."
)
@click.option(
    "--retries", type=click.IntRange(0, 100), default=5, show_default=True, help="Tries after a refusal (429, 5xx) or no answer."
)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Seed of the examples.")
@click.option("--date", default=None, metavar="DATE", help="Written into the report. [default: none]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@logging
def leak_reference(
    benchmark: Path,
    endpoint: str,
    model: str,
    out: Path,
    items: int,
    key_env: str,
    lang: str | None,
    examples: int,
    temperature: float,
    max_tokens: int,
    requests: int | None,
    timeout: float,
    retries: int,
    seed: int,
    date: str | None,
    as_json: bool,
) -> None:
    """Have a language model write new items in the style of a benchmark's, as a reference set for `leak model`.

    BENCHMARK is JSON lines, also gzipped, with `question` and `answer`; some of its items go to the endpoint as examples.
    Answers that are no items, copies and near copies are counted. A stopped command goes on and asks for nothing twice.
    """
    from skyloom.leakage.new_items import ChatSettings, NewItemsRequest, write_new_items

    chat = ChatSettings(endpoint, model, temperature, max_tokens, timeout, retries)
    asked = NewItemsRequest(benchmark, out, chat, items, lang or "", key_env, examples, requests or 0, seed, date)
    report = write_new_items(asked, make_progress())
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False, indent=1))
        return
    _tell(report)
    click.echo(f"items: {out}, {out.name}.report.json")


def _tell(report: NewItemsReport) -> None:
    counts: list[dict[str, Cell]] = [{"language": lang, **found} for lang, found in report["by_lang"].items()]
    show(counts, False, f"{report['items']:,} items of {report['answers']:,} answers by {report['model']}")
    if report["rejected"]:
        show([{"answers": n, "no item because": why} for why, n in report["rejected"].items()], False)
    blind = report["blind"]
    for name, told in (("words", blind["words"]), ("length", blind["length"])):
        if told["auc"] is not None:
            click.echo(
                f"{name} alone: told from the benchmark with an AUC of {told['auc']:.3f} "
                f"(95 %: {told['low']:.3f} to {told['high']:.3f}; 0.5: not at all)"
            )
    if blind["vetoes"]:
        click.echo("so the set is in another style: no gap against it will count")
    else:
        click.echo("that justifies nothing yet: a gap against this set counts only beside a family of models (skyloom leak family)")
