"""Pages whose main text we marked ourselves, to train structural extraction on: samples, documentation, and invented sites.

Output: pages (`Page` of bench/corpus/extraction.py) of four kinds. "samples": the web pages in samples/, marked by one
selector for each of their twelve sites. "docs": pages of free documentation packages (warc/docs_en_zh.warc.gz in
SKYLOOM_BENCH_DATA), marked by one selector for each tool that made them. "invented": pages of sites that do not exist, drawn from
a seed: forums, questions and answers, products, listings, documentation, and articles of every make, with passages of the samples
as their text, and with class names that are English, pinyin, utility classes, meaningless or none. What is invented has exact
marks: a piece is either text of the page or furniture. "own_zh": Chinese pages in the shapes of real sites
(tests/planted/pages_zh), of the half of the shapes that may be trained on.

`blind` says which sites of `html_gold/` are the blind part: a fifth of each set. Nothing is trained on it or chosen by it.
"""

from __future__ import annotations

import hashlib
import html
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.corpus.extraction import DATA_VARIABLE, Page
from fastwarc.warc import ArchiveIterator
from selectolax.lexbor import LexborHTMLParser
from tests.planted import pages_zh

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = {  # site: (what is text, what in it is not)
    "askbench": ("#question-header h1, .s-prose", ""),
    "halden": (".hero__title, .rich-text", ""),
    "lumen": (".lm-title, .lm-content", ".lm-sharebar, .lm-newsletter"),
    "millbrook": ("td[width='620']", ""),
    "morning-ledger": ("article h1, [itemprop=articleBody]", ".inline-promo"),
    "openleaf-wiki": ("#firstHeading, .mw-parser-output", ".toc, .mw-editsection, .catlinks"),
    "paper-lantern": ("main", "aside, nav"),
    "plain-money": (".post", ""),
    "quill-docs": (".body", ".feedback, .headerlink"),
    "riverside-clinic": ("#advice", ".btn-group"),
    "slow-roads": ("article", ".sharebar"),
    "wooden-spoon": (".entry-title, .entry-content", ""),
}
DOCS = (  # what a page of the tool holds, what is text, what in it is not
    ('id="DisplayArea"', "#DisplayArea", ".howtoget, .relatedtopics"),
    ('class="navheader"', "body", ".navheader, .navfooter, .toc, script, style"),
    ('role="main"', "div.body", ".headerlink"),
    ('content="publican', "div.section, div.chapter, div.appendix", ".docnav, .toc"),
    ('content="Asciidoctor', "#header h1, #content", "#toc"),
)
DOCS_A_PACKAGE = 14
LOT = "blind 20261130"
ONE_OF = 5
TOPPED_UP = frozenset(
    "0248104d 02635493 02eae8a4 03a698b2 042b1fd1 0631c9e1 06db8daf 0887246e 090a5de5 09dab480 133673f4 165c7439 18979e01 1b7c772a "
    "20269c5c 2257fe92 26670c7f 31e7f09e".split()
)
"""Sites that were drawn in addition, the lowest lots of each set of which the first rule cut off less than a fifth."""


def blind(site: str) -> bool:
    """Whether the pages of a site are of the blind part. A site is drawn once, whatever sets it is in."""
    lot = hashlib.sha256(f"{LOT} {site}".encode()).hexdigest()
    return int(lot[:16], 16) % ONE_OF == 0 or lot[:8] in TOPPED_UP


def own_chinese(blind_half: bool = False) -> list[Page]:
    """Our Chinese pages in the shapes of real sites, of the shapes for training or of the blind ones."""
    chosen = pages_zh.blind() if blind_half else pages_zh.training()
    return [Page(p.id, p.bench, p.lang, p.site, p.html, p.gold_text, p.page_type) for p in chosen]


def marked(page: str, keep: str, drop: str) -> str:
    """The text of the elements that `keep` selects and `drop` does not, in the page's order."""
    tree = LexborHTMLParser(page)
    tree.strip_tags(["script", "style", "noscript", "template", "button", "select"])
    for node in tree.css(drop) if drop else ():
        node.decompose()
    found = tree.css(keep)
    ids = {n.mem_id for n in found}
    return "\n".join(n.text(separator="\n") for n in found if not _inside(n, ids))


def _inside(node: Any, ids: set[int]) -> bool:
    """Whether an element around a node is one of these."""
    above = node.parent
    while above is not None:
        if above.mem_id in ids:
            return True
        above = above.parent
    return False


