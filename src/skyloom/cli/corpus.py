"""The commands of the corpus: build it, look at it, and run extraction or deduplication alone (report 3.1 and 3.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from skyloom.cli.common import Group, example, logging, make_progress, on_recipe, show
from skyloom.cli.corpus_files import corpus_export, corpus_language, corpus_quality, corpus_redact

if TYPE_CHECKING:
    from skyloom.run.run import Run


@click.group("corpus", cls=Group)
def corpus_group() -> None:
    """From web pages to a clean corpus (report 3.1 and 3.2)."""


@corpus_group.command("build", epilog=example("skyloom corpus build demo", "skyloom corpus build demo --source pages/"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def corpus_build(run: Run, as_json: bool) -> None:
    """Build the corpus of RECIPE and print its ledger."""
    resolved = run.resolve("corpus")
    resolved.run("corpus")
    from skyloom.run.summary import ledger_rows

    show(ledger_rows(resolved), as_json, "ledger: in = kept + dropped by reason")


@corpus_group.command("filters", epilog=example("skyloom corpus filters demo", "skyloom corpus filters my.toml --json"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def corpus_filters(run: Run, as_json: bool) -> None:
    """Print the filters of RECIPE in their order, those of your own among them; it builds nothing."""
    from skyloom.run.summary import filter_rows

    show(filter_rows(run.recipe), as_json, "filters, in order")


@corpus_group.command("mixture", epilog=example("skyloom corpus mixture demo"))
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def corpus_mixture(run: Run, as_json: bool) -> None:
    """Print the corpus by language and category, like the report's Table 1."""
    resolved = run.resolve("corpus")
    resolved.run("corpus")
    from skyloom.run.summary import mixture_rows

    show(mixture_rows(resolved), as_json, "mixture")


