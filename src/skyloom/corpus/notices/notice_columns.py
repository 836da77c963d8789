"""Robots directives and licences of whole shards of pages.

Input: PAGE tables, and a column of `meta`. Output: the columns `license` and `meta` with what the pages say, and reasons for pages
whose directives the recipe names. What a source says of a licence holds before what a page says. A page that says nothing keeps its
columns byte for byte. Only bodies that hold one of a few words are looked at closely. Memory: one page twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa

from skyloom.corpus.notices.loose_markup import bare
from skyloom.corpus.notices.robots import TDM, page_directives
from skyloom.corpus.notices.stated_license import page_license
from skyloom.corpus.text import Texts

ROBOTS = "robots"
"""The key of `meta` with the directives, a list of names."""
_LICENSE_WORDS = (b"/license", b"creativecommons.org/publicdomain/", b"/open-government-licence")
_PUBLISHERS = (b"creativecommons.", b"opensource.org/license", b"apache.org/licenses", b"/fdl-1.", b"/open-government-licence")
_ROBOTS_WORDS = (b"bot", TDM.encode(), b"-extended", b"-ai", b"spider", b"externalagent", b"slurp", b"yandex")
"""What a head holds that names robots, or one of the agents; few words, because each is looked for in every head."""
_HEAD = 1 << 18
_WIDE = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


def noticed(pages: pa.Table, wants_licenses: bool) -> tuple[pa.Array, pa.Array]:
    """The columns `license` and `meta` of PAGE rows: string[rows] each, with what HTML pages say themselves; of their licences only
    if those are wanted.
    """
    licenses, metas = pages["license"].to_pylist(), pages["meta"].to_pylist()
    kinds, errors, bodies = pages["kind"].to_pylist(), pages["error"].to_pylist(), pages["body"]
    for row, (kind, error) in enumerate(zip(kinds, errors, strict=True)):
        if kind != "html" or error is not None:
            continue
        page = _narrow(bodies[row].as_py())
        head = _head(page)
        if any(word in head for word in _ROBOTS_WORDS):
            metas[row] = _with_directives(metas[row], page_directives(bare(head.decode("latin-1"))))
        if wants_licenses and licenses[row] is None and any(word in page for word in _LICENSE_WORDS):
            small = page.lower()
            if any(word in small for word in _PUBLISHERS):
                licenses[row] = page_license(_decoded(small), pages["url"][row].as_py()) or None
    return pa.array(licenses, pa.string()), pa.array(metas, pa.string())


def _head(page: bytes) -> bytes:
    """The head of a page, in lower case; of a page without an end of it, the beginning."""
    for end in (b"</head", b"</HEAD", b"<body", b"<BODY"):
        if (place := page.find(end, 0, _HEAD)) >= 0:
            return page[:place].lower()
    return page[:_HEAD].lower()


def _narrow(body: bytes) -> bytes:
    wide = _WIDE.get(body[:2])
    return body.decode(wide, "replace").encode("utf-8", "replace") if wide else body


def _decoded(page: bytes) -> str:
    """Markup in lower case. Addresses are ASCII in any charset; sentences beside them are Chinese in one of two, else not read."""
    try:
        return page.decode("utf-8")
    except UnicodeDecodeError:
        return page.decode("gb18030", "replace")


def _with_directives(meta: str, found: list[str]) -> str:
    if not found:
        return meta
    told = json.loads(meta)
    told[ROBOTS] = sorted({*told.get(ROBOTS, []), *found})
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def judge_robots(metas: Texts, names: Sequence[str]) -> pa.Array:
    """Why each page leaves ("robots: noai"), string[rows] or null: the first of `names` that its `meta` has."""
    reasons: list[str | None] = []
    for meta in metas.to_pylist():
        told = json.loads(meta).get(ROBOTS, []) if names and f'"{ROBOTS}"' in meta else []
        reasons.append(next((f"robots: {name}" for name in names if name in told), None))
    return pa.array(reasons, pa.string())
