"""Job arrays (`--shard i/n`): one of n runs that share a work folder, as the tasks of a Slurm array do, without cluster software.

Input: "3/48". Output: the rule which tasks are ours, and the message when others still have to do theirs. Task number t (from
0) of every map belongs to shard t mod n + 1. A shard run does its own tasks of the first map that is not complete and stops
with `ShardsMissingError`, exit code 0. A run that starts when a map is complete, with or without --shard, goes on with
the following map. So an array that is submitted repeatedly, each time after the last, completes the whole run. Tasks that are
done are not done again, a shard that died is submitted again, and n may change between rounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skyloom.core.errors import ConfigError, SkyloomError


class ShardsMissingError(SkyloomError):
    """This shard's tasks are done and those of others are not: no error, but the end of this run."""

    exit_code = 0


@dataclass(frozen=True)
class Shard:
    """Run `number` (from 1) of `count`."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise ConfigError(f"--shard {self}: write it as i/n with i from 1 to n, for example 3/48")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Shard:
        """ "3/48". ConfigError if it is not that."""
        match = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        if match is None:
            raise ConfigError(f"--shard {text}: write it as i/n with i from 1 to n, for example 3/48")
        return cls(int(match[1]), int(match[2]))

    def owns(self, position: int) -> bool:
        """Whether the task at `position` (from 0) of a map is ours."""
        return position % self.count == self.number - 1
