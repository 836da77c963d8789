"""Held-out documents (report 2.2): their choice by hash, and removal of their near-copies from the training part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.heldout.config import HeldoutConfig

if TYPE_CHECKING:
    from skyloom.corpus.heldout.choice import REFERENCE, Copies, Proposal, choose, held, propose
    from skyloom.corpus.heldout.nearness import HeldoutIndex
else:
    __getattr__ = lazy(__name__, {
        "choice": ("Copies", "Proposal", "REFERENCE", "choose", "held", "propose",),
        "nearness": ("HeldoutIndex",),
    })  # fmt: skip

__all__ = ["REFERENCE", "Copies", "HeldoutConfig", "HeldoutIndex", "Proposal", "choose", "held", "propose"]
