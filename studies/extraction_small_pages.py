"""Small pages with exact marks, to train structural extraction on: short articles, tables, threads and lists.

Output: pages (`Page` of bench/corpus/extraction.py) named "small", English and Chinese in turn, drawn from a seed. Real marked
pages are large, so that trees and evidence learn from them that a page's text is long. Here a page has two to seven paragraphs
and one of PARTS: a table of short cells, a sentence in an unusual box, headings with and without text, steps, a listing, readers'
comments below the text (which are not marked); or it is a thread whose posts have something above and below them (not marked),
or named parts and clauses. The passages are those of the samples. Class names are drawn, and many pages have none. Tests of the
extractor have pages of the same kinds; neither their text nor their pages are used here.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.corpus.extraction import Page
from studies.extraction_pages import FURNITURE, WORDS, Site, samples

TAGS = ("article", "div", "main", "section", "div", "td", "body")
HOLDERS = (
    "content",
    "text",
    "entry",
    "post-content",
    "article",
    "story",
    "con",
    "zw",
    "nr",
    "detail",
    "main",
    "read",
    "",
    "",
    "",
    "",
)
BOXES = (
    '<div style="position:relative;left:30%;margin-left:-300px"><p>{}</p></div>',
    '<div style="max-height:600px;overflow:hidden"><p>{}</p></div>',
    '<div style="float:left;width:48%"><p>{}</p></div>',
    '<div style="padding-top:75%;height:0"><span>{}</span></div>',
    '<div class="wrap"><div class="box"><p>{}</p></div></div>',
    '<div class="row"><div class="col">{}</div></div>',
    "<center><font size=2>{}</font></center>",
    "<blockquote><p>{}</p></blockquote>",
    "<blockquote>{}</blockquote>",
    "<dl><dt>{word}</dt><dd>{}</dd></dl>",
    "<figure><img src=a.jpg><figcaption>{}</figcaption></figure>",
    "<details open><summary>{word}</summary><p>{}</p></details>",
    "<p><b>{word}</b> {}</p>",
    "<p style='font-size:0'><font style='font-size:14px'>{}</font></p>",
    '<object data="a.mid"></object><p>{}</p>',
    "<audio src=a.mp3 controls></audio><div>{}</div>",
    '<iframe src="a"></iframe><p>{}</p>',
    "<hr><p>{}</p><hr>",
    '<div class="tip">{}</div>',
    '<div class="note"><p>{}</p></div>',
    '<aside class="quote"><p>{}</p></aside>',
    "<p><a href='/a'>{word}</a>: {}</p>",
    "<span>{}</span>",
    "<div>{}</div>",
    '<div style="position:absolute;right:0;width:900px"><p>{}</p></div>',
    '<div class="c1"><p>{}</p></div>',
    '<div class="outer-2"><div><p>{}</p></div></div>',
    '<div style="width:0;min-width:100%"><p>{}</p></div>',
    '<div style="margin:0 -20px;padding:0 20px"><p>{}</p></div>',
    "<div><p>{}</p></div>",
    "<section><div><p>{}</p></div></section>",
    "<p>{}</p>",
    "<p><i>{}</i></p>",
    "<p><strong>{}</strong></p>",
    "<section><p>{}</p></section>",
    "<address>{}</address>",
    "<div><div><div>{}</div></div></div>",
    "<h6>{}</h6>",
)
SECTIONS = (
    "<h2>{name}</h2><p>{}</p>",
    "<h3>{name}</h3><div>{}</div>",
    "<h4>{name}</h4><section><p>{}</p></section>",
    "<dl><dt>{name}</dt><dd>{}</dd></dl>",
    "<dl><dt>{name}</dt><dd><p>{}</p></dd></dl>",
    "<p>{name}</p><p>{}</p>",
    "<p><strong>{name}</strong></p><div>{}</div>",
    "<details><summary>{name}</summary><div>{}</div></details>",
    '<div class="item-{number}"><h3>{name}</h3><div><p>{}</p></div></div>',
    '<div class="panel"><button>{name}</button><div><p>{}</p></div></div>',
    '<div id="t{number}"><p>{}</p></div>',
    '<div class="pane"><p>{}</p></div>',
    '<div class="card"><div>{}</div></div>',
    '<ol start="{number}"><li>{}</li></ol>',
    "<section><div><p>{}</p></div></section>",
)
COMMENTS = (
    "comment",
    "comments",
    "comment-list",
    "commentlist",
    "comment-body",
    "responses",
    "replies",
    "pinglun",
    "pl",
    "review",
    "guestbook",
    "ds-thread",
    "",
)
SHELLS = (
    '<div class="{n}"><div class="{n}body">{}</div></div>',
    '<table class="{n}"><tr><td width=120>{user}</td><td>{}</td></tr></table>',
    "<div>{user}<div>{}</div></div>",
    '<li class="{n}">{}</li>',
    '<article class="{n}">{}</article>',
    '<div class="{n}"><div class="{n}-head">{user}</div><div>{}</div></div>',
    "<dl><dt>{user}</dt><dd>{}</dd></dl>",
)
POSTS = (
    "post",
    "message",
    "reply",
    "floor",
    "answer",
    "item",
    "topic",
    "x3",
    "lz",
    "comment",
    "comment",
    "comment",
    "comments",
    "comments",
)
ABOVE = (
    "#{k}",
    "{word}{k} wrote:",
    "Posted {date}",
    "{k} votes · 2 hours ago",
    "Joined: {date}<br>Posts: {k}",
    "<a href=/u>{word}{k}</a>",
    "{word}{k} · {date}",
    "No. {k} by <a href=/u>{word}</a>",
    "Threads: {k}<br>Likes: {k}<br>From: {word}",
    "<em>{k}</em>F",
    "{k}楼",
    "{word}{k} 说：",
    "发表于 {date}",
    "<dl><dt>威望</dt><dd>{k}</dd><dt>金币</dt><dd>{k}</dd></dl>",
    "注册时间：{date}<br>精华：{k}",
    "<a href=/u>{word}{k}</a>",
    "第{k}楼 · {date}",
    "<b>板凳</b> {date}",
    "{k}<sup>F</sup>",
    "",
    "",
)
BELOW = (
    "<a href=#>Reply</a> <a href=#>Quote</a>",
    "Like ({k})",
    "<a href=#>Flag</a>",
    "Helpful? Yes {k} No",
    "<i>Edited {date}</i>",
    "---<br>{said}",
    "______<br>{said}",
    "~~~~~~~~<br>{said}",
    "<i>{said}</i>",
    "<a href=#>回复</a> <a href=#>引用</a>",
    "赞({k})",
    "<a href=#>举报</a>",
    "有用 {k} 没用",
    "<i>编辑于 {date}</i>",
    "——————<br>{said}",
    "",
    "",
    "",
)
COMMENT_TITLES = {
    "en": ("Comments", "{k} comments", "What readers say", "Responses", ""),
    "zh": ("评论", "网友评论（{k}）", "最新评论", "留言板", ""),
}
UNITS = {"en": ("m", "kg", "hours", "%", "pieces", "", "", ""), "zh": ("米", "公斤", "小时", "%", "个", "", "", "万元")}
LEAST_PASSAGE = {"en": 80, "zh": 40}
PROSE = re.compile(r"[A-Z“][^(){}=]*[.!?”]$|[\u4e00-\u9fff“「《0-9][^(){}=]*[。！？”」]$")
LEAST_SENTENCE = {"en": 30, "zh": 12}


@dataclass
class Drawn:
    """Markup in its order and the text of it that is marked."""

    markup: list[str] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)

    def add(self, markup: str, *texts: str) -> None:
        self.markup.append(markup)
        self.marked.extend(texts)


class SmallSite(Site):
    """A site of small pages in one language."""

    def __init__(self, seed: int, passages: dict[str, list[str]], lang: str) -> None:
        super().__init__(seed, passages)
        self.lang, self.passages, self.words, self.furniture = lang, passages[lang], WORDS[lang], FURNITURE[lang]

    def sentence(self) -> str:
        """One sentence of a passage."""
        while True:
            found = re.findall(r"[^.!?。！？]+[.!?。！？]", self.some(1)[0])
            fitting = [s.strip() for s in found if LEAST_SENTENCE[self.lang] <= len(s.strip()) <= 200]
            if fitting:
                return self.draw.choice(fitting)

    def label(self) -> str:
        """A few words of a passage, as a cell or a heading has them."""
        size = self.draw.randint(1, 3)
        if self.lang == "en":
            words = re.findall(r"[a-zA-Z]+", self.some(1)[0])
            at = self.draw.randrange(len(words) - size)
            return " ".join(words[at : at + size]).capitalize()
        parts = [p for p in re.findall(r"[\u4e00-\u9fff]+", self.some(1)[0]) if len(p) > 1]
        return self.draw.choice(parts)[: 2 * size]

    def filled(self, form: str, inside: str = "", **more: str) -> str:
        date = f"20{self.draw.randint(10, 24)}-{self.draw.randint(1, 12)}-{self.draw.randint(1, 28)}"
        given = {"word": self.draw.choice(self.words), "k": str(self.draw.randint(1, 99)), "date": date}
        return form.format(inside, **{**given, **more})

    def frame(self, title: str, inner: str) -> str:
        """A page around `inner`: bare, with a menu, or with a menu, a side and a foot."""
        kind, name = self.draw.randrange(4), self.draw.choice(HOLDERS)
        tag = self.draw.choice(TAGS)
        held = f'<{tag} class="{name}">{inner}</{tag}>' if name else f"<{tag}>{inner}</{tag}>"
        held = {"td": f"<table><tr>{held}</tr></table>", "body": inner}.get(tag, held)
        top = foot = side = ""
        if kind:
            holder = self.draw.choice(("nav", "div", "header"))
            top = f"{self.open('nav', holder)}<ul>{self.links(self.draw.randint(2, 8))}</ul></{holder}>"
            foot = f"{self.open('foot')}<p>{self.piece(0)} <a href=/c>{self.draw.choice(self.words)}</a></p></div>"
        if kind == 3:
            side = f"{self.open('side')}<h3>{self.piece(3)}</h3><ul>{self.links(self.draw.randint(2, 7))}</ul></div>"
        head = f"<meta charset=utf-8><title>{html.escape(title)} - {self.draw.choice(self.words)}</title>"
        return f"<!doctype html><html><head>{head}</head><body>{top}{held}{side}{foot}</body></html>"


def table(site: SmallSite, drawn: Drawn) -> None:
    """A table of short cells: headers or none, empty cells, spans, lines and lists in cells, links."""
    draw, lang = site.draw, site.lang
    columns, rows = draw.randint(2, 5), draw.randint(2, 7)
    open_ended, links = draw.random() < 0.3, draw.random() < 0.5

    def cell(text: str, tag: str, spans: str = "", linked: bool = False) -> str:
        inner = html.escape(text)
        if linked and text:
            inner = f'<a href="/{draw.randrange(99)}">{inner}</a>'
        elif " " in text and draw.random() < 0.2:
            inner = inner.replace(" ", draw.choice(("<br>", "</p><p>", " <b>")), 1)
        elif text and draw.random() < 0.05:
            inner = f"<ul><li>{inner}</li></ul>"
        return f"<{tag}{spans}>{inner}" + ("" if open_ended else f"</{tag}>")

    def value() -> str:
        kind = draw.random()
        if kind < 0.1:
            return ""
        if kind < 0.35:
            return site.label()
        if kind < 0.5:
            return " ".join((str(draw.randint(1, 99)), site.label()))
        number = draw.choice((f"{draw.randint(0, 40)}.{draw.randint(0, 9)}", str(draw.randint(1, 2000))))
        return f"{number} {draw.choice(UNITS[lang])}".strip()

    lines, texts = [], []
    header = draw.random()
    if header < 0.7:
        names = [site.label() for _ in range(columns)]
        texts += names
        inner = "".join(cell(n, "th" if header < 0.5 else "td") for n in names)
        lines.append(f"<thead><tr>{inner}</tr></thead>" if header < 0.2 else f"<tr>{inner}</tr>")
    for _ in range(rows):
        left, inner = columns, ""
        while left > 0:
            wide = 2 if left > 1 and draw.random() < 0.06 else 1
            high = ' rowspan="2"' if draw.random() < 0.05 else ""
            text = site.label() if left == columns else value()
            texts += [text] if text else []
            inner += cell(text, "td", (f' colspan="{wide}"' if wide > 1 else "") + high, links and left == columns)
            left -= wide
        lines.append(f"<tr>{inner}" + ("" if open_ended else "</tr>"))
    if draw.random() < 0.7:
        said = site.sentence()
        drawn.add(f"<p>{html.escape(said)}</p>", said)
    drawn.add(f"<table{draw.choice(('', ' border=1', ' class=data', ' class=table'))}>{''.join(lines)}</table>", *texts)


def box(site: SmallSite, drawn: Drawn) -> None:
    """A sentence or two in an unusual box."""
    for _ in range(site.draw.randint(1, 2)):
        form, said, word = site.draw.choice(BOXES), site.sentence(), site.label()
        texts = (word, said) if "{word}" in form else (said,)
        drawn.add(form.format(html.escape(said), word=word), *texts)


def headings(site: SmallSite, drawn: Drawn) -> None:
    """Headings with text at the end of a page; the last one often has none and is not marked."""
    level = site.draw.randint(2, 4)
    for _ in range(site.draw.randint(1, 3)):
        name, said = site.label(), site.some(1)[0] if site.draw.random() < 0.4 else site.sentence()
        drawn.add(f"<h{level}>{name}</h{level}><p>{html.escape(said)}</p>", name, said)
    if site.draw.random() < 0.7:
        drawn.add(f"<h{level}>{site.label()} {site.draw.choice(site.words)}</h{level}>")


def steps(site: SmallSite, drawn: Drawn) -> None:
    """A list, or steps in blocks of their own."""
    tag, count = site.draw.choice(("ol", "ul", "div", "dl")), site.draw.randint(2, 6)
    texts = [site.sentence() if site.draw.random() < 0.7 else site.label() for _ in range(count)]
    if tag == "div":
        drawn.add("".join(f"<div class=step><b>{n}</b><p>{html.escape(t)}</p></div>" for n, t in enumerate(texts, 1)), *texts)
    else:
        item = "dd" if tag == "dl" else "li"
        drawn.add(f"<{tag}>{''.join(f'<{item}>{html.escape(t)}</{item}>' for t in texts)}</{tag}>", *texts)


def code(site: SmallSite, drawn: Drawn) -> None:
    """A listing between sentences."""
    lines = [
        f"{site.draw.choice('abcdef')} = {site.draw.choice(('f', 'g', 'read'))}({site.draw.randint(0, 99)})"
        for _ in range(site.draw.randint(1, 5))
    ]
    before, after = site.sentence(), site.sentence()
    drawn.add(f"<p>{html.escape(before)}</p><pre>{chr(10).join(lines)}</pre>", before, *lines)
    drawn.add(f"<p>{html.escape(after)}</p>", after)


def comments(site: SmallSite, drawn: Drawn) -> None:
    """What readers say below the text, not marked."""
    name, draw = site.draw.choice(COMMENTS[:-1] if site.draw.random() < 0.9 else COMMENTS), site.draw
    titled = site.filled(draw.choice(COMMENT_TITLES[site.lang]))
    said = ""
    for _ in range(draw.randint(1, 6)):
        user = site.filled(draw.choice(ABOVE)) if draw.random() < 0.7 else ""
        words = html.escape(" ".join(site.sentence() for _ in range(draw.randint(1, 4))))
        said += f'<div class="{name}">{f"<b>{user}</b>" if user else ""}<p>{words}</p></div>'
    drawn.add(f'<div id="{draw.choice((name, "comments"))}">{f"<h3>{titled}</h3>" if titled else ""}{said}</div>')


def thread(site: SmallSite, drawn: Drawn) -> None:
    """Posts one below the other, which are the page."""
    draw, form, name = site.draw, site.draw.choice(SHELLS), site.draw.choice(POSTS)
    signature = html.escape(site.sentence())
    above, below = draw.choice(ABOVE), draw.choice(BELOW)
    for _ in range(draw.randint(2, 7)):
        texts = site.some(1) if draw.random() < 0.6 else [site.sentence()]
        inner = "".join(f"<p>{html.escape(t)}</p>" for t in texts)
        head, foot = site.filled(above), site.filled(below, said=signature)
        if "{user}" not in form:
            inner = (f"<div>{head}</div>" if head else "") + inner
        drawn.add(site.filled(form, inner + (f"<div>{foot}</div>" if foot else ""), user=head, n=name), *texts)


def sections(site: SmallSite, drawn: Drawn) -> None:
    """The text in named parts: headings, definitions, clauses that say the same, questions with answers."""
    draw, form = site.draw, site.draw.choice(SECTIONS)
    same = site.sentence() if draw.random() < 0.3 else ""
    for number in range(1, draw.randint(3, 7)):
        name = draw.choice((site.label(), f"{site.label()} {number}"))
        said = same or (site.some(1)[0] if draw.random() < 0.6 else site.sentence())
        texts = (name, said) if "{name}" in form else (said,)
        drawn.add(form.format(html.escape(said), name=name, number=number), *texts)


def nothing(site: SmallSite, drawn: Drawn) -> None:
    """A page that is only its paragraphs."""


PARTS: tuple[Callable[[SmallSite, Drawn], None], ...] = (
    table,
    box,
    headings,
    steps,
    code,
    comments,
    thread,
    table,
    box,
    headings,
    thread,
    nothing,
    thread,
    box,
    thread,
    sections,
    sections,
    sections,
)
WHOLE = (thread, sections)
"""What is all of a page's text."""
INNER = (table, box, steps, code)
"""What may stand between paragraphs; the others are at the end."""


