"""The commands that bring a release to a hub and back, and the one that takes documents out of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skyloom.cli.common import example, logging, make_progress
from skyloom.core.errors import DataError

if TYPE_CHECKING:
    from skyloom.release.hub.push import PushPlan


@click.command(
    "push",
    epilog=example(
        "skyloom release push recipes/demo.toml me/my-model",
        "skyloom release push runs/demo/release-… me/my-model --corpus-repo me/my-text --public",
    ),
)
@click.argument("run_or_folder", type=click.Path())
@click.argument("repo")
@click.option("--corpus-repo", default="", metavar="NAME", help="Repository of the corpus. [default: REPO-corpus]")
@click.option("--public", is_flag=True, help="Let everybody read both repositories. [default: private]")
@click.option("--yes", is_flag=True, help="Do not ask before anything is sent.")
@click.option(
    "--work", type=click.Path(file_okay=False), default=None, help="Work folder of a recipe. [default: runs/<recipe name>]"
)
@logging
def push(run_or_folder: str, repo: str, corpus_repo: str, public: bool, yes: bool, work: str | None) -> None:
    """Push a release to the Hugging Face Hub: the model to REPO, its corpus to a data set beside it.

    RUN_OR_FOLDER: a release folder, or the recipe whose finished release it is. All checks of `release check` must pass. Both
    repositories are private unless you say --public. A push that was cut short goes on if you run it again. Log in first with
    `hf auth login`, or set HF_TOKEN.
    """
    from skyloom.release.hub.push import push

    def agreed(plan: PushPlan) -> bool:
        click.echo(plan.words(), err=True)
        try:
            return yes or click.confirm("Push it?", err=True)
        except click.Abort:  # nobody is there to answer
            return False

    folder = _release_of(run_or_folder, work)
    for address in push(folder, repo, corpus_repo, public=public, agreed=agreed, progress=make_progress()):
        click.echo(address)


@click.command(
    "pull", epilog=example("skyloom release pull me/my-model my-model", "skyloom release pull me/my-model old --revision v1.0.0")
)
@click.argument("repo")
@click.argument("folder", type=click.Path())
@click.option("--revision", default="main", show_default=True, help="Branch, tag or commit.")
@logging
def pull(repo: str, folder: str, revision: str) -> None:
    """Fetch the release in REPO, and its corpus, into FOLDER.

    Every file is compared with SHA256SUMS. A pull that was cut short goes on in FOLDER.part if you run it again. Then
    `skyloom release check FOLDER` proves the rest.
    """
    from skyloom.release.hub.pull import pull

    click.echo(pull(repo, folder, revision=revision, progress=make_progress()))


@click.command(
    "remove",
    epilog=example(
        "skyloom release remove my-model --id 0123456789abcdef0123456789abcdef",
        "skyloom release remove my-model --ids-file takedown.txt --reason 'asked by the author'",
    ),
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--id", "ids", multiple=True, metavar="ID", help="Id of a document, as the field `id` of the corpus has it.")
@click.option("--ids-file", type=click.Path(exists=True, dir_okay=False), help="A file with an id in each line.")
@click.option("--reason", default="on request", show_default=True, help="Why, in a few words, for the cards.")
@logging
def remove(folder: str, ids: tuple[str, ...], ids_file: str | None, reason: str) -> None:
    """Take documents out of the published corpus of the release in FOLDER.

    Shards, mixture, ledger, tables of licences, cards and sums are written again, all or none; a signature is dropped. The models
    have read the documents, and the cards say so. Print what changed; `release check` passes afterwards.
    """
    from skyloom.release.removal.remove import remove

    try:
        more = Path(ids_file).read_text(encoding="utf-8").split() if ids_file else []
    except (OSError, UnicodeDecodeError) as problem:
        raise DataError(f"{ids_file} is no list of ids, one in each line of a UTF-8 text: {problem}") from problem
    done = remove(folder, [*ids, *more], reason=reason, progress=make_progress())
    for row in done.removed:
        click.echo(f"removed {row['id']} ({row['split']}, {row['source']}, {row['lang']}, {row['bytes']:,} bytes)")
    for name in done.files:
        click.echo(f"written again: {name}")
    for told in done.left:
        click.echo(f"look at it: {told}")


def _release_of(place: str, work: str | None) -> Path:
    """The release folder that is meant by itself or by the recipe of its run."""
    if Path(place).is_dir():
        return Path(place)
    from skyloom.run.run import Run

    opened = Run.open(place, work=work, progress=make_progress())
    return opened.finished("release", maker="skyloom release build").folder("release").path()
