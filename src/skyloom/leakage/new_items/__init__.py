"""New items in the style of a benchmark's, written by a language model behind an OpenAI-compatible endpoint, English and Chinese.

Read in this order: `item_prompts` (what is asked), `chat_endpoint` (how), `item_checks` (which answers are items), `near_items`
(copies and near copies), `new_items_run` (all of it, as the command line calls it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.leakage.new_items.chat_endpoint import ChatSettings
    from skyloom.leakage.new_items.new_items_run import NewItemsReport, NewItemsRequest, write_new_items
else:
    __getattr__ = lazy(__name__, {
        "chat_endpoint": ("ChatSettings",),
        "new_items_run": ("NewItemsReport", "NewItemsRequest", "write_new_items",),
    })  # fmt: skip

__all__ = ["ChatSettings", "NewItemsReport", "NewItemsRequest", "write_new_items"]
