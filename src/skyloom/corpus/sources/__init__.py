"""Sources of pages: find the files of a recipe's sources, read every kind of them, and write PAGE shards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from skyloom.core.doors import lazy
from skyloom.corpus.sources.config import SourceConfig, SourcePolicy, policies

if TYPE_CHECKING:
    from skyloom.corpus.sources.commoncrawl import CrawlConfig, fetch_common_crawl
    from skyloom.corpus.sources.commoncrawl_archives import ArchivesConfig, fetch_archives
    from skyloom.corpus.sources.commoncrawl_http import HttpError, one_answer, origin
    from skyloom.corpus.sources.file_kinds import find
    from skyloom.corpus.sources.readers.byte_streams import File
    from skyloom.corpus.sources.readers.jsonl import line_blocks
    from skyloom.corpus.sources.readers.rows import About
    from skyloom.corpus.sources.resolved import ResolvedSource, resolve
    from skyloom.corpus.sources.stage import COPYRIGHTS, READERS, copyright_place, fetch, file_parts
else:
    __getattr__ = lazy(__name__, {
        "commoncrawl": ("CrawlConfig", "fetch_common_crawl",),
        "commoncrawl_archives": ("ArchivesConfig", "fetch_archives",),
        "commoncrawl_http": ("HttpError", "one_answer", "origin",),
        "file_kinds": ("find",),
        "readers.byte_streams": ("File",),
        "readers.jsonl": ("line_blocks",),
        "readers.rows": ("About",),
        "resolved": ("ResolvedSource", "resolve",),
        "stage": ("COPYRIGHTS", "READERS", "copyright_place", "fetch", "file_parts",),
    })  # fmt: skip

__all__ = [
    "COPYRIGHTS",
    "READERS",
    "About",
    "ArchivesConfig",
    "CrawlConfig",
    "File",
    "HttpError",
    "ResolvedSource",
    "SourceConfig",
    "SourcePolicy",
    "copyright_place",
    "fetch",
    "fetch_archives",
    "fetch_common_crawl",
    "file_parts",
    "find",
    "line_blocks",
    "one_answer",
    "origin",
    "policies",
    "resolve",
]  # fmt: skip
