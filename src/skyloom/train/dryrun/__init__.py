"""The dry run: a layout of many ranks built on fake processes, with its memory and traffic, without the machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.train.dryrun.comparison import compare
    from skyloom.train.dryrun.simulate import DryRun, Rank, dry_run
else:
    __getattr__ = lazy(__name__, {
        "comparison": ("compare",),
        "simulate": ("DryRun", "Rank", "dry_run",),
    })  # fmt: skip

__all__ = ["DryRun", "Rank", "compare", "dry_run"]
