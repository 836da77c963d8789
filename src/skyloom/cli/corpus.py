"""The verbs of the corpus room: build, look at, and its parts by themselves (report 3.1 and 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skyloom.cli.common import Group, example, on_recipe, show

if TYPE_CHECKING:
    from skyloom.run.road import Road


@click.group("corpus", cls=Group)
def corpus_group() -> None:
    """Pages to documents (report 3.1 and 3.2)."""


@corpus_group.command(
    "build", epilog=example("skyloom corpus build recipes/demo.toml", "skyloom corpus build recipes/demo.toml --source pages/")
)
@on_recipe
@click.option("--json", "as_json", is_flag=True)
def corpus_build(road: Road, as_json: bool) -> None:
    """Build the corpus of RECIPE and print its ledger."""
    road.run("corpus")
    from skyloom.run.summary import ledger_rows

    show(ledger_rows(road), as_json, "ledger: in = kept + dropped by reason")


@corpus_group.command("mixture", epilog=example("skyloom corpus mixture recipes/demo.toml"))
@on_recipe
@click.option("--json", "as_json", is_flag=True)
def corpus_mixture(road: Road, as_json: bool) -> None:
    """Print the corpus by language and category, as the report's Table 1."""
    road.run("corpus")
    from skyloom.run.summary import mixture_rows

    show(mixture_rows(road), as_json, "mixture")


@corpus_group.command(
    "show",
    epilog=example(
        "skyloom corpus show recipes/demo.toml --lang zh",
        "skyloom corpus show recipes/demo.toml --dropped",
        'skyloom corpus show recipes/demo.toml --dropped --reason "too short" --lang zh --limit 20',
    ),
)
@on_recipe
@click.option("--dropped", is_flag=True, help="What was dropped; without --reason and --stage first a count of all reasons.")
@click.option("--reason", default="", help="Only what was dropped for a reason that contains this.")
@click.option("--stage", default="", help="Only what was dropped at this stage (see the ledger).")
@click.option("--source-name", "origin", default="", help="Only documents of this source (by its name).")
@click.option("--lang", default="", help="Only this language: en, zh, zh-Hans, zh-Hant, other, code.")
@click.option("--domain", default="", help="Only this domain: web_en, stem_zh, …")
@click.option("--text", default="", help="Only documents whose text contains this.")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Documents at most.")
@click.option("--json", "as_json", is_flag=True)
def corpus_show(
    road: Road,
    dropped: bool,
    reason: str,
    stage: str,
    origin: str,
    lang: str,
    domain: str,
    text: str,
    limit: int,
    as_json: bool,
) -> None:
    """Print documents of RECIPE's corpus, or with --dropped what did not stay, with stage and reason."""
    from skyloom.core.errors import ConfigError
    from skyloom.run import browse

    if (reason or stage) and not dropped:
        raise ConfigError("--reason and --stage ask for what was dropped: add --dropped")
    road.run("corpus")
    extracted, corpus = road.folder("extract"), road.folder("corpus")
    wanted = browse.Wanted(stage, reason, origin, lang, domain, text)
    if dropped and wanted == browse.Wanted() and not as_json:
        counts = [row for folder in (extracted, corpus) for row in folder.read_json("ledger.json")["counts"]]
        show(browse.reasons(counts), False, "dropped, by stage and reason")
    rows = browse.dropped(extracted, corpus, wanted, limit) if dropped else browse.kept(corpus, wanted, limit)
    show(rows, as_json, "dropped" if dropped else "kept")
