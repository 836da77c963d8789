"""Fetches a release from a hub and puts its two repositories together again.

Input: the repository of a model. Output: the release folder as it was pushed, every file of which has the checksum that
`SHA256SUMS` states. Files gather in `FOLDER.part` and are checked one by one. A line that drops is taken up in the middle of a
file; a pull that was cut short keeps the files that were whole. The folder appears under its name when it is whole, and never
otherwise.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from skyloom.core.errors import ConfigError, IntegrityError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.folder import RECIPE
from skyloom.release.hub.hub_client import Hub, Kind, checked_name
from skyloom.release.hub.linked import checked_names, in_corpus_repository, is_of_corpus

THREADS = 8
_NOTES = ".cache"
"""Where the library notes how far each file of a folder is."""


def pull(repository: str, folder: str | Path, *, revision: str = "main", progress: Progress) -> Path:
    """Fetch the release of `repository` into `folder`, which must not be there yet, and return it.

    `revision`: a branch, a tag or a commit of the model's repository; the corpus is that of the same branch or tag, and of `main`
    where a commit is given. IntegrityError if a file is not the one that was released, ConfigError if the hub does not let us in.
    """
    final = Path(folder)
    if final.exists() and (not final.is_dir() or any(final.iterdir())):
        raise ConfigError(f"{final} is there already and not empty; give a folder that is not there yet")
    part = final.with_name(f"{final.name}.part")
    with Hub().session() as hub:
        model = _Source(hub, checked_name(repository), "model", revision, part / "model")
        for name in (sums.SUMS, RECIPE):
            model.fetch(name)
        listed = sums.read(Store(part / "model"))
        names = checked_names(listed, f"{repository}/{sums.SUMS}")
        beside = _corpus_repository(part / "model")
        if not beside:
            raise ConfigError(f"{repository} does not name the repository of its corpus (release.corpus_repository)")
        corpus = _Source(hub, checked_name(beside), "dataset", "main" if _is_commit(revision) else revision, part / "corpus")

        def fetch(name: str) -> None:
            source = corpus if is_of_corpus(name) else model
            where = in_corpus_repository(name) if is_of_corpus(name) else name
            if _sha256(source.fetch(where)) != listed[name]:
                source.forget(where)
                raise IntegrityError(
                    f"{source.name} has another {where} than was released: its checksum differs; it was thrown away, and {final} "
                    "was not made"
                )

        _all(fetch, names, progress)
        for name in (sums.SSHSIG, sums.MINISIG):
            if model.has(name):
                model.fetch(name)
    return _assemble(part, final, names)


def _corpus_repository(folder: Path) -> str:
    """The repository of the corpus by the recipe of a release whose other files may be missing; "" if it names none."""
    try:
        found = tomllib.loads((folder / RECIPE).read_text(encoding="utf-8")).get("release", {}).get("corpus_repository", "")
    except (OSError, ValueError) as problem:
        raise IntegrityError(f"{folder / RECIPE} is no recipe of a release: {problem}") from problem
    return str(found)


class _Source:
    """A repository at one commit, and the folder that its files gather in."""

    def __init__(self, hub: Hub, name: str, kind: Kind, revision: str, place: Path) -> None:
        self.hub, self.name, self.kind, self.place = hub, name, kind, place
        info = hub.looked_up(name, kind, revision)
        self.commit = str(info.sha)
        self.files = {sibling.rfilename for sibling in info.siblings or ()}

    def has(self, name: str) -> bool:
        return name in self.files

    def fetch(self, name: str) -> Path:
        with self.hub.asking(f"pull {name} of {self.name}"):
            return Path(
                self.hub.api.hf_hub_download(
                    self.name, name, repo_type=self.kind, revision=self.commit, local_dir=self.place, cache_dir=self.place / _NOTES
                )
            )

    def forget(self, name: str) -> None:
        """Throw a file away, and what the library noted of it."""
        (self.place / name).unlink(missing_ok=True)
        (self.place / _NOTES / "huggingface" / "download" / f"{name}.metadata").unlink(missing_ok=True)


def _all(fetch: Callable[[str], None], names: list[str], progress: Progress) -> None:
    """Fetch all files, a few at a time; the first problem ends it, with those that are under way."""
    with progress.task("release pull", len(names), "files") as bar, ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(fetch, name) for name in names]
        try:
            for done in waiting:
                done.result()
                bar.advance()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _assemble(part: Path, final: Path, names: list[str]) -> Path:
    """Move the files of both parts into one folder, and that to its name."""
    whole = part / "release"
    try:
        if whole.exists():  # of a pull that was cut short here; what it had moved was fetched again
            shutil.rmtree(whole)
        for name in [*names, sums.SUMS, sums.SSHSIG, sums.MINISIG]:
            source = part / "corpus" / in_corpus_repository(name) if is_of_corpus(name) else part / "model" / name
            if source.exists():
                (whole / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(source, whole / name)
        if final.exists():
            final.rmdir()
        os.replace(whole, final)
        shutil.rmtree(part)
    except OSError as problem:
        raise StorageError(f"cannot put {final} together: {problem.strerror or problem}") from problem
    return final


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and not set(revision) - set("0123456789abcdef")