def small_page(site: SmallSite, part: Callable[[SmallSite, Drawn], None]) -> tuple[str, list[str]]:
    """A page and its marked text, line by line."""
    drawn, draw = Drawn(), site.draw
    title = site.label() if draw.random() < 0.5 else site.title()
    if draw.random() < 0.8:
        drawn.add(f"<h1>{html.escape(title)}</h1>", title)
    if part in WHOLE:
        part(site, drawn)
        return site.frame(title, "".join(drawn.markup)), drawn.marked
    paragraphs = [site.some(1)[0] if draw.random() < 0.7 else site.sentence() for _ in range(draw.randint(2, 7))]
    middle = draw.randint(1, len(paragraphs)) if part in INNER and draw.random() < 0.6 else len(paragraphs)
    for texts, last in ((paragraphs[:middle], False), (paragraphs[middle:], True)):
        if texts:
            drawn.add(site.prose(texts), *texts)
        if not last:
            part(site, drawn)
    return site.frame(title, "".join(drawn.markup)), drawn.marked


def passages_of(pages: Sequence[Page]) -> dict[str, list[str]]:
    """The longer lines of prose of marked pages by language."""
    found: dict[str, list[str]] = {"en": [], "zh": []}
    for page in pages:
        lines = (line.strip() for line in page.gold.split("\n"))
        found[page.lang] += [line for line in lines if len(line) > LEAST_PASSAGE[page.lang] and PROSE.match(line)]
    return found


def small(count: int, seed: int = 1130) -> list[Page]:
    """So many small pages, each of a site of its own."""
    passages, pages = passages_of(samples()), []
    for number in range(count):
        site = SmallSite(seed + number, passages, ("en", "zh")[number % 2])
        page, texts = small_page(site, PARTS[number // 2 % len(PARTS)])
        pages.append(Page(f"small-{number}", "small", site.lang, f"small-{number}", page, "\n".join(texts)))
    return pages
