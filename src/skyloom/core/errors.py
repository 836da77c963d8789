"""Errors that a user can correct, with their exit codes.

Everything that is the user's to put right (a misspelt key, a missing file, too few documents) is raised as a
`SkyloomError` with a sentence that says what is wrong and what to do. The command line prints that sentence and leaves
with `exit_code`; a traceback is reserved for our own mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class SkyloomError(Exception):
    """A problem with the input, the settings or the machine, told in a sentence that says how to mend it."""

    exit_code = 1


class ConfigError(SkyloomError):
    """A recipe or a setting is wrong: names the file, the key and the nearest valid one."""

    exit_code = 2


class DataError(SkyloomError):
    """The input cannot be used: empty, unreadable, too small, or not what its name says."""

    exit_code = 3


class IntegrityError(SkyloomError):
    """A file is not the one we wrote: its checksum or size differs from the manifest."""

    exit_code = 4


class StorageError(SkyloomError):
    """A place cannot be read or written: permissions, a full disk, an unreachable URL."""

    exit_code = 5


def require_ok(findings: Sequence[Mapping[str, object]], what: str) -> None:
    """IntegrityError that counts and names the findings (`name`, `ok`) that do not hold. `what`: what was checked."""
    bad = [str(found["name"]) for found in findings if not found["ok"]]
    if bad:
        raise IntegrityError(f"{what}: {len(bad)} of {len(findings)} checks failed: {', '.join(bad)}")
