"""The commands of the tokenizer: train or extend it, show pieces, check it, and export it (report 3.3)."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import Group, example, on_recipe, show, verdict
from skyloom.core.json_files import Rows

if TYPE_CHECKING:
    from skyloom.run.run import Run

_FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False))
_COLOURS = {
    "special": "red",
    "bytes": "red",
    "latin": "blue",
    "base": "blue",
    "characters": "green",
    "words": "magenta",
    "reserved": "red",
}


@click.group("tokenizer", cls=Group)
def tokenizer_group() -> None:
    """Train, extend, show, check and export a tokenizer (report 3.3)."""


@tokenizer_group.command(
    "train",
    epilog=example("skyloom tokenizer train demo", "skyloom tokenizer train tokenizer --source my.jsonl"),
)
@on_recipe
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def train(run: Run, as_json: bool) -> None:
    """Train the tokenizer of RECIPE, including its base, and print its compression by domain."""
    _make(run, as_json)


@tokenizer_group.command(
    "extend",
    epilog=example(
        "skyloom tokenizer extend llama.model tokenizer",
        "skyloom tokenizer extend llama.model demo --characters 1800 --words 2000",
        "skyloom tokenizer extend models/Qwen3-0.6B tokenizer --source my.jsonl --characters 3000 --words 12000",
    ),
)
@click.argument("base", type=click.Path())
@on_recipe
@click.option(
    "--characters", type=click.IntRange(0), default=8000, show_default=True, help="Chinese characters and symbols to add."
)
@click.option("--words", type=click.IntRange(0), default=25_519, show_default=True, help="Chinese words to add.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def extend(run: Run, base: str, characters: int, words: int, as_json: bool) -> None:
    """Extend BASE with characters and words from the corpus of RECIPE.

    BASE is a SentencePiece BPE model, a byte-level tokenizer.json or GGUF file, or the folder of a model with one of them. Its
    ids do not change, and English is tokenized as before; with a byte-level BASE all text without Han characters is. Sizes are
    exact: if the corpus has too few candidates, the error says how many there are. With tokenizer.fit in the recipe the
    vocabulary becomes smaller instead.
    """
    from skyloom.run.recipe import with_base

    _make(dataclasses.replace(run, recipe=with_base(run.recipe, Path(base), characters, words)), as_json)


def _make(run: Run, as_json: bool) -> None:
    resolved = run.resolve("tokenizer")
    resolved.run("tokenizer")
    from skyloom.run.summary import compression_rows

    show(compression_rows(resolved), as_json, resolved.folder("tokenizer").root)


@tokenizer_group.command("show", epilog=example('skyloom tokenizer show runs/demo/tokenizer-… "文本 text 123"'))
@_FOLDER
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_text(folder: str, text: str, as_json: bool) -> None:
    """Tokenize TEXT with the tokenizer in FOLDER and print the pieces with their ids and parts."""
    from skyloom.core.store import Store
    from skyloom.tokenizer import measure

    found = measure.show(Store(folder), text)
    if as_json:
        plain: Rows = [{"piece": p, "id": i, "part": part} for p, i, part in found]
        show(plain, True)
        return
    # Neighbours of one part have the same colour, so every second piece is underlined.
    for number, (piece, _, part) in enumerate(found):
        click.secho(piece.replace("\n", "⏎").replace("\t", "⇥"), fg=_COLOURS[part], underline=bool(number % 2), nl=False)
    click.echo()
    rows: Rows = [{"piece": repr(p)[1:-1], "id": i, "part": part} for p, i, part in found]
    named = sorted({part for _, _, part in found}, key=list(_COLOURS).index)
    legend = ", ".join(f"{part} {sum(x == part for _, _, x in found)}" for part in named)
    size = len(text.encode(errors="replace")) / max(len(found), 1)
    show(rows, False, f"{len(found)} tokens of {len(text)} characters, {size:.2f} bytes a token: {legend}")


@tokenizer_group.command("check", epilog=example("skyloom tokenizer check runs/demo/tokenizer-…"))
@_FOLDER
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_folder(folder: str, as_json: bool) -> None:
    """Check the tokenizer in FOLDER: parts, ids of the base, every piece reachable, digits, same ids in all formats."""
    from skyloom.core.store import Store
    from skyloom.tokenizer.invariants import check

    verdict([dataclasses.asdict(f) for f in check(Store(folder))], as_json, folder)


@tokenizer_group.command("gguf", epilog=example("skyloom tokenizer gguf runs/demo/tokenizer-… tokenizer.gguf"))
@_FOLDER
@click.argument("out", type=click.Path(dir_okay=False))
def gguf(folder: str, out: str) -> None:
    """Write the vocabulary in FOLDER, without weights, as a GGUF file; llama.cpp (with `vocab_only`) then gives the same ids.

    Needs the package gguf: pip install 'skyloom[gguf]'.
    """
    from skyloom.core.store import Store
    from skyloom.tokenizer.gguf import write

    written = write(Store(folder), Path(out))
    click.echo(f"{out}: {written:,} pieces")
