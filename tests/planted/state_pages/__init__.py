"""An exam of pages whose text stands in a framework's state and not in what is shown, in English and Chinese, with guard pages.

Input: nothing; the English texts (en.txt) and the Chinese ones (of the training shapes of `pages_zh`) were written for this project.
Output: `MarkedPage`s. In a page of the exam the visible part is thin: a menu, perhaps the title, a line that asks for scripts. The text
stands in JSON-LD, in a framework's state, in `<noscript>`, `<template>`, an attribute or a comment. In a guard page the visible text is whole,
and the state holds other things: the text once more with other articles, dictionaries, threads, descriptions; they must not replace it or
come beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from tests.planted import pages_zh
from tests.planted.pages_zh import MarkedPage
from tests.planted.pages_zh.text import Text, read
from tests.planted.state_pages import frames, guards
from tests.planted.state_pages.content import MENU, SHELL, Content

CHINESE = (("portal", 0), ("portal", 1), ("portal", 2), ("portal", 3), ("portal", 4), ("wordpress", 0), ("wordpress", 1), ("wordpress", 2), ("wordpress", 3),
    ("wordpress", 4), ("gov_notice", 0), ("gov_notice", 1), ("gov_notice", 4), ("novel", 0), ("novel", 1), ("novel", 2), ("csdn", 0), ("csdn", 2), ("csdn", 4),
    ("hospital", 0), ("hospital", 3), ("shop_detail", 0), ("shop_detail", 3), ("house_detail", 0), ("phpwind", 0), ("phpwind", 2), ("discuz_old", 0),
    ("discuz_old", 1), ("zhidao", 4))  # fmt: skip
PRODUCTS = ("Oilskin field bag, 18 litres", "儿童护眼台灯 全光谱 感应调光")


def english() -> list[Content]:
    return [Content(text, "en") for text in read("en", Path(__file__).parent)]


def chinese() -> list[Content]:
    """Texts of shapes that may be trained on; a test sees to it that none is of a blind one."""
    assert not {name for name, _ in CHINESE} & set(pages_zh.BLIND)
    return [Content(read(name)[number], "zh") for name, number in CHINESE]


def marked(name: str, kind: str, content: Content, html: str, gold: Sequence[str], without: Sequence[str]) -> MarkedPage:
    """A page of the exam. Of `without` those that do not stand in the text."""
    text = "\n".join(gold)
    good = [line for line in gold if len(line) > 25 and "\n" not in line]
    snippets = tuple(good[k] for k in sorted({0, len(good) // 2, len(good) - 1}))
    left = tuple(w for w in without if w not in text)
    return MarkedPage(
        f"{name}-{content.lang}", name, kind, "utf-8", html, text, content.title, snippets, left, content.lang, "own_state"
    )


@cache
def pages() -> tuple[MarkedPage, ...]:
    """All pages: each frame and each guard in both languages."""
    found = []
    for contents in (english(), chinese()):
        lang = contents[0].lang
        furniture = (MENU[lang][3], *SHELL[lang])
        threads = [c for c in contents if c.text.posts]
        products = [c for c in contents if c.title in PRODUCTS]
        articles = [c for c in contents if not c.text.posts and c not in products]
        for kind, shapes, some in (
            ("article", frames.ARTICLES, articles),
            ("product", frames.PRODUCTS, products),
            ("forum", frames.THREADS, threads),
        ):
            for n, frame in enumerate(shapes):
                content = some[n % len(some)]
                found.append(marked(frame.__name__, kind, content, frame(content), content.gold, furniture))
        for n, guard in enumerate(guards.ARTICLES):
            content, others = articles[-1 - n], articles[n : n + 3]
            html, gold = guard(content, others)
            found.append(
                marked(f"guard_{guard.__name__}", "article", content, html, gold, (others[0].lines[1], others[1].lines[-1]))
            )
        html, gold = guards.with_thread(threads[0], articles[:2])
        found.append(marked("guard_with_thread", "forum", threads[0], html, gold, (articles[0].lines[0], articles[1].lines[0])))
        listed = articles[4:9]
        page_of = Content(Text({"en": "This week in the archive", "zh": "本周旧文"}[lang]), lang)
        html, gold = guards.with_list(page_of, listed)
        found.append(marked("guard_with_list", "listing", page_of, html, gold, (listed[0].lines[-1], listed[2].lines[-1])))
    return tuple(found)


def exam() -> tuple[MarkedPage, ...]:
    """The pages whose text stands in the state."""
    return tuple(page for page in pages() if not page.site.startswith("guard_"))


def guard_pages() -> tuple[MarkedPage, ...]:
    """The pages whose state must not replace the visible text."""
    return tuple(page for page in pages() if page.site.startswith("guard_"))
