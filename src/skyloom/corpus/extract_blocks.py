"""From an HTML page to its text blocks with what is around them: the first half of structural extraction (report 3.1).

What enters is decoded HTML, what leaves is a `Layout`: text blocks in reading order, each with its tag, its link text and
the element it stands in, and the tree of block elements as flat arrays. Because the blocks below an element are
contiguous, every sum over an element is a difference of two prefix sums, and the second half (`extract_judge`) needs no
walk over the tree.

Lexbor builds the tree as browsers do. We then read its serialization, in which every tag is closed and every attribute
quoted, with one regular expression: visiting the nodes one by one from Python takes three times as long.
"""

from __future__ import annotations

import functools
import html as entities
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from selectolax.lexbor import LexborHTMLParser

BLOCK_TAGS = frozenset(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol p pre section summary table tbody td tfoot th "
    "thead tr ul".split()
)
HEADINGS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6"))
_TEXT_TAGS = HEADINGS | {"p", "li", "pre", "td", "th", "dt", "dd", "blockquote", "figcaption", "caption", "summary", "legend"}
_REMOVED = [
    "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "select", "button", "textarea", "input",
    "audio", "video", "canvas", "noembed", "noframes", "xmp", "plaintext", "datalist", "map",
]  # fmt: skip
_BOILER_TAGS = frozenset(("nav", "header", "footer", "aside", "form", "menu", "dialog"))
_TELLING = _BOILER_TAGS | {"article", "main", "tr", "td", "th"}

NEGATIVE = re.compile(
    r"nav|menu|foot|header|side|crumb|share|sharing|social|relat|recommend|advert|(?:^|[-_ ])ads?(?:[-_ ]|$)|sponsor|promo|banner"
    r"|cookie|popup|modal|overlay|login|sign-?up|regist|subscri|newsletter|copyright|pag(?:er|ing|ination)|tool|widget|toc"
    r"|author|byline|rating|rank|button|btn|link|tags?(?:[-_ ]|$)|hot|more|search|skip|print|alert|notice|disclaim|credit"
    r"|tuijian|daohang|xiangguan|guanggao|fenxiang|dibu|banquan|qrcode|weixin|weibo|editor(?:$|[-_ ])|statement|shengming"
)
POSITIVE = re.compile(
    r"article|content|body|main|entry|post|text|story|detail|zhengwen|neirong|wenzhang|trs_editor|rich|prose|markdown|read|page"
)
COMMENT = re.compile(r"comment|repl(?:y|ies)|pinglun|disqus|respon|liuyan|huifu|discuss|feedback")

_EVENT = re.compile(
    r'<(/?)([a-zA-Z][^\s>]*)((?:\s[^\s>]*?="[^"]*")*+)>|([^<]+)|<!--.*?-->|<[!?][^>]*>|(<)',
    re.DOTALL,
)
_ATTRIBUTE = re.compile(r'\s([^\s>=]+)="([^"]*)"')
_SPACES = re.compile(r"[ \t\r\f\n\xa0\u200b\ufeff]+")
_PARAGRAPH_BREAK = re.compile(r" ?\x00(?: ?\x00)+ ?")
_HEADING_MARK = re.compile(r"\s*(?:¶|\[\s*(?:edit|edit source|编辑|編輯)\s*\])$|\s+[§#]$")
_LINE_BREAK = re.compile(r" ?\x00 ?")


class Context(NamedTuple):
    """What the elements from a block element up to the root say about what is in it."""

    negative: int = 0  # elements whose class or id speaks of navigation, advertising, sharing, ...
    positive: int = 0  # ... of an article or its body
    comment: int = 0  # ... of readers' comments
    boiler: int = 0  # <nav>, <header>, <footer>, <aside>, <form>, <menu>, <dialog>
    article: int = 0  # <article>, <main>
    row: int = -1  # the nearest <tr>, as its number among the elements
    cell: int = -1  # the nearest <td> or <th>


