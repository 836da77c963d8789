"""Puts a release on a hub: the corpus as a data set, the model as a model, with cards that link each other.

Input: a release folder and the names of two repositories. Output: both repositories, each with one release. What is pushed is
checked first as `release check` does. New repositories are private until everything is there. A file that the hub has already is
not sent again, so a push that was cut short goes on. Cards and sums are sent last; until then the sums do not fit or are not there,
and `release pull` refuses what it finds.
"""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skyloom.core.errors import ConfigError, DataError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.check import check
from skyloom.release.folder import open_release
from skyloom.release.formats import count, size
from skyloom.release.hub.hub_client import Hub, Kind, checked_name
from skyloom.release.hub.linked import link, split

LAST = ("README.md", sums.SUMS, sums.SSHSIG, sums.MINISIG)
_ATTRIBUTES = ".gitattributes"
"""A file that the hub itself puts into each repository."""


@dataclass(frozen=True)
class PushPlan:
    """What a push is about to do. `files`, `bytes`: of each repository; `new`: whether it has to be made."""

    release: str
    version: str
    public: bool
    repositories: tuple[tuple[str, Kind, int, int, bool], ...]

    def words(self) -> str:
        """The same for people, a line for each repository."""
        seen = "everybody can read them" if self.public else "private: only those whom you let in can read them"
        lines = [
            f"  {kind} {name}: {count(files)} files, {size(bytes_)}{', new' if new else ', there already'}"
            for name, kind, files, bytes_, new in self.repositories
        ]
        return "\n".join([f"{self.release} {self.version} goes to two repositories ({seen}):", *lines])


def push(
    folder: str | Path,
    repository: str,
    corpus_repository: str = "",
    *,
    public: bool = False,
    agreed: Callable[[PushPlan], bool],
    progress: Progress,
) -> tuple[str, str]:
    """Push the release in `folder` and return the addresses of model and corpus.

    `corpus_repository`: "" for `repository`-corpus. `agreed` is asked with the plan before anything is sent. DataError if a check
    fails or nobody agreed, ConfigError if the hub does not let us in, StorageError if it cannot be reached.
    """
    model, corpus = checked_name(repository), checked_name(corpus_repository or f"{repository}-corpus")
    if model == corpus:
        raise ConfigError(f"model and corpus need two repositories, not {model} for both")
    with tempfile.TemporaryDirectory(prefix="skyloom-push-") as scratch:
        whole = Store(Path(scratch, "whole"), sync=False)
        link(Store(folder), whole, model, corpus)
        progress.log(f"release: checking {folder} before it is pushed")
        failed = [f"{f.name}: {f.detail}" for f in check(whole.root, progress=progress) if not f.ok]
        if failed:
            raise DataError(f"{folder} is not pushed, since `skyloom release check` fails: {'; '.join(failed)}")
        trees: tuple[tuple[str, Kind, Path], ...] = (
            (corpus, "dataset", Path(scratch, "corpus")), (model, "model", Path(scratch, "model")),
        )  # fmt: skip
        split(whole, trees[1][2], trees[0][2])
        with Hub().session() as hub:
            plan = _plan(hub, whole, trees, public)
            if not agreed(plan):
                raise DataError("nothing was pushed, as nobody agreed to it (--yes agrees beforehand)")
            for name, kind, tree in trees:
                _upload(hub, name, kind, tree, f"{plan.release} {plan.version}", progress)
            for name, kind, _ in trees if public else ():
                with hub.asking(f"make {name} public"):
                    hub.api.update_repo_settings(name, repo_type=kind, visibility="public")
    return f"{hub.api.endpoint}/{model}", f"{hub.api.endpoint}/datasets/{corpus}"


def _plan(hub: Hub, whole: Store, trees: tuple[tuple[str, Kind, Path], ...], public: bool) -> PushPlan:
    """ConfigError if a repository is public already, and nobody said that this release is to be."""
    rows = []
    for name, kind, tree in trees:
        private = hub.is_private(name, kind)
        if private is False and not public:
            raise ConfigError(f"{name} is there already and everybody can read it: say --public, or make it private first")
        files = [path for path in tree.rglob("*") if path.is_file()]
        rows.append((name, kind, len(files), sum(path.stat().st_size for path in files), private is None))
    config = open_release(whole).config
    return PushPlan(config.name, config.version, public, tuple(rows))


def _upload(hub: Hub, name: str, kind: Kind, tree: Path, message: str, progress: Progress) -> None:
    """Make the repository and bring it to the state of `tree`, in two commits."""
    progress.log(f"release: pushing {name}")
    with hub.asking(f"push {name}"):
        hub.api.create_repo(name, repo_type=kind, private=True, exist_ok=True)
        own = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
        stale = set(hub.api.list_repo_files(name, repo_type=kind)) - own - {_ATTRIBUTES}
        hub.api.upload_folder(
            repo_id=name, repo_type=kind, folder_path=tree, ignore_patterns=list(LAST), commit_message=message,
            delete_patterns=[glob.escape(old) for old in sorted(stale)] or None,
        )  # fmt: skip
        hub.api.upload_folder(
            repo_id=name, repo_type=kind, folder_path=tree, allow_patterns=list(LAST), commit_message=f"{message}: card and sums"
        )
