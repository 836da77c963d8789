"""The text of a page of the exam, in the forms in which a framework keeps it, and the thin page around it.

Input: a `Text`. Output: HTML of its body, plain text, posts, and a whole page with a menu, a shell and scripts.
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any

from tests.planted.pages_zh.text import Part, Text

MENU = {
    "en": "Home Stories Guides Shop About Newsletter Contact Sign-in".split(),
    "zh": "首页 频道 专题 商城 关于我们 联系我们 登录 注册".split(),
}
SHELL = {
    "en": ("You need to enable JavaScript to run this app.", "Loading…", "All rights reserved. Terms of use and privacy notice."),
    "zh": ("您需要启用 JavaScript 才能运行此应用。", "页面加载中，请稍候…", "版权所有 未经许可不得转载 使用条款与隐私政策"),
}


def inline(text: str) -> str:
    return html.escape(text.replace("**", ""), quote=False)


def element(part: Part) -> str:
    """A part as an element of its own."""
    tag = {"h": "h2", "li": "li", "ol": "li", "pre": "pre", "tr": "p"}.get(part.kind, "p")
    text = " ".join(part.cells) if part.kind == "tr" else part.text
    return f"<{tag}>{inline(text)}</{tag}>"


@dataclass
class Content:
    """What stands in a page. `lang` is "en" or "zh"."""

    text: Text
    lang: str

    @property
    def title(self) -> str:
        return self.text.title

    @property
    def parts(self) -> list[Part]:
        return self.text.parts or [p for post in self.text.posts for p in post.parts]

    @property
    def html(self) -> str:
        return "\n".join(element(p) for p in self.parts)

    @property
    def lines(self) -> list[str]:
        return [" ".join(p.cells) if p.kind == "tr" else p.text.replace("**", "") for p in self.parts]

    @property
    def plain(self) -> str:
        return "\n".join(self.lines)

    @property
    def posts(self) -> list[tuple[str, str, str]]:
        """User, date and HTML of each post."""
        return [(p.user, p.date, "".join(element(x) for x in p.parts)) for p in self.text.posts]

    @property
    def gold(self) -> list[str]:
        return [self.title, *self.lines]


def page(content: Content, inner: str, scripts: str = "", heading: bool = True, shell: bool = True) -> str:
    """A whole page: menu, what is shown, and scripts at the end of the body."""
    lang, site = content.lang, {"en": "The Lantern", "zh": "灯笼网"}[content.lang]
    menu = "".join(f'<li><a href="/{n}">{w}</a></li>' for n, w in enumerate(MENU[lang]))
    no_script, loading, rights = SHELL[lang]
    title = f"<h1>{inline(content.title)}</h1>" if heading else ""
    wait = f'<div class="spinner">{loading}</div>' if shell else ""
    return (
        f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8"><title>{inline(content.title)} | {site}</title><link rel="stylesheet" href="/a.css"></head><body>'
        f'<header><nav><ul>{menu}</ul></nav></header><main id="root">{title}{inner}{wait}</main><footer><p>{rights}</p></footer>'
        f"{f'<noscript>{no_script}</noscript>' if shell else ''}{scripts}</body></html>"
    )


def dump(value: Any, ascii_only: bool = False, safe: bool = True) -> str:
    """JSON as frameworks write it: `<` escaped, so that `</script>` cannot end the element."""
    text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))
    return text.replace("<", "\\u003c") if safe else text.replace("</", "<\\/")


def data(kind: str, value: str, more: str = "") -> str:
    return f'<script type="{kind}"{more}>{value}</script>'


def code(text: str) -> str:
    return f"<script>{text}</script>"
