"""Our own marked pages: the same on every machine, marks that stand in the page, and halves that were drawn once."""

from __future__ import annotations

import hashlib
import html
import re
from urllib.parse import unquote

import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.planted import pages_zh, state_pages

DIGEST = "f8c73288f5894a9eade7ef19d1ed62cc5bed0448cb3b4366c082974122f5a598"
STATE_DIGEST = "c1c2edf83bb5f90ec81b725de87eddc3ac93ced3119492afdf90ad006e0ce2c6"
BLIND = (
    "b2b", "baike", "company", "discuz_x", "gitbook", "guide", "jobs", "news_list", "news_table", "recipe", "shop_grid", "tieba", "wechat",
    "weibo", "zhihu",
)  # fmt: skip


def close(text: str) -> str:
    return re.sub(r"\s+", "", text)


def shown(page: str) -> str:
    """All text of a page but scripts and styles, without spaces."""
    tree = LexborHTMLParser(page)
    tree.strip_tags(["script", "style"])
    assert tree.body is not None
    return close(tree.body.text())


def test_the_pages_are_those_that_were_measured():
    rows = "\n".join(page.row() for page in pages_zh.pages())
    assert len(pages_zh.pages()) == 150 and len(rows.encode()) < 2_000_000
    assert hashlib.sha256(rows.encode()).hexdigest() == DIGEST


def test_the_lot_is_the_one_that_was_drawn():
    assert pages_zh.BLIND == BLIND
    for half in (pages_zh.training(), pages_zh.blind()):
        assert len(half) == 75 and {p.page_type for p in half} == set(pages_zh.KINDS)
    assert not {p.site for p in pages_zh.training()} & set(BLIND)


@pytest.mark.parametrize("page", pages_zh.pages(), ids=lambda page: page.id)
def test_marks_stand_in_their_page_in_its_order(page):
    text, at = shown(page.html), 0
    for line in page.gold_text.split("\n"):
        place = text.find(close(line), at)
        assert place >= 0, line
        at = place + len(close(line))
    assert page.title in page.gold_text
    assert len(page.with_) >= 3 and all(snippet in page.gold_text for snippet in page.with_)
    assert len(page.without) >= 2 and all(close(s) in text and s not in page.gold_text for s in page.without)
    assert page.data.decode(page.charset)


def test_no_two_pages_share_their_text():
    lines = [line for page in pages_zh.pages() for line in set(page.gold_text.split("\n")) if len(line) > 25]
    assert len(lines) > 600 and len(set(lines)) == len(lines)


def forms(page: str) -> list[str]:
    """A page as it is, and with its escapes undone in the ways of attributes, scripts and addresses."""
    plain = html.unescape(page)
    decoded = [re.sub(r"\\+(?:u00|x)([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), p) for p in (page, plain)]
    wide = [re.sub(r"\\u([0-9a-f]{4})", lambda m: chr(int(m[1], 16)), p) for p in decoded]
    return [re.sub(r'\\+(["n\'])', r"\1", p) for p in (page, plain, unquote(page), *decoded, *wide)]


def test_the_exam_of_states_is_the_one_that_was_measured():
    rows = "\n".join(page.row() for page in state_pages.pages())
    assert len(state_pages.exam()) == 50 and len(state_pages.guard_pages()) == 12
    assert {p.lang for p in state_pages.exam()} == {"en", "zh"}
    assert hashlib.sha256(rows.encode()).hexdigest() == STATE_DIGEST


@pytest.mark.parametrize("page", state_pages.pages(), ids=lambda page: page.id)
def test_a_states_text_is_in_the_page_and_shown_in_guards_only(page):
    tree = LexborHTMLParser(page.html)
    tree.strip_tags(["script", "style", "noscript", "template"])
    assert tree.body is not None
    text = close(tree.body.text())
    lines = [line for line in page.gold_text.split("\n") if len(line) > 25 and not re.search("[\"'<>&]", line)]
    if page.site.startswith("guard_"):
        assert all(close(line) in text for line in lines)
    else:
        assert not any(close(line) in text for line in lines if line != page.title)
        found = [any(line in form for form in forms(page.html)) for line in lines]
        assert sum(found) >= len(found) - 1  # a stream is cut in the middle of a line
    assert page.without and all(snippet not in page.gold_text for snippet in page.without)