def samples() -> list[Page]:
    """The sample pages in English and Chinese that are text at all."""
    pages = []
    for site, (keep, drop) in SAMPLES.items():
        for path in sorted((ROOT / "samples" / "web" / site).glob("*/*.html")):
            data = path.read_bytes()
            name = "gbk" if path.name == "allotments.html" and path.parent.name == "zh" else "utf-8"
            name = "big5" if path.name == "pineapple-cakes.html" else name
            page = data.decode(name, "replace")
            gold = marked(page, keep, drop)
            if gold.strip():
                pages.append(Page(f"{site}/{path.parent.name}/{path.stem}", "samples", path.parent.name, site, page, gold))
    return pages


def docs() -> list[Page]:
    """Documentation pages, the same number of each package; none where the archive is not there."""
    archive = Path(os.environ.get(DATA_VARIABLE, ""), "warc", "docs_en_zh.warc.gz")
    if not archive.is_file():
        return []
    found: dict[str, list[Page]] = {}
    with archive.open("rb") as file:
        for record in ArchiveIterator(file, parse_http=True):
            url = record.headers.get("WARC-Target-URI") or ""
            page = record.reader.read().decode("utf-8", "replace")
            package = "/".join(url.split("/")[3:5])
            for mark, keep, drop in DOCS:
                if mark in page:
                    found.setdefault(package, []).append(Page(url, "docs", package[:2], package, page, marked(page, keep, drop)))
                    break
    chosen = []
    for pages in found.values():
        step = max(len(pages) // DOCS_A_PACKAGE, 1)
        chosen += [p for p in pages[::step][:DOCS_A_PACKAGE] if len(p.gold) > 200]
    return chosen


WORDS = {
    "en": "Home News About Contact Shop Sports Culture Travel Forum Help Login Register Search Archive Videos Photos Careers "
    "Support Downloads Blog Events Community Privacy Terms Sitemap Advertise Newsletter Jobs Weather Health Science "
    "Business".split(),
    "zh": "首页 新闻 关于我们 "
    "联系我们 商城 体育 文化 旅游 论坛 帮助 登录 注册 搜索 归档 视频 图片 招聘 支持 下载 博客 活动 社区 隐私 "
    "条款 网站地图 "
    "广告服务 订阅 天气 健康 科技 财经 教育 军事 娱乐 汽车 房产".split(),
}
FURNITURE = {
    "en": (
        "Copyright © 2021 Example Media. All rights reserved.",
        "Share this page",
        "Sign up for our weekly newsletter and never miss a story.",
        "Related articles",
        "You may also like",
        "We use cookies to improve your experience. Accept all",
        "Advertisement",
        "Leave a reply",
        "Posted by {name} on {date}",
        "Follow us on social media",
        "Read more",
        "Tags:",
        "Previous: {title}",
        "Next: {title}",
        "Please log in to comment. Your address will not be published.",
        "Reprinting needs written permission of the publisher.",
    ),
    "zh": (
        "版权所有 © 2021 示例传媒 京ICP备00000000号",
        "分享到：微信 微博",
        "订阅我们的每周通讯，不错过任何一篇文章。",
        "相关阅读",
        "猜你喜欢",
        "本站使用 cookie 以改善体验。全部接受",
        "广告",
        "发表评论",
        "作者：{name} 发布时间：{date}",
        "关注我们的公众号，扫一扫二维码",
        "阅读全文",
        "标签：",
        "上一篇：{title}",
        "下一篇：{title}",
        "请登录后发表评论，文明上网理性发言。",
        "未经书面授权不得转载，违者将依法追究责任。",
    ),
}
NAMES = {
    "plain": {
        "nav": "nav",
        "side": "sidebar",
        "foot": "footer",
        "main": "main-content",
        "text": "article-body",
        "item": "item",
        "meta": "meta",
        "post": "post",
        "comment": "comments",
        "share": "share",
        "rel": "related",
    },
    "long": {
        "nav": "site-navigation menu",
        "side": "widget-area col-md-4",
        "foot": "site-footer",
        "main": "content-area col-md-8",
        "text": "entry-content",
        "item": "card list-item",
        "meta": "entry-meta",
        "post": "message",
        "comment": "comment-list",
        "share": "social-links",
        "rel": "recommend-list",
    },
    "pinyin": {
        "nav": "daohang",
        "side": "youce",
        "foot": "dibu",
        "main": "zhuti",
        "text": "neirong",
        "item": "liebiao",
        "meta": "xinxi",
        "post": "louceng",
        "comment": "pinglun",
        "share": "fenxiang",
        "rel": "xiangguan",
    },
    "utility": {
        "nav": "flex p-4",
        "side": "w-1/4 p-2",
        "foot": "mt-8 text-sm",
        "main": "w-3/4 p-4",
        "text": "mx-auto max-w-2xl",
        "item": "flex gap-2",
        "meta": "text-xs",
        "post": "p-3 rounded",
        "comment": "mt-6",
        "share": "flex",
        "rel": "grid gap-4",
    },
}


class Site:
    """A site of one make: a language, class names, the element it is built from, and pieces to build with."""

    def __init__(self, seed: int, passages: dict[str, list[str]]) -> None:
        self.draw = random.Random(seed)
        self.lang = self.draw.choice(("en", "zh"))
        self.passages, self.words, self.furniture = passages[self.lang], WORDS[self.lang], FURNITURE[self.lang]
        style = self.draw.choice((*NAMES, "random", "none", "plain", "long"))
        self.names = NAMES.get(style, {})
        if style == "random":
            self.names = {k: "".join(self.draw.choices("abcdefghkmnpqrstuvwxyz", k=6)) for k in NAMES["plain"]}
        self.box = self.draw.choice(("div", "div", "section", "td"))
        self.layout = self.draw.choice(("side first", "side last", "no side", "table"))
        self.lines = self.draw.choice(("p", "p", "p", "div", "br", "brbr"))
        self.chrome = self.draw.random()

    def open(self, role: str, tag: str = "div") -> str:
        name = self.names.get(role)
        return f'<{tag} class="{name}">' if name else f"<{tag}>"

    def title(self) -> str:
        return self.some(1)[0].split("。")[0].split(". ")[0][: 60 if self.lang == "en" else 24]

    def some(self, count: int) -> list[str]:
        return self.draw.sample(self.passages, count)

    def piece(self, index: int) -> str:
        made = self.furniture[index % len(self.furniture)]
        date = f"20{self.draw.randint(10, 24)}-{self.draw.randint(1, 12):02}-{self.draw.randint(1, 28):02}"
        return made.format(name=self.draw.choice(self.words), date=date, title=self.title())

    def links(self, count: int, tag: str = "li") -> str:
        chosen = self.draw.choices(self.words, k=count)
        return "".join(f'<{tag}><a href="/{n}">{w}</a></{tag}>' for n, w in enumerate(chosen))

    def headlines(self, count: int) -> str:
        return "".join(f'<li><a href="/a{n}">{html.escape(self.title())}</a></li>' for n in range(count))

    def prose(self, passages: list[str]) -> str:
        texts = [html.escape(p) for p in passages]
        if self.lines in ("br", "brbr"):
            return ("<br>" if self.lines == "br" else "<br>&nbsp;<br>\n").join(texts)
        return "".join(f"<{self.lines}>{t}</{self.lines}>\n" for t in texts)

    def teasers(self, count: int) -> str:
        """Furniture that reads like text: the beginnings of other pages."""
        cut = [(self.title(), p[:90] + "…") for p in self.some(count)]
        box = self.open("item")
        return "".join(
            f'{box}<h3><a href="/{n}">{html.escape(t)}</a></h3><p>{html.escape(p)}</p></div>' for n, (t, p) in enumerate(cut)
        )

    def page(self, title: str, body: str) -> str:
        """A whole page around its text."""
        top = f"<header>{self.open('nav', 'nav')}<ul>{self.links(self.draw.randint(5, 16))}</ul></nav></header>"
        side = f"{self.open('side')}<h3>{self.piece(3)}</h3><ul>{self.headlines(self.draw.randint(3, 9))}</ul>"
        side += f"<p>{self.piece(2)}</p></div>"
        after = f"{self.open('share')}{self.piece(1)} {self.piece(9)}</div>" if self.chrome > 0.3 else ""
        if self.chrome > 0.5:
            after += f"{self.open('rel')}<h3>{self.piece(4)}</h3>{self.teasers(self.draw.randint(2, 5))}</div>"
        foot = f"{self.open('foot', 'footer')}<ul>{self.links(6)}</ul><p>{self.piece(0)}</p><p>{self.piece(15)}</p></footer>"
        main = f"{self.open('main')}{body}{after}</div>"
        if self.layout == "table":
            middle = f"<table><tr><td width=180>{side}</td><td>{main}</td></tr></table>"
        else:
            middle = {"side first": side + main, "side last": main + side, "no side": main}[self.layout]
        notice = f"<div>{self.piece(5)}</div>" if self.chrome > 0.6 else ""
        head = f"<title>{html.escape(title)} - {self.draw.choice(self.words)}</title>"
        return f"<!doctype html><html><head>{head}</head><body>{top}{middle}{foot}{notice}</body></html>"


def article(site: Site) -> tuple[str, list[str]]:
    title, texts = site.title(), site.some(site.draw.randint(2, 12))
    body = f"<h1>{html.escape(title)}</h1>{site.open('meta')}{site.piece(8)}</div>"
    body += f"{site.open('text', site.box)}{site.prose(texts)}</{site.box}>"
    if site.chrome > 0.7:
        body += f"{site.open('comment')}<h3>{site.piece(7)}</h3>" + "".join(
            f"{site.open('item')}<b>{site.draw.choice(site.words)}</b> <p>{html.escape(p[:120])}</p></div>" for p in site.some(4)
        ) + "</div>"  # fmt: skip
    return site.page(title, body), [title, *texts]


def forum(site: Site) -> tuple[str, list[str]]:
    title, texts, body = site.title(), [], ""
    for number in range(site.draw.randint(3, 14)):
        said = site.some(site.draw.randint(1, 2))
        said = [p[: site.draw.choice((40, 120, 600))] for p in said]
        user = f"<b>{site.draw.choice(site.words)}{number}</b><br>{site.piece(8)}"
        body += (
            f"{site.open('post', 'div')}{site.open('meta')}{user} #{number + 1}</div>{site.open('text')}{site.prose(said)}</div>"
        )
        body += f'<a href="#">{site.piece(10)}</a></div>'
        texts += said
    return site.page(title, f"<h1>{html.escape(title)}</h1>{body}"), [title, *texts]


def product(site: Site) -> tuple[str, list[str]]:
    title, texts = site.title(), site.some(site.draw.randint(1, 4))
    rows = [(site.draw.choice(site.words), str(site.draw.randint(1, 900))) for _ in range(site.draw.randint(3, 12))]
    table = "".join(f"<tr><td>{k}</td><td>{v}</td></tr>" for k, v in rows)
    points = [p[:50] for p in site.some(4)]
    listed = "".join(f"<li>{html.escape(p)}</li>" for p in points)
    body = f"<h1>{html.escape(title)}</h1>{site.open('meta')}¥ {site.draw.randint(10, 900)} {site.piece(10)}</div><ul>{listed}</ul>"
    body += f"{site.open('text')}{site.prose(texts)}<table>{table}</table></div>"
    return site.page(title, body), [title, *points, *texts, *(f"{k} {v}" for k, v in rows)]


def listing(site: Site) -> tuple[str, list[str]]:
    title, texts, body = site.title(), [], ""
    for number in range(site.draw.randint(5, 20)):
        name, about = site.title(), site.some(1)[0][: site.draw.choice((60, 160))]
        body += f'{site.open("item")}<h2><a href="/{number}">{html.escape(name)}</a></h2><p>{html.escape(about)}</p>'
        body += f"{site.open('meta')}{site.piece(8)}</div></div>"
        texts += [name, about]
    pages = "".join(f'<a href="?{n}">{n}</a> ' for n in range(1, 9))
    return site.page(title, f"<h1>{html.escape(title)}</h1>{body}<div>{pages}</div>"), [title, *texts]


def manual(site: Site) -> tuple[str, list[str]]:
    title, texts = site.title(), []
    body = ""
    for _ in range(site.draw.randint(2, 6)):
        name, said = site.title(), site.some(site.draw.randint(1, 3))
        code = "\n".join(
            f"{site.draw.choice('abcdef')} = f({site.draw.randint(0, 99)})  # {w}" for w in site.draw.choices(site.words, k=4)
        )
        steps = [p[:60] for p in site.some(3)]
        listed = "".join(f"<li>{html.escape(p)}</li>" for p in steps)
        body += f"<h2>{html.escape(name)}</h2>{site.prose(said)}<pre><code>{code}</code></pre><ol>{listed}</ol>"
        texts += [name, *said, code, *steps]
    toc = f"<ul>{site.headlines(5)}</ul>"
    return site.page(title, f"{toc}{site.open('text')}<h1>{html.escape(title)}</h1>{body}</div>"), [title, *texts]


KINDS: tuple[Callable[[Site], tuple[str, list[str]]], ...] = (article, article, forum, product, listing, manual)


def invented(count: int, seed: int = 2023) -> list[Page]:
    """Pages of as many invented sites. Their text is that of the samples, which are pages of their own as well."""
    passages: dict[str, list[str]] = {"en": [], "zh": []}
    for page in samples():
        passages[page.lang] += [p.strip() for p in page.gold.split("\n") if len(p.strip()) > (80 if page.lang == "en" else 40)]
    pages = []
    for number in range(count):
        site = Site(seed + number, passages)
        kind = KINDS[number % len(KINDS)]
        page, texts = kind(site)
        pages.append(Page(f"invented-{number}", "invented", site.lang, f"invented-{number}", page, "\n".join(texts)))
    return pages
