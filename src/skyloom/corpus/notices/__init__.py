"""What a page says of its own use: robots directives and the licence of its text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy

if TYPE_CHECKING:
    from skyloom.corpus.notices.notice_columns import judge_robots, noticed
    from skyloom.corpus.notices.robots import DIRECTIVES, header_directives, page_directives
    from skyloom.corpus.notices.stated_license import page_license
else:
    __getattr__ = lazy(__name__, {
        "notice_columns": ("judge_robots", "noticed",),
        "stated_license": ("page_license",),
        "robots": ("DIRECTIVES", "header_directives", "page_directives",),
    })  # fmt: skip

__all__ = [
    "DIRECTIVES",
    "header_directives",
    "judge_robots",
    "noticed",
    "page_directives",
    "page_license",
]  # fmt: skip
