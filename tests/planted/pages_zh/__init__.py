"""150 invented Chinese pages of all seven kinds with marked text, in 30 shapes of real Chinese sites; half of the shapes are blind.

Input: nothing; all text was written for this project (texts/), the templates are functions of forums.py, articles.py, references.py
and goods.py. Output: `MarkedPage`s, the same bytes on every machine. `python -m tests.planted.pages_zh OUT.jsonl.gz` writes them in the
form of the marked pages of SKYLOOM_BENCH_DATA.

The shapes were parted by a lot before anything was measured on them: `BLIND` shapes are never trained on, and nothing is chosen by them.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from tests.planted.pages_zh import articles, forums, goods, references
from tests.planted.pages_zh.sheet import Sheet
from tests.planted.pages_zh.text import read

Shape = Callable[[Sheet], str]
LOT = 20261130
KINDS: dict[str, tuple[Shape, ...]] = {
    "article": (
        articles.wechat, articles.gov_notice, articles.news_table, articles.wordpress, articles.csdn, articles.novel, articles.portal,
        articles.recipe, articles.baike,
    ),
    "documentation": (references.vuepress, references.gitbook, references.wiki),
    "service": (references.hospital, references.company, references.guide),
    "forum": (forums.discuz_old, forums.discuz_x, forums.tieba, forums.phpwind, forums.zhihu, forums.zhidao),
    "collection": (goods.weibo, goods.douban, goods.shop_grid),
    "listing": (goods.jobs, goods.houses, goods.news_list),
    "product": (goods.shop_detail, goods.b2b, goods.house_detail),
}  # fmt: skip
CHARSETS = {"discuz_old": "gbk", "news_table": "gb2312", "b2b": "gbk", "news_list": "gb2312"}


@dataclass(frozen=True)
class MarkedPage:
    """A page as a server sends it is `html` in `charset`; `gold_text` is its text. `with_` and `without`: snippets in and not in it."""

    id: str
    site: str
    page_type: str
    charset: str
    html: str
    gold_text: str
    title: str
    with_: tuple[str, ...]
    without: tuple[str, ...]
    lang: str = "zh"
    bench: str = "own_zh"
    license: str = "Apache-2.0"

    @property
    def data(self) -> bytes:
        """The page as bytes in its charset; what it cannot hold is written as a reference."""
        return self.html.encode(self.charset, "xmlcharrefreplace")

    def row(self) -> str:
        """A line of a file of marked pages."""
        return json.dumps({k.rstrip("_"): v for k, v in asdict(self).items()}, ensure_ascii=False)


def lot() -> tuple[str, ...]:
    """The shapes that were drawn to be blind: every second one of all kinds, each kind in a drawn order."""
    draw = random.Random(LOT)
    drawn: list[str] = []
    for kind in sorted(KINDS):
        names = sorted(shape.__name__ for shape in KINDS[kind])
        draw.shuffle(names)
        drawn += names
    return tuple(sorted(drawn[1::2]))


BLIND = lot()


@cache
def pages() -> tuple[MarkedPage, ...]:
    """All pages, by kind and shape."""
    found = []
    for kind, shapes in KINDS.items():
        for shape in shapes:
            name = shape.__name__
            texts = read(name)
            for number, text in enumerate(texts):
                sheet = Sheet(name, number, texts)
                html = shape(sheet)
                charset = CHARSETS.get(name, "utf-8")
                gold = "\n".join(sheet.gold)
                found.append(
                    MarkedPage(
                        f"{name}-{number}",
                        name,
                        kind,
                        charset,
                        html,
                        gold,
                        text.title,
                        tuple(sheet.with_()),
                        tuple(sheet.without()),
                    )
                )
    return tuple(found)


def training() -> tuple[MarkedPage, ...]:
    """The pages of the shapes that may be trained on."""
    return tuple(page for page in pages() if page.site not in BLIND)


def blind() -> tuple[MarkedPage, ...]:
    """The pages of the other shapes: for measuring only, at the end."""
    return tuple(page for page in pages() if page.site in BLIND)


def main() -> None:
    with gzip.GzipFile(Path(sys.argv[1]), "wb", mtime=0) as file:
        file.writelines(f"{page.row()}\n".encode() for page in pages())
