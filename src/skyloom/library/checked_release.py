"""The check of a release folder, for Python. It is that of `skyloom release check` (`release/check.py`).

Input: a folder. Output: the findings as a table.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from skyloom.core.errors import ConfigError, require_ok
from skyloom.library.logged_progress import LoggedProgress

FINDINGS = pa.schema([("name", pa.string()), ("ok", pa.bool_()), ("detail", pa.string())])


@dataclass(frozen=True)
class ReleaseFindings:
    """`table`: a row for each fact that was checked, with `name`, `ok`, and `detail`: where and why it does not hold."""

    folder: Path
    table: pa.Table

    @property
    def ok(self) -> bool:
        """Whether all hold."""
        return all(self.table["ok"].to_pylist())

    def require(self) -> None:
        """IntegrityError, as the command line raises it, if one does not hold."""
        require_ok(self.table.to_pylist(), str(self.folder))


def release_check(folder: str | Path, *, recompute: bool = False, signer: str = "") -> ReleaseFindings:
    """Check a release: checksums, signature, equal logits and ids in transformers, corpus, licences, every line of the cards.

    `folder`: the release. `recompute`: measure perplexity, choices and leakage again with the released weights, which takes as long
    as it did. `signer`: the publisher's public key, a file or its text; then a release that is not signed by it fails.

    Returns `ReleaseFindings`; a fact that does not hold is a row whose `ok` is False, and `require()` raises for it. ConfigError if
    there is no such folder.

    >>> import skyloom
    >>> found = skyloom.release_check(skyloom.Run.open("tiny").folders()["release"])
    >>> found.ok, found.table["name"][0].as_py()  # 发布文件夹中的每一项都要成立
    (True, 'files')
    """
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError(f"{folder} is no folder; give the folder of a release")
    from skyloom.release.check import check

    found = check(place, again=recompute, signer=signer, progress=LoggedProgress())
    return ReleaseFindings(place, pa.Table.from_pylist([dataclasses.asdict(one) for one in found], FINDINGS))
