"""Settings of structural extraction."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ExtractConfig:
    """Settings of the extraction step."""

    max_replaced: float = setting(
        0.02, doc="quarantine pages with more undecodable text than this", unit="share of characters", low=0, high=1
    )
    max_page_mb: float = setting(16.0, doc="quarantine larger pages unread", unit="MB", low=0.001, high=700)
    comments: bool = setting(False, doc="keep readers' comments below an article (a forum's posts are kept either way)")
