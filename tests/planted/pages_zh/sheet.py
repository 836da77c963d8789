"""A page while it is written: what of it is text, and what is furniture, is said where it is written.

Input: a `Text` and the place of its page. Output: HTML, and beside it the marked text in the order of the page. The marks follow
those of WCXB: titles, all that is said in a thread, the names, prices and descriptions of a list; no user names, dates and buttons,
no readers' comments and reviews under an article or a product, nothing that only repeats another page.
"""

from __future__ import annotations

import html
import random
import re
from collections.abc import Sequence
from itertools import groupby

from tests.planted.pages_zh.text import Part, Text

SEED = 2026
NAMES = "晚风 小满 一杯白水 不二 南山客 阿木 七分甜 石头剪刀 雨后 向日葵 半夏 老周 豆豆爸 林深 路边摊 橙子 九月 木槿 云朵 沉默的鱼".split()
REMARKS = (
    "写得真好，看完想给家里打个电话。", "收藏了，慢慢看。", "楼上说得对，我也有同感。", "第一次听说，长见识了。", "请问可以转载吗？会注明出处。",
    "说到心坎里去了。", "有没有后续？等更新。", "图片好像挂了，麻烦看一下。", "我们这里也是这样。", "不太同意最后一段，其他的都赞成。",
    "感谢分享！", "前排围观。", "已经照着做了，回来报告。", "排版舒服，看着不累。",
)  # fmt: skip
LESS = 12  # units; a shorter line is no good snippet


class Sheet:
    """One page. `gold` grows with what `say` is given, `not_gold` with what `no` is."""

    def __init__(self, shape: str, number: int, texts: Sequence[Text]) -> None:
        self.draw = random.Random(f"{SEED} {shape} {number}")
        self.number = number
        self.text = texts[number]
        self.others = [t.title for n, t in enumerate(texts) if n != number]
        self.gold: list[str] = []
        self.not_gold: list[str] = []

    def say(self, text: str) -> str:
        """Text of the page, escaped; bold is written as an element."""
        self.gold.append(text.replace("**", ""))
        return re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", html.escape(text, quote=False))

    def no(self, text: str) -> str:
        """Furniture that a good extraction leaves out."""
        self.not_gold.append(text)
        return html.escape(text, quote=False)

    def title(self, tag: str = "h1", more: str = "") -> str:
        return f"<{tag}{more}>{self.say(self.text.title)}</{tag}>"

    def head(self, site: str, *more: str, charset: str = "utf-8") -> str:
        """<head>, with the site's name in the title, a style sheet and a script that counts visitors."""
        meta = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">'
        about = f'<meta name="keywords" content="{self.text.title[:8]},{site}">'
        count = f'<script>var _vds=_vds||[];(function(){{var s=document.createElement("script");s.src="/js/tj{self.number}.js";}})();</script>'
        return f"<head>{meta}<title>{html.escape(self.text.title)}{''.join(more)}{site}</title>{about}{count}</head>"

    def links(self, words: str, tag: str = "li", more: str = "") -> str:
        """Words as links."""
        return "".join(f'<{tag}{more}><a href="/{n}/">{w}</a></{tag}>' for n, w in enumerate(words.split()))

    def titles(self, count: int, tag: str = "li", date: bool = False) -> str:
        """Titles of other pages as links."""
        chosen = self.draw.sample(self.others, min(count, len(self.others)))
        self.not_gold += chosen[:1]
        when = [f"<span>{self.draw.randint(1, 12):02}-{self.draw.randint(1, 28):02}</span>" if date else "" for _ in chosen]
        return "".join(
            f'<{tag}><a href="/a/{n}.html">{t}</a>{w}</{tag}>' for n, (t, w) in enumerate(zip(chosen, when, strict=True))
        )

    def remarks(self, count: int, pattern: str) -> str:
        """Readers' comments that are not the page's text; `pattern` has {name}, {text} and {n}."""
        chosen = self.draw.sample(REMARKS, count)
        self.not_gold += chosen[:1]
        return "".join(pattern.format(name=self.draw.choice(NAMES), text=t, n=self.draw.randint(0, 60)) for t in chosen)

    def body(
        self,
        parts: Sequence[Part] | None = None,
        p: str = "<p>{}</p>\n",
        h: str = "<h2>{}</h2>\n",
        pre: str = "<pre>{}</pre>",
        tip: str = "<p>{}</p>",
        br: str = "",
    ) -> str:
        """The parts of the text as elements; `br` stands between paragraphs instead of elements of their own."""
        made = []
        for kind, run in groupby(self.text.parts if parts is None else parts, key=lambda part: part.kind):
            some = list(run)
            if kind in ("li", "ol"):
                inner = "".join(f"<li>{self.say(s.text)}</li>" for s in some)
                made.append(f"<{'ul' if kind == 'li' else 'ol'}>{inner}</{'ul' if kind == 'li' else 'ol'}>")
            elif kind == "tr":
                made.append(self.table([s.cells for s in some]))
            elif kind == "p" and br:
                made.append(br.join(self.say(s.text) for s in some))
            else:
                pattern = {"p": p, "h": h, "pre": pre, "tip": tip}[kind]
                made.append("".join(pattern.format(self.say(s.text)) for s in some))
        return "".join(made)

    def table(self, rows: Sequence[Sequence[str]], more: str = "") -> str:
        return (
            f"<table{more}>"
            + "".join("<tr>" + "".join(f"<td>{self.say(c)}</td>" for c in row) + "</tr>" for row in rows)
            + "</table>"
        )

    def pairs(self, name: str) -> list[tuple[str, str]]:
        """A field of the form `a=b；c=d` or `a b；c d`."""
        return [
            (a, b) for a, _, b in (re.sub(r"^(\S+?)[= ]", r"\1=", one).partition("=") for one in self.text.one(name).split("；"))
        ]

    def with_(self) -> list[str]:
        """Snippets that a good extraction has: the first, the last, and some between."""
        good = [g for g in self.gold if len(g) >= LESS and "\n" not in g and g not in self.not_gold] or [
            g for g in self.gold if len(g) > 3
        ]
        places = sorted({round(k * (len(good) - 1) / 4) for k in range(5)})
        return [good[k] for k in places]

    def without(self) -> list[str]:
        """Snippets that it has not."""
        whole = "\n".join(self.gold)
        return [t for t in dict.fromkeys(self.not_gold) if t not in whole][:5]
