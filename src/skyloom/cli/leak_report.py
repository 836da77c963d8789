"""The command `leak report`: the page of a leakage audit of any model (report 5.2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from skyloom.cli.common import example, logging, make_progress
from skyloom.cli.evaluate import command_line
from skyloom.cli.leak import OUT
from skyloom.core.errors import ConfigError

LEAK_JSON = "leak.json"


def audit_for_report(
    model: str, benchmark: str | None, sets: Mapping[str, str | None], exchangeable: str | None
) -> Mapping[str, object]:
    """The content of leak.json for a MODEL that is not audited yet: what `leak model` finds and keeps in ./leak."""
    if benchmark is None:
        raise ConfigError(f"{model} is neither a {LEAK_JSON} nor a folder that holds one; to audit a MODEL, give --benchmark FILE")
    from skyloom.leakage.suspect import LeakRequest, audit_model

    files = {name: None if value is None else Path(value) for name, value in sets.items()}
    asked = LeakRequest(
        model, Path(benchmark), files["train"], files["reference"], family=files["family"], ability=files["ability"],
        exchangeable=exchangeable, command=command_line(),
    )  # fmt: skip
    return dict(audit_model(asked, Path(OUT), progress=make_progress()))


@click.command(
    "report",
    epilog=example(
        "skyloom leak report leak/ --out page.html",
        "skyloom leak report leak/leak.json --out 报告.html --lang zh --show-items",
        "skyloom leak report ./TinyLlama --benchmark gsm8k.jsonl.gz --out page.html",
    ),
)
@click.argument("leak", metavar="LEAK_JSON|FOLDER|MODEL")
@click.option("--out", type=click.Path(dir_okay=False), required=True, metavar="FILE", help="The page.")
@click.option("--lang", type=click.Choice(["en", "zh"]), default="en", show_default=True, help="Language of the page.")
@click.option("--show-items", is_flag=True, help="Show the text of the items that read easiest.")
@click.option("--benchmark", default=None, metavar="FILE", help="Of a MODEL: the items that it may have read.")
@click.option("--train", default=None, metavar="FILE", help="Of a MODEL: the train split.")
@click.option("--reference", default=None, metavar="FILE", help="Of a MODEL: a reference set.")
@click.option("--family", default=None, metavar="FILE", help="Of a MODEL: what reference models say (leak family).")
@click.option("--ability", default=None, metavar="FILE", help="Of a MODEL: the third text set of the family.")
@click.option("--exchangeable", type=click.Choice(["reference", "train"]), default=None, help="Of a MODEL: as in `leak model`.")
@logging
def leak_report(
    leak: str,
    out: str,
    lang: str,
    show_items: bool,
    benchmark: str | None,
    train: str | None,
    reference: str | None,
    family: str | None,
    ability: str | None,
    exchangeable: str | None,
) -> None:
    """Write the page of an audit: one HTML file that shows what its verdict rests on.

    Reads a finished leak.json (or the folder that holds it); for a MODEL the audit is made first.
    """
    from skyloom.report.leak_page import read_leak, write_leak_page

    path = Path(leak)
    sets = {"train": train, "reference": reference, "family": family, "ability": ability}
    given = [f"--{k}" for k, v in {"benchmark": benchmark, **sets, "exchangeable": exchangeable}.items() if v is not None]
    if path.is_file() or (path / LEAK_JSON).is_file():
        if given:
            raise ConfigError(f"{leak} is a finished audit: {', '.join(given)} belongs to a MODEL that is to be audited")
        found = read_leak(path)
    elif path.suffix == ".json":
        raise ConfigError(f"{leak} does not exist")
    else:
        found = dict(audit_for_report(leak, benchmark, sets, exchangeable))
    write_leak_page(found, Path(out), lang, show_items)
    click.echo(Path(out).resolve().as_uri())
