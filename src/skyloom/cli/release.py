"""The commands of a release: build it, sign it, check it, trace a text in its corpus, write its model for llama.cpp.

Those of the Hub are in `release_hub`.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from skyloom.cli.common import Group, example, logging, make_progress, on_recipe, show, verdict
from skyloom.cli.release_hub import pull, push, remove
from skyloom.core.errors import DataError
from skyloom.core.json_files import Rows

if TYPE_CHECKING:
    from skyloom.release.trace import Traced
    from skyloom.run.run import Run

_FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False))


@click.group("release", cls=Group)
def release_group() -> None:
    """Build, sign, check, push, pull, trace or convert a release folder, or take documents out."""


@release_group.command(
    "build", epilog=example("skyloom release build recipes/demo.toml", "skyloom release build my.toml --allow-unknown-license")
)
@on_recipe
@click.option("--allow-unknown-license", is_flag=True, help="Publish documents whose source states no licence.")
def build(run: Run, allow_unknown_license: bool) -> None:
    """Build the release folder of RECIPE and print where it is. Exit code 3 if documents have no licence."""
    if allow_unknown_license:
        release = dataclasses.replace(run.recipe.release, allow_unknown_license=True)
        run = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, release=release))
    resolved = run.resolve()
    resolved.run("release")
    folder = resolved.folder("release")
    click.echo(folder.root)
    from skyloom.release.check import unlicensed

    if problem := unlicensed(folder):
        raise DataError(f"{folder.root} is not to be published: {problem}")


@release_group.command(
    "sign", epilog=example("skyloom release sign runs/demo/release-… --key ~/.ssh/id_ed25519", "… sign FOLDER --key minisign.key")
)
@_FOLDER
@click.option("--key", required=True, type=click.Path(dir_okay=False), help="Private key of OpenSSH or of minisign.")
def sign(folder: str, key: str) -> None:
    """Sign the sums of the release in FOLDER with your key, through ssh-keygen or minisign."""
    from skyloom.core.store import Store
    from skyloom.release.check import unlicensed
    from skyloom.release.signature import sign

    if problem := unlicensed(Store(folder)):
        raise DataError(f"{folder} is not to be published: {problem}")
    click.echo(sign(Path(folder), Path(key).expanduser()))


@release_group.command(
    "check",
    epilog=example(
        "skyloom release check runs/demo/release-…",
        "skyloom release check FOLDER --recompute",
        "skyloom release check FOLDER --signer publisher.pub",
    ),
)
@_FOLDER
@click.option("--recompute", is_flag=True, help="Measure perplexity, choices and leakage again with the released weights.")
@click.option("--signer", default="", help="The publisher's public key: a file, or its text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(folder: str, recompute: bool, signer: str, as_json: bool) -> None:
    """Check the release in FOLDER: checksums, signature, same logits and ids in transformers, corpus, licences, cards."""
    from skyloom.core.progress import Progress
    from skyloom.release.check import check

    found = check(Path(folder), again=recompute, signer=signer, progress=Progress())
    verdict([dataclasses.asdict(f) for f in found], as_json, folder)


@release_group.command(
    "trace",
    epilog=example(
        'skyloom release trace runs/demo "The printer is not connected to the network"',
        "skyloom release trace runs/demo/release-… 打印机没有连接到网络 --json",
        "skyloom release trace FOLDER - < sample.txt",
        "skyloom release trace FOLDER --file samples.txt --json",
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("text", required=False)
@click.option(
    "--file", "many", type=click.File("rb"), help="Trace each line of a file; - is standard input. Empty lines are passed over."
)
@click.option("--least", type=click.IntRange(1), default=6, show_default=True, help="Units of the shortest n-gram that is shown.")
@click.option("--spans", type=click.IntRange(1), default=5, show_default=True, help="N-grams to show of a text, longest first.")
@click.option("--documents", type=click.IntRange(1), default=3, show_default=True, help="Documents to show of an n-gram.")
@click.option("--index", type=click.Path(file_okay=False), help="Folder of the index. [default: beside the corpus, FOLDER.trace]")
@click.option("--memory", default="1GB", show_default=True, metavar="SIZE", help="Memory for building the index.")
@click.option("--verify", is_flag=True, help="Compare the checksums of the whole index first.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: one object, with --file one in each line.")
@logging
def trace(
    folder: str,
    text: str | None,
    many: BinaryIO | None,
    least: int,
    spans: int,
    documents: int,
    index: str | None,
    memory: str,
    verify: bool,
    as_json: bool,
) -> None:
    """Show the training documents that hold the longest n-grams of TEXT, with their sources and licences.

    FOLDER is a release, a finished corpus step, or the folder of a run; TEXT may be - for standard input. N-grams are of units of
    text: words, and single Han characters; case, punctuation and space do not count. The first call builds an index of the corpus
    beside it, which later calls map into memory; it is built again when the corpus has changed.
    """
    from skyloom.corpus.dedup import memory_size
    from skyloom.release.trace import composed_text, index_folder, index_of, open_corpus
    from skyloom.release.trace import trace as traced

    if (text is None) == (many is None):
        raise click.UsageError("give a TEXT (or - for standard input), or --file with one text in each line")
    asked: list[tuple[str, bytes]]
    if many is not None:
        lines = many.read().split(b"\n")
        asked = [(f"{many.name}, line {number}: ", line) for number, line in enumerate(lines, 1) if line.strip()]
        if not asked:
            raise DataError(f"{many.name} has no texts: one is expected in each line")
    else:
        given = click.open_file("-", "rb").read() if text == "-" else os.fsencode(text or "")
        asked = [("", given)]
    for where, one in asked:
        try:
            composed_text(one, least)
        except DataError as problem:
            raise DataError(f"{where}{problem}") from problem
    corpus = open_corpus(folder)
    place = index or index_folder(corpus)
    opened = index_of(corpus, place, memory=memory_size(memory, "--memory"), verify=verify, progress=make_progress())
    for _, one in asked:
        found = traced(opened, one, least=least, spans=spans, documents=documents)
        if as_json:
            click.echo(json.dumps(dataclasses.asdict(found), ensure_ascii=False, indent=None if many is not None else 1))
        else:
            show(_traced_rows(found), False, f"{found.traced} of {found.units} units are in n-grams of at least {least}")


def _traced_rows(found: Traced) -> Rows:
    rows: Rows = []
    for span in found.spans:
        for number, document in enumerate(span.documents):
            rows.append(
                {
                    "n-gram": "" if number else span.text,
                    "units": "" if number else span.units,
                    "occurs": "" if number else span.occurrences,
                    "document": document.id,
                    "source": document.source,
                    "licence": document.license,
                    "url": document.url,
                    "in the document": f"…{document.before}[{document.matched}]{document.after}…",
                }
            )
    return rows


@release_group.command(
    "gguf",
    epilog=example(
        "skyloom release gguf runs/demo/release-… demo.gguf",
        "skyloom release gguf runs/demo/release-…/checkpoints/stage1-0000400 stage1.gguf --type q8_0",
        "ollama create demo -f demo.Modelfile",
    ),
)
@_FOLDER
@click.argument("out", type=click.Path(dir_okay=False))
@click.option("--type", "kind", type=click.Choice(["f16", "q8_0"]), default="f16", show_default=True, help="Type of the matrices.")
@click.option("--name", default="", help="Name of the model in the file. [default: the file's]")
def gguf(folder: str, out: str, kind: str, name: str) -> None:
    """Write the model in FOLDER as a GGUF file for llama.cpp, with a Modelfile for Ollama beside it.

    FOLDER is a release, one of its checkpoints, or a folder of `skyloom model export`. Needs the package gguf:
    pip install 'skyloom[gguf]'.
    """
    from skyloom.core.store import Store
    from skyloom.release.gguf_model import write_gguf

    written = write_gguf(Store(folder), Path(out), kind, name=name or Path(out).stem)
    counted = ", ".join(f"{number} of {kind}" for kind, number in sorted(written.tensors.items()))
    click.echo(f"{written.path}: architecture {written.architecture}, context {written.context:,}, tensors: {counted}")
    click.echo(written.modelfile)


release_group.add_command(push)
release_group.add_command(pull)
release_group.add_command(remove)
