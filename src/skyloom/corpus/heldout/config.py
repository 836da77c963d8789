"""Settings of the held-out documents: how many, and what counts as a near-copy of one."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting

LARGEST_PART = 5
"""At most one document in this many of a domain is held out, whatever the minimum says."""


@dataclass(frozen=True)
class HeldoutChoiceConfig:
    """How many documents are held out, and what counts as near to them."""

    share: float = setting(0.02, doc="share of each domain's documents that is held out", low=0.0, high=0.2)
    minimum: int = setting(20, doc="fewest documents held out of a domain", unit="documents", low=1)
    maximum: int = setting(200, doc="most documents held out of a domain", unit="documents", low=1)
    contained: float = setting(
        0.3, doc="share of 13-grams from which a training document is near a held-out one", low=0.01, high=1.0
    )
    seed: int = setting(1, doc="another seed holds out other documents", low=0)
