"""The commands of a release: build it, sign it, check it; those of the hub are in `release_hub`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import Group, example, on_recipe, verdict
from skyloom.cli.release_hub import pull, push
from skyloom.core.errors import DataError

if TYPE_CHECKING:
    from skyloom.run.run import Run

_FOLDER = click.argument("folder", type=click.Path(exists=True, file_okay=False))


@click.group("release", cls=Group)
def release_group() -> None:
    """Build, sign, check, push or pull a release folder."""


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


release_group.add_command(push)
release_group.add_command(pull)
