"""Pages for tests of kinds of faults: an article in either language, with a place for what is tried."""

from __future__ import annotations

EN = [
    "The ferry to the northern islands leaves at six in the morning, and by the time the sun has cleared the harbour wall most of the "
    "passengers are asleep again on the wooden benches below deck.",
    "Our survey of the eastern meadow counted forty-one species of grass, three of which had not been recorded in the county before, "
    "and one that nobody on the team was able to name with any confidence.",
    "When the bakery changed its flour in the spring, the loaves rose more slowly, and it took the bakers several weeks to find out "
    "that the water had to be two degrees warmer than they were used to.",
    "A small pump in the cellar keeps the level of the groundwater below the floor; if it stops for more than a day, the shelves on "
    "the lower side have to be cleared by hand.",
    "The committee will meet again in October to decide whether the old bridge can be repaired or whether a new one has to be built "
    "some two hundred metres further up the river.",
]
ZH = [
    "清晨六点，开往北部岛屿的渡轮准时离港。太阳刚刚越过防波堤，大多数乘客又在船舱的木椅上睡着了，只有几个钓鱼的老人还站在甲板上看海。",
    "我们在东边的草甸上一共记录到四十一种禾草，其中有三种是本县第一次发现，还有一种谁也叫不出名字，只好先编上号，等秋天结了籽再来辨认。",
    "春天面包房换了一种面粉，面团发得比以前慢。师傅们试了好几个星期才弄明白，和面的水要比平时热两度，烤出来的面包才会像从前一样松软。",
    "地窖里有一台小水泵，专门用来把地下水压在地面以下。要是它停上一天，靠低处的那几排架子就得有人动手搬空，不然箱子底会泡烂。",
    "委员会将在十月再次开会，讨论旧桥究竟还能不能修，或者要在上游两百米的地方另建一座新桥。附近的居民大多希望保留旧桥，只让行人通过。",
]
TEXTS = {"en": EN, "zh": ZH}
_NAV = {
    "en": '<nav class="nav"><ul><li><a href="/">Home</a></li><li><a href="/news">News</a></li><li><a href="/about">About us</a></li></ul></nav>',
    "zh": '<div class="nav"><ul><li><a href="/">首页</a></li><li><a href="/news">新闻</a></li><li><a href="/life">生活</a></li></ul></div>',
}
_FOOT = {
    "en": '<footer class="footer"><p>Copyright 2019 Example Media. All rights reserved. <a href="/p">Privacy policy</a></p></footer>',
    "zh": '<div class="footer"><p>关于我们 | 联系我们 | 版权所有 © 2019 示例网 京ICP备00000000号</p></div>',
}
_TITLE = {"en": "Notes from the harbour", "zh": "港口札记"}


def page(lang: str, main: str, head: str = "") -> str:
    """A page with navigation and foot around `main`."""
    return (
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8"><title>{_TITLE[lang]}</title>{head}</head><body>'
        f"{_NAV[lang]}{main}{_FOOT[lang]}</body></html>"
    )


def article(lang: str, inner: str, head: str = "") -> str:
    """An article of five paragraphs with `inner` after the second."""
    paragraphs = [f"<p>{text}</p>" for text in TEXTS[lang]]
    return page(lang, f"<article>{''.join(paragraphs[:2])}{inner}{''.join(paragraphs[2:])}</article>", head)
