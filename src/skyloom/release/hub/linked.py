"""A release as it goes to a hub: cards that name both repositories, and each file under the repository that it belongs to.

Input: a release folder and the names of two repositories. Output: a folder of links to its files in which recipe, cards and sums
are those that the build would have written with `release.repository` and `release.corpus_repository` set; the release itself stays
as it is. In the repository of the corpus the files of `corpus/` stand at the top, beside `licenses/`, so that its card is the page
of the data set; all others are in the repository of the model. `SHA256SUMS` of the model lists all files under their names in the
release, so both parts together are proved to be what was released; that of the corpus lists its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from skyloom.core.config import plain, to_toml
from skyloom.core.errors import DataError, IntegrityError
from skyloom.core.store import Store
from skyloom.release import claims, sums
from skyloom.release.corpus_shards import CORPUS, counted
from skyloom.release.folder import RECIPE, open_release
from skyloom.release.licenses import FOLDER as LICENSES


def is_of_corpus(name: str) -> bool:
    """Whether a file of a release is in the repository of the corpus."""
    return name.startswith((f"{CORPUS}/", f"{LICENSES}/"))


def in_corpus_repository(name: str) -> str:
    """Where a file of a release that belongs to the corpus is in its repository."""
    return name.removeprefix(f"{CORPUS}/")


def link(release: Store, whole: Store, repository: str, corpus_repository: str) -> None:
    """Write the linked release to `whole`, an empty local folder. DataError if that would break a signature."""
    for name in _published(release):
        place = whole.path(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(release.path(name).resolve())
    opened = open_release(release)
    config = replace(opened.config, repository=repository, corpus_repository=corpus_repository)
    if config == opened.config:
        return
    if signed := [name for name in (sums.SSHSIG, sums.MINISIG) if release.exists(name)]:
        raise DataError(
            f"{release.root} is signed ({signed[0]}), and its cards do not name these repositories: build it with "
            f"--set release.repository={repository} --set release.corpus_repository={corpus_repository}, sign that, and push it"
        )
    known = sums.read(release)
    records = [whole.write_text(RECIPE, to_toml({**opened.recipe, "release": plain(config)}))]
    records += [whole.write_text(name, text) for name, text in claims.written_again(whole, counted(whole), known).items()]
    sums.write_digests({**known, **{record.name: record.sha256 for record in records}}, whole)


def split(whole: Store, model: Path, corpus: Path) -> None:
    """Link the files of a linked release into the trees of its two repositories, two empty folders."""
    for name in _published(whole):
        place = corpus / in_corpus_repository(name) if is_of_corpus(name) else model / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(whole.path(name).resolve())
    own = {in_corpus_repository(name): digest for name, digest in sums.read(whole).items() if is_of_corpus(name)}
    sums.write_digests(own, Store(corpus))


def checked_names(names: Iterable[str], where: str) -> list[str]:
    """Names of a list of checksums from elsewhere. IntegrityError if one would be written outside of the folder."""
    found = list(names)
    for name in found:
        if name.startswith("/") or "\\" in name or "\0" in name or {"", ".", ".."} & set(name.split("/")):
            raise IntegrityError(f"{where}: {name!r} is no name of a file in a release")
    return found


def _published(release: Store) -> list[str]:
    """The files of a release: those of its sums, the sums, and a signature. IntegrityError if a name leads elsewhere."""
    extra = [name for name in (sums.SUMS, sums.SSHSIG, sums.MINISIG) if release.exists(name)]
    return [*checked_names(sums.read(release), release.url(sums.SUMS)), *extra]
