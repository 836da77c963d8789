"""Robots directives of a page: what its server (`X-Robots-Tag`) and its markup (`<meta name="robots">`) ask of gatherers.

Input: header lines, or a page in lower case. Output: the directives that forbid something, as sorted names ("noai", "noindex"; for
one agent only: "gptbot:noindex"). What allows (index, follow, all) or only shapes a search result says nothing and is left out.
"none" is noindex and nofollow. `tdm-reservation: 1` (a header or a meta element) is the reservation against text and data mining.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from skyloom.corpus.notices.loose_markup import attributes, tags

DIRECTIVES = (
    "noai", "noimageai", "noml", "noindex", "nofollow", "noarchive", "nocache", "nosnippet", "noimageindex", "notranslate",
    "tdm-reservation",
)  # fmt: skip
"""The directives that are recorded."""
AGENTS = (
    "ai2bot", "amazonbot", "anthropic-ai", "applebot", "applebot-extended", "baiduspider", "bingbot", "bytespider", "ccbot",
    "claudebot", "cohere-ai", "facebookbot", "google-extended", "googlebot", "googlebot-news", "gptbot",
    "meta-externalagent", "otherbot", "perplexitybot", "slurp", "yandex", "yandexbot",
)  # fmt: skip
"""Agents that a meta element may be named after; in a header any name may stand before a colon."""
TDM = "tdm-reservation"
_NONE = ("noindex", "nofollow")
_AGENT = re.compile(r"\s*([a-z0-9][a-z0-9_.-]{0,40})\s*:\s*(.*)", re.DOTALL)
_VALUED = ("unavailable_after", "max-snippet", "max-image-preview", "max-video-preview")
_LARGEST = 4096
"""Characters of a header or an attribute that are looked at."""


def _directives(text: str, agent: str = "") -> set[str]:
    found = set()
    for part in re.split(r"[,;\s]+", text[:_LARGEST].lower()):
        for name in _NONE if part == "none" else (part,):
            if name in DIRECTIVES and name != TDM:
                found.add(f"{agent}:{name}" if agent else name)
    return found


def header_directives(robots: Iterable[str], reservations: Iterable[str] = ()) -> list[str]:
    """The directives of the headers `X-Robots-Tag` and `tdm-reservation`, sorted."""
    found: set[str] = set()
    for value in robots:
        agent = ""
        for part in value[:_LARGEST].lower().split(","):  # an agent holds until the next one
            named = _AGENT.fullmatch(part)
            if named is not None and named[1] not in _VALUED:
                agent, part = named[1], named[2]
            found |= _directives(part, agent)
    return sorted(found | ({TDM} if any(value.strip() == "1" for value in reservations) else set()))


def page_directives(page: str) -> list[str]:
    """The directives of a page's meta elements, sorted. `page`: its markup in lower case."""
    found: set[str] = set()
    for tag in tags(page, "meta"):
        told = attributes(tag)
        name, content = told.get("name", "").strip(), told.get("content", "")
        if name == "robots":
            found |= _directives(content)
        elif name in AGENTS:
            found |= _directives(content, name)
        elif name == TDM and content.strip() == "1":
            found.add(TDM)
    return sorted(found)
