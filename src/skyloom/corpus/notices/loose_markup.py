"""A page's markup as far as notices need it: its tags, their attributes, and what a place of it stands in.

Input: a page in lower case, without comments and scripts (`bare`). Output: tags of a name, attributes of a tag, the ancestors of a
place, and the text of the block around it. This is no parser: it reads tags as they stand, in time that is bounded by the page's
size, and is used where a false "no" is better than a false "yes".
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|template|textarea)\b[^>]*>.*?(?:</\1\s*>|\Z)", re.DOTALL)
_DATA = re.compile(r"<script\b[^>]*\bapplication/ld\+json\b[^>]*>(.*?)</script\s*>", re.DOTALL)
_ATTRIBUTE = re.compile(r"""([a-z_:@][a-z0-9_:@.-]{0,60})\s*=\s*(?:"([^"]{0,8192})"|'([^']{0,8192})'|([^\s"'>]{1,8192}))""")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9]{0,20})\b([^<>]{0,8192})>")
_ANY_TAG = re.compile(r"<[^<>]{0,8192}>")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr path rect use circle".split())
_BLOCKS = frozenset(
    "address article aside body blockquote dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main "
    "nav ol p pre section table tbody td tfoot th thead tr ul".split()
)
_BACK = 20_000
"""Characters before a place in which its ancestors are looked for."""
_WINDOW = 600


def bare(page: str) -> str:
    """The page without comments, scripts, styles, templates and text areas; they are blanked, so that places stay."""
    return _HIDDEN.sub(lambda found: " " * len(found[0]), page)


def data_blocks(page: str) -> list[str]:
    """The contents of JSON-LD scripts."""
    return _DATA.findall(page)


def tags(page: str, *names: str) -> Iterator[str]:
    """The start tags of these names, as they stand."""
    for found in re.finditer(rf"<(?:{'|'.join(names)})\b[^<>]{{0,8192}}>", page):
        yield found[0]


def attributes(tag: str) -> dict[str, str]:
    """The attributes of a tag, of each name the first."""
    told: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(tag):
        told.setdefault(name, html.unescape("".join(values)))
    return told


def ancestors(page: str, place: int) -> list[tuple[str, str]]:
    """Names and attributes (as text) of the elements in which a place stands, the nearest first, as far as `_BACK` reaches."""
    found: list[tuple[str, str]] = []
    closed: list[str] = []
    for closing, name, rest in reversed(_TAG.findall(page, max(place - _BACK, 0), place)):
        if name in _VOID or rest.endswith("/"):
            continue
        if closing:
            closed.append(name)
        elif name in closed:  # what was not closed inside of it ends with it
            while closed.pop() != name:
                pass
        else:
            found.append((name, rest))
    return found


def block_text(page: str, place: int) -> str:
    """The text of the block around a place: between the nearest tags of blocks, `_WINDOW` characters to each side at most."""
    start, end = max(place - _WINDOW, 0), min(place + _WINDOW, len(page))
    before, after = page[start:place], page[place:end]
    for tag in reversed(list(_TAG.finditer(before))):
        if tag[2] in _BLOCKS:
            before = before[tag.end() :]
            break
    for tag in _TAG.finditer(after):
        if tag[2] in _BLOCKS:
            after = after[: tag.start()]
            break
    cut = before.rfind("<")  # the tag whose attribute holds the place
    tail = after.find(">") if cut >= 0 and ">" not in before[cut:] else -1
    text = before[:cut] + " " + after[tail + 1 :] if tail >= 0 else before + after
    return " ".join(html.unescape(_ANY_TAG.sub("", text)).split())
