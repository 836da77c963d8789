"""Commands of the corpus that write or read files outside a run: its export, and stages by themselves on files."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from skyloom.cli.common import example, logging, make_progress, on_recipe

if TYPE_CHECKING:
    from skyloom.corpus.alone import RowStage
    from skyloom.run.run import Run


@dataclass(frozen=True)
class _Files:
    """What the commands that judge files are given: DOCUMENTS, --out, --id, --text, --workers, and --texts where they have it."""

    documents: tuple[str, ...]
    out: str
    id_column: str
    text_column: str
    workers: int | None
    texts: str | None = None

    def judge(self, stage: RowStage) -> None:
        """Write the verdicts of a stage on the documents, and tell how many there were."""
        from skyloom.core.engine import Engine
        from skyloom.corpus.alone import judge_files
        from skyloom.corpus.dedup import Columns
        from skyloom.run.doctor import usable_cores

        engine = Engine(usable_cores() if self.workers is None else self.workers)
        engine.prepare()
        columns, progress = Columns(self.id_column, self.text_column), make_progress()
        try:
            report = judge_files(
                self.documents, self.out, stage, engine=engine, progress=progress, columns=columns, texts=self.texts
            )
        finally:
            engine.close()
        click.echo(str(report))


_FILES = (
    click.option("--workers", type=click.IntRange(0), default=None, help="Worker processes. [default: usable cores]"),
    click.option("--text", "text_column", default="text", show_default=True, help="Column of texts."),
    click.option("--id", "id_column", default="id", show_default=True, help="Column of ids; rows without one are numbered."),
    click.option("-o", "--out", required=True, metavar="FILE", help="Output: .jsonl (also .gz, .zst) or .parquet."),
    click.argument("documents", nargs=-1, required=True),
)
_texts = click.option("--texts", default=None, metavar="FILE", help="Also write the documents that stay (id, text) to this file.")


def _on_files(function: Callable[..., None]) -> Callable[..., None]:
    """Give it DOCUMENTS, --out, --id, --text, --workers (and --texts, below `_texts`) as one value, and logging's options."""

    @functools.wraps(function)
    def with_files(**options: Any) -> None:
        files = _Files(**{field.name: options.pop(field.name) for field in fields(_Files) if field.name in options})
        function(files, **options)

    command: Callable[..., None] = with_files
    for option in _FILES:
        command = option(command)
    return logging(command)


@click.command(
    "language",
    epilog=example(
        "skyloom corpus language documents.jsonl.gz -o languages.jsonl",
        "skyloom corpus language shards/ -o languages.parquet --lang zh-Hans --lang zh-Hant --texts chinese.jsonl.zst",
    ),
)
@click.option(
    "--lang",
    "wanted",
    type=click.Choice(["en", "zh-Hans", "zh-Hant", "other"]),
    multiple=True,
    help="Languages that stay. May be repeated. [default: all]",
)
@_texts
@_on_files
def corpus_language(files: _Files, wanted: tuple[str, ...]) -> None:
    """Tell the language of DOCUMENTS: JSON lines (plain, .gz, .zst) or Parquet, files or folders.

    Writes a row for each document: id, lang (en, zh-Hans, zh-Hant, other, or empty where there are no letters), score.
    """
    from skyloom.corpus.alone import LanguageVerdict

    files.judge(LanguageVerdict(wanted))


@click.command(
    "quality",
    epilog=example(
        "skyloom corpus quality documents.jsonl.gz -o verdicts.jsonl --texts good.jsonl.gz",
        "skyloom corpus quality shards/ -o verdicts.parquet --web-en c4 --web-en fineweb",
    ),
)
@click.option(
    "--web-en",
    "web_en",
    multiple=True,
    metavar="FILTER",
    help="A published filter that English documents must pass too (corpus.clean.quality.web_en). May be repeated.",
)
@_texts
@_on_files
def corpus_quality(files: _Files, web_en: tuple[str, ...]) -> None:
    """Judge DOCUMENTS by the quality rules of a run: JSON lines (plain, .gz, .zst) or Parquet, files or folders.

    Writes a row for each document: id, lang, score (below 0.5 where a rule failed), reason (null where none did).
    """
    from skyloom.core.config import build
    from skyloom.corpus.alone import QualityVerdicts
    from skyloom.corpus.quality import QualityConfig

    config = build(QualityConfig, {"web_en": list(web_en)}, origin="command line")
    files.judge(QualityVerdicts(config))


@click.command(
    "redact",
    epilog=example(
        "skyloom corpus redact documents.jsonl.gz -o redacted.jsonl.gz",
        "skyloom corpus redact shards/ -o redacted.parquet --kind email --kind phone",
    ),
)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(["email", "id_card", "bank_card", "ip", "phone"]),
    multiple=True,
    help="Kind of personal data. May be repeated. [default: all]",
)
@_on_files
def corpus_redact(files: _Files, kinds: tuple[str, ...]) -> None:
    """Replace personal data in DOCUMENTS by placeholders such as <EMAIL>: JSON lines (.gz, .zst) or Parquet, files or folders.

    Writes a row for each document: id, text, and how many of each kind were replaced.
    """
    from skyloom.corpus.alone import Redaction
    from skyloom.corpus.redact import RedactConfig

    files.judge(Redaction(RedactConfig(kinds) if kinds else RedactConfig()))


@click.command(
    "export",
    epilog=example(
        "skyloom corpus export demo out/",
        "skyloom corpus export demo out/ --format jsonl.zst --by language,category --size 500MB",
        "skyloom corpus export demo texts/ --format text --by source --split train",
    ),
)
@on_recipe
@click.argument("out")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "jsonl.zst", "text"]),
    default="parquet",
    show_default=True,
    help="Kind of the files.",
)
@click.option(
    "--by",
    default="language,category",
    show_default=True,
    metavar="A,B",
    help='Folders, from the outermost on: language, category, source, domain, license; "" for none.',
)
@click.option("--size", default="500MB", show_default=True, help="Text in one file.")
@click.option(
    "--split",
    "splits",
    type=click.Choice(["train", "valid"]),
    multiple=True,
    help="Only this split. May be repeated. [default: both]",
)
def corpus_export(run: Run, out: str, kind: str, by: str, size: str, splits: tuple[str, ...]) -> None:
    """Write the documents of RECIPE's finished corpus to OUT, a folder or URL, with counts and checksums in OUT/manifest.json.

    A folder of OUT is a data set for `datasets` and datatrove: columns id, text and others. A stopped export continues.
    """
    from skyloom.core.config import build
    from skyloom.core.step import read_manifest
    from skyloom.core.store import Store
    from skyloom.corpus.dedup import memory_size
    from skyloom.corpus.export import ExportConfig, export_corpus

    table: dict[str, object] = {"format": kind, "size": memory_size(size, "--size")}
    table["by"] = [name.strip() for name in by.split(",") if name.strip()]
    if splits:
        table["splits"] = list(splits)
    config = build(ExportConfig, table, origin="command line")
    folder = run.finished("corpus", maker="skyloom corpus build").folder("corpus")
    content = read_manifest(folder)["content"]
    try:
        found = export_corpus(
            folder,
            Store(out),
            config,
            content=content,
            name=run.recipe.name,
            leases=run.work,
            engine=run.engine,
            progress=run.progress,
        )
    finally:
        run.engine.close()
    click.echo(f"{found}: {out}")
