"""Held-out documents (report 2.2): their choice by hash, and removal of their near-copies from the training part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.heldout.config import HeldoutChoiceConfig

if TYPE_CHECKING:
    from skyloom.corpus.heldout.nearness import HeldoutIndex
    from skyloom.corpus.heldout.selection import REFERENCE, Copies, Proposal, ProposalJson, choose, held, propose_heldout
else:
    __getattr__ = lazy(__name__, {
        "nearness": ("HeldoutIndex",),
        "selection": ("Copies", "Proposal", "ProposalJson", "REFERENCE", "choose", "held", "propose_heldout",),
    })  # fmt: skip

__all__ = [
    "REFERENCE", "Copies", "HeldoutChoiceConfig", "HeldoutIndex", "Proposal", "ProposalJson", "choose", "held", "propose_heldout",
]  # fmt: skip
