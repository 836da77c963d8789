"""Settings of structural extraction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from skyloom.core.config import setting
from skyloom.core.errors import ConfigError
from skyloom.corpus.own_function import check_settings


@dataclass(frozen=True)
class ExtractConfig:
    """Settings of the extraction step."""

    max_replaced: float = setting(
        0.02, doc="quarantine pages with more undecodable text than this", unit="share of characters", low=0, high=1
    )
    max_page_mb: float = setting(16.0, doc="quarantine larger pages unread", unit="MB", low=0.001, high=700)
    comments: bool = setting(False, doc="keep readers' comments below an article (a forum's posts are kept either way)")
    page_licenses: bool = setting(
        False, doc="write the licence that a page states for its text to `license`, where its source gives none", later=True
    )
    use: str = setting(
        "",
        doc='a function of one\'s own that extracts HTML pages, "package.module:function", or an entry point of skyloom.extractors',
        later=True,
    )
    version: str = setting(
        "", doc="its version, which names the results [the function's, its module's or its package's]", later=True
    )
    settings: dict[str, Any] = setting(factory=dict, doc="what the function is told, as a dict", identity=False)

    def __post_init__(self) -> None:
        if not self.use and (self.version or self.settings):
            name = "version" if self.version else "settings"
            raise ConfigError(f'{name} is that of a function of one\'s own: set use = "package.module:function" beside it')
        check_settings(self.use, self.settings)
