"""A page's markup as far as notices need it: its tags, their attributes, and what a place of it stands in.

Input: a page in lower case, without comments and scripts (`bare`). Output: tags of a name, attributes of a tag, the ancestors of a
place, and the text of the block around it. This is no parser: it reads tags as they stand, in time that is bounded by the page's
size, and is used where a false "no" is better than a false "yes".
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

_OPENING = re.compile(r"<!--|<(script|style|template|textarea)(?=[\s/>])")
_ATTRIBUTE = re.compile(r"""([a-z_:@][a-z0-9_:@.-]{0,60})\s*=\s*(?:"([^"]{0,8192})"|'([^']{0,8192})'|([^\s"'>]{1,8192}))""")
_TAG = re.compile(r"<(/?)([a-z][a-z0-9:-]{0,40}+)([^<>]{0,8192}+)>")
_ANY_TAG = re.compile(r"<[^<>]{0,8192}>")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr path rect use circle".split())
_BLOCKS = frozenset(
    "address article aside body blockquote dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 header hr li main "
    "nav ol p pre section table tbody td tfoot th thead tr ul".split()
)
_BACK = 20_000
"""Characters before a place in which its ancestors are looked for."""
_WINDOW = 600
_STOPS = re.compile(r"[.;!?]\s|[。；！？]")


def split(page: str) -> tuple[str, list[str]]:
    """(the page without comments, scripts, styles, templates and text areas, which are blanked so that places stay; the contents of
    its JSON-LD scripts). One that never ends hides the rest of the page.
    """
    parts: list[str] = []
    data: list[str] = []
    place = 0
    while (found := _OPENING.search(page, place)) is not None:
        closing = f"</{found[1]}" if found[1] else "-->"
        end = page.find(closing, found.end())
        parts.append(page[place : found.start()])
        if end < 0:
            parts.append(" " * (len(page) - found.start()))
            return "".join(parts), data
        body = page.find(">", found.end(), end)
        if found[1] == "script" and body >= 0 and "application/ld+json" in page[found.end() : body]:
            data.append(page[body + 1 : end])
        place = end + len(closing)
        parts.append(" " * (place - found.start()))
    return "".join([*parts, page[place:]]), data


def bare(page: str) -> str:
    """The page without what is not shown, see `split`."""
    return split(page)[0]


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


def block_text(page: str, place: int) -> tuple[str, str]:
    """(the text of the block around a place, the sentence of it): between the nearest tags of blocks, at most `_WINDOW` characters
    to each side.
    """
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
    if tail >= 0:
        before, after = before[:cut], after[tail + 1 :]
    sides = [" ".join(html.unescape(_ANY_TAG.sub("", side)).split()) for side in (before, after)]
    sentence = f"{_STOPS.split(sides[0])[-1]} {_STOPS.split(sides[1])[0]}"
    return " ".join(sides).strip(), sentence.strip()
