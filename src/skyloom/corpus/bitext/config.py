"""Settings of sentence alignment between the languages of a page."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class BitextConfig:
    """Settings of the alignment of parallel pages."""

    max_cost: float = setting(1.5, doc="write pairs that cost at most this", unit="negative log likelihood", low=0)
    min_units: int = setting(3, doc="shortest English paragraph of a pair", unit="words", low=1)
    min_cover: float = setting(
        0.4, doc="leave out pages of which a smaller share of the shorter side found a partner", unit="share", low=0, high=1
    )
