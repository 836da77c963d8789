"""Lists of hosts and URLs: pages that must leave, and pages that alone may stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.lists.config import ListsConfig

if TYPE_CHECKING:
    from skyloom.corpus.lists.addresses import UrlList, judge_urls, list_identity
else:
    __getattr__ = lazy(__name__, {
        "addresses": ("UrlList", "judge_urls", "list_identity",),
    })  # fmt: skip

__all__ = ["ListsConfig", "UrlList", "judge_urls", "list_identity"]
