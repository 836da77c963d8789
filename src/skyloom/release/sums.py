"""SHA256SUMS: the checksums of every file of a release, in the form that `sha256sum -c` reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from skyloom.core.errors import DataError
from skyloom.core.step import MANIFEST
from skyloom.core.store import TELEMETRY, FileRecord, Store

SUMS = "SHA256SUMS"
SSHSIG, MINISIG = f"{SUMS}.sig", f"{SUMS}.minisig"
"""Detached signatures of the list, where a publisher made one (see `signature`); they are not in it."""


def write(records: Iterable[FileRecord], out: Store) -> FileRecord:
    """One line for each file, sorted by name."""
    return write_digests({record.name: record.sha256 for record in records}, out)


def write_digests(digests: Mapping[str, str], out: Store) -> FileRecord:
    """The same from SHA-256 by file name."""
    return out.write_text(SUMS, "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items())))


def read(release: Store) -> dict[str, str]:
    """SHA-256 by file name. DataError if the list is not one."""
    sums = {}
    for number, line in enumerate(release.read_text(SUMS).splitlines(), 1):
        digest, gap, name = line.partition("  ")
        if len(digest) != 64 or not gap or not name or set(digest) - set("0123456789abcdef"):
            raise DataError(f"{release.url(SUMS)}, line {number}: not a checksum and a file name")
        sums[name] = digest
    return sums


def differences(release: Store) -> list[str]:
    """What does not agree with the list, in words that name the file: missing, changed, or not listed.

    The notes that a step's folder carries (its manifest, its timings) are no part of the release.
    """
    sums = read(release)
    present = {name for name in release.names() if name not in (SUMS, SSHSIG, MINISIG, MANIFEST) and not name.startswith(TELEMETRY)}
    found = [f"{name} is missing" for name in sorted(set(sums) - present)]
    found += [f"{name} is not listed in {SUMS}" for name in sorted(present - set(sums))]
    changed = (name for name in sorted(present & set(sums)) if release.describe(name).sha256 != sums[name])
    return found + [f"{name} is not the file that was released: its checksum differs" for name in changed]