@dataclass
class Layout:
    """Blocks (lists of equal length) and block elements (lists of equal length, parents before children)."""

    title: str = ""
    date: str = ""
    texts: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)  # tag of the nearest element that says what the text is
    linked: list[int] = field(default_factory=list)  # characters inside <a>
    owner: list[int] = field(default_factory=list)  # the block element that the block stands in directly
    parent: list[int] = field(default_factory=list)  # of each element; -1 for the root
    element: list[str] = field(default_factory=list)  # its tag
    first: list[int] = field(default_factory=list)  # the blocks first[e]:last[e] stand below element e
    last: list[int] = field(default_factory=list)
    context: list[Context] = field(default_factory=list)


def layout(page: str) -> Layout:
    """Parse a page. Any string gives a layout; call `extract_guard.refusal` on its bytes first."""
    tree = LexborHTMLParser(page)
    tree.strip_tags(_REMOVED)
    return _Reader().read(tree.html or "")


class _Reader:
    """One pass over the serialization, keeping the stack of open elements."""

    def __init__(self) -> None:
        self.out = Layout()
        self.stack: list[int] = [-1]
        self.names: list[str] = [""]  # tags of the text elements on the stack, see `_TEXT_TAGS`
        self.buffer: list[str] = []
        self.linked = 0
        self.links = 0
        self.pre = 0
        self.counters: list[int] = []  # of the open lists: -1 in <ul>, the last number in <ol>
        self.marker = ""

    def read(self, source: str) -> Layout:
        out, buffer, in_title, in_head = self.out, self.buffer, False, False
        title: list[str] = []
        for closing, tag, attributes, text, stray in _EVENT.findall(source):
            if text or stray:
                if in_title:
                    title.append(text or stray)
                elif not in_head:
                    self.add(text or stray)
            elif tag in BLOCK_TAGS:
                self.flush()
                if tag == "hr":
                    continue
                if closing:
                    self.leave(tag)
                else:
                    self.enter(tag, attributes)
            elif tag == "a":
                self.links = max(0, self.links - 1) if closing else self.links + 1
            elif tag == "br":
                buffer.append("\n" if self.pre else "\x00")
            elif tag == "title" and in_head:
                in_title = not closing
            elif tag == "head":
                in_head = not closing
            elif (tag == "meta" or tag == "time") and not closing and not out.date:
                out.date = _date_of(tag, attributes)
        self.flush()
        while len(self.stack) > 1:
            out.last[self.stack.pop()] = len(out.texts)
        out.title = " ".join(_unescape("".join(title)).split())
        return out

    def add(self, text: str) -> None:
        if "&" in text:
            text = _unescape(text)
        if not self.pre:
            text = _SPACES.sub(" ", text)
        if self.links:
            self.linked += len(text.strip())
        self.buffer.append(text)

    def enter(self, tag: str, attributes: str) -> None:
        out, up, number = self.out, self.stack[-1], len(self.out.parent)
        context = out.context[up] if up >= 0 else _ROOT
        if attributes or tag in _TELLING:
            context = _inside(context, tag, attributes, number)
        self.stack.append(number)
        out.parent.append(up)
        out.element.append(tag)
        out.first.append(len(out.texts))
        out.last.append(len(out.texts))
        out.context.append(context)
        if tag in _TEXT_TAGS:
            self.names.append(tag)
        if tag == "pre":
            self.pre += 1
        elif tag == "ol" or tag == "ul":
            self.counters.append(0 if tag == "ol" else -1)
        elif tag == "li":
            if self.counters and self.counters[-1] >= 0:
                self.counters[-1] += 1
                self.marker = f"{self.counters[-1]}. "
            else:
                self.marker = "- "

    def leave(self, tag: str) -> None:
        if len(self.stack) > 1:
            self.out.last[self.stack.pop()] = len(self.out.texts)
        if tag in _TEXT_TAGS and len(self.names) > 1:
            self.names.pop()
        if tag == "pre":
            self.pre -= 1
        elif (tag == "ol" or tag == "ul") and self.counters:
            self.counters.pop()
        elif tag == "li":
            self.marker = ""

    def flush(self) -> None:
        """Make what has been read since the last block tag into a block, or into several at empty lines."""
        if not self.buffer:
            return
        text, linked = "".join(self.buffer), self.linked
        self.buffer.clear()
        self.linked = 0
        if self.stack[-1] < 0:
            return
        if self.pre:
            body = text.replace("\r\n", "\n").replace("\xa0", " ").strip("\n").rstrip()
            if body.strip():
                self.block(body, linked, "pre")
            return
        text = text.strip(" \x00")
        if not text:
            return
        pieces = _PARAGRAPH_BREAK.split(text) if "\x00" in text else [text]
        tag = self.names[-1] or self.out.element[self.stack[-1]]
        for piece in pieces:
            lines = _SPACES.sub(" ", _LINE_BREAK.sub("\x00", piece)).replace("\x00", "\n").strip()
            if lines:
                self.block(self.marker + lines, linked * len(piece) // len(text), "li" if self.marker else tag)
                self.marker = ""

    def block(self, text: str, linked: int, tag: str) -> None:
        if tag in HEADINGS:
            text = _HEADING_MARK.sub("", text) or text
        self.out.texts.append(text)
        self.out.linked.append(linked)
        self.out.tags.append(tag)
        self.out.owner.append(self.stack[-1])


_ROOT = Context()
_CLASS = re.compile(r'\sclass="([^"]*)"')
_ID = re.compile(r'\sid="([^"]*?)[0-9]*"')  # numbered ids share an answer


def _inside(context: Context, tag: str, attributes: str, number: int) -> Context:
    """The context of an element with this tag and these attributes."""
    negative = positive = comment = False
    if attributes:
        classes, identifier = _CLASS.search(attributes), _ID.search(attributes)
        if classes or identifier:
            words = f"{classes.group(1) if classes else ''} {identifier.group(1) if identifier else ''}"
            negative, positive, comment = _attitude(words)
    if tag not in _TELLING and not (negative or positive or comment):
        return context
    return Context(
        context.negative + negative,
        context.positive + positive,
        context.comment + comment,
        context.boiler + (tag in _BOILER_TAGS),
        context.article + (tag in ("article", "main")),
        number if tag == "tr" else context.row,
        number if tag in ("td", "th") else context.cell,
    )


@functools.lru_cache(maxsize=1 << 14)
def _attitude(words: str) -> tuple[bool, bool, bool]:
    """Whether a class and id speak of boilerplate, of an article, of comments."""
    words = words.lower()
    return NEGATIVE.search(words) is not None, POSITIVE.search(words) is not None, COMMENT.search(words) is not None


def _unescape(text: str) -> str:
    return entities.unescape(text).replace("\x00", "\ufffd")


_DATE_NAMES = re.compile(r"publish|pubdate|date(?:created|modified)?$|dc\.date|og:updated|release", re.IGNORECASE)
_DATE = re.compile(r"((?:19|20)\d\d)(?:-|/|年)(\d{1,2})(?:-|/|月)(\d{1,2})")


def _date_of(tag: str, attributes: str) -> str:
    found = dict(_ATTRIBUTE.findall(attributes))
    name = found.get("property") or found.get("name") or found.get("itemprop") or ""
    value = found.get("datetime", "") if tag == "time" else found.get("content", "") if _DATE_NAMES.search(name) else ""
    return iso_date(value)


def iso_date(text: str) -> str:
    """The first date written year-month-day in a text (also 2023年6月30日) as ISO 8601, or ""."""
    match = _DATE.search(text)
    if match is None:
        return ""
    year, month, day = (int(g) for g in match.groups())
    return f"{year:04}-{month:02}-{day:02}" if 1 <= month <= 12 and 1 <= day <= 31 else ""
