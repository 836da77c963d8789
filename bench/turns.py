"""Turns side by side: who runs when, so that the speed of a shared machine counts for both of a pair alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def pairs(ours: str, others: Sequence[str], rounds: int) -> Iterator[tuple[str, tuple[str, str]]]:
    """Each other one of each round, with the order in which it and ours take their turns: both orders are turned round every
    second round."""
    for number in range(rounds):
        for name in others if number % 2 == 0 else reversed(others):
            yield name, (ours, name) if number % 2 == 0 else (name, ours)
