"""Generated STEM exercises with worked solutions in English and Chinese, in exchangeable splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.stem.config import StemConfig

if TYPE_CHECKING:
    from skyloom.corpus.stem.stage import generate
else:
    __getattr__ = lazy(__name__, {
        "stage": ("generate",),
    })  # fmt: skip

__all__ = ["StemConfig", "generate"]
