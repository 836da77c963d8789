"""What a check of a tokenizer gives: facts, each with whether it holds and figures or a counterexample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from skyloom.core.errors import SkyloomError


@dataclass(frozen=True)
class InvariantFinding:
    """One fact about the tokenizer: whether it holds, and the figures or the first counterexample."""

    name: str
    ok: bool
    detail: str


class BrokenInvariantError(SkyloomError):
    """A fact that does not hold, with its counterexample."""


def findings_of(checks: Sequence[tuple[str, Callable[[], str]]]) -> list[InvariantFinding]:
    """The finding of each named check: a check gives its figures, or raises BrokenInvariantError."""
    findings = []
    for name, run in checks:
        try:
            findings.append(InvariantFinding(name, True, run()))
        except BrokenInvariantError as problem:
            findings.append(InvariantFinding(name, False, str(problem)))
    return findings


def first_difference(
    texts: Sequence[str], found: Sequence[Sequence[int]], expected: Sequence[Sequence[int]], what: str, than: str
) -> None:
    """BrokenInvariantError with the shortest text on which `what` gives other ids `than` expected."""
    rows = zip(texts, found, expected, strict=True)
    differ = [(text, list(theirs), list(ours)) for text, theirs, ours in rows if list(theirs) != list(ours)]
    if differ:
        text, theirs, ours = min(differ, key=lambda d: len(d[0]))
        raise BrokenInvariantError(
            f"{what} differs from {than} on {len(differ):,} of {len(texts):,} texts: {text!r} is {theirs}, not {ours}"
        )