@corpus_group.command(
    "show",
    epilog=example(
        "skyloom corpus show demo --lang zh",
        "skyloom corpus show demo --dropped",
        'skyloom corpus show demo --dropped --reason "too short" --lang zh --limit 20',
    ),
)
@on_recipe
@click.option("--dropped", is_flag=True, help="Show dropped documents; without other filters a count of all reasons comes first.")
@click.option("--reason", default="", help="Only documents dropped for a reason that contains this.")
@click.option("--stage", default="", help="Only documents dropped at this stage (see the ledger).")
@click.option("--source-name", "origin", default="", help="Only documents of this source (by its name).")
@click.option("--lang", default="", help="Only this language: en, zh, zh-Hans, zh-Hant, other, code.")
@click.option("--domain", default="", help="Only this domain: web_en, stem_zh, …")
@click.option("--text", default="", help="Only documents whose text contains this.")
@click.option("--limit", type=click.IntRange(1), default=10, show_default=True, help="Maximum number of documents.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def corpus_show(
    run: Run,
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
    """Print documents of RECIPE's corpus, or with --dropped the documents that were dropped, with stage and reason.

    It only looks: if the work folder has no corpus of this recipe, it says so. `skyloom corpus build` makes one.
    """
    from skyloom.core.errors import ConfigError
    from skyloom.run import browse

    if (reason or stage) and not dropped:
        raise ConfigError("--reason and --stage select dropped documents: add --dropped")
    resolved = run.finished("extract", "corpus", maker="skyloom corpus build")
    extracted, corpus = resolved.folder("extract"), resolved.folder("corpus")
    wanted = browse.Wanted(stage, reason, origin, lang, domain, text)
    if dropped and wanted == browse.Wanted() and not as_json:
        counts = [row for folder in (extracted, corpus) for row in folder.read_json("ledger.json")["counts"]]
        show(browse.reasons(counts), False, "dropped, by stage and reason")
    rows = browse.dropped(extracted, corpus, wanted, limit) if dropped else browse.kept(corpus, wanted, limit)
    show(rows, as_json, "dropped" if dropped else "kept")


@corpus_group.command(
    "extract",
    epilog=example(
        "skyloom corpus extract pages.jsonl.gz -o texts.jsonl",
        "skyloom corpus extract crawl/*.warc.gz -o texts.jsonl.zst --comments",
        "zcat page.warc.gz | skyloom corpus extract - -o - | jq -r .text",
    ),
)
@click.argument("pages", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="FILE", help='Output: .jsonl, .jsonl.gz, .jsonl.zst, or "-".')
@click.option("--comments", is_flag=True, help="Keep readers' comments.")
@click.option("--workers", type=click.IntRange(0), default=None, help="Worker processes. [default: usable cores]")
@logging
def corpus_extract(pages: tuple[str, ...], out: str, comments: bool, workers: int | None) -> None:
    """Extract the main text of PAGES: JSON lines with id and html, WARC or WET files, Parquet, or a folder of HTML; one path or
    several, and "-" for the standard input (as FILE, for the standard output).

    Writes a line for each page: id, text, title, date, reason (null where there is text). A page without text, or one that cannot
    be read, also has a line, with the reason.
    """
    from skyloom.core.engine import Engine
    from skyloom.corpus.extract import ExtractConfig, extract_files
    from skyloom.run.doctor import usable_cores

    engine = Engine(usable_cores() if workers is None else workers)
    try:
        extract_files(pages, out, ExtractConfig(comments=comments), make_progress(), engine)
    finally:
        engine.close()


@corpus_group.command(
    "dedup",
    epilog=example(
        "skyloom corpus dedup documents.jsonl.gz -o clusters.jsonl",
        "skyloom corpus dedup shards/ -o clusters.parquet --memory 4GB --quality score",
        "skyloom corpus dedup documents.jsonl.gz -o clusters.jsonl --texts left.jsonl.gz --repeated lines --repeated runs",
    ),
)
@click.argument("documents", nargs=-1, required=True)
@click.option("-o", "--out", required=True, metavar="FILE", help="Output: .jsonl (also .gz, .zst) or .parquet.")
@click.option("--memory", default="4GB", show_default=True, help="Memory limit; if more is needed, work on disk.")
@click.option("--threshold", type=click.FloatRange(0.3, 1.0), default=None, help="Jaccard similarity of near-duplicates.")
@click.option("--id", "id_column", default="id", show_default=True, help="Column of ids.")
@click.option("--text", "text_column", default="text", show_default=True, help="Column of texts.")
@click.option(
    "--quality",
    default=None,
    metavar="COLUMN",
    help="Column of numbers; of each cluster the document with the highest number stays.",
)
@click.option("--texts", default=None, metavar="FILE", help="Also write the documents that stay (id, text) to this file.")
@click.option(
    "--repeated",
    type=click.Choice(["lines", "runs"]),
    multiple=True,
    help="Cut from these texts the lines, or runs of 50 units, that occur in an earlier document.",
)
@click.option("--workers", type=click.IntRange(0), default=None, help="Worker processes. [default: usable cores]")
@logging
def corpus_dedup(
    documents: tuple[str, ...],
    out: str,
    memory: str,
    threshold: float | None,
    id_column: str,
    text_column: str,
    quality: str | None,
    texts: str | None,
    repeated: tuple[str, ...],
    workers: int | None,
) -> None:
    """Find near-duplicates among DOCUMENTS: JSON lines (plain, .gz, .zst) or Parquet, files or folders.

    Writes a row for each document: id, cluster (the id of the document that stays in its place), keep. MinHash over units of text
    finds candidates; each pair is then compared exactly.
    """
    from dataclasses import replace

    from skyloom.core.engine import Engine
    from skyloom.corpus.dedup import Columns, DedupConfig, RepeatsConfig, dedup_files, memory_size
    from skyloom.run.doctor import usable_cores

    config = DedupConfig() if threshold is None else replace(DedupConfig(), threshold=threshold)
    engine = Engine(usable_cores() if workers is None else workers)
    engine.prepare()
    try:
        report = dedup_files(
            documents,
            out,
            config,
            memory=memory_size(memory),
            engine=engine,
            progress=make_progress(),
            columns=Columns(id_column, text_column, quality),
            texts=texts,
            repeats=RepeatsConfig(repeated_lines="lines" in repeated, repeated_runs="runs" in repeated),
        )
    finally:
        engine.close()
    click.echo(str(report))


@corpus_group.group("fetch", cls=Group)
def fetch_group() -> None:
    """Download pages that a recipe can read."""


@fetch_group.command(
    "common-crawl",
    epilog=example(
        "skyloom corpus fetch common-crawl CC-MAIN-2023-23 --domain example.org --pages 500 -o crawl/",
        "skyloom corpus fetch common-crawl CC-MAIN-2023-23 --domain a.cn --domain b.com/docs/ --lang zh-Hans -o crawl/",
        "skyloom corpus fetch common-crawl CC-MAIN-2023-23 --paths warc.paths.gz --segments 0-9 -o segments/",
    ),
)
@click.argument("crawl")
@click.option("--domain", "domains", multiple=True, help="A domain with its hosts, or a part of a site. May be repeated.")
@click.option(
    "--domains-file", type=click.Path(exists=True, dir_okay=False), default=None, help="File with more domains, one in each line."
)
@click.option("--lang", "languages", multiple=True, help="Language to take. May be repeated. [default: en, zh-Hans]")
@click.option("--pages", type=click.IntRange(1), default=None, help="Maximum number of pages. [default: 1000]")
@click.option(
    "--paths",
    default=None,
    metavar="LIST",
    help="Fetch whole archives: a list of paths of the crawl (warc.paths.gz, wet.paths.gz), or a file with such a list.",
)
@click.option(
    "--segments", default=None, metavar="NUMBERS", help="With --paths: segments to take, from 0: 0-9 or 0-9,20. [default: all]"
)
@click.option("--files", default=None, metavar="NUMBERS", help="With --paths: archives to take of these, from 0. [default: all]")
@click.option(
    "--connections", type=click.IntRange(1, 64), default=None, help="With --paths: archives at the same time. [default: 4]"
)
@click.option("-o", "--out", required=True, metavar="FOLDER", help="A folder for the WARC files; without --paths also a URL.")
@click.option("--hours", type=click.FloatRange(0.1), default=24, show_default=True, help="Stop after so many hours.")
@click.option("--index-url", default=None, help="URL of the index. [default: Common Crawl's]")
@click.option("--data-url", default=None, help="URL of the records. [default: Common Crawl's]")
@logging
def fetch_crawl(
    crawl: str,
    domains: tuple[str, ...],
    domains_file: str | None,
    languages: tuple[str, ...],
    pages: int | None,
    paths: str | None,
    segments: str | None,
    files: str | None,
    connections: int | None,
    out: str,
    hours: float,
    index_url: str | None,
    data_url: str | None,
) -> None:
    """Fetch pages of CRAWL by domain and language: it searches the index and reads only the records of these pages. With --paths it
    fetches whole archives (WARC, WET) instead, several at a time, and checks their size and that they unpack.

    Writes complete WARC files; after a stop the same command continues. Then use kind = "warc", path = FOLDER in a recipe.
    """
    from pathlib import Path

    from skyloom.core.config import build
    from skyloom.core.errors import ConfigError
    from skyloom.core.store import Store
    from skyloom.corpus.sources import ArchivesConfig, CrawlConfig, fetch_archives, fetch_common_crawl

    by_page = {"--domain": domains, "--domains-file": domains_file, "--lang": languages, "--pages": pages, "--index-url": index_url}
    by_list = {"--segments": segments, "--files": files, "--connections": connections}
    for option, value in (by_page if paths else by_list).items():
        if value:
            raise ConfigError(f"{option} does not go {'with' if paths else 'without'} --paths")
    table = {"crawl": crawl, "hours": hours, "data_url": data_url}
    if paths:
        table |= {"paths": paths, "segments": segments, "files": files, "connections": connections}
        fetch_archives(build(ArchivesConfig, _given(table), origin="command line"), Store(out), progress=make_progress())
        return
    try:
        listed = Path(domains_file).read_text(encoding="utf-8").split() if domains_file else []
    except UnicodeDecodeError as problem:
        raise ConfigError(f"{domains_file} is no text in UTF-8") from problem
    table |= {"domains": [*domains, *listed], "languages": list(languages), "pages": pages, "index_url": index_url}
    fetch_common_crawl(build(CrawlConfig, _given(table), origin="command line"), Store(out), progress=make_progress())


def _given(table: dict[str, object]) -> dict[str, object]:
    """What was given; `domains` may be empty, which the settings refuse."""
    return {key: value for key, value in table.items() if value or key == "domains"}


for command in (corpus_export, corpus_language, corpus_quality, corpus_redact):
    corpus_group.add_command(command)
