"""Settings of the run page. They have their own module so that reading a recipe imports no other package."""

from __future__ import annotations

from dataclasses import dataclass

from skyloom.core.config import setting


@dataclass(frozen=True)
class ReportConfig:
    """What a report shows."""

    title: str = setting("", doc="title of the page; empty: the name of the run")
    examples: int = setting(3, doc="examples shown for each domain and for each reason", low=0)
    samples: int = setting(12, doc="samples of generated text shown", low=0)
